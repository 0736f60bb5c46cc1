"""Inception's pools and blocks against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import inception, inception_blocks
from tests.helpers import slow


def windows(x, window, stride, padding, value=0.0):
  """Windows `[B, h, w, C, kh, kw]` of an image padded evenly."""
  margins = [(n // 2,) * 2 if padding == 'SAME' else (0, 0) for n in window]
  x = np.pad(x, ((0, 0), *margins, (0, 0)), constant_values=value)
  views = np.lib.stride_tricks.sliding_window_view(x, window, (1, 2))
  return views[:, ::stride, ::stride]


def mean_pooled(x):
  return np.nanmean(windows(x, (3, 3), 1, 'SAME', np.nan), axis=(-2, -1))


def max_pooled(x, stride=2, padding='VALID'):
  return windows(x, (3, 3), stride, padding, -np.inf).max(axis=(-2, -1))


@pytest.mark.parametrize('size', [(3, 3), (5, 8), (1, 2)])
def test_mean_pool_does_not_count_the_padding(size):
  x = np.random.default_rng(0).uniform(1, 2, (2, *size, 3))
  found = inception_blocks.mean_pool(jnp.asarray(x, jnp.float32))
  np.testing.assert_allclose(found, mean_pooled(x), rtol=1e-5)
  ones = inception_blocks.mean_pool(jnp.ones((1, *size, 1)))
  np.testing.assert_array_equal(ones, 1)


@pytest.mark.parametrize('size', [(3, 3), (7, 8)])
def test_max_pool(size):
  x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
  found = inception_blocks.max_pool(jnp.asarray(x))
  np.testing.assert_array_equal(found, max_pooled(x))


# --- blocks, with batch norm unfolded ---


class Reference:
  """Layers of one block in float64; draws the weights that they ask for."""

  def __init__(self):
    self.rng = np.random.default_rng(1)
    self.params = {}

  def __call__(self, x, name, features, window, stride=1, padding='SAME'):
    rng, count = self.rng, x.shape[-1] * np.prod(window)
    kernel = rng.normal(size=(features, x.shape[-1], *window)) / count**0.5
    scale, variance = rng.uniform(0.5, 1.5, (2, features))
    variance *= 0.02  # that epsilon matters
    shift, mean = rng.normal(size=(2, features)) / 10
    folded = inception._fold(kernel, scale, shift, mean, variance)
    self.params[name] = dict(zip(('kernel', 'bias'), folded, strict=True))
    views = windows(x, window, stride, padding)
    y = np.einsum('bhwcij,fcij->bhwf', views, kernel, optimize=True)
    y = (y - mean) / np.sqrt(variance + 0.001) * scale + shift
    return np.maximum(y, 0)

  def chain(self, x, prefix, *layers):
    for number, layer in enumerate(layers, 1):
      x = self(x, f'{prefix}_{number}', *layer)
    return x


def block_a(net, x):
  yield net(x, 'branch1x1', 64, (1, 1))
  yield net.chain(x, 'branch5x5', (48, (1, 1)), (64, (5, 5)))
  yield net.chain(x, 'branch3x3dbl', (64, (1, 1)), (96, (3, 3)), (96, (3, 3)))
  yield net(mean_pooled(x), 'branch_pool', 32, (1, 1))


def block_b(net, x):
  last = (3, 3), 2, 'VALID'
  yield net(x, 'branch3x3', 384, *last)
  yield net.chain(x, 'branch3x3dbl', (64, (1, 1)), (96, (3, 3)), (96, *last))
  yield max_pooled(x)


def block_c(net, x):
  yield net(x, 'branch1x1', 192, (1, 1))
  yield net.chain(x, 'branch7x7', (8, (1, 1)), (8, (1, 7)), (192, (7, 1)))
  across, down = (8, (1, 7)), (8, (7, 1))
  yield net.chain(
    x, 'branch7x7dbl', (8, (1, 1)), down, across, down, (192, (1, 7))
  )
  yield net(mean_pooled(x), 'branch_pool', 192, (1, 1))


def block_d(net, x):
  last, first = ((3, 3), 2, 'VALID'), (192, (1, 1))
  yield net.chain(x, 'branch3x3', first, (320, *last))
  yield net.chain(
    x, 'branch7x7x3', first, (192, (1, 7)), (192, (7, 1)), (192, *last)
  )
  yield max_pooled(x)


def block_e(net, x, pool=mean_pooled):
  yield net(x, 'branch1x1', 320, (1, 1))
  three = net(x, 'branch3x3_1', 384, (1, 1))
  yield net(three, 'branch3x3_2a', 384, (1, 3))
  yield net(three, 'branch3x3_2b', 384, (3, 1))
  double = net.chain(x, 'branch3x3dbl', (448, (1, 1)), (384, (3, 3)))
  yield net(double, 'branch3x3dbl_3a', 384, (1, 3))
  yield net(double, 'branch3x3dbl_3b', 384, (3, 1))
  yield net(pool(x), 'branch_pool', 192, (1, 1))


def block_e_max(net, x):
  return block_e(net, x, lambda x: max_pooled(x, 1, 'SAME'))


@pytest.mark.parametrize(
  ('module', 'reference'),
  [
    slow(inception_blocks.BlockA(32), block_a),
    (inception_blocks.BlockB(), block_b),
    slow(inception_blocks.BlockC(8), block_c),
    slow(inception_blocks.BlockD(), block_d),
    (inception_blocks.BlockE(), block_e),
    (inception_blocks.BlockE(pool_max=True), block_e_max),
  ],
)
def test_block(module, reference):
  x = np.random.default_rng(0).normal(size=(2, 7, 5, 6))
  net = Reference()
  expected = np.concatenate([*reference(net, x)], axis=-1)
  variables = jax.tree.map(jnp.float32, {'params': net.params})
  found = module.apply(variables, jnp.asarray(x, jnp.float32))
  assert found.shape == expected.shape
  error = np.abs(found - expected).max() / np.abs(expected).max()
  assert error < 1e-5

"""StyleGAN2: published sizes, and modulated convolutions by hand."""

import itertools

import jax
import numpy as np
import pytest

from gan_jax.networks import stylegan2
from gan_jax.networks.seeds import NUM_SEEDS
from gan_jax.networks.style import Style
from gan_jax.networks.stylegan2 import Modulated
from tests.helpers import slow
from tests.networks import residual_sizes as sizes
from tests.networks.test_progressive import widths
from tests.networks.test_stylegan import dense, mapping_size


def stylegan2_sizes(maps, channels, depth, residual=True, classes=0, w=512):
  def layer(i, o):
    return dense(w, i) + 9 * i * o + o + 1

  gen = mapping_size(depth) + 16 * maps[0] + layer(maps[0], maps[0])
  for low, high in itertools.pairwise(maps):
    gen += layer(low, high) + layer(high, high)
  gen += sum(dense(w, width) + dense(width, channels) for width in maps)
  disc = dense(channels, maps[-1])
  for low, high in itertools.pairwise(maps):
    disc += sizes.conv(3, high, high) + sizes.conv(3, high, low)
    disc += high * low * residual
  disc += sizes.conv(3, maps[0] + 1, maps[0]) + dense(16 * maps[0], maps[0])
  disc += dense(maps[0], maps[0] if classes else 1)
  if classes:
    gen += dense(classes, w) + w * w
    disc += dense(classes, maps[0]) + 8 * dense(maps[0], maps[0])
  return gen, disc


@pytest.mark.parametrize(
  ('size', 'channels', 'keys', 'classes', 'published'),
  [
    (256, 3, dict(), 0, (30_034_338, 28_864_129)),
    slow(256, 3, dict(channel_base=16_384), 0, (24_767_458, 24_001_089)),
    slow(1024, 3, dict(), 0, (30_370_060, 29_012_513)),
    (64, 3, dict(channel_base=16_384), 0, (23_819_544, 23_407_361)),
    (
      *(32, 3, dict(mapping_depth=2, critic='plain'), 0),
      (19_947_539, 20_720_641),
    ),
    (
      *(32, 3, dict(mapping_depth=2, critic='plain'), 10),
      (20_215_315, 23_089_664),
    ),
    (
      *(32, 1, dict(mapping_depth=2, channel_base=4_096), 0),
      (11_928_203, 13_918_593),
    ),
  ],
)
def test_sizes_of_stylegan2_are_the_published_ones(
  size, channels, keys, classes, published
):
  found = sizes.sizes_of(
    'stylegan2', (size, size, channels), classes, NUM_SEEDS + 512, **keys
  )
  assert found == published
  maps = widths(size, keys.get('channel_base', 32_768), 512)
  depth, residual = keys.get('mapping_depth', 8), 'critic' not in keys
  assert found == stylegan2_sizes(maps, channels, depth, residual, classes)


# --- Modulation ---------------------------------------------------------------


def modulated(scale=1.0, up=False, features=6, demodulate=True):
  """A layer whose affine map gives s of its own, with inputs and s."""
  layer = Modulated(features, 3, Style(weights='equalised'), demodulate, up)
  rng = np.random.default_rng(0)
  x = rng.normal(size=(3, 8, 8, 4)).astype(np.float32)
  w = rng.normal(size=(3, 4)).astype(np.float32)
  params = layer.init(jax.random.key(0), x, w, train=False)['params']
  params['Dense_0'] = {
    'kernel': 2.0 * scale * np.eye(4, dtype=np.float32),
    'bias': np.full(4, 0.5 * scale, np.float32),
  }
  s = scale * (w + 0.5)  # 2 / sqrt(4) of the equalised map
  y = layer.apply({'params': params}, x, w, train=False)
  return np.asarray(y), np.float64(x), s, np.float64(params['kernel'])


def by_example(x, s, kernel, demodulate=True):
  """Each example by the weights that are its own."""
  weights = kernel[None] * s[:, None, None, :, None]
  weights = weights / np.sqrt(9 * 4)
  if demodulate:
    weights /= np.sqrt((weights**2).sum((1, 2, 3), keepdims=True) + 1e-8)
    np.testing.assert_allclose((weights**2).sum((1, 2, 3)), 1.0, rtol=1e-5)
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  return sum(
    np.einsum(
      'bhwi,bio->bhwo', padded[:, i : i + 8, j : j + 8], weights[:, i, j]
    )
    for i in range(3)
    for j in range(3)
  )


@pytest.mark.parametrize('demodulate', [True, False])
def test_modulation_is_of_the_weights_of_each_example(demodulate):
  y, *inputs = modulated(demodulate=demodulate)
  np.testing.assert_allclose(
    y, by_example(*inputs, demodulate), rtol=1e-4, atol=1e-5
  )


def test_the_size_of_a_style_is_of_no_effect_once_demodulated():
  for up in (False, True):
    y, *_ = modulated(up=up)
    scaled, *_ = modulated(scale=30.0, up=up)
    np.testing.assert_allclose(scaled, y, rtol=1e-4, atol=1e-5)


def test_doubling_is_transposed_and_filtered():
  """Zeros between, the kernel, (1, 3, 3, 1): in float64, by hand."""
  y, x, s, kernel = modulated(up=True)
  assert y.shape == (3, 16, 16, 6)
  between = np.zeros((3, 15, 15, 4))
  between[:, ::2, ::2] = x
  weights = kernel[None] * s[:, None, None, :, None]
  weights /= np.sqrt((weights**2).sum((1, 2, 3), keepdims=True))
  padded = np.pad(between, ((0, 0), (2, 2), (2, 2), (0, 0)))
  full = sum(
    np.einsum(
      'bhwi,bio->bhwo',
      padded[:, i : i + 17, j : j + 17],
      weights[:, i, j],
    )
    for i in range(3)
    for j in range(3)
  )
  taps = np.array([1, 3, 3, 1]) / 8
  full = np.pad(full, ((0, 0), (1, 1), (1, 1), (0, 0)))
  rows = sum(t * full[:, k : k + 16] for k, t in enumerate(taps))
  expected = 4 * sum(t * rows[:, :, k : k + 16] for k, t in enumerate(taps))
  np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)


def test_unit_variance_stays_one():
  layer = Modulated(256, 3, Style(weights='equalised'))
  rng = np.random.default_rng(0)
  x = rng.normal(size=(8, 16, 16, 64)).astype(np.float32)
  w = np.zeros((8, 4), np.float32)  # s is then its bias, 1
  variables = layer.init(jax.random.key(0), x, w, train=False)
  y = layer.apply(variables, x, w, train=False)[:, 1:-1, 1:-1]
  assert abs(float(y.std()) - 1.0) < 0.02


def test_images_are_not_demodulated():
  """A style of twice the size makes an image of twice the size."""
  layer = stylegan2._ToImage(2, Style(weights='equalised'))
  rng = np.random.default_rng(0)
  h = np.float32(rng.normal(size=(3, 4, 4, 5)))
  w = np.float32(rng.normal(size=(3, 5)))
  params = layer.init(jax.random.key(0), h, w, train=False)['params']
  kernel = params['Modulated_0']['kernel']
  found = {}
  for scale in (1.0, 2.0):
    # sqrt(5) undoes the equalised map's scale: the style is w itself.
    params['Modulated_0']['Dense_0'] = {
      'kernel': scale * np.sqrt(5) * np.eye(5, dtype=np.float32),
      'bias': np.zeros(5, np.float32),
    }
    found[scale] = layer.apply({'params': params}, h, w, train=False)
  np.testing.assert_allclose(found[2.0], 2.0 * found[1.0], rtol=1e-5)
  expected = (h * w[:, None, None]) @ kernel[0, 0] / np.sqrt(5)
  np.testing.assert_allclose(found[1.0], expected, rtol=1e-4, atol=1e-5)


def test_shortcuts_keep_the_variance():
  """Both ways over sqrt(2); the shortcut is blurred, halved and mixed."""
  style = Style(weights='equalised')
  with_it, without = (
    stylegan2._Halving(5, 6, style, residual) for residual in (True, False)
  )
  rng = np.random.default_rng(0)
  x = np.float32(rng.normal(size=(2, 8, 8, 5)))
  params = with_it.init(jax.random.key(0), x, train=False)['params']
  found = with_it.apply({'params': params}, x, train=False)
  kernel = params.pop('Conv_2')['kernel']
  long_way = without.apply({'params': params}, x, train=False)
  padded = np.pad(np.float64(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
  taps = np.array([1, 2, 1]) / 4
  blurred = sum(
    taps[i] * taps[j] * padded[:, i : i + 8, j : j + 8]
    for i, j in np.ndindex(3, 3)
  )
  short = blurred.reshape(2, 4, 2, 4, 2, 5).mean(axis=(2, 4))
  short = short @ kernel[0, 0] / np.sqrt(5)
  np.testing.assert_allclose(
    found, (long_way + short) / np.sqrt(2), rtol=1e-4, atol=1e-5
  )

"""Layers over a batch, and virtual batch norm, against float64 NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks.minibatch import Discrimination, StandardDeviation
from gan_jax.networks.virtual import VirtualBatchNorm
from gan_jax.types import InputError
from tests.helpers import make_pair, output_of, sampled, tiny_keys

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
MAPS = np.float32(RNG.normal(0.5, 2.0, (8, 3, 3, 4)))
VECTORS = np.float32(RNG.normal(0.5, 0.4, (8, 6)))


@pytest.mark.parametrize('x', [MAPS, VECTORS], ids=['maps', 'vectors'])
def test_standard_deviation_is_one_feature_everywhere(x):
  y = StandardDeviation().apply({}, x)
  assert y.shape == (*x.shape[:-1], x.shape[-1] + 1)
  np.testing.assert_array_equal(y[..., :-1], x)
  expected = np.float64(x).std(axis=0).mean()
  np.testing.assert_allclose(y[..., -1], expected, rtol=1e-5)


def test_standard_deviation_of_groups():
  """Of 8 examples in groups of 4, every other one is of one group."""
  y = StandardDeviation(group=4).apply({}, MAPS)
  for start in (0, 1):
    own = slice(start, None, 2)
    expected = np.float64(MAPS[own]).std(axis=0).mean()
    np.testing.assert_allclose(y[own, ..., -1], expected, rtol=1e-5)


def test_equal_examples_have_no_deviation_and_a_finite_gradient():
  same = jnp.ones((4, 5))
  y = StandardDeviation().apply({}, same)
  np.testing.assert_allclose(y[..., -1], 1e-4, rtol=1e-5)
  slope = jax.grad(lambda x: StandardDeviation().apply({}, x).sum())(same)
  assert np.all(np.isfinite(slope))


def closeness(flat, tensor, kernels, dim):
  """Salimans et al., section 3.2, sum by sum."""
  rows = (np.float64(flat) @ np.float64(tensor)).reshape(-1, kernels, dim)
  out = np.zeros((len(rows), kernels))
  for i in range(len(rows)):
    for j in range(len(rows)):
      for b in range(kernels):
        out[i, b] += np.exp(-np.abs(rows[i, b] - rows[j, b]).sum())
  return out


@pytest.mark.parametrize('x', [MAPS, VECTORS], ids=['maps', 'vectors'])
def test_discrimination_counts_close_examples(x):
  layer = Discrimination(kernels=3, dim=2)
  variables = layer.init(KEY, x)
  y = layer.apply(variables, x)
  np.testing.assert_array_equal(y[..., : x.shape[-1]], x)
  expected = closeness(x.reshape(8, -1), variables['params']['tensor'], 3, 2)
  own = np.asarray(y[..., x.shape[-1] :]).reshape(8, -1, 3)
  np.testing.assert_allclose(own, expected[:, None] + 0 * own, rtol=1e-5)
  # A collapsed batch is told by n.
  flat = layer.apply(variables, np.repeat(x[:1], 8, axis=0))
  np.testing.assert_allclose(flat[..., x.shape[-1] :], 8.0, rtol=1e-6)


@pytest.mark.parametrize(
  'make',
  [StandardDeviation, functools.partial(Discrimination, kernels=3, dim=2)],
  ids=['stddev', 'discrimination'],
)
def test_a_shared_batch_is_one_batch(make):
  one = make()
  variables = one.init(KEY, VECTORS)
  shares = VECTORS.reshape(4, 2, 6)

  def loss(layer, variables, x):
    y = layer.apply(variables, x)
    return jnp.mean(jnp.sin(y).sum(axis=-1))

  def step(layer, variables, x):
    return jax.grad(functools.partial(loss, layer), (0, 1))(variables, x)

  shared = make(axis_name='batch')
  mapped = jax.pmap(functools.partial(step, shared), 'batch', in_axes=(None, 0))
  grads, slopes = mapped(variables, shares)
  whole, slope = step(one, variables, VECTORS)
  for many, single in zip(
    jax.tree.leaves(grads), jax.tree.leaves(whole), strict=True
  ):
    np.testing.assert_allclose(many.mean(axis=0), single, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(
    slopes.reshape(8, 6) / 4, slope, rtol=1e-4, atol=1e-7
  )


# --- Virtual batch norm -----------------------------------------------------


@pytest.mark.parametrize('x', [MAPS, VECTORS], ids=['maps', 'vectors'])
def test_virtual_batch_norm_is_of_the_reference_and_the_example(x):
  size = 5
  layer = VirtualBatchNorm(size)
  variables = {
    'params': {
      'scale': np.float32(RNG.uniform(0.5, 2, x.shape[-1])),
      'bias': np.float32(RNG.normal(size=x.shape[-1])),
    }
  }
  y = np.asarray(layer.apply(variables, x))
  scale, bias = variables['params']['scale'], variables['params']['bias']
  axes = tuple(range(x.ndim - 1))
  x = np.float64(x)
  for i in range(8):
    group = x[:size] if i < size else np.concatenate([x[:size], x[i : i + 1]])
    mean, variance = group.mean(axes), group.var(axes)
    expected = (x[i] - mean) / np.sqrt(variance + 1e-5) * scale + bias
    np.testing.assert_allclose(y[i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  'network', sampled(['mlp', 'dcgan', 'wgan_gp_resnet'], 'mlp', 'dcgan')
)
@pytest.mark.parametrize('player', ['gen', 'disc'])
def test_an_example_does_not_depend_on_its_batch(network, player):
  keys = tiny_keys(network) | {f'network__{player}_norm': 'virtual'}
  keys = {k.removeprefix('network__'): v for k, v in keys.items()}
  pair = make_pair(network, (16, 16, 3), reference_size=4, **keys)
  module = getattr(pair, player)
  shape = (10,) if player == 'gen' else (16, 16, 3)
  reference = np.float32(RNG.normal(size=(4, *shape)))
  inputs = np.float32(RNG.normal(size=(6, *shape)))
  variables = jax.jit(functools.partial(module.init, train=False))(
    KEY, reference
  )
  np.testing.assert_array_equal(variables['reference']['inputs'], reference)

  @jax.jit
  def apply(variables, inputs):
    return output_of(module.apply(variables, inputs, train=True))

  whole = apply(variables, inputs)
  assert whole.shape[0] == 6
  part = apply(variables, inputs[2:4])
  np.testing.assert_allclose(whole[2:4], part, rtol=1e-4, atol=1e-5)
  # The reference counts.
  other = {**variables, 'reference': {'inputs': reference + 1.0}}
  assert np.abs(apply(other, inputs) - whole).max() > 1e-4


def test_a_reference_is_asked_for():
  for keys, words in (
    (dict(gen_norm='virtual'), 'reference_size is 0'),
    (dict(disc_norm='virtual', reference_size=4, num_classes=3), 'labels'),
    (dict(disc_norm='virtual', reference_size=0), 'reference_size'),
    (dict(disc_minibatch='foo'), 'disc_minibatch'),
    (dict(minibatch_kernels=0), 'minibatch_kernels'),
  ):
    with pytest.raises(InputError, match=words):
      make_pair('mlp', (8, 8, 1), **keys)


@pytest.mark.parametrize('minibatch', ['stddev', 'discrimination'])
def test_a_batch_is_not_compared_with_a_reference(minibatch):
  keys = dict(disc_minibatch=minibatch, reference_size=4)
  with pytest.raises(InputError, match=r'disc_minibatch.*reference batch'):
    make_pair('mlp', (8, 8, 1), disc_norm='virtual', **keys)
  make_pair('mlp', (8, 8, 1), gen_norm='virtual', **keys)  # G compares none


# --- Maxout -----------------------------------------------------------------


def test_maxout_takes_the_largest_piece():
  disc = make_pair('mlp', (2, 2, 1), disc_widths=(3,), disc_maxout=4).disc
  images = np.float32(RNG.normal(size=(5, 2, 2, 1)))
  variables = disc.init(KEY, images, train=False)
  first, last = (variables['params'][f'Dense_{i}'] for i in range(2))
  assert first['kernel'].shape == (4, 12)
  pieces = np.float64(images).reshape(5, 4) @ np.float64(first['kernel'])
  hidden = (pieces + first['bias']).reshape(5, 4, 3).max(axis=1)
  expected = hidden @ np.float64(last['kernel']) + last['bias']
  np.testing.assert_allclose(
    disc.apply(variables, images, train=False).logits,
    expected[:, 0],
    rtol=1e-5,
  )

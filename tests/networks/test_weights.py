"""Weights as they enter a product: spectral and equalised."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.networks import layers
from gan_jax.networks.style import ACTIVATIONS, Style
from tests.helpers import make_pair

ROOT2 = math.sqrt(2.0)


def normal(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Apply(nn.Module):
  style: Style
  make: object
  gain: tuple = ()

  @nn.compact
  def __call__(self, x, *, train=False):
    keys = dict(zip(('gain',), self.gain, strict=False))
    return self.style.apply(self.make(), x, train=train, **keys)


EQUALISED = Style(weights='equalised')
# Name -> layer, shape of the input, how many inputs an output adds up.
LAYERS = {
  'narrow dense': (lambda: nn.Dense(4096), (64, 8), 8),
  'wide dense': (lambda: nn.Dense(64), (512, 2048), 2048),
  '3x3': (lambda: layers.Conv(256, 3, padding='VALID'), (8, 10, 10, 24), 216),
  '1x1': (lambda: layers.Conv(512, 1), (8, 4, 4, 96), 96),
  'transposed': (
    lambda: layers.ConvTranspose(256, 4, 2, 'VALID'),
    (4, 12, 12, 32),
    128,
  ),
}


@pytest.mark.parametrize('name', LAYERS)
@pytest.mark.parametrize('gain', [(), (1.0,)])
def test_equalised_layers_give_variance_gain_squared(name, gain):
  """At any width, of weights stored as N(0, 1); sqrt(2) if not told."""
  make, shape, _ = LAYERS[name]
  layer, x = Apply(EQUALISED, make, gain), normal(0, *shape)
  variables = jax.jit(layer.init)(jax.random.key(0), x)
  [kernel] = (p for p in jax.tree.leaves(variables) if p.ndim > 1)
  bound = 5 / math.sqrt(kernel.size)
  assert abs(kernel.mean()) < bound
  assert abs(kernel.std() - 1) < bound
  y = jax.jit(layer.apply)(variables, x)
  if name == 'transposed':
    y = y[:, 2:-2, 2:-2]
  share = np.float64(y).var() / (gain[0] if gain else ROOT2) ** 2
  # Random weights, and inputs of which neighbours share some.
  spread = math.sqrt(2 / kernel.size) + math.sqrt(2 * 16 / x.size)
  assert abs(share - 1) < 5 * spread


@pytest.mark.parametrize('name', LAYERS)
def test_equalised_layers_are_the_plain_ones_of_scaled_weights(name):
  make, shape, fan_in = LAYERS[name]
  x = normal(0, 2, *shape[1:])
  layer, plain = (Apply(style, make) for style in (EQUALISED, Style()))
  variables = jax.jit(layer.init)(jax.random.key(0), x)
  variables = jax.tree.map(lambda p: p + 0.5, variables)
  expected = plain.apply(
    jax.tree.map(
      lambda p: p * (ROOT2 / math.sqrt(fan_in) if p.ndim > 1 else 1), variables
    ),
    x,
  )
  np.testing.assert_allclose(
    layer.apply(variables, x), expected, rtol=1e-4, atol=1e-4
  )


def test_equalised_embeddings_are_of_the_width_they_are_multiplied_with():
  layer = Apply(EQUALISED, lambda: nn.Embed(3, 16), (1.0,))
  labels = np.array([2, 0])
  variables = layer.init(jax.random.key(0), labels)
  table = variables['params']['Embed_0']['embedding']
  np.testing.assert_allclose(
    layer.apply(variables, labels), table[labels] / 4, rtol=1e-6
  )


def test_rates_of_equalised_layers():
  """Adam moves a bias by its rate, and a product's weight by gain / sqrt(n)."""
  layer, x = Apply(EQUALISED, lambda: nn.Dense(5)), normal(0, 64, 50)
  variables = layer.init(jax.random.key(0), x)
  adam = optax.adam(0.01, eps=0.0)

  def loss(variables):
    return jnp.sum(normal(1, 64, 5) * layer.apply(variables, x))

  def effective(variables):
    bias = layer.apply(variables, np.zeros((1, 50)))
    return np.float64(layer.apply(variables, np.eye(50)) - bias), bias

  updates, _ = adam.update(jax.grad(loss)(variables), adam.init(variables))
  before, after = (
    effective(variables),
    effective(optax.apply_updates(variables, updates)),
  )
  for one, other, step in zip(
    after, before, (0.01 * ROOT2 / math.sqrt(50), 0.01), strict=True
  ):
    np.testing.assert_allclose(np.abs(one - other), step, rtol=2e-3)


@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_the_gain_is_of_no_activation(activation):
  x = normal(0, 3, 4)
  style = Style(activation, weights='equalised')
  outputs = [
    Apply(s, lambda: nn.Dense(4)).init_with_output(jax.random.key(0), x)[1]
    for s in (style, EQUALISED)
  ]
  one, other = (
    Apply(s, lambda: nn.Dense(4)).apply(outputs[0], x)
    for s in (style, EQUALISED)
  )
  np.testing.assert_array_equal(one, other)


# --- Spectral.

SPECTRAL = Style(weights='spectral')


def iterate(layer, variables, x, times):
  """Variables after so many calls in training."""

  @jax.jit
  def call(variables):
    _, new = layer.apply(variables, x, train=True, mutable='batch_stats')
    return variables | new

  for _ in range(times):
    variables = call(variables)
  return variables


def sigma_of(variables):
  return float(
    next(
      leaf
      for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
      if path[-1].key.endswith('/sigma')
    )
  )


def test_one_iteration_is_exact_on_a_matrix_of_rank_one():
  layer, x = Apply(SPECTRAL, lambda: nn.Dense(7)), normal(0, 2, 5)
  variables = layer.init(jax.random.key(0), x)
  a, b = normal(1, 5), normal(2, 7)
  variables['params']['Dense_0']['kernel'] = np.outer(a, b)
  after = iterate(layer, variables, x, 1)
  np.testing.assert_allclose(
    sigma_of(after), np.linalg.norm(a) * np.linalg.norm(b), rtol=1e-6
  )


@pytest.mark.parametrize('kind', ['dense', 'conv', 'embed'])
def test_two_hundred_iterations_on_a_random_matrix(kind):
  """Sigma to 1e-5 of the matrix [rest, out]; what is used has sigma 1."""
  make, x, name = {
    'dense': (lambda: nn.Dense(12), np.eye(20, dtype=np.float32), 'Dense_0'),
    'conv': (lambda: layers.Conv(6, 3), normal(0, 2, 5, 5, 4), 'Conv_0'),
    'embed': (lambda: nn.Embed(9, 5), np.arange(9), 'Embed_0'),
  }[kind]
  layer = Apply(SPECTRAL, make)
  variables = layer.init(jax.random.key(0), x)
  [weights] = (k for k in variables['params'][name] if k != 'bias')
  table = variables['params'][name]
  table[weights] = kernel = normal(3, *table[weights].shape)
  variables = iterate(layer, variables, x, 200)
  matrix = np.float64(kernel).reshape(-1, kernel.shape[-1])
  largest = np.linalg.svd(matrix)[1][0]
  np.testing.assert_allclose(sigma_of(variables), largest, rtol=1e-5)
  used = layer.apply(variables, x)
  if kind != 'conv':  # the rows of the matrix, one by one
    np.testing.assert_allclose(np.linalg.svd(used)[1][0], 1.0, rtol=1e-5)
  else:
    plain = Apply(Style(), make).apply(
      {'params': {name: table | {weights: np.float32(kernel / largest)}}}, x
    )
    np.testing.assert_allclose(used, plain, rtol=1e-4, atol=1e-5)


def test_the_older_name_of_spectral_weights():
  assert Style(norm='spectral') == SPECTRAL
  shape = (8, 8, 1)
  old = make_pair('dcgan', shape, disc_norm='spectral')
  assert old == make_pair(
    'dcgan', shape, disc_norm='none', disc_weights='spectral'
  )
  assert (old.disc.style.norm, old.disc.style.weights) == ('none', 'spectral')


@pytest.mark.parametrize('name', ['mlp_bn', 'conv', 'dcgan', 'wgan_gp_resnet'])
def test_spectral_weights_and_batch_norm_in_one_generator(name):
  gen = make_pair(name, (8, 8, 1), gen_weights='spectral').gen
  variables = jax.eval_shape(
    lambda: gen.init(jax.random.key(0), jnp.zeros((2, 4)), {}, train=False)
  )
  names = [
    path[-1].key
    for path, _ in jax.tree_util.tree_leaves_with_path(variables['batch_stats'])
  ]
  kernels = [
    path
    for path, _ in jax.tree_util.tree_leaves_with_path(variables['params'])
    if path[-1].key == 'kernel'
  ]
  assert sum(name.endswith('/u') for name in names) == len(kernels)
  assert {'mean', 'var'} < set(names)


@pytest.mark.parametrize('weights', ['spectral', 'equalised'])
@pytest.mark.parametrize('player', ['gen', 'disc'])
def test_weights_add_no_parameter(player, weights):
  x = jnp.zeros((2, 4) if player == 'gen' else (2, 8, 8, 1))
  plain, other = (
    jax.eval_shape(
      lambda network=network: network.init(
        jax.random.key(0), x, {}, train=False
      )
    )['params']
    for network in (
      getattr(make_pair('wgan_gp_resnet', (8, 8, 1), **keys), player)
      for keys in ({}, {f'{player}_weights': weights})
    )
  )
  assert plain == other

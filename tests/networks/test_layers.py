"""Layers of our own beside flax's and plain formulas."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import layers, norms


def normal(seed, *shape):
  draws = np.random.default_rng(seed).normal(size=shape)
  return draws.astype(np.float32)


def gradients(function, *inputs):
  """Of a weighted sum of the outputs with respect to all inputs."""
  shape = jax.eval_shape(function, *inputs).shape
  weights = normal(9, *shape)
  argnums = tuple(range(len(inputs)))
  return jax.grad(lambda *x: jnp.sum(weights * function(*x)), argnums)(*inputs)


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('shape', [(8, 5), (6, 3, 4, 5)])
def test_batch_norm_is_flaxs(shape, train):
  x = 3.0 + 2.0 * normal(0, *shape)
  variables = {
    'params': {'scale': 1.0 + normal(1, 5), 'bias': normal(2, 5)},
    'batch_stats': {'mean': normal(3, 5), 'var': 1.0 + normal(4, 5) ** 2},
  }
  ours = norms.BatchNorm(0.8)
  theirs = nn.BatchNorm(
    momentum=0.8, use_running_average=not train, use_fast_variance=False
  )

  @jax.jit
  def our_apply(variables, x):
    return ours.apply(variables, x, train=train, mutable='batch_stats')

  @jax.jit
  def their_apply(variables, x):
    return theirs.apply(variables, x, mutable='batch_stats')

  for ours_is, theirs_is in zip(
    jax.tree.leaves(our_apply(variables, x)),
    jax.tree.leaves(their_apply(variables, x)),
    strict=True,
  ):
    np.testing.assert_allclose(ours_is, theirs_is, rtol=1e-5, atol=1e-6)

  weights = normal(9, *shape)

  def slopes(apply, by):
    def loss(params, x):
      y, _ = apply(variables | {'params': params}, x)
      return jnp.sum(weights * y**2)

    return jax.jit(jax.grad(loss, by))(variables['params'], x)

  for by in (0, 1):
    found, expected = slopes(our_apply, by), slopes(their_apply, by)
    for one, other in zip(
      jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
      np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5)


def normalised(x, slopes):
  """Batch norm's output, its gradient for `slopes`, both moments; float64."""
  x, slopes = np.float64(x), np.float64(slopes)
  axes = tuple(range(x.ndim - 1))
  mean, var = x.mean(axes), x.var(axes)
  y = (x - mean) / np.sqrt(var + 1e-5)
  through = slopes.mean(axes) + y * (slopes * y).mean(axes)
  return y, (slopes - through) / np.sqrt(var + 1e-5), mean, var


@pytest.mark.parametrize('num_devices', [1, 2])
@pytest.mark.parametrize('shape', [(64, 5), (16, 4, 4, 5)])
@pytest.mark.parametrize('mean', [0.0, 100.0, 1_000.0])
def test_batch_norm_is_right_far_from_zero(mean, shape, num_devices):
  """To a few roundings of its input, 6e-8 times the mean; its std is 1.

  The two shares differ in mean and spread: their variances are not averaged.
  """
  x = np.float32(mean + normal(0, *shape))
  x[: shape[0] // 2] += np.float32(2.0)
  x[0] = np.float32(mean - 7.0)  # moments are taken around it
  slopes = normal(1, *shape)
  axis_name = 'devices' if num_devices > 1 else None
  layer = norms.BatchNorm(0.0, axis_name)
  variables = layer.init(jax.random.key(0), x, train=True)

  def apply(x, slopes):
    def loss(x):
      y, state = layer.apply(variables, x, train=True, mutable='batch_stats')
      return jnp.sum(slopes * y), (y, state['batch_stats'])

    gradient, (y, stats) = jax.grad(loss, has_aux=True)(x)
    return y, gradient, stats['mean'], stats['var']

  if num_devices > 1:
    apply = jax.pmap(apply, 'devices', devices=jax.devices()[:num_devices])
    x, slopes = (z.reshape(num_devices, -1, *shape[1:]) for z in (x, slopes))
  y, gradient, *stats = map(np.asarray, apply(x, slopes))
  if num_devices > 1:
    np.testing.assert_array_equal(*stats[0])
    stats = [moment[0] for moment in stats]
  flat = (np.reshape(z, shape) for z in (y, gradient, *[x, slopes]))
  y, gradient, x, slopes = flat
  expected = normalised(x, slopes)
  bound = 2e-6 + 2.5e-7 * mean
  for found, right in zip((y, gradient, *stats), expected, strict=True):
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=bound)


def test_second_derivatives_of_batch_norm_are_those_of_the_plain_formula():
  """A penalty differentiates the gradient; the origin has a part in neither."""
  x, slopes = 3.0 + normal(0, 6, 2, 2, 3), normal(1, 6, 2, 2, 3)
  layer = norms.BatchNorm(0.0)
  variables = layer.init(jax.random.key(0), x, train=True)

  def ours(x):
    return layer.apply(variables, x, train=True, mutable='batch_stats')[0]

  def plain(x):
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / jnp.sqrt(var + 1e-5)

  def penalty(norm):
    def squared(x):
      return jnp.sum(jax.grad(lambda x: jnp.sum(slopes * norm(x) ** 2))(x) ** 2)

    return jax.jit(jax.grad(squared))(x)

  np.testing.assert_allclose(
    penalty(ours), penalty(plain), rtol=2e-4, atol=1e-4
  )


@pytest.mark.parametrize('norm', ['layer', 'virtual'])
@pytest.mark.parametrize('mean', [0.0, 100.0, 1_000.0])
def test_other_norms_are_right_far_from_zero(mean, norm):
  x = np.float32(mean + normal(0, 9, 4, 4, 3))
  size, wide = 8, np.float64(x)
  if norm == 'layer':
    layer = layers.Style(norm='layer')
    expected = wide - wide.mean((1, 2, 3), keepdims=True)
    expected /= np.sqrt(wide.var((1, 2, 3), keepdims=True) + 1e-6)
  else:
    layer = layers.Style(norm='virtual', reference_size=size)
    expected = np.stack(
      [
        (one - with_it.mean((0, 1, 2))) / np.sqrt(with_it.var((0, 1, 2)) + 1e-5)
        for i, one in enumerate(wide)
        for with_it in [wide[:size] if i < size else wide]
      ]
    )

  class Normalise(nn.Module):
    @nn.compact
    def __call__(self, x):
      return layer.normalise(x, train=True)

  found, _ = Normalise().init_with_output(jax.random.key(0), x)
  np.testing.assert_allclose(found, expected, atol=3e-6 + 2.5e-7 * mean)


def test_batch_norm_starts_as_flaxs_and_keeps_its_statistics_then():
  x = normal(0, 8, 5)
  ours = norms.BatchNorm(0.9).init(jax.random.key(0), x, train=True)
  theirs = nn.BatchNorm(use_running_average=False).init(jax.random.key(0), x)
  assert jax.tree.structure(ours) == jax.tree.structure(theirs)
  for one, other in zip(
    jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True
  ):
    np.testing.assert_array_equal(one, other)


def test_batch_norm_computes_in_float32_and_answers_in_kind():
  x = (1000.0 + normal(0, 256, 3)).astype(jnp.bfloat16)
  layer = norms.BatchNorm(0.0)
  variables = layer.init(jax.random.key(0), x, train=True)
  y, state = layer.apply(variables, x, train=True, mutable='batch_stats')
  assert y.dtype == jnp.bfloat16
  mean = state['batch_stats']['mean']
  assert mean.dtype == jnp.float32
  np.testing.assert_allclose(mean, np.float64(x).mean(0), rtol=1e-6)


@pytest.mark.parametrize('shape', [(2, 4, 6, 3), (4, 2, 1)])
def test_pooling_and_upsampling(shape):
  x = normal(0, *shape)
  *batch, h, w, c = shape
  blocks = x.reshape(*batch, h // 2, 2, w // 2, 2, c)
  np.testing.assert_allclose(
    layers.mean_pool(x), blocks.mean((-4, -2)), rtol=1e-5, atol=1e-6
  )
  large = np.repeat(np.repeat(x, 2, axis=-3), 2, axis=-2)
  np.testing.assert_array_equal(layers.upsample(x), large)


@pytest.mark.parametrize('function', [layers.mean_pool, layers.upsample])
def test_gradients_of_pooling_to_second_order(function):
  """Against the same maps as matrices, which differentiate by themselves."""
  x = normal(0, 2, 4, 4, 3)
  flat = np.eye(x.size, dtype=np.float32).reshape(x.size, *x.shape)
  matrix = np.stack([np.ravel(function(basis)) for basis in flat], axis=1)

  def plain(x):
    return (matrix @ x.ravel()).reshape(function(x).shape)

  def penalty(f):
    def norm(x):
      (slope,) = gradients(lambda x: f(x) ** 2, x)
      return jnp.sum(slope**2)

    return jax.grad(norm)

  np.testing.assert_allclose(
    gradients(function, x)[0], gradients(plain, x)[0], rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(
    penalty(function)(x), penalty(plain)(x), rtol=1e-4, atol=1e-5
  )

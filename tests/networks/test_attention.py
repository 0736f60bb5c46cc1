"""Self-attention: closed forms, and what it may not depend on."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks.attention import SelfAttention, check_sizes
from gan_jax.networks.layers import Style
from gan_jax.types import InputError

CHANNELS = 16


def attention(gamma=0.7, weights='none'):
  """The layer, its variables with another gamma, and an input."""
  layer = SelfAttention(
    Style(weights=weights), nn.initializers.glorot_uniform()
  )
  rng = np.random.default_rng(0)
  x = rng.normal(size=(3, 6, 4, CHANNELS)).astype(np.float32)
  variables = jax.jit(lambda: layer.init(jax.random.key(0), x, train=False))()
  assert variables['params']['gamma'] == 0.0
  variables['params']['gamma'] = jnp.float32(gamma)
  return layer, variables, x


def apply(layer, variables, x):
  y, state = jax.jit(
    lambda variables, x: layer.apply(
      variables, x, train=False, mutable='intermediates'
    )
  )(variables, x)
  return y, state['intermediates']['attention'][0]


def test_without_gamma_it_is_the_identity():
  layer, variables, x = attention(0.0)
  y, _ = apply(layer, variables, x)
  np.testing.assert_array_equal(y, x)


def test_gamma_learns_where_it_starts():
  layer, variables, x = attention(0.0)
  grads = jax.jit(
    jax.grad(lambda p: (layer.apply({'params': p}, x, train=False) ** 2).sum())
  )(variables['params'])
  assert abs(grads['gamma']) > 1e-3


def test_in_bfloat16_scores_and_their_softmax_are_float32():
  layer, variables, x = attention()
  layer = SelfAttention(Style(dtype=jnp.bfloat16), layer.kernel_init)
  y, weights = apply(layer, variables, x.astype(jnp.bfloat16))
  assert (y.dtype, weights.dtype) == (jnp.bfloat16, jnp.float32)
  np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)


def test_against_numpy():
  """Queries of all pixels, keys and values of 2x2 maxima, in float64."""
  layer, variables, x = attention()
  y, weights = apply(layer, variables, x)
  kernels = [
    np.float64(variables['params'][f'Conv_{i}']['kernel'])[0, 0]
    for i in range(4)
  ]
  assert [k.shape for k in kernels] == [(16, 2), (16, 2), (16, 8), (8, 16)]
  x = np.float64(x)

  def pooled(maps):
    b, h, w, c = maps.shape
    return maps.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))

  theta = (x @ kernels[0]).reshape(3, 24, -1)
  phi, g = (pooled(x @ k).reshape(3, 6, -1) for k in kernels[1:3])
  scores = np.exp(theta @ phi.transpose(0, 2, 1))
  shares = scores / scores.sum(-1, keepdims=True)
  o = (shares @ g).reshape(3, 6, 4, 8) @ kernels[3]
  np.testing.assert_allclose(weights, shares, rtol=1e-5)
  np.testing.assert_allclose(y, x + 0.7 * o, rtol=1e-5, atol=1e-6)


def test_rows_sum_to_one():
  weights = apply(*attention())[1]
  assert weights.shape == (3, 24, 6)
  np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)


def test_a_constant_input_gives_a_constant_output():
  layer, variables, x = attention()
  y, _ = apply(layer, variables, np.broadcast_to(x[:, :1, :1], x.shape))
  np.testing.assert_allclose(
    y, np.broadcast_to(y[:, :1, :1], y.shape), rtol=1e-5, atol=1e-6
  )


def test_pixels_have_no_place():
  """Moving 2x2 cells, whose maxima are the keys, moves the output with them."""
  layer, variables, x = attention()

  def cells(maps):
    b, h, w, c = maps.shape
    split = maps.reshape(b, h // 2, 2, w // 2, 2, c).swapaxes(2, 3)
    return split.reshape(b, -1, 2, 2, c)

  def whole(parts):
    b, c = parts.shape[0], parts.shape[-1]
    return parts.reshape(b, 3, 2, 2, 2, c).swapaxes(2, 3).reshape(b, 6, 4, c)

  order = np.random.default_rng(1).permutation(6)
  moved = whole(cells(x)[:, order])
  y, _ = apply(layer, variables, x)
  other, _ = apply(layer, variables, moved)
  np.testing.assert_allclose(
    other, whole(cells(np.asarray(y))[:, order]), rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize('weights', ['none', 'spectral'])
def test_size_and_weights(weights):
  _, variables, _ = attention(weights=weights)
  sizes = [math.prod(x.shape) for x in jax.tree.leaves(variables['params'])]
  assert sum(sizes) == 1.25 * CHANNELS**2 + 1
  stats = jax.tree.leaves(variables.get('batch_stats', {}))
  assert len(stats) == (8 if weights == 'spectral' else 0)  # u and sigma


def test_sizes_that_are_not_there_are_listed():
  maps = {8: (16, 8), 16: (32, 12)}
  assert check_sizes([8], maps) == (8,)
  with pytest.raises(InputError, match=r'network.attention: .*7 .*from 8, 16'):
    check_sizes((7,), maps)
  with pytest.raises(InputError, match=r'network.attention: .*16 pixels .*12'):
    check_sizes((16,), maps)

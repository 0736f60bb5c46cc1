"""Filters that double and halve maps, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks.layers import mean_pool, upsample
from gan_jax.networks.resampling import (
  BINOMIAL,
  CUBIC,
  blur,
  double,
  enlarged,
  filtered,
  halve,
  reduced,
)


def normal(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_doubling_mixes_neighbours_by_a_quarter():
  """The phases of (1, 3, 3, 1): (.25, .75) and (.75, .25)."""
  x = normal(1, 6, 1, 1)
  x = np.broadcast_to(x, (1, 6, 6, 1))
  found = np.asarray(double(x, BINOMIAL))[0, :, 5, 0]
  padded = np.pad(x[0, :, 0, 0], 1)
  even = 0.25 * padded[:-2] + 0.75 * padded[1:-1]
  odd = 0.75 * padded[1:-1] + 0.25 * padded[2:]
  np.testing.assert_allclose(found, np.stack([even, odd], 1).ravel(), rtol=1e-5)


def test_doubling_and_halving_are_filters_between_zeros():
  """As the authors' code has them: zeros between, then (1, 3, 3, 1)."""
  x = normal(2, 8, 6, 3)
  between = np.zeros((2, 16, 12, 3), np.float32)
  between[:, ::2, ::2] = x
  expected = 4.0 * np.asarray(filtered(between, CUBIC, (2, 1)))
  np.testing.assert_allclose(
    double(x, BINOMIAL), expected, rtol=1e-5, atol=1e-6
  )
  expected = np.asarray(filtered(x, CUBIC, (1, 1)))[:, ::2, ::2]
  expected = np.asarray(filtered(x, CUBIC, (1, 2)))[:, ::2, ::2]
  np.testing.assert_allclose(halve(x, BINOMIAL), expected, rtol=1e-5, atol=1e-6)


def test_a_constant_keeps_its_value_away_from_the_border():
  ones = np.ones((1, 8, 8, 2), np.float32)
  for found in (
    blur(ones, BINOMIAL),
    double(ones, BINOMIAL),
    halve(ones, BINOMIAL),
  ):
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], 1.0, rtol=1e-6)
    assert (np.asarray(found)[:, 0] < 1.0).all()


def test_a_ramp_comes_back():
  ramp = np.broadcast_to(np.arange(12.0)[:, None], (1, 12, 12, 1)).copy()
  ramp = ramp.reshape(1, 12, 12, 1).astype(np.float32)
  back = halve(double(ramp, BINOMIAL), BINOMIAL)
  np.testing.assert_allclose(
    back[:, 2:-2, 2:-2], ramp[:, 2:-2, 2:-2], rtol=1e-5
  )


def test_one_tap_is_neighbours_and_means():
  x = normal(2, 4, 4, 3)
  np.testing.assert_array_equal(double(x), upsample(x))
  np.testing.assert_array_equal(halve(x), mean_pool(x))


def test_means_undo_repetition():
  x = normal(2, 4, 4, 3)
  large = enlarged(x, 32)
  assert large.shape == (2, 32, 32, 3)
  np.testing.assert_allclose(reduced(large, 4), x, rtol=1e-5)
  np.testing.assert_array_equal(enlarged(x, 4), x)


@pytest.mark.parametrize('function', [double, halve], ids=['double', 'halve'])
def test_second_derivatives_inside_scan(function):
  """Of a cubic of the output, against what a matrix of it gives."""
  x = normal(1, 4, 4, 1)
  matrix = jax.jacobian(lambda x: function(x, BINOMIAL).ravel())(x)
  matrix = np.asarray(matrix).reshape(-1, 16)

  def slope_norm(x):
    def loss(x):
      def body(total, _):
        return total + (function(x, BINOMIAL) ** 3).sum(), None

      return jax.lax.scan(body, 0.0, length=2)[0]

    return (jax.grad(loss)(x) ** 2).sum()

  y = matrix @ x.ravel()
  slope = 2 * matrix.T @ (3 * y**2)
  expected = 2 * (matrix.T @ (2 * 6 * y * (matrix @ slope)))
  found = jax.jit(jax.grad(slope_norm))(jnp.asarray(x))
  np.testing.assert_allclose(found.ravel(), expected, rtol=1e-3, atol=1e-4)

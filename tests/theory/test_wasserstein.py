"""The 1-D Wasserstein distance and its critic against SciPy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from gan_jax.losses import make_loss
from gan_jax.theory.divergences import wasserstein_1d, wasserstein_1d_of_samples
from gan_jax.theory.value import expected_loss, optimal_critic_1d
from gan_jax.types import InputError
from tests.densities import (
  POSITIONS,
  SIZE,
  TIGHT,
  P,
  Q,
  assert_slopes,
  densities,
  gaussian,
  in_float64,
  many,
  pairs,
)

distance = jax.jit(wasserstein_1d)
critic_of = jax.jit(optimal_critic_1d)
WIDTHS = np.diff(POSITIONS)


@many
@given(pairs(zeros=True))
@in_float64
def test_distance(pair):
  p, q = pair
  exact = wasserstein_distance(POSITIONS, POSITIONS, p, q)
  for one, other in ((p, q), (q, p)):
    np.testing.assert_allclose(distance(one, other, POSITIONS), exact, **TIGHT)


class AgainstSciPy(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_batches_and_dx(self):
    grid = np.arange(SIZE) * 0.25
    p, q = np.stack([[P], [P[::-1]]]), np.stack([[Q], [np.roll(Q, 3)]])
    found = self.variant(lambda p, q: wasserstein_1d(p, q, grid, 0.25))(
      np.float32(p / 0.25), np.float32(q / 0.25)
    )
    assert found.shape == (2, 1)
    for one, other, value in zip(p, q, found, strict=True):
      exact = wasserstein_distance(grid, grid, one[0], other[0])
      np.testing.assert_allclose(value, [exact], rtol=1e-5)

  @chex.variants(with_jit=True, without_jit=True)
  def test_samples_of_unequal_sizes(self):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=300), rng.normal(0.5, 2, size=200)
    found = self.variant(wasserstein_1d_of_samples)(
      np.float32(x), np.float32(y)
    )
    exact = wasserstein_distance(x, y)
    np.testing.assert_allclose(found, exact, rtol=1e-5)


positions = st.integers(-20, 20).map(lambda n: n / 4)


@many
@given(
  st.lists(positions, min_size=5, max_size=5).map(np.array),
  st.lists(positions, min_size=8, max_size=8).map(np.array),
)
@in_float64
def test_samples_with_ties(x, y):
  found = distance_of_samples(x, y)
  np.testing.assert_allclose(found, wasserstein_distance(x, y), **TIGHT)


distance_of_samples = jax.jit(wasserstein_1d_of_samples)


@pytest.mark.parametrize('shift', [-0.75, 0.0, 2.0])
@in_float64
def test_gaussians_of_equal_variance(shift):
  """|mu1 - mu2|, up to the cells' width squared and the cut tails."""
  grid = np.linspace(-12, 12, 2401)
  dx = grid[1] - grid[0]
  p, q = gaussian(grid, 0.5, 1.3), gaussian(grid, 0.5 + shift, 1.3)
  found = wasserstein_1d(p, q, grid, dx)
  np.testing.assert_allclose(found, abs(shift), rtol=1e-6)
  if shift:
    slopes = np.diff(optimal_critic_1d(p, q, grid, dx)) / dx
    # Not in the tails, where both distribution functions round to one.
    inside = abs(grid[1:]) < 5
    np.testing.assert_allclose(slopes[inside], -np.sign(shift), rtol=1e-9)


@many
@given(pairs(zeros=True))
@in_float64
def test_optimal_critic_is_1_lipschitz_and_attains_the_distance(pair):
  p, q = pair
  critic = critic_of(p, q, POSITIONS)
  assert critic[0] == 0
  assert np.all(np.abs(np.diff(critic)) <= WIDTHS * (1 + 1e-12))
  exact = wasserstein_distance(POSITIONS, POSITIONS, p, q)
  np.testing.assert_allclose(-disc_loss(critic, p, q), exact, **TIGHT)


@many
@given(pairs(zeros=True), st.lists(st.integers(-9, 9), min_size=7, max_size=7))
@in_float64
def test_no_1_lipschitz_critic_beats_it(pair, ninths):
  steps = np.array(ninths) / 9 * WIDTHS
  critic = np.concatenate([[0.5], 0.5 + np.cumsum(steps)])
  bound = -disc_loss(critic, *pair)
  assert bound <= distance(*pair, POSITIONS) * (1 + 1e-9) + 1e-14


@jax.jit
def disc_loss(critic, p, q):
  loss = make_loss('wasserstein')
  real = expected_loss(loss.disc_real, critic, p)
  return real + expected_loss(loss.disc_fake, critic, q)


def test_critic_in_a_batch_of_densities_on_cells():
  p, q = np.stack([P, Q]) / 0.5, np.stack([Q, P]) / 0.5
  grid = np.arange(SIZE) * 0.5
  critics = optimal_critic_1d(p, q, grid, 0.5)
  assert critics.shape == (2, SIZE)
  np.testing.assert_allclose(critics[0], -critics[1], rtol=1e-6)
  np.testing.assert_allclose(
    critics[0], optimal_critic_1d(p[0], q[0], grid, 0.5), rtol=1e-6
  )


@many
@given(*[densities(zeros=True)] * 3)
@in_float64
def test_triangle_inequality(a, b, c):
  sides = distance(a, b, POSITIONS) + distance(b, c, POSITIONS)
  assert distance(a, c, POSITIONS) <= sides * (1 + 1e-12)


@in_float64
def test_gradients():
  q = np.roll(Q, 2)  # With P, no difference of sums is on the kink at 0.
  assert_slopes(lambda p: wasserstein_1d(p, q, POSITIONS), P)
  assert_slopes(lambda q: wasserstein_1d(P, q, POSITIONS), q)
  assert_slopes(lambda x: wasserstein_1d(P, q, x), POSITIONS)
  assert_slopes(lambda x: wasserstein_1d_of_samples(x, POSITIONS[:5]), P * 9)


def test_bad_input():
  with pytest.raises(InputError, match=r'positions: shape \(7,\) .* 8 cells'):
    wasserstein_1d(P, Q, POSITIONS[:-1])
  with pytest.raises(InputError, match=r'positions: shape \(8, 1\)'):
    jax.jit(wasserstein_1d)(P, Q, POSITIONS[:, None])
  with pytest.raises(InputError, match=r'^q: .*negative'):
    wasserstein_1d(P, Q - 0.1, POSITIONS)
  with pytest.raises(InputError, match=r'length: p'):
    wasserstein_1d(P, Q[1:], POSITIONS)
  jax.jit(wasserstein_1d)(P, Q - 0.1, POSITIONS)
  assert jnp.shape(distance(P, Q, POSITIONS)) == ()

"""Goodfellow's propositions, and what each loss measures at its optimum."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr, xlog1py, xlogy

from gan_jax.losses import make_loss
from gan_jax.theory.value import (
  optimal_discriminator,
  training_criterion,
  value,
  value_of_samples,
)
from gan_jax.types import InputError
from tests.densities import (
  SIZE,
  TIGHT,
  P,
  Q,
  assert_slopes,
  cell_numbers,
  density_of,
  gaussian,
  in_float64,
  many,
  pairs,
)

LOG4 = np.log(4)
discs = st.lists(st.integers(1, 99), min_size=SIZE, max_size=SIZE).map(
  lambda percents: np.array(percents) / 100
)
value_ = jax.jit(value)
criterion = jax.jit(training_criterion)
best_disc = jax.jit(optimal_discriminator)


def jsd(p, q):
  middle = (p + q) / 2
  return (rel_entr(p, middle) + rel_entr(q, middle)).sum(-1) / 2


# --- V, D* and C ------------------------------------------------------------


class AgainstNumPy(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_batches_and_dx(self):
    p, q = np.stack([[P, Q], [Q, P]]), np.stack([[Q, P], [P, P[::-1]]])
    disc = np.linspace(0.05, 0.9, SIZE)
    p32, q32 = np.float32(p / 0.25), np.float32(q / 0.25)
    v = self.variant(lambda p, q: value(disc, p, q, 0.25))(p32, q32)
    exact = (p * np.log(disc) + q * np.log(1 - disc)).sum(-1)
    np.testing.assert_allclose(v, exact, rtol=1e-5)
    c = self.variant(lambda p, q: training_criterion(p, q, 0.25))(p32, q32)
    np.testing.assert_allclose(c, 2 * jsd(p, q) - LOG4, rtol=1e-5)
    best = self.variant(optimal_discriminator)(p32, q32)
    np.testing.assert_allclose(best, p / (p + q), rtol=1e-5)


@many
@given(
  pairs(zeros=True), discs, st.lists(st.booleans(), min_size=8, max_size=8)
)
@in_float64
def test_value(pair, disc, certain):
  """Also where D is 0 or 1: minus infinity where that is wrong."""
  p, q = pair
  disc = np.where(certain, np.round(disc), disc)
  exact = (xlogy(p, disc) + xlog1py(q, -disc)).sum()
  np.testing.assert_allclose(value_(disc, p, q), exact, **TIGHT)
  np.testing.assert_allclose(value_(disc, p / 2, q / 2, 2.0), exact, **TIGHT)


def test_value_of_a_wrong_certainty():
  assert value(np.array([1.0, 0.0]), np.eye(2)[0], np.eye(2)[1]) == 0
  assert value(np.array([0.0, 1.0]), np.eye(2)[0], np.eye(2)[1]) == -np.inf


@many
@given(cell_numbers(16), cell_numbers(12), discs)
@in_float64
def test_value_of_samples_that_are_the_densities(x, y, disc):
  exact = value_(disc, density_of(x), density_of(y))
  found = estimate(disc[x], disc[y])
  np.testing.assert_allclose(found, exact, **TIGHT)


estimate = jax.jit(value_of_samples)


def test_value_of_samples_of_two_gaussians():
  """Within 4 standard errors, about 1 % of the value."""
  grid = np.linspace(-10, 10, 2001)
  p, q = gaussian(grid, 0, 1), gaussian(grid, 1, 1.5)
  exact = training_criterion(p, q, grid[1] - grid[0])
  x, y = np.random.default_rng(0).normal(size=(2, 20_000))
  y = 1 + 1.5 * y
  real, fake = (
    optimal_discriminator(gaussian(z, 0, 1), gaussian(z, 1, 1.5))
    for z in (x, y)
  )
  variance = np.var(np.log(real)) + np.var(np.log1p(-fake))
  standard_error = np.sqrt(variance / 20_000)
  assert standard_error < 0.01 * abs(exact)
  assert abs(value_of_samples(real, fake) - exact) < 4 * standard_error


@many
@given(pairs(zeros=True), st.integers(1, 50))
@in_float64
def test_optimal_discriminator(pair, factor):
  p, q = pair
  best = best_disc(p, q)
  total = np.where(p + q > 0, p + q, 1.0)
  np.testing.assert_allclose(
    best, np.where(p + q > 0, p / total, 0.5), rtol=1e-12
  )
  np.testing.assert_allclose(best_disc(factor * p, factor * q), best, **TIGHT)
  np.testing.assert_allclose(best + best_disc(q, p), 1.0, rtol=1e-12)


@many
@given(pairs(zeros=True), discs)
@in_float64
def test_no_discriminator_beats_the_optimal_one(pair, disc):
  p, q = pair
  best = best_disc(p, q)
  highest = value_(best, p, q)
  there = (p + q > 0) & (np.abs(best - disc) > 1e-12)
  for nearer in (disc, 0.99 * best + 0.01 * disc):
    assert (value_(nearer, p, q) < highest) == bool(there.any())


@many
@given(pairs(zeros=True))
@in_float64
def test_criterion_is_the_jsd_and_least_for_equal_densities_alone(pair):
  c, exact = criterion(*pair), 2 * jsd(*pair) - LOG4
  np.testing.assert_allclose(c, exact, rtol=1e-6, atol=1e-14)
  if np.array_equal(*pair):
    np.testing.assert_allclose(c, -LOG4, rtol=1e-15)
  else:
    assert -LOG4 + 1e-10 < c <= 0


def test_criterion_of_disjoint_supports():
  assert training_criterion(np.eye(SIZE)[0], np.eye(SIZE)[1]) == 0


@in_float64
def test_gradients():
  disc = np.linspace(0.05, 0.9, SIZE)
  assert_slopes(lambda d: value(d, P, Q), disc)
  assert_slopes(lambda p: value(disc, p, Q), P)
  assert_slopes(lambda q: value(disc, P, q), Q)
  assert_slopes(lambda p: training_criterion(p / 2, Q / 2, 2.0), P)
  assert_slopes(lambda q: training_criterion(P, q), Q)
  assert_slopes(lambda p: optimal_discriminator(p, Q).sum(), P)
  assert_slopes(lambda q: optimal_discriminator(P, q).sum(), Q)


def test_criterion_has_no_undefined_gradient_at_zeros():
  p, q = np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.0, 0.5])
  for argument in (0, 1):
    assert not np.isnan(jax.grad(training_criterion, argument)(p, q)).any()


def test_optimal_discriminator_has_finite_gradients_at_zeros():
  p, q = np.array([0.0, 0.0, 0.5, 0.5]), np.array([0.0, 0.5, 0.0, 0.5])
  for argument in (0, 1):
    slopes = jax.grad(lambda p, q: optimal_discriminator(p, q).sum(), argument)
    assert np.isfinite(slopes(p, q)).all()


# --- Training ----------------------------------------------------------------


def test_a_trained_discriminator_approaches_the_optimal_one():
  """Logistic regression on 1, x, x^2, which hold the true log ratio.

  Of the maximum likelihood, the inverse of the Fisher information is the
  covariance, which gives D a standard error at each x: within 4 of them.
  """
  of_p, of_q = (-0.5, 1.0), (1.0, 1.5)
  x, y = np.random.default_rng(0).normal(size=(2, 20_000))
  x, y = of_p[0] + of_p[1] * x, of_q[0] + of_q[1] * y

  def features(x):
    return jnp.stack([jnp.ones_like(x), x, x**2], axis=-1)

  real, fake = features(jnp.asarray(x)), features(jnp.asarray(y))
  loss = make_loss('non_saturating')

  def objective(w):
    return loss.disc_real(real @ w) + loss.disc_fake(fake @ w)

  optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 400))

  def step(carry, _):
    w, state = carry
    updates, state = optimizer.update(jax.grad(objective)(w), state)
    return (optax.apply_updates(w, updates), state), None

  start = jnp.zeros(3)
  (w, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=400)
  assert np.abs(jax.grad(objective)(w)).max() < 1e-4

  grid = features(jnp.linspace(-2, 2, 101))
  found = jax.nn.sigmoid(grid @ w)
  exact = optimal_discriminator(
    gaussian(grid[:, 1], *of_p), gaussian(grid[:, 1], *of_q)
  )
  both = np.concatenate([real, fake])
  slope = jax.nn.sigmoid(both @ w) * jax.nn.sigmoid(-both @ w)
  covariance = np.linalg.inv((both * slope[:, None]).T @ both)
  of_logit = np.sqrt(np.einsum('ni,ij,nj->n', grid, covariance, grid))
  standard_error = of_logit * found * (1 - found)
  assert standard_error.max() < 0.006
  assert np.all(np.abs(found - exact) < 4 * standard_error)


# --- Bad input --------------------------------------------------------------


def test_bad_input():
  for bad, message in ((P - 0.1, 'negative'), (P / 2, 'sums to 0.5')):
    with pytest.raises(InputError, match=f'^p: .*{message}'):
      value(P, bad, Q)
    with pytest.raises(InputError, match=f'^q: .*{message}'):
      training_criterion(P, bad)
    value_(P, bad, Q)
  with pytest.raises(InputError, match=r'length: disc \(7,\), p \(8,\)'):
    value(P[:-1], P, Q)
  with pytest.raises(InputError, match=r'length: p \(8,\), q \(7,\)'):
    value_(P, P, Q[:-1])

"""f-divergences against Table 2 of f-GAN and against convex duality."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import wrightomega

from gan_jax.theory.divergences import f_gan_divergence
from gan_jax.theory.f_divergences import (
  F_DIVERGENCES,
  log_lambert_w_of_exp,
  quotient,
  relative_entropy,
)
from tests.densities import (
  TIGHT,
  P,
  Q,
  assert_slopes,
  in_float64,
  many,
  pairs,
)
from tests.table2 import TABLE_2

NAMES = sorted(F_DIVERGENCES)
INF = np.inf
# No sum, root or value of a function below is near 0 but for an exact one.
OUTPUTS = np.array([-9.0, -3.0, -1.5, -0.5, 0.0, 0.25, 1.25, 2.0, 8.0])
RATIOS = np.array([0.01, 0.2, 0.5, 0.8, 1.25, 2.0, 7.0, 90.0])
log_ratios = st.integers(-500, 500).map(lambda n: n / 100)
outputs = st.lists(
  st.integers(-1000, 1000).map(lambda n: n / 100), min_size=8, max_size=8
).map(np.array)


def parts(name):
  """The elementwise functions of one row, on a vector."""
  row = F_DIVERGENCES[name]
  return {
    'activation': row.activation,
    'conjugate': row.conjugate,
    'conjugate_of_output': row.conjugate_of_output,
    'optimal_output': row.optimal_output,
    'f': lambda u: row.integrand(u, jnp.ones_like(u)),
  }


COMPILED = {
  name: {part: jax.jit(function) for part, function in parts(name).items()}
  for name in NAMES
}


def test_every_row_of_the_table():
  assert set(F_DIVERGENCES) == set(TABLE_2)


class AgainstTable2(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*NAMES)
  def test_formula(self, name):
    functions, table = parts(name), TABLE_2[name]._asdict()
    table['conjugate_of_output'] = table['composed']
    arguments = {'f': RATIOS, 'conjugate': table['slope'](RATIOS)}
    arguments = {
      part: np.float32(arguments.get(part, OUTPUTS))
      for part in ('f', 'activation', 'conjugate', 'conjugate_of_output')
    }
    found = self.variant(
      lambda arguments: {k: functions[k](x) for k, x in arguments.items()}
    )(arguments)
    for part, x in arguments.items():
      exact = table[part](np.float64(x))
      np.testing.assert_allclose(found[part], exact, rtol=1e-5, atol=1e-6)

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*NAMES)
  def test_boundary_is_the_slope_at_1(self, name):
    row, expected = F_DIVERGENCES[name], TABLE_2[name].slope_at_1
    for output in (row.boundary, row.optimal_output(jnp.float32(0))):
      found = self.variant(row.activation)(jnp.float32(output))
      np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert row.boundary == row.optimal_output(0.0)


@pytest.mark.parametrize('name', NAMES)
@in_float64
def test_the_two_ways_to_the_conjugate_agree(name):
  row, table = F_DIVERGENCES[name], TABLE_2[name]
  v = np.linspace(-15.0, 15.0, 61)
  # Rounding of T, next to the end of its domain, is 1e-16 / e^-15.
  tolerance = dict(rtol=1e-8, atol=1e-12)
  composed = row.conjugate_of_output(v)
  np.testing.assert_allclose(
    row.conjugate(row.activation(v)), composed, **tolerance
  )
  np.testing.assert_allclose(table.composed(v), composed, **tolerance)
  np.testing.assert_allclose(
    table.conjugate(table.activation(v)), composed, **tolerance
  )


@pytest.mark.parametrize('name', NAMES)
@in_float64
def test_activation_rises_onto_the_domain(name):
  row, end = F_DIVERGENCES[name], TABLE_2[name].domain_end
  v = np.linspace(-30.0, 30.0, 601)
  critic = np.asarray(row.activation(v))
  assert np.all(np.diff(critic) > 0)
  assert np.all(critic < end)
  assert critic[0] < -29
  if np.isfinite(end):
    np.testing.assert_allclose(end - critic[-1], 0, atol=1e-12)
  else:
    assert critic[-1] > 29
  assert np.isfinite(row.conjugate_of_output(v)).all()
  assert np.all(np.diff(row.conjugate_of_output(v)) > 0) or name == 'pearson'


@many
@given(log_ratios)
@in_float64
def test_duality(log_ratio):
  """f* is the supremum of ut - f(u), found at the u with f'(u) = t.

  For all rows at once: v is the optimal output at u = e^l, T = g_f(v).
  """
  u = np.exp(log_ratio)
  for name, row in COMPILED.items():
    table = TABLE_2[name]
    v = row['optimal_output'](log_ratio)
    t = float(row['activation'](v))
    np.testing.assert_allclose(t, table.slope(u), rtol=1e-9, atol=1e-12)
    numeric = minimize_scalar(
      lambda s, t=t, f=table.f: f(np.exp(s)) - t * np.exp(s),
      bounds=(-7, 7),
      method='bounded',
      options={'xatol': 1e-9},
    )
    np.testing.assert_allclose(numeric.x, log_ratio, atol=1e-4)
    for conjugate in (row['conjugate'](t), row['conjugate_of_output'](v)):
      np.testing.assert_allclose(conjugate, -numeric.fun, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize('name', NAMES)
@in_float64
def test_slopes(name):
  """f'(u) is the optimal critic, and f*'(f'(u)) = u."""
  compiled = COMPILED[name]
  u = np.exp(np.linspace(-5, 5, 41))
  critic = compiled['activation'](compiled['optimal_output'](np.log(u)))
  slope = jax.jit(jax.vmap(jax.grad(compiled['f'])))(u)
  np.testing.assert_allclose(slope, critic, rtol=1e-8, atol=1e-12)
  inverse = jax.jit(jax.vmap(jax.grad(compiled['conjugate'])))(critic)
  np.testing.assert_allclose(inverse, u, rtol=1e-8)


@pytest.mark.parametrize('name', ['js', 'gan'])
@in_float64
def test_gradient_of_those_that_are_no_divergences_of_ours(name):
  integrand = F_DIVERGENCES[name].integrand
  assert_slopes(lambda p: integrand(p, Q).sum(), P)
  assert_slopes(lambda q: integrand(P, q).sum(), Q)


# --- The variational bound --------------------------------------------------


def bounds(p, q, critics):
  """E_p T - E_q f*(T) of every row, at its critic's raw output `[N]`."""

  def expectation(density, values):
    # A cell of no mass counts nothing, infinite as T may be there.
    here = density > 0
    return jnp.where(here, density * jnp.where(here, values, 0.0), 0.0).sum()

  return {
    name: expectation(p, row.activation(critics[name]))
    - expectation(q, row.conjugate_of_output(critics[name]))
    for name, row in F_DIVERGENCES.items()
  }


bounds = jax.jit(bounds)


@jax.jit
def all_divergences(p, q):
  return {name: f_gan_divergence(name, p, q) for name in NAMES}


@many
@given(pairs(zeros=True), outputs)
@in_float64
def test_no_critic_beats_the_divergence(pair, critic):
  best = all_divergences(*pair)
  for name, bound in bounds(*pair, dict.fromkeys(NAMES, critic)).items():
    assert bound <= best[name] + 1e-9 * abs(best[name]) + 1e-14, name


@many
@given(pairs(), outputs)
@in_float64
def test_the_optimal_critic_attains_it_and_no_other(pair, direction):
  p, q = pair
  optimal = {
    name: row.optimal_output(np.log(p / q))
    for name, row in F_DIVERGENCES.items()
  }
  best = all_divergences(p, q)
  found = bounds(p, q, optimal)
  for name in NAMES:
    np.testing.assert_allclose(found[name], best[name], rtol=1e-9, atol=1e-12)
  nearby = {name: v + 0.01 * direction for name, v in optimal.items()}
  for name, bound in bounds(p, q, nearby).items():
    assert (bound < found[name]) == bool(direction.any()), name


# --- Zeros, and extremes ----------------------------------------------------

# (p, 0) and (0, p), per unit of p: f'(infinity) and f(0).
LIMITS = {
  'kl': (INF, 0),
  'reverse_kl': (0, INF),
  'jeffreys': (INF, INF),
  'pearson': (INF, 1),
  'neyman': (1, INF),
  'squared_hellinger': (1, 1),
  'js': (np.log(2), np.log(2)),
  'gan': (0, 0),
}


@many
@given(st.integers(1, 99), st.integers(1, 99))
@in_float64
def test_integrand_is_homogeneous_down_to_zero(tenths, factor):
  x = tenths / 10
  for name, f in INTEGRANDS.items():
    both, at_q_0, at_p_0, nowhere = f(
      np.array([2 * x, factor * x, 0.0, 0.0]),
      np.array([x, 0.0, factor * x, 0.0]),
    )
    np.testing.assert_allclose(both, x * TABLE_2[name].f(2.0), **TIGHT)
    limits = factor * x * np.array(LIMITS[name])
    np.testing.assert_allclose([at_q_0, at_p_0], limits, rtol=1e-9, atol=1e-12)
    assert nowhere == 0, name


INTEGRANDS = {n: jax.jit(row.integrand) for n, row in F_DIVERGENCES.items()}


@pytest.mark.parametrize('name', NAMES)
def test_integrand_has_finite_gradients_at_zeros(name):
  p, q = np.array([0.0, 0.0, 0.5]), np.array([0.0, 0.5, 0.0])
  for argument in (0, 1):
    slopes = jax.grad(
      lambda p, q: F_DIVERGENCES[name].integrand(p, q).sum(), argument
    )(p, q)
    assert np.isfinite(slopes).all()


def test_building_blocks_at_zeros():
  x, y = np.array([0.0, 0.0, 3.0, 3.0]), np.array([0.0, 2.0, 0.0, 2.0])
  np.testing.assert_array_equal(quotient(x, y), [0, 0, INF, 1.5])
  np.testing.assert_allclose(
    relative_entropy(x, y), [0, 0, INF, 3 * np.log(1.5)], rtol=1e-6
  )


class LambertW(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_against_scipy(self):
    y = np.concatenate([np.linspace(-80, 100, 541), [1e4, 1e30]])
    y = y.astype(np.float32)
    found = np.exp(np.float64(self.variant(log_lambert_w_of_exp)(y)))
    np.testing.assert_allclose(
      found, wrightomega(y.astype(np.float64)), rtol=1e-5
    )

  @chex.variants(with_jit=True, without_jit=True)
  @in_float64
  def test_in_float64(self):
    y = np.concatenate([np.linspace(-80, 100, 541), [1e4, 1e30]])
    found = np.exp(self.variant(log_lambert_w_of_exp)(y))
    np.testing.assert_allclose(found, wrightomega(y), rtol=1e-12)

  @chex.variants(with_jit=True, without_jit=True)
  def test_at_infinity(self):
    y = np.array([-np.inf, np.inf], np.float32)
    np.testing.assert_array_equal(self.variant(log_lambert_w_of_exp)(y), y)


@in_float64
def test_gradient_of_lambert_w():
  assert_slopes(
    lambda y: log_lambert_w_of_exp(y).sum(),
    np.array([-4.0, 0.0, 0.9, 1.1, 9.0]),
  )


@pytest.mark.parametrize('name', NAMES)
def test_conjugate_of_output_in_float32(name):
  """No overflow before the value itself does, nor in its slope."""
  v = np.array([-30.0, 30.0], np.float32)
  function = F_DIVERGENCES[name].conjugate_of_output
  expected = TABLE_2[name].composed(v.astype(np.float64))
  np.testing.assert_allclose(jax.jit(function)(v), expected, rtol=1e-5)
  assert np.isfinite(jax.jit(jax.vmap(jax.grad(function)))(v)).all()


def test_jeffreys_slope_where_its_value_is_large():
  """1/w, which float32 holds up to 3e38, at an output of 45."""
  function = F_DIVERGENCES['jeffreys'].conjugate_of_output
  v = 45.0
  expected = 1 / wrightomega(1 - v)
  np.testing.assert_allclose(jax.grad(function)(v), expected, rtol=1e-4)

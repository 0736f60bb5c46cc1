"""Divergences against SciPy and against the inequalities between them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import entr, rel_entr

from gan_jax.theory import divergences
from gan_jax.theory.divergences import (
  DIVERGENCES,
  divergence,
  divergence_from_samples,
  f_gan_divergence,
)
from gan_jax.types import InputError
from tests.densities import (
  SIZE,
  TIGHT,
  P,
  Q,
  assert_slopes,
  cell_numbers,
  densities,
  density_of,
  gaussian,
  in_float64,
  many,
  pairs,
)

LOG2 = np.log(2)
SYMMETRIC = (
  *('jeffreys', 'squared_hellinger', 'jsd'),
  *('total_variation', 'triangular'),
)
# Where no cell is in both supports. The rest is infinite.
DISJOINT = {
  'squared_hellinger': 2.0,
  'jsd': LOG2,
  'total_variation': 1.0,
  'triangular': 2.0,
}


def chi_squared(p, q):
  """(p - q)^2 / q, by the limits of the definition where q = 0."""
  limits = np.where(p > 0, np.inf, 0.0)
  return np.divide((p - q) ** 2, q, out=limits, where=q > 0)


REFERENCES = {
  'kl': rel_entr,
  'reverse_kl': lambda p, q: rel_entr(q, p),
  'jeffreys': lambda p, q: rel_entr(p, q) + rel_entr(q, p),
  'pearson': chi_squared,
  'neyman': lambda p, q: chi_squared(q, p),
  'squared_hellinger': lambda p, q: (np.sqrt(p) - np.sqrt(q)) ** 2,
  'jsd': lambda p, q: entr((p + q) / 2) - (entr(p) + entr(q)) / 2,
  'total_variation': lambda p, q: np.maximum(p, q) - (p + q) / 2,
  'triangular': lambda p, q: chi_squared(2 * q, p + q),
}


def reference(name, p, q):
  return REFERENCES[name](p, q).sum(-1)


@jax.jit
def all_of(p, q, dx=1.0):
  return {name: divergence(name, p, q, dx) for name in DIVERGENCES}


@jax.jit
def gradients(p, q):
  def of(name):
    return jax.grad(lambda p, q: divergence(name, p, q), (0, 1))(p, q)

  return {name: of(name) for name in DIVERGENCES}


def test_every_divergence_has_a_reference_and_a_function():
  assert set(REFERENCES) == set(DIVERGENCES)
  for name in DIVERGENCES:
    by_name = divergence(name, P / 0.5, Q / 0.5, 0.5)
    assert getattr(divergences, name)(P / 0.5, Q / 0.5, 0.5) == by_name
    assert getattr(divergences, name)(P, Q) == divergence(name, P, Q)


class AgainstSciPy(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*sorted(DIVERGENCES))
  def test_batches_of_pairs_with_zeros(self, name):
    p = np.stack([[P, Q, P], [np.roll(P, 3), P[::-1], Q[::-1]]])
    q = np.stack([[Q, P, P], [P, np.roll(Q, 1), P]])
    p[0, 0, :2], p[0, 0, 2] = 0, 0.35  # Where p alone is zero,
    q[0, 1, 5], q[0, 1, 4] = 0, 0.20  # where q alone is,
    p[1, 2, 7] = q[1, 2, 7] = 0  # and where both are.
    p, q = (x / x.sum(-1, keepdims=True) for x in (p, q))
    found = self.variant(lambda p, q: divergence(name, p, q, 0.25))(
      np.float32(p / 0.25), np.float32(q / 0.25)
    )
    assert found.shape == (2, 3)
    expected = reference(name, p, q)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@many
@given(pairs(zeros=True), st.sampled_from([1.0, 0.25, 3.0]))
@in_float64
def test_reference(pair, dx):
  p, q = pair
  for name, found in all_of(p / dx, q / dx, dx).items():
    np.testing.assert_allclose(found, reference(name, p, q), **TIGHT)


@many
@given(pairs(zeros=True))
@in_float64
def test_f_gan_names_are_ours_but_for_two(pair):
  p, q = pair
  twice = 2 * reference('jsd', p, q)
  expected = {name: reference(name, p, q) for name in REFERENCES}
  expected |= {'js': twice, 'gan': twice - np.log(4)}
  for name, found in all_f_gan(p, q).items():
    np.testing.assert_allclose(found, expected[name], **TIGHT)


@jax.jit
def all_f_gan(p, q):
  names = divergences.F_DIVERGENCES
  return {name: f_gan_divergence(name, p / 2, q / 2, 2.0) for name in names}


@many
@given(pairs(zeros=True))
@in_float64
def test_zero_for_equal_densities_alone_and_positive_else(pair):
  p, q = pair
  for name, found in all_of(p, q).items():
    if np.array_equal(p, q):
      assert found == 0, name
    else:
      assert found > 1e-10, name


@many
@given(pairs(zeros=True))
@in_float64
def test_symmetry(pair):
  there, back = all_of(*pair), all_of(*pair[::-1])
  for name in SYMMETRIC:
    np.testing.assert_allclose(there[name], back[name], **TIGHT)
  for one, other in (('kl', 'reverse_kl'), ('pearson', 'neyman')):
    np.testing.assert_allclose(there[one], back[other], **TIGHT)


@many
@given(pairs(zeros=True))
@in_float64
def test_ranges(pair):
  found = all_of(*pair)
  for name, largest in DISJOINT.items():
    assert 0 <= found[name] <= largest * (1 + 1e-12)


@many
@given(
  densities(), densities(), st.lists(st.booleans(), min_size=8, max_size=8)
)
@in_float64
def test_disjoint_supports(p, q, in_p):
  in_p = np.array([True, *in_p[1:-1], False])
  p, q = p * in_p, q * ~in_p
  for name, found in all_of(p / p.sum(), q / q.sum()).items():
    np.testing.assert_allclose(found, DISJOINT.get(name, np.inf), rtol=1e-9)


@many
@given(*[densities(zeros=True)] * 3)
@in_float64
def test_metrics_obey_the_triangle_inequality(a, b, c):
  ab, bc, ac = all_of(a, b), all_of(b, c), all_of(a, c)
  for name in ('jsd', 'squared_hellinger', 'triangular'):
    roots = (np.sqrt(each[name]) for each in (ab, bc, ac))
    first, second, direct = roots
    assert direct <= (first + second) * (1 + 1e-9)
  sides = ab['total_variation'] + bc['total_variation']
  assert ac['total_variation'] <= sides * (1 + 1e-12)


@many
@given(pairs(zeros=True), st.lists(st.integers(0, 3), min_size=8, max_size=8))
@in_float64
def test_merging_cells_loses_information(pair, group):
  merge = np.eye(4)[group]
  fine, coarse = all_of(*pair), all_of(*(x @ merge for x in pair))
  for name in DIVERGENCES:
    assert coarse[name] <= fine[name] * (1 + 1e-9) + 1e-14, name


@many
@given(pairs(zeros=True))
@in_float64
def test_inequalities(pair):
  d = all_of(*pair)
  tv, h2, triangular = (
    d['total_variation'],
    d['squared_hellinger'],
    d['triangular'],
  )
  in_order = [
    (2 * tv**2, d['kl']),  # Pinsker
    (2 * tv**2, d['reverse_kl']),
    (d['kl'], np.log1p(d['pearson'])),
    (d['reverse_kl'], np.log1p(d['neyman'])),
    (h2, d['kl']),
    (h2 / 2, tv),  # Le Cam
    (tv**2, h2 * (1 - h2 / 4)),
    (2 * tv**2, triangular),
    (triangular, 2 * tv),
    (h2, triangular),
    (triangular, 2 * h2),
    (d['jsd'], LOG2 * tv),  # Lin
    (triangular / 4, d['jsd']),  # Topsoe
    (d['jsd'], LOG2 / 2 * triangular),
    (d['jsd'], d['jeffreys'] / 4),
  ]
  for number, (less, more) in enumerate(in_order):
    assert less <= more * (1 + 1e-9) + 1e-14, number


@many
@given(pairs(zeros=True))
@in_float64
def test_gradients_are_finite_where_a_density_is_zero(pair):
  for name, both in gradients(*pair).items():
    assert np.isfinite(both).all(), name


@pytest.mark.parametrize('name', DIVERGENCES)
@in_float64
def test_gradients_against_central_differences(name):
  assert_slopes(lambda p: divergence(name, p / 2, Q / 2, 2.0), P)
  assert_slopes(lambda q: divergence(name, P / 2, q / 2, 2.0), Q)


# --- From samples -----------------------------------------------------------


@jax.jit
def all_from_samples(at_p, at_q):
  return {n: divergence_from_samples(n, at_p, at_q) for n in DIVERGENCES}


@many
@given(cell_numbers(16), cell_numbers(12))
@in_float64
def test_samples_that_are_the_densities(x, y):
  """With infinite log ratios where a density is 0."""
  p, q = density_of(x), density_of(y)
  with np.errstate(divide='ignore', invalid='ignore'):
    log_ratio = np.log(p) - np.log(q)
  for name, found in all_from_samples(log_ratio[x], log_ratio[y]).items():
    np.testing.assert_allclose(found, reference(name, p, q), **TIGHT)


@in_float64
def test_samples_of_two_gaussians():
  """Within 4 standard errors, which are 2 % of the value or less.

  The standard error is that of 40 blocks' estimates.
  """
  of_p, of_q = (0.0, 1.0), (0.75, 1.1)
  grid = np.linspace(-12, 12, 4001)
  p, q = gaussian(grid, *of_p), gaussian(grid, *of_q)
  x, y = np.random.default_rng(0).normal(size=(2, 40, 4000))
  y = of_q[0] + of_q[1] * y[:, :3000]

  def log_ratio(x):
    return 0.5 * ((x - of_q[0]) / of_q[1]) ** 2 - 0.5 * x**2 + np.log(of_q[1])

  blocks = jax.vmap(all_from_samples)(log_ratio(x), log_ratio(y))
  for name, estimates in blocks.items():
    exact = reference(name, p, q) * (grid[1] - grid[0])
    standard_error = estimates.std(ddof=1) / np.sqrt(40)
    assert standard_error < 0.02 * exact, name
    assert abs(estimates.mean() - exact) < 4 * standard_error, name


# --- Bad input --------------------------------------------------------------

NEGATIVE = np.array([-0.125] + [0.125] * 5 + [0.25] * 2)
BAD = {
  'negative': (NEGATIVE, 'negative .*-0.125'),
  'nan': (np.where(NEGATIVE < 0, np.nan, NEGATIVE), 'not a number'),
  'infinite': (np.where(NEGATIVE < 0, np.inf, NEGATIVE), 'sums to inf'),
  'sum': (P * 1.002, 'sums to 1.002 with dx=1'),
  'low_sum': (P * 0.998, 'sums to 0.998 with dx=1'),
}


@pytest.mark.parametrize('case', BAD)
@pytest.mark.parametrize('argument', ['p', 'q'])
def test_bad_densities(case, argument):
  density, message = BAD[case]
  # In a batch, the bad one last.
  arguments = {'p': P, 'q': Q} | {argument: np.stack([P, density])}
  with pytest.raises(InputError, match=f'^{argument}: .*{message}'):
    divergence('kl', **arguments)
  divergence('kl', P * 1.0005, Q * 0.9995)


def test_dx_counts_in_the_sum():
  divergence('kl', P / 0.5, Q / 0.5, jnp.float32(0.5))
  with pytest.raises(InputError, match=r'^p: sums to 0.5 with dx=0.5'):
    divergence('kl', P, Q, 0.5)


@pytest.mark.parametrize('q', [Q[:-1], np.ones(1), np.float32(1.0)])
def test_lengths_that_differ(q):
  for function in (divergences.kl, jax.jit(divergences.kl)):
    with pytest.raises(InputError, match=r'length: p \(8,\), q \('):
      function(P, q)


def test_numbers_are_no_densities():
  with pytest.raises(InputError, match=r'length: p \(\), q \(\)'):
    divergence('kl', 1.0, 1.0)


def test_unknown_names():
  with pytest.raises(InputError, match=r"divergence: .*'wasserstein'.*jsd, kl"):
    divergence('wasserstein', P, Q)
  with pytest.raises(InputError, match=r"divergence: .*'js'.*triangular"):
    divergence_from_samples('js', P, Q)
  with pytest.raises(InputError, match=r"f_divergence: .*'jsd'.*gan, jeff"):
    f_gan_divergence('jsd', P, Q)


def test_values_are_not_checked_while_traced():
  bad = np.stack([P, NEGATIVE])
  jax.jit(divergences.total_variation)(bad, Q)
  jax.vmap(divergences.total_variation)(bad, np.stack([Q, Q]))
  jax.grad(divergences.total_variation)(bad[1], Q)
  jax.jit(lambda dx: divergences.total_variation(P, Q, dx))(0.5)
  # NumPy's constants inside of a trace are no tracers.
  jax.jit(lambda p: divergences.wasserstein_1d(p, Q, np.arange(SIZE)))(P)
  assert bad.shape[-1] == SIZE

"""KID against a plain double loop, and its standard error by simulation."""

import numpy as np
import pytest

from gan_jax.metrics.kernel_distance import kernel_distance
from gan_jax.types import InputError


def plain_mmd(x, y):
  """Binkowski's unbiased estimator, term by term."""

  def k(a, b):
    return (a @ b / len(a) + 1) ** 3

  n, m = len(x), len(y)
  xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
  yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
  xy = sum(k(a, b) for a in x for b in y)
  return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def test_one_whole_subset_is_the_estimator():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(9, 4)), 0.5 + rng.normal(size=(9, 4))
  result = kernel_distance(x, y, num_subsets=3, subset_size=9)
  np.testing.assert_allclose(result.value, plain_mmd(x, y), rtol=1e-12)
  assert result.standard_deviation < 1e-12
  assert (result.num_subsets, result.subset_size) == (3, 9)


def test_subsets_are_averaged():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(20, 3)), rng.normal(size=(30, 3))
  result = kernel_distance(x, y, num_subsets=4, subset_size=5, seed=7)
  generator = np.random.RandomState(7)
  values = []
  for _ in range(4):
    fake = y[generator.choice(30, 5, replace=False)]
    real = x[generator.choice(20, 5, replace=False)]
    values.append(plain_mmd(real, fake))
  np.testing.assert_allclose(result.value, np.mean(values), rtol=1e-12)
  np.testing.assert_allclose(
    result.standard_deviation, np.std(values), rtol=1e-10
  )


def test_unbiased_for_equal_distributions_and_large_for_others():
  rng = np.random.default_rng(0)
  values = [
    kernel_distance(
      rng.normal(size=(60, 5)),
      rng.normal(size=(60, 5)),
      num_subsets=1,
      subset_size=60,
    ).value
    for _ in range(200)
  ]
  assert min(values) < 0 < max(values)
  assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
  far = kernel_distance(
    rng.normal(size=(60, 5)), 1 + rng.normal(size=(60, 5)), subset_size=60
  )
  assert far.value > 10 * np.std(values)


@pytest.mark.parametrize('few', ['real', 'fake'])
def test_standard_error_is_the_spread_over_fresh_samples(few):
  """Few vectors of a wide set make the error, whichever set that is."""
  rng = np.random.default_rng(0)

  def draw(name):
    num, spread = (100, 1.0) if name == few else (800, 0.3)
    return spread * rng.normal(size=(num, 4))

  results = [
    kernel_distance(
      draw('real'), 0.6 + draw('fake'), num_subsets=20, subset_size=90
    )
    for _ in range(150)
  ]
  spread = np.std([r.value for r in results], ddof=1)
  claimed = np.mean([r.standard_error for r in results])
  # 150 draws know their spread to 6 %.
  np.testing.assert_allclose(claimed, spread, rtol=0.2)


def test_deterministic():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 50, 3))
  keys = dict(num_subsets=5, subset_size=10)
  assert kernel_distance(x, y, **keys) == kernel_distance(x, y, **keys)


@pytest.mark.parametrize('size', [1, 31])
def test_subset_size_is_checked(size):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
  with pytest.raises(InputError, match=r'eval.kid_subset_size: \d+ is not bet'):
    kernel_distance(x, y, subset_size=size)

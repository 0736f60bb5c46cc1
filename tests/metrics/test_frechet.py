"""The Frechet distance against closed forms, SciPy and simulation."""

import time

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.metrics import frechet
from gan_jax.metrics.frechet import (
  Moments,
  MomentStream,
  expected_bias,
  frechet_distance,
  frechet_distance_of_features,
  frechet_infinity,
  moments,
)
from gan_jax.types import InputError
from tests.helpers import slow


def gaussian_moments(mean, covariance):
  return Moments(1_000, np.asarray(mean, float), np.asarray(covariance, float))


def reference(a, b):
  """Heusel's formula with SciPy's square root, on well-conditioned input."""
  root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
  gap = a.mean - b.mean
  traces = np.trace(a.covariance) + np.trace(b.covariance)
  return gap @ gap + traces - 2 * np.trace(root).real


@pytest.mark.parametrize('size', [1, 7, slow(500)])
def test_shifted_unit_gaussians_are_their_dimension_apart(size):
  a = gaussian_moments(np.zeros(size), np.eye(size))
  b = gaussian_moments(np.ones(size), np.eye(size))
  np.testing.assert_allclose(frechet_distance(a, b), size, rtol=1e-12)


def test_scaled_gaussians():
  """tr (I + 9 I - 2 * 3 I) = 4 d."""
  a = gaussian_moments(np.zeros(5), np.eye(5))
  b = gaussian_moments(np.zeros(5), 9 * np.eye(5))
  np.testing.assert_allclose(frechet_distance(a, b), 20.0, rtol=1e-12)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_agrees_with_scipy_and_is_symmetric(seed, size):
  rng = np.random.default_rng(seed)
  a, b = (
    moments(
      rng.normal(size=(3 * size + 5, size)) @ rng.normal(size=(size,) * 2)
    )
    for _ in range(2)
  )
  value = frechet_distance(a, b)
  np.testing.assert_allclose(value, reference(a, b), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(value, frechet_distance(b, a), rtol=1e-6)


def test_singular_covariances_give_the_exact_distance():
  """Fewer vectors than dimensions; and a covariance of rank one."""
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(20, 64)), 1.0 + rng.normal(size=(30, 64))
  exact = frechet_distance_of_features(a, b)
  np.testing.assert_allclose(
    frechet_distance(moments(a), moments(b)), exact, rtol=1e-6
  )
  line = np.outer([1.0, 2.0], [1.0, 2.0])
  other = np.outer([2.0, -1.0], [2.0, -1.0])  # orthogonal: no overlap
  zero = np.zeros(2)
  np.testing.assert_allclose(
    frechet_distance(
      gaussian_moments(zero, line), gaussian_moments(zero, other)
    ),
    10.0,
    rtol=1e-7,
  )


def test_equal_sets_are_at_distance_zero():
  features = np.random.default_rng(0).normal(size=(50, 80))
  value = frechet_distance(moments(features), moments(features))
  assert 0.0 <= value < 1e-4 * np.trace(moments(features).covariance)
  assert frechet_distance_of_features(features, features) < 1e-9


@pytest.mark.parametrize('batch', [1, 7, 100])
def test_moments_of_a_stream_are_those_of_the_whole(batch):
  """Far from the origin, where sums of raw squares would cancel."""
  features = 1e6 + np.random.default_rng(0).normal(size=(100, 4))
  stream = MomentStream()
  for start in range(0, 100, batch):
    stream.update(features[start : start + batch])
  result = stream.result()
  assert result.num == 100
  np.testing.assert_allclose(result.mean, features.mean(axis=0), rtol=1e-14)
  np.testing.assert_allclose(
    result.covariance, np.cov(features, rowvar=False), rtol=1e-8, atol=1e-9
  )


def test_too_few_vectors_and_unequal_dimensions_are_named():
  with pytest.raises(InputError, match='1 vectors have no covariance'):
    moments(np.zeros((1, 3)))
  with pytest.raises(InputError, match='3 and 4 dimensions'):
    frechet_distance(moments(np.eye(3)), moments(np.eye(4)))


@pytest.mark.parametrize(
  'eigenvalues', [np.ones(8), np.array([10.0, 5, 1, 1, 0.1, 0.1])]
)
def test_expected_bias_is_that_of_simulated_gaussians(eigenvalues):
  rng = np.random.default_rng(0)
  n, m, size = 300, 500, len(eigenvalues)
  values = [
    frechet_distance(
      *(
        moments(rng.normal(size=(k, size)) * np.sqrt(eigenvalues))
        for k in (n, m)
      )
    )
    for _ in range(300)
  ]
  truth = gaussian_moments(np.zeros(size), np.diag(eigenvalues))
  # The mean of 300 has a relative error of about 1.5 %.
  np.testing.assert_allclose(
    expected_bias(truth, n, m), np.mean(values), rtol=0.06
  )


def test_infinity_removes_the_bias():
  """Two samples of one Gaussian: FID falls with N, its limit is near 0."""
  rng = np.random.default_rng(1)
  size, num = 16, 4_000
  truth = gaussian_moments(np.zeros(size), np.eye(size))
  fake = rng.normal(size=(num, size))
  result = frechet_infinity(truth, fake)
  finite = frechet_distance(truth, moments(fake))
  assert result.nums[0] == 400
  assert result.nums[-1] == num
  assert len(result.nums) == 15
  assert abs(result.value) < 0.3 * finite
  shifted = frechet_infinity(truth, fake + 1.0)
  np.testing.assert_allclose(shifted.value, size, rtol=0.03)


def test_infinity_fits_the_line():
  slope, intercept = frechet._line(np.array([0.1, 0.2, 0.4]), [3.0, 4.0, 6.0])
  np.testing.assert_allclose([slope, intercept], [10.0, 2.0], rtol=1e-10)


def test_infinity_needs_more_fakes_than_features():
  with pytest.raises(InputError, match=r'10 fakes .* the 16 feat'):
    frechet_infinity(moments(np.eye(16)), np.zeros((10, 16)))


@pytest.mark.slow
def test_twice_as_fast_as_sqrtm():
  """In CPU time, which a busy machine does not stretch (wall: 4 to 6)."""
  rng = np.random.default_rng(0)
  a, b = (moments(rng.normal(size=(4_096, 2_048))) for _ in range(2))
  start = time.process_time()
  value = frechet_distance(a, b)
  ours = time.process_time() - start
  start = time.process_time()
  expected = reference(a, b)
  theirs = time.process_time() - start
  np.testing.assert_allclose(value, expected, rtol=1e-6)
  assert theirs > 2 * ours

"""Parzen windows against closed forms, NumPy and SciPy."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import gaussian_kde, norm

from gan_jax.metrics.parzen import (
  SIGMAS,
  choose_sigma,
  parzen_log_likelihood,
  parzen_score,
)
from gan_jax.types import InputError


def normals(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape)


def reference(points, samples, sigma):
  distances = ((points[:, None] - samples) ** 2).sum(axis=-1)
  exponents = -distances / (2 * sigma**2)
  constant = points.shape[1] / 2 * np.log(2 * np.pi * sigma**2)
  return logsumexp(exponents, axis=1) - np.log(len(samples)) - constant


@pytest.mark.parametrize('sigma', [0.1, 1.0, 3.0])
def test_one_sample_is_one_gaussian(sigma):
  points, sample = normals(0, 5, 4), normals(1, 1, 4)
  np.testing.assert_allclose(
    parzen_log_likelihood(points, sample, sigma),
    norm.logpdf(points, sample, sigma).sum(axis=1),
    rtol=1e-10,
  )


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('tile', [1, 7, 64, 1000])
def test_reference_in_tiles_of_any_size(tile, dtype):
  points, samples = normals(0, 20, 30), normals(1, 70, 30)
  points, samples = points.astype(dtype), samples.astype(dtype)
  values = parzen_log_likelihood(points, samples, 0.3, tile=tile)
  assert values.dtype == np.float64
  exact = reference(*(x.astype(np.float64) for x in (points, samples)), 0.3)
  np.testing.assert_allclose(values, exact, rtol=1e-10)


def test_small_window_far_from_the_origin():
  """Where distances as |x|^2 + |s|^2 - 2 x.s would cancel in float32."""
  samples = 100 + 0.01 * normals(0, 50, 3)
  points = samples[:10] + 0.001
  np.testing.assert_allclose(
    parzen_log_likelihood(points, samples, 0.01),
    reference(points, samples, 0.01),
    rtol=1e-5,
  )


@pytest.mark.parametrize('dimension', [1, 2])
def test_scipy(dimension):
  """gaussian_kde takes its factor times the covariance of the samples."""
  samples, points = normals(0, 60, dimension), normals(1, 9, dimension)
  samples -= samples.mean(axis=0)
  whiten = np.linalg.cholesky(
    np.linalg.inv(np.cov(samples.T, ddof=1).reshape(dimension, dimension))
  )
  samples = samples @ whiten  # of covariance I: the factor is sigma
  density = gaussian_kde(samples.T, bw_method=0.4)
  np.testing.assert_allclose(
    parzen_log_likelihood(points, samples, 0.4),
    density.logpdf(points.T),
    rtol=1e-6,
  )


@pytest.mark.parametrize('tile', [3, 1024])
def test_far_point_stays_finite(tile):
  samples = normals(0, 10, 2)
  far = np.array([[1e4, 0.0]])
  value = parzen_log_likelihood(far, samples, 0.1, tile=tile)
  np.testing.assert_allclose(value, reference(far, samples, 0.1), rtol=1e-10)
  assert value < -1e9


def test_tends_to_the_smoothed_density():
  """Windows on N(0, 1) estimate N(0, 1 + sigma^2)."""
  num, sigma = 200_000, 0.5
  points = np.linspace(-2, 2, 9)[:, None]
  values = parzen_log_likelihood(points, normals(0, num, 1), sigma)
  exact = norm.logpdf(points[:, 0], 0, np.sqrt(1 + sigma**2))
  # Relative error of the mean: of windows, E w^2 / (E w)^2 - 1 = 1.1 to 7.
  np.testing.assert_allclose(values, exact, atol=4 * np.sqrt(7 / num), rtol=0)


def test_choose_sigma():
  """The means are those under each sigma, and the best one is chosen."""
  samples, validation = normals(0, 300, 2), normals(1, 200, 2)
  sigmas = np.array([0.05, 0.3, 2.0])
  sigma, means = choose_sigma(validation, samples, sigmas, tile=90)
  expected = [reference(validation, samples, s).mean() for s in sigmas]
  np.testing.assert_allclose(means, expected, rtol=1e-10)
  assert sigma == 0.3
  assert choose_sigma(validation, samples)[1].shape == (10,)
  np.testing.assert_allclose(SIGMAS[[0, 9]], [0.1, 1.0])


def images(seed, num, low=0):
  draws = np.random.default_rng(seed).integers(low, 256, (num, 4, 4, 1))
  return draws.astype(np.uint8)


def test_score_of_images():
  samples, validation, test = images(0, 60), images(1, 20), images(2, 30)
  result = parzen_score(samples, validation, test)
  windows, chosen_on, points = (
    x.reshape(len(x), -1) / 255 for x in (samples, validation, test)
  )
  best = max(SIGMAS, key=lambda s: reference(chosen_on, windows, s).mean())
  values = reference(points, windows, best)
  # Pixels are float32.
  np.testing.assert_allclose(
    result[:3],
    (values.mean(), values.std() / np.sqrt(30), best),
    rtol=1e-5,
  )
  assert result[3:] == (60, 20, 30, False)


@pytest.mark.parametrize('sigmas', [[0.5, 1.0], [0.05, 0.1], [0.2]])
def test_score_says_that_sigma_is_at_an_edge(sigmas):
  """The best one for these images is near .25."""
  sets = images(0, 60), images(1, 20), images(2, 30)
  assert parzen_score(*sets, np.array(sigmas)).at_edge is True


@pytest.mark.parametrize(
  ('points', 'samples', 'sigma', 'message'),
  [
    (np.ones((2, 3)), np.ones((0, 3)), 1, 'samples: .* not empty'),
    (np.ones((0, 3)), np.ones((2, 3)), 1, 'points: .* not empty'),
    (np.ones(3), np.ones((2, 3)), 1, r'points: vectors of shape \(3,\)'),
    (np.ones((2, 3)), np.ones((2, 4)), 1, 'points 3, samples 4'),
    (np.full((2, 3), np.nan), np.ones((2, 3)), 1, 'points: .* not finite'),
    (np.ones((2, 3)), np.full((2, 3), np.inf), 1, 'samples: .* not finite'),
    (np.ones((2, 3)), np.ones((2, 3)), 0, 'sigma: 0; give numbers above 0'),
    (np.ones((2, 3)), np.ones((2, 3)), -1, 'sigma'),
    (np.ones((2, 3)), np.ones((2, 3)), np.nan, 'sigma'),
  ],
)
def test_refusals(points, samples, sigma, message):
  with pytest.raises(InputError, match=message):
    parzen_log_likelihood(points, samples, sigma)


def test_refusals_of_images():
  good = images(0, 5)
  with pytest.raises(InputError, match='test: 1 images; at least 2'):
    parzen_score(good, good, good[:1])
  with pytest.raises(InputError, match='validation: 0 images'):
    parzen_score(good, good[:0], good)
  with pytest.raises(InputError, match='samples: float64'):
    parzen_score(good / 255, good, good)
  with pytest.raises(InputError, match='differ in shape'):
    parzen_score(good[:, :3], good, good)
  with pytest.raises(InputError, match='sigma'):
    choose_sigma(np.ones((2, 2)), np.ones((2, 2)), np.array([]))

"""Scores of a classifier's predictions: closed forms and direct sums."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.mode_coverage import mode_coverage
from gan_jax.metrics.mode_score import mode_score
from gan_jax.metrics.predictions import PredictionStream, kl, predictions
from gan_jax.types import InputError


def one_hot_logits(labels, num_classes):
  """Logits so far apart that the probabilities are 0 and 1 exactly."""
  return np.where(np.eye(num_classes)[labels] > 0, 0.0, -1e4)


def random_logits(num, classes, seed=0):
  return 2 * np.random.default_rng(seed).normal(size=(num, classes))


def test_inception_score_of_equal_predictions_is_one():
  result = inception_score(predictions(np.tile([0.3, -1.0, 2.0], (40, 1))))
  np.testing.assert_allclose(result.value, 1.0, rtol=1e-12)


@pytest.mark.parametrize('splits', [1, 4])
def test_inception_score_of_uniform_certainty_is_the_number_of_classes(splits):
  labels = np.arange(80) % 10
  result = inception_score(
    predictions(one_hot_logits(labels, 10), splits=splits, seed=None)
  )
  np.testing.assert_allclose(result.value, 10.0, rtol=1e-12)
  assert result.standard_deviation < 1e-10


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 6))
def test_inception_score_is_the_mean_of_direct_sums(seed, splits, classes):
  logits = random_logits(23, classes, seed)
  result = inception_score(predictions(logits, splits=splits))
  order = np.random.RandomState(2020).permutation(23)
  p = scipy.special.softmax(logits[order], axis=1)
  scores = []
  for i in range(splits):
    part = p[i * 23 // splits : (i + 1) * 23 // splits]
    q = part.mean(axis=0)
    kls = [scipy.stats.entropy(row, q) for row in part]
    scores.append(np.exp(np.mean(kls)))
  np.testing.assert_allclose(result.value, np.mean(scores), rtol=1e-10)
  np.testing.assert_allclose(
    result.standard_deviation, np.std(scores), rtol=1e-6, atol=1e-9
  )


@pytest.mark.parametrize('batch', [1, 6, 50])
def test_stream_is_the_whole(batch):
  logits = random_logits(50, 4)
  stream = PredictionStream(50, splits=3)
  for start in range(0, 50, batch):
    stream.update(logits[start : start + batch])
  whole = predictions(logits, splits=3)
  for a, b in zip(stream.result(), whole, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_more_splits_than_images_are_refused():
  with pytest.raises(InputError, match=r'eval.splits: 4 .* the 3 images'):
    PredictionStream(3, splits=4)


def test_mode_score_with_the_same_marginal_is_the_inception_score():
  whole = predictions(random_logits(60, 5))
  np.testing.assert_allclose(
    mode_score(whole, whole.marginal), inception_score(whole).value, rtol=1e-12
  )


def test_mode_score_falls_as_the_marginal_shifts():
  """By exactly the factor exp(-KL(p_bar || p*)); certain predictions."""
  labels = np.repeat(np.arange(4), [10, 10, 10, 10])
  whole = predictions(one_hot_logits(labels, 4))
  skewed = np.array([0.4, 0.3, 0.2, 0.1])
  score = mode_score(whole, skewed)
  divergence = -np.mean(np.log(4 * skewed))
  np.testing.assert_allclose(score, 4 * np.exp(-divergence), rtol=1e-10)
  assert score < mode_score(whole, np.full(4, 0.25))


def test_mode_score_of_a_class_that_data_lacks_is_zero():
  whole = predictions(one_hot_logits(np.array([0, 1, 2]), 3))
  assert mode_score(whole, np.array([0.5, 0.5, 0.0])) == 0.0


def test_mode_coverage():
  result = mode_coverage(np.array([5, 0, 10, 5]))
  assert (result.captured, result.num_modes) == (3, 4)
  shares = np.array([0.25, 0.5, 0.25])
  expected = np.sum(shares * np.log(4 * shares))
  np.testing.assert_allclose(result.kl_to_uniform, expected, rtol=1e-12)


def test_mode_coverage_bounds():
  assert mode_coverage(np.full(10, 7)).kl_to_uniform < 1e-15
  collapsed = np.zeros(1_000, int)
  collapsed[3] = 26_000
  result = mode_coverage(collapsed)
  np.testing.assert_allclose(result.kl_to_uniform, 6.908, atol=5e-4)
  np.testing.assert_allclose(result.noise_floor, 0.0192, atol=5e-5)


def test_noise_floor_is_that_of_a_perfect_sampler():
  rng = np.random.default_rng(0)
  num, classes = 5_000, 100
  values = [
    mode_coverage(rng.multinomial(num, np.full(classes, 0.01))).kl_to_uniform
    for _ in range(200)
  ]
  floor = mode_coverage(np.full(classes, num // classes)).noise_floor
  np.testing.assert_allclose(floor, np.mean(values), rtol=0.03)


def test_kl_is_infinite_outside_the_support():
  assert kl(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == np.inf
  assert kl(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == np.log(2)

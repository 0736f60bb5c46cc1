"""The share of images that are of the class asked for."""

import numpy as np
import pytest

from gan_jax.metrics.label_accuracy import label_accuracy


def test_shares_of_all_and_of_each_class():
  asked = np.array([0, 0, 0, 0, 2, 2])
  seen = np.array([0, 0, 0, 2, 2, 1])
  result = label_accuracy(seen, asked, 4)
  assert result.value == pytest.approx(4 / 6)
  np.testing.assert_allclose(result.by_class, [0.75, np.nan, 0.5, np.nan])
  error = np.sqrt(4 / 6 * 2 / 6 / 6)
  np.testing.assert_allclose(result.standard_error, error, rtol=1e-12)


def test_what_is_asked_for_and_what_is_seen_are_not_the_same():
  """A generator that draws one class has that class right, and no other."""
  asked = np.repeat(np.arange(5), 2)
  result = label_accuracy(np.full(10, 3), asked, 5)
  assert result.value == pytest.approx(0.2)
  np.testing.assert_array_equal(result.by_class, [0, 0, 0, 1, 0])


def test_chance_is_one_in_k():
  rng = np.random.default_rng(0)
  asked, seen = rng.integers(0, 8, (2, 20_000))
  result = label_accuracy(seen, asked, 8)
  assert abs(result.value - 1 / 8) < 4 * result.standard_error

"""Distances and accuracies against SciPy and by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_jax.metrics.disc_accuracy import accuracy
from gan_jax.metrics.nearest_neighbours import nearest_distances


def noise(seed, num, shape=(4, 5, 3)):
  draws = np.random.default_rng(seed).integers(0, 256, (num, *shape))
  return draws.astype(np.uint8)


def reference_distances(images, references):
  flat = [x.reshape(len(x), -1) / 255.0 for x in (images, references)]
  return cdist(*flat).min(axis=1)


@pytest.mark.parametrize(
  ('num', 'references'), [(1, 1), (7, 40), (256, 3), (300, 40)]
)
def test_nearest_distances(num, references):
  images, others = noise(0, num), noise(1, references)
  distances = nearest_distances(images, others)
  assert distances.shape == (num,)
  assert distances.dtype == np.float32
  np.testing.assert_allclose(
    distances, reference_distances(images, others), rtol=1e-5
  )


@pytest.mark.parametrize('shape', [(4, 5, 3), (28, 28, 1), (32, 32, 3)])
def test_distance_to_a_copy_is_zero(shape):
  """And that of a copy but for one grey level in one pixel is not."""
  references = noise(2, 50, shape)
  copies = references[::-1].copy()
  np.testing.assert_array_equal(nearest_distances(copies, references), 0)
  copies[:, 1, 2, 0] ^= 1
  np.testing.assert_allclose(
    nearest_distances(copies, references), 1 / 255, rtol=1e-5
  )


def test_distance_is_in_units_of_the_pixel_range():
  black, white = np.zeros((2, 3, 3, 1), np.uint8), np.full((1, 3, 3, 1), 255)
  np.testing.assert_allclose(
    nearest_distances(black, white.astype(np.uint8)), 3.0, rtol=1e-6
  )


@pytest.mark.parametrize(
  ('boundary', 'real_share', 'fake_share'),
  [
    (0.0, 0.5, 1.0),  # a logit on the boundary is called fake
    (-2.5, 1.0, 0.25),
    (None, 0.75, 0.75),  # the midpoint, -.375, of the means 1 and -1.75
    (10.0, 0.0, 1.0),
  ],
)
def test_accuracy(boundary, real_share, fake_share):
  real = np.array([-2.0, 0.0, 0.5, 5.5])
  fake = np.array([-3.0, -2.0, -2.0, 0.0])
  shares = accuracy(real, fake, boundary)
  assert shares == {
    'disc_accuracy_real': real_share,
    'disc_accuracy_fake': fake_share,
  }


def test_accuracy_without_a_boundary_ignores_a_constant():
  """A Wasserstein critic is defined up to one."""
  rng = np.random.default_rng(0)
  real, fake = rng.normal(1.0, 1.0, 50), rng.normal(-1.0, 1.0, 30)
  shares = accuracy(real, fake, None)
  assert shares == accuracy(real + 100, fake + 100, None)
  assert all(0.5 < share < 1 for share in shares.values())
  assert accuracy(real + 100, fake + 100, 0.0)['disc_accuracy_fake'] == 0

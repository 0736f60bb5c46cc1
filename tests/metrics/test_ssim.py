"""SSIM against its formula, window by window."""

import numpy as np
import pytest

from gan_jax.metrics.psnr import luma
from gan_jax.metrics.ssim import ssim
from gan_jax.types import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 13, 15, 3), dtype=np.uint8)


def by_windows(a, b):
  """Wang et al., eq. 13, for one pair on Y."""
  at = np.arange(11) - 5
  window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
  window /= window.sum()
  c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
  values = []
  for i in range(a.shape[0] - 10):
    for j in range(a.shape[1] - 10):
      x, y = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
      mx, my = (window * x).sum(), (window * y).sum()
      vx = (window * (x - mx) ** 2).sum()
      vy = (window * (y - my) ** 2).sum()
      shared = (window * (x - mx) * (y - my)).sum()
      values.append(
        (2 * mx * my + c1)
        * (2 * shared + c2)
        / ((mx**2 + my**2 + c1) * (vx + vy + c2))
      )
  return np.mean(values)


def test_by_the_formula():
  noise = RNG.integers(-40, 41, IMAGES.shape)
  other = np.clip(IMAGES.astype(int) + noise, 0, 255).astype(np.uint8)
  expected = [
    by_windows(a, b) for a, b in zip(luma(IMAGES), luma(other), strict=True)
  ]
  np.testing.assert_allclose(ssim(IMAGES, other), expected, rtol=1e-9)
  inside = [
    by_windows(a[1:-1, 1:-1], b[1:-1, 1:-1])
    for a, b in zip(luma(IMAGES), luma(other), strict=True)
  ]
  np.testing.assert_allclose(ssim(IMAGES, other, border=1), inside, rtol=1e-9)


def test_an_image_is_itself():
  np.testing.assert_allclose(ssim(IMAGES, IMAGES), 1.0)


def test_flat_images_differ_in_luminance_alone():
  """(2 m n + C1) / (m^2 + n^2 + C1)."""
  flat = np.full((2, 11, 11, 1), 100, np.uint8)
  c1 = (0.01 * 255) ** 2
  expected = (2 * 100 * 200 + c1) / (100**2 + 200**2 + c1)
  np.testing.assert_allclose(ssim(flat, 2 * flat), expected)


def test_inverted_images_are_unlike():
  assert (ssim(IMAGES, 255 - IMAGES) < 0).all()


def test_many_images_are_taken_in_parts():
  many = RNG.integers(0, 256, (70, 11, 12, 1), dtype=np.uint8)
  other = np.roll(many, 1, axis=2)
  whole = ssim(many, other)
  one_by_one = [ssim(many[i : i + 1], other[i : i + 1])[0] for i in (0, 66, 69)]
  np.testing.assert_array_equal(whole[[0, 66, 69]], one_by_one)


def test_less_than_a_window_is_named():
  with pytest.raises(InputError, match='less than the 11 x 11 that are'):
    ssim(IMAGES[:, :10], IMAGES[:, :10])

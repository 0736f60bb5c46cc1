"""PSNR on Y: digits by hand, and its folklore's mistakes."""

import numpy as np
import pytest

from gan_jax.metrics.psnr import luma, psnr
from gan_jax.types import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 12, 14, 3), dtype=np.uint8)


def test_luma_is_that_of_video():
  """Black 16, white 235, green the brightest; grey stays as it is."""
  colours = np.uint8(
    [[[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]]]
  )
  np.testing.assert_allclose(
    luma(colours)[0, 0], [16, 235, 81.481, 144.553, 40.966], rtol=1e-12
  )
  grey = IMAGES[..., :1]
  np.testing.assert_array_equal(luma(grey), grey[..., 0])


def test_one_level_off_is_48_decibels():
  grey = np.full((1, 4, 4, 1), 100, np.uint8)
  np.testing.assert_allclose(psnr(grey + 1, grey), 20 * np.log10(255))
  # In RGB, a level of grey is 219 / 255 of one on Y.
  colours = np.full((1, 4, 4, 3), 100, np.uint8)
  np.testing.assert_allclose(
    psnr(colours + 1, colours), 20 * np.log10(255 * 255 / 219)
  )


def test_equal_images_are_infinitely_near():
  found = psnr(IMAGES, IMAGES)
  assert found.shape == (3,)
  assert np.isinf(found).all()


def test_by_pixel_and_image():
  other = RNG.integers(0, 256, IMAGES.shape, dtype=np.uint8)
  weights = np.array([65.481, 128.553, 24.966]) / 255
  for border in (0, 2):
    expected = []
    for a, b in zip(np.float64(IMAGES), np.float64(other), strict=True):
      error = [
        (((a[i, j] - b[i, j]) @ weights) ** 2)
        for i in range(border, 12 - border)
        for j in range(border, 14 - border)
      ]
      expected.append(10 * np.log10(255**2 / np.mean(error)))
    np.testing.assert_allclose(
      psnr(IMAGES, other, border=border), expected, rtol=1e-12
    )


@pytest.mark.parametrize(
  ('targets', 'border', 'message'),
  [
    (IMAGES[:2], 0, r'targets: 2 for 3 images'),
    (IMAGES[:, :10], 0, r'images differ in shape'),
    (IMAGES, 6, r'images: 12 x 14 pixels without a border of 6'),
    (IMAGES, -1, r'border of -1'),
    (np.float32(IMAGES), 0, r'targets: float32 .* are no images'),
  ],
)
def test_bad_input_is_named(targets, border, message):
  with pytest.raises(InputError, match=message):
    psnr(IMAGES, targets, border=border)


def test_channels_without_a_luma_are_named():
  with pytest.raises(InputError, match='2 channels have no luma'):
    psnr(IMAGES[..., :2], IMAGES[..., :2])

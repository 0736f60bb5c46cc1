"""Structural similarity of an image to the one it should be, at one scale."""

import numpy as np

from gan_jax.metrics.ms_ssim import C1, C2, WINDOW, window
from gan_jax.metrics.psnr import luma_pair

_CHUNK = 64  # images at a time


def ssim(
  images: np.ndarray, targets: np.ndarray, *, border: int = 0
) -> np.ndarray:
  """SSIM of each pair on Y, float64 `[N]`, at most 1; 1 where they agree.

  Moments are those of a Gaussian window of 11 pixels (sigma 1.5) wherever it
  fits, and of its whole population.

  Args:
    images: uint8 `[N, H, W, C]`.
    targets: likewise.
    border: see `gan_jax.metrics.psnr.psnr`.

  Raises:
    InputError: see there, or fewer than 11 pixels.

  Reference:
    Wang et al., Image Quality Assessment: From Error Visibility to Structural
    Similarity, IEEE Transactions on Image Processing 13 (2004), eq. 13.
  """
  a, b = luma_pair(images, targets, border, WINDOW)
  parts = range(0, len(a), _CHUNK)
  return np.concatenate(
    [_of_pairs(a[i : i + _CHUNK], b[i : i + _CHUNK]) for i in parts]
  )


def _of_pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  mean_a, mean_b = _windowed(a), _windowed(b)
  var_a = _windowed(a * a) - mean_a**2
  var_b = _windowed(b * b) - mean_b**2
  shared = _windowed(a * b) - mean_a * mean_b
  luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
  structure = (2 * shared + C2) / (var_a + var_b + C2)
  return (luminance * structure).mean(axis=(1, 2))


def _windowed(x: np.ndarray) -> np.ndarray:
  """Means over the window, `[N, H, W]` -> `[N, H - 10, W - 10]`."""
  for axis in (1, 2):
    size = x.shape[axis] - WINDOW + 1
    x = sum(
      weight * np.take(x, np.arange(k, k + size), axis=axis)
      for k, weight in enumerate(window(WINDOW))
    )
  return x

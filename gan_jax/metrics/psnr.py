"""Peak signal-to-noise ratio of an image beside the one it should be."""

import numpy as np

from gan_jax.metrics.ms_ssim import check_images
from gan_jax.types import InputError


def luma(images: np.ndarray) -> np.ndarray:
  """Y of BT.601 as video has it, float64 `[N, H, W]`: white is 235, black 16.

  Grey images as they are, 0 to 255.

  Args:
    images: uint8 `[N, H, W, C]`, one channel or RGB.

  Reference:
    ITU-R, Recommendation BT.601, section 2.5; the field's super-resolution
    tables are on this Y. On a Y of full range they are 1.32 dB lower.
  """
  pixels = np.asarray(images, np.float64)
  if pixels.shape[-1] == 1:
    return pixels[..., 0]
  if pixels.shape[-1] != 3:
    raise InputError(
      f'images: {pixels.shape[-1]} channels have no luma; give grey or RGB'
    )
  return 16.0 + pixels @ np.array([65.481, 128.553, 24.966]) / 255.0


def psnr(
  images: np.ndarray, targets: np.ndarray, *, border: int = 0
) -> np.ndarray:
  """PSNR of each pair on Y, float64 `[N]`, in dB; infinite where they agree.

  10 log10(255^2 / mean squared error).

  Args:
    images: uint8 `[N, H, W, C]`.
    targets: likewise.
    border: pixels of each side that are left out; of images that were enlarged,
      the factor.

  Raises:
    InputError: no images, another shape, or a border that leaves nothing.
  """
  a, b = luma_pair(images, targets, border)
  error = ((a - b) ** 2).mean(axis=(1, 2))
  with np.errstate(divide='ignore'):
    return 10.0 * np.log10(255.0**2 / error)


def luma_pair(
  images: np.ndarray, targets: np.ndarray, border: int = 0, side: int = 1
) -> tuple[np.ndarray, np.ndarray]:
  """Both on Y, `[N, h, w]`, without their borders.

  Args:
    images: see `psnr`.
    targets: see `psnr`.
    border: see `psnr`.
    side: pixels that have to be left along each side.

  Raises:
    InputError: see `psnr`, or different numbers of images.
  """
  check_images(images=images, targets=targets)
  if len(images) != len(targets):
    raise InputError(
      f'targets: {len(targets)} for {len(images)} images; each has its own'
    )
  height, width = (n - 2 * border for n in images.shape[1:3])
  if border < 0 or min(height, width) < side:
    raise InputError(
      f'images: {images.shape[1]} x {images.shape[2]} pixels without a border '
      f'of {border} are less than the {side} x {side} that are needed'
    )
  inside = slice(border, border + height), slice(border, border + width)
  return luma(images)[:, *inside], luma(targets)[:, *inside]

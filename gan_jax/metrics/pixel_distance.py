"""How far samples are from the data in their pixels, on a scale of its own.

A Frechet distance needs features that mean something. Pixels rank no good
generators, but they tell noise and grey from images of any kind, at once and
without weights: see gan_jax.diagnosis.
"""

import numpy as np

from gan_jax.metrics.frechet import frechet_distance_of_features

_SIDE = 16  # pixels a side, at the least half of it, that are compared


def pixel_distance(fake: np.ndarray, real: np.ndarray) -> float:
  """Frechet distance of pixels, as a share of the variance of real images.

  Near 0 for samples like the data, 1 for their mean image over and over, 2 and
  more for noise. Large images are compared as means over squares of pixels.

  Args:
    fake: images `[N, H, W, C]`.
    real: images `[M, H, W, C]` of the same range.

  Returns:
    The distance; infinity if all real images are equal.
  """
  vectors = [_shrunk(images) for images in (fake, real)]
  variance = vectors[1].var(axis=0, ddof=1).sum()
  if not variance:
    return float('inf')
  return frechet_distance_of_features(*vectors) / float(variance)


def _shrunk(images: np.ndarray) -> np.ndarray:
  """float64 `[N, D]`: sides of up to 31 pixels, by means over squares."""
  factor = max(1, min(images.shape[1:3]) // _SIDE)
  num, height, width, channels = images.shape
  height, width = height // factor, width // factor
  squares = np.asarray(images[:, : height * factor, : width * factor], float)
  squares = squares.reshape(num, height, factor, width, factor, channels)
  return squares.mean(axis=(2, 4)).reshape(num, -1)

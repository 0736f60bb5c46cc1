"""How well points cover the modes of a known Gaussian mixture.

Reference:
  Srivastava et al., VEEGAN, arXiv 1705.07761, section 4.1; Lin et al., PacGAN,
  arXiv 1712.04086, section 4.1: a point is of high quality within 3 standard
  deviations of its nearest mode, and a mode counts with one such point.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.predictions import kl


class MixtureModes(NamedTuple):
  """Of a sample of points.

  Attributes:
    captured: modes with at least one point of high quality.
    num_modes: modes there are.
    high_quality: share of such points, in [0, 1]; 1 - exp(-9/2) = .989 for a
      perfect sampler in two dimensions.
    reverse_kl: KL(shares of the high-quality points || uniform), nats; NaN
      without any such point.
  """

  captured: int
  num_modes: int
  high_quality: float
  reverse_kl: float


def mixture_modes(
  points: np.ndarray, means: np.ndarray, std: float
) -> MixtureModes:
  """Modes captured, share of high quality, and how even the modes are.

  Args:
    points: `[N, d]`.
    means: of the modes, `[K, d]`.
    std: of every mode, in each coordinate.
  """
  points, means = np.asarray(points, float), np.asarray(means, float)
  distances = np.linalg.norm(points[:, None] - means[None], axis=-1)
  near = distances.min(axis=1) < 3.0 * std
  counts = np.bincount(distances.argmin(axis=1)[near], minlength=len(means))
  num = counts.sum()
  uniform = np.full(len(means), 1.0 / len(means))
  return MixtureModes(
    int(np.count_nonzero(counts)),
    len(means),
    float(near.mean()) if len(points) else 0.0,
    float(kl(counts / num, uniform)) if num else float('nan'),
  )

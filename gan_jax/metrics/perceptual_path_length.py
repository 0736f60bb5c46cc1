"""How evenly images change along the way from one latent to another."""

from typing import NamedTuple

import numpy as np

_LEAST, _MOST = 1, 99  # percentiles; what lies beyond is left out


class PathLength(NamedTuple):
  """A mean over pairs of latents.

  Attributes:
    value: the mean, 0 to infinity; lower is smoother.
    standard_error: of it.
    kept: pairs that it is over.
  """

  value: float
  standard_error: float
  kept: int


def perceptual_path_length(distances: np.ndarray) -> PathLength:
  """The mean of squared distances, without the hundredths at both ends.

  Args:
    distances: of images a step apart, divided by the squared step, `[N]`.

  Reference:
    Karras et al., A Style-Based Generator Architecture for Generative
    Adversarial Networks, arXiv 1812.04948, section 4.1 and equations 2 and 3;
    percentiles as in the authors' code.
  """
  distances = np.asarray(distances, np.float64)
  low = np.percentile(distances, _LEAST, method='lower')
  high = np.percentile(distances, _MOST, method='higher')
  kept = distances[(low <= distances) & (distances <= high)]
  error = kept.std(ddof=1) / np.sqrt(len(kept)) if len(kept) > 1 else np.nan
  return PathLength(float(kept.mean()), float(error), len(kept))

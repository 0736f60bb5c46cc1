"""Density and coverage.

Reference:
  Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models,
  arXiv 2002.09797, equations 5 and 7; k = 5 there.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.neighbours import Neighbourhoods


class DensityCoverage(NamedTuple):
  """How thickly fakes lie among real images, and how widely.

  Attributes:
    density: mean number of real balls that a fake lies in, over k; 1 in
      expectation for equal distributions, unbounded above.
    coverage: share of real balls with a fake in them, in [0, 1].
  """

  density: float
  coverage: float


def density_coverage(neighbourhoods: Neighbourhoods) -> DensityCoverage:
  """Density and coverage; balls are open, as in the authors' `prdc`."""
  return DensityCoverage(
    float(neighbourhoods.real_balls.mean() / neighbourhoods.k),
    float(neighbourhoods.real_ball_hit.mean()),
  )


def expected_coverage(num_real: int, num_fake: int, k: int) -> float:
  """Coverage that a perfect generator has on average.

  1 - prod_{i<k} (n - i) / (m + n - i), with n = num_real - 1 others of a real
  image and m fakes: that none of them is among its k nearest.
  """
  others = num_real - 1 - np.arange(k)
  return float(1.0 - np.prod(others / (num_fake + others)))

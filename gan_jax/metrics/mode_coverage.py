"""How many classes a generator reaches, and how evenly.

Reference:
  Metz et al., Unrolled Generative Adversarial Networks, arXiv 1611.02163,
  section 3.3.1: a mode counts when one sample at least is classified as it;
  KL between the classified samples and the uniform distribution.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.predictions import kl


class ModeCoverage(NamedTuple):
  """Modes reached.

  Attributes:
    captured: classes with at least one image.
    num_modes: classes there are.
    kl_to_uniform: KL(shares || uniform), nats, 0 to log(num_modes).
    noise_floor: mean of that KL for a perfect sampler with as many images,
      (K - 1) / 2n to first order.
  """

  captured: int
  num_modes: int
  kl_to_uniform: float
  noise_floor: float


def mode_coverage(counts: np.ndarray) -> ModeCoverage:
  """Modes captured and KL to uniform.

  Args:
    counts: images classified as each class, int `[K]`.
  """
  num, num_modes = counts.sum(), len(counts)
  uniform = np.full(num_modes, 1.0 / num_modes)
  return ModeCoverage(
    int(np.count_nonzero(counts)),
    num_modes,
    kl(counts / num, uniform),
    float((num_modes - 1) / (2.0 * num)),
  )

"""Improved precision and recall.

Reference:
  Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing
  Generative Models, arXiv 1904.06991, equations 1 and 2; k = 3 there.
"""

from typing import NamedTuple

from gan_jax.metrics.neighbours import Neighbourhoods


class PrecisionRecall(NamedTuple):
  """Shares in [0, 1].

  Attributes:
    precision: of fakes in the k-nearest-neighbour balls of real images.
    recall: of real images in those of fakes.
  """

  precision: float
  recall: float


def precision_recall(neighbourhoods: Neighbourhoods) -> PrecisionRecall:
  """Precision and recall; balls are closed, as in the paper's equation 1."""
  return PrecisionRecall(
    float(neighbourhoods.fake_in_real.mean()),
    float(neighbourhoods.real_in_fake.mean()),
  )

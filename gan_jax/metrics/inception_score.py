"""The Inception score.

Reference:
  Salimans et al., Improved Techniques for Training GANs, arXiv 1606.03498,
  section 4: exp(E_x KL(p(y|x) || p(y))), mean over splits.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.predictions import Predictions, information


class InceptionScore(NamedTuple):
  """Mean and population standard deviation over splits, as usually reported.

  Between 1, every image with the same prediction, and the number of classes.
  """

  value: float
  standard_deviation: float


def inception_score(predictions: Predictions) -> InceptionScore:
  """Takes exp of the mean KL of predictions to their own split's marginal.

  Args:
    predictions: of the generated images, see `PredictionStream`; its splits
      are the score's.
  """
  nums = predictions.nums
  marginals = predictions.probabilities / nums[:, None]
  scores = np.exp(information(marginals, predictions.entropies / nums))
  return InceptionScore(float(scores.mean()), float(scores.std()))

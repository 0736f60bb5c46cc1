"""The mode score: the Inception score, less what the classes are off by.

Reference:
  Che et al., Mode Regularized Generative Adversarial Networks, arXiv
  1612.02136, section 4.1. Equation as printed, exp(E KL(p(y|x) || p*) -
  KL(p_bar || p*)), p_bar being the generated marginal, is algebraically the
  Inception score: the data's p* cancels. This is the form that compares:
  exp(E KL(p(y|x) || p_bar) - KL(p_bar || p*)).
"""

import numpy as np

from gan_jax.metrics.predictions import Predictions, information, kl


def mode_score(predictions: Predictions, reference: np.ndarray) -> float:
  """exp(E KL(p(y|x) || p_bar) - KL(p_bar || p*)).

  Args:
    predictions: of the generated images; its splits are taken together.
    reference: p*, the mean prediction on real images, `[K]`.

  Returns:
    At most the Inception score without splits; equal where the marginals are;
    0 where the fakes have a class that real images lack altogether.
  """
  p_bar = predictions.marginal
  mean_entropy = predictions.entropies.sum() / predictions.nums.sum()
  gain = information(p_bar, mean_entropy)
  return float(np.exp(gain - kl(p_bar, reference)))

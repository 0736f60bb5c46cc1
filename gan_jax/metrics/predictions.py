"""What a classifier says of a set of images, accumulated batch by batch.

The Inception score, the mode score and the count of modes are functions of
these sums; none of them needs the predictions of all images at once.
"""

from typing import NamedTuple

import numpy as np
import scipy  # whose parts are read when they are used

from gan_jax.types import InputError


class Predictions(NamedTuple):
  """Sums over images, one row for each of S splits; float64.

  Attributes:
    nums: images in each split, `[S]`.
    probabilities: sum of p(y|x), `[S, K]`.
    entropies: sum of the entropies of p(y|x), nats, `[S]`.
    counts: images whose likeliest class is k, over all splits, int `[K]`.
  """

  nums: np.ndarray
  probabilities: np.ndarray
  entropies: np.ndarray
  counts: np.ndarray

  @property
  def marginal(self) -> np.ndarray:
    """Mean of p(y|x) over all images, `[K]`."""
    return self.probabilities.sum(axis=0) / self.nums.sum()


class PredictionStream:
  """Accumulates the predictions of a known number of images."""

  def __init__(self, num: int, *, splits: int = 1, seed: int | None = 2020):
    """Deals images out to splits.

    Args:
      num: images that will come.
      splits: parts, of sizes that differ by one at most.
      seed: of the permutation that deals them out, torch-fidelity's by
        default; None keeps them in order.

    Raises:
      InputError: fewer images than splits.
    """
    if not 1 <= splits <= num:
      raise InputError(
        f'eval.splits: {splits} is not between 1 and the {num} images'
      )
    ends = (np.arange(1, splits + 1) * num) // splits
    places = np.arange(num)
    if seed is not None:
      order = np.random.RandomState(seed).permutation(num)
      places = np.argsort(order)
    self._split_of = np.searchsorted(ends, places, side='right')
    self._splits, self._seen = splits, 0
    self._sums = None

  def update(self, logits: np.ndarray) -> None:
    """Takes the next images in, as logits `[B, K]`."""
    log_p = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=1)
    p = np.exp(log_p)
    if self._sums is None:
      classes = p.shape[1]
      self._sums = Predictions(
        np.zeros(self._splits, int),
        np.zeros((self._splits, classes)),
        np.zeros(self._splits),
        np.zeros(classes, int),
      )
    split = self._split_of[self._seen : self._seen + len(p)]
    self._seen += len(p)
    np.add.at(self._sums.nums, split, 1)
    np.add.at(self._sums.probabilities, split, p)
    np.add.at(self._sums.entropies, split, scipy.special.entr(p).sum(axis=1))
    np.add.at(self._sums.counts, np.argmax(log_p, axis=1), 1)

  def result(self) -> Predictions:
    """The sums."""
    return self._sums


def predictions(
  logits: np.ndarray, *, splits: int = 1, seed: int | None = 2020
) -> Predictions:
  """The sums over logits `[N, K]`, see `PredictionStream`."""
  stream = PredictionStream(len(logits), splits=splits, seed=seed)
  stream.update(logits)
  return stream.result()


def information(marginal: np.ndarray, mean_entropy: np.ndarray) -> np.ndarray:
  """E KL(p(y|x) || p_bar) = H(p_bar) - E H(p(y|x)), nats.

  Args:
    marginal: p_bar, `[..., K]`.
    mean_entropy: E H(p(y|x)), `[...]`.
  """
  return scipy.special.entr(marginal).sum(axis=-1) - mean_entropy


def kl(p: np.ndarray, q: np.ndarray) -> float:
  """KL(p || q) of two discrete distributions `[K]`, nats; may be inf."""
  return float(scipy.special.rel_entr(p, q).sum())

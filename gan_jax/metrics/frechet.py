"""Frechet distance of two sets of features, as FID has it.

Everything is float64 on the host: FID is a small difference of large traces.
Statistics accumulate batch by batch; no pile of features is kept.

Reference:
  Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a
  Local Nash Equilibrium, arXiv 1706.08500, section 4 and equation 6.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.types import InputError


class Moments(NamedTuple):
  """Mean and covariance of a set of features.

  Attributes:
    num: how many vectors.
    mean: float64 `[D]`.
    covariance: float64 `[D, D]`, unbiased (divided by num - 1).
  """

  num: int
  mean: np.ndarray
  covariance: np.ndarray


class MomentStream:
  """Accumulates moments of features that come in batches."""

  def __init__(self):
    self._num = 0

  def update(self, features: np.ndarray) -> None:
    """Takes features `[B, D]` in, any float type."""
    features = np.asarray(features, np.float64)
    if self._num == 0:
      # Sums around a point of the cloud: nothing cancels later.
      self._centre = features.mean(axis=0)
      size = len(self._centre)
      self._sum = np.zeros(size)
      self._products = np.zeros((size, size))
    centred = features - self._centre
    self._num += len(features)
    self._sum += centred.sum(axis=0)
    self._products += centred.T @ centred

  def result(self) -> Moments:
    """The moments of all that came.

    Raises:
      InputError: fewer than two vectors came.
    """
    if self._num < 2:
      raise InputError(
        f'features: {self._num} vectors have no covariance; at least 2 are '
        'needed'
      )
    scatter = self._products - np.outer(self._sum, self._sum) / self._num
    return Moments(
      self._num,
      self._centre + self._sum / self._num,
      scatter / (self._num - 1),
    )


def moments(features: np.ndarray) -> Moments:
  """Moments of features `[N, D]`."""
  stream = MomentStream()
  stream.update(features)
  return stream.result()


class _Spectra:
  """Eigenvalues and vectors of the last few matrices that were asked for.

  The real images' are wanted again for every set of fakes. A matrix is known
  by its array, which nobody changes.
  """

  def __init__(self, most: int = 2):
    self._kept: collections.deque = collections.deque(maxlen=most)

  def __call__(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, negative rounding clipped at 0, and eigenvectors."""
    for known, found in tuple(self._kept):
      if known is matrix:
        return found
    values, vectors = np.linalg.eigh(matrix)
    found = np.clip(values, 0.0, None), vectors
    self._kept.append((matrix, found))
    return found


_eigh = _Spectra()


def frechet_distance(a: Moments, b: Moments) -> float:
  """|mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), at least 0.

  The form with two symmetric square roots is real for every pair of
  covariances, singular ones too.

  Args:
    a: moments of one set.
    b: moments of the other.

  Raises:
    InputError: they have different dimensions.
  """
  if a.mean.shape != b.mean.shape:
    raise InputError(
      f'features: {len(a.mean)} and {len(b.mean)} dimensions cannot be compared'
    )
  values, vectors = _eigh(a.covariance)
  root = (vectors * np.sqrt(values)) @ vectors.T
  product = root @ b.covariance @ root
  cross = np.linalg.eigvalsh((product + product.T) / 2.0)
  overlap = np.sqrt(np.clip(cross, 0.0, None)).sum()
  return _assemble(a, b, overlap)


def frechet_distance_of_features(a: np.ndarray, b: np.ndarray) -> float:
  """The same from features `[N, D]` and `[M, D]`, through the nuclear norm.

  tr (A^1/2 B A^1/2)^1/2 is the nuclear norm of X_a X_b^T, with X the centred
  features over sqrt(n - 1). No covariance is formed, so no precision is lost
  to squaring; cheap where there are fewer vectors than dimensions.
  """
  scaled = [
    (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    for x in (np.asarray(a, np.float64), np.asarray(b, np.float64))
  ]
  overlap = np.linalg.norm(scaled[0] @ scaled[1].T, ord='nuc')
  return _assemble(moments(a), moments(b), overlap)


def _assemble(a: Moments, b: Moments, overlap: float) -> float:
  difference = a.mean - b.mean
  traces = np.trace(a.covariance) + np.trace(b.covariance)
  # Equal sets end a rounding error below 0.
  return max(0.0, float(difference @ difference + traces - 2.0 * overlap))


def expected_bias(reference: Moments, num: int, num_other: int) -> float:
  """What FID is, on average, between two samples of one Gaussian.

  A perfect generator gets about this much: the second-order expansion of the
  distance around equal moments, for Gaussian features with the reference's
  covariance. With eigenvalues l_i and h = 1/num + 1/num_other it is
  h (sum_i l_i + sum_ij l_i l_j / (2 (l_i + l_j)) + sum_i l_i / 4).
  It holds for many more vectors than dimensions, and is only the order of
  magnitude below that.

  Args:
    reference: moments of the real set.
    num: vectors in one sample.
    num_other: vectors in the other.
  """
  values, _ = _eigh(reference.covariance)
  values = values[values > 1e-12 * values.max(initial=0.0)]
  pairs = np.outer(values, values) / np.add.outer(values, values)
  mean_term = values.sum()
  covariance_term = pairs.sum() / 2.0 + values.sum() / 4.0
  return float((1.0 / num + 1.0 / num_other) * (mean_term + covariance_term))


class Extrapolated(NamedTuple):
  """FID at infinitely many fakes.

  Attributes:
    value: the fitted line at 1/N = 0.
    nums: sample counts of the points.
    distances: FID at each of them.
  """

  value: float
  nums: tuple[int, ...]
  distances: tuple[float, ...]


def frechet_infinity(
  reference: Moments,
  features: np.ndarray,
  *,
  num_points: int = 15,
  smallest: int = 0,
  seed: int = 0,
) -> Extrapolated:
  """FID extrapolated to infinitely many fakes.

  FID of N samples is, to first order, linear in 1/N. Subsets of the fakes,
  drawn without replacement and with regular steps in N, give a line; its
  value at 1/N = 0 has no bias from N. The bias from the finite number of real
  images stays.

  Args:
    reference: moments of the real set.
    features: of the fakes, `[N, D]`.
    num_points: subsets, the last being the whole.
    smallest: vectors in the smallest subset; 0 takes N / 10, but at least 2 D.
      FID is a line in 1/N only for N well above D: with N below 20 D the
      result is too low.
    seed: of the subsets.

  Raises:
    InputError: too few fakes for subsets larger than D.

  Reference:
    Chong and Forsyth, Effectively Unbiased FID and Inception Score and Where
    to Find Them, arXiv 1911.07023, section 3; their subsets range from 5,000
    to 50,000 in 15 steps.
  """
  num, size = features.shape
  smallest = smallest or max(num // 10, 2 * size)
  if smallest >= num:
    raise InputError(
      f'fid_infinity: {num} fakes are too few for subsets of twice the {size} '
      'features; raise eval.num_samples'
    )
  generator = np.random.default_rng(seed)
  nums = np.unique(np.linspace(smallest, num, num_points).astype(int))
  distances = [
    frechet_distance(reference, moments(features[chosen]))
    for chosen in (generator.permutation(num)[:n] for n in nums)
  ]
  _, intercept = _line(1.0 / nums, distances)
  return Extrapolated(
    float(intercept), tuple(int(n) for n in nums), tuple(distances)
  )


def _line(x: np.ndarray, y: Sequence[float]) -> tuple[float, float]:
  """Slope and intercept of the least-squares line."""
  slope, intercept = np.polyfit(x, y, 1)
  return slope, intercept

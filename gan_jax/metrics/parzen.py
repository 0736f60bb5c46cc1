"""Parzen-window log-likelihood, the protocol of 2014: a historical score.

It is a weak estimate, kept to compare with papers that report it. In as many
dimensions as images have it is far from the log-likelihood of the model, it
ranks models otherwise than the latter does, and it can be gamed: the centres
of k-means of the training images score above the training images themselves.

Reference:
  Theis, van den Oord and Bethge, A Note on the Evaluation of Generative
  Models, arXiv 1511.01844, section 3.2, for these findings.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.ms_ssim import check_images
from gan_jax.types import InputError

SIGMAS = np.logspace(-1, 0, 10)
TILE = 1024  # points, and samples, whose distances exist at one time


class Parzen(NamedTuple):
  """The Parzen score in nats, of images with pixels in [0, 1].

  Attributes:
    mean: of the log-likelihood over the test images; higher is better.
    standard_error: standard deviation over the test images / sqrt(N).
    sigma: the bandwidth chosen on the validation images.
    num_samples: images that the windows stand on.
    num_validation: images that sigma was chosen on.
    num_test: images scored.
    at_edge: whether sigma is an end of its grid, so that one beyond may be
      better.
  """

  mean: float
  standard_error: float
  sigma: float
  num_samples: int
  num_validation: int
  num_test: int
  at_edge: bool


def check_vectors(**sets: np.ndarray) -> None:
  """Raises InputError unless all are finite vectors of one length.

  Args:
    **sets: `[N, D]`, not empty, by the name that a message shall give them.
  """
  for name, vectors in sets.items():
    if np.ndim(vectors) != 2 or not np.size(vectors):
      raise InputError(
        f'{name}: vectors of shape {np.shape(vectors)}; give [N, D], not empty'
      )
    if not np.isfinite(vectors).all():
      raise InputError(f'{name}: some values are not finite')
  lengths = {name: np.shape(vectors)[1] for name, vectors in sets.items()}
  if len(set(lengths.values())) > 1:
    listed = ', '.join(f'{name} {length}' for name, length in lengths.items())
    raise InputError(f'vectors differ in length: {listed}; give all one length')


def _check_sigmas(sigmas) -> None:
  sigmas = np.asarray(sigmas)
  if not sigmas.size or not np.all((sigmas > 0) & (sigmas < np.inf)):
    raise InputError(f'sigma: {sigmas.tolist()}; give numbers above 0')


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
  return np.maximum(squares - 2.0 * (x @ y.T), 0.0)


def _log_mean_windows(points, samples, sigmas, tile) -> np.ndarray:
  """For each sigma log mean_j exp(-|x - s_j|^2 / (2 sigma^2)), `[S, N]`.

  A sum relative to the nearest sample so far is kept for each sigma, so that
  distances are taken once for all of them, and never all at one time.
  """
  rates = 0.5 / np.square(sigmas)[:, None]
  nearest = np.full(len(points), np.inf)
  sums = np.zeros((len(sigmas), len(points)))
  for start in range(0, len(samples), tile):
    centres = samples[start : start + tile].astype(np.float64)
    for at in range(0, len(points), tile):
      rows = slice(at, at + tile)
      distances = _squared_distances(points[rows].astype(np.float64), centres)
      least = np.minimum(nearest[rows], distances.min(axis=1))
      sums[:, rows] *= np.exp(rates * (least - nearest[rows]))
      distances -= least[:, None]
      for total, rate in zip(sums, rates, strict=True):
        total[rows] += np.exp(-rate * distances).sum(axis=1)
      nearest[rows] = least
  return np.log(sums / len(samples)) - rates * nearest


def _log_likelihoods(points, samples, sigmas, tile) -> np.ndarray:
  windows = _log_mean_windows(points, samples, sigmas, tile)
  constants = points.shape[1] * np.log(np.sqrt(2.0 * np.pi) * np.array(sigmas))
  return windows - constants[:, None]


def parzen_log_likelihood(
  points: np.ndarray,
  samples: np.ndarray,
  sigma: float,
  *,
  tile: int = TILE,
) -> np.ndarray:
  """The log of the mean over samples s_j of N(x; s_j, sigma^2 I).

  Args:
    points: x, `[N, D]`.
    samples: `[M, D]`.
    sigma: standard deviation of a window, in the unit of the points.
    tile: points, and samples, at a time; changes nothing but memory, which is
      O(tile^2).

  Returns:
    float64 `[N]` in nats. It is computed in float64 throughout: the distances
    come as |x|^2 + |s|^2 - 2 x.s, which cancels in float32 for a small sigma.

  Raises:
    InputError: sets that are empty, not finite or differ in length; a sigma
      that is not above 0.

  Reference:
    Goodfellow et al., Generative Adversarial Nets, arXiv 1406.2661, Table 1;
    Breuleux, Bengio and Vincent, Quickly Generating Representative Samples
    from an RBM-Derived Process, Neural Computation 23(8), 2011.
  """
  check_vectors(points=points, samples=samples)
  _check_sigmas(sigma)
  return _log_likelihoods(points, samples, [sigma], tile)[0]


def choose_sigma(
  validation: np.ndarray,
  samples: np.ndarray,
  sigmas: np.ndarray = SIGMAS,
  *,
  tile: int = TILE,
) -> tuple[float, np.ndarray]:
  """The sigma of a grid under which validation points are likeliest.

  Args:
    validation: `[N, D]`.
    samples: `[M, D]`.
    sigmas: the grid, `[S]`.
    tile: as in `parzen_log_likelihood`.

  Returns:
    The sigma, and the mean log-likelihood under each, `[S]` in nats.

  Raises:
    InputError: as `parzen_log_likelihood`.
  """
  check_vectors(validation=validation, samples=samples)
  _check_sigmas(sigmas)
  means = _log_likelihoods(validation, samples, sigmas, tile).mean(axis=1)
  return float(sigmas[np.argmax(means)]), means


def parzen_score(
  samples: np.ndarray,
  validation: np.ndarray,
  test: np.ndarray,
  sigmas: np.ndarray = SIGMAS,
) -> Parzen:
  """The Parzen score of generated images, pixels scaled to [0, 1].

  In the paper: 10,000 samples, 1,000 images of the validation set and the
  10,000 test images of MNIST.

  Args:
    samples: generated, uint8 `[M, H, W, C]`.
    validation: real, that sigma is chosen on, uint8 `[V, H, W, C]`.
    test: real, uint8 `[N, H, W, C]`, at least two.
    sigmas: the grid of bandwidths.

  Raises:
    InputError: too few images, or shapes that differ; a sigma that is not
      above 0.

  Reference:
    Goodfellow et al., Generative Adversarial Nets, arXiv 1406.2661, section 5
    and Table 1.
  """
  check_images(samples=samples, validation=validation, test=test)
  check_images(at_least=2, test=test)
  windows, chosen_on, points = (
    x.reshape(len(x), -1).astype(np.float32) / 255
    for x in (samples, validation, test)
  )
  sigma, _ = choose_sigma(chosen_on, windows, sigmas)
  values = parzen_log_likelihood(points, windows, sigma)
  return Parzen(
    mean=float(values.mean()),
    standard_error=float(values.std() / np.sqrt(len(values))),
    sigma=sigma,
    num_samples=len(samples),
    num_validation=len(validation),
    num_test=len(test),
    at_edge=sigma in (sigmas[0], sigmas[-1]),
  )

"""Directions in z or w along which one thing about the images changes.

Of labels or of a number that is measured on images (InterFaceGAN), of weights
(SeFa), of how styles spread (GANSpace).

References:
  Shen et al., Interpreting the Latent Space of GANs for Semantic Face Editing,
  arXiv 1907.10786.
  Shen and Zhou, Closed-Form Factorization of Latent Semantics in GANs,
  arXiv 2007.06600.
  Harkonen et al., GANSpace: Discovering Interpretable GAN Controls,
  arXiv 2004.02546.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.sampling import spaces
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError


class Direction(NamedTuple):
  """A direction.

  Attributes:
    name: what changes along it.
    space: z or w.
    vector: of length 1, `[D]`.
    spread: standard deviation of what is drawn, along it: its unit.
  """

  name: str
  space: str
  vector: np.ndarray
  spread: float


def unit(vector: np.ndarray) -> np.ndarray:
  """The vector at length 1, float64."""
  vector = np.asarray(vector, np.float64)
  return vector / np.linalg.norm(vector)


def of_scores(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
  """Where a number rises fastest, by least squares; length 1.

  Args:
    points: `[N, D]`.
    scores: `[N]`, of their images.

  Raises:
    InputError: the number is the same of all.
  """
  centred = points - points.mean(axis=0)
  scores = scores - scores.mean()
  if not np.isfinite(scores).all() or scores.std() < 1e-12:
    raise InputError('edit.direction: it is the same of all images drawn')
  found = np.linalg.lstsq(centred, scores, rcond=None)[0]
  return unit(found)


def of_labels(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """The normal of the plane between two classes, by logistic regression.

  Args:
    points: `[N, D]`.
    labels: bool `[N]`; the normal points to those that are true.

  Raises:
    InputError: one of the classes has no point.

  Reference:
    arXiv 1907.10786, section 3.1 (a linear SVM there).
  """
  from sklearn.linear_model import LogisticRegression

  if labels.all() or not labels.any():
    raise InputError(
      f'edit.direction: {int(labels.sum())} of {len(labels)} images drawn are '
      'of that class; take another, or more edit.samples'
    )
  scale = points.std(axis=0) + 1e-12
  model = LogisticRegression(max_iter=1_000).fit(points / scale, labels)
  return unit(model.coef_[0] / scale)


def orthogonal(vector: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
  """What is left of a direction across all others; length 1.

  Args:
    vector: `[D]`.
    others: `[D]` each.

  Raises:
    InputError: nothing is.

  Reference:
    arXiv 1907.10786, section 3.2: n1 - (n1 . n2) n2.
  """
  vector = unit(vector)
  if not len(others):
    return vector
  basis, _ = np.linalg.qr(np.stack(others, axis=1).astype(np.float64))
  rest = vector - basis @ (basis.T @ vector)
  if np.linalg.norm(rest) < 1e-6:
    raise InputError(
      'edit.against: nothing of the direction is left across these; leave one '
      'out'
    )
  return unit(rest)


def sefa(weights: np.ndarray) -> np.ndarray:
  """Directions that a linear layer changes most, the most first: `[D, D]`.

  Rows are eigenvectors of A^T A, and so right singular vectors of A.

  Args:
    weights: A `[out, D]`, y = A x.

  Reference:
    arXiv 2007.06600, eq. 6 (the authors' code scales rows of A to length 1).
  """
  weights = np.asarray(weights, np.float64)
  _, vectors = np.linalg.eigh(weights.T @ weights)
  return signed(vectors.T[::-1])


def principal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Principal components as rows `[D, D]`, the largest first, and deviations.

  Args:
    points: `[N, D]`.

  Reference:
    arXiv 2004.02546, section 2.1.
  """
  centred = np.asarray(points, np.float64) - points.mean(axis=0)
  variances, vectors = np.linalg.eigh(centred.T @ centred / len(points))
  deviations = np.sqrt(np.maximum(variances[::-1], 0.0))
  return signed(vectors.T[::-1]), deviations


def signed(rows: np.ndarray) -> np.ndarray:
  """Rows whose largest number is positive, which eigenvectors leave open."""
  largest = np.abs(rows).argmax(axis=1)[:, None]
  return rows * np.sign(np.take_along_axis(rows, largest, axis=1))


# --- Of a generator -----------------------------------------------------------


def layer_weights(gan: Sampler, space: str) -> np.ndarray:
  """A `[out, D]` of the layers that first see z, or w.

  In w all maps from a style to scales and biases, one below the other; in z the
  first linear layer, of a style-based G that of its mapping.

  Args:
    gan: the generator.
    space: z or w.

  Raises:
    InputError: there is no such layer.
  """
  params = gan.variables['params']
  if space == 'w':
    rest = {name: own for name, own in params.items() if name != 'mapping'}
    width = gan.mean_style().shape[-1]
    found = [x for x in _kernels(rest) if x.ndim == 2 and len(x) == width]
    return np.concatenate([np.asarray(x).T for x in found])
  params = params.get('mapping', params) if gan.has_styles else params
  own = spaces.free(gan)
  size = own.stop - own.start
  embedded = [x.shape[-1] for x in _leaves(params, 'embedding')]
  entering = {gan.latent_dim - gan.num_seeds + n for n in (0, sum(embedded))}
  found = [x for x in _kernels(params) if x.shape[-2] in entering]
  if not found:
    raise InputError(
      'edit.direction: sefa reads the layer that first sees z, and this '
      'generator has none of all of z; take pca_0 of a style-based one, or an '
      'attribute'
    )
  first = np.moveaxis(np.asarray(found[0]), -2, 0)  # what enters, then the rest
  return first.reshape(len(first), -1)[:size].T


def _leaves(params: Any, name: str) -> list[Any]:
  paths = jax.tree_util.tree_leaves_with_path(params)
  return [x for path, x in paths if path[-1].key == name]


def _kernels(params: Any) -> list[Any]:
  return [x for x in _leaves(params, 'kernel') if x.ndim >= 2]


def points_of(
  gan: Sampler, latents: np.ndarray, labels: np.ndarray | None, space: str
) -> np.ndarray:
  """Where latents lie in z or w, `[N, D]`; of a class beside its mean.

  What makes the classes is then no direction, and left to the labels.
  """
  if space == 'z':
    return latents[:, spaces.free(gan)]
  return within_classes(gan.styles(latents, labels)[:, 0], labels)


def within_classes(values: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
  """Values `[N, ...]` without the mean of their class."""
  values = np.array(values, np.float64)
  if labels is None:
    return values
  for label in np.unique(labels):
    values[labels == label] -= values[labels == label].mean(axis=0)
  return values


def parse_layers(text: str, num: int) -> tuple[int, ...]:
  """Layers that a text names, such as `0-3` or `2,5`; all for ''.

  Raises:
    InputError: it names none, or one that there is not.
  """
  if not text:
    return tuple(range(num))
  found = set()
  for part in text.split(','):
    ends = part.strip().split('-')
    if not all(end.isdigit() for end in ends) or len(ends) > 2:
      raise InputError(
        f'edit.layers: {text!r} names no layers; write such as 0-3 or 2,5'
      )
    found |= set(range(int(ends[0]), int(ends[-1]) + 1))
  if not found or max(found) >= num:
    raise InputError(
      f'edit.layers: {text!r} names layers that there are not; this generator '
      f'has 0 to {num - 1}'
    )
  return tuple(sorted(found))


def edited(
  gan: Sampler,
  direction: Direction,
  amounts: Sequence[float],
  latents: np.ndarray,
  labels: np.ndarray | None = None,
  *,
  styles: np.ndarray | None = None,
  noise: Any = None,
  layers: Sequence[int] = (),
) -> np.ndarray:
  """Images along a direction, uint8 `[A, N, H, W, C]`.

  Args:
    gan: the generator.
    direction: in one of its spaces.
    amounts: how far, in standard deviations of the direction.
    latents: `[N, Z]`.
    labels: int32 `[N]`, of a conditional run.
    styles: `[N, L, W]`, in place of those of the latents.
    noise: maps of noise of these, in place of the latents' own.
    layers: those whose styles move; () for all.

  Raises:
    InputError: a direction of another generator, or layers of one without
      styles.
  """
  if direction.space == 'z':
    if len(layers) or styles is not None:
      raise InputError(
        'edit.layers: a direction in z moves all layers at once; take one in '
        'w, of a style-based generator'
      )
    own = spaces.free(gan)
    _check_size(direction, own.stop - own.start)
    step = direction.spread * direction.vector
    moved = [
      spaces.with_noise(
        gan, latents, np.float32(latents[:, own] + amount * step)
      )
      for amount in amounts
    ]
    if labels is not None:
      labels = np.tile(labels, len(moved))
    return _by_amount(gan.generate(np.concatenate(moved), labels), len(moved))
  styles = gan.styles(latents, labels) if styles is None else styles
  _check_size(direction, styles.shape[-1])
  step = np.zeros(styles.shape[1:])
  step[list(layers or range(len(step)))] = direction.spread * direction.vector
  moved = [np.float32(styles + amount * step) for amount in amounts]
  noise = jax.tree.map(
    lambda x: np.concatenate([x] * len(moved)),
    latents if noise is None else noise,
  )
  return _by_amount(gan.paint(np.concatenate(moved), noise), len(moved))


def _by_amount(images: np.ndarray, num: int) -> np.ndarray:
  """Images `[A N, ...]`, made in one go, as `[A, N, ...]`."""
  return images.reshape(num, -1, *images.shape[1:])


def _check_size(direction: Direction, size: int) -> None:
  if len(direction.vector) != size:
    raise InputError(
      f'edit.direction: {direction.name} has {len(direction.vector)} numbers, '
      f'and {direction.space} of this generator {size}: it is of another one'
    )


def monotone(values: np.ndarray) -> float:
  """Share of examples whose number never falls, of `[A, N]`."""
  return float((np.diff(values, axis=0) >= 0).all(axis=0).mean())


def drift(values: np.ndarray, drawn: np.ndarray) -> float:
  """How far a number goes from end to end, beside its range; in [0, inf).

  The mean size of the change of each example, over the range from the 1st to
  the 99th percentile.

  Args:
    values: `[A, N]`.
    drawn: `[M]`, of what is drawn.
  """
  low, high = np.percentile(drawn, (1, 99))
  if math.isclose(low, high):
    return 0.0
  return float(np.abs(values[-1] - values[0]).mean() / (high - low))

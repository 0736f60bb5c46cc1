"""k-nearest neighbours of two sets of features, in tiles.

Distances are taken on the device around the real mean as |x|^2 + |y|^2 - 2
x.y, in float32, and again in float64 if balls are so small that this cancels
(copies, tight clusters). Only one tile of the `[N, M]` distances exists at a
time, so that memory is O((N + M) (D + tile)).
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.types import InputError

TILE = 512  # rows of distances at a time


class Neighbourhoods(NamedTuple):
  """Two sets seen through their k-nearest-neighbour balls, for one k.

  A ball around each vector reaches its k-th nearest other of its own set.

  Attributes:
    k: the number of neighbours.
    fake_in_real: whether a fake lies in a closed real ball, bool `[M]`.
    real_in_fake: whether a real vector lies in a closed fake ball, `[N]`.
    real_balls: real balls, open, that a fake lies in, int `[M]`.
    real_ball_hit: whether a real ball, open, has a fake in it, bool `[N]`.
  """

  k: int
  fake_in_real: np.ndarray
  real_in_fake: np.ndarray
  real_balls: np.ndarray
  real_ball_hit: np.ndarray


def _squared_distances(rows, points):
  products = jnp.matmul(rows, points.T, precision='highest')
  squares = jnp.sum(rows**2, axis=1)[:, None] + jnp.sum(points**2, axis=1)
  distances = squares - 2.0 * products
  # What is rounding is nought: copies shall be at distance 0.
  nought = 32.0 * jnp.finfo(distances.dtype).eps * squares
  return jnp.where(distances < nought, 0.0, distances)


@functools.partial(jax.jit, static_argnames='k')
def _nearest(rows, own, points, k):
  """The k smallest squared distances of rows to points but themselves."""
  distances = _squared_distances(rows, points)
  distances = distances.at[jnp.arange(len(rows)), own].set(jnp.inf)
  value = jnp.full(len(rows), -jnp.inf, distances.dtype)
  smallest, upto = [], 0  # k passes: `top_k` sorts, where it is not float32
  for rank in range(k):
    larger = jnp.where(distances > value[:, None], distances, jnp.inf)
    value = jnp.where(upto > rank, value, larger.min(axis=1))
    upto = jnp.sum(distances <= value[:, None], axis=1)
    smallest.append(value)
  return jnp.stack(smallest, axis=1)


@jax.jit
def _meet(rows, radii, valid, points, point_radii):
  """One tile of real rows against all fakes; radii `[B, K]`, `[M, K]`."""
  distances = _squared_distances(rows, points)[..., None]
  distances = jnp.where(valid[:, None, None], distances, jnp.inf)
  closed, inside = distances <= radii[:, None], distances < radii[:, None]
  in_fake = jnp.any(distances <= point_radii, axis=1)
  return (
    jnp.any(closed, axis=0),
    in_fake,
    jnp.sum(inside, axis=0),
    jnp.any(inside, axis=1),
  )


def _tiles(num: int, tile: int) -> Iterator[np.ndarray]:
  """Indices in tiles of one size; the last one goes on past the end."""
  for start in range(0, num, tile):
    yield np.arange(start, start + tile)


def squared_radii(points: jax.Array, k: int, tile: int = TILE) -> np.ndarray:
  """Squared distances to the 1st .. k-th nearest other vector, `[N, k]`.

  Args:
    points: float `[N, D]`.
    k: at most N - 1.
    tile: rows at a time.
  """
  num = len(points)
  parts = []
  for rows in _tiles(num, tile):
    rows = np.minimum(rows, num - 1)
    parts.append(np.asarray(_nearest(points[rows], rows, points, k)))
  return np.concatenate(parts)[:num]


class Reference:
  """Real features, with what is the same for all sets of fakes kept.

  Attributes:
    features: `[N, D]`.
    centre: their mean, float64 `[D]`.
  """

  def __init__(self, features: np.ndarray):
    """Takes them as they are; radii are worked out when first needed."""
    self.features = features
    self.centre = features.mean(axis=0, dtype=np.float64)
    self._radii: dict[np.dtype, np.ndarray] = {}

  def centred(self, features: np.ndarray, dtype: type) -> jax.Array:
    """Features `[M, D]` around the real mean."""
    return jnp.asarray(
      np.subtract(features, self.centre, dtype=dtype, casting='same_kind')
    )

  def squared_radii(self, real: jax.Array, k: int, tile: int) -> np.ndarray:
    """Those of the centred real features, see the function; `[N, >= k]`."""
    known = self._radii.get(real.dtype)
    if known is None or known.shape[1] < k:
      self._radii[real.dtype] = squared_radii(real, k, tile)
    return self._radii[real.dtype]


def neighbourhoods(
  real: np.ndarray | Reference,
  fake: np.ndarray,
  ks: Sequence[int],
  *,
  tile: int = TILE,
) -> dict[int, Neighbourhoods]:
  """Who lies in whose balls, for several k in one pass over the distances.

  Args:
    real: features `[N, D]`; a `Reference` where fakes of several generators
      meet the same ones.
    fake: features `[M, D]`.
    ks: numbers of neighbours, each at least 1.
    tile: rows of distances at a time; changes nothing but memory.

  Raises:
    InputError: a set has fewer than k + 1 vectors, or k is below 1.
  """
  if not isinstance(real, Reference):
    real = Reference(real)
  ks, most = sorted(set(ks)), max(ks)
  if ks[0] < 1:
    raise InputError(f'k: {ks[0]} neighbours; at least 1 is needed')
  for name, features in (('real', real.features), ('generated', fake)):
    if len(features) < most + 1:
      raise InputError(
        f'k: {most} neighbours need {most + 1} images, and there are '
        f'{len(features)} {name} ones'
      )
  found = _in_precision(np.float32, real, fake, ks, tile)
  if found is None:
    with jax.enable_x64(True):
      found = _in_precision(np.float64, real, fake, ks, tile)
  return found


# Of |x|^2: a squared radius below is too near to float32's rounding.
_SMALLEST = 1e-4


def _in_precision(
  dtype, real, fake, ks, tile
) -> dict[int, Neighbourhoods] | None:
  """Neighbourhoods; None if float32 is not enough for these sets."""
  x, y = (real.centred(features, dtype) for features in (real.features, fake))
  columns = [k - 1 for k in ks]
  of_real = real.squared_radii(x, max(ks), tile)[:, columns]
  of_fake = squared_radii(y, max(ks), tile)[:, columns]
  if dtype == np.float32:
    for points, smallest in ((x, of_real[:, 0]), (y, of_fake[:, 0])):
      if np.any(smallest < _SMALLEST * np.asarray(jnp.sum(points**2, axis=1))):
        return None
  of_fake = jnp.asarray(of_fake)
  num_real, num_fake = len(x), len(y)
  fake_in_real = np.zeros((num_fake, len(ks)), bool)
  balls = np.zeros((num_fake, len(ks)), int)
  real_in_fake, hit = [], []
  for rows in _tiles(num_real, tile):
    valid = rows < num_real
    rows = np.minimum(rows, num_real - 1)
    parts = _meet(x[rows], of_real[rows], valid, y, of_fake)
    closed, in_fake, inside, any_inside = map(np.asarray, parts)
    fake_in_real |= closed
    balls += inside
    real_in_fake.append(in_fake[valid])
    hit.append(any_inside[valid])
  real_in_fake, hit = np.concatenate(real_in_fake), np.concatenate(hit)
  return {
    k: Neighbourhoods(
      k, fake_in_real[:, i], real_in_fake[:, i], balls[:, i], hit[:, i]
    )
    for i, k in enumerate(ks)
  }

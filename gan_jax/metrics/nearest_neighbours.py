"""Distances of images to their nearest neighbours: a memorisation check.

A generator that copies its training images lies closer to them than unseen
real images do. The distance to the nearest of n images shrinks as n grows, so
reference sets of equal size are to be compared.
"""

import jax
import jax.numpy as jnp
import numpy as np

_TILE = 256  # queries a call; memory is O(_TILE * references)


@jax.jit
def _tile_distances(queries, references, squared_norms):
  # |x|^2 + |y|^2 - 2 x.y finds the neighbour (|x|^2 does not matter), but
  # cancels where it is close: the distance itself is taken directly.
  products = jnp.matmul(queries, references.T, precision='highest')
  nearest = jnp.argmin(squared_norms - 2 * products, axis=1)
  return jnp.linalg.norm(queries - references[nearest], axis=1)


def nearest_distances(images: np.ndarray, references: np.ndarray) -> np.ndarray:
  """Euclidean distance of each image to the nearest reference, in pixels.

  Args:
    images: uint8 `[N, H, W, C]`.
    references: uint8 `[M, H, W, C]`.

  Returns:
    float32 `[N]`: root of the summed squared differences, in units of the
    full pixel range (0 to 1 per channel).
  """
  queries, keys = (
    x.reshape(len(x), -1).astype(np.float32) for x in (images, references)
  )
  # The search is more exact around the mean; whole numbers stay whole.
  centre = np.round(keys.mean(axis=0))
  queries, keys = queries - centre, jnp.asarray(keys - centre)
  squared_norms = jnp.sum(keys**2, axis=1)
  tiles = [
    np.asarray(_tile_distances(queries[i : i + _TILE], keys, squared_norms))
    for i in range(0, len(queries), _TILE)
  ]
  return np.concatenate(tiles) / 255.0

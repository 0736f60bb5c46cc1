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
  products = queries @ references.T
  squares = jnp.sum(queries**2, axis=1)[:, None] + squared_norms
  return jnp.sqrt(jnp.maximum(jnp.min(squares - 2 * products, axis=1), 0.0))


def nearest_distances(images: np.ndarray, references: np.ndarray) -> np.ndarray:
  """Euclidean distance of each image to the nearest reference, in pixels.

  Args:
    images: uint8 `[N, H, W, C]`.
    references: uint8 `[M, H, W, C]`.

  Returns:
    float32 `[N]`: root of the summed squared differences, in units of the
    full pixel range (0 to 1 per channel).
  """
  flat = [
    x.reshape(len(x), -1).astype(np.float32) for x in (images, references)
  ]
  # Integers up to 255 square and sum exactly enough in float32 around their
  # mean; the scale comes last.
  centre = flat[1].mean(axis=0)
  queries, keys = (x - centre for x in flat)
  keys = jnp.asarray(keys)
  squared_norms = jnp.sum(keys**2, axis=1)
  tiles = [
    np.asarray(_tile_distances(queries[i : i + _TILE], keys, squared_norms))
    for i in range(0, len(queries), _TILE)
  ]
  return np.concatenate(tiles) / 255.0

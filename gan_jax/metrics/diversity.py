"""A batch of fakes beside one of real examples: how far apart, how sharp.

Cheap enough to be taken while training. The Birthday-paradox view of collapse
(Arora and Zhang, Do GANs actually learn the distribution?, arXiv 1706.08224):
a generator of few modes repeats itself within a batch.
"""

import jax
import jax.numpy as jnp


def squared_distances(examples: jax.Array) -> jax.Array:
  """Between all pairs of a batch, `[B, ...]` -> `[B, B]`; 0 for equal ones."""
  flat = examples.reshape(len(examples), -1)
  flat = flat.astype(jnp.promote_types(flat.dtype, jnp.float32))
  flat = flat - flat.mean(axis=0)  # small numbers cancel less
  norms = jnp.sum(flat**2, axis=1)
  products = flat @ flat.T
  return jnp.maximum(norms[:, None] + norms[None] - 2.0 * products, 0.0)


def spread(examples: jax.Array) -> jax.Array:
  """Root mean squared distance over all pairs of different examples."""
  num = len(examples)
  squares = squared_distances(examples)
  return jnp.sqrt(jnp.sum(squares) / (num * max(1, num - 1)))


def nearest(examples: jax.Array) -> jax.Array:
  """Mean distance of an example to its nearest other one."""
  squares = squared_distances(examples)
  others = jnp.where(jnp.eye(len(examples), dtype=bool), jnp.inf, squares)
  return jnp.mean(jnp.sqrt(others.min(axis=1)))


def sharpness(images: jax.Array) -> jax.Array:
  """Mean absolute difference of neighbouring pixels, `[B, H, W, C]`."""
  return sum(jnp.mean(jnp.abs(jnp.diff(images, axis=axis))) for axis in (1, 2))


def diversity(
  fake: jax.Array, real: jax.Array, axis_name: str | None = None
) -> dict[str, jax.Array]:
  """Ratios of what fakes measure to what as many real examples do.

  Args:
    fake: `[B, ...]`, images `[B, H, W, C]` or others.
    real: `[B, ...]`.
    axis_name: mapped device axis that shares the batch, or None; distances are
      within the whole batch.

  Returns:
    diversity: of `spread`; near 0 where all fakes are one. nearest_diversity:
    of `nearest`; small too where they are a few. sharpness: of images of two
    pixels a side and more; far above 1 for noise. Nothing for a single example.
  """
  if axis_name is not None:
    fake, real = jax.lax.all_gather((fake, real), axis_name, tiled=True)
  if len(fake) < 2:
    return {}
  tiny = 1e-12  # for real examples that are all equal
  found = {
    'diversity': spread(fake) / (spread(real) + tiny),
    'nearest_diversity': nearest(fake) / (nearest(real) + tiny),
  }
  if fake.ndim == 4 and min(fake.shape[1:3]) > 1:
    found['sharpness'] = sharpness(fake) / (sharpness(real) + tiny)
  return found

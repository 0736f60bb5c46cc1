"""Between the uint8 that files hold and the [-1, 1] that networks see."""

import jax
import jax.numpy as jnp


def from_uint8(images: jax.Array) -> jax.Array:
  """0 to 255 -> float32 in [-1, 1], both ends exact."""
  # An exact integer before the division, so that 255 gives 1 and not more.
  return (2.0 * images.astype(jnp.float32) - 255.0) / 255.0


def to_uint8(images: jax.Array) -> jax.Array:
  """[-1, 1] -> 0 to 255, rounded to the nearest; beyond is clipped."""
  scaled = jnp.round((jnp.clip(images, -1.0, 1.0) + 1.0) * 127.5)
  return scaled.astype(jnp.uint8)

"""Cameras that look at the origin: rotations, rays, where they are.

The world is right-handed with y up; a camera of azimuth 0 and elevation 0
stands on the positive z axis. Angles are in half turns, as poses are told.
"""

import math

import jax
import jax.numpy as jnp


def around_y(angle: jax.Array) -> jax.Array:
  """Rotations about the vertical axis, `[...]` half turns -> `[..., 3, 3]`."""
  cos, sin, one, zero = _parts(angle)
  rows = [[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]]
  return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def around_x(angle: jax.Array) -> jax.Array:
  """Rotations about the axis to the right, likewise."""
  cos, sin, one, zero = _parts(angle)
  rows = [[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]]
  return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _parts(angle):
  turned = jnp.pi * angle
  return jnp.cos(turned), jnp.sin(turned), jnp.ones_like(angle), 0 * angle


def orientation(pose: jax.Array) -> jax.Array:
  """Camera to world, `[..., 2]` azimuth and elevation -> `[..., 3, 3]`.

  Columns are the camera's right, up and back; orthonormal, determinant 1, at
  every pose: looking straight down too, right is where the azimuth has it.
  """
  return around_y(pose[..., 0]) @ around_x(-pose[..., 1])


def position(pose: jax.Array, radius: float) -> jax.Array:
  """Where the camera is, `[..., 3]`: `radius` behind the origin."""
  return radius * orientation(pose)[..., 2]


def focal_length(width: float, field_of_view: float) -> float:
  """In pixels, of an image `width` pixels wide.

  Args:
    width: of the image.
    field_of_view: from its left to its right edge, in degrees.
  """
  return width / 2 / math.tan(math.radians(field_of_view) / 2)


def rays(
  pose: jax.Array, size: int, field_of_view: float, radius: float
) -> tuple[jax.Array, jax.Array]:
  """Rays through the centres of an image's pixels.

  Args:
    pose: `[B, 2]`.
    size: of the square image in pixels.
    field_of_view: in degrees.
    radius: of the sphere that the camera stands on.

  Returns:
    Origins `[B, 3]`, and unit directions `[B, size, size, 3]`, rows from the
    top. The mean direction points at the origin.
  """
  centres = (jnp.arange(size) + 0.5 - size / 2) / focal_length(
    size, field_of_view
  )
  x, y = jnp.meshgrid(centres, -centres)
  local = jnp.stack([x, y, -jnp.ones_like(x)], axis=-1)
  local /= jnp.linalg.norm(local, axis=-1, keepdims=True)
  directions = jnp.einsum('bij,hwj->bhwi', orientation(pose), local)
  return position(pose, radius), directions

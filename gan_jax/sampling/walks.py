"""Paths between two latents."""

import jax
import jax.numpy as jnp


def lerp(start: jax.Array, end: jax.Array, t: jax.Array) -> jax.Array:
  """Points `[T, Z]` on the straight line from `[Z]` to `[Z]`, t in [0, 1]."""
  t = t[:, None]
  return (1.0 - t) * start + t * end


def slerp(start: jax.Array, end: jax.Array, t: jax.Array) -> jax.Array:
  """Points `[T, Z]` along the great circle from `[Z]` to `[Z]`, t in [0, 1].

  Unlike the straight line it keeps to the shell where a Gaussian prior has
  its mass. Parallel vectors fall back to `lerp`.

  Reference:
    White, Sampling Generative Networks, arXiv 1609.04468, section 2.1.
  """
  cosine = jnp.vdot(start, end) / (
    jnp.linalg.norm(start) * jnp.linalg.norm(end)
  )
  omega = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
  sine = jnp.sin(omega)
  parallel = sine < 1e-6
  safe = jnp.where(parallel, 1.0, sine)
  t_ = t[:, None]
  arc = (jnp.sin((1.0 - t_) * omega) * start + jnp.sin(t_ * omega) * end) / safe
  return jnp.where(parallel, lerp(start, end, t), arc)


INTERPOLATIONS = {'spherical': slerp, 'linear': lerp}

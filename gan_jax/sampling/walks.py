"""Paths between two latents."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.types import InputError, lookup


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


def check_walk(num_points: int, steps: int, path: str) -> None:
  """Raises InputError for a walk that cannot be."""
  if num_points < 2:
    raise InputError(f'num_points: {num_points} is not at least 2')
  if steps < 1:
    raise InputError(f'steps: {steps} is not at least 1')
  lookup(INTERPOLATIONS, path, 'path')


def closed_walk(
  ends: np.ndarray,
  steps: int,
  path: str,
  num_codes: int = 0,
  num_seeds: int = 0,
) -> np.ndarray:
  """Latents `[N * steps, Z]` from each of `ends` `[N, Z]` to the next.

  The last one goes back to the first.

  Args:
    ends: to pass through.
    steps: from one to before the next.
    path: one of `INTERPOLATIONS`, of the noise.
    num_codes: at the end of the latents, which go in straight lines.
    num_seeds: at their start, which stay those of the first.
  """
  between, t = INTERPOLATIONS[path], jnp.arange(steps) / steps
  seeds, ends = np.split(ends, [num_seeds], axis=1)
  noise, legs = ends.shape[1] - num_codes, []
  for start, end in zip(ends, [*ends[1:], ends[0]], strict=True):
    parts = [between(start[:noise], end[:noise], t)]
    if num_codes:
      parts.append(lerp(start[noise:], end[noise:], t))
    legs.append(np.concatenate(parts, axis=-1))
  walk = np.concatenate(legs)
  seeds = np.broadcast_to(seeds[:1], (len(walk), num_seeds))
  return np.concatenate([seeds, walk], axis=1)

"""Mean and variance in float32, right wherever the mean is.

E x^2 - (E x)^2 loses the variance where the mean is far from 0: at a mean of
1,000 standard deviations, nothing is left of it.

Reference:
  Chan, Golub and LeVeque, Algorithms for Computing the Sample Variance, The
  American Statistician 37 (3), 1983.
"""

import jax
import jax.numpy as jnp


def of_batch(
  x: jax.Array, axis_name: str | None = None
) -> tuple[jax.Array, jax.Array]:
  """Mean and biased variance over all axes but the last, in one pass.

  Squares are taken around the mean of the first example. That is one of B, so
  at most sqrt(B) standard deviations off, and at most B times the rounding is
  lost. No moment depends on where squares are taken around: no gradient there.

  Args:
    x: `[B, ..., C]`, float32 or wider.
    axis_name: mapped device axis that shares the batch, or None.

  Returns:
    `[C]` each.
  """
  axes = tuple(range(x.ndim - 1))
  origin = jax.lax.stop_gradient(x[0].mean(axes[:-1]))
  centred = x - origin
  mean, square = centred.mean(axes), (centred**2).mean(axes)
  # Rounding can make the difference negative.
  own = mean + origin, jnp.maximum(square - mean**2, 0.0)
  if axis_name is None:
    return own
  return pooled(*jax.lax.all_gather(jnp.stack(own), axis_name, axis=1))


def pooled(
  means: jax.Array, variances: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Moments of groups of one size together, from those of each, `[N, ...]`."""
  mean = means.mean(axis=0)
  between = ((means - mean) ** 2).mean(axis=0)
  return mean, variances.mean(axis=0) + between

"""Maps twice or half as large, with a low-pass filter.

A filter is a tuple of taps along one axis; in two, it is the outer product.
Taps are scaled to sum 1 here. Outside of a map there are zeros, as in the
authors' code, so that a constant map keeps its value away from its border.

Doubling is nearest-neighbour doubling, then the filter; halving is the filter,
then the 2x2 mean. Either one so has the taps convolved with (1, 1): of
StyleGAN2's (1, 3, 3, 1), `BINOMIAL` is left.

Reference:
  Karras et al., A Style-Based Generator Architecture, arXiv 1812.04948,
  section 2; Zhang, Making Convolutional Networks Shift-Invariant Again,
  arXiv 1904.11486.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.networks.layers import mean_pool, upsample

BINOMIAL = (1, 2, 1)
CUBIC = (1, 3, 3, 1)  # BINOMIAL convolved with (1, 1)


def filtered(
  x: jax.Array, taps: Sequence[float], pads: tuple[int, int]
) -> jax.Array:
  """Convolves height and width of `[B, H, W, C]` with a filter.

  Slices are added, which XLA fuses, under scan and in second derivatives too.

  Args:
    x: maps.
    taps: of the filter, K of them.
    pads: zeros before and after, along both axes.

  Returns:
    `[B, H + sum(pads) - K + 1, W + sum(pads) - K + 1, C]`.
  """
  weights = np.asarray(taps, np.float64) / np.sum(taps)
  for axis in (1, 2):
    size = x.shape[axis] + sum(pads) - len(weights) + 1
    padded = jnp.pad(x, [pads if a == axis else (0, 0) for a in range(x.ndim)])
    x = sum(
      weight * jax.lax.slice_in_dim(padded, k, k + size, axis=axis)
      for k, weight in enumerate(weights.tolist())
    )
  return x


def blur(x: jax.Array, taps: Sequence[float]) -> jax.Array:
  """Filters with an odd number of taps, to maps of the same size."""
  reach = len(taps) // 2
  return x if len(taps) == 1 else filtered(x, taps, (reach, reach))


def double(x: jax.Array, taps: Sequence[float] = (1,)) -> jax.Array:
  """Maps of twice the height and width; by nearest neighbours with one tap."""
  return blur(upsample(x), taps)


def halve(x: jax.Array, taps: Sequence[float] = (1,)) -> jax.Array:
  """Maps of half the height and width, which must be even."""
  return mean_pool(blur(x, taps))


def enlarged(x: jax.Array, size: int) -> jax.Array:
  """Nearest neighbours, to `size` pixels: a power of two times those of x."""
  while x.shape[1] < size:
    x = upsample(x)
  return x


def reduced(x: jax.Array, size: int) -> jax.Array:
  """Means of squares of pixels, to `size`; undoes `enlarged`."""
  while x.shape[1] > size:
    x = mean_pool(x)
  return x

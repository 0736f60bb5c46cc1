"""Volume rendering: densities and colours along rays -> pixels.

A ray is cut into bins; each has a density, a colour and a length. Lengths are
the bins' own, so that they sum to the depth of the volume: no last sample is
given a length of 1e10, which would make it opaque whatever its density.

Reference:
  Mildenhall et al., NeRF, arXiv 2003.08934, eq. 1 to 3 and 5.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Rendered(NamedTuple):
  """What rays see.

  Attributes:
    colour: `[..., C]`, with the background where it shows.
    depth: expected distance of what is hit, `[...]`; 0 where nothing is.
    opacity: the share of light that does not come from the background.
  """

  colour: jax.Array
  depth: jax.Array
  opacity: jax.Array


def bins(
  near: float, far: float, num: int, noise: jax.Array | None = None
) -> tuple[jax.Array, float]:
  """Depths at which rays are sampled, one in each of `num` equal bins.

  Args:
    near: where the first bin begins.
    far: where the last one ends.
    num: of bins.
    noise: `[..., num]` in [0, 1), the place in each bin; None for the middle.

  Returns:
    Depths `[..., num]`, and the length of a bin.
  """
  length = (far - near) / num
  places = 0.5 if noise is None else noise
  return near + length * (jnp.arange(num) + places), length


def weights(densities: jax.Array, lengths: jax.Array | float) -> jax.Array:
  """How much of the light comes from each bin, `[..., N]`.

  T_i (1 - exp(-sigma_i delta_i)), T_i = exp(-sum_{j < i} sigma_j delta_j).

  Args:
    densities: sigma >= 0, `[..., N]`, the nearest bin first.
    lengths: delta of each bin, or of all.
  """
  absorbed = densities * lengths
  before = jnp.cumsum(absorbed, axis=-1) - absorbed
  return jnp.exp(-before) * -jnp.expm1(-absorbed)


def render(
  densities: jax.Array,
  colours: jax.Array,
  depths: jax.Array,
  lengths: jax.Array | float,
  background: jax.Array | float = 0.0,
) -> Rendered:
  """Pixels of rays.

  Args:
    densities: `[..., N]`.
    colours: `[..., N, C]`.
    depths: `[..., N]`.
    lengths: see `weights`.
    background: `[C]` or a number, seen where light comes through.
  """
  shares = weights(densities, lengths)
  opacity = shares.sum(axis=-1)
  colour = (shares[..., None] * colours).sum(axis=-2)
  colour += (1.0 - opacity)[..., None] * background
  return Rendered(colour, (shares * depths).sum(axis=-1), opacity)

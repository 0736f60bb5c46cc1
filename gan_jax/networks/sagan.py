"""SAGAN: SNGAN's pair with self-attention, spectral norm in both players.

Reference:
  Zhang et al., Self-Attention Generative Adversarial Networks,
  arXiv 1805.08318, section 4; where it leaves a choice, as in the authors' code
  (wide blocks in D, attention after the block that ends at its size).
"""

from collections.abc import Sequence

import flax.linen as nn

from gan_jax.networks import attention as attention_lib
from gan_jax.networks.layers import Style
from gan_jax.networks.sngan import (
  Discriminator,
  Generator,
  Inits,
  geometry_of,
)
from gan_jax.types import Players

_LARGEST = 32  # pixels of the map that gets attention unless told
_INITS = Inits(*2 * [nn.initializers.glorot_uniform()])


def sagan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int | None = None,
  disc_width: int | None = None,
  attention: Sequence[int] | None = None,
) -> Players[nn.Module]:
  """The SAGAN pair for square images of 8 to 128 pixels; 128 in the paper.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: as of gan_jax.networks.sngan.
    disc_width: likewise.
    attention: sizes of maps that get it, in both players, in pixels; None for
      the largest up to 32.

  Raises:
    InputError: an image size that there is no such pair for, or attention at
      a size that no map has.
  """
  geometry = geometry_of('sagan', image_shape, gen_width, disc_width)
  maps = geometry.shared_maps(image_shape[0])
  if attention is None:
    attention = [s for s in maps if s <= _LARGEST][-1:]
  at = attention_lib.check_sizes(attention, maps)
  gen_widths, disc_widths, downs = geometry
  return Players(
    gen=Generator(image_shape[-1], gen_widths, style.gen, at, _INITS),
    disc=Discriminator(disc_widths, downs, True, style.disc, True, at, _INITS),
  )

"""BigGAN: wide residual pairs, conditioned by one shared embedding.

Reference:
  Brock et al., Large Scale GAN Training for High Fidelity Natural Image
  Synthesis, arXiv 1809.11096, appendix B (figure 15, tables 4 to 9); where it
  leaves a choice, as in the authors' PyTorch code.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import attention as attention_lib
from gan_jax.networks import conditions
from gan_jax.networks.layers import Style
from gan_jax.networks.sngan import (
  BASE,
  Discriminator,
  Generator,
  Geometry,
  Inits,
  check_size,
)
from gan_jax.types import Given, InputError, Players, lookup

_SIZES = (8, 16, 32, 64, 128)
INITS = {
  'orthogonal': nn.initializers.orthogonal(),
  'normal': nn.initializers.normal(0.02),
}


class SharedGenerator(Generator):
  """SNGAN's G with vectors in its norms, in place of a table for each.

  The label is embedded once. What is told joins into one vector, from which
  every conditional norm of the blocks draws its scales and biases. With the
  hierarchy the noise is split into equal parts: the first makes the first map,
  each other one joins the vector of its block. Codes join all vectors. The
  embedding has no spectral norm; the last norm is a plain one.

  Attributes:
    hierarchy: whether the latents are split. The others are those of
      `Generator`; the style's `embed_dim` is the size of the embedding.
  """

  hierarchy: bool = True

  def enter(
    self, latents: jax.Array, given: Given | None
  ) -> tuple[jax.Array, list[jax.Array]]:
    """See `Generator`: every block has what is told, and its own part."""
    num_codes = sum(self.style.codes)
    noise = latents[:, : latents.shape[-1] - num_codes]
    first, *parts = self._parts(noise)
    told = self._told(given)
    if num_codes:
      told.append(latents[:, -num_codes:])
    return first, [jnp.concatenate([*told, *p], axis=-1) for p in parts]

  def _parts(self, noise: jax.Array) -> list:
    """What makes the first map, and for each block what joins its vector."""
    blocks = len(self.widths) - 1
    if not self.hierarchy:
      return [noise, *[()] * blocks]
    num, dim = blocks + 1, noise.shape[-1]
    if dim % num:
      down = dim - dim % num
      near = ' or '.join(str(d) for d in (down, down + num) if d)
      raise InputError(
        f'latent_dim: {dim} cannot be split into the {num} equal parts of '
        f'network.hierarchy; take {near}, or network.hierarchy=False'
      )
    first, *others = jnp.split(noise, num, axis=-1)
    return [first, *([other] for other in others)]

  def _told(self, given: Given) -> list[jax.Array]:
    """A vector `[B, embed_dim]` of each column, the label's first."""
    style = self.style
    embed = conditions.Embed(
      style.num_classes, style.embed_dim, embedding_init=self.inits.other
    )
    others = conditions.vectors(
      style.columns, given, style.embed_dim, style.dtype
    )
    return [embed(given['labels']), *others]


def biggan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 96,
  disc_width: int = 96,
  attention: Sequence[int] | None = None,
  shared_embedding: bool = True,
  hierarchy: bool = True,
  init: str = 'orthogonal',
) -> Players[nn.Module]:
  """The BigGAN pair for square images of 8 to 128 pixels.

  Widths are multiples of one unit per player, `ch` in the authors' code. To 32
  pixels all blocks have 4 units; 8 and 16 have fewer of them in G.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: G's unit.
    disc_width: D's unit.
    attention: sizes of maps that get it, in both players, in pixels; None for
      half the image from 64 pixels on, and for none below.
    shared_embedding: False gives every norm a table of its own, as the authors'
      script for CIFAR-10 does.
    hierarchy: whether each block has a part of the latents.
    init: of all weights but the tables of norms: orthogonal, or normal,
      N(0, .02).

  Raises:
    InputError: no classes, an image size that there is no such pair for,
      attention at a size that no map has, or a hierarchy or adain without an
      embedding.
  """
  if not style.gen.num_classes:
    raise InputError(
      'network.name: biggan draws by class; set conditional=True, or take '
      'sagan or sngan, which do without'
    )
  if hierarchy and not shared_embedding:
    raise InputError(
      'network.hierarchy: parts of the latents join the shared embedding, and '
      'network.shared_embedding=False; set both to False, or both to True'
    )
  if style.gen.norm == 'adain' and not shared_embedding:
    raise InputError(
      'network.gen_norm: adain takes scales and biases from the shared '
      'embedding, and network.shared_embedding=False; take conditional'
    )
  size = check_size('biggan', image_shape, _SIZES)
  geometry = _geometry(size, gen_width, disc_width)
  inits = Inits(*2 * [lookup(INITS, init, 'network.init')])
  if attention is None:
    attention = (size // 2,) if size >= 64 else ()
  at = attention_lib.check_sizes(attention, geometry.shared_maps(size))
  gen_widths, disc_widths, downs = geometry
  if shared_embedding:
    gen = SharedGenerator(
      image_shape[-1],
      gen_widths,
      dataclasses.replace(style.gen, styles_init=inits.other),
      at,
      inits,
      hierarchy,
    )
  else:
    gen = Generator(image_shape[-1], gen_widths, style.gen, at, inits)
  disc = Discriminator(disc_widths, downs, True, style.disc, True, at, inits)
  return Players(gen, disc)


def _geometry(size: int, gen_width: int, disc_width: int) -> Geometry:
  """Channels of the maps of images of `size` pixels."""
  if size <= 32:
    gen = [4] * (size // BASE).bit_length()
    disc, downs = [4] * 4, 2
  elif size == 64:
    gen, disc, downs = [16, 16, 8, 4, 2], [1, 2, 4, 8, 16], 4
  else:
    gen, disc, downs = [16, 16, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16], 5
  return Geometry(gen, disc, downs).scaled(gen_width, disc_width)

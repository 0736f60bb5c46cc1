"""SNGAN: the residual pair under spectral norm, with projection for labels.

Reference:
  Miyato et al., Spectral Normalization for Generative Adversarial Networks,
  arXiv 1802.05957, appendix B.4 (tables 4 and 6); Miyato and Koyama, cGANs with
  Projection Discriminator, arXiv 1802.05637, figure 1d and appendix A. Where
  they leave a choice, as in the authors' code.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax

from gan_jax.networks import heads, layers
from gan_jax.networks.attention import SelfAttention
from gan_jax.networks.layers import Style
from gan_jax.networks.residual import CriticBlock, GeneratorBlock
from gan_jax.types import Given, InputError, Players, Verdict

# Glorot uniform with gain sqrt(2) of the blocks' 3x3 kernels, 1 elsewhere.
_glorot_uniform = nn.initializers.glorot_uniform()
_wide_glorot_uniform = nn.initializers.variance_scaling(
  2.0, 'fan_avg', 'uniform'
)
BASE = 4  # pixels of G's first map
_SIZES = (8, 16, 32, 64, 128)


class Inits(NamedTuple):
  """Initialisers of kernels and embeddings.

  Attributes:
    block: of the blocks' 3x3 kernels.
    other: of all else.
  """

  block: Callable[..., jax.Array]
  other: Callable[..., jax.Array]


_INITS = Inits(_wide_glorot_uniform, _glorot_uniform)


class Generator(nn.Module):
  """Latents `[B, latent_dim]` -> images `[B, H, W, C]` in [-1, 1].

  Labels choose the scales and biases of the blocks' conditional batch norm, of
  which the last norm is the plain one. Under another norm they join the
  latents, as whatever else is given does.

  Attributes:
    channels: of the image.
    widths: of the first map, and of each block, which doubles its size.
    style: see `Style`.
    attention: sizes of maps that get self-attention, in pixels.
    inits: see `Inits`.
  """

  channels: int
  widths: Sequence[int]
  style: Style
  attention: Sequence[int] = ()
  inits: Inits = _INITS

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style = last_style = self.style
    if style.norm in ('conditional', 'adain'):
      last_style = dataclasses.replace(style, norm='batch')
    h, vectors = self.enter(latents, given)
    shared = dict(kernel_init=self.inits.other, dtype=style.dtype)
    first, *widths = self.widths
    dense = nn.Dense(BASE * BASE * first, **shared)
    h = style.apply(dense, h, train=train, gain=1.0)
    h = h.reshape(-1, BASE, BASE, first)
    for width, vector in zip(widths, vectors, strict=True):
      block = GeneratorBlock(width, style, *self.inits)
      h = block(h, given, train=train, styles=vector)
      if h.shape[1] in self.attention:
        h = SelfAttention(style, self.inits.other)(h, train=train)
    h = style.activate(last_style.normalise(h, given, train=train))
    h = style.apply(
      layers.Conv(self.channels, 3, **shared), h, train=train, gain=1.0
    )
    return nn.tanh(style.output(h))

  def enter(
    self, latents: jax.Array, given: Given | None
  ) -> tuple[jax.Array, list[jax.Array | None]]:
    """What makes the first map, and a vector for each block's norms or None."""
    style = self.style
    if style.norm == 'conditional':
      style = dataclasses.replace(style, num_classes=0)
    vectors = [None] * (len(self.widths) - 1)
    return style.join_latents(latents, given), vectors


class Discriminator(nn.Module):
  """Residual blocks, *sum* over pixels, linear; and <embed(y), h> of a label y.

  Images `[B, H, W, C]` -> logits `[B]`. What else is given joins the images.

  Attributes:
    widths: of the blocks.
    downs: how many of them, from the first on, halve the image.
    use_bias: of the linear layer.
    style: see `Style`.
    wide: whether a block has its own width between its convolutions, and not
      that of its input.
    attention: sizes of maps that get self-attention, in pixels; the first map
      of a size gets it.
    inits: see `Inits`.
  """

  widths: Sequence[int]
  downs: int
  use_bias: bool
  style: Style
  wide: bool = False
  attention: Sequence[int] = ()
  inits: Inits = _INITS

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style, inits = self.style, self.inits
    h = style.join_images(images, given)
    for i, width in enumerate(self.widths):
      hidden = width if i == 0 or self.wide else h.shape[-1]
      down = i < self.downs
      block = CriticBlock(width, down, i == 0, style, *inits, hidden)
      h = block(h, given, train=train)
      if down and h.shape[1] in self.attention:
        h = SelfAttention(style, inits.other)(h, train=train)
      self.sow('intermediates', 'features', h)
    h = style.activate(style.normalise(h, given, train=train))
    h = h.sum(axis=(1, 2))
    dense = nn.Dense(
      1, use_bias=self.use_bias, kernel_init=inits.other, dtype=style.dtype
    )
    logits = style.apply(dense, style.compare(h), train=train, gain=1.0)
    return heads.verdict(
      style,
      logits[:, 0],
      h,
      given,
      train=train,
      kernel_init=inits.other,
      embedding_init=inits.other,
    )


def sngan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int | None = None,
  disc_width: int | None = None,
) -> Players[nn.Module]:
  """The SNGAN pair for square images of 8 to 128 pixels.

  To 32 pixels all blocks of a player are of one width; 8 and 16 have fewer of
  them in G than the paper's 32. At 64 and 128 widths double as maps shrink, to
  16 times that of the image's side. D's last layer has a bias there, and none
  to 32 pixels; 64 is as in the authors' code.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: channels of G's last block; None for 256 to 32 pixels, then 64.
    disc_width: channels of D's first block; None for 128 to 32 pixels, then 64.

  Raises:
    InputError: an image size that there is no such pair for.
  """
  geometry = geometry_of('sngan', image_shape, gen_width, disc_width)
  gen_widths, disc_widths, downs = geometry
  return Players(
    gen=Generator(image_shape[-1], gen_widths, style.gen),
    disc=Discriminator(disc_widths, downs, image_shape[0] > 32, style.disc),
  )


class Geometry(NamedTuple):
  """Channels of both players' maps, and how many blocks of D halve them."""

  gen_widths: tuple[int, ...]
  disc_widths: tuple[int, ...]
  downs: int

  def shared_maps(self, size: int) -> dict[int, tuple[int, int]]:
    """Pixels of the maps that both players' blocks make -> channels of both.

    Args:
      size: of the image, in pixels.
    """
    ups = enumerate(self.gen_widths[1:], 1)
    gen = {BASE * 2**i: width for i, width in ups}
    downs = enumerate(self.disc_widths[: self.downs], 1)
    disc = {size // 2**i: width for i, width in downs}
    return {s: (gen[s], disc[s]) for s in sorted(gen.keys() & disc.keys())}

  def scaled(self, gen_width: int, disc_width: int) -> 'Geometry':
    """The same with each player's channels times its unit."""
    return Geometry(
      tuple(gen_width * w for w in self.gen_widths),
      tuple(disc_width * w for w in self.disc_widths),
      self.downs,
    )


def geometry_of(
  name: str,
  image_shape: tuple[int, int, int],
  gen_width: int | None,
  disc_width: int | None,
) -> Geometry:
  """That of `sngan`, whose arguments these are.

  Args:
    name: of the architecture, for the message.
    image_shape: see `sngan`, as the next two.
    gen_width: see there.
    disc_width: see there.

  Raises:
    InputError: an image size that there is no such pair for.
  """
  size = check_size(name, image_shape, _SIZES)
  ups = (size // BASE).bit_length() - 1
  if size <= 32:
    gen_widths = [1] * (ups + 1)
    disc_widths, downs = [1] * 4, 2
  else:
    powers = [2**i for i in range(5)]
    gen_widths = [*[16] * (ups - 4), *powers[::-1]]
    disc_widths = [*powers, *[16] * (ups - 4)]
    downs = 5
  gen_width = gen_width or (256 if size <= 32 else 64)
  disc_width = disc_width or (128 if size <= 32 else 64)
  return Geometry(gen_widths, disc_widths, downs).scaled(gen_width, disc_width)


def check_size(
  name: str, image_shape: tuple[int, int, int], sizes: Sequence[int]
) -> int:
  """The side of a square image of one of the sizes.

  Raises:
    InputError: it is none of them, or not square.
  """
  size = image_shape[0]
  if size not in sizes or image_shape[1] != size:
    *firsts, last = map(str, sizes)
    raise InputError(
      f'data.image_size: {name} makes square images of {", ".join(firsts)} or '
      f'{last} pixels, not {size} x {image_shape[1]}; set data.image_size to '
      'one of them'
    )
  return size

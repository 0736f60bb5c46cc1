"""SNGAN: the residual pair under spectral norm, with projection for labels.

Reference:
  Miyato et al., Spectral Normalization for Generative Adversarial Networks,
  arXiv 1802.05957, appendix B.4 (tables 4 and 6); Miyato and Koyama, cGANs with
  Projection Discriminator, arXiv 1802.05637, figure 1d and appendix A. Where
  they leave a choice, as in the authors' code.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax

from gan_jax.networks import layers
from gan_jax.networks.layers import Style
from gan_jax.networks.residual import CriticBlock, GeneratorBlock
from gan_jax.types import Given, InputError, Players, Verdict

# Glorot uniform with gain sqrt(2) of the blocks' 3x3 kernels, 1 elsewhere.
_glorot_uniform = nn.initializers.glorot_uniform()
_wide_glorot_uniform = nn.initializers.variance_scaling(
  2.0, 'fan_avg', 'uniform'
)
_INITS = (_wide_glorot_uniform, _glorot_uniform)
_BASE = 4  # pixels of G's first map
_SIZES = (8, 16, 32, 64, 128)


class Generator(nn.Module):
  """Latents `[B, latent_dim]` -> images `[B, H, W, C]` in [-1, 1].

  Labels choose the scales and biases of the blocks' conditional batch norm, of
  which the last norm is the plain one. Under another norm they join the
  latents, as whatever else is given does.

  Attributes:
    channels: of the image.
    widths: of the first map, and of each block, which doubles its size.
    style: see `Style`.
  """

  channels: int
  widths: Sequence[int]
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style = last_style = self.style
    if style.norm == 'conditional':
      last_style = dataclasses.replace(style, norm='batch')
      h = _without_labels(style).join_latents(latents, given)
    else:
      h = style.join_latents(latents, given)
    shared = dict(kernel_init=_glorot_uniform, dtype=style.dtype)
    first, *widths = self.widths
    dense = nn.Dense(_BASE * _BASE * first, **shared)
    h = style.apply(dense, h, train=train, gain=1.0)
    h = h.reshape(-1, _BASE, _BASE, first)
    for width in widths:
      h = GeneratorBlock(width, style, *_INITS)(h, given, train=train)
    h = style.activate(last_style.normalise(h, given, train=train))
    h = style.apply(
      layers.Conv(self.channels, 3, **shared), h, train=train, gain=1.0
    )
    return nn.tanh(style.output(h))


class Discriminator(nn.Module):
  """Residual blocks, *sum* over pixels, linear; and <embed(y), h> of a label y.

  Images `[B, H, W, C]` -> logits `[B]`. What else is given joins the images.

  Attributes:
    widths: of the blocks.
    downs: how many of them, from the first on, halve the image.
    use_bias: of the linear layer.
    style: see `Style`.
  """

  widths: Sequence[int]
  downs: int
  use_bias: bool
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style
    h = _without_labels(style).join_images(images, given)
    for i, width in enumerate(self.widths):
      hidden = width if i == 0 else h.shape[-1]
      block = CriticBlock(width, i < self.downs, i == 0, style, *_INITS, hidden)
      h = block(h, given, train=train)
      self.sow('intermediates', 'features', h)
    h = style.activate(style.normalise(h, given, train=train))
    h = h.sum(axis=(1, 2))
    shared = dict(train=train, gain=1.0)
    dense = nn.Dense(
      1,
      use_bias=self.use_bias,
      kernel_init=_glorot_uniform,
      dtype=style.dtype,
    )
    logits = style.apply(dense, style.compare(h), **shared)[:, 0]
    if style.num_classes:
      embed = nn.Embed(
        style.num_classes,
        h.shape[-1],
        embedding_init=_glorot_uniform,
        dtype=style.dtype,
      )
      embedded = style.apply(embed, given['labels'], **shared)
      logits += (embedded * h).sum(axis=-1)
    return Verdict(style.output(logits), {})


def _without_labels(style: Style) -> Style:
  """For what joins beside the labels, which enter elsewhere."""
  return dataclasses.replace(style, num_classes=0)


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
  size = image_shape[0]
  if size not in _SIZES or image_shape[1] != size:
    raise InputError(
      'data.image_size: sngan makes square images of 8, 16, 32, 64 or 128 '
      f'pixels, not {size} x {image_shape[1]}; set data.image_size to one of '
      'them'
    )
  ups = (size // _BASE).bit_length() - 1
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
  return Players(
    gen=Generator(
      image_shape[-1], tuple(gen_width * w for w in gen_widths), style.gen
    ),
    disc=Discriminator(
      tuple(disc_width * w for w in disc_widths), downs, size > 32, style.disc
    ),
  )

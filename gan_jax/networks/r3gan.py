"""R3GAN: plain residual networks, without norms or equalised weights.

Reference:
  Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
  arXiv 2501.05441, sections 3 and 4 and appendix; widths, initialisation and
  labels as in the authors' code (R3GAN/Networks.py).
"""

import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import conditions, growing, layers, norms, resampling
from gan_jax.networks.growing import BASE
from gan_jax.networks.resampling import BINOMIAL
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players, Verdict

EXPANSION = 2  # of a block's inner width
_GAIN = math.sqrt(2.0 / (1.0 + 0.2**2))  # of leaky ReLU with slope .2


def _scaled(gain: float) -> nn.initializers.Initializer:
  """N(0, gain^2 / fan_in)."""
  if not gain:
    return nn.initializers.zeros
  return nn.initializers.variance_scaling(gain**2, 'fan_in', 'normal')


class Block(nn.Module):
  """1x1 to twice the width, grouped 3x3, 1x1 back, which starts at 0.

  Attributes:
    width: of what enters and leaves.
    style: of the player.
    gain: of the first two convolutions' weights.
    groups: of the 3x3 convolution.
  """

  width: int
  style: Style
  gain: float
  groups: int

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    style, inner = self.style, EXPANSION * self.width

    def conv(h, features, kernel, gain, **keys):
      layer = layers.Conv(
        features,
        kernel,
        use_bias=False,
        kernel_init=_scaled(gain),
        dtype=style.dtype,
        **keys,
      )
      return style.apply(layer, h, train=train)

    def activate(h, name):
      bias = self.param(name, nn.initializers.zeros, (inner,))
      return style.activate(h + bias.astype(h.dtype))

    h = activate(conv(x, inner, 1, self.gain), 'bias_0')
    h = conv(h, inner, 3, self.gain, feature_group_count=self.groups)
    return x + conv(activate(h, 'bias_1'), self.width, 1, 0.0)


def _pointwise(style: Style, features: int, x: jax.Array, train: bool):
  """A 1x1 convolution without a bias, inside a compact module."""
  layer = layers.Conv(
    features, 1, use_bias=False, kernel_init=_scaled(1.0), dtype=style.dtype
  )
  return style.apply(layer, x, train=train, gain=1.0)


def _told(style: Style, given: Given | None, features: int, train: bool):
  """A vector `[B, features]` of each column, of a label by a linear map."""
  found, columns = [], style.columns
  if style.num_classes:
    classes = norms.rows(jnp.eye(style.num_classes), given['labels'])
    dense = nn.Dense(
      features,
      use_bias=False,
      kernel_init=_scaled(1.0),
      dtype=style.dtype,
    )
    found.append(style.apply(dense, classes, train=train, gain=1.0))
  return [*found, *conditions.vectors(columns, given, features, style.dtype)]


class Generator(nn.Module):
  """Latents `[B, Z]` -> images `[B, H, W, C]`, which no tanh bounds.

  A learned map of 4 pixels, each channel scaled by a linear map of the latents.

  Attributes:
    channels: of the image.
    widths: of the maps, from 4 pixels on.
    blocks: of each size.
    style: of G.
    groups: of the convolutions at the largest width; of others in proportion.
  """

  channels: int
  widths: tuple[int, ...]
  blocks: int
  style: Style
  groups: int

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style, width = self.style, self.widths[0]
    told = _told(style, given, latents.shape[-1], train)
    dense = nn.Dense(
      width, use_bias=False, kernel_init=_scaled(1.0), dtype=style.dtype
    )
    x = jnp.concatenate([latents, *told], axis=-1)
    basis = self.param(
      'basis', nn.initializers.normal(1.0), (BASE, BASE, width)
    )
    scale = style.apply(dense, x, train=train, gain=1.0)[:, None, None]
    h = scale * basis.astype(scale.dtype)
    gain = gain_of(self.blocks * len(self.widths))
    for number, width in enumerate(self.widths):
      if number:
        if width != h.shape[-1]:
          h = _pointwise(style, width, h, train)
        h = resampling.double(h, BINOMIAL)
      for _ in range(self.blocks):
        groups = self.groups * width // max(self.widths)
        h = Block(width, style, gain, groups)(h, train=train)
    return style.output(_pointwise(style, self.channels, h, train))


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`: G turned round.

  By projection, the last linear map gives a vector, and the logit is its
  product with that of the label.

  Attributes:
    widths: of the maps, from 4 pixels on.
    blocks: of each size.
    style: of D.
    groups: as of G.
  """

  widths: tuple[int, ...]
  blocks: int
  style: Style
  groups: int

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style, widths = self.style, self.widths
    h = style.join_images(images, given)
    h = _pointwise(style, widths[-1], h, train)
    gain = gain_of(self.blocks * len(widths))
    for width, smaller in [*itertools.pairwise(widths[::-1]), (widths[0], 0)]:
      for _ in range(self.blocks):
        groups = self.groups * width // max(widths)
        h = Block(width, style, gain, groups)(h, train=train)
      self.sow('intermediates', 'features', h)
      if smaller:
        h = resampling.halve(h, BINOMIAL)
        if smaller != width:
          h = _pointwise(style, smaller, h, train)
    last = layers.Conv(
      widths[0],
      BASE,
      padding='VALID',
      use_bias=False,
      kernel_init=_scaled(1.0),
      feature_group_count=widths[0],
      dtype=style.dtype,
    )
    h = style.apply(last, h, train=train, gain=1.0)[:, 0, 0]
    by_label = style.num_classes and style.labels_by == 'projection'
    dense = nn.Dense(
      widths[0] if by_label else 1,
      use_bias=False,
      kernel_init=_scaled(1.0),
      dtype=style.dtype,
    )
    logits = style.apply(dense, h, train=train, gain=1.0)
    if not by_label:
      return Verdict(style.output(logits[:, 0]), {})
    # Theirs is a linear map of one-hot labels, whose fan-in are the classes.
    deviation = 1.0 / math.sqrt(widths[0] * style.num_classes)
    embed = nn.Embed(
      style.num_classes,
      widths[0],
      embedding_init=nn.initializers.normal(deviation),
      dtype=style.dtype,
    )
    direction = style.apply(embed, given['labels'], train=train, gain=1.0)
    return Verdict(style.output((logits * direction).sum(axis=-1)), {})


def gain_of(num_blocks: int) -> float:
  """Of the weights inside a block: He's, over the fourth root of the blocks.

  Reference:
    Zhang et al., Fixup Initialization, arXiv 1901.09321: 1 / (2 m - 2) is the
    exponent for m = 3 layers in a block.
  """
  return _GAIN * num_blocks**-0.25


def r3gan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  channel_base: int = 24_576,
  channel_max: int = 768,
  blocks: int = 2,
  groups: int = 96,
) -> Players[nn.Module]:
  """The R3GAN pair for square images of 8 pixels or more.

  Args:
    image_shape: (H, W, C), H = W, 4 times a power of two.
    style: of both players.
    channel_base: maps of S pixels have channel_base / S channels.
    channel_max: or so many, if that is less.
    blocks: of each size.
    groups: of the 3x3 convolutions at the largest width; of others in
      proportion.

  Raises:
    InputError: an image size that doubling does not give, or groups that do not
      divide the channels.
  """
  widths = growing.geometry_of(
    'r3gan', image_shape, channel_base, channel_max, None
  ).widths
  for width in widths:
    inner, own = EXPANSION * width, groups * width // max(widths)
    if not own or inner % own:
      raise InputError(
        f'network.groups: {groups} groups at {max(widths)} channels are {own} '
        f'at {width}, which do not divide {inner}; take another number, or '
        'another channel_max'
      )
  return Players(
    gen=Generator(image_shape[-1], widths, blocks, style.gen, groups),
    disc=Discriminator(widths, blocks, style.disc, groups),
  )

"""Progressive GAN: a pair that grows, level by level.

Reference:
  Karras et al., Progressive Growing of GANs for Improved Quality, Stability,
  and Variation, arXiv 1710.10196, table 2 and appendix A. Labels: an embedding
  joins the latents before they are normalised, where the authors' code has them
  one-hot.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax

from gan_jax.networks import growing, heads, layers, norms, resampling
from gan_jax.networks.growing import BASE, Geometry
from gan_jax.networks.style import Style
from gan_jax.types import Given, Players, Verdict


def linear(
  style: Style,
  layer: nn.Module,
  x: jax.Array,
  *,
  train: bool,
  gain: float = math.sqrt(2.0),
) -> jax.Array:
  """A layer and its activation, inside a compact module."""
  return style.activate(style.apply(layer, x, train=train, gain=gain))


class Start(nn.Module):
  """Latents, and an embedding of labels beside them, -> maps of 4 pixels.

  Attributes:
    width: of the maps.
    style: of G.
  """

  width: int
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None, *, train: bool
  ) -> jax.Array:
    style, width = self.style, self.width
    told = style.join_latents(latents, given)
    dense = nn.Dense(BASE * BASE * width, use_bias=False, dtype=style.dtype)
    h = style.apply(
      dense, norms.pixel_norm(told), train=train, gain=math.sqrt(2.0) / 4
    )
    h = h.reshape(-1, BASE, BASE, width)
    h += self.param('bias', nn.initializers.zeros, (width,)).astype(h.dtype)
    h = style.normalise(style.activate(h), train=train)
    conv = layers.Conv(self.width, 3, dtype=style.dtype)
    return style.normalise(linear(style, conv, h, train=train), train=train)


class Doubling(nn.Module):
  """Upsampling and two 3x3 convolutions, each activated and normalised.

  Attributes:
    width: channels of what leaves it.
    style: of G.
  """

  width: int
  style: Style

  @nn.compact
  def __call__(self, h: jax.Array, *, train: bool) -> jax.Array:
    style = self.style
    for doubled in (True, False):
      conv = layers.Conv(self.width, 3, doubled=doubled, dtype=style.dtype)
      h = style.normalise(linear(style, conv, h, train=train), train=train)
    return h


class ToImage(nn.Module):
  """A 1x1 convolution to the channels of the image, and nothing after it.

  Attributes:
    channels: of the image.
    style: of G.
  """

  channels: int
  style: Style

  @nn.compact
  def __call__(self, h: jax.Array, *, train: bool) -> jax.Array:
    conv = layers.Conv(self.channels, 1, dtype=self.style.dtype)
    return self.style.apply(conv, h, train=train, gain=1.0)


class Generator(nn.Module):
  """Latents `[B, latent_dim]` -> images `[B, H, W, C]`, about [-1, 1].

  No tanh bounds them, as in the paper.

  Attributes:
    channels: of the image.
    geometry: see `Geometry`.
    style: see `Style`; the norm comes after the activation.
  """

  channels: int
  geometry: Geometry
  style: Style

  def setup(self):
    self.grown = growing.variable(self, self.geometry)
    first, *widths = self.geometry.widths
    self.start = Start(first, self.style)
    self.doublings = [Doubling(width, self.style) for width in widths]
    self.to_image = [
      ToImage(self.channels, self.style) for _ in self.geometry.widths
    ]

  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    h = self.start(latents, given, train=train)

    def run(network, level, share, h):
      return network.images(level, share, h, train)

    return growing.at_level(self, run, self.geometry, h, train=train)

  def images(
    self, level: int, share: jax.Array, h: jax.Array, train: bool
  ) -> jax.Array:
    """Images of full size, of maps of 4 pixels, by the layers of a level."""
    before = h
    for double in self.doublings[:level]:
      before, h = h, double(h, train=train)
    images = self.to_image[level](h, train=train)
    if level:
      old = self.to_image[level - 1](before, train=train)
      images = growing.faded(layers.upsample(old), images, share)
    images = self.style.output(images)
    return resampling.enlarged(images, self.geometry.size)


class Joining(nn.Module):
  """Images, with what joins them as channels."""

  style: Style

  @nn.compact
  def __call__(self, images: jax.Array, given: Given | None) -> jax.Array:
    return self.style.join_images(images, given)


class FromImage(nn.Module):
  """A 1x1 convolution of an image, activated.

  Attributes:
    width: channels of what leaves it.
    style: of D.
  """

  width: int
  style: Style

  @nn.compact
  def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
    conv = layers.Conv(self.width, 1, dtype=self.style.dtype)
    return linear(self.style, conv, images, train=train)


class Halving(nn.Module):
  """Two 3x3 convolutions, of which the second halves the map.

  Attributes:
    hidden: channels of the first, those of what enters.
    width: of what leaves.
    taps: of the filter before the second, see gan_jax.networks.resampling.
    style: of D.
  """

  hidden: int
  width: int
  taps: Sequence[float]
  style: Style

  @nn.compact
  def __call__(self, h: jax.Array, *, train: bool) -> jax.Array:
    style = self.style
    conv = layers.Conv(self.hidden, 3, dtype=style.dtype)
    h = resampling.blur(linear(style, conv, h, train=train), self.taps)
    conv = layers.Conv(self.width, 3, dtype=style.dtype)
    return style.activate(layers.mean_pool(style.apply(conv, h, train=train)))


class End(nn.Module):
  """Maps of 4 pixels -> a verdict: compared, one convolution, two dense layers.

  Attributes:
    width: of the convolution.
    hidden: of the first dense layer.
    style: of D.
  """

  width: int
  hidden: int
  style: Style

  @nn.compact
  def __call__(
    self, h: jax.Array, given: Given | None, *, train: bool
  ) -> Verdict:
    style = self.style
    conv = layers.Conv(self.width, 3, dtype=style.dtype)
    h = linear(style, conv, style.compare(h), train=train)
    dense = nn.Dense(self.hidden, dtype=style.dtype)
    h = linear(style, dense, h.reshape(len(h), -1), train=train)
    dense = nn.Dense(1, dtype=style.dtype)
    logits = style.apply(dense, h, train=train, gain=1.0)
    return heads.verdict(style, logits[:, 0], h, given, train=train)


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`, from the top level down.

  Attributes:
    geometry: see `Geometry`.
    hidden: units before the logit.
    style: of D.
    taps: see `Halving`.
  """

  geometry: Geometry
  hidden: int
  style: Style
  taps: Sequence[float] = (1,)

  def setup(self):
    self.grown = growing.variable(self, self.geometry)
    widths = self.geometry.widths
    self.from_image = [FromImage(width, self.style) for width in widths]
    self.halvings = [
      Halving(*pair, self.taps, self.style)
      for pair in growing.widths_between(widths)
    ]
    self.joining = Joining(self.style)
    self.end = End(widths[0], self.hidden, self.style)

  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    images = self.joining(images, given)

    def run(network, level, share, images, given):
      return network.judge(level, share, images, given, train)

    return growing.at_level(
      self, run, self.geometry, images, given, train=train
    )

  def judge(
    self,
    level: int,
    share: jax.Array,
    images: jax.Array,
    given: Given | None,
    train: bool,
  ) -> Verdict:
    """A verdict on images of full size, by the layers of a level."""
    images = resampling.reduced(images, BASE * 2**level)
    h = self.from_image[level](images, train=train)
    for k in range(level, 0, -1):
      h = self.halvings[k - 1](h, train=train)
      if k == level:
        smaller = self.from_image[k - 1](layers.mean_pool(images), train=train)
        h = growing.faded(smaller, h, share)
      if train:
        self.sow('intermediates', 'features', h)
    return self.end(h, given, train=train)


def progressive(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  channel_base: int = 16_384,
  channel_max: int = 512,
  resolution: int | None = None,
) -> Players[nn.Module]:
  """The Progressive GAN pair for square images of 8 pixels or more.

  Args:
    image_shape: (H, W, C), H = W, 4 times a power of two.
    style: of both players.
    channel_base: maps of S pixels have channel_base / S channels; twice the
      authors' fmap_base.
    channel_max: or so many, if that is less.
    resolution: pixels at which both work in training; None for the image's.

  Raises:
    InputError: an image size or a resolution that doubling does not give.
  """
  geometry = growing.geometry_of(
    'progressive', image_shape, channel_base, channel_max, resolution
  )
  hidden = min(channel_base // 2, channel_max)
  return Players(
    gen=Generator(image_shape[-1], geometry, style.gen),
    disc=Discriminator(geometry, hidden, style.disc),
  )

"""StyleGAN2: styles scale weights, images are sums, D is residual.

Reference:
  Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
  arXiv 1912.04958, section 2 and figures 2, 7; labels and widths as in the
  authors' code of Training GANs with Limited Data, arXiv 2006.06676.
"""

import dataclasses
import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import convolution, growing, heads, layers, resampling
from gan_jax.networks.growing import BASE, Geometry
from gan_jax.networks.resampling import BINOMIAL, CUBIC
from gan_jax.networks.seeds import Noise, noise_of
from gan_jax.networks.style import Style
from gan_jax.networks.stylegan import (
  Mapping,
  StyledGenerator,
  check_mixing,
)
from gan_jax.types import Given, Players, Verdict, lookup

_ROOT2 = math.sqrt(2.0)
DISCS = ('residual', 'plain')


class Modulated(nn.Module):
  """A convolution whose weights are scaled by a style, for each example.

  w'_io = s_i w_io, divided by the norm of what makes an output map if
  `demodulate`. It scales the input by s and the output by that norm, which is
  the same, and one convolution for all examples.

  Attributes:
    features: output maps.
    kernel: its side.
    style: of G.
    demodulate: see above.
    up: whether it doubles the map: transposed, then filtered.

  Reference:
    arXiv 1912.04958, section 2.2, eqs. 1 to 3.
  """

  features: int
  kernel: int
  style: Style
  demodulate: bool = True
  up: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, w: jax.Array, *, train: bool) -> jax.Array:
    channels, style = x.shape[-1], self.style
    dense = nn.Dense(
      channels, bias_init=nn.initializers.ones, dtype=style.dtype
    )
    s = style.apply(dense, w, train=train, gain=1.0)
    shape = (self.kernel, self.kernel, channels, self.features)
    weights = self.param('kernel', nn.initializers.normal(1.0), shape)
    weights = weights / math.sqrt(self.kernel**2 * channels)
    y = self._convolve(x * s[:, None, None].astype(x.dtype), weights)
    if not self.demodulate:
      return y
    squares = (weights**2).sum(axis=(0, 1))
    wide = jnp.promote_types(s.dtype, jnp.float32)
    norm = jax.lax.rsqrt(s.astype(wide) ** 2 @ squares + 1e-8)
    return y * norm[:, None, None].astype(y.dtype)

  def _convolve(self, x: jax.Array, weights: jax.Array) -> jax.Array:
    weights = weights.astype(x.dtype)
    if not self.up:
      return convolution.conv_general_dilated(
        x,
        weights,
        (1, 1),
        'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      )
    y = convolution.conv_transpose(x, weights, (2, 2), 'VALID')
    return 4.0 * resampling.filtered(y, CUBIC, (1, 1))


class _Layer(nn.Module):
  """A modulated convolution, noise, bias and activation.

  Attributes:
    width: channels.
    style: of G.
    number: of the layer, for its noise.
    up: whether it doubles the map.
  """

  width: int
  style: Style
  number: int
  up: bool = False

  @nn.compact
  def __call__(
    self, h: jax.Array, w: jax.Array, keys: Noise, *, train: bool
  ) -> jax.Array:
    h = Modulated(self.width, 3, self.style, up=self.up)(h, w, train=train)
    strength = self.param('noise', nn.initializers.zeros, ())
    bias = self.param('bias', nn.initializers.zeros, (self.width,))
    noise = noise_of(keys, self.number, h.shape[1])
    h += (strength * noise).astype(h.dtype) + bias.astype(h.dtype)
    return _ROOT2 * self.style.activate(h)


class _ToImage(nn.Module):
  """A modulated 1x1 convolution, not demodulated, and a bias."""

  channels: int
  style: Style

  @nn.compact
  def __call__(self, h: jax.Array, w: jax.Array, *, train: bool) -> jax.Array:
    conv = Modulated(self.channels, 1, self.style, demodulate=False)
    bias = self.param('bias', nn.initializers.zeros, (self.channels,))
    h = conv(h, w, train=train)
    return self.style.output(h + bias.astype(h.dtype))


class Generator(StyledGenerator):
  """StyleGAN2's: a constant, and images that add up from size to size.

  The image of a size takes the style of the first layer of the next.
  """

  @property
  def noise_sizes(self) -> tuple[int, ...]:
    """See `StyledGenerator`; the last layer makes the image, without noise."""
    return tuple(BASE * 2 ** ((n + 1) // 2) for n in range(self.num_layers - 1))

  def setup(self):
    self.mean_style = self.variable(
      growing.COLLECTION, 'mean_style', jnp.zeros, (self.width,)
    )
    self.mapping = Mapping(self.depth, self.width, self.style, later=True)
    widths = self.geometry.widths
    self.constant = self.param(
      'constant', nn.initializers.normal(1.0), (BASE, BASE, widths[0])
    )
    self.layers = [
      _Layer(widths[(number + 1) // 2], self.style, number, up=number % 2 == 1)
      for number in range(self.num_layers - 1)
    ]
    self.to_image = [_ToImage(self.channels, self.style) for _ in widths]

  def paint(
    self, styles: jax.Array, keys: Noise, *, train: bool = False
  ) -> jax.Array:
    """Images of styles `[B, L, W]`, with the noise of keys `[B]`."""
    dtype, images = self.style.dtype, 0.0
    h = self.constant if dtype is None else self.constant.astype(dtype)
    h = jnp.broadcast_to(h, (len(styles), *h.shape))
    for number, layer in enumerate(self.layers):
      h = layer(h, styles[:, number], keys, train=train)
      if number % 2 == 0:
        to_image = self.to_image[number // 2]
        images += to_image(h, styles[:, number + 1], train=train)
        if number + 2 < self.num_layers:
          images = resampling.double(images, BINOMIAL)
    return images


class _Halving(nn.Module):
  """Two convolutions, of which the second halves the map; and a shortcut.

  Attributes:
    hidden: channels of the first, those of what enters.
    width: of what leaves.
    style: of D.
    residual: whether there is the shortcut, both then times 1/sqrt(2).
  """

  hidden: int
  width: int
  style: Style
  residual: bool

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    style, dtype = self.style, self.style.dtype

    def conv(h, layer):
      return _activated(style, layer, h, train)

    h = conv(x, layers.Conv(self.hidden, 3, dtype=dtype))
    h = resampling.filtered(h, CUBIC, (2, 2))
    h = conv(h, layers.Conv(self.width, 3, 2, padding='VALID', dtype=dtype))
    if not self.residual:
      return h
    layer = layers.Conv(self.width, 1, use_bias=False, dtype=dtype)
    shortcut = resampling.halve(x, BINOMIAL)
    shortcut = style.apply(layer, shortcut, train=train, gain=1.0)
    return (h + shortcut) / _ROOT2


def _activated(style, layer, x, train) -> jax.Array:
  """A layer, and its activation times sqrt(2), inside a compact module."""
  return _ROOT2 * style.activate(style.apply(layer, x, train=train, gain=1.0))


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`.

  By projection, a label chooses a direction, by a mapping of eight layers, and
  the logit is the last features' product with it over the root of their number.

  Attributes:
    widths: of the maps, from 4 pixels on.
    style: of D.
    residual: see `_Halving`.
  """

  widths: tuple[int, ...]
  style: Style
  residual: bool

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style, widths = self.style, self.widths
    images = style.join_images(images, given)
    layer = layers.Conv(widths[-1], 1, dtype=style.dtype)
    h = _activated(style, layer, images, train)
    for low, high in list(itertools.pairwise(widths))[::-1]:
      h = _Halving(high, low, style, self.residual)(h, train=train)
      self.sow('intermediates', 'features', h)
    layer = layers.Conv(widths[0], 3, dtype=style.dtype)
    h = _activated(style, layer, style.compare(h), train)
    dense = nn.Dense(widths[0], dtype=style.dtype)
    h = _activated(style, dense, h.reshape(len(h), -1), train)
    by_label = style.num_classes and style.labels_by == 'projection'
    dense = nn.Dense(widths[0] if by_label else 1, dtype=style.dtype)
    logits = style.apply(dense, h, train=train, gain=1.0)
    if not by_label:
      return heads.verdict(style, logits[:, 0], h, given, train=train)
    of_label = dataclasses.replace(style, columns=())
    mapping = Mapping(8, widths[0], of_label, later=True)
    direction = mapping(None, given, train=train)
    logits = (logits * direction).sum(axis=-1) / math.sqrt(widths[0])
    return Verdict(style.output(logits), {})


def stylegan2(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  channel_base: int = 32_768,
  channel_max: int = 512,
  mapping_depth: int = 8,
  style_dim: int = 512,
  mixing: float = 0.9,
  critic: str = 'residual',
) -> Players[nn.Module]:
  """The StyleGAN2 pair for square images of 8 pixels or more.

  Args:
    image_shape: (H, W, C), H = W, 4 times a power of two.
    style: of both players.
    channel_base: maps of S pixels have channel_base / S channels.
    channel_max: or so many, if that is less.
    mapping_depth: layers of the mapping.
    style_dim: of w.
    mixing: probability that styles are mixed in training.
    critic: D with shortcuts (residual), or without (plain), as the authors have
      it for CIFAR-10.

  Raises:
    InputError: an image size that doubling does not give, an unknown critic, or
      no probability.
  """
  lookup(dict.fromkeys(DISCS), critic, 'network.critic')
  geometry: Geometry = growing.geometry_of(
    'stylegan2', image_shape, channel_base, channel_max, None
  )
  gen = Generator(
    image_shape[-1],
    geometry,
    style.gen,
    mapping_depth,
    style_dim,
    check_mixing(mixing),
  )
  disc = Discriminator(geometry.widths, style.disc, critic == 'residual')
  return Players(gen, disc)

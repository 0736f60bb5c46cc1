"""Generators of super-resolution: large images from small ones.

    generator(latents, given, *, train) -> images [B, H, W, C], about [-1, 1]
    generator.enlarge(small [B, h, w, C] in [-1, 1], *, train)
        -> [B, factor h, factor w, C], of any size

A source has the size of the images, and every pixel of the small image is a
square of equal ones in it, as `data.derive=low_res` makes it; what is enlarged
is `source[:, ::factor, ::factor]`. Nothing is random: latents are not read.

References:
  Ledig et al., Photo-Realistic Single Image Super-Resolution Using a Generative
  Adversarial Network, arXiv 1609.04802, figure 4 (SRResNet).
  Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial
  Networks, arXiv 1809.00219, section 3.1 (RRDBNet), and its authors' SRResNet
  without batch norm (MSRResNet).
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import layers
from gan_jax.networks.style import Style
from gan_jax.types import Given

FACTORS = (2, 3, 4)
_FIRST = 9  # side of SRResNet's first and last kernels
_SLOPE = 0.25  # of PReLU at the start, as in PyTorch
_RESIDUAL = 0.2  # share of a residual in ESRGAN
_CONVS = 5  # of its dense block
# Residual layers of the two without batch norm begin a tenth as large.
_small_init = nn.initializers.variance_scaling(0.02, 'fan_in', 'normal')
_he_init = nn.initializers.he_normal()


def pixel_shuffle(x: jax.Array, factor: int) -> jax.Array:
  """Channels to space: `[B, h, w, C f^2]` -> `[B, f h, f w, C]`.

  Channel `c f^2 + i f + j` is pixel (i, j) of each square, as in PyTorch.

  Reference:
    Shi et al., Real-Time Single Image and Video Super-Resolution Using an
    Efficient Sub-Pixel Convolutional Neural Network, arXiv 1609.05158, eq. 4.
  """
  b, h, w, c = x.shape
  x = x.reshape(b, h, w, c // factor**2, factor, factor)
  return x.transpose(0, 1, 4, 2, 5, 3).reshape(b, h * factor, w * factor, -1)


def pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
  """Space to channels, what turns `pixel_shuffle` round."""
  b, h, w, c = x.shape
  x = x.reshape(b, h // factor, factor, w // factor, factor, c)
  return x.transpose(0, 1, 3, 5, 2, 4).reshape(
    b, h // factor, w // factor, c * factor**2
  )


def icnr(
  init: Callable[..., jax.Array], factor: int
) -> Callable[..., jax.Array]:
  """An initialiser of kernels before `pixel_shuffle`: nearest enlargement.

  All pixels of a square begin with the same kernel.

  Args:
    init: of one kernel for each square.
    factor: of the shuffle.

  Reference:
    Aitken et al., Checkerboard artifact free sub-pixel convolution,
    arXiv 1707.02937, section 4.
  """

  def shared(key, shape, dtype=jnp.float32):
    *sides, features = shape
    kernel = init(key, (*sides, features // factor**2), dtype)
    return kernel.repeat(factor**2, axis=-1)

  return shared


def _shuffles(factor: int) -> list[int]:
  """By which the image grows in turn: 4 is twice 2."""
  return [2, 2] if factor == 4 else [factor]


class Enlarger(nn.Module):
  """What the three generators share.

  Attributes:
    channels: of the images.
    factor: by which both sides grow, one of `FACTORS`.
    width: channels of the maps.
    blocks: residual ones.
    style: norm and weights; activations are the architecture's.
  """

  channels: int
  factor: int
  width: int
  blocks: int
  style: Style

  def __call__(
    self, latents: jax.Array, given: Given, *, train: bool
  ) -> jax.Array:
    del latents
    small = given['source'][:, :: self.factor, :: self.factor]
    return self.enlarge(small, train=train)

  def conv(self, h, features, kernel=3, *, init=_he_init, gain=1.0, train):
    """A convolution with a bias, inside a compact method."""
    layer = layers.Conv(
      features, kernel, kernel_init=init, dtype=self.style.dtype
    )
    return self.style.apply(layer, h, train=train, gain=gain)


class SRResNet(Enlarger):
  """SRResNet: residual blocks with batch norm and PReLU, then pixel shuffle.

  Its input is in [0, 1], its output free.
  """

  @nn.compact
  def enlarge(self, small: jax.Array, *, train: bool) -> jax.Array:
    """Small images in [-1, 1] -> large ones; see above."""
    style, conv = self.style, functools.partial(self.conv, train=train)

    def prelu(h):
      return nn.PReLU(negative_slope_init=_SLOPE)(h)

    def normed(h):
      return style.normalise(conv(h, self.width), train=train)

    first = h = prelu(conv((small + 1.0) / 2.0, self.width, _FIRST))
    for _ in range(self.blocks):
      h += normed(prelu(normed(h)))
    h = first + normed(h)
    for factor in _shuffles(self.factor):
      h = conv(h, self.width * factor**2, init=icnr(_he_init, factor))
      h = prelu(pixel_shuffle(h, factor))
    return style.output(conv(h, self.channels, _FIRST))


class MSRResNet(Enlarger):
  """The same without batch norm, on top of the bilinear enlargement."""

  @nn.compact
  def enlarge(self, small: jax.Array, *, train: bool) -> jax.Array:
    """Small images in [-1, 1] -> large ones; see above."""
    style, conv = self.style, functools.partial(self.conv, train=train)

    def activated(h):
      return nn.leaky_relu(h, 0.1)

    h = activated(conv(small, self.width))
    for _ in range(self.blocks):
      inner = nn.relu(conv(h, self.width, init=_small_init))
      h += conv(inner, self.width, init=_small_init)
    for factor in _shuffles(self.factor):
      h = conv(h, self.width * factor**2, init=icnr(_small_init, factor))
      h = activated(pixel_shuffle(h, factor))
    h = activated(conv(h, self.width, init=_small_init))
    h = conv(h, self.channels, init=_small_init)
    return style.output(h) + resized(small, self.factor, 'bilinear')


class RRDBNet(Enlarger):
  """ESRGAN's: residual blocks of residual dense blocks, nearest enlargement.

  Twofold enlargement takes the image in squares of 2 x 2 pixels and makes it
  four times as large, as the authors' code does.

  Attributes:
    growth: channels that each convolution of a dense block adds.
  """

  growth: int

  @nn.compact
  def enlarge(self, small: jax.Array, *, train: bool) -> jax.Array:
    """Small images in [-1, 1] -> large ones; see above."""
    style, conv = self.style, functools.partial(self.conv, train=train)

    def activated(h):
      return nn.leaky_relu(h, 0.2)

    def dense(h):
      maps = [h]
      for number in range(_CONVS):
        last = number == _CONVS - 1
        features = self.width if last else self.growth
        joined = jnp.concatenate(maps, axis=-1)
        joined = conv(joined, features, init=_small_init)
        maps.append(joined if last else activated(joined))
      return h + _RESIDUAL * maps[-1]

    h, steps = small, _shuffles(self.factor)
    if self.factor == 2:
      odd = ((0, 0), *((0, side % 2) for side in h.shape[1:3]), (0, 0))
      h, steps = pixel_unshuffle(jnp.pad(h, odd, mode='edge'), 2), [2, 2]
    first = h = conv(h, self.width)
    for _ in range(self.blocks):
      h += _RESIDUAL * dense(dense(dense(h)))
    h = first + conv(h, self.width)
    for factor in steps:
      h = activated(conv(repeated(h, factor), self.width))
    h = conv(activated(conv(h, self.width)), self.channels)
    height, width = (self.factor * side for side in small.shape[1:3])
    return style.output(h)[:, :height, :width]


def repeated(x: jax.Array, factor: int) -> jax.Array:
  """Nearest enlargement, `[B, h, w, C]` -> `[B, f h, f w, C]`."""
  return x.repeat(factor, axis=1).repeat(factor, axis=2)


def resized(x: jax.Array, factor: int, method: str) -> jax.Array:
  """Enlargement by `jax.image.resize`."""
  b, h, w, c = x.shape
  return jax.image.resize(x, (b, h * factor, w * factor, c), method)

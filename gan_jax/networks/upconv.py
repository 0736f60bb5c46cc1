"""The generator of many tutorials: nearest neighbours, then convolutions.

A dense layer makes the first map; each doubling is by nearest neighbours and a
3x3 convolution with batch norm; one more convolution makes the image. D halves
by 3x3 convolutions of stride 2, without the tutorials' dropout.

Reference:
  Odena et al., Deconvolution and Checkerboard Artifacts, Distill (2016), for
  the doubling; there is no paper of the pair.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax

from gan_jax.networks import heads, layers
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players, Verdict


class Generator(nn.Module):
  """Latents `[B, latent_dim]` -> images `[B, H, W, C]` in [-1, 1].

  Attributes:
    image_shape: (H, W, C).
    widths: channels of the maps, from the smallest on; each next is twice as
      large, and the last as large as the image.
    style: the norm is that of the doublings.
  """

  image_shape: tuple[int, int, int]
  widths: Sequence[int]
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style, (height, width, channels) = self.style, self.image_shape
    first, *others = self.widths
    base = height >> len(others), width >> len(others), first
    h = style.join_latents(latents, given)
    h = style.apply(style.dense(math.prod(base)), h, train=train)
    h = style.activate(h).reshape(-1, *base)
    for features in others:
      layer = layers.Conv(features, 3, doubled=True, dtype=style.dtype)
      h = style.apply(layer, h, train=train)
      h = style.activate(style.normalise(h, given, train=train))
    layer = layers.Conv(channels, 3, dtype=style.dtype)
    h = style.apply(layer, h, train=train, gain=1.0)
    return nn.tanh(style.output(h))


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`.

  Attributes:
    widths: channels of the convolutions, each of which halves the map.
    style: the norm skips the first.
  """

  widths: Sequence[int]
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style
    h = style.join_images(images, given)
    for number, features in enumerate(self.widths):
      layer = layers.Conv(features, 3, 2, dtype=style.dtype)
      h = style.apply(layer, h, train=train)
      if number:
        h = style.normalise(h, given, train=train)
      h = style.activate(h)
      self.sow('intermediates', 'features', h)
    h = style.compare(h.reshape(len(h), -1))
    logits = style.apply(style.dense(1), h, train=train, gain=1.0)
    return heads.verdict(style, logits[:, 0], h, given, train=train)


def upconv(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (256, 128, 64),
  disc_widths: Sequence[int] = (32, 64, 128),
) -> Players[nn.Module]:
  """The pair; by default 8x8x256 to 32 pixels.

  Args:
    image_shape: (H, W, C).
    style: of both players.
    gen_widths: channels of G's maps, from the smallest on.
    disc_widths: channels of D's, from the largest on.

  Raises:
    InputError: an image that G cannot double to.
  """
  factor = 2 ** (len(gen_widths) - 1)
  if any(side % factor for side in image_shape[:2]):
    raise InputError(
      f'data.image_size: upconv doubles its map {len(gen_widths) - 1} times, '
      f'once for each of network.gen_widths but the first, and {factor} does '
      f'not divide {image_shape[0]} x {image_shape[1]}; give fewer widths, or '
      'another size'
    )
  return Players(
    gen=Generator(tuple(image_shape), tuple(gen_widths), style.gen),
    disc=Discriminator(tuple(disc_widths), style.disc),
  )

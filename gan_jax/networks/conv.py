"""The small mixed pair: an MLP generator, a convolutional discriminator."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from gan_jax.networks import heads, layers, mlp
from gan_jax.networks.layers import Style
from gan_jax.types import Given, InputError, Players, Verdict


class Discriminator(nn.Module):
  """3x3 convolutions, each with 2x2 max pooling, and one linear layer.

  Images `[B, H, W, C]` -> logits `[B]`.
  """

  widths: Sequence[int]
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style
    h = style.join_images(images, given)
    for width in self.widths:
      h = style.apply(layers.Conv(width, 3, dtype=style.dtype), h, train=train)
      h = style.activate(style.normalise(h, given, train=train))
      h = layers.max_pool(h)
      self.sow('intermediates', 'features', h)
    last, features = nn.Dense(1, dtype=style.dtype), h
    h = style.compare(h.reshape(len(h), -1))
    logits = style.apply(last, h, train=train, gain=1.0)
    return heads.verdict(style, logits[:, 0], features, given, train=train)


def conv(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (256, 512),
  disc_widths: Sequence[int] = (16, 32, 64),
) -> Players[nn.Module]:
  """The mixed pair.

  Args:
    image_shape: (H, W, C).
    style: of both players.
    gen_widths: hidden widths of G, an MLP.
    disc_widths: channels of D's convolutions; each halves the image.

  Raises:
    InputError: the image is too small to be halved once per convolution.
  """
  smallest = 2 ** len(disc_widths)
  if min(image_shape[:2]) < smallest:
    raise InputError(
      f'data.image_size: conv halves the image {len(disc_widths)} times and '
      f'needs at least {smallest} pixels, not {min(image_shape[:2])}; '
      'shorten network.disc_widths or enlarge data.image_size'
    )
  return Players(
    gen=mlp.Generator(image_shape, tuple(gen_widths), style.gen),
    disc=Discriminator(tuple(disc_widths), style.disc),
  )

"""Encoders and decoders: the two networks of an auto-encoder, in coalition.

Widths are those of the decoder, from the latents on; the encoder has them the
other way round.

    encoder(images [B, H, W, C], given, *, train) -> a code [B, code_dim]
    decoder(latents [B, Z], given, *, train) -> [B, H, W, C], of any range
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax

from gan_jax.networks import layers, mlp
from gan_jax.networks.layers import Style
from gan_jax.types import Given, InputError


class Encoder(nn.Module):
  """Images `[B, H, W, C]` -> a code `[B, code_dim]`, fully connected.

  Attributes:
    widths: of the hidden layers, from the image on.
    code_dim: of the linear output.
    style: see `Style`.
  """

  widths: Sequence[int]
  code_dim: int
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style = self.style
    h = self.hidden(style.join_images(images, given), train)
    h = h.reshape(len(h), -1)
    code = style.apply(style.dense(self.code_dim), h, train=train, gain=1.0)
    return style.output(code)

  def hidden(self, h: jax.Array, train: bool) -> jax.Array:
    """The hidden layers, one for each width."""
    h = h.reshape(len(h), -1)
    for width in self.widths:
      h = self.layer(self.style.dense(width), h, train)
    return h

  def layer(self, linear: nn.Module, h: jax.Array, train: bool) -> jax.Array:
    """One of them."""
    h = self.style.apply(linear, h, train=train)
    return self.style.activate(self.style.normalise(h, train=train))


class ConvEncoder(Encoder):
  """The same by 4x4 convolutions of stride 2, and a linear layer."""

  def hidden(self, h: jax.Array, train: bool) -> jax.Array:
    """See `Encoder`."""
    for width in self.widths:
      conv = layers.Conv(width, 4, 2, dtype=self.style.dtype)
      h = self.layer(conv, h, train)
    return h


class ConvDecoder(nn.Module):
  """A linear layer, then 4x4 transposed convolutions of stride 2.

  Latents `[B, Z]` -> `[B, H, W, C]`, unbounded.
  """

  image_shape: tuple[int, int, int]
  widths: Sequence[int]
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style, (height, width, channels) = self.style, self.image_shape
    factor = 2 ** len(self.widths)
    base = height // factor, width // factor, self.widths[0]
    h = style.join_latents(latents, given)
    h = style.apply(style.dense(math.prod(base)), h, train=train)
    h = h.reshape(-1, *base)
    for features in (*self.widths[1:], channels):
      h = style.activate(style.normalise(h, train=train))
      layer = layers.ConvTranspose(features, 4, 2, dtype=style.dtype)
      h = style.apply(layer, h, train=train)
    return style.output(h)


def mlp_autoencoder(
  image_shape: tuple[int, int, int],
  style: Style,
  code_dim: int,
  *,
  gen_widths: Sequence[int] = (400,),
) -> dict[str, nn.Module]:
  """Fully connected; by default one hidden layer, as in PyTorch's VAE example.

  Args:
    image_shape: (H, W, C).
    style: of both networks.
    code_dim: what the encoder puts out.
    gen_widths: hidden widths of the decoder.

  Reference:
    Kingma and Welling, Auto-Encoding Variational Bayes, arXiv 1312.6114,
    appendix C (500 tanh units there).
  """
  widths = tuple(gen_widths)
  return {
    'encoder': Encoder(widths[::-1], code_dim, style),
    'decoder': mlp.Generator(image_shape, widths, style, mlp.unbounded),
  }


def conv_autoencoder(
  image_shape: tuple[int, int, int],
  style: Style,
  code_dim: int,
  *,
  gen_widths: Sequence[int] = (64, 32),
) -> dict[str, nn.Module]:
  """Convolutional: each width halves the image on the way to the code.

  Args:
    image_shape: (H, W, C).
    style: of both networks.
    code_dim: what the encoder puts out.
    gen_widths: channels of the decoder, from the smallest map on.

  Raises:
    InputError: the image cannot be halved so often.
  """
  widths = tuple(gen_widths)
  if any(size % 2 ** len(widths) for size in image_shape[:2]):
    raise InputError(
      f'data.image_size: conv halves the image {len(widths)} times, once for '
      f'each of network.gen_widths, and {2 ** len(widths)} does not divide '
      f'{image_shape[0]} x {image_shape[1]}; give fewer widths, or another size'
    )
  return {
    'encoder': ConvEncoder(widths[::-1], code_dim, style),
    'decoder': ConvDecoder(image_shape, widths, style),
  }

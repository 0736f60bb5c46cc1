"""Fully connected pairs: the 2014-style GAN and its batch-norm variant.

Reference:
  Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661.
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax

from gan_jax.networks.layers import Style
from gan_jax.types import Players


class Generator(nn.Module):
  """Latents `[B, latent_dim]` -> images `[B, H, W, C]` in [-1, 1].

  With another `squash` than tanh, of another range.
  """

  image_shape: tuple[int, ...]
  widths: Sequence[int]
  style: Style
  squash: Callable[[jax.Array], jax.Array] = nn.tanh

  @nn.compact
  def __call__(
    self, latents: jax.Array, labels: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    style = self.style
    h = style.join_latents(latents, labels)
    for width in self.widths:
      h = nn.Dense(width, dtype=style.dtype)(h)
      h = style.activate(style.normalise(h, train=train))
    h = nn.Dense(math.prod(self.image_shape), dtype=style.dtype)(h)
    return self.squash(style.output(h)).reshape(-1, *self.image_shape)


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`; hidden layers sown as features."""

  widths: Sequence[int]
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, labels: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    style = self.style
    h = style.join_images(images, labels)
    h = h.reshape(len(h), -1)
    for width in self.widths:
      h = style.apply(nn.Dense(width, dtype=style.dtype), h, train=train)
      h = style.activate(style.normalise(h, train=train))
      self.sow('intermediates', 'features', h)
    h = style.apply(nn.Dense(1, dtype=style.dtype), h, train=train)
    return style.output(h)[:, 0]


def mlp(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (256, 512, 1024),
  disc_widths: Sequence[int] = (1024, 512, 256),
) -> Players[nn.Module]:
  """The MLP pair, by default as widely taught for MNIST.

  Args:
    image_shape: (H, W, C).
    style: of both players.
    gen_widths: hidden widths of G, from the latents on.
    disc_widths: hidden widths of D, from the image on.
  """
  return Players(
    gen=Generator(image_shape, tuple(gen_widths), style.gen),
    disc=Discriminator(tuple(disc_widths), style.disc),
  )


def mlp_bn(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (256, 512, 1024),
  disc_widths: Sequence[int] = (512, 256),
) -> Players[nn.Module]:
  """The same family with a smaller D, meant for batch norm in G.

  Arguments as in `mlp`.
  """
  return mlp(image_shape, style, gen_widths=gen_widths, disc_widths=disc_widths)


def _unbounded(x: jax.Array) -> jax.Array:
  return x


def points_mlp(
  dim: int,
  style: Players[Style],
  *,
  gen_widths: Sequence[int],
  disc_widths: Sequence[int],
) -> Players[nn.Module]:
  """The MLP pair for points `[B, dim]`, with a linear output.

  Args:
    dim: coordinates of a point.
    style: of both players, without labels.
    gen_widths: hidden widths of G, from the latents on.
    disc_widths: hidden widths of D, from the point on.
  """
  return Players(
    gen=Generator((dim,), tuple(gen_widths), style.gen, _unbounded),
    disc=Discriminator(tuple(disc_widths), style.disc),
  )

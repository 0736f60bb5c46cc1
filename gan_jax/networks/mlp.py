"""Fully connected pairs: the 2014-style GAN and its batch-norm variant.

Reference:
  Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661.
"""

import functools
import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import heads, seeds
from gan_jax.networks.layers import Style
from gan_jax.types import Given, Players, Verdict


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
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style = self.style
    h = style.join_latents(latents, given)
    for width in self.widths:
      h = style.apply(style.dense(width), h, train=train)
      h = style.activate(style.normalise(h, given, train=train))
    last = style.dense(math.prod(self.image_shape))
    h = style.apply(last, h, train=train, gain=1.0)
    return self.squash(style.output(h)).reshape(-1, *self.image_shape)


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`; hidden layers sown as features.

  Attributes:
    widths: of the hidden layers.
    style: see `Style`.
    maxout: > 0 makes every unit the largest of so many linear pieces, in place
      of the style's activation (Goodfellow et al., Maxout Networks,
      arXiv 1302.4389, eq. 1 and 2).
    dropout: share of hidden values that are zeroed in training.
    input_dropout: share of the pixels, which are in [0, 1] then: zero is black.
  """

  widths: Sequence[int]
  style: Style
  maxout: int = 0
  dropout: float = 0.0
  input_dropout: float = 0.0

  @property
  def noisy(self) -> bool:
    """Whether it wants keys in training, see gan_jax.networks.seeds."""
    return self.dropout > 0 or self.input_dropout > 0

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style
    keys = given[seeds.NOISE] if self.noisy and train else None
    if self.input_dropout:
      images = 0.5 * (images + 1.0)
      images = self._drop(images, keys, 0, self.input_dropout)
    h = style.join_images(images, given)
    h = h.reshape(len(h), -1)
    for number, width in enumerate(self.widths, start=1):
      layer = style.dense(width * max(1, self.maxout))
      h = style.apply(layer, h, train=train)
      h = style.normalise(h, given, train=train)
      if self.maxout:  # slices, where a reduction is slow on the CPU
        h = functools.reduce(jnp.maximum, jnp.split(h, self.maxout, axis=-1))
      else:
        h = style.activate(h)
      h = self._drop(h, keys, number, self.dropout)
      self.sow('intermediates', 'features', h)
    last = style.dense(1)
    logits = style.apply(last, style.compare(h), train=train, gain=1.0)
    return heads.verdict(style, logits[:, 0], h, given, train=train)

  def _drop(self, x, keys, layer: int, share: float) -> jax.Array:
    return x if keys is None else seeds.dropout(x, keys, layer, share)


def mlp(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (256, 512, 1024),
  disc_widths: Sequence[int] = (1024, 512, 256),
  disc_maxout: int = 0,
) -> Players[nn.Module]:
  """The MLP pair, by default as widely taught for MNIST.

  Args:
    image_shape: (H, W, C).
    style: of both players.
    gen_widths: hidden widths of G, from the latents on.
    disc_widths: hidden widths of D, from the image on.
    disc_maxout: linear pieces of D's maxout units; 0: plain units.
  """
  return Players(
    gen=Generator(image_shape, tuple(gen_widths), style.gen),
    disc=Discriminator(tuple(disc_widths), style.disc, disc_maxout),
  )


def mlp_bn(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (256, 512, 1024),
  disc_widths: Sequence[int] = (512, 256),
  disc_maxout: int = 0,
) -> Players[nn.Module]:
  """The same family with a smaller D, meant for batch norm in G.

  Arguments as in `mlp`.
  """
  return mlp(
    image_shape,
    style,
    gen_widths=gen_widths,
    disc_widths=disc_widths,
    disc_maxout=disc_maxout,
  )


def unbounded(x: jax.Array) -> jax.Array:
  """The identity, for a linear output."""
  return x


def points_mlp(
  dim: int,
  style: Players[Style],
  *,
  gen_widths: Sequence[int],
  disc_widths: Sequence[int],
  disc_maxout: int = 0,
) -> Players[nn.Module]:
  """The MLP pair for points `[B, dim]`, with a linear output.

  Args:
    dim: coordinates of a point.
    style: of both players, without labels.
    gen_widths: hidden widths of G, from the latents on.
    disc_widths: hidden widths of D, from the point on.
    disc_maxout: linear pieces of D's maxout units; 0: plain units.
  """
  return Players(
    gen=Generator((dim,), tuple(gen_widths), style.gen, unbounded),
    disc=Discriminator(tuple(disc_widths), style.disc, disc_maxout),
  )

"""The end of D: its logit, and what it does with labels and codes."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import conditions
from gan_jax.types import Given, Verdict

# How D takes the labels.
WAYS = (
  'concat',  # beside the image, as one more channel
  'projection',  # as <embed(y), h> in its logit
  'classifier',  # not at all: it guesses them
)
_default_init = nn.linear.default_embed_init


def verdict(
  style: Any,
  logits: jax.Array,
  features: jax.Array,
  given: Given | None,
  *,
  train: bool,
  kernel_init: Callable[..., jax.Array] = nn.linear.default_kernel_init,
  embedding_init: Callable[..., jax.Array] = _default_init,
) -> Verdict:
  """D's verdict, inside a compact module.

  Args:
    style: of D, see gan_jax.networks.style.
    logits: `[B]`, without the labels.
    features: the last ones, `[B, F]` or maps `[B, h, w, F]`; the projection is
      on their sum over pixels, guesses see each pixel.
    given: with labels, for the projection.
    train: as for a network.
    kernel_init: of the linear maps to guesses.
    embedding_init: of the projection.

  Returns:
    Logits with the projection; guesses: `labels`, logits `[B, K]` of the
    classes, by a classifier; `codes` `[B, sum(codes)]` where there are some;
    vectors `seen` of the images and `told` of what is given, `[B, contrast]`.

  Reference:
    Miyato and Koyama, cGANs with Projection Discriminator, arXiv 1802.05637,
    eq. 3; Odena et al., Conditional Image Synthesis with Auxiliary Classifier
    GANs, arXiv 1610.09585, section 3.
  """
  guesses, shared = {}, dict(train=train, gain=1.0)

  def guess(size):
    return _linear(style, features, size, kernel_init, train)

  num_classes = style.num_classes
  if num_classes and style.labels_by == 'projection':
    h = features.sum(axis=tuple(range(1, features.ndim - 1)))
    embed = nn.Embed(
      num_classes,
      h.shape[-1],
      embedding_init=embedding_init,
      dtype=style.dtype,
    )
    embedded = style.apply(embed, given['labels'], **shared)
    logits += (embedded * h).sum(axis=-1)
  if num_classes and style.labels_by == 'classifier':
    guesses['labels'] = guess(num_classes)
  if style.codes:
    guesses['codes'] = guess(sum(style.codes))
  guesses |= compared(
    style, features, given, train=train, kernel_init=kernel_init
  )
  return Verdict(style.output(logits), guesses)


def compared(
  style: Any,
  features: jax.Array,
  given: Given | None,
  *,
  train: bool,
  kernel_init: Callable[..., jax.Array] = nn.linear.default_kernel_init,
) -> dict[str, jax.Array]:
  """Vectors `seen` and `told`, see `verdict`; none without `style.contrast`."""
  size = style.contrast
  if not size:
    return {}
  told = conditions.vectors(style.told, given, size, style.dtype)
  told = jnp.concatenate(told, axis=-1)
  return {
    'told': _linear(style, told, size, kernel_init, train),
    'seen': _linear(style, features, size, kernel_init, train),
  }


def _linear(style, features, size, kernel_init, train) -> jax.Array:
  """A linear map of all features of an image, `[B, size]`."""
  h = features.reshape(len(features), -1)
  dense = nn.Dense(size, kernel_init=kernel_init, dtype=style.dtype)
  return style.output(style.apply(dense, h, train=train, gain=1.0))

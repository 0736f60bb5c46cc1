"""What a player is told, as vectors: one row for each kind of column.

    module = CONDITIONS[kind](column, features, dtype)
    module(value [B, ...]) -> [B, features]

How it enters a network is the network's own business; `join_latents` and
`join_images` are one way.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import convolution, norms
from gan_jax.types import Column, Given

# Conditions enter at the scale of the latents and of the pixels beside them.
_unit = nn.initializers.normal(1.0)
_SMALLEST = 4  # pixels at which an encoder stops halving


class Embed(nn.Embed):
  """A row for each class; of shares of classes, as much of each row.

  Labels int32 `[B]`, or shares float32 `[B, K]` -> `[B, features]`.
  """

  def __call__(self, labels: jax.Array) -> jax.Array:
    if jnp.issubdtype(labels.dtype, jnp.integer):
      return super().__call__(labels)
    (table,) = self.promote_dtype(
      self.embedding, dtype=self.dtype, inexact=False
    )
    return norms.rows(table, labels)


class BagOfWords(nn.Module):
  """The mean of the embeddings of a text's words, in whatever order.

  Tokens int32 `[B, L]`, 0 for padding -> `[B, features]`; an empty text is 0.
  """

  num_tokens: int
  features: int

  @nn.compact
  def __call__(self, tokens: jax.Array) -> jax.Array:
    embed = nn.Embed(self.num_tokens, self.features, embedding_init=_unit)
    words = (tokens > 0).astype(jnp.float32)
    summed = jnp.einsum('bl,blf->bf', words, embed(tokens))
    return summed / jnp.maximum(words.sum(axis=1), 1.0)[:, None]


class Encoder(nn.Module):
  """4x4 convolutions of stride 2 down to 4 pixels, and a linear layer.

  Images `[B, h, w, c]` -> `[B, features]`; 32 channels, doubling up to 256.
  """

  features: int
  dtype: Any = None

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    h, width = images, 32
    while min(h.shape[1:3]) > _SMALLEST:
      layer = nn.Conv(
        width,
        (4, 4),
        (2, 2),
        conv_general_dilated=convolution.conv_general_dilated,
        dtype=self.dtype,
      )
      h = nn.leaky_relu(layer(h), 0.2)
      width = min(2 * width, 256)
    h = nn.Dense(self.features, dtype=self.dtype)(h.reshape(len(h), -1))
    return h.astype(jnp.float32)


class Sines(nn.Module):
  """sin and cos of 2^k pi p, k = 0 to 3, and a linear layer.

  Numbers float32 `[B, P]`, of the order of 1 -> `[B, features]`.

  Reference:
    Mildenhall et al., NeRF, arXiv 2003.08934, eq. 4.
  """

  features: int

  @nn.compact
  def __call__(self, numbers: jax.Array) -> jax.Array:
    angles = jnp.pi * 2.0 ** jnp.arange(4) * numbers[..., None]
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return nn.Dense(self.features)(waves.reshape(len(numbers), -1))


def _labels(column: Column, features: int, dtype: Any) -> nn.Module:
  del dtype
  return Embed(column.size, features, embedding_init=_unit)


def _text(column: Column, features: int, dtype: Any) -> nn.Module:
  if not column.size:  # a sentence that an encoder has made a vector of
    return nn.Dense(features, dtype=dtype)
  return BagOfWords(column.size, features)


def _image(column: Column, features: int, dtype: Any) -> nn.Module:
  del column
  return Encoder(features, dtype)


def _pose(column: Column, features: int, dtype: Any) -> nn.Module:
  del column, dtype
  return Sines(features)


CONDITIONS: dict[str, Callable[[Column, int, Any], nn.Module]] = {
  'labels': _labels,
  'text': _text,
  'image': _image,
  'pose': _pose,
}
# Columns whose kind is not called as they are.
_KINDS = {'source': 'image', 'other': 'image'}


def kind_of(name: str) -> str:
  """Which of `CONDITIONS` a column is."""
  return _KINDS.get(name, name)


def condition(
  name: str, column: Column, features: int, dtype: Any = None
) -> nn.Module:
  """The module that makes vectors of a column, see above.

  Args:
    name: of the column.
    column: what it holds.
    features: of the vectors.
    dtype: of the computation, where there is much of it.
  """
  return CONDITIONS[kind_of(name)](column, features, dtype)


Told = Sequence[tuple[str, Column]]  # the columns of a player, by name


def join_latents(
  latents: jax.Array,
  told: Told,
  given: Given | None,
  features: int,
  dtype: Any = None,
) -> jax.Array:
  """Appends a vector of each column, inside a compact module.

  Args:
    latents: `[B, Z]`.
    told: n columns.
    given: their values, `[B, ...]` each.
    features: of each vector.
    dtype: see `condition`.

  Returns:
    `[B, Z + n features]`.
  """
  joined = vectors(told, given, features, dtype)
  return jnp.concatenate([latents, *joined], axis=-1) if told else latents


def vectors(
  told: Told, given: Given | None, features: int, dtype: Any = None
) -> list[jax.Array]:
  """A vector `[B, features]` of each column, see `join_latents`."""
  return [
    condition(name, column, features, dtype)(given[name])
    for name, column in told
  ]


def join_images(
  images: jax.Array, told: Told, given: Given | None
) -> jax.Array:
  """Adds columns as channels, inside a compact module.

  Args:
    images: `[B, H, W, C]`.
    told: the columns.
    given: their values, `[B, ...]` each; pictures are of the images' size.

  Returns:
    `[B, H, W, C']`: pictures as they are, all else as one plane each.
  """
  if not told:
    return images
  height, width = images.shape[1:3]
  joined = []
  for name, column in told:
    if kind_of(name) == 'image':
      joined.append(given[name])
    else:
      plane = condition(name, column, height * width)(given[name])
      joined.append(plane.reshape(-1, height, width, 1))
  return jnp.concatenate([images, *joined], axis=-1)

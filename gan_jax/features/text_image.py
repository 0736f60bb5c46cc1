"""What sees images and reads texts: vectors of both, compared by their cosine.

It judges whether an image shows what a text says, and guides images there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.sampling.batches import batched
from gan_jax.types import InputError


class TextImage(NamedTuple):
  """Two encoders into one space.

  Attributes:
    name: what it is, with what it was read from.
    image_size: pixels of the square images that it takes.
    channels: of these.
    of_images: images `[B, image_size, image_size, channels]` in [-1, 1] -> unit
      vectors `[B, E]`; may be differentiated and compiled.
    of_texts: N strings -> unit vectors float32 `[N, E]`.
    unknown: text -> words that it does not know.
  """

  name: str
  image_size: int
  channels: int
  of_images: Callable[[jax.Array], jax.Array]
  of_texts: Callable[[Sequence[str]], np.ndarray]
  unknown: Callable[[str], list[str]] = lambda text: []

  def fitted(self, images: jax.Array) -> jax.Array:
    """Images `[B, H, W, C]` in its size and channels, differentiable.

    Bilinear, antialiased where they shrink; grey of RGB is their luma.
    """
    if images.shape[-1] != self.channels:
      images = recoloured(images, self.channels)
    shape = (len(images), self.image_size, self.image_size, self.channels)
    if images.shape == shape:
      return images
    return jax.image.resize(images, shape, 'bilinear', antialias=True)

  def see(self, images: np.ndarray) -> np.ndarray:
    """Unit vectors `[N, E]` of images uint8 `[N, H, W, C]`."""

    def apply(images):
      scaled = jnp.asarray(images, jnp.float32) / 127.5 - 1.0
      return self.of_images(self.fitted(scaled))

    return batched(jax.jit(apply), images)


def recoloured(images: jax.Array, channels: int) -> jax.Array:
  """Images with three channels of one, or with the luma of three."""
  if images.shape[-1] == 1:
    return jnp.broadcast_to(images, (*images.shape[:-1], channels))
  weights = jnp.array([0.299, 0.587, 0.114], images.dtype)
  luma = (images[..., :3] * weights).sum(axis=-1, keepdims=True)
  return luma if channels == 1 else images[..., :channels]


def ranks(
  images: np.ndarray, texts: np.ndarray, among: int, seed: int = 0
) -> np.ndarray:
  """Of each image, how many texts come before its own; `[N]`.

  Args:
    images: unit vectors `[N, E]`.
    texts: `[N, E]`, the i-th of the i-th image.
    among: texts that are ranked: its own, and others drawn at random. A text
      that is the same vector as its own is none of the others.
    seed: of the draw.

  Raises:
    InputError: fewer texts than that.
  """
  num = len(texts)
  if not 2 <= among <= num:
    raise InputError(f'among: {among} is not between 2 and the {num} texts')
  rng, found = np.random.default_rng(seed), np.empty(num, int)
  for index in range(num):
    other = np.flatnonzero((texts != texts[index]).any(axis=1))
    others = texts[rng.choice(other, min(among - 1, len(other)), replace=False)]
    found[index] = (
      others @ images[index] >= texts[index] @ images[index]
    ).sum()
  return found

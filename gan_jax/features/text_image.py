"""What sees images and reads texts: vectors of both, compared by their cosine.

It judges whether an image shows what a text says, and guides images there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import from_uint8
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
      return self.of_images(self.fitted(from_uint8(images)))

    return batched(jax.jit(apply), images)


def towards(
  model: TextImage,
  text: np.ndarray,
  *,
  crops: int,
  spherical: bool = False,
  least: float = 0.6,
) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """How far images are from a text, as `guidance.guide` takes it.

  The mean over crops of them: of whole images alone, what is found are
  patterns that a model takes for the text and nobody else does.

  Args:
    model: that compares.
    text: its vector of the text, `[E]`.
    crops: of each image, each time other ones; 0 for the whole image.
    spherical: the square of the angle, halved, in place of 1 - cosine.
    least: share of the sides that a crop has, at the least.

  Returns:
    (images `[B, H, W, C]`, key) -> `[B]`.

  Reference:
    Crowson et al., VQGAN-CLIP, arXiv 2204.08583, section 3 (crops, and the
    distance).
  """

  def distance(images, key):
    shown = images
    if crops:
      shown = cropped(images, key, crops, least, model.image_size)
    seen = model.of_images(model.fitted(shown))
    far = spherical_distance(seen, text) if spherical else 1.0 - seen @ text
    return far.reshape(-1, len(images)).mean(axis=0)

  return distance


def spherical_distance(a: jax.Array, b: jax.Array) -> jax.Array:
  """2 arcsin(|a - b| / 2)^2 = angle^2 / 2 of unit vectors, `[..., E]`."""
  chord = jnp.linalg.norm(a - b, axis=-1)
  return 2.0 * jnp.arcsin(jnp.clip(chord / 2.0, 0.0, 1.0)) ** 2


def cropped(
  images: jax.Array, key: jax.Array, num: int, least: float, size: int
) -> jax.Array:
  """Random squares of images, `[num B, size, size, C]`, differentiable.

  Args:
    images: `[B, H, W, C]`; the first B crops are of the first to the last.
    key: of sides and places.
    num: of each image.
    least: share of the image's sides that a crop has, at the least.
    size: that crops are brought to, bilinear and antialiased.
  """

  def one(image, key):
    keys = jax.random.split(key)
    share = jax.random.uniform(keys[0], (), minval=least, maxval=1.0)
    sides = jnp.array(image.shape[:2], jnp.float32)
    corner = jax.random.uniform(keys[1], (2,)) * (1.0 - share) * sides
    scale = size / (share * sides)
    return jax.image.scale_and_translate(
      image,
      (size, size, image.shape[-1]),
      (0, 1),
      scale,
      -corner * scale,
      'linear',
      antialias=True,
    )

  many = jnp.tile(images, (num, 1, 1, 1))
  return jax.vmap(one)(many, jax.random.split(key, len(many)))


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

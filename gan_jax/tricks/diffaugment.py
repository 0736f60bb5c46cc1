"""Differentiable augmentation of what D sees.

Reference:
  Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training,
  arXiv 2006.10738, section 3.3 and eq. 4 to 6; constants of the authors'
  published code.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from gan_jax.rng import fold_each
from gan_jax.types import lookup


def brightness(image: jax.Array, key: jax.Array) -> jax.Array:
  """Adds one number of U[-1/2, 1/2] to all pixels of `[H, W, C]`."""
  return image + jax.random.uniform(key, (), image.dtype, -0.5, 0.5)


def saturation(image: jax.Array, key: jax.Array) -> jax.Array:
  """Scales each pixel's distance from its grey value by U[0, 2]."""
  grey = image.mean(axis=-1, keepdims=True)
  factor = jax.random.uniform(key, (), image.dtype, 0.0, 2.0)
  return grey + factor * (image - grey)


def contrast(image: jax.Array, key: jax.Array) -> jax.Array:
  """Scales each value's distance from the image's mean by U[1/2, 3/2]."""
  mean = image.mean()
  factor = jax.random.uniform(key, (), image.dtype, 0.5, 1.5)
  return mean + factor * (image - mean)


def colour(image: jax.Array, key: jax.Array) -> jax.Array:
  """Brightness, saturation and contrast, in this order."""
  for number, change in enumerate((brightness, saturation, contrast)):
    image = change(image, jax.random.fold_in(key, number))
  return image


def shift(image: jax.Array, offsets: jax.Array) -> jax.Array:
  """Moves `[H, W, C]` by whole pixels (down, right); zeros come in.

  Products with shifted unit matrices, whose gradient is no scatter.
  """
  height, width = image.shape[:2]
  rows = jnp.arange(height)[:, None] - offsets[0] == jnp.arange(height)
  columns = jnp.arange(width)[:, None] - offsets[1] == jnp.arange(width)
  down, right = rows.astype(image.dtype), columns.astype(image.dtype)
  return jnp.einsum('ih,hwc,jw->ijc', down, image, right)


def translation(image: jax.Array, key: jax.Array) -> jax.Array:
  """Moves the image by up to an eighth of its size each way; zeros come in."""
  most = jnp.array([int(size / 8 + 0.5) for size in image.shape[:2]])
  return shift(image, jax.random.randint(key, (2,), -most, most + 1))


def cutout(image: jax.Array, key: jax.Array) -> jax.Array:
  """Sets a rectangle of half the height and width to 0.

  Its centre is uniform over the image; what lies outside is cut off.
  """
  inside = jnp.ones((), bool)
  for axis, axis_key in enumerate(jax.random.split(key)):
    size = image.shape[axis]
    length = int(size / 2 + 0.5)
    centre = jax.random.randint(axis_key, (), 0, size + 1 - length % 2)
    place = jnp.arange(size) - (centre - length // 2)
    along = (place >= 0) & (place < length)
    inside = inside & (along[:, None] if axis == 0 else along[None, :])
  return jnp.where(inside[..., None], 0.0, image)


POLICIES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
  'colour': colour,
  'translation': translation,
  'cutout': cutout,
}


def diffaugment(
  images: jax.Array, keys: jax.Array, policy: Sequence[str]
) -> jax.Array:
  """Augments every image by its own draw.

  Args:
    images: `[B, H, W, C]` in [-1, 1]; the result may leave this range.
    keys: `[B]`.
    policy: names of `POLICIES`, applied in the order given.
  """
  for number, name in enumerate(policy):
    change = lookup(POLICIES, name, 'tricks.augment_policy')
    images = jax.vmap(change)(images, fold_each(keys, number))
  return images

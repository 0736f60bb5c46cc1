"""What the compiled step does to stored pictures before anybody sees them."""

import jax
import jax.numpy as jnp

from gan_jax.pixels import from_uint8
from gan_jax.rng import example_keys

_CORNERS = 2  # sets crops apart from flips


def decode_images(
  images: jax.Array, key: jax.Array, positions: jax.Array, flip: bool
) -> jax.Array:
  """uint8 `[B, H, W, C]` -> float32 in [-1, 1], half of them mirrored."""
  if flip:
    coins = jax.vmap(jax.random.bernoulli)(example_keys(key, positions))
    mirrored = jnp.flip(images, axis=2)
    images = jnp.where(coins[:, None, None, None], mirrored, images)
  return from_uint8(images)


def random_crops(
  images: jax.Array, key: jax.Array, positions: jax.Array, size: int
) -> jax.Array:
  """A square of each image `[B, H, W, C]`, all places as likely."""
  keys = example_keys(jax.random.fold_in(key, _CORNERS), positions)
  most = jnp.array([side - size + 1 for side in images.shape[1:3]])

  def one(image, key):
    top, left = jax.random.randint(key, (2,), 0, most)
    shape = size, size, image.shape[-1]
    return jax.lax.dynamic_slice(image, (top, left, 0), shape)

  return jax.vmap(one)(images, keys)

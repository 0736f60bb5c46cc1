"""A pool of earlier fakes that D is shown in place of the newest ones.

Reference:
  Shrivastava et al., Learning from Simulated and Unsupervised Images through
  Adversarial Training, arXiv 1612.07828, section 2.3; as in Zhu et al.,
  arXiv 1703.10593, section 4: 50 images; half of the time one of them is shown.
"""

import jax
import jax.numpy as jnp

Pool = dict[
  str, jax.Array
]  # `images` [N, H, W, C], `taken` int32 of its places


def empty(size: int, image_shape: tuple[int, ...]) -> Pool:
  """A pool of so many places; the first `taken` have an image."""
  images = jnp.zeros((size, *image_shape))
  return {'images': images, 'taken': jnp.zeros((), jnp.int32)}


def query(
  pool: Pool, images: jax.Array, keys: jax.Array
) -> tuple[jax.Array, Pool]:
  """What is shown of a batch, one image after the other, and the pool then.

  While there is place, an image is kept and shown. After that, with probability
  1/2 a kept one, any of them alike, is shown and the image takes its place;
  else the image is shown and not kept.

  Args:
    pool: of one place at least.
    images: `[B, H, W, C]`.
    keys: of each, `[B]`.

  Returns:
    Images `[B, H, W, C]`, and the pool.
  """
  size = len(pool['images'])

  def one(pool, image_and_key):
    image, key = image_and_key
    coin, place = jax.random.split(key)
    full = pool['taken'] == size
    drawn = jax.random.randint(place, (), 0, size)
    at = jnp.where(full, drawn, pool['taken'])
    swaps = full & jax.random.bernoulli(coin)
    kept = pool['images'][at]
    shown = jnp.where(swaps, kept, image)
    new = jnp.where(swaps | ~full, jax.lax.stop_gradient(image), kept)
    taken = pool['taken'] + (~full).astype(jnp.int32)
    return {'images': pool['images'].at[at].set(new), 'taken': taken}, shown

  pool, shown = jax.lax.scan(one, pool, (images, keys))
  return shown, pool

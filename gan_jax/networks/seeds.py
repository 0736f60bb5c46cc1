"""Randomness inside a network.

Of G: latents begin with the seed of an image's own, so that an image is a
function of its latents, whatever G draws on the way, in training as when
samples are drawn. Of D, in training alone: keys come beside what it is given,
see `NOISE`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.rng import fold_each
from gan_jax.types import Given, InputError

# A column of keys `[B]`, which a game gives a D that says that it is `noisy`.
NOISE = 'noise'
NUM_SEEDS = 2  # numbers at the start of the latents: whole ones below 2^24


def split(latents: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Keys `[B]` of the images' noise, and z `[B, Z]`, of latents."""
  seeds = latents[:, :NUM_SEEDS].astype(jnp.uint32)

  def key_of(seed):
    return functools.reduce(jax.random.fold_in, seed, jax.random.key(0))

  return jax.vmap(key_of)(seeds), latents[:, NUM_SEEDS:]


def with_noise(disc: Any, given: Given, keys: jax.Array) -> Given:
  """What D is given, with keys of its own noise if it has some.

  Args:
    disc: the network.
    given: columns.
    keys: `[B]`, whose children 0 and 1 are of views (gan_jax.tricks.views).
  """
  if not getattr(disc, 'noisy', False):
    return given
  return {**given, NOISE: fold_each(keys, 2)}


# Keys `[B]` of the images' noise, or the noise itself, a map for each layer.
Noise = jax.Array | tuple[jax.Array, ...]


def noise_of(keys: Noise, layer: int, size: int) -> jax.Array:
  """Normal noise `[B, size, size, 1]` of a layer."""
  if isinstance(keys, tuple):
    return keys[layer]
  keys = fold_each(keys, layer)
  return jax.vmap(lambda key: jax.random.normal(key, (size, size, 1)))(keys)


def dropout(
  x: jax.Array, keys: jax.Array, layer: int, rate: float
) -> jax.Array:
  """Zeroes a share `rate` of the values, and divides the others by 1 - rate.

  Args:
    x: `[B, ...]`.
    keys: `[B]`.
    layer: its number.
    rate: in [0, 1).
  """
  if not rate:
    return x
  keys = fold_each(keys, layer)
  kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))
  return jnp.where(kept(keys), x / (1 - rate), jnp.zeros((), x.dtype))


def check_share(key: str, share: float) -> None:
  """Raises InputError unless so much of the values can be zeroed."""
  if not 0 <= share < 1:
    raise InputError(f'network.{key}: {share} is no share in [0, 1)')

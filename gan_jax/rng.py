"""Randomness per example, and a hash that the compiler can see through."""

import math

import jax
import jax.numpy as jnp
from jax.extend import random as random_extension

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def example_keys(key: jax.Array, positions: jax.Array) -> jax.Array:
  """One key for each example of a batch, from its global position alone.

  Args:
    key: scalar PRNG key of the batch.
    positions: int32 `[B]`, places in the global batch.

  Returns:
    Keys `[B]`.
  """
  return jax.vmap(lambda position: jax.random.fold_in(key, position))(positions)


def fold_each(keys: jax.Array, number: int | jax.Array) -> jax.Array:
  """A key `[B]` for another purpose, `number`, from each of `keys` `[B]`."""
  return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


def unrolled(key: jax.Array) -> jax.Array:
  """The same key, whose hash is compiled without loops.

  JAX compiles threefry as a loop on the CPU. XLA never merges two loops, so
  the same noise drawn in two places is drawn twice, with all that is computed
  from it: G's forward pass, where both players see the same fakes. Every draw
  gives the same bits as before.

  Args:
    key: a threefry key, JAX's default kind.

  Returns:
    A key for `jax.random`, of the kind 'unrolled_threefry2x32'.
  """
  return jax.random.wrap_key_data(jax.random.key_data(key), impl=_UNROLLED)


def _threefry(key: jax.Array, x0: jax.Array, x1: jax.Array):
  """Threefry-2x32 of counters uint32 `x0, x1` under `key` `[2]`, 20 rounds.

  Reference:
    Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011,
    section 4.
  """
  schedule = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
  x0, x1 = x0 + schedule[0], x1 + schedule[1]
  for block in range(5):
    for rotation in _ROTATIONS[block % 2]:
      x0 = x0 + x1
      left, right = jnp.uint32(rotation), jnp.uint32(32 - rotation)
      x1 = ((x1 << left) | (x1 >> right)) ^ x0
    x0 = x0 + schedule[(block + 1) % 3]
    x1 = x1 + schedule[(block + 2) % 3] + jnp.uint32(block + 1)
  return x0, x1


def _hash_counters(key, shape):
  """Hashes 0, 1, ... of `shape`, as two words each."""
  size = math.prod(shape)
  if size >= 2**32:
    raise ValueError(f'{size} draws from one key; at most 2 ** 32 - 1')
  low = jax.lax.iota(jnp.uint32, size).reshape(shape)
  return _threefry(key, jnp.zeros_like(low), low)


def _seed(seed):
  return jax.random.key_data(jax.random.key(seed, impl='threefry2x32'))


def _split(key, shape):
  return jnp.stack(_hash_counters(key, shape), axis=-1)


def _fold_in(key, data):
  return jnp.stack(_threefry(key, jnp.uint32(0), jnp.uint32(data)))


def _random_bits(key, width, shape):
  if width != 32:
    rolled = jax.random.wrap_key_data(key, impl='threefry2x32')
    return jax.random.bits(rolled, shape, jnp.dtype(f'uint{width}'))
  high, low = _hash_counters(key, shape)
  return high ^ low


_UNROLLED = random_extension.define_prng_impl(
  key_shape=(2,),
  seed=_seed,
  split=_split,
  random_bits=_random_bits,
  fold_in=_fold_in,
  name='unrolled_threefry2x32',
  tag='uf',
)

"""Randomness per example, whatever devices the batch is shared among."""

import jax


def example_keys(key: jax.Array, positions: jax.Array) -> jax.Array:
  """One key for each example of a batch, from its global position alone.

  Args:
    key: scalar PRNG key of the batch.
    positions: int32 `[B]`, places in the global batch.

  Returns:
    Keys `[B]`.
  """
  return jax.vmap(lambda position: jax.random.fold_in(key, position))(positions)

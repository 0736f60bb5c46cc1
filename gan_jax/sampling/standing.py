"""Batch statistics of the very weights that are sampled."""

from collections.abc import Callable, Iterable

import chex
import jax
import jax.numpy as jnp

from gan_jax.types import Given

NUM_BATCHES = 100
_FAR = 2.0**20  # from any statistic, so that no difference loses digits


def standing_statistics(
  generate: Callable[..., tuple[jax.Array, chex.ArrayTree]],
  variables: chex.ArrayTree,
  batches: Iterable[tuple[chex.ArrayTree, Given]],
) -> chex.ArrayTree:
  """Variables whose batch statistics are means over fresh batches of latents.

  Running statistics lag behind the weights, and those of an average of
  weights belong to none of them. These are of the very weights.

  Args:
    generate: see gan_jax.games.Generate.
    variables: of G.
    batches: latents `[B, Z]` and what is given, of each.

  Returns:
    The variables with new batch statistics.

  Reference:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, arXiv 1809.11096, section 3.1.
  """
  if 'batch_stats' not in variables:
    return variables
  old = variables['batch_stats']

  @jax.jit
  def batch_statistics(latents, given):
    def update(value):
      stats = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.full_like(x, value) if _is_norm(path) else x, old
      )
      _, new = generate(
        variables | {'batch_stats': stats}, latents, given, train=True
      )
      return new['batch_stats']

    # An update is m old + (1 - m) batch: two of them give m and the batch's.
    def solve(path, x, zero, far):
      if not _is_norm(path):
        return x
      met = far - zero != _FAR  # an encoder is not met
      return jnp.where(met, zero / (1.0 - (far - zero) / _FAR), x)

    return jax.tree_util.tree_map_with_path(
      solve, old, update(0.0), update(_FAR)
    )

  found = [batch_statistics(*batch) for batch in batches]
  means = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *found)
  return variables | {'batch_stats': means}


def _is_norm(path) -> bool:
  """Whether a leaf of batch_stats is a mean or variance of batch norm."""
  return jax.tree_util.keystr(path[-1:]) in ("['mean']", "['var']")

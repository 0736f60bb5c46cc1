"""Batch statistics of the very weights that are sampled."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import chex
import jax
import jax.numpy as jnp

from gan_jax.sampling.batches import BATCH, take
from gan_jax.types import Column, Given, InputError

BATCH_NORMS = ('running', 'batch', 'standing')
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


class Standing:
  """How a `Sampler` comes by the statistics of its batch norms."""

  columns: Mapping[str, Column]
  latents: Callable[..., Any]
  labels: Callable[..., Any]
  _given: Callable[..., Given]
  _generate: Callable[..., tuple[jax.Array, chex.ArrayTree]]
  _variables: chex.ArrayTree
  _batch_norm: str
  _about: dict[str, Any]
  _threshold: float

  def at(self, truncation: float) -> Self:
    """The same sampler for latents cut at a threshold.

    Standing statistics become those of such latents, as they must: the maps of
    half of the noise vary less. Without them it is this sampler.

    Args:
      truncation: see `latents`.
    """
    if self._batch_norm != 'standing' or truncation == self._threshold:
      return self
    other = copy.copy(self)
    other._threshold = truncation
    other._variables = other._settled(self._variables)
    return other

  def with_variables(self, variables: chex.ArrayTree) -> Self:
    """The same sampler over other weights, without compiling again."""
    other = copy.copy(self)
    other._variables, other._about = self._settled(variables), {}
    return other

  def _settled(self, variables: chex.ArrayTree) -> chex.ArrayTree:
    """Variables with the statistics that `batch_norm` asks for."""
    if self._batch_norm != 'standing':
      return variables
    if self.columns:
      raise InputError(
        'batch_norm: standing draws latents alone, and this run is told '
        f'{", ".join(self.columns)} too; take running or batch'
      )
    return standing_statistics(
      self._generate, variables, self._fresh_batches(NUM_BATCHES)
    )

  def _fresh_batches(self, num_batches: int) -> list[tuple]:
    """Batches of latents and what is given, of seed 0."""
    num = num_batches * BATCH
    latents = self.latents(num, truncation=self._threshold)
    inputs = latents, self._given(num, self.labels(num))
    return [
      take(inputs, slice(start, start + BATCH))
      for start in range(0, num, BATCH)
    ]

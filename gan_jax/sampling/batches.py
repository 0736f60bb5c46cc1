"""Compiled functions applied to any number of examples."""

from collections.abc import Callable

import chex
import jax
import numpy as np

BATCH = 64  # fixed, so that an image does not depend on how many are drawn


def take(tree: chex.ArrayTree, rows: np.ndarray | slice) -> chex.ArrayTree:
  """Some examples of a tree, whose leaves are `[N, ...]`."""
  return jax.tree.map(lambda x: x[rows], tree)


def batched(
  function: Callable[..., chex.ArrayTree], *inputs: chex.ArrayTree
) -> chex.ArrayTree:
  """Applies a compiled function in batches of one fixed size.

  Args:
    function: trees of arrays `[64, ...]` -> a tree of such arrays.
    *inputs: trees of arrays `[N, ...]`.

  Returns:
    `[N, ...]`; the last batch is padded, and the padding cut off.
  """
  num = len(jax.tree.leaves(inputs)[0])
  outputs = []
  for start in range(0, num, BATCH):
    rows = np.arange(start, start + BATCH) % num
    part = take(inputs, rows)
    outputs.append(jax.tree.map(np.asarray, function(*part)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:num], *outputs)

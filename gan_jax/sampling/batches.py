"""Compiled functions applied to any number of examples."""

from collections.abc import Callable

import chex
import jax
import numpy as np

BATCH = 64  # fixed, so that an image does not depend on how many are drawn


def batched(
  function: Callable[..., chex.ArrayTree], *arrays: np.ndarray | None
) -> chex.ArrayTree:
  """Applies a compiled function in batches of one fixed size.

  Args:
    function: arrays `[64, ...]` -> tree of arrays `[64, ...]`.
    *arrays: `[N, ...]` each, or None, which is passed on.

  Returns:
    `[N, ...]`; the last batch is padded, and the padding cut off.
  """
  num = len(arrays[0])
  outputs = []
  for start in range(0, num, BATCH):
    rows = np.arange(start, start + BATCH) % num
    inputs = [None if array is None else array[rows] for array in arrays]
    outputs.append(jax.tree.map(np.asarray, function(*inputs)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:num], *outputs)

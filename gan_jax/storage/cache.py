"""Arrays kept in files of the cache, and digests to find them by."""

import hashlib
import json
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import chex
import jax
import numpy as np

from gan_jax.storage.files import atomic

_said: set[str] = set()  # why the cache could not be written


def digest_of(value: Any) -> str:
  """SHA-256 of a JSON value, independent of the order of keys."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def digest_arrays(arrays: Iterable[np.ndarray]) -> str:
  """SHA-256 of arrays: their shapes, types and contents, in order."""
  digest = hashlib.sha256()
  for array in arrays:
    digest.update(f'{array.shape} {array.dtype.str};'.encode())
    digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()


def save_arrays(path: pathlib.Path, **arrays: Any) -> None:
  """Writes arrays as one .npz file, whole or not at all.

  A cache only saves time: what cannot be written costs a line, once a process,
  and nothing else.
  """
  try:
    with atomic(path) as temporary:
      np.savez(temporary, **arrays)
  except OSError as error:
    reason = error.strerror or str(error)
    if reason not in _said:
      _said.add(reason)
      print(
        f'note: cannot write in {path.parent}: {reason}; it is a cache, so '
        'this costs time and nothing else',
        file=sys.stderr,
      )


def load_arrays(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """What `save_arrays` wrote; None if the file is missing or damaged."""
  try:
    # Opened here, so that it is closed also where NumPy gives up.
    with path.open('rb') as file, np.load(file, allow_pickle=False) as arrays:
      return dict(arrays)
  except Exception:  # damage makes NumPy and zipfile raise nearly anything
    return None


def save_leaves(
  path: pathlib.Path, tree: chex.ArrayTree, **fields: Any
) -> None:
  """Writes a tree's leaves by their paths, and further arrays by name."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  arrays = {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}
  save_arrays(path, **arrays, **fields)


def load_leaves(
  path: pathlib.Path, abstract: chex.ArrayTree
) -> tuple[chex.ArrayTree, dict[str, np.ndarray]] | None:
  """A tree of the given shapes and the further arrays.

  Returns:
    None if the file is missing, damaged, or of another shape.
  """
  arrays = load_arrays(path)
  if arrays is None:
    return None
  leaves, structure = jax.tree_util.tree_flatten_with_path(abstract)
  found = []
  for name, leaf in leaves:
    array = arrays.pop(jax.tree_util.keystr(name), None)
    if array is None or array.shape != leaf.shape:
      return None
    found.append(array)
  return jax.tree_util.tree_unflatten(structure, found), arrays

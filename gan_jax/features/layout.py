"""Checks that arrays of a weight file are those of a network."""

from collections.abc import Mapping

import numpy as np

from gan_jax.types import InputError


def check_arrays(
  state: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> None:
  """Compares arrays with the shapes that a network has, all float32.

  Args:
    state: the arrays, by name.
    shapes: what is wanted, by name.

  Raises:
    InputError: a name is missing or unknown, or an array has another shape or
      type, or is not finite.
  """
  for key, shape in shapes.items():
    array = state.get(key)
    found = 'nothing' if array is None else f'{array.dtype} {array.shape}'
    if found != f'float32 {shape}':
      raise InputError(f'{key}: float32 {shape} is wanted, found {found}')
    if not np.isfinite(array).all():
      raise InputError(f'{key}: NaN or infinite weights')
  if unknown := set(state) - set(shapes):
    raise InputError(f'{min(unknown)}: nothing of that name is wanted')

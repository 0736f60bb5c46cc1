"""Directions of a generator as small files in its workdir."""

import json
import pathlib
from typing import Any

import numpy as np

from gan_jax.sampling.editing import Direction
from gan_jax.storage.cache import load_arrays
from gan_jax.storage.files import atomic
from gan_jax.types import InputError

FOLDER, SUFFIX = 'directions', '.npz'


def place(workdir: pathlib.Path, name: str, space: str) -> pathlib.Path:
  """Where a direction is kept."""
  return workdir / FOLDER / f'{name.replace("/", "_")},{space}{SUFFIX}'


def kept(workdir: pathlib.Path) -> list[str]:
  """Names of the files that a run has."""
  return sorted(p.name for p in (workdir / FOLDER).glob(f'*{SUFFIX}'))


def save(path: pathlib.Path, direction: Direction, **about: Any) -> None:
  """Writes a direction, with what it was found on."""
  path.parent.mkdir(parents=True, exist_ok=True)
  facts = {'name': direction.name, 'space': direction.space, **about}
  with atomic(path) as temporary:
    np.savez(
      temporary,
      vector=np.float32(direction.vector),
      spread=np.float32(direction.spread),
      about=json.dumps(facts, sort_keys=True),
    )


def read(path: pathlib.Path, **about: Any) -> Direction | None:
  """A direction; None if it was found on something else, or is not there.

  Args:
    path: of the file.
    **about: what it must have been found on; nothing for whatever it was.

  Raises:
    InputError: the file holds no direction.
  """
  if not path.is_file():
    return None
  arrays = load_arrays(path)
  try:
    facts = json.loads(str(arrays['about']))
    vector, spread = np.float64(arrays['vector']), float(arrays['spread'])
    found = Direction(facts['name'], facts['space'], vector, spread)
  except (TypeError, KeyError, ValueError) as error:
    raise InputError(
      f'edit.direction: {path} holds no direction; name a file of '
      f'{FOLDER}/ in a workdir'
    ) from error
  if any(facts.get(key) != value for key, value in about.items()):
    return None
  return found

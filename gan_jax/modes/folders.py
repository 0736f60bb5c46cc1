"""Folders of images, for modes that make others of them."""

import pathlib
from collections.abc import Sequence

from gan_jax.data import files as files_lib
from gan_jax.data.images import shown
from gan_jax.types import InputError
from gan_jax.workdir import layout


def images(folder: str, key: str) -> Sequence[files_lib.File]:
  """The images of a folder or a ZIP, by path.

  Args:
    folder: its path.
    key: that names it.

  Raises:
    InputError: none is named, or there are none in it.
  """
  if not folder:
    raise InputError(
      f'{key}: name a folder or a ZIP of images, --config.{key}=FOLDER'
    )
  root = pathlib.Path(folder).expanduser()
  found = files_lib.find(root, key).files
  if not found:
    raise InputError(f'{key}: there is no image in {shown(root)}')
  return found


def places(
  folder: pathlib.Path, files: Sequence[files_lib.File], key: str
) -> list[pathlib.Path]:
  """Where the images go, as PNG: below `folder` as they are below theirs.

  Folders are made.

  Raises:
    InputError: two differ in their suffix alone.
  """
  found: dict[pathlib.Path, files_lib.File] = {}
  for file in files:
    place = folder / file.relative.with_suffix('.png')
    if place in found:
      raise InputError(
        f'{key}: {shown(found[place].relative)} and '
        f'{shown(file.relative)} would both become {shown(place.name)}; rename '
        'one of them'
      )
    found[place] = file
  for parent in dict.fromkeys(path.parent for path in found):
    layout.prepare(parent, 'out')
  return list(found)

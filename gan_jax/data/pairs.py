"""Images that come with others: folders `A/` and `B/`, halves of one image."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_jax.data.files import File
from gan_jax.data.images import decode, shown
from gan_jax.types import InputError, lookup

# Where a folder has the images that G makes (B) and those it is told of (A).
LAYOUTS = ('single', 'paired', 'halves', 'unpaired')
DIRECTIONS = ('a2b', 'b2a')


def check(layout: str, direction: str) -> None:
  """Raises InputError for a name that there is not."""
  lookup(dict.fromkeys(LAYOUTS), layout, 'data.layout')
  lookup(dict.fromkeys(DIRECTIONS), direction, 'data.direction')


def below(files: Sequence[File], folder: str) -> list[File]:
  """Files of a folder, relative to it."""
  return [
    file._replace(relative=file.relative.relative_to(folder))
    for file in files
    if file.relative.parts[0] == folder and len(file.relative.parts) > 1
  ]


def sides(direction: str) -> tuple[str, str]:
  """Names of the folders of the sources and of the targets."""
  return ('A', 'B') if direction == 'a2b' else ('B', 'A')


def side(
  root: pathlib.Path, files: Sequence[File], folder: str, layout: str
) -> list[File]:
  """The images of `A` or of `B`.

  Raises:
    InputError: there are none.
  """
  found = below(files, folder)
  if not found:
    raise InputError(
      f'data.layout: {layout} takes images from the folders A and B of '
      f'{shown(root)}, and {folder} is missing or has none'
    )
  return found


def matched(
  root: pathlib.Path, files: Sequence[File], direction: str
) -> dict[Any, Any]:
  """Paths of the targets -> paths of their sources, of the same name.

  Raises:
    InputError: no images on a side, or one whose name the other lacks.
  """
  names = sides(direction)
  sources, targets = (
    {file.relative: file.path for file in side(root, files, name, 'paired')}
    for name in names
  )
  for name in sorted(sources.keys() ^ targets.keys()):
    there, missing = names if name in sources else names[::-1]
    raise InputError(
      f'data.layout: paired takes files of the same names, and '
      f'{there}/{shown(name)} has none in {shown(root / missing)}; add it, or '
      'take data.layout=unpaired'
    )
  return {path: sources[name] for name, path in targets.items()}


def read_pair(path: Any, source: Any, background: str) -> dict[str, np.ndarray]:
  """A target and its source, uint8 `[H, W, 1 or 3]` each; see `decode`.

  Raises:
    InputError: one is no image, or they differ in size.
  """
  image, other = (decode(file, background) for file in (path, source))
  if image.shape[:2] != other.shape[:2]:
    raise InputError(
      f'data.layout: {shown(source)} has {_size(other)} pixels and its pair '
      f'{shown(path)} has {_size(image)}; give both one size'
    )
  return {'image': image, 'source': other}


def read_halves(
  path: Any, direction: str, background: str
) -> dict[str, np.ndarray]:
  """An image whose left half is A and whose right half is B, as `read_pair`.

  Raises:
    InputError: it is no image, or its width is odd.
  """
  pixels = decode(path, background)
  if pixels.shape[1] % 2:
    raise InputError(
      f'data.layout: {shown(path)} has {_size(pixels)} pixels, and halves '
      'takes images of even width, A left and B right'
    )
  halves = np.split(pixels, 2, axis=1)
  source, image = halves if direction == 'a2b' else halves[::-1]
  return {'image': image, 'source': source}


def _size(pixels: np.ndarray) -> str:
  return f'{pixels.shape[1]} x {pixels.shape[0]}'

"""Which files of a folder are for training and which are held out."""

import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gan_jax.data import files as files_lib
from gan_jax.data import pairs
from gan_jax.data.files import File
from gan_jax.data.images import shown
from gan_jax.data.sources import num_kept
from gan_jax.types import InputError

# Names of the folders of splits, in any case; the first one found is taken.
_TRAIN = ('train', 'training')
_HELD_OUT = tuple(
  'test testing val valid validation eval evaluation dev'.split()
)


class Division(NamedTuple):
  """Which images are for what; paths are relative to the split's folder.

  Attributes:
    train: to train on.
    test: held out.
    how: what `test` is, in words.
    unused: images of neither, by the folder that they lie in.
  """

  train: list[File]
  test: list[File]
  how: str
  unused: Counter[str]


def _first(usual: Sequence[str], folders: set[str]) -> str | None:
  """The folder with the first of the usual names, in any case."""
  by_case = sorted(folders, key=lambda name: (name != name.lower(), name))
  found = [n for name in usual for n in by_case if n.lower() == name]
  return found[0] if found else None


def divide(
  root: pathlib.Path,
  folders: set[str],
  files: list[File],
  test_fraction: float,
) -> Division:
  """What to train on, what is held out, and what is neither."""
  train, held_out = _first(_TRAIN, folders), _first(_HELD_OUT, folders)
  if train and held_out:
    splits = pairs.below(files, train), pairs.below(files, held_out)
    for folder, split in zip((train, held_out), splits, strict=True):
      if not split:
        raise InputError(f'data.dir: no images in {shown(root / folder)}')
    tops = Counter(
      shown(x.relative.parts[0]) if len(x.relative.parts) > 1 else 'loose'
      for x in files
      if x.relative.parts[0] not in (train, held_out)
    )
    return Division(*splits, shown(held_out), tops)
  if train and len(inside := pairs.below(files, train)) == len(files):
    files = inside
  kept = num_kept(len(files), test_fraction, f'data.dir: {shown(root)}')
  by_hash = sorted(files, key=lambda x: files_lib.crc32(x.relative.as_posix()))
  num = len(files) - kept
  ordered = [
    sorted(part, key=lambda x: x.relative.parts)
    for part in (by_hash[num:], by_hash[:num])
  ]
  return Division(*ordered, 'chosen by a hash of their paths', Counter())


def divide_side(
  root: pathlib.Path,
  images: list[File],
  folder: str,
  layout: str,
  test_fraction: float,
) -> Division:
  """Splits of the folder A, or of B."""
  files = pairs.side(root, images, folder, layout)
  tops = {x.relative.parts[0] for x in files if len(x.relative.parts) > 1}
  return divide(root / folder, tops, files, test_fraction)

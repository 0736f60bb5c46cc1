"""What a source of raw examples is; see `tfds_source.py` and `folder.py`.

A source is a sequence of `{'image': uint8 [H, W, C], 'label': int}` (labels
only where there are any, -1 where one is not known), the protocol of
`tfds.data_source`; of pairs, `source` is the image that it was made from, and
with captions, `text` is int32 `[L]` or float32 `[E]`; with poses, `pose` is
float32 `[2]`. It may have `__getitems__`, to read
several at once; and `origin`, a name for where its examples come from, with
`fingerprint()`, a JSON value of all that they depend on, so that they can be
kept decoded.
"""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.types import InputError

Source = Sequence[dict[str, Any]]


class Splits(NamedTuple):
  """A dataset's sources and what its labels are called.

  Attributes:
    train: examples to train on.
    test: held-out examples, never trained on.
    class_names: names of the labels, empty if there are none.
    version: tells this data from other data of the same name.
    summary: lines on what is used, and what is not.
    test_labels_hidden: whether test has labels that say nothing.
    others: train and test images of another domain, if there is one.
    vocabulary: of the texts that come with the images, as words.
    beside: columns that stand in files beside the images: examples of them.
  """

  train: Source
  test: Source
  class_names: tuple[str, ...]
  version: str = ''
  summary: tuple[str, ...] = ()
  test_labels_hidden: bool = False
  others: tuple[Source, Source] | None = None
  vocabulary: tuple[str, ...] = ()
  beside: dict[str, np.ndarray] = {}  # noqa: RUF012  nobody writes in it


def file_facts(paths: Iterable[pathlib.Path]) -> list[tuple[str, int, int]]:
  """Name, bytes and time of change (ns) of files.

  Raises:
    OSError: one of them is not there.
  """
  return [
    (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths
  ]


def num_kept(num: int, test_fraction: float, where: str) -> int:
  """How many of `num` images to train on, at least one left on either side."""
  if num < 2:
    raise InputError(
      f'{where} has a single image; training needs two at least, one of them '
      'held out'
    )
  return num - min(max(1, round(num * test_fraction)), num - 1)

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
from collections.abc import Callable, Iterable, Sequence
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


class Part:
  """Neighbouring examples of a source, in its order; a source itself."""

  def __init__(self, source: Source, start: int, stop: int):
    """From `start` up to `stop`, 0 <= start <= stop <= len(source)."""
    self._source, self._range = source, range(start, stop)

  def __len__(self) -> int:
    return len(self._range)

  def __getitem__(self, index: int) -> dict[str, Any]:
    return self._source[self._range[index]]

  def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Several at once."""
    moved = [self._range[index] for index in indices]
    if hasattr(self._source, '__getitems__'):
      return self._source.__getitems__(moved)
    return [self._source[index] for index in moved]

  @property
  def origin(self) -> str:
    """See above; AttributeError where the source has none."""
    return f'{self._range.start} to {self._range.stop} of {self._source.origin}'

  @property
  def fingerprint(self) -> Callable[[], Any]:
    """Likewise."""
    return self._source.fingerprint


def hold_back(splits: Splits, num: int) -> tuple[Splits, Source | None]:
  """Splits without the last `num` examples of train, and these; None for 0.

  Raises:
    InputError: train has no more than so many.
  """
  if not num:
    return splits, None
  size = len(splits.train)
  if num >= size:
    raise InputError(
      f'data.validation: {num:,} of {size:,} images to train on leave none; '
      'hold back fewer'
    )
  kept = Part(splits.train, 0, size - num)
  return splits._replace(train=kept), Part(splits.train, size - num, size)


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

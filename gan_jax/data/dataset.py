"""A dataset by name, with images of one size: `load_dataset`."""

import math
import pathlib
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import beside, pairs
from gan_jax.data.derive import NONE, Derive, make_derive
from gan_jax.data.examples import Images
from gan_jax.data.folder import open_folder
from gan_jax.data.images import BACKGROUNDS, MOST_PIXELS
from gan_jax.data.shapes import (
  FITS,
  cut_shape,
  image_shape_of,
  other_shape_of,
  source_shape_of,
)
from gan_jax.data.sources import Source, Splits, hold_back
from gan_jax.data.tfds_source import open_tfds
from gan_jax.types import InputError, lookup


class DatasetInfo(NamedTuple):
  """What a run's workdir remembers of its data.

  Attributes:
    name: as in `data.name`.
    image_shape: (H, W, C).
    class_names: of the labels, empty if there are none.
    num_train: examples to train on.
    num_test: held-out examples.
    version: tells this data from other data of the same name.
    columns: what an example has beside its image and label, see
      `Images.columns`.
    vocabulary: of the texts among these, see `gan_jax.sampling.tokens`.
  """

  name: str
  image_shape: tuple[int, int, int]
  class_names: tuple[str, ...]
  num_train: int
  num_test: int
  version: str = ''
  columns: dict[str, tuple[int, ...]] = {}  # noqa: RUF012  nobody writes in it
  vocabulary: tuple[str, ...] = ()


class Dataset(NamedTuple):
  """Train and test images, and what is known of both.

  Attributes:
    train: to train on.
    test: held out.
    info: what a run remembers.
    summary: lines on what is used and what is not, for who starts a run.
    validation: neither trained on nor tested on, or None.
  """

  train: Images
  test: Images
  info: DatasetInfo
  summary: tuple[str, ...] = ()
  validation: Images | None = None

  def not_tested_on(self) -> dict[str, np.ndarray]:
    """Train and validation, as `Images.whole` gives them, in their order.

    What features are learnt from: the same, whatever G is trained on.
    """
    found = self.train.whole()
    if self.validation is None:
      return found
    more = self.validation.whole()
    return {k: np.concatenate([rows, more[k]]) for k, rows in found.items()}


def _check(
  texts: dict[str, Any],
  numbers: dict[str, Any],
  test_fraction: Any,
  skip_broken: Any,
) -> None:
  """Raises InputError for a value that a config read back may have, too."""
  for key, value in texts.items():
    if not isinstance(value, str | pathlib.PurePath):
      raise InputError(f'data.{key}: {value!r} is no text')
  for key, value in numbers.items():
    if not isinstance(value, int):
      raise InputError(f'data.{key}: {value!r} is no whole number')
  if not isinstance(test_fraction, int | float):
    raise InputError(f'data.test_fraction: {test_fraction!r} is no number')
  _check_folder(texts, skip_broken)
  lookup(FITS, texts['fit'], 'data.fit')
  image_size, channels = numbers['image_size'], numbers['channels']
  if channels not in (0, 1, 3):
    raise InputError(f'data.channels: {channels} is not 0 (as is), 1 or 3')
  for key in ('image_size', 'crop', 'validation'):
    if numbers[key] < 0:
      raise InputError(f'data.{key}: {numbers[key]} is negative')
  if image_size**2 > MOST_PIXELS:
    raise InputError(
      f'data.image_size: {image_size} is more than {math.isqrt(MOST_PIXELS):,} '
      'pixels, the limit'
    )
  if not 0.0 < test_fraction < 1.0:
    raise InputError(f'data.test_fraction: {test_fraction} is not in (0, 1)')


def _check_folder(texts: dict[str, Any], skip_broken: Any) -> None:
  """Raises InputError for what a folder, or any other data, does not take."""
  pairs.check(texts['layout'], texts['direction'])
  single = texts['layout'] == 'single'
  if not single and texts['name'] != 'folder':
    raise InputError(
      f'data.layout: {texts["layout"]} is for data.name=folder alone, and '
      f'data.name is {texts["name"]}; data.derive makes sources of any images'
    )
  if texts['derive'] != NONE and texts['layout'] in ('paired', 'halves'):
    raise InputError(
      f'data.derive: {texts["derive"]} would take the place of the sources '
      f'that data.layout={texts["layout"]} gives; set one of the two'
    )
  if not isinstance(skip_broken, bool):
    raise InputError(
      f'data.skip_broken: {skip_broken!r} is neither True nor False'
    )
  if skip_broken and texts['name'] != 'folder':
    raise InputError(
      'data.skip_broken: is for data.name=folder alone, and data.name is '
      f'{texts["name"]}'
    )
  lookup(dict.fromkeys(BACKGROUNDS), texts['background'], 'data.background')
  if texts['background'] != 'black' and texts['name'] != 'folder':
    raise InputError(
      f'data.background: {texts["background"]} is for data.name=folder alone, '
      f'and data.name is {texts["name"]}'
    )


def load_dataset(
  name: str,
  *,
  dir: str = '',
  image_size: int = 0,
  channels: int = 0,
  fit: str = 'crop',
  test_fraction: float = 0.1,
  decoded_cache: bool = True,
  skip_broken: bool = False,
  layout: str = 'single',
  direction: str = 'a2b',
  derive: str = NONE,
  derive_factor: int = 4,
  captions: bool = False,
  poses: bool = False,
  encoder: Any = None,
  background: str = 'black',
  crop: int = 0,
  validation: int = 0,
) -> Dataset:
  """Opens a dataset; images are read on access.

  Args:
    name: digits, folder, or a TFDS dataset.
    dir: of the images (folder, which may be a ZIP) or of prepared TFDS
      datasets; '' is TFDS's own.
    image_size: height and width in pixels; 0 keeps what the data has.
    channels: 1 for grey, 3 for RGB; 0 keeps what the data has.
    fit: how other sizes are brought to `image_size`, one of `FITS`.
    test_fraction: share to hold out where the data has no test split.
    decoded_cache: whether splits that are read whole may be kept decoded in
      the user's cache.
    skip_broken: leave out images of a folder that cannot be decoded, which
      costs decoding each of them once; False refuses the first that is met.
    layout: of a folder, one of `pairs.LAYOUTS`.
    direction: a2b or b2a: which of the two is made from the other.
    derive: what is made of each image as its source, one of `DERIVE` or none.
    derive_factor: by which `low_res` shrinks.
    captions: whether each image of a folder comes with a text.
    poses: whether it comes with a pose.
    encoder: of the texts, see `beside.Wanted`; None for words.
    background: that transparency in images of a folder is laid on, one of
      `BACKGROUNDS`.
    crop: pixels of the square that each image is shown as, see `Images`.
    validation: images at the end of train to leave out of it.

  Raises:
    InputError: unknown, empty, unreadable, or of the wrong kind.
  """
  sides = dict(layout=layout, direction=direction, background=background)
  sizes = dict(image_size=image_size, channels=channels, crop=crop)
  _check(
    dict(name=name, dir=dir, fit=fit, derive=derive, **sides),
    dict(derive_factor=derive_factor, validation=validation, **sizes),
    test_fraction,
    skip_broken,
  )
  if name == 'folder':
    wanted = beside.Wanted(captions, poses, encoder)
    sides |= dict(wanted=wanted, skip_broken=skip_broken)
    splits = open_folder(dir, test_fraction, **sides)
  else:
    _check_alone(name, captions, poses)
    splits = open_tfds(name, dir or None, test_fraction)
  shape, remark = image_shape_of(splits.train, image_size, channels, name)
  splits, held_back = hold_back(splits, validation)
  made = make_derive(derive, derive_factor, cut_shape(shape, crop))
  read = dict(fit=fit if image_size else None, decoded_cache=decoded_cache)
  train, test, chosen_on = _images(
    splits, held_back, shape, channels, derive=made, crop=crop, **read
  )
  counts, about = (len(train), len(test)), (splits.version, train.columns)
  known = splits.class_names, *counts, *about, splits.vocabulary
  info = DatasetInfo(name, train.image_shape, *known)
  return Dataset(train, test, info, splits.summary + remark, chosen_on)


def _check_alone(name: str, captions: bool, poses: bool) -> None:
  """Raises InputError for what only images of a folder come with."""
  if captions or poses:
    what = 'text' if captions else 'pose'
    raise InputError(
      f'given: {what} is read beside the images of data.name=folder, not of '
      f'{name}'
    )


def _images(
  splits: Splits,
  held_back: Source | None,
  shape: tuple[int, int, int],
  channels: int,
  *,
  derive: Derive | None,
  **shared,
) -> list[Images | None]:
  """All splits, brought to a shape: train, test and validation.

  Args:
    splits: of raw examples.
    held_back: those for validation, if there are any.
    shape: (H, W, C) of the images.
    channels: of all pictures; 0 for as many as each kind has.
    derive: of the images.
    **shared: how they are read, see `Images`.
  """
  others = (None, None, None)
  if splits.others:
    other_shape = other_shape_of(splits.others[0], shape, channels)
    train, test = (
      Images(source, other_shape, labelled=False, **shared)
      for source in splits.others
    )
    others = train, test, train
  sources = splits.train, splits.test, held_back
  hidden = False, splits.test_labels_hidden, False
  return [
    None
    if source is None
    else Images(
      source,
      shape,
      labelled=bool(splits.class_names) and not hides,
      source_shape=source_shape_of(splits.train, shape, channels),
      beside=splits.beside,
      derive=derive,
      other=other,
      **shared,
    )
    for source, hides, other in zip(sources, hidden, others, strict=True)
  ]

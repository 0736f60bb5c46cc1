"""A dataset by name, with images of one size: `load_dataset`."""

import concurrent.futures
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import decoded
from gan_jax.data.folder import open_folder
from gan_jax.data.images import MOST_PIXELS
from gan_jax.data.sources import Source
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
  """

  name: str
  image_shape: tuple[int, int, int]
  class_names: tuple[str, ...]
  num_train: int
  num_test: int
  version: str = ''


_BLOCK = 256  # examples read in one go
_THREADS = 4  # of decoding a whole split


class Images:
  """A source whose images have all been brought to one shape.

  Attributes:
    image_shape: (H, W, C).
    labelled: whether examples have labels.
  """

  def __init__(
    self,
    source: Source,
    image_shape: tuple[int, int, int],
    *,
    labelled: bool,
    fit: str | None,
    decoded_cache: bool = False,
  ):
    """Wraps a source.

    Args:
      source: of raw examples.
      image_shape: (H, W, C) to bring them to.
      labelled: whether they have labels.
      fit: how other sizes are brought there, one of `FITS`; None refuses
        them.
      decoded_cache: whether `whole` may keep what it has read.
    """
    self.image_shape = image_shape
    self.labelled = labelled
    self._source, self._fit = source, fit
    self._decoded_cache = decoded_cache

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict[str, Any]:
    return self._convert(index, self._source[index])

  def _convert(self, index: int, example: dict[str, Any]) -> dict[str, Any]:
    size = example['image'].shape[:2]
    if self._fit is None and size != self.image_shape[:2]:
      raise InputError(
        f'data.image_size: image {index} has {size} pixels, others have '
        f'{self.image_shape[:2]}; give one size for all'
      )
    image = convert(example['image'], self.image_shape, FITS.get(self._fit))
    if not self.labelled:
      return {'images': image}
    return {'images': image, 'labels': np.int32(example['label'])}

  def _examples(self, indices: Sequence[int]) -> Iterable[dict[str, Any]]:
    """Raw examples, read in one go where the source can."""
    if hasattr(self._source, '__getitems__'):
      return self._source.__getitems__(indices)
    return (self._source[index] for index in indices)

  def read(
    self, indices: np.ndarray, *, num_threads: int = 1
  ) -> dict[str, np.ndarray]:
    """Reads examples: images uint8 `[N, H, W, C]` and labels int32 `[N]`.

    A label of -1 is not known, see `labelled_only`.
    """
    arrays = {'images': np.empty((len(indices), *self.image_shape), np.uint8)}
    if self.labelled:
      arrays['labels'] = np.empty(len(indices), np.int32)

    size = max(1, min(_BLOCK, len(indices) // num_threads))

    def fill(start):
      wanted = [int(i) for i in indices[start : start + size]]
      for i, example in enumerate(self._examples(wanted)):
        for name, value in self._convert(wanted[i], example).items():
          arrays[name][start + i] = value

    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
      # A list, so that errors are raised here.
      list(pool.map(fill, range(0, len(indices), size)))
    return arrays

  def whole(self) -> dict[str, np.ndarray]:
    """All examples in their order, as `read` gives them; see `decoded.py`."""

    def read():
      return self.read(np.arange(len(self)), num_threads=_THREADS)

    source = self._source
    if not (self._decoded_cache and hasattr(source, 'fingerprint')):
      return read()
    what = [source.origin, self.image_shape, self._fit, self.labelled]
    return decoded.read_once(what, source.fingerprint, read)


def labelled_only(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Of what `Images.read` gives, the examples whose labels are known."""
  labels = arrays.get('labels', np.full(len(arrays['images']), -1, np.int32))
  known = labels >= 0
  if known.all():  # the arrays as they are, which may be large
    return {'images': arrays['images'], 'labels': labels}
  return {'images': arrays['images'][known], 'labels': labels[known]}


class Dataset(NamedTuple):
  """Train and test images, and what is known of both.

  Attributes:
    train: to train on.
    test: held out.
    info: what a run remembers.
    summary: lines on what is used and what is not, for who starts a run.
  """

  train: Images
  test: Images
  info: DatasetInfo
  summary: tuple[str, ...] = ()


# --- One shape for all ------------------------------------------------------


def crop(image, size: int):
  """Shorter side to `size`, then the central square."""
  from PIL import ImageOps

  return ImageOps.fit(image, (size, size), method=_lanczos())


def stretch(image, size: int):
  """Both sides to `size`, whatever becomes of the aspect."""
  return image.resize((size, size), _lanczos())


FITS = {'crop': crop, 'stretch': stretch}


def _lanczos():
  from PIL import Image

  return Image.Resampling.LANCZOS


def convert(
  pixels: np.ndarray, image_shape: tuple[int, int, int], fit: Callable | None
) -> np.ndarray:
  """Brings uint8 `[h, w, 1, 3 or 4]` to `image_shape`, grey to RGB or back."""
  if pixels.shape == tuple(image_shape):
    return pixels
  from PIL import Image

  grey = pixels.shape[-1] == 1
  image = Image.fromarray(pixels[..., 0] if grey else pixels[..., :3])
  image = image.convert('L' if image_shape[-1] == 1 else 'RGB')
  if pixels.shape[:2] != tuple(image_shape[:2]):
    image = fit(image, image_shape[0])
  return np.asarray(image).reshape(image_shape)


def _image_shape(source, image_size: int, channels: int, name: str):
  """(H, W, C) as the config says, or as the first images are; a line on it.

  Raises:
    InputError: images of several sizes and no size given.
  """
  probes = np.linspace(0, len(source) - 1, num=min(16, len(source)))
  shapes = {source[int(i)]['image'].shape for i in probes}
  grey, remark = all(shape[-1] == 1 for shape in shapes), ()
  if grey and channels == 3:
    remark = ('data: the images are grey; data.channels=1 trains on grey',)
  channels = channels or (1 if grey else 3)
  if image_size:
    return (image_size, image_size, channels), remark
  if len({shape[:2] for shape in shapes}) > 1:
    raise InputError(
      f'data.image_size: the images of {name} differ in size; give one '
      '(pixels), such as --config.data.image_size=64'
    )
  return (*shapes.pop()[:2], channels), remark


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
  if not isinstance(skip_broken, bool):
    raise InputError(
      f'data.skip_broken: {skip_broken!r} is neither True nor False'
    )
  if skip_broken and texts['name'] != 'folder':
    raise InputError(
      'data.skip_broken: is for data.name=folder alone, and data.name is '
      f'{texts["name"]}'
    )
  lookup(FITS, texts['fit'], 'data.fit')
  image_size, channels = numbers['image_size'], numbers['channels']
  if channels not in (0, 1, 3):
    raise InputError(f'data.channels: {channels} is not 0 (as is), 1 or 3')
  if image_size < 0:
    raise InputError(f'data.image_size: {image_size} is negative')
  if image_size**2 > MOST_PIXELS:
    raise InputError(
      f'data.image_size: {image_size} is more than {math.isqrt(MOST_PIXELS):,} '
      'pixels, the limit'
    )
  if not 0.0 < test_fraction < 1.0:
    raise InputError(f'data.test_fraction: {test_fraction} is not in (0, 1)')


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

  Raises:
    InputError: unknown, empty, unreadable, or of the wrong kind.
  """
  _check(
    dict(name=name, dir=dir, fit=fit),
    dict(image_size=image_size, channels=channels),
    test_fraction,
    skip_broken,
  )
  if name == 'folder':
    splits = open_folder(dir, test_fraction, skip_broken=skip_broken)
  else:
    splits = open_tfds(name, dir or None, test_fraction)
  shape, remark = _image_shape(splits.train, image_size, channels, name)
  train, test = (
    Images(
      source,
      shape,
      labelled=bool(splits.class_names) and not hidden,
      fit=fit if image_size else None,
      decoded_cache=decoded_cache,
    )
    for source, hidden in (
      (splits.train, False),
      (splits.test, splits.test_labels_hidden),
    )
  )
  return Dataset(
    train,
    test,
    DatasetInfo(
      name, shape, splits.class_names, len(train), len(test), splits.version
    ),
    splits.summary + remark,
  )

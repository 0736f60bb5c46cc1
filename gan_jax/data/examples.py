"""Examples of one shape, read by their indices: `Images`."""

import concurrent.futures
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.data import decoded
from gan_jax.data.derive import Derive
from gan_jax.data.shapes import FITS, convert, cut, cut_shape
from gan_jax.data.sources import Source
from gan_jax.types import Given, InputError

_BLOCK = 256  # examples read in one go
_THREADS = 4  # of decoding a whole split
_CUT = ('images', 'source')  # of what is read with an image


class Images:
  """A source whose images have all been brought to one shape.

  Attributes:
    image_shape: (H, W, C).
    whole_shape: of the images that these are squares of; the same without
      `crop`.
    crop: pixels of such squares: random ones in training, else the central
      ones. 0 for whole images.
    labelled: whether examples have labels.
    derive: what makes the column `source` of an image, or None.
    other: images of another domain, the column `other`, or None.
  """

  def __init__(
    self,
    source: Source,
    image_shape: tuple[int, int, int],
    *,
    labelled: bool,
    fit: str | None,
    decoded_cache: bool = False,
    source_shape: tuple[int, int, int] | None = None,
    beside: Mapping[str, np.ndarray] | None = None,
    derive: Derive | None = None,
    other: 'Images | None' = None,
    crop: int = 0,
  ):
    """Wraps a source.

    Args:
      source: of raw examples.
      image_shape: (H, W, C) to bring them to.
      labelled: whether they have labels.
      fit: how other sizes are brought there, one of `FITS`; None refuses
        them.
      decoded_cache: whether `whole` may keep what it has read.
      source_shape: to bring the sources of pairs to; None if there are none.
      beside: further columns, an example of each `[1, ...]`.
      derive: makes a source of each image; None for none.
      other: images of another domain.
      crop: see above.
    """
    self.image_shape = cut_shape(image_shape, crop)
    self.whole_shape, self.crop = image_shape, crop
    self.labelled = labelled
    self.derive, self.other = derive, other
    self._source_shape, self._beside = source_shape, dict(beside or {})
    self._source, self._fit = source, fit
    self._decoded_cache = decoded_cache

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict[str, Any]:
    return self._convert(index, self._source[index])

  def _convert(self, index: int, example: dict[str, Any]) -> dict[str, Any]:
    size = example['image'].shape[:2]
    if self._fit is None and size != self.whole_shape[:2]:
      raise InputError(
        f'data.image_size: image {index} has {size} pixels, others have '
        f'{self.whole_shape[:2]}; give one size for all'
      )
    fit = FITS.get(self._fit)
    arrays = {'images': convert(example['image'], self.whole_shape, fit)}
    if self.labelled:
      arrays['labels'] = np.int32(example['label'])
    if self._source_shape:
      arrays['source'] = convert(example['source'], self._source_shape, fit)
    return arrays | {name: example[name] for name in self._beside}

  @property
  def columns(self) -> dict[str, tuple[int, ...]]:
    """Shapes of what an example has beside its image and label.

    `source` (H, W, C), what its image was made from, by a pair or derived;
    `other` (H, W, C), an image of another domain; `text` (L,), tokens, or (E,);
    `pose` (2,).
    """
    shapes = {}
    if self._source_shape:
      shapes['source'] = cut_shape(self._source_shape, self.crop)
    if self.derive is not None:
      shapes['source'] = self.derive.shape
    if self.other is not None:
      shapes['other'] = self.other.image_shape
    return shapes | {k: rows.shape[1:] for k, rows in self._beside.items()}

  def given(self, names: Iterable[str], indices: np.ndarray) -> Given:
    """Columns of examples, leaves `[N, ...]`: pictures as uint8.

    Args:
      names: of columns, labels among them.
      indices: int `[N]` of the examples; those of `other` in their own order,
        from the start again where there are fewer.
    """
    names = tuple(names)
    arrays = self.read(indices) if names else {}
    if 'source' in names and self.derive is not None:
      arrays['source'] = np.asarray(self.derive(arrays['images']))
    if 'other' in names:
      arrays['other'] = self.other.read(indices % len(self.other))['images']
    return {name: arrays[name] for name in names}

  def _examples(self, indices: Sequence[int]) -> Iterable[dict[str, Any]]:
    """Raw examples, read in one go where the source can."""
    if hasattr(self._source, '__getitems__'):
      return self._source.__getitems__(indices)
    return (self._source[index] for index in indices)

  def read(
    self, indices: np.ndarray, *, num_threads: int = 1, uncut: bool = False
  ) -> dict[str, np.ndarray]:
    """Reads examples: images uint8 `[N, H, W, C]` and labels int32 `[N]`.

    A label of -1 is not known, see `labelled_only`. Images of pairs come with
    `source`, uint8 likewise; those with captions with `text`, int32 `[N, L]` or
    float32 `[N, E]`; those with poses with `pose`, float32 `[N, 2]`.

    Args:
      indices: int `[N]`.
      num_threads: that decode.
      uncut: whether images are whole, not their central squares, see `crop`.
    """
    arrays = {'images': np.empty((len(indices), *self.whole_shape), np.uint8)}
    if self.labelled:
      arrays['labels'] = np.empty(len(indices), np.int32)
    if self._source_shape:
      shape = len(indices), *self._source_shape
      arrays['source'] = np.empty(shape, np.uint8)
    for name, rows in self._beside.items():
      shape = len(indices), *rows.shape[1:]
      arrays[name] = np.empty(shape, rows.dtype)

    size = max(1, min(_BLOCK, len(indices) // num_threads))

    def fill(start):
      wanted = [int(i) for i in indices[start : start + size]]
      for i, example in enumerate(self._examples(wanted)):
        for name, value in self._convert(wanted[i], example).items():
          arrays[name][start + i] = value

    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
      # A list, so that errors are raised here.
      list(pool.map(fill, range(0, len(indices), size)))
    return arrays if uncut else self._cut(arrays)

  def _cut(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Examples with the central squares of their pictures."""
    if not self.crop:
      return arrays
    pictures = {k: cut(arrays[k], self.crop) for k in _CUT if k in arrays}
    return arrays | pictures

  def whole(self, *, uncut: bool = False) -> dict[str, np.ndarray]:
    """All examples in their order, as `read` gives them; see `decoded.py`."""

    def read():
      return self.read(np.arange(len(self)), num_threads=_THREADS, uncut=True)

    source = self._source
    if self._decoded_cache and hasattr(source, 'fingerprint'):
      what = [source.origin, self.whole_shape, self._fit, self.labelled]
      if self._source_shape:
        what.append(self._source_shape)
      arrays = decoded.read_once(what, source.fingerprint, read)
    else:
      arrays = read()
    return arrays if uncut else self._cut(arrays)


def labelled_only(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Of what `Images.read` gives, the examples whose labels are known."""
  labels = arrays.get('labels', np.full(len(arrays['images']), -1, np.int32))
  known = labels >= 0
  if known.all():  # the arrays as they are, which may be large
    return {'images': arrays['images'], 'labels': labels}
  return {'images': arrays['images'][known], 'labels': labels[known]}

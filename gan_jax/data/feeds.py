"""Batches for the compiled step: batch t is a function of (seed, t).

Draw d of a batch of B takes the positions d*B to (d+1)*B of an endless stream,
in which every epoch is a new permutation of the dataset. A batch may straddle
two epochs; within an epoch each example comes exactly once. A training step
with k D updates makes k draws.

Two feeds give the same batches, bit for bit. `DeviceFeed` keeps the dataset on
the device as uint8 and sends indices; `StreamFeed` reads and sends the images,
prefetched by Grain. Either way decoding, random crops, flips and derived
sources happen in the compiled step.

What is given with an image comes in its order. Images of another domain (the
column `other`) have an order and a length of their own.
"""

import copy
import functools
from collections.abc import Iterator, Sequence
from typing import Protocol

import chex
import jax
import numpy as np

from gan_jax.data.examples import Images
from gan_jax.data.pictures import decode_images, random_crops
from gan_jax.types import Batch, InputError

Draw = dict[str, chex.ArrayTree]
_OTHER = 1  # sets the order and the flips of `other` apart from the images'


class Feed(Protocol):
  """What training needs of a feed.

  Attributes:
    resident: arrays to keep on the device, given to `decode` every time.
  """

  resident: dict[str, np.ndarray]

  def draws(self, start: int) -> Iterator[Draw]:
    """Draws from number `start` on, without end; leaves lead with B."""

  def indices(self, number: int) -> np.ndarray:
    """Indices `[B]` of the examples in a draw, of the whole batch."""

  def shared(self, index: int, count: int) -> 'Feed':
    """The same feed, whose draws are the index-th of `count` equal shares."""

  def resized(self, batch_size: int, draws: int, images: int) -> 'Feed':
    """The same stream, in batches of another size from a draw on.

    Args:
      batch_size: B, of the whole batch.
      draws: made before; the next one has this number.
      images: that these were made of.
    """

  def decode(self, resident, draw, key) -> Batch:
    """A (device's share of a) draw as a batch; pure, compiled."""


class IndexStream:
  """The endless stream of example indices that a seed gives."""

  def __init__(self, num_examples: int, seed: int, *salt: int):
    """Takes the length of an epoch, the seed, and what sets streams apart."""
    self._num_examples = num_examples
    self._permutation = functools.lru_cache(maxsize=2)(
      lambda epoch: np.random.default_rng((seed, epoch, *salt)).permutation(
        num_examples
      )
    )

  def __call__(self, start: int, stop: int) -> np.ndarray:
    """Indices int32 at the positions start to stop of the stream."""
    epochs = range(
      start // self._num_examples, (stop - 1) // self._num_examples + 1
    )
    joined = np.concatenate([self._permutation(epoch) for epoch in epochs])
    offset = start - epochs[0] * self._num_examples
    return joined[offset : offset + stop - start].astype(np.int32)


def _known(labels: np.ndarray) -> np.ndarray:
  """The labels; raises InputError if one is not known."""
  if missing := int(np.sum(labels < 0)):
    raise InputError(
      f'conditional: {missing:,} of {len(labels):,} images read have no label '
      '(-1); train with conditional=False, or on data that is labelled '
      'throughout'
    )
  return labels


class _Shares:
  """What both feeds know: the order, a process's share, and the decoding."""

  def __init__(
    self,
    images: Images,
    *,
    batch_size: int,
    seed: int,
    flip: bool = False,
    labels: bool = False,
    columns: Sequence[str] = (),
  ):
    """Takes up the stream.

    Args:
      images: what to train on.
      batch_size: B, of the global batch.
      seed: of the order.
      flip: whether to mirror images left to right, half of the time; an image
        and its source are mirrored, and cut out, together.
      labels: whether batches carry labels.
      columns: what else they carry, of `Images.columns`.
    """
    self._images, self._flip = images, flip
    self._given = ('labels',) * labels + tuple(columns)
    derived = 'source' in self._given and images.derive is not None
    self._derive = images.derive if derived else None
    self._other = images.other if 'other' in self._given else None
    # What is read with an image; the rest of `_given` is not stored with it.
    apart = ('source',) * derived + ('other',)
    self._stored = ('images', *(x for x in self._given if x not in apart))
    self._batch_size = batch_size
    self._positions = np.arange(batch_size, dtype=np.int32)
    self._share, self._before = (0, 1), (0, 0)  # draws, and images of them
    self._begin(seed)

  def _begin(self, seed: int) -> None:
    """Starts the streams that a seed gives."""
    self._stream = IndexStream(len(self._images), seed)
    if self._other is not None:
      self._other_stream = IndexStream(len(self._other), seed, _OTHER)

  def indices(self, number: int) -> np.ndarray:
    """See `Feed`."""
    return self._draw_from(self._stream, number)

  def _draw_from(self, stream: IndexStream, number: int) -> np.ndarray:
    size, (draws, images) = self._batch_size, self._before
    start = images + (number - draws) * size
    return stream(start, start + size)

  def shared(self, index: int, count: int) -> 'Feed':
    """See `Feed`."""
    other = copy.copy(self)
    other._share = index, count
    other._positions = np.array_split(self._positions, count)[index]
    return other

  def resized(self, batch_size: int, draws: int, images: int) -> 'Feed':
    """See `Feed`."""
    other = copy.copy(self)
    other._batch_size, other._before = batch_size, (draws, images)
    other._positions = np.arange(batch_size, dtype=np.int32)
    return other.shared(*self._share)

  def _own_indices(self, number: int) -> dict[str, np.ndarray]:
    """Indices `[B]` of a process's share: of images, and of `other`."""
    found = {'images': self.indices(number)}
    if self._other is not None:
      found['other'] = self._draw_from(self._other_stream, number)
    return {name: x[self._positions] for name, x in found.items()}

  def _kept(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of what `Images` gives, what batches are made from."""
    if 'labels' in self._stored:
      _known(arrays['labels'])
    return {name: arrays[name] for name in self._stored}

  def _batch(
    self, rows: dict[str, jax.Array], key: jax.Array, positions: jax.Array
  ) -> Batch:
    """Examples as they are stored, `[B, ...]` -> a batch."""
    keys = {'images': key, 'source': key}  # cut out and mirrored together
    if self._other is not None:
      keys['other'] = jax.random.fold_in(key, _OTHER)
    if size := self._images.crop:
      rows = rows | {
        name: random_crops(rows[name], keys[name], positions, size)
        for name in keys
        if name in rows
      }
    if self._derive is not None:
      rows = {**rows, 'source': self._derive(rows['images'])}

    def value(name):
      if name not in keys:
        return rows[name]
      return decode_images(rows[name], keys[name], positions, self._flip)

    given = {name: value(name) for name in self._given}
    return Batch(value('images'), given, positions)


class DeviceFeed(_Shares):
  """Holds all images on the device and gathers batches in the step."""

  def __init__(self, images: Images, **kwargs):
    """Reads the dataset; arguments as in `_Shares`."""
    super().__init__(images, **kwargs)
    self.resident = self._kept(images.whole(uncut=True))
    if self._other is not None:
      self.resident['other'] = self._other.whole(uncut=True)['images']

  def reseeded(self, seed: int) -> 'DeviceFeed':
    """The same images, not held twice, in the order of another seed."""
    other = copy.copy(self)
    other._begin(seed)
    return other

  def draws(self, start: int) -> Iterator[Draw]:
    """See `Feed`; `indices` are `[B]`, or those by name where there are two."""
    while True:
      indices = self._own_indices(start)
      if self._other is None:
        indices = indices['images']
      yield {'indices': indices, 'positions': self._positions}
      start += 1

  def decode(
    self, resident: chex.ArrayTree, draw: chex.ArrayTree, key: jax.Array
  ) -> Batch:
    """See `Feed`."""
    indices = draw['indices']
    if self._other is None:
      indices = {'images': indices}
    rows = {
      name: x[indices.get(name, indices['images'])]
      for name, x in resident.items()
    }
    return self._batch(rows, key, draw['positions'])


class StreamFeed(_Shares):
  """Reads images as they are needed, ahead of time and in parallel."""

  def __init__(
    self, images: Images, *, num_threads: int = 8, prefetch: int = 64, **kwargs
  ):
    """Opens the stream.

    Args:
      images: what to train on.
      num_threads: that read and decode.
      prefetch: draws to read ahead.
      **kwargs: as in `_Shares`.
    """
    super().__init__(images, **kwargs)
    self.resident = {}
    self._num_threads, self._prefetch = num_threads, prefetch

  def _read_draw(self, number: int) -> Draw:
    indices = self._own_indices(number)
    draw = self._kept(self._images.read(indices['images'], uncut=True))
    if self._other is not None:
      others = self._other.read(indices['other'], uncut=True)
      draw['other'] = others['images']
    return draw | {'positions': self._positions}

  def draws(self, start: int) -> Iterator[Draw]:
    """See `Feed`."""
    import grain

    options = grain.ReadOptions(
      num_threads=self._num_threads, prefetch_buffer_size=self._prefetch
    )
    endless = grain.MapDataset.range(start, np.iinfo(np.int32).max)
    return iter(endless.map(self._read_draw).to_iter_dataset(options))

  def decode(
    self, resident: chex.ArrayTree, draw: chex.ArrayTree, key: jax.Array
  ) -> Batch:
    """See `Feed`."""
    del resident
    return self._batch(draw, key, draw['positions'])


def check_batch_size(batch_size: int, num_images: int) -> None:
  """Raises InputError for a batch that has an image twice."""
  if batch_size > num_images:
    raise InputError(
      f'batch_size: {batch_size} is larger than the dataset, which has '
      f'{num_images} training images; take at most as many'
    )


CACHES = ('auto', 'device', 'stream')


def make_feed(
  images: Images, *, cache: str = 'auto', cache_mb: int = 1024, **kwargs
) -> DeviceFeed | StreamFeed:
  """Chooses a feed.

  Args:
    images: what to train on.
    cache: device, stream, or auto: device if the images fit `cache_mb`.
    cache_mb: MiB of uint8 pixels that may stay on the device under auto.
    **kwargs: of the feed, see `DeviceFeed`.

  Raises:
    InputError: an unknown name, or a batch larger than the dataset.
  """
  if cache not in CACHES:
    raise InputError(
      f'data.cache: unknown name {cache!r}; valid: {", ".join(CACHES)}'
    )
  check_batch_size(kwargs['batch_size'], len(images))
  pixels = len(images) * np.prod(images.whole_shape)
  columns = kwargs.get('columns', ())
  if 'source' in columns and images.derive is None:
    height, width, _ = images.whole_shape
    channels = images.columns['source'][-1]
    pixels += len(images) * height * width * channels
  if 'other' in columns:
    pixels += len(images.other) * np.prod(images.other.whole_shape)
  fits = pixels <= cache_mb * 2**20
  if cache == 'device' or (cache == 'auto' and fits):
    return DeviceFeed(images, **kwargs)
  return StreamFeed(images, **kwargs)

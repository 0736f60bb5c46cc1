"""Batches for the compiled step: batch t is a function of (seed, t).

Draw d of a batch of B takes the positions d*B to (d+1)*B of an endless stream,
in which every epoch is a new permutation of the dataset. A batch may straddle
two epochs; within an epoch each example comes exactly once. A training step
with k D updates makes k draws.

Two feeds give the same batches, bit for bit. `DeviceFeed` keeps the dataset on
the device as uint8 and sends indices; `StreamFeed` reads and sends the images,
prefetched by Grain. Either way decoding and flips happen in the compiled step.
"""

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.dataset import Images
from gan_jax.pixels import from_uint8
from gan_jax.rng import example_keys
from gan_jax.types import Batch, Given, InputError

Draw = dict[str, np.ndarray]
_NOT_GIVEN = ('images', 'indices', 'positions')


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

  def decode(self, resident, draw, key) -> Batch:
    """A (device's share of a) draw as a batch; pure, compiled."""


class IndexStream:
  """The endless stream of example indices that a seed gives."""

  def __init__(self, num_examples: int, seed: int):
    self._num_examples = num_examples
    self._permutation = functools.lru_cache(maxsize=2)(
      lambda epoch: np.random.default_rng((seed, epoch)).permutation(
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


class _Shares:
  """What both feeds know of the order, and of a process's share of a batch."""

  def __init__(self, num_examples: int, batch_size: int, seed: int):
    self._stream = IndexStream(num_examples, seed)
    self._batch_size = batch_size
    self._positions = np.arange(batch_size, dtype=np.int32)

  def indices(self, number: int) -> np.ndarray:
    """See `Feed`."""
    size = self._batch_size
    return self._stream(number * size, (number + 1) * size)

  def shared(self, index: int, count: int) -> 'Feed':
    """See `Feed`."""
    other = copy.copy(self)
    other._positions = np.array_split(self._positions, count)[index]
    return other

  def _own_indices(self, number: int) -> np.ndarray:
    return self.indices(number)[self._positions]


def decode_images(
  images: jax.Array, key: jax.Array, positions: jax.Array, flip: bool
) -> jax.Array:
  """uint8 `[B, H, W, C]` -> float32 in [-1, 1], half of them mirrored."""
  if flip:
    coins = jax.vmap(jax.random.bernoulli)(example_keys(key, positions))
    mirrored = jnp.flip(images, axis=2)
    images = jnp.where(coins[:, None, None, None], mirrored, images)
  return from_uint8(images)


def _given(columns: Mapping[str, jax.Array]) -> Given:
  """What is given, of all that is drawn."""
  return {k: x for k, x in columns.items() if k not in _NOT_GIVEN}


def _known(labels: np.ndarray) -> np.ndarray:
  """The labels; raises InputError if one is not known."""
  if missing := int(np.sum(labels < 0)):
    raise InputError(
      f'conditional: {missing:,} of {len(labels):,} images read have no label '
      '(-1); train with conditional=False, or on data that is labelled '
      'throughout'
    )
  return labels


class DeviceFeed(_Shares):
  """Holds all images on the device and gathers batches in the step."""

  def __init__(
    self,
    images: Images,
    *,
    batch_size: int,
    seed: int,
    flip: bool = False,
    labels: bool = False,
  ):
    """Reads the dataset.

    Args:
      images: what to train on.
      batch_size: B, of the global batch.
      seed: of the order.
      flip: whether to mirror images left to right, half of the time.
      labels: whether batches carry labels.
    """
    arrays = images.whole()
    self.resident = {'images': arrays['images']}
    if labels:
      self.resident['labels'] = _known(arrays['labels'])
    super().__init__(len(images), batch_size, seed)
    self._flip = flip

  def reseeded(self, seed: int) -> 'DeviceFeed':
    """The same images, not held twice, in the order of another seed."""
    other = copy.copy(self)
    other._stream = IndexStream(len(self.resident['images']), seed)
    return other

  def draws(self, start: int) -> Iterator[Draw]:
    """See `Feed`."""
    while True:
      indices = self._own_indices(start)
      yield {'indices': indices, 'positions': self._positions}
      start += 1

  def decode(
    self, resident: chex.ArrayTree, draw: chex.ArrayTree, key: jax.Array
  ) -> Batch:
    """See `Feed`."""
    rows = jax.tree.map(lambda x: x[draw['indices']], resident)
    images = decode_images(rows['images'], key, draw['positions'], self._flip)
    return Batch(images, _given(rows), draw['positions'])


class StreamFeed(_Shares):
  """Reads images as they are needed, ahead of time and in parallel."""

  def __init__(
    self,
    images: Images,
    *,
    batch_size: int,
    seed: int,
    flip: bool = False,
    labels: bool = False,
    num_threads: int = 8,
    prefetch: int = 64,
  ):
    """Opens the stream.

    Args:
      images: what to train on.
      batch_size: B, of the global batch.
      seed: of the order.
      flip: whether to mirror images left to right, half of the time.
      labels: whether batches carry labels.
      num_threads: that read and decode.
      prefetch: draws to read ahead.
    """
    self.resident = {}
    super().__init__(len(images), batch_size, seed)
    self._images, self._labels, self._flip = images, labels, flip
    self._num_threads, self._prefetch = num_threads, prefetch

  def _read_draw(self, number: int) -> Draw:
    draw = self._images.read(self._own_indices(number))
    if self._labels:
      _known(draw['labels'])
    else:
      draw.pop('labels', None)
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
    images = decode_images(draw['images'], key, draw['positions'], self._flip)
    return Batch(images, _given(draw), draw['positions'])


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
  if kwargs['batch_size'] > len(images):
    raise InputError(
      f'batch_size: {kwargs["batch_size"]} is larger than the dataset, which '
      f'has {len(images)} training images; take at most as many'
    )
  fits = len(images) * np.prod(images.image_shape) <= cache_mb * 2**20
  if cache == 'device' or (cache == 'auto' and fits):
    return DeviceFeed(images, **kwargs)
  return StreamFeed(images, **kwargs)

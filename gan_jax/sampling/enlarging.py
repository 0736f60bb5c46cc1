"""Enlarging images of any size with a super-resolution generator."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.pixels import from_uint8, to_uint8
from gan_jax.types import InputError

TILE = 256  # pixels of a side of a small image that go in at once
MARGIN = 32  # more of each neighbour, so that tiles meet without a seam


class Enlarge(NamedTuple):
  """A super-resolution G, as a function of its variables.

  Attributes:
    apply: (variables, small images `[B, h, w, C]` in [-1, 1]) -> large ones.
    factor: by which sides grow.
    channels: C.
  """

  apply: Callable[[Any, jax.Array], jax.Array]
  factor: int
  channels: int


class Enlarging:
  """What a `Sampler` can do whose generator enlarges."""

  _enlarge: Enlarge | None
  _variables: Any

  @property
  def factor(self) -> int:
    """By which `enlarge` makes sides longer.

    Raises:
      InputError: the generator does not enlarge.
    """
    return self._enlarger().factor

  def enlarge(self, image: np.ndarray, *, tile: int = TILE) -> np.ndarray:
    """One image of any size, uint8 `[h, w, C]` -> `[factor h, factor w, C]`.

    A larger one than a tile goes in by tiles, each with a margin of what lies
    around it, which is cut off again: what G sees beyond it is not seen.

    Args:
      image: to enlarge; grey, `[h, w, 1]`, for a G of colours too.
      tile: pixels of a side that go in at once.

    Raises:
      InputError: the generator does not enlarge, or the image is none of its.
    """
    how = self._enlarger()
    image = np.asarray(image)
    if image.ndim != 3 or image.dtype != np.uint8 or not image.size:
      raise InputError(
        f'image: {image.dtype} {image.shape}; uint8 [h, w, {how.channels}] is '
        'wanted'
      )
    if image.shape[-1] not in (1, how.channels):
      raise InputError(
        f'image: {image.shape[-1]} channels; this generator enlarges images of '
        f'{how.channels}'
      )
    image = np.broadcast_to(image, (*image.shape[:2], how.channels))
    height, width, channels = image.shape
    times = how.factor
    large = np.empty((height * times, width * times, channels), np.uint8)
    for rows, columns in itertools.product(
      _spans(height, tile), _spans(width, tile)
    ):
      seen = image[rows.seen, columns.seen][None]
      part = np.asarray(self._enlarge_tile(self._variables, seen))[0]
      own = part[rows.own_of_seen(times), columns.own_of_seen(times)]
      large[rows.own_of_all(times), columns.own_of_all(times)] = own
    return large

  def _enlarger(self) -> Enlarge:
    if self._enlarge is None:
      raise InputError(
        'upscale: the generator of this run enlarges nothing; those of '
        'network.name=srgan, msrresnet and esrgan do'
      )
    return self._enlarge


def compiled(enlarge: Enlarge | None) -> Callable[..., jax.Array] | None:
  """(variables, uint8 `[B, h, w, C]`) -> uint8, a program for each size."""
  if enlarge is None:
    return None
  return jax.jit(
    lambda variables, images: to_uint8(
      enlarge.apply(variables, from_uint8(images))
    )
  )


class _Span(NamedTuple):
  """A part of a side of a small image.

  Attributes:
    start: of the tile.
    stop: likewise.
    seen: the tile with its margins.
  """

  start: int
  stop: int
  seen: slice

  def own_of_all(self, times: int) -> slice:
    """The tile, enlarged, in the large image."""
    return slice(times * self.start, times * self.stop)

  def own_of_seen(self, times: int) -> slice:
    """The same in what is made of the tile and its margins."""
    before = self.start - self.seen.start
    return slice(times * before, times * (before + self.stop - self.start))


def _spans(size: int, tile: int) -> list[_Span]:
  """The tiles along a side."""
  found = []
  for start in range(0, size, tile):
    stop = min(start + tile, size)
    seen = slice(max(0, start - MARGIN), min(size, stop + MARGIN))
    found.append(_Span(start, stop, seen))
  return found

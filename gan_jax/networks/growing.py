"""What networks share that grow from 4 pixels to the size of the images.

All layers exist from the start. Level l has maps of 4 * 2^l pixels; a network
works at one of them, and while a level is new, its share goes from 0 to 1.
Images always have their full size: below it G repeats its pixels, and D takes
means of theirs, which undo each other exactly. So whatever shows or scores
images knows nothing of growing.

How far a network has grown is a number in its state, `grown` of the collection
`buffers`: level l - 1 plus the share of level l. The game sets it from the
step. In training the level is static, and one program is compiled for each; to
draw images, the network takes the level from `grown`.

Reference:
  Karras et al., Progressive Growing of GANs, arXiv 1710.10196, section 2,
  figure 2; images of full size as in the authors' code.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.types import InputError

BASE = 4  # pixels of the first map
COLLECTION, GROWN = 'buffers', 'grown'


class Geometry(NamedTuple):
  """Sizes of a network that grows.

  Attributes:
    widths: channels of the maps of each level, from 4 pixels on.
    level: at which it works in training.
  """

  widths: tuple[int, ...]
  level: int

  @property
  def top(self) -> int:
    """The level of the images."""
    return len(self.widths) - 1

  @property
  def size(self) -> int:
    """Pixels of the images."""
    return BASE * 2**self.top


def geometry_of(
  name: str,
  image_shape: tuple[int, int, int],
  channel_base: int,
  channel_max: int,
  resolution: int | None,
) -> Geometry:
  """Channels of all levels, and the level of a resolution.

  Args:
    name: of the architecture, for messages.
    image_shape: (H, W, C), H = W.
    channel_base: maps of S pixels have channel_base / S channels.
    channel_max: or so many, if that is less.
    resolution: pixels at which it works in training; None for the image's.

  Raises:
    InputError: a size that is not 4 times a power of two.
  """
  size = image_shape[0]
  check_power('data.image_size', name, size)
  if image_shape[1] != size or size < 2 * BASE:
    raise InputError(
      f'data.image_size: {name} makes square images of 8 pixels or more, not '
      f'{size} x {image_shape[1]}; set data.image_size'
    )
  resolution = resolution or size
  check_power('network.resolution', name, resolution)
  if resolution > size:
    raise InputError(
      f'network.resolution: {resolution} is more than the {size} pixels of the '
      'images; it says at which size a stage works'
    )
  levels = level_of(size) + 1
  widths = (channel_base // (BASE * 2**level) for level in range(levels))
  widths = tuple(max(1, min(width, channel_max)) for width in widths)
  return Geometry(widths, level_of(resolution))


def level_of(size: int) -> int:
  """The level of maps of `size` pixels."""
  return (size // BASE).bit_length() - 1


def check_power(key: str, name: str, size: int) -> None:
  """Raises InputError unless a size is 4 times a power of two."""
  nearest = BASE * 2 ** max(0, round(math.log2(max(size, BASE) / BASE)))
  if size != nearest:
    raise InputError(
      f'{key}: {name} doubles maps of {BASE} pixels, which does not give '
      f'{size}; the nearest size is {nearest}'
    )


def variable(network: nn.Module, geometry: Geometry) -> nn.Variable:
  """How far a network has grown, in its `setup`: all of it at first."""
  return network.variable(COLLECTION, GROWN, lambda: jnp.float32(geometry.top))


def at_level(
  network: nn.Module,
  run: Callable[..., Any],
  geometry: Geometry,
  *inputs: Any,
  train: bool,
) -> Any:
  """Calls `run(network, level, share, *inputs)`.

  Args:
    network: whose `grown` says how far it has grown.
    run: at a static level, with the share of what is new in it.
    geometry: of the network.
    *inputs: of `run`.
    train: whether the level is that of `geometry`, or of the state.
  """
  top, grown = geometry.top, network.grown.value
  if network.is_initializing():  # meets the layers of every level
    return [run(network, k, jnp.ones(()), *inputs) for k in range(top + 1)][-1]
  if train:
    level = geometry.level
    return run(network, level, grown - (level - 1), *inputs)
  level = jnp.ceil(grown).astype(jnp.int32)

  def branch(k):
    return lambda network, *inputs: run(network, k, grown - (k - 1), *inputs)

  return nn.switch(level, [branch(k) for k in range(top + 1)], network, *inputs)


def faded(old: jax.Array, new: jax.Array, share: jax.Array) -> jax.Array:
  """(1 - share) old + share new."""
  return old + share.astype(old.dtype) * (new - old)


def set_grown(model_state: Any, grown: jax.Array) -> Any:
  """A network's state at another size; as it is, if it does not grow."""
  buffers = model_state.get(COLLECTION, {})
  if GROWN not in buffers:
    return model_state
  grown = jnp.broadcast_to(grown, buffers[GROWN].shape).astype(jnp.float32)
  return {**model_state, COLLECTION: {**buffers, GROWN: grown}}


def grown_of(model_state: Any) -> float | None:
  """How far a network has grown: the level, whole or not; None if it does not.

  The least of several members.
  """
  buffers = model_state.get(COLLECTION, {})
  return float(jnp.min(buffers[GROWN])) if GROWN in buffers else None


def widths_between(widths: Sequence[int]) -> list[tuple[int, int]]:
  """Channels of each level's map and of the one below it, from level 1 on."""
  return list(zip(widths[1:], widths[:-1], strict=True))

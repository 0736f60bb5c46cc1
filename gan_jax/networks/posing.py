"""From where a generator shows what it makes: as it is told, or as it comes.

A generator with poses takes `given['pose']`, azimuth and elevation in half
turns, `[B, 2]`, wherever that is there: in training too if the players are told
poses of the data. Where they are not, the seed at the start of the latents
draws one, evenly within ranges.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.networks.style import Style
from gan_jax.rng import fold_each
from gan_jax.types import Given, InputError

NAME = 'pose'
_LAYER = 1_000  # of the seeds, which no layer with noise has


class Ranges(NamedTuple):
  """Where poses are drawn, in degrees.

  Attributes:
    azimuth: from the least to the most.
    elevation: likewise.
  """

  azimuth: tuple[float, float] = (-180.0, 180.0)
  elevation: tuple[float, float] = (0.0, 0.0)

  def draw(self, keys: jax.Array) -> jax.Array:
    """Poses `[B, 2]` in half turns, of the images' keys `[B]`."""
    own = fold_each(keys, _LAYER)
    shares = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(own)
    low, high = (jnp.array(ends) / 180.0 for ends in zip(*self, strict=True))
    return low + (high - low) * shares


def ranges_of(azimuth, elevation) -> Ranges:
  """Ranges of config keys.

  Raises:
    InputError: no pair of degrees, or elevations beyond straight up and down.
  """
  for name, ends in (('azimuth', azimuth), ('elevation', elevation)):
    most = 180 if name == 'azimuth' else 90
    pair = isinstance(ends, tuple | list) and len(ends) == 2
    if not pair or not -most <= ends[0] <= ends[1] <= most:
      raise InputError(
        f'network.{name}: {ends!r} is no pair of degrees in -{most} to {most}, '
        'the smaller first'
      )
  return Ranges(tuple(azimuth), tuple(elevation))


def pose_of(keys: jax.Array, given: Given | None, ranges: Ranges) -> jax.Array:
  """The poses of images, `[B, 2]`: as given, or drawn."""
  if given and NAME in given:
    return given[NAME].astype(jnp.float32)
  return ranges.draw(keys)


def without_pose(style: Style) -> Style:
  """The style of a generator to whose latents no pose is joined."""
  columns = tuple(column for column in style.columns if column[0] != NAME)
  return dataclasses.replace(style, columns=columns)

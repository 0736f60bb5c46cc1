"""Sections of modes that move what a generator is told, see sections.py."""

import dataclasses
import math
from typing import Any

from gan_jax.config.sections import (
  MOST_SEEDS,
  MOST_SHOWN,
  Drawing,
  check_counts,
)
from gan_jax.features import maps
from gan_jax.features.guides import GUIDES
from gan_jax.sampling.spaces import AUTO, SPACES
from gan_jax.types import InputError, lookup

MOST_MOVED = 1_024  # images
MOST_STEPS = 100_000  # of an optimisation
PIXELS = 'pixels'  # as a network: none


def _check_positive(section: Any, name: str, key: str) -> None:
  """Raises InputError unless a key is a finite number above 0."""
  value = getattr(section, key)
  if not 0 < value < math.inf:
    raise InputError(f'{name}.{key}: {value} is not above 0')


@dataclasses.dataclass(frozen=True)
class Guide(Drawing):
  """The section `guide`."""

  prompt: str
  network: str
  weights: str
  num: int
  steps: int
  learning_rate: float
  crops: int
  spherical: bool
  space: str

  def __post_init__(self):
    super().__post_init__()
    lookup(dict.fromkeys(GUIDES), self.network, 'guide.network')
    lookup(dict.fromkeys(SPACES), self.space, 'guide.space')
    check_counts(self, 'guide', num=MOST_MOVED)
    if self.steps < 1:
      raise InputError(f'guide.steps: {self.steps} is not at least 1')
    if not 0 <= self.crops <= MOST_SHOWN:
      raise InputError(f'guide.crops: {self.crops} is not in 0 to {MOST_SHOWN}')
    _check_positive(self, 'guide', 'learning_rate')


@dataclasses.dataclass(frozen=True)
class Edit(Drawing):
  """The section `edit`."""

  direction: str
  against: tuple[str, ...]
  space: str
  layers: str
  reach: float
  steps: int
  num: int
  start: str
  samples: int

  def __post_init__(self):
    super().__post_init__()
    lookup(dict.fromkeys((AUTO, 'z', 'w')), self.space, 'edit.space')
    check_counts(self, 'edit', num=MOST_SHOWN, samples=MOST_SEEDS)
    if not 2 <= self.steps <= MOST_SHOWN:
      raise InputError(f'edit.steps: {self.steps} is not in 2 to {MOST_SHOWN}')
    _check_positive(self, 'edit', 'reach')

  @property
  def others(self) -> tuple[str, ...]:
    """Names in `against`, of a flag in one string."""
    parts = ','.join(self.against).split(',')
    return tuple(name.strip() for name in parts if name.strip())


@dataclasses.dataclass(frozen=True)
class Invert(Drawing):
  """The section `invert`."""

  dir: str
  num: int
  space: str
  network: str
  weights: str
  pixel_weight: float
  steps: int
  learning_rate: float

  def __post_init__(self):
    super().__post_init__()
    lookup(dict.fromkeys((AUTO, *SPACES)), self.space, 'invert.space')
    networks = dict.fromkeys((PIXELS, *maps.NETWORKS))
    lookup(networks, self.network, 'invert.network')
    check_counts(self, 'invert', num=MOST_MOVED, steps=MOST_STEPS)
    _check_positive(self, 'invert', 'learning_rate')
    if not 0 <= self.pixel_weight < math.inf:
      raise InputError(
        f'invert.pixel_weight: {self.pixel_weight} is not from 0 on'
      )
    if self.truncation or self.psi != 1.0:
      raise InputError(
        'invert.truncation, invert.psi: an image may lie anywhere; leave both '
        'out'
      )

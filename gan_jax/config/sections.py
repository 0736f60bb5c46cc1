"""The sections of a config that are requests, as small frozen dataclasses.

Field names are the keys of configs/base.py, which says what each means.
"""

import dataclasses
import math
from typing import Any, TypeVar

from gan_jax.config.overrides import section
from gan_jax.config.ranges import check_seed
from gan_jax.types import InputError

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Schedule:
  """How many steps and images, and how often what is done, in steps."""

  num_steps: int
  disc_steps: int
  batch_size: int
  micro_batch: int
  steps_per_dispatch: int
  log_every: int
  sample_every: int
  checkpoint_every: int
  keep_checkpoints: int
  score_every: int  # 0: never

  @property
  def images_per_step(self) -> int:
    """Real images that D sees in one training step."""
    return self.batch_size * self.disc_steps

  @property
  def dispatch_length(self) -> int:
    """Steps of one dispatch: ends meet every log, grid and checkpoint.

    The largest divisor of all intervals up to `steps_per_dispatch`, so that
    one compiled program serves the run, but for a shorter one where
    `num_steps` is no multiple of it.
    """
    common = math.gcd(
      self.log_every,
      self.sample_every,
      self.checkpoint_every,
      self.score_every,  # 0 divides nothing
    )
    longest = min(common, self.steps_per_dispatch)
    return next(n for n in range(longest, 0, -1) if common % n == 0)


def schedule(config: Any) -> Schedule:
  """The schedule of a config."""
  names = {field.name for field in dataclasses.fields(Schedule)}
  keys = {name: getattr(config, name) for name in names - {'score_every'}}
  return Schedule(score_every=config.eval.every, **keys)


@dataclasses.dataclass(frozen=True)
class Sample:
  """The section `sample`; a label of -1 stands for all in turn."""

  num: int
  seed: int
  label: int
  checkpoint: str
  ema: bool
  truncation: float

  def __post_init__(self):
    check_seed(self.seed, 'sample.seed')


@dataclasses.dataclass(frozen=True)
class Interpolate:
  """The section `interpolate`; a label of -1 stands for the first."""

  num_points: int
  steps: int
  seed: int
  label: int

  def __post_init__(self):
    check_seed(self.seed, 'interpolate.seed')


ACTIONS = ('stop', 'rollback')


@dataclasses.dataclass(frozen=True)
class NonFinite:
  """The section `non_finite`: what a run does about bad numbers."""

  action: str
  rollbacks: int
  rate_factor: float
  step: int

  def __post_init__(self):
    if self.action not in ACTIONS:
      raise InputError(
        f'non_finite.action: unknown name {self.action!r}; valid: '
        f'{", ".join(ACTIONS)}'
      )
    for name in ('rollbacks', 'step'):
      if getattr(self, name) < 0:
        raise InputError(f'non_finite.{name}: {getattr(self, name)} is below 0')
    if not 0 < self.rate_factor <= 1:
      raise InputError(
        f'non_finite.rate_factor: {self.rate_factor} is not in (0, 1]'
      )


def take(kind: type[T], config: Any, name: str) -> T:
  """A section as a dataclass, whose fields are its keys.

  Raises:
    InputError: a key is missing or unknown, or its value cannot be.
  """
  keys = section(getattr(config, name))
  fields = {field.name for field in dataclasses.fields(kind)}
  if keys.keys() != fields:
    wrong = ', '.join(sorted(keys.keys() ^ fields))
    raise InputError(f'{name}: {wrong}: not the keys of this version')
  return kind(**keys)

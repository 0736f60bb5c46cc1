"""The sections of a config that are requests, as small frozen dataclasses.

Field names are the keys of configs/base.py, which says what each means.
"""

import dataclasses
import math
import re
from typing import Any, TypeVar

from gan_jax.config.overrides import section
from gan_jax.config.ranges import check_seed
from gan_jax.sampling.sheets import NUM_SEEDS, SHEETS
from gan_jax.sampling.standing import BATCH_NORMS
from gan_jax.sampling.styles import check_psi
from gan_jax.types import InputError, lookup

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


CHECKPOINTS = ('latest', 'best')
MOST_SHOWN, MOST_FRAMES = 64, 720  # things in an orbit, images of each
MOST_SEEDS = 2**16  # in one list


def check_counts(keys: Any, name: str, **most: int) -> None:
  """Raises InputError unless these keys are numbers from 1 to a limit."""
  for key, limit in most.items():
    value = getattr(keys, key)
    if not 1 <= value <= limit:
      raise InputError(f'{name}.{key}: {value} is not in 1 to {limit:,}')


@dataclasses.dataclass(frozen=True)
class Drawing:
  """What drawing from a finished run takes; a label of -1 stands for none."""

  seed: int
  label: int | str
  checkpoint: str
  ema: bool
  batch_norm: str
  truncation: float
  psi: float
  psi_cutoff: int

  def __post_init__(self):
    name = type(self).__name__.lower()
    check_seed(self.seed, f'{name}.seed')
    if type(self.label) not in (int, str):
      raise InputError(
        f'{name}.label: {self.label!r} is neither a number nor a name'
      )
    lookup(dict.fromkeys(CHECKPOINTS), self.checkpoint, f'{name}.checkpoint')
    lookup(dict.fromkeys(BATCH_NORMS), self.batch_norm, f'{name}.batch_norm')
    check_psi(self.psi, self.psi_cutoff, name)
    if not 0 <= self.truncation < math.inf:
      raise InputError(f'{name}.truncation: {self.truncation} is not from 0 on')

  @property
  def class_label(self) -> int | str | None:
    """As a `Sampler` takes it: one class by number or name, or None."""
    return None if self.label == -1 else self.label


@dataclasses.dataclass(frozen=True)
class Sample(Drawing):
  """The section `sample`."""

  num: int
  seeds: str
  files: bool
  sheet: str
  text: str

  def __post_init__(self):
    super().__post_init__()
    _ = self.seed_list
    if self.text and self.sheet != 'grid':
      raise InputError(
        f'sample.text: it is drawn on a grid, not on '
        f'sample.sheet={self.sheet}; leave one of them out'
      )
    lookup(dict.fromkeys(('grid', *SHEETS)), self.sheet, 'sample.sheet')
    if self.sheet != 'grid' and not self.seeds:
      check_seed(self.seed + NUM_SEEDS - 1, 'sample.seed, the last of a sheet')
    if self.files and self.sheet != 'grid':
      raise InputError(
        f'sample.files: images of sample.sheet={self.sheet} belong together; '
        'set sample.files=False or sample.sheet=grid'
      )

  @property
  def seed_list(self) -> list[int]:
    """The numbers that `seeds` names, such as 0-63 or 0,3,7; [] for none."""
    found = []
    for part in self.seeds.split(',') if self.seeds else ():
      ends = re.fullmatch(r'\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*', part)
      first, last = map(int, (ends[1], ends[2] or ends[1])) if ends else (1, 0)
      if not first <= last:
        raise InputError(
          f'sample.seeds: {part[:40]!r} is neither a seed nor a range such as '
          '0-63'
        )
      check_seed(last, 'sample.seeds')
      if len(found) + last - first >= MOST_SEEDS:
        raise InputError(f'sample.seeds: more than {MOST_SEEDS:,} of them')
      found += range(first, last + 1)
    return found


@dataclasses.dataclass(frozen=True)
class Interpolate(Drawing):
  """The section `interpolate`."""

  num_points: int
  steps: int


@dataclasses.dataclass(frozen=True)
class Translate(Drawing):
  """The section `translate`."""

  dir: str
  derive: bool
  back: bool
  any_size: bool


@dataclasses.dataclass(frozen=True)
class Orbit(Drawing):
  """The section `orbit`."""

  num: int
  frames: int
  azimuth: tuple[float, ...]
  elevation: float

  def __post_init__(self):
    super().__post_init__()
    check_counts(self, 'orbit', num=MOST_SHOWN)
    if not 2 <= self.frames <= MOST_FRAMES:
      raise InputError(
        f'orbit.frames: {self.frames} is not in 2 to {MOST_FRAMES}'
      )


@dataclasses.dataclass(frozen=True)
class Upscale:
  """The section `upscale`."""

  dir: str
  shrink: bool
  towards: str
  share: float
  weights: str
  checkpoint: str
  ema: bool

  def __post_init__(self):
    lookup(dict.fromkeys(CHECKPOINTS), self.checkpoint, 'upscale.checkpoint')
    if not 0 <= self.share <= 1:
      raise InputError(f'upscale.share: {self.share} is no share in [0, 1]')
    if self.weights and not self.shrink:
      raise InputError(
        'upscale.weights: LPIPS scores images that were shrunk before; set '
        'upscale.shrink=True too'
      )


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

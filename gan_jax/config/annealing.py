"""The keys `*_end`: where a course over `anneal_steps` takes a value."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax

from gan_jax.config.overrides import value_at
from gan_jax.solvers.annealing import SHAPES, Course, by_half_life
from gan_jax.types import InputError, lookup

Config = Any
# Key -> what its end is below.
_KEYS = {
  'penalty_weight_end': math.inf,
  'ema_decay_end': 1.0,
  'b2_end': 1.0,
  'momentum_end': 1.0,
  'tricks.augment_end': 1.0,
}


def penalty_weight(config: Config) -> float | jax.Array | Course:
  """The weight of D's penalty, or its course by the step."""
  end = config.penalty_weight_end
  if end is None:
    return config.penalty_weight
  return _course(config, config.penalty_weight, end)


def ema_decay(config: Config) -> float | Course:
  """The decay of G's moving average, or its course by the step."""
  end = config.ema_decay_end
  if end is None:
    return config.ema_decay
  return by_half_life(config.ema_decay, end, _steps(config), _shape(config))


def averages(config: Config) -> bool:
  """Whether a moving average of G is kept."""
  return config.ema_decay > 0 or config.ema_decay_end is not None


def of_optimizer(config: Config, keys: Mapping[str, Any]) -> dict[str, Course]:
  """Courses by the step of an optimizer's keys, of those that do not stay."""
  return {
    key: _course(config, keys[key], end)
    for key, end in _ends_of_optimizers(config).items()
    if end is not None
  }


def _ends_of_optimizers(config: Config) -> dict[str, float | None]:
  return {'b2': config.b2_end, 'momentum': config.momentum_end}


def augmentation(config: Config) -> Course | None:
  """The course of ADA's probability by the step; None if D steers it."""
  end = config.tricks.augment_end
  return None if end is None else _course(config, 0.0, end)


def _steps(config: Config) -> int:
  return config.anneal_steps or config.num_steps


def _shape(config: Config) -> Callable[..., Course]:
  return lookup(SHAPES, config.anneal_shape, 'anneal_shape')


def _course(config: Config, start: float | jax.Array, end: float) -> Course:
  return _shape(config)(start, end, _steps(config))


def check(config: Config) -> None:
  """Checks where values end, and that something goes there.

  Raises:
    InputError: the key at fault and what would be right.
  """
  if config.anneal_steps < 0:
    raise InputError(f'anneal_steps: {config.anneal_steps} is negative')
  _shape(config)
  ends = {key: value_at(config, key) for key in _KEYS}
  for key, end in ends.items():
    if end is not None and not 0 <= end < _KEYS[key]:
      raise InputError(f'{key}: {end} is not in [0, {_KEYS[key]:g})')
  if config.anneal_steps and all(end is None for end in ends.values()):
    raise InputError(
      f'anneal_steps: {config.anneal_steps} takes nothing anywhere; set one of '
      f'{", ".join(_KEYS)}, or anneal_steps=0'
    )
  if ends['penalty_weight_end'] is not None and config.penalty == 'none':
    raise InputError(
      f'penalty_weight_end: {ends["penalty_weight_end"]} is of a penalty, and '
      'there is none; set penalty, or leave it out'
    )
  if ends['tricks.augment_end'] is not None and config.tricks.augment != 'ada':
    raise InputError(
      f'tricks.augment_end: {ends["tricks.augment_end"]} is of the probability '
      f"of ada's transforms, and tricks.augment={config.tricks.augment}; set "
      'tricks.augment=ada, or leave it out'
    )
  for key, end in _ends_of_optimizers(config).items():
    if end is not None:
      _check_starts(config, key, end)


def _check_starts(config: Config, key: str, end: float) -> None:
  """Raises InputError unless both optimizers have a value to start from."""
  for player in ('gen_optimizer', 'disc_optimizer'):
    moves = player == 'gen_optimizer' or config.game == 'adversarial'
    if moves and value_at(config, f'{player}.{key}') is None:
      raise InputError(
        f'{key}_end: {end} is where {player}.{key} goes, and it is not given; '
        f'set it, or leave {key}_end out'
      )

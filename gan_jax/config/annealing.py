"""The keys `*_end`: where a cosine over `anneal_steps` takes a value."""

import math
from typing import Any

import jax

from gan_jax.config.overrides import value_at
from gan_jax.solvers.annealing import Course, by_half_life, cosine
from gan_jax.types import InputError

Config = Any
# Key -> what its end is below.
_KEYS = {
  'penalty_weight_end': math.inf,
  'ema_decay_end': 1.0,
  'b2_end': 1.0,
  'tricks.augment_end': 1.0,
}


def penalty_weight(config: Config) -> float | jax.Array | Course:
  """The weight of D's penalty, or its course by the step."""
  end = config.penalty_weight_end
  if end is None:
    return config.penalty_weight
  return cosine(config.penalty_weight, end, steps_of(config))


def ema_decay(config: Config) -> float | Course:
  """The decay of G's moving average, or its course by the step."""
  end = config.ema_decay_end
  if end is None:
    return config.ema_decay
  return by_half_life(config.ema_decay, end, steps_of(config))


def averages(config: Config) -> bool:
  """Whether a moving average of G is kept."""
  return config.ema_decay > 0 or config.ema_decay_end is not None


def b2(config: Config, start: float | None) -> Course | None:
  """The course of an optimizer's b2 by the step; None if it stays."""
  if config.b2_end is None:
    return None
  return cosine(start, config.b2_end, steps_of(config))


def augmentation(config: Config) -> Course | None:
  """The course of ADA's probability by the step; None if D steers it."""
  end = config.tricks.augment_end
  return None if end is None else cosine(0.0, end, steps_of(config))


def steps_of(config: Config) -> int:
  """Steps of the cosine."""
  return config.anneal_steps or config.num_steps


def check(config: Config) -> None:
  """Checks where values end, and that something goes there.

  Raises:
    InputError: the key at fault and what would be right.
  """
  if config.anneal_steps < 0:
    raise InputError(f'anneal_steps: {config.anneal_steps} is negative')
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
  if ends['b2_end'] is not None:
    for player in ('gen_optimizer', 'disc_optimizer'):
      moves = player == 'gen_optimizer' or config.game == 'adversarial'
      if moves and getattr(config, player).b2 is None:
        raise InputError(
          f'b2_end: {ends["b2_end"]} is where {player}.b2 goes, and it is not '
          'given; set it, or leave b2_end out'
        )

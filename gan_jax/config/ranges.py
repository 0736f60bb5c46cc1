"""Ranges: what no number of a config may be, and what no machine could hold.

A number with too many zeros, or a file of a run that somebody else has written,
is refused by name before anything of that size is made. Sections that belong to
a room have their ranges there: `evaluation/keys.py`, `diagnosis/keys.py`, ...
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax

from gan_jax.config.memory import bytes_of
from gan_jax.config.overrides import section, value_at
from gan_jax.config.sweep import SWEPT
from gan_jax.data.images import MOST_PIXELS
from gan_jax.devices import parallel
from gan_jax.types import InputError, TrainState

LARGEST = 2**31 - 1  # steps and images are counted in int32
# Numbers that lists or programs grow with.
MOST = {
  'latent_dim': 2**16,
  'disc_steps': 10_000,
  'gen_steps': 10_000,
  'unroll_steps': 10_000,
  'steps_per_dispatch': 2**20,
  'tricks.num_discs': 10_000,
}
_AT_LEAST_ONE = [
  'batch_size',
  'num_steps',
  'disc_steps',
  'steps_per_dispatch',
  'log_every',
  'sample_every',
  'checkpoint_every',
  'keep_checkpoints',
  'penalty_every',
  'path_length_every',
]
_NOT_NEGATIVE = [
  'cpu_devices',
  'weight_clip',
  'penalty_weight',
  'drift_weight',
  'path_length_weight',
  'conditioning_weight',
  'contrastive_weight',
  'adversarial_weight',
  'l1_weight',
  'mse_weight',
  'perceptual.weight',
  'consensus_weight',
  'time_scale_ratio',
]
# Not negative, or None.
_IF_GIVEN = ['class_weight', 'code_weight', 'cycle_weight', 'identity_weight']
MOST_MEMBERS = 2**16  # runs of one config
_DEEPEST = 3  # a section in a section


def check(config: Any) -> None:
  """Checks every number of a config.

  Raises:
    InputError: one that is NaN or beyond its limits, or sections too deep.
  """
  _check_section(config, '', 1)
  _check_ranges(config)
  sizes = [len(getattr(config.sweep, name)) or 1 for name in SWEPT]
  together = max if config.sweep.paired else math.prod
  members = config.num_seeds * together(sizes)
  if members > MOST_MEMBERS:
    raise InputError(
      f'num_seeds: {members:,} runs (num_seeds times the combinations of '
      f'sweep) are beyond the limit, {MOST_MEMBERS:,}'
    )


def _check_section(config: Any, prefix: str, depth: int) -> None:
  if depth > _DEEPEST:
    raise InputError(f'{prefix[:-1][:80]}: sections are nested too deep')
  for name, value in section(config).items():
    key = f'{prefix}{name}'
    if isinstance(value, Mapping) or hasattr(value, '__dict__'):
      _check_section(value, f'{key}.', depth + 1)
      continue
    for number in value if isinstance(value, list | tuple) else [value]:
      _check_number(key, number)


def _check_number(key: str, value: Any) -> None:
  if isinstance(value, float) and math.isnan(value):
    raise InputError(f'{key}: {value} is no finite number')
  if isinstance(value, int) and key.split('.')[-1] != 'seed':  # has its own
    most = MOST.get(key, LARGEST)
    if not -LARGEST <= value <= most:
      raise InputError(f'{key}: {_short(value)} is beyond the limit, {most:,}')


def _short(value: int) -> str:
  return str(value) if abs(value) < 10**20 else 'an integer of many digits'


def _check_ranges(config: Any) -> None:
  """Raises InputError for a number out of its range."""
  for key in _AT_LEAST_ONE:
    if getattr(config, key) < 1:
      raise InputError(f'{key}: {getattr(config, key)} is not at least 1')
  least = int(not config.codes)  # these are noise too
  if config.latent_dim < least:
    raise InputError(f'latent_dim: {config.latent_dim} is not at least {least}')
  given = [key for key in _IF_GIVEN if getattr(config, key) is not None]
  for key in _NOT_NEGATIVE + given:
    value = value_at(config, key)
    if not 0 <= value < math.inf:
      raise InputError(f'{key}: {value} is not a finite number from 0 on')
  check_seed(config.seed, 'seed')
  if not 0.0 <= config.ema_decay < 1.0:
    raise InputError(f'ema_decay: {config.ema_decay} is not in [0, 1)')
  if config.ema_start < 0:
    raise InputError(f'ema_start: {config.ema_start} is not a step from 0 on')
  if config.ema_start and not config.ema_decay and config.ema_decay_end is None:
    raise InputError(
      f'ema_start: {config.ema_start} delays a moving average, and none is '
      'kept; set ema_decay, or ema_start=0'
    )


def check_seed(seed: int, key: str) -> None:
  """Raises InputError for a seed that JAX would take for another one."""
  if not 0 <= seed < 2**32:
    raise InputError(f'{key}: {seed} is not between 0 and 2 ** 32 - 1')


def check_image_shape(shape: Any) -> None:
  """Raises InputError unless a dataset's images can be had: (H, W, C)."""
  whole = len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
  if not whole or shape[2] not in (1, 3) or shape[0] * shape[1] > MOST_PIXELS:
    raise InputError(
      f'image_shape: {str(tuple(shape))[:80]} is no height, width and channels '
      f'(1 or 3) of an image of at most {MOST_PIXELS:,} pixels'
    )


def within_memory(
  init: Callable[[jax.Array], TrainState],
) -> Callable[[jax.Array], TrainState]:
  """The same function, which refuses a state that no device here can hold.

  It does so while it is traced: before anything is compiled or allocated.

  Args:
    init: key -> state.
  """

  def checked(key):
    state = init(key)
    size = bytes_of(state)
    limit = parallel.memory_of_each(parallel.select_devices(1))
    if size > limit:
      raise InputError(
        f'network: its parameters and the states of its optimizers need '
        f'{size / 2**30:,.1f} GiB, and the device has '
        f'{limit / 2**30:,.1f} GiB; make latent_dim, the widths of network, '
        'data.image_size or tricks.num_discs smaller'
      )
    return state

  return checked

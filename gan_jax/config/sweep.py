"""Which runs a config asks for: seeds, and combinations of swept values."""

import itertools
from collections.abc import Callable
from typing import Any

from gan_jax.config.overrides import replaced
from gan_jax.ensemble import Member
from gan_jax.types import InputError

Config = Any

# Key of the section `sweep` -> the config key whose place it takes: scalars
# that no shape and no branch depends on.
SWEPT = {
  'gen_learning_rate': 'gen_optimizer.learning_rate',
  'disc_learning_rate': 'disc_optimizer.learning_rate',
  'gen_b1': 'gen_optimizer.b1',
  'gen_b2': 'gen_optimizer.b2',
  'disc_b1': 'disc_optimizer.b1',
  'disc_b2': 'disc_optimizer.b2',
  'penalty_weight': 'penalty_weight',
  'consensus_weight': 'consensus_weight',
  'time_scale_ratio': 'time_scale_ratio',
}
_ALONE = {'num_seeds': 1, 'sweep.paired': False}
_ALONE |= {f'sweep.{name}': () for name in SWEPT}


def combinations(config: Config) -> list[dict[str, float]]:
  """All combinations of swept values, or pairs of them; {} without a sweep."""
  given = {name: getattr(config.sweep, name) for name in SWEPT}
  given = {name: values for name, values in given.items() if values}
  if not given:
    return [{}]
  combine = zip if config.sweep.paired else itertools.product
  return [
    dict(zip(given, chosen, strict=True)) for chosen in combine(*given.values())
  ]


def members(config: Config) -> list[Member]:
  """All runs that a config asks for."""
  runs = itertools.product(combinations(config), range(config.num_seeds))
  return [
    Member(number, config.seed + i, values)
    for number, (values, i) in enumerate(runs)
  ]


def one(config: Config, member: Member) -> Config:
  """The config that makes one member by itself."""
  return replaced(config, overrides_of(member))


def overrides_of(member: Member) -> dict[str, Any]:
  """The dotted keys that set one member apart, when it runs by itself."""
  swept = {SWEPT[name]: value for name, value in member.values.items()}
  return {**_ALONE, 'seed': member.seed, **swept}


def check(config: Config, check_one: Callable[[Config], None]) -> None:
  """Checks `num_seeds` and the section `sweep`.

  Args:
    config: of any number of members.
    check_one: raises InputError if one member's config is wrong.

  Raises:
    InputError: seeds beyond 2 ** 32, a value that its own key could not have,
      one given twice, pairs of unequal number, or a sweep over what nothing
      uses.
  """
  if config.num_seeds < 1:
    raise InputError(f'num_seeds: {config.num_seeds} is not at least 1')
  if config.seed + config.num_seeds > 2**32:
    raise InputError(
      f'num_seeds: {config.num_seeds} seeds from {config.seed} on go beyond '
      '2 ** 32 - 1, the largest one'
    )
  _check_pairs(config)
  unused = {
    'penalty_weight': config.penalty == 'none',
    'consensus_weight': config.solver != 'consensus',
    'time_scale_ratio': config.solver != 'two_time_scale',
  }
  for name, key in SWEPT.items():
    values = getattr(config.sweep, name)
    if values and unused.get(name):
      raise InputError(
        f'sweep.{name}: nothing uses {name} with penalty={config.penalty} and '
        f'solver={config.solver}, so all these runs would be the same'
      )
    for value in values:
      if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f'sweep.{name}: {value!r} is not a number')
      if values.count(value) > 1 and not config.sweep.paired:
        raise InputError(f'sweep.{name}: {value} is given twice')
      try:
        check_one(replaced(config, {**_ALONE, key: value}))
      except InputError as error:
        raise InputError(f'sweep.{name}: {error}') from error


def _check_pairs(config: Config) -> None:
  """Raises InputError for values that go together and are not as many."""
  if not config.sweep.paired:
    return
  counts = {name: len(getattr(config.sweep, name)) for name in SWEPT}
  counts = {name: count for name, count in counts.items() if count}
  if len({*counts.values()}) > 1:
    listed = ', '.join(f'{count} of {name}' for name, count in counts.items())
    raise InputError(
      f'sweep.paired: values that go together are as many of each, not {listed}'
    )

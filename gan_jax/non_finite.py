"""The keys `non_finite`: what a run does about numbers that are not finite."""

from typing import Any

from gan_jax.types import InputError

ACTIONS = ('stop', 'rollback')


def check(keys: Any, several: bool) -> None:
  """Raises InputError for a value out of its range.

  Args:
    keys: the section.
    several: whether several runs are made at once.
  """
  if keys.action not in ACTIONS:
    raise InputError(
      f'non_finite.action: unknown name {keys.action!r}; valid: '
      f'{", ".join(ACTIONS)}'
    )
  if several and keys.action == 'rollback':
    raise InputError(
      'non_finite.action: rollback would take sound runs back with the others; '
      'with several runs at once (num_seeds, sweep) take stop'
    )
  for name in ('rollbacks', 'step'):
    if getattr(keys, name) < 0:
      raise InputError(f'non_finite.{name}: {getattr(keys, name)} is below 0')
  if not 0 < keys.rate_factor <= 1:
    raise InputError(
      f'non_finite.rate_factor: {keys.rate_factor} is not in (0, 1]'
    )

"""A config with other values: what a search's trials are made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax

from gan_jax.config import plan as plan_lib
from gan_jax.config.overrides import dotted, may_change
from gan_jax.config.space import Space
from gan_jax.types import InputError

if TYPE_CHECKING:
  import ml_collections

_RUNGS = 5  # scores of a run, if eval.every does not say


class Variations:
  """Plans of a search's trials: a config with other values."""

  def __init__(self, config: 'ml_collections.ConfigDict'):
    """Takes a config of one run.

    Raises:
      InputError: it is of several.
    """
    several = config.num_seeds > 1 or any(
      value for name, value in config.sweep.items() if name != 'paired'
    )
    if several:
      raise InputError(
        'search: it tries one run after the other; leave num_seeds=1 and no '
        'sweep (search.together puts trials into one program)'
      )
    self._config = config

  def plan(self, values: Mapping[str, Any]) -> plan_lib.Plan:
    """The plan of a run, or of several in one program.

    Raises:
      InputError: these values cannot be.
    """
    own = self._config.copy_and_resolve_references()
    with own.unlocked():
      own.update_from_flattened_dict(dict(values))
    steps, every = own.num_steps, own.eval.every
    if not every:
      most = max(1, steps // _RUNGS)
      every = next(n for n in range(most, 0, -1) if not steps % n)
    if steps % every:
      raise InputError(
        f'eval.every: {every} does not divide num_steps={steps}, and trials '
        'are ranked by their last step'
      )
    own.eval.every = own.checkpoint_every = every
    own.sample_every, own.keep_checkpoints, own.search.space = steps, 1, ''
    several = own.num_seeds > 1 or own.sweep.paired
    alone = not (several or own.num_devices or own.cpu_devices)
    if alone and jax.default_backend() == 'cpu':
      own.num_devices = 1  # others of this process may have been several
    return plan_lib.read(own)

  def check(self, space: Space) -> None:
    """Checks every choice, and both ends of ranges, each by itself.

    Raises:
      InputError: one cannot be.
    """
    for dimension in space.dimensions:
      for value in dimension.ends:
        try:
          self.plan({dimension.key: value})
        except (TypeError, ValueError) as error:
          raise InputError(
            f'search.space: {dimension.key}={value!r}: {error}'
          ) from error

  @property
  def fields(self) -> dict[str, Any]:
    """All keys, nested."""
    return self._config.to_dict()

  def identity(self, space: Space) -> dict[str, Any]:
    """What makes a study this one, and no other."""
    shaping = {
      key: value
      for key, value in dotted(self.fields).items()
      if not may_change(key) or key in ('num_steps', 'eval.every', 'eval.best')
    }
    grid = self._config.search.sampler == 'grid'
    return {**shaping, 'grid': grid, 'search.space': space.describe()}

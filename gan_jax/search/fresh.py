"""The winner of a search beside the config as it was, on seeds of their own.

The best of many trials is the luckiest too: its own score is better than what
the same keys give again. Both are trained anew, each seed once with either.
"""

import contextlib
import hashlib
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.search.trials import PlanOf, Watch, into_log
from gan_jax.training import loop
from gan_jax.types import InputError, NonFiniteError

WINNER, DEFAULT = 'winner', 'default'


class Fresh(NamedTuple):
  """Scores of both on the same seeds.

  Attributes:
    seeds: of the runs.
    winner: its score for each.
    default: that of the config as it was.
  """

  seeds: list[int]
  winner: list[float | None]
  default: list[float | None]

  @property
  def difference(self) -> tuple[float, float]:
    """Winner less default: the mean over seeds, and half its 95 % interval."""
    pairs = zip(self.winner, self.default, strict=True)
    return mean_and_half([a - b for a, b in pairs if None not in (a, b)])


def mean_and_half(values: Sequence[float | None]) -> tuple[float, float]:
  """The mean, and half the 95 % interval of Student's t; NaN of one value."""
  from scipy import stats

  values = [value for value in values if value is not None]
  num = len(values)
  if not num:
    return math.nan, math.nan
  if num < 2:
    return float(np.mean(values)), math.nan
  error = np.std(values, ddof=1) / math.sqrt(num)
  return float(np.mean(values)), float(stats.t.ppf(0.975, num - 1) * error)


def scores(
  plan_of: PlanOf,
  values: Mapping[str, Any],
  folder: pathlib.Path,
  *,
  seeds: Sequence[int],
) -> Fresh:
  """Trains both on each seed, or goes on where that was left.

  Args:
    plan_of: values by key -> plan.
    values: of the winner.
    folder: of these runs.
    seeds: one after the other.

  Raises:
    InputError: one of them cannot be trained, or is not scored.
  """
  found = {
    name: _scores(plan_of, own, folder / _folder(name, own, seeds), seeds)
    for name, own in ((WINNER, values), (DEFAULT, {}))
  }
  return Fresh(list(seeds), found[WINNER], found[DEFAULT])


def _folder(name: str, values: Mapping[str, Any], seeds: Sequence[int]) -> str:
  """Of these runs, and of no other winner's."""
  text = json.dumps([sorted(values.items()), list(seeds)])
  return f'{name}_{hashlib.sha256(text.encode()).hexdigest()[:8]}'


def _scores(
  plan_of: PlanOf,
  values: Mapping[str, Any],
  folder: pathlib.Path,
  seeds: Sequence[int],
) -> list[float | None]:
  """The score of each seed, in one program or in one after the other.

  None of a run that has diverged.
  """
  several = dict(seed=seeds[0], num_seeds=len(seeds))
  try:
    return _train(plan_of({**values, **several}), folder, len(seeds))
  except InputError:
    if len(seeds) == 1:
      raise
  alone = [{**values, 'seed': seed, 'num_seeds': 1} for seed in seeds]
  return [
    _train(plan_of(own), folder / f'seed_{own["seed"]}', 1)[0] for own in alone
  ]


def _train(plan: Any, folder: pathlib.Path, num: int) -> list[float | None]:
  watch = Watch(folder, [None] * num, plan.eval.best, prune=False)
  with contextlib.suppress(NonFiniteError), into_log(folder):
    loop.train(plan, folder)
  jax.clear_caches()
  return watch.last(plan.schedule.num_steps)

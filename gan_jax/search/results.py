"""What a search has found: importances, the best trials, config files."""

import json
import math
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import optuna
from optuna.trial import TrialState

from gan_jax.config import defaults
from gan_jax.config.overrides import dotted
from gan_jax.config.space import Space
from gan_jax.search.fresh import Fresh, mean_and_half
from gan_jax.search.study import PROBLEM, SCORE, encoded
from gan_jax.storage.files import atomic

MOST_CONFIGS = 5


class Tried(NamedTuple):
  """A finished trial.

  Attributes:
    number: of it.
    values: what it tried, by key.
    score: at its last step, or the last one before it was given up; None.
    state: complete, pruned or failed.
    problem: why it failed.
    folder: of its run, in trials/.
    seconds: of its program.
  """

  number: int
  values: dict[str, Any]
  score: float | None
  state: str
  problem: str
  folder: str
  seconds: float


class Results(NamedTuple):
  """All that is said of a search.

  Attributes:
    name: of the score.
    better: lower or higher.
    tried: all trials, as they were numbered.
    importances: shares of the variance, by key; {} where nobody can say.
    fresh: the winner on seeds of its own; None without.
    url: of the storage.
    space: that was searched.
  """

  name: str
  better: str
  tried: list[Tried]
  importances: dict[str, float]
  fresh: Fresh | None
  url: str
  space: Space

  @property
  def ranked(self) -> list[Tried]:
    """Complete trials, the best first."""
    done = [trial for trial in self.tried if trial.state == 'complete']
    sign = 1 if self.better == 'lower' else -1
    return sorted(done, key=lambda trial: sign * trial.score)

  def words(self) -> list[str]:
    """Lines: what was found, and how far to trust it."""
    best, name = self.ranked[0], self.name
    states = [trial.state for trial in self.tried]
    lines = [
      f'{len(self.tried)} trials: {states.count("complete")} complete, '
      f'{states.count("pruned")} pruned, {states.count("failed")} failed',
      f'best: trial {best.number}, {name} {best.score:.4g} '
      f'({self.better} is better): {listed(best.values)}',
    ]
    if self.fresh is not None:
      lines += _about_fresh(self.fresh, best, name, self.better)
    return lines

  def as_json(self) -> dict[str, Any]:
    """For search.json."""
    fresh = None
    if self.fresh is not None:
      difference, half = self.fresh.difference
      fresh = self.fresh._asdict() | {
        'difference': None if math.isnan(difference) else difference,
        'half_interval_95': None if math.isnan(half) else half,
      }
    return {
      'score': self.name,
      'better': self.better,
      'best': self.ranked[0]._asdict(),
      'importances': self.importances,
      'fresh': fresh,
      'trials': [trial._asdict() for trial in self.tried],
    }


def _about_fresh(
  fresh: Fresh, best: Tried, name: str, better: str
) -> list[str]:
  """Lines about the winner on fresh seeds."""
  both = {'its keys': fresh.winner, 'the config as it was': fresh.default}
  lines = []
  for who, values in both.items():
    mean, half = mean_and_half(values)
    lost = values.count(None)
    diverged = f', {lost} without a score' if lost else ''
    lines.append(
      f'{who} on {len(values)} fresh seeds: {name} {_interval(mean, half)}'
      f'{diverged}'
    )
  mean, half = fresh.difference
  if math.isnan(mean):
    return [*lines, 'no seed has a score of both, so nothing can be compared']
  gain = -mean if better == 'lower' else mean
  sure = not math.isnan(half) and gain > half
  verdict = 'better' if gain > 0 else 'worse'
  lines.append(
    f'on the same seeds the winner is {verdict} by '
    f'{_interval(abs(gain), half)}{"" if sure else "; that may be chance"}'
  )
  luck = mean_and_half(fresh.winner)[0] - best.score
  luck = luck if better == 'lower' else -luck
  lines.append(
    f'the score that won was {abs(luck):.3g} '
    f'{"better" if luck > 0 else "worse"} than its keys give again'
  )
  return lines


def _interval(mean: float, half: float) -> str:
  spread = '' if math.isnan(half) else f' +- {half:.2g} (95 %)'
  return f'{mean:.4g}{spread}'


def listed(values: Mapping[str, Any]) -> str:
  """Keys and values on one line."""
  return ', '.join(f'{key}={short(value)}' for key, value in values.items())


def short(value: Any) -> str:
  """A value for people."""
  return f'{value:.4g}' if isinstance(value, float) else str(value)


def tried(study: optuna.Study, space: Space) -> list[Tried]:
  """All trials that are over, but those that were taken up again."""
  found = []
  for trial in study.get_trials(deepcopy=False):
    problem = trial.user_attrs.get(PROBLEM, '')
    over = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or problem
    if not over:
      continue
    values, score = _values(trial, space), trial.value
    if score is None and trial.intermediate_values:
      score = trial.intermediate_values[max(trial.intermediate_values)]
    state = 'failed' if problem else trial.state.name.lower()
    own = trial.user_attrs
    told = own.get('folder', ''), own.get('seconds', 0.0)
    found.append(Tried(trial.number, values, score, state, problem, *told))
  return found


def score_name(study: optuna.Study, best: str) -> str:
  """The score's name with that of its features, such as fid_classifier."""
  told = (t.user_attrs.get(SCORE) for t in study.get_trials(deepcopy=False))
  return next(filter(None, told), best)


def _values(trial: optuna.trial.FrozenTrial, space: Space) -> dict[str, Any]:
  found = {}
  for dimension in space.dimensions:
    value = trial.params.get(dimension.key)
    choices = {encoded(choice): choice for choice in dimension.choices}
    found[dimension.key] = choices.get(value, value)
  return found


def importances(study: optuna.Study) -> dict[str, float]:
  """How much of the score's variance each key explains, by fANOVA.

  Reference:
    Hutter et al., An Efficient Approach for Assessing Hyperparameter
    Importance, ICML 2014.
  """
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    try:
      return dict(optuna.importance.get_param_importances(study))
    except (ValueError, RuntimeError, ImportError):  # too few, or all equal
      return {}


def write_configs(
  results: Results,
  fields: Mapping[str, Any],
  folder: pathlib.Path,
) -> list[pathlib.Path]:
  """Writes the best trials as config files: best_1.py, best_2.py, ...

  Args:
    results: of the search.
    fields: of the config that was searched around, nested.
    folder: to write into.
  """
  base, written = defaults.base().values, []
  flat = {
    key: value
    for key, value in dotted(fields).items()
    if key.split('.')[0] != 'search'
  }
  for rank, trial in enumerate(results.ranked[:MOST_CONFIGS], 1):
    path = folder / f'best_{rank}.py'
    keys = {
      key: value
      for key, value in (flat | trial.values).items()
      if key not in base or _plain(value) != _plain(base[key])
    }
    with atomic(path) as temporary:
      temporary.write_text(_config_file(results, trial, keys, path))
    written.append(path)
  return written


def _plain(value: Any) -> Any:
  return json.loads(json.dumps(value))


def _config_file(
  results: Results, trial: Tried, keys: Mapping[str, Any], path: pathlib.Path
) -> str:
  """A module like those of configs/."""
  changes = ''.join(f'      {k!r}: {v!r},\n' for k, v in keys.items())
  return (
    f'"""Trial {trial.number} of a search: {results.name} '
    f"{trial.score:.4g} on the search's own seed.\n\n"
    f'Command: python run.py --config={path.name}\n"""\n\n'
    'from ml_collections import ConfigDict\n\nfrom configs import base\n\n\n'
    'def get_config() -> ConfigDict:\n'
    '  """Overrides of configs/base.py."""\n'
    '  config = base.get_config()\n'
    f'  config.update_from_flattened_dict(\n    {{\n{changes}    }}\n  )\n'
    '  return config\n'
  )

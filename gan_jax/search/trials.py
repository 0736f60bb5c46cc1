"""Running the trials of a search, one by one or several in one program."""

import contextlib
import json
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optuna
from optuna.trial import TrialState

from gan_jax.config.plan import Plan
from gan_jax.config.sweep import SWEPT
from gan_jax.evaluation.scores import ranked_name
from gan_jax.search.study import PROBLEM, SCORE, Study, encoded
from gan_jax.training import loop
from gan_jax.types import InputError, InUseError, NonFiniteError
from gan_jax.workdir import logs

LOG = 'log.txt'
_TOO_LARGE = 'RESOURCE_EXHAUSTED'
_PATIENCE = 5  # seconds, where a run is somebody else's still
# Values by key, of one run or of several -> the plan of the run.
PlanOf = Callable[[Mapping[str, Any]], Plan]
_NAMES = {key: name for name, key in SWEPT.items()}


class Outcome(NamedTuple):
  """How a trial ended.

  Attributes:
    number: of the trial.
    values: what it tried.
    score: at its last step; None if it has none.
    state: complete, pruned or failed.
    problem: why it failed; '' if it did not.
    seconds: that its program took.
  """

  number: int
  values: dict[str, Any]
  score: float | None
  state: str
  problem: str
  seconds: float


class Runner:
  """Trains what a study asks for, and tells it how it went."""

  def __init__(
    self, study: Study, plan_of: PlanOf, folder: pathlib.Path, *, prune: bool
  ):
    """Binds a study to what makes plans of its values.

    Args:
      study: that trials come from.
      plan_of: values -> plan; of several runs the swept values are lists, in
        pairs.
      folder: where each run has a folder.
      prune: whether single runs may be given up.
    """
    self.study, self._plan_of, self._folder = study, plan_of, folder
    self._prune = prune

  def __call__(self, trials: Sequence[optuna.Trial]) -> Iterator[Outcome]:
    """Runs trials, those together that differ in swept keys alone."""
    left = list(trials)
    try:
      with self.study.beating(trials):
        for group in self._groups(trials):
          yield from self._run(group)
          left = [trial for trial in left if trial not in group]
    except BaseException:
      self.study.put_back(left)
      raise

  def _groups(
    self, trials: Sequence[optuna.Trial]
  ) -> Iterator[list[optuna.Trial]]:
    groups: dict[str, list[optuna.Trial]] = {}
    for trial in trials:
      values = self.study.values(trial)
      own = {k: encoded(v) for k, v in values.items() if k not in _NAMES}
      groups.setdefault(json.dumps(own, sort_keys=True), []).append(trial)
    yield from groups.values()

  def _run(self, group: list[optuna.Trial]) -> Iterator[Outcome]:
    """One program, and the outcome of each of its runs."""
    every = list(map(self.study.values, group))
    folder = self._folder / _name(list(map(self.study.first_number, group)))
    started, problem, pruned = time.monotonic(), '', False
    scores: list[float | None] = [None] * len(group)
    try:
      plan = self._plan_of(_together(every))
      watch = Watch(folder, group, plan.eval.best, prune=self._prune)
      with into_log(folder):
        loop.train(plan, folder, [watch])
      scores = watch.last(plan.schedule.num_steps)
      group[0].set_user_attr(SCORE, watch.name)
    except optuna.TrialPruned:
      pruned = True
    except optuna.exceptions.UpdateFinishedTrialError:
      return  # somebody has taken them up, while this process stood still
    except InUseError:  # by one who is not dead
      self.study.put_back(group)
      time.sleep(_PATIENCE)
      return
    except (InputError, NonFiniteError) as error:
      problem = str(error)
    except (MemoryError, RuntimeError) as error:
      if isinstance(error, RuntimeError) and _TOO_LARGE not in str(error):
        raise
      problem = 'it needs more memory than there is'
    finally:
      jax.clear_caches()  # of programs that nothing will run again
    seconds = time.monotonic() - started
    for trial, values, score in zip(group, every, scores, strict=True):
      state = TrialState.PRUNED if pruned else TrialState.COMPLETE
      why = problem
      if score is None and not pruned:
        state = TrialState.FAIL
        why = why or f'no score at the last step, see {folder / LOG}'
      with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
        trial.set_user_attr('folder', folder.name)
        trial.set_user_attr('seconds', round(seconds, 1))
        if why:
          trial.set_user_attr(PROBLEM, why)
        self.study.optuna.tell(trial, score, state=state, skip_if_finished=True)
      named = {TrialState.PRUNED: 'pruned', TrialState.FAIL: 'failed'}
      yield Outcome(
        trial.number, values, score, named.get(state, 'complete'), why, seconds
      )


def _name(numbers: Sequence[int]) -> str:
  """The folder of a program: by the first and the last of its trials."""
  ends = dict.fromkeys((min(numbers), max(numbers)))
  return '-'.join(f'{number:05d}' for number in ends)


def _together(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Values of one run; of several, lists for the section `sweep`."""
  first = dict(every[0])
  if len(every) == 1:
    return first
  swept = {
    f'sweep.{_NAMES[key]}': tuple(values[key] for values in every)
    for key in first
    if key in _NAMES
  }
  shared = {key: x for key, x in first.items() if key not in _NAMES}
  return {**shared, **swept, 'sweep.paired': True}


@contextlib.contextmanager
def into_log(folder: pathlib.Path) -> Iterator[None]:
  """What training says goes to a file beside what it leaves."""
  folder.mkdir(parents=True, exist_ok=True)
  with (
    open(folder / LOG, 'a', encoding='utf-8', errors='replace') as log,
    contextlib.redirect_stdout(log),
    contextlib.redirect_stderr(log),
  ):
    yield


class Watch:
  """A callback that tells the study of scores as they come."""

  def __init__(
    self,
    folder: pathlib.Path,
    trials: Sequence[optuna.Trial],
    best: str,
    *,
    prune: bool,
  ):
    self._path, self._trials = folder / 'evaluations.jsonl', trials
    self._best, self._prune = best, prune and len(trials) == 1
    self._told, self.name = 0, best

  def __call__(self, step: int, metrics: dict[str, float]) -> None:
    del step, metrics
    rows = self._rows()
    for number, at, value in rows[self._told :]:
      trial = self._trials[number or 0]
      if math.isfinite(value):
        trial.report(value, at)
      if self._prune and trial.should_prune():
        raise optuna.TrialPruned
    self._told = len(rows)

  def _rows(self) -> list[tuple[int | None, int, float]]:
    """Member, step and value of all scores so far."""
    found = []
    for row in logs.read_rows(self._path):
      self.name = ranked_name(self._best, row['protocol']['network'])
      value = row['scores'][self.name]['value']
      found.append((row.get('member'), row['step'], value))
    return found

  def last(self, step: int) -> list[float | None]:
    """The value of each trial at its last step; None without one."""
    found: list[float | None] = [None] * len(self._trials)
    for number, at, value in self._rows():
      if at == step and math.isfinite(value):
        found[number or 0] = value
    return found

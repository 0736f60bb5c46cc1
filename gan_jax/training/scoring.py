"""Scores during training: `eval.every`."""

import math
import pathlib
from collections.abc import Iterable
from typing import Any

import jax

from gan_jax.devices import parallel
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.evaluator import Evaluator, Result
from gan_jax.evaluation.protocol import same_measure
from gan_jax.evaluation.report import figure
from gan_jax.evaluation.scores import BETTER, ranked_name
from gan_jax.process import hosts
from gan_jax.reporting import curves, tables
from gan_jax.sampling.styles import Truncation
from gan_jax.sampling.weights import generator_variables, weights_name
from gan_jax.training.progress import Progress
from gan_jax.types import TrainState
from gan_jax.workdir import checkpoint, logs
from gan_jax.workdir.trained import best_folder

Row = dict[str, Any]  # of evaluations.jsonl


class Best:
  """The best checkpoint of one run, and the rows that compete for it."""

  def __init__(
    self, folder: pathlib.Path, rows: Iterable[Row], best: str, start: int
  ):
    """Opens the folder, and forgets a checkpoint of later steps.

    Args:
      folder: where the checkpoint is kept.
      rows: of this run, up to `start`.
      best: `eval.best`.
      start: step that training starts from.
    """
    self.rows, self._best = list(rows), best
    self.checkpoints = checkpoint.Checkpoints(
      folder, keep=1, alone=hosts.count() > 1
    )
    self.checkpoints.forget_after(start)
    # Of earlier rows the one whose weights are there alone is in the running.
    self._kept, self._start = self.checkpoints.latest_step, start

  @property
  def row(self) -> Row | None:
    """The row with the best `eval.best`; the first one of equals.

    Rows that were measured otherwise than the newest do not count.
    """
    if not self.rows:
      return None
    newest = self.rows[-1]['protocol']
    name = ranked_name(self._best, newest['network'])
    values = [
      (row['scores'][name]['value'], row)
      for row in self.rows
      if row['step'] > self._start or row['step'] == self._kept
      if name in row['scores'] and same_measure(row['protocol'], newest)
    ]
    values = [pair for pair in values if math.isfinite(pair[0])]
    choose = min if BETTER[self._best] == 'lower' else max
    return choose(values, key=lambda pair: pair[0])[1] if values else None


class Scoring:
  """Scores the run now and then, and keeps the best checkpoint.

  Of several runs at once each is scored, and has a best checkpoint of its own.

  Whatever goes wrong in here costs a line on the screen, not the training.
  It draws from seeds of its own: training is the same with and without.
  """

  def __init__(self, run: Any, start: int):
    """Takes up the rows of evaluations.jsonl where the run goes on.

    Args:
      run: a `runs.Run`.
      start: step that training starts from; later rows are dropped.
    """
    self._run, self._keys = run, run.plan.eval
    self._path = run.workdir / 'evaluations.jsonl'
    self._rows = read_rows(run, start)
    self._sampler = self._evaluator = None
    self._best: dict[int | None, Best] = {}
    by_member = logs.rows_by_member(self._rows)
    for number in run.ensemble.by_number if self._keys.every else ():
      self._best[number] = Best(
        best_folder(run.workdir, number),
        by_member[number],
        self._keys.best,
        start,
      )

  def __enter__(self) -> 'Scoring':
    return self

  def __exit__(self, *exception: Any) -> None:
    for best in self._best.values():
      best.checkpoints.__exit__(*exception)

  def __call__(self, step: int, state: TrainState, progress: Progress) -> None:
    """Scores the state.

    Args:
      step: of the state.
      state: being trained.
      progress: where to say so.
    """
    state = parallel.local(state)
    try:
      first = self._evaluator is None
      if first:
        progress.note('first scores: preparing the network and real images')
      found = self._score(step, state, progress)
      leading = self._leave(step, state, found, progress)
      for line in self._lines(step, found, leading):
        progress.note(line)
      warned = [line for r in found.values() for line in r.warnings if first]
      for line in dict.fromkeys(warned):
        progress.note(f'warning: {line}')
    except Exception as error:
      progress.note(f'note: no scores at step {step}: {_reason(error)}')

  def _score(
    self, step: int, state: TrainState, progress: Progress
  ) -> dict[int | None, Result]:
    """Scores of each run; of several, one without costs a line.

    Raises:
      Exception: there are none at all.
    """
    device = parallel.own(self._run.devices)[0]
    variables = generator_variables(state, self._keys.ema)
    variables = jax.device_put(variables, device)
    weights, found, failures = weights_name(state, self._keys.ema), {}, {}
    self._prepare(state)
    for number in self._best:
      own = self._run.ensemble.select(variables, number)
      try:
        found[number] = self._evaluator.score(
          self._sampler.with_variables(own),
          keys_lib.score_names(self._keys.every_scores),
          self._keys.every_num_samples,
          step=step,
          weights=weights,
          batch_norm='running',
          psi=self._keys.psi,
          psi_cutoff=self._keys.psi_cutoff,
        )
      except Exception as error:
        failures[number] = error
    if not found:
      raise next(iter(failures.values()))
    for number, error in failures.items():
      line = f'note: no scores of run {number} at step {step}'
      progress.note(f'{line}: {_reason(error)}')
    return found

  def _prepare(self, state: TrainState) -> None:
    """Makes what all evaluations share."""
    if self._evaluator is None:
      self._evaluator = Evaluator(
        self._keys,
        self._run.dataset,
        devices=parallel.own(self._run.devices),
        progress=False,
      )
    if self._sampler is None:
      # A model of its own: the run's averages batch statistics over devices.
      model = self._run.plan.build(self._run.info)
      truncation = Truncation(self._keys.psi, self._keys.psi_cutoff)
      self._sampler = model.sampler(
        state, ema=self._keys.ema, truncation=truncation
      )

  def _leave(
    self,
    step: int,
    state: TrainState,
    found: dict[int | None, Result],
    progress: Progress,
  ) -> list[int | None]:
    """Writes rows, plot and checkpoints; numbers of those now at their best."""
    rows, members = {}, self._run.ensemble.by_number
    for number, result in found.items():
      member = members[number]
      rows[number] = {
        'step': step,
        **(member.columns if member else {}),
        'images_seen': self._run.plan.images_seen(step),
        'scores': result.scores,
        'protocol': result.protocol,
      }
      suffix = f'/{member.label}' if member else ''
      for name, entry in result.scores.items():
        progress.log.scalar(step, f'scores/{name}{suffix}', entry['value'])
    self._rows += rows.values()
    logs.write_rows(self._path, self._rows)  # whole or not at all
    leading = []
    for number, row in rows.items():
      best = self._best[number]
      best.rows.append(row)
      if best.row is row:
        own = self._run.ensemble.select(state, number)
        best.checkpoints.save(step, own)
        leading.append(number)
    self._plot()
    return leading

  def _lines(
    self,
    step: int,
    found: dict[int | None, Result],
    leading: list[int | None],
  ) -> list[str]:
    """The scores for the screen; of several runs those of each group."""
    protocol = next(iter(found.values())).protocol
    network, num = protocol['network'], protocol['num_fake']
    name = ranked_name(self._keys.best, network)
    if not self._run.ensemble.several:
      entries = found[None].scores.items()
      shown = [f'{name} {figure(entry)}' for name, entry in entries]
      best = f' (best {name} so far)' if leading else ''
      return [f'step {step}, {num} fakes: {", ".join(shown)}{best}']
    values = tables.values_of({n: r.scores for n, r in found.items()})
    groups = self._run.ensemble.groups
    ranking = tables.rank(values, groups, network, self._keys.best)
    best = f'; best {name} so far of {len(leading)} runs' if leading else ''
    head = f'step {step}, {num} fakes of each of {len(found)} runs{best}'
    return [head, *tables.ranked_lines(values, ranking)]

  def _plot(self) -> None:
    several = self._run.ensemble.several
    best = None if several else self._best[None].row
    curves.plot_scores(
      self._run.workdir / 'scores.png',
      curves.flat_rows(self._rows),
      self._run.ensemble.groups,
      best and best['step'],
      self._run.plan.images_per_step,
    )


def read_rows(run: Any, last: int) -> list[Row]:
  """The rows of evaluations.jsonl.

  Args:
    run: a `runs.Run`.
    last: step after which they are left out.
  """
  return [
    row
    for row in logs.read_rows(run.workdir / 'evaluations.jsonl')
    if row['step'] <= last
    and {'scores', 'protocol'} <= set(row)
    and row.get('member') in list(run.ensemble.by_number)
  ]


def _reason(error: Exception) -> str:
  return ' '.join(f'{type(error).__name__}: {error}'.split())

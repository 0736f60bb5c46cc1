"""Scores during training: `eval.every`."""

import math
from typing import Any

import jax

from gan_jax.devices import parallel
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.evaluator import Evaluator, Result
from gan_jax.evaluation.protocol import same_measure
from gan_jax.evaluation.report import figure
from gan_jax.evaluation.scores import BETTER, ranked_name
from gan_jax.process import hosts
from gan_jax.reporting import curves
from gan_jax.sampling.weights import generator_variables, weights_name
from gan_jax.training.progress import Progress
from gan_jax.types import TrainState
from gan_jax.workdir import checkpoint, logs


class Scoring:
  """Scores the run now and then, and keeps the best checkpoint.

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
    rows = logs.read_rows(self._path)
    self._rows = [
      row
      for row in rows
      if row['step'] <= start and {'scores', 'protocol'} <= set(row)
    ]
    self._sampler = self._evaluator = self._best = None
    if self._keys.every:
      self._best = checkpoint.Checkpoints(
        run.workdir / 'best', keep=1, alone=hosts.count() > 1
      )
      self._best.forget_after(start)
      # Of earlier rows the one whose weights are there alone is in the running.
      self._kept, self._start = self._best.latest_step, start

  def __enter__(self) -> 'Scoring':
    return self

  def __exit__(self, *exception: Any) -> None:
    if self._best is not None:
      self._best.__exit__(*exception)

  def __call__(self, step: int, state: TrainState, progress: Progress) -> None:
    """Scores the state.

    Args:
      step: of the state.
      state: being trained.
      progress: where to say so.
    """
    state = parallel.local(state)
    try:
      if self._evaluator is None:
        progress.note('first scores: preparing the network and real images')
      first = self._evaluator is None
      result = self._score(step, state)
      row = self._write(step, result)
      for name, entry in result.scores.items():
        progress.log.scalar(step, f'scores/{name}', entry['value'])
      if self.best_row is row:
        self._best.save(step, state)
      self._plot()
      shown = [f'{n} {figure(entry)}' for n, entry in result.scores.items()]
      num = result.protocol['num_fake']
      name = ranked_name(self._keys.best, result.protocol['network'])
      best = f' (best {name} so far)' if self.best_row is row else ''
      progress.note(f'step {step}, {num} fakes: {", ".join(shown)}{best}')
      for line in result.warnings if first else ():
        progress.note(f'warning: {line}')
    except Exception as error:
      reason = ' '.join(f'{type(error).__name__}: {error}'.split())
      progress.note(f'note: no scores at step {step}: {reason}')

  def _score(self, step: int, state: TrainState) -> Result:
    keys = self._keys
    if self._evaluator is None:
      self._evaluator = Evaluator(
        keys,
        self._run.dataset,
        devices=parallel.own(self._run.devices),
        progress=False,
      )
    if self._sampler is None:
      # A model of its own: the run's averages batch statistics over devices.
      model = self._run.plan.build(self._run.info)
      self._sampler = model.sampler(state, ema=keys.ema)
    variables = generator_variables(state, keys.ema)
    variables = jax.device_put(variables, parallel.own(self._run.devices)[0])
    return self._evaluator.score(
      self._sampler.with_variables(variables),
      keys_lib.score_names(keys.every_scores),
      keys.every_num_samples,
      step=step,
      weights=weights_name(state, keys.ema),
      batch_norm='running',
    )

  def _write(self, step: int, result: Result) -> dict[str, Any]:
    """Adds a row to the file, whole or not at all."""
    row = {
      'step': step,
      'images_seen': step * self._run.plan.schedule.images_per_step,
      'scores': result.scores,
      'protocol': result.protocol,
    }
    self._rows.append(row)
    logs.write_rows(self._path, self._rows)
    return row

  @property
  def best_row(self) -> dict[str, Any] | None:
    """The row with the best `eval.best`; the first one of equals.

    Rows that were measured otherwise than the newest do not count.
    """
    if not self._rows:
      return None
    best, newest = self._keys.best, self._rows[-1]['protocol']
    name = ranked_name(best, newest['network'])
    values = [
      (row['scores'][name]['value'], row)
      for row in self._rows
      if row['step'] > self._start or row['step'] == self._kept
      if name in row['scores'] and same_measure(row['protocol'], newest)
    ]
    values = [pair for pair in values if math.isfinite(pair[0])]
    choose = min if BETTER[best] == 'lower' else max
    return choose(values, key=lambda pair: pair[0])[1] if values else None

  def _plot(self) -> None:
    names = dict.fromkeys(n for row in self._rows for n in row['scores'])
    series = {}
    for name in names:
      rows = [row for row in self._rows if name in row['scores']]
      series[name] = (
        [row['step'] for row in rows],
        [row['scores'][name]['value'] for row in rows],
      )
    best = self.best_row
    curves.plot_scores(
      self._run.workdir / 'scores.png',
      series,
      best and best['step'],
      self._run.plan.schedule.images_per_step,
    )

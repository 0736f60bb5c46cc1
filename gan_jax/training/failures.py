"""Numbers that are not finite: noticed, written down, and gone back from.

A dispatch says at which of its steps a loss or a gradient norm was first not
finite (`make_dispatch`). The run then stops, or goes back to its last
checkpoint with smaller learning rates. Either way failures/step_00001234 keeps
what is needed to repeat that step: see gan_jax/modes/replay.py.
"""

import contextlib
import math
import pathlib
import shutil
from typing import Any

import jax
import numpy as np

from gan_jax.process import hosts
from gan_jax.process.exits import program
from gan_jax.training.runs import Run
from gan_jax.types import InputError, NonFiniteError
from gan_jax.workdir.layout import read_json, write_json


def folder(workdir: pathlib.Path, step: int) -> pathlib.Path:
  """Where the failure of a step is described."""
  return workdir / 'failures' / f'step_{step:08d}'


# --- Going back ---------------------------------------------------------------


def rollbacks(workdir: pathlib.Path, start: int) -> list[dict[str, Any]]:
  """The times that a run has gone back, to a step or before; on all processes.

  Later ones are forgotten, as later rows are: they may be about to happen
  again.

  Args:
    workdir: of the run.
    start: step that it goes on from.
  """
  if not hosts.is_first():
    return hosts.broadcast(None)
  path, kept = workdir / 'rollbacks.json', []
  if path.exists():
    listed = read_json(path).get('rollbacks')
    try:
      kept = [entry for entry in listed if entry['to'] <= start]
      rate_factor(kept)
    except (TypeError, KeyError) as error:
      raise InputError(f'workdir: cannot read {path}: {error!r}') from error
    if kept != listed:
      write_json(path, {'rollbacks': kept})
  return hosts.broadcast(kept)


def rate_factor(entries: list[dict[str, Any]]) -> float:
  """What the learning rates are multiplied by after these rollbacks."""
  return float(math.prod(entry['factor'] for entry in entries))


def slowed(run: Run, factor: float) -> Run:
  """The run with its learning rates multiplied."""
  if factor == 1.0:
    return run
  axis = run.ensemble.axis_name(run.devices)
  model = run.plan.build(run.info, axis_name=axis, rate_factor=factor)
  return run._replace(model=model._replace(init=run.model.init))


def handle(run: Run, error: NonFiniteError, start: int) -> str:
  """Writes a failure down, and decides whether the run goes back.

  Args:
    run: in which it happened.
    error: says at which step, with which metrics.
    start: step of the checkpoint to go back to, 0 for the beginning.

  Returns:
    A line about going back, once it is decided and noted in the workdir.

  Raises:
    NonFiniteError: the run stops; the message says how it could go on.
  """
  keys = run.plan.non_finite
  before = rollbacks(run.workdir, start)
  factor = rate_factor(before)
  place = folder(run.workdir, error.step)
  problem = ''
  if hosts.is_first():
    try:
      _dump(run, error, start, factor)
    except OSError as full:
      problem = f' (not written: {full.strerror})'
  where = f'{error}; described in {place}{problem}'
  repeat = f'repeat it with --mode=replay --workdir={run.workdir}'
  stop = ''
  if keys.action != 'rollback':
    stop = (
      f'{repeat}, or go on from step {start} with '
      '--config.non_finite.action=rollback'
    )
  elif len(before) >= keys.rollbacks:
    stop = (
      f'the run went back {len(before)} times already, which is all that '
      f'non_finite.rollbacks allows; {repeat}'
    )
  if stop:
    raise NonFiniteError(
      f'{where}; {stop}', step=error.step, metrics=error.metrics
    )
  entry = {'step': error.step, 'to': start, 'factor': keys.rate_factor}
  if hosts.is_first():
    write_json(run.workdir / 'rollbacks.json', {'rollbacks': [*before, entry]})
  factor *= keys.rate_factor
  return (
    f'warning: {where}; going back to step {start}, with learning rates times '
    f'{factor:g} ({len(before) + 1} of {keys.rollbacks} times)'
  )


def _dump(run: Run, error: NonFiniteError, start: int, factor: float) -> None:
  """Keeps what is needed to repeat a step, beside the checkpoint before it."""
  place = folder(run.workdir, error.step)
  _, root_key = run.ensemble.keys()
  description = {
    'step': error.step,
    'not_finite': [k for k, v in error.metrics.items() if not np.isfinite(v)],
    'metrics': {k: repr(v) for k, v in error.metrics.items()},
    'seed': run.plan.seed,
    'learning_rate_factor': factor,
    'checkpoint_step': start,
    'batch_indices': [],
    'command': f'{program()} --mode=replay --workdir={run.workdir}',
  }
  if not run.ensemble.several:  # else each member has its own
    key = jax.random.fold_in(root_key, error.step - 1)
    description['key'] = np.asarray(jax.random.key_data(key)).tolist()
    stage = run.plan.stage_of(error.step)
    feed, first = stage.of_feed(run.feed), stage.draws_before(error.step - 1)
    description['batch_indices'] = [
      feed.indices(first + number).tolist()
      for number in range(stage.disc_steps)
    ]
  write_json(place / 'failure.json', description)
  source = run.workdir / 'checkpoints' / str(start)
  target = place / 'checkpoints' / str(start)
  if source.is_dir() and not target.exists():
    begun = place / 'checkpoints' / f'.{start}'
    shutil.rmtree(begun, ignore_errors=True)
    shutil.copytree(source, begun)
    begun.rename(target)


def read(workdir: pathlib.Path, step: int) -> dict[str, Any]:
  """The description of a failure.

  Args:
    workdir: of the run.
    step: at which it happened; 0 for the newest one.

  Raises:
    InputError: there is none, or it cannot be read.
  """
  found = sorted((workdir / 'failures').glob('step_*/failure.json'))
  numbers = {}
  for path in found:
    with contextlib.suppress(ValueError):
      numbers[int(path.parent.name.removeprefix('step_'))] = path
  if not numbers:
    raise InputError(
      f'workdir: {workdir} has no failures to repeat; all numbers were finite'
    )
  if step and step not in numbers:
    raise InputError(
      f'non_finite.step: no failure at step {step}; there are those of '
      f'{", ".join(map(str, numbers))}'
    )
  newest = max(found, key=lambda path: path.stat().st_mtime_ns)
  path = numbers[step] if step else newest
  description = read_json(path)
  kinds = {'step': int, 'checkpoint_step': int, 'learning_rate_factor': float}
  kinds |= {'metrics': dict, 'batch_indices': list}
  for name, kind in kinds.items():
    if not isinstance(description.get(name), kind):
      raise InputError(f'workdir: {path} has no {name}; it is not ours')
  if not 0 <= description['checkpoint_step'] < description['step']:
    raise InputError(
      f'workdir: {path} has a checkpoint_step that is not before its step'
    )
  return description

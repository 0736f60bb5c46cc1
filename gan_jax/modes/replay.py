"""`--mode=replay`: a step that was not finite, once more, looked at closely."""

import pathlib
from typing import Any

import jax
import numpy as np

from gan_jax import data
from gan_jax.config import build, plan
from gan_jax.devices import compiling, parallel
from gan_jax.training import failures, runs, stages
from gan_jax.training.dispatch import compile_dispatch, take_draws
from gan_jax.training.inheritance import begun_from
from gan_jax.types import InputError, TrainState
from gan_jax.workdir import checkpoint, layout
from gan_jax.workdir.trained import of_file, read_plan


def replay(config: Any, workdir: str | pathlib.Path) -> dict[str, float]:
  """Repeats the step of a failure and prints what became of every part.

  The run goes from the checkpoint that was kept with the failure, with the
  same batches and noise, up to the step before, and then makes that one.

  Args:
    config: `data.dir`, `num_devices`, and `non_finite.step`.
    workdir: of the run; nothing in it is changed.

  Returns:
    The metrics of the step.

  Raises:
    InputError: there is no failure, or its run cannot be read.
  """
  asked, path = plan.read(config), layout.absolute(workdir)
  description = failures.read(path, asked.non_finite.step)
  number = description['step']
  kept, ensemble = read_plan(path)
  if ensemble.several:
    raise InputError(
      'non_finite.step: of several runs at once a single one cannot be '
      'repeated; train the seed that failed as a run of its own'
    )
  with of_file(path):
    run = _reopen(kept, asked, path)
    state = _start(run, description)
  print(
    f'{path}: from step {int(state.step)} to {number - 1}, '
    f'{kept.stage_of(number).disc_steps} D update(s) each, then step {number}'
  )
  factor = description['learning_rate_factor']
  state = _advance(run, state, number - 1 - int(state.step), factor)[0]
  before = jax.device_get(state)
  after, metrics = _advance(run, state, 1, factor)
  metrics = {k: float(v) for k, v in jax.device_get(metrics).items()}
  metrics.pop('bad_step')
  for line in report(before, jax.device_get(after), metrics, description):
    print(line)
  return metrics


def _reopen(kept: plan.Plan, asked: plan.Plan, path: pathlib.Path) -> runs.Run:
  """The run as it was."""
  dataset = data.load_dataset(**kept.dataset(asked.data_dir))
  layout.check_data(path, dataset.info)
  devices = parallel.select_devices(asked.num_devices)
  return runs.assemble(kept, path, dataset, devices)


def _start(run: runs.Run, description: dict[str, Any]) -> TrainState:
  step = description['checkpoint_step']
  if not step:
    state = compiling.run_once(run.model.init, run.ensemble.keys()[0])
    if run.plan.init_from:
      state = begun_from(run, state)
  else:
    place = failures.folder(run.workdir, description['step']) / 'checkpoints'
    state = checkpoint.restore_latest(place, build.abstract_state(run.model))
  return run.ensemble.put(state, run.devices)


def _advance(
  run: runs.Run, state: TrainState, num_steps: int, factor: float
) -> tuple[TrainState, dict[str, Any]]:
  """Makes steps as the loop does; metrics of the last one."""
  step, metrics = int(state.step), {}
  end = step + num_steps
  for stage, part in stages.after(run, step, factor):
    state = stages.begin(stage, part, state)
    dispatch = compile_dispatch(part)
    draws = part.ensemble.draws(part.feed, stage.draws_before(step))
    last = min(end, stage.end)
    while step < last:
      count = min(part.plan.schedule.dispatch_length, last - step)
      inputs = take_draws(draws, count, stage.disc_steps)
      state, metrics = dispatch(state, inputs)
      step += count
    if step == end:
      break
  return state, metrics


def report(
  before: TrainState,
  after: TrainState,
  metrics: dict[str, float],
  description: dict[str, Any],
) -> list[str]:
  """Lines about a repeated step: its metrics, and where numbers are lost.

  Args:
    before: the state that the step began with.
    after: the one that it has left.
    metrics: of the step.
    description: see `failures`.
  """
  then = description['metrics']
  same = [k for k in then if k in metrics and repr(metrics[k]) == then[k]]
  compared = [k for k in then if k in metrics]
  lines = [
    f'{len(same)} of {len(compared)} metrics are those of the failure, to the '
    'last bit'
  ]
  lines += [f'  {name:24} {value:.6g}' for name, value in metrics.items()]
  for player in ('disc', 'gen'):
    if not jax.tree.leaves(getattr(before.params, player)):
      continue  # it does not play
    for when, state in (('before', before), ('after', after)):
      leaves = jax.tree_util.tree_leaves_with_path(
        getattr(state.params, player)
      )
      bad = [
        (jax.tree_util.keystr(path), np.size(x) - np.isfinite(x).sum(), x.size)
        for path, x in leaves
        if not np.isfinite(x).all()
      ]
      sizes = [np.abs(x[np.isfinite(x)]).max(initial=0) for _, x in leaves]
      lines.append(
        f'{player} {when}: {len(bad)} of {len(leaves)} arrays not finite; '
        f'largest finite value {max(sizes):.4g}'
      )
      lines += [f'  {name}: {n:,} of {m:,} values' for name, n, m in bad]
  return lines

"""The training loop: dispatches of several steps, and what lies between."""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import build as build_lib
from gan_jax import (
  checkpoint,
  checkup,
  failures,
  hosts,
  logs,
  parallel,
  reporting,
  results,
  runs,
  scoring,
  sweep,
)
from gan_jax.data import feeds
from gan_jax.interruption import StopRequest
from gan_jax.progress import Progress
from gan_jax.rng import unrolled
from gan_jax.types import (
  InputError,
  Interrupted,
  NonFiniteError,
  StorageError,
  TrainState,
)

_AGAIN = 'free or name other space, and run the same command again'
WATCHED = ('_loss', '_grad_norm')  # metrics that have to be finite


def make_dispatch(
  model: build_lib.Model, decode: Callable[..., Any]
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Several training steps as one pure function.

  Args:
    model: whose `train_step` to repeat.
    decode: `(resident, draw, key) -> Batch`, of a feed.

  Returns:
    dispatch(state, (resident, root_key), draws) -> (state, metrics): draws
    lead with [S, K] for S steps of K D updates; metrics are the last step's,
    or those of the first one in which a loss or a gradient was not finite:
    `bad_step` is the number of that step, from 1 on, and 0 without one. Step t
    takes its randomness from fold_in(root_key, t) alone.
  """

  def dispatch(state, constants, draws):
    resident, root_key = constants
    root_key = unrolled(root_key)

    def inputs_of(step, draw):
      data_key, step_key = jax.random.split(jax.random.fold_in(root_key, step))
      data_keys = jax.random.split(data_key, len(draw['positions']))
      batches = jax.vmap(decode, in_axes=(None, 0, 0))(
        resident, draw, data_keys
      )
      return batches, step_key

    def one_step(state, draw):
      return model.train_step(state, *inputs_of(state.step, draw))

    state, metrics = jax.lax.scan(one_step, state, draws)
    last_draw = jax.tree.map(lambda x: x[-1], draws)
    after = model.probe(state, *inputs_of(state.step - 1, last_draw))
    # Losses and norms are there anyhow, so this costs a few additions.
    watched = [x for name, x in metrics.items() if name.endswith(WATCHED)]
    num = len(jax.tree.leaves(draws)[0])
    bad = ~jnp.isfinite(sum(watched, jnp.zeros(num)))
    first = jnp.where(bad.any(), jnp.argmax(bad), num - 1)
    metrics = jax.tree.map(lambda x: x[first], metrics) | after
    number = state.step - num + 1 + first
    return state, metrics | {'bad_step': jnp.where(bad.any(), number, 0)}

  return dispatch


def dispatch_length(config: Any) -> int:
  """Steps of one dispatch: ends meet every log, grid and checkpoint.

  The largest divisor of all intervals up to `steps_per_dispatch`, so
  that one compiled program serves the run, but for a shorter one where
  `num_steps` is no multiple of it.
  """
  common = math.gcd(
    config.log_every,
    config.sample_every,
    config.checkpoint_every,
    config.eval.every,  # 0 divides nothing
  )
  longest = min(common, config.steps_per_dispatch)
  return next(n for n in range(longest, 0, -1) if common % n == 0)


def take_draws(
  draws: Iterator[feeds.Draw], steps: int, disc_steps: int
) -> feeds.Draw:
  """The next `steps * disc_steps` draws, leaves `[S, K, B, ...]`."""
  taken = [next(draws) for _ in range(steps * disc_steps)]
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *taken)
  return jax.tree.map(
    lambda x: x.reshape(steps, disc_steps, *x.shape[1:]), stacked
  )


def train(
  config: Any, workdir: str | pathlib.Path, *, started: float | None = None
) -> pathlib.Path:
  """Trains, or goes on where the workdir's newest whole checkpoint ends.

  Args:
    config: a ConfigDict with the keys of configs/base.py.
    workdir: where everything of the run is written.
    started: `time.monotonic()` when the program began, to report how long the
      first dispatch took to come.

  Returns:
    The workdir.

  Raises:
    InputError: what the user gave cannot be trained on.
    NonFiniteError: a loss or a gradient is not finite.
    StorageError: the last checkpoint cannot be written.
    Interrupted: a signal asked for the end; a checkpoint is there.
  """
  started = time.monotonic() if started is None else started
  parallel.split_cpu(sweep.num_members(config))
  with contextlib.ExitStack() as hold, hosts.noticed():
    run = runs.open_run(config, workdir, hold)
    for line in build_lib.advice(config, run.model.networks.disc.style.norm):
      _note(f'note: {line}')
    folder = run.workdir / 'checkpoints'
    hold.enter_context(run.compiling)
    stop = hold.enter_context(StopRequest())
    checkpoints = hold.enter_context(
      checkpoint.Checkpoints(
        folder, keep=config.keep_checkpoints, meta=runs.meta(run), note=_note
      )
    )
    paint = results.grid_painter(run)
    final = None
    while final is None:
      state, start = _begin(run, checkpoints)
      try:
        final = _attempt(run, state, start, paint, checkpoints, stop, started)
      except NonFiniteError as error:
        _go_back_or_stop(run, error, checkpoints.settled_step or 0)
    if hosts.is_first():
      results.finish(run, final, paint(final))
    hosts.broadcast(None)  # none leaves before the first has drawn
  return run.workdir


def _note(line: str) -> None:
  if hosts.is_first():
    print(line, file=sys.stderr)


def _go_back_or_stop(run: runs.Run, error: NonFiniteError, start: int) -> None:
  """Returns to make the way from `start` again, or says why not, and raises."""
  try:
    _note(failures.handle(run, error, start))
  except NonFiniteError:
    if hosts.is_first():
      with contextlib.suppress(OSError):
        reporting.plot_losses(run.workdir, run.ensemble.groups)
      for line in checkup.of_run(run.config, run.workdir, run.config.diagnose):
        print(line)
    hosts.broadcast(None)
    raise


def _begin(
  run: runs.Run, checkpoints: checkpoint.Checkpoints
) -> tuple[TrainState, int]:
  """The state of the newest whole checkpoint, or that of the seed; its step."""
  if checkpoints.latest_step is None:
    init_key, _ = run.ensemble.keys()
    state = jax.jit(run.ensemble.init(run.model.init))(init_key)
  else:
    template = run.ensemble.abstract(build_lib.abstract_state(run.model))
    state = checkpoints.restore(template, parallel.replicated(run.devices))
  return run.ensemble.put(state, run.devices), int(state.step)


def _attempt(
  run: runs.Run,
  state: TrainState,
  start: int,
  paint: Callable[[TrainState], np.ndarray],
  checkpoints: checkpoint.Checkpoints,
  stop: StopRequest,
  started: float,
) -> TrainState:
  """Trains from a state to the end, unless something is not finite."""
  config, ensemble = run.config, run.ensemble
  factor = failures.rate_factor(failures.rollbacks(run.workdir, start))
  run = failures.slowed(run, factor)
  if hosts.is_first():
    at_once = f', {ensemble.num_members} runs at once' * ensemble.several
    slower = f', learning rates times {factor:g}' * (factor != 1)
    processes = f' of {hosts.count()} processes' * (hosts.count() > 1)
    print(
      f'{"resuming" if start else "training"} {run.workdir} at step {start} of '
      f'{config.num_steps}: {config.network.name} on {run.info.name}, '
      f'{run.info.num_train} images {run.info.image_shape}, '
      f'{len(run.devices)} {run.devices[0].platform} device(s){processes}'
      f'{at_once}{slower}'
    )
  with contextlib.ExitStack() as stack:
    log = score = None
    if hosts.is_first():
      log = logs.MetricsLog(run.workdir, resume_step=start, note=_note)
      log = stack.enter_context(log)
      score = stack.enter_context(scoring.Scoring(run, start))
    progress = Progress(config, ensemble, log, start, started)
    return _loop(run, state, paint, checkpoints, progress, score, stop)


def _loop(
  run: runs.Run,
  state: TrainState,
  paint: Callable[[TrainState], np.ndarray],
  checkpoints: checkpoint.Checkpoints,
  progress: Progress,
  score: scoring.Scoring | None,
  stop: StopRequest,
) -> TrainState:
  """Runs dispatches from the state's step to `num_steps`."""
  config = run.config
  step, length = int(state.step), dispatch_length(config)

  def dispatch_with(swept):
    model = run.model
    if swept:
      axis = run.ensemble.axis_name(run.devices)
      model = build_lib.build(config, run.info, axis_name=axis, swept=swept)
    return make_dispatch(model, run.feed.decode)

  dispatch = run.ensemble.compile(dispatch_with, run.devices)
  _, root_key = run.ensemble.keys()
  constants = run.ensemble.constants(run.feed.resident, root_key, run.devices)
  draws = run.ensemble.draws(run.feed, step * config.disc_steps)
  asked = parallel.agreement(run.devices)  # whether any process is to stop

  def save(*, last=False):
    problem = ''
    try:
      progress.flush()  # rows come before the checkpoint that covers them
    except OSError as error:
      line = f'no checkpoint at step {step}: rows cannot be written'
      problem = f'{line}: {error.strerror or error}'
    problem = hosts.broadcast(problem)  # all save, or none
    if problem and last:
      raise StorageError(f'{problem}; {_AGAIN}')
    if problem:
      progress.note(f'warning: {problem}')
      return
    checkpoints.save(step, state)
    if last:
      checkpoints.finish()

  with progress:
    while step < config.num_steps:
      # From an odd start, the first dispatch ends where the others do.
      count = min(length - step % length, config.num_steps - step)
      try:
        inputs = take_draws(draws, count, config.disc_steps)
      except InputError:  # bad data loses no training
        if hosts.count() == 1:  # else the others do not know
          save()
        raise
      state, metrics = dispatch(state, constants, inputs)
      step += count
      progress.advance(step, metrics)
      stopping = asked(stop.requested is not None) and step < config.num_steps
      if step % config.sample_every == 0 and not stopping:
        _draw_grid(run, step, paint, state, progress)
      if scoring.due(config, step) and not stopping:
        progress.try_flush()
        if score is not None:
          score(step, state, progress)
      if stopping:
        save(last=True)
        raise Interrupted(
          f'{stop.requested or "another process"}: stopped at step {step} of '
          f'{config.num_steps}, with a checkpoint; the same command goes on'
        )
      if step % config.checkpoint_every == 0:
        save()
    save(last=True)
  return state


def _draw_grid(
  run: runs.Run,
  step: int,
  paint: Callable[[TrainState], np.ndarray],
  state: TrainState,
  progress: Progress,
) -> None:
  """Leaves a grid of samples; a full disk costs a line, not the training."""
  progress.try_flush()
  if progress.log is None:  # not the process that writes
    return
  image = paint(state)
  progress.log.image(step, 'samples', image)
  name = f'samples/step_{step:08d}.png'
  try:
    reporting.save_image(run.workdir / name, image)
  except OSError as error:
    progress.note(f'warning: cannot write {name}: {error.strerror}')

"""The training loop: dispatches of several steps, and what lies between."""

import contextlib
import pathlib
import sys
import time
from collections.abc import Sequence

from gan_jax.config import build
from gan_jax.config.plan import Plan
from gan_jax.config.stages import Stage
from gan_jax.devices import compiling, parallel
from gan_jax.networks import style_of
from gan_jax.process import hosts
from gan_jax.process.interruption import StopRequest
from gan_jax.reporting import curves, pictures, run_page
from gan_jax.training import failures, results, runs, stages
from gan_jax.training.dispatch import compile_dispatch, take_draws
from gan_jax.training.inheritance import begun_from
from gan_jax.training.painter import Painter
from gan_jax.training.progress import Callback, Progress
from gan_jax.training.scoring import Scoring
from gan_jax.types import (
  InputError,
  Interrupted,
  NonFiniteError,
  StorageError,
  TrainState,
)
from gan_jax.workdir import layout, logs
from gan_jax.workdir.checkpoint import Checkpoints

_AGAIN = 'free or name other space, and run the same command again'


def train(
  plan: Plan,
  workdir: str | pathlib.Path,
  callbacks: Sequence[Callback] = (),
  *,
  started: float | None = None,
) -> pathlib.Path:
  """Trains, or goes on where the workdir's newest whole checkpoint ends.

  Args:
    plan: of the run.
    workdir: where everything of the run is written.
    callbacks: see `gan_jax.training.progress`.
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
  parallel.split_cpu(plan.cpu_parts)
  with contextlib.ExitStack() as hold, hosts.noticed():
    run = runs.open_run(plan, workdir, hold)
    for line in plan.advice(style_of(run.model.networks.disc)):
      _note(f'note: {line}')
    for line in run.dataset.summary * hosts.is_first():
      print(line)
    hold.enter_context(run.compiling)
    stop = hold.enter_context(StopRequest())
    checkpoints = hold.enter_context(
      Checkpoints(
        run.workdir / 'checkpoints',
        keep=plan.schedule.keep_checkpoints,
        meta=runs.meta(run),
        note=_note,
      )
    )
    loop = _Loop(run, checkpoints, stop, callbacks)
    final = None
    while final is None:
      state, start = _begin(run, checkpoints)
      try:
        final = loop.attempt(state, start, started)
      except NonFiniteError as error:
        _go_back_or_stop(run, error, checkpoints.settled_step or 0)
    if hosts.is_first():
      results.finish(run, final, loop.paint(final))
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
        curves.plot_losses(
          run.workdir,
          run.ensemble.groups,
          run.plan.images_per_step,
        )
      for line in results.verdict(run, logs.read_metrics(run.workdir)):
        print(line)
      run_page.refresh(run.workdir)
    hosts.broadcast(None)
    raise


def _begin(run: runs.Run, checkpoints: Checkpoints) -> tuple[TrainState, int]:
  """The state of the newest whole checkpoint, or that of the seed; its step."""
  if checkpoints.latest_step is None:
    init_key, _ = run.ensemble.keys()
    state = compiling.run_once(run.ensemble.init(run.model.init), init_key)
    if run.plan.init_from:
      state = begun_from(run, state)
  else:
    template = run.ensemble.abstract(build.abstract_state(run.model))
    state = checkpoints.restore(template, parallel.replicated(run.devices))
  return run.ensemble.put(state, run.devices), int(state.step)


class _Loop:
  """Dispatches from a checkpoint to the end of a run.

  Attributes:
    paint: see `Painter`; None on all processes but the first.
  """

  def __init__(
    self,
    run: runs.Run,
    checkpoints: Checkpoints,
    stop: StopRequest,
    callbacks: Sequence[Callback],
  ):
    self.run, self.checkpoints, self.stop = run, checkpoints, stop
    self.callbacks = callbacks
    self.paint = Painter(run) if hosts.is_first() else None

  def attempt(
    self, state: TrainState, start: int, started: float
  ) -> TrainState:
    """Trains from a state to the end, unless something is not finite."""
    run = self.run
    factor = failures.rate_factor(failures.rollbacks(run.workdir, start))
    run = failures.slowed(run, factor)
    if hosts.is_first():
      print(results.first_words(run, start, factor))
    with contextlib.ExitStack() as stack:
      log = score = None
      if hosts.is_first():
        log = stack.enter_context(self._open_log(run, start))
        score = stack.enter_context(Scoring(run, start))
      progress = Progress(run, log, start, started, self.callbacks)
      stack.enter_context(progress)
      for stage, part in stages.after(self.run, start, factor):
        state = stages.begin(stage, part, state)
        state = self._stage(stage, part, state, progress, score)
      self._save(state, int(state.step), progress, last=True)
      return state

  def _open_log(self, run: runs.Run, start: int) -> logs.MetricsLog:
    return logs.MetricsLog(
      run.workdir,
      resume_step=start,
      note=_note,
      config=layout.flatten(run.plan.fields),
      real=lambda: self.paint.draw({}),
    )

  def _stage(
    self,
    stage: Stage,
    run: runs.Run,
    state: TrainState,
    progress: Progress,
    score: Scoring | None,
  ) -> TrainState:
    """Runs dispatches from the state's step to the end of a stage."""
    schedule, step = run.plan.schedule, int(state.step)
    length, disc_steps = schedule.dispatch_length, schedule.disc_steps
    dispatch = compile_dispatch(run)
    asked = parallel.agreement(run.devices)  # whether any process is to stop
    draws = run.ensemble.draws(run.feed, stage.draws_before(step))
    while step < stage.end:
      # From an odd start, the first dispatch ends where the others do.
      count = min(length - step % length, stage.end - step)
      try:
        inputs = take_draws(draws, count, disc_steps)
      except InputError:  # bad data loses no training
        if hosts.count() == 1:  # else the others do not know
          self._save(state, step, progress)
        raise
      state, metrics = dispatch(state, inputs)
      self.stop.begun = True
      step += count
      progress.advance(step, metrics)
      stopping = asked(self.stop.requested is not None)
      if stopping and step < schedule.num_steps:
        self._leave(state, step, progress)
      if step % schedule.sample_every == 0:
        self._draw_grid(state, step, progress)
      if schedule.score_every and step % schedule.score_every == 0:
        progress.try_flush()
        if score is not None:
          score(step, state, progress)
      if step % schedule.checkpoint_every == 0:
        self._save(state, step, progress)
    return state

  def _leave(self, state: TrainState, step: int, progress: Progress) -> None:
    """Ends as a signal has asked: with a checkpoint."""
    self._save(state, step, progress, last=True)
    raise Interrupted(
      f'{self.stop.requested or "another process"}: stopped at step {step} of '
      f'{self.run.plan.schedule.num_steps}, with a checkpoint; the same '
      'command goes on'
    )

  def _save(
    self,
    state: TrainState,
    step: int,
    progress: Progress,
    *,
    last: bool = False,
  ) -> None:
    """Writes a checkpoint, if the rows that it covers can be written."""
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
    self.checkpoints.save(step, state)
    if last:
      self.checkpoints.finish()

  def _draw_grid(
    self, state: TrainState, step: int, progress: Progress
  ) -> None:
    """Leaves a grid of samples; a full disk costs a line, not the training."""
    progress.try_flush()
    if progress.log is None:  # not the process that writes
      return
    image = self.paint(state)
    progress.log.image(step, 'samples', image)
    name = f'samples/step_{step:08d}.png'
    try:
      pictures.save_image(self.run.workdir / name, image)
    except OSError as error:
      progress.note(f'warning: cannot write {name}: {error.strerror}')

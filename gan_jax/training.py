"""The training loop: dispatches of several steps, and what lies between."""

import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from gan_jax import build as build_lib
from gan_jax import (
  checkpoint,
  checkup,
  parallel,
  reporting,
  runs,
  scoring,
  sweep,
)
from gan_jax.data import feeds
from gan_jax.progress import Progress
from gan_jax.rng import unrolled
from gan_jax.types import InputError, TrainState

GRID_IMAGES = 64
# Of several runs at once, a row each; of more, every n-th.
GRID_COLUMNS, GRID_ROWS = 16, 32


def make_dispatch(
  model: build_lib.Model, decode: Callable[..., Any]
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Several training steps as one pure function.

  Args:
    model: whose `train_step` to repeat.
    decode: `(resident, draw, key) -> Batch`, of a feed.

  Returns:
    dispatch(state, (resident, root_key), draws) -> (state, metrics): draws
    lead with [S, K] for S steps of K D updates; metrics are the last step's.
    Step t takes its randomness from fold_in(root_key, t) alone.
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
    last_draw, metrics = jax.tree.map(lambda x: x[-1], (draws, metrics))
    after = model.probe(state, *inputs_of(state.step - 1, last_draw))
    return state, metrics | after

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
  """Trains, or goes on where the workdir's newest checkpoint ends.

  Args:
    config: a ConfigDict with the keys of configs/base.py.
    workdir: where everything of the run is written.
    started: `time.monotonic()` when the program began, to report how long the
      first dispatch took to come.

  Returns:
    The workdir.

  Raises:
    InputError: what the user gave cannot be trained on.
  """
  started = time.monotonic() if started is None else started
  parallel.split_cpu(sweep.num_members(config))
  run = runs.open_run(config, workdir)
  for line in build_lib.advice(config, run.model.networks.disc.style.norm):
    print(f'note: {line}', file=sys.stderr)
  init_key, root_key = run.ensemble.keys()
  paint = grid_painter(run)
  folder = run.workdir / 'checkpoints'
  with (
    run.compiling,
    checkpoint.Checkpoints(folder, keep=config.keep_checkpoints) as checkpoints,
  ):
    if checkpoints.latest_step is None:
      init = jax.jit(run.ensemble.init(run.model.init))
      state = init(init_key)
    else:
      template = run.ensemble.abstract(build_lib.abstract_state(run.model))
      sharding = parallel.replicated(run.devices)
      state = checkpoints.restore(template, sharding)
    state = run.ensemble.put(state, run.devices)
    start = int(state.step)
    runs_at_once = ''
    if run.ensemble.several:
      runs_at_once = f', {run.ensemble.num_members} runs at once'
    print(
      f'{"resuming" if start else "training"} {run.workdir} at step {start} of '
      f'{config.num_steps}: {config.network.name} on {run.info.name}, '
      f'{run.info.num_train} images {run.info.image_shape}, '
      f'{len(run.devices)} {run.devices[0].platform} device(s)'
      f'{runs_at_once}'
    )
    with (
      reporting.MetricsLog(run.workdir, resume_step=start) as log,
      scoring.Scoring(run, start) as score,
    ):
      progress = Progress(config, run.ensemble, log, start, started)
      state = _loop(run, state, root_key, paint, checkpoints, progress, score)
  _finish(run, state, paint(state))
  return run.workdir


def _loop(
  run: runs.Run,
  state: TrainState,
  root_key: jax.Array,
  paint: Callable[[TrainState], np.ndarray],
  checkpoints: checkpoint.Checkpoints,
  progress: Progress,
  score: scoring.Scoring,
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
  constants = run.ensemble.constants(run.feed.resident, root_key, run.devices)
  draws = run.ensemble.draws(run.feed, step * config.disc_steps)
  with progress:
    while step < config.num_steps:
      # From an odd start, the first dispatch ends where the others do.
      count = min(length - step % length, config.num_steps - step)
      try:
        inputs = take_draws(draws, count, config.disc_steps)
      except InputError:  # bad data loses no training
        progress.flush()
        checkpoints.save(step, state)
        raise
      state, metrics = dispatch(state, constants, inputs)
      step += count
      progress.advance(step, metrics)
      sample = step % config.sample_every == 0
      save = step % config.checkpoint_every == 0 or step == config.num_steps
      if sample or save:
        progress.flush()  # rows come before the checkpoint that covers them
      if sample:
        image = paint(state)
        name = f'samples/step_{step:08d}.png'
        reporting.save_image(run.workdir / name, image)
        progress.log.image(step, 'samples', image)
      if score.due(step):
        progress.flush()
        score(step, state, progress)
      if save:
        checkpoints.save(step, state)
  return state


def grid_painter(run: runs.Run) -> Callable[[TrainState], np.ndarray]:
  """Returns state -> grid `[H', W', 3]` of always the same latents.

  The moving average is shown if there is one. Conditional runs show one class
  a column. Of several runs each has a row.
  """
  device, ensemble = run.devices[0], run.ensemble
  sampler = None

  def paint(state: TrainState) -> np.ndarray:
    nonlocal sampler
    if sampler is None:
      sampler = build_lib.make_sampler(
        run.config, run.info, run.model, state, ema=True
      )
    variables = build_lib.generator_variables(state, ema=True)
    variables = jax.device_put(variables, device)

    def sample(number, num):
      one = sampler.with_variables(ensemble.select(variables, number))
      return one.sample(num, seed=run.config.seed)

    if ensemble.several:
      columns = sampler.num_classes or GRID_COLUMNS
      every = math.ceil(ensemble.num_members / GRID_ROWS)
      rows = [sample(i, columns) for i in range(0, ensemble.num_members, every)]
      return reporting.grid(np.concatenate(rows), columns)
    whole_rows = GRID_IMAGES - GRID_IMAGES % max(1, sampler.num_classes)
    images = sample(0, whole_rows or GRID_IMAGES)
    return reporting.labelled_grid(images, sampler.num_classes)

  return paint


def _finish(run: runs.Run, state: TrainState, image: np.ndarray) -> None:
  """Leaves the final pictures, and says where things are."""
  groups = run.ensemble.groups
  reporting.plot_losses(run.workdir, groups)
  final = run.workdir / 'samples' / 'final.png'
  reporting.save_image(final, image)
  rows = reporting.read_metrics(run.workdir)
  rates = [r['images_per_second'] for r in rows if 'images_per_second' in r]
  speed = f', median {np.median(rates):,.0f} images/s' if rates else ''
  if run.ensemble.several:
    speed += f' in each of {run.ensemble.num_members} runs'
    print(reporting.final_table(rows, groups))
  for line in checkup.of_run(run.config, run.workdir, run.config.diagnose):
    print(line)
  print(
    f'done: {int(state.step)} steps{speed}\n'
    f'  samples      {final}\n'
    f'  loss curves  {run.workdir / "losses.png"}\n'
    f'  metrics      {run.workdir / "metrics.jsonl"} and TensorBoard events\n'
    f'{_where_scores_are(run)}'
    f'  checkpoints  {run.workdir / "checkpoints"}\n'
    f'draw images with: python run.py --mode=sample --workdir={run.workdir}'
  )


def _where_scores_are(run: runs.Run) -> str:
  """Lines about what `eval.every` left, if it was on."""
  plot = run.workdir / 'scores.png'
  if not (run.config.eval.every and plot.exists()):
    return ''
  best = f'  best         {run.workdir / "best"}, by {run.config.eval.best}\n'
  return f'  scores       {plot}\n{best}'

"""The training loop: dispatches of several steps, and what lies between."""

import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax import build as build_lib
from gan_jax import checkpoint, data, parallel, reporting, scoring
from gan_jax import workdir as workdir_lib
from gan_jax.data import feeds
from gan_jax.progress import Progress
from gan_jax.rng import unrolled
from gan_jax.types import InputError, TrainState

GRID_IMAGES = 64


class Run(NamedTuple):
  """What the loop works with, made from the config by `open_run`."""

  config: Any
  workdir: pathlib.Path
  info: data.DatasetInfo
  model: build_lib.Model
  dataset: data.Dataset
  feed: data.Feed
  devices: list[jax.Device]


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


def open_run(config: Any, workdir: str | pathlib.Path) -> Run:
  """Turns a config into a run, checking all that can be checked beforehand.

  Raises:
    InputError: see the parts.
  """
  build_lib.check(config)
  devices = parallel.select_devices(config.num_devices)
  parallel.check_batch_size(config.batch_size, len(devices))
  path = workdir_lib.prepare(workdir)
  workdir_lib.check_resumable(path, config.to_dict())
  dataset = data.load_dataset(**build_lib.dataset_keys(config))
  scoring.check(config, dataset.info)
  axis = parallel.axis_name(devices)
  model = build_lib.build(config, dataset.info, axis_name=axis)
  feed = data.make_feed(
    dataset.train,
    batch_size=config.batch_size,
    seed=config.seed,
    flip=config.data.flip,
    labels=config.conditional,
    cache=config.data.cache,
    cache_mb=config.data.cache_mb,
  )
  workdir_lib.describe_run(path, config.to_dict(), dataset.info)
  return Run(config, path, dataset.info, model, dataset, feed, devices)


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
  run = open_run(config, workdir)
  for line in build_lib.advice(config, run.model.networks.disc.style.norm):
    print(f'note: {line}', file=sys.stderr)
  init_key, root_key = jax.random.split(jax.random.key(config.seed))
  sharding = parallel.replicated(run.devices)
  paint = grid_painter(run)
  with checkpoint.Checkpoints(
    run.workdir / 'checkpoints', keep=config.keep_checkpoints
  ) as checkpoints:
    if checkpoints.latest_step is None:
      state = parallel.replicate(jax.jit(run.model.init)(init_key), run.devices)
    else:
      template = build_lib.abstract_state(run.model)
      state = checkpoints.restore(template, sharding)
    start = int(state.step)
    print(
      f'{"resuming" if start else "training"} {run.workdir} at step {start} of '
      f'{config.num_steps}: {config.network.name} on {run.info.name}, '
      f'{run.info.num_train} images {run.info.image_shape}, '
      f'{len(run.devices)} {run.devices[0].platform} device(s)'
    )
    with (
      reporting.MetricsLog(run.workdir, resume_step=start) as log,
      scoring.Scoring(run, start) as score,
    ):
      progress = Progress(config, log, start, started)
      state = _loop(run, state, root_key, paint, checkpoints, progress, score)
  _finish(run, state, paint(state))
  return run.workdir


def _loop(
  run: Run,
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
  dispatch = parallel.parallelize(
    make_dispatch(run.model, run.feed.decode), run.devices
  )
  constants = parallel.replicate((run.feed.resident, root_key), run.devices)
  draws = run.feed.draws(step * config.disc_steps)
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
      state, metrics = dispatch(
        state, constants, parallel.shard(inputs, len(run.devices))
      )
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


def grid_painter(run: Run) -> Callable[[TrainState], np.ndarray]:
  """Returns state -> grid `[H', W', 3]` of always the same latents.

  The moving average is shown if there is one. Conditional runs show one class
  a column.
  """
  device = run.devices[0]
  sampler = None

  def paint(state: TrainState) -> np.ndarray:
    nonlocal sampler
    if sampler is None:
      sampler = build_lib.make_sampler(
        run.config, run.info, run.model, state, ema=True
      )
    variables = build_lib.generator_variables(state, ema=True)
    whole_rows = GRID_IMAGES - GRID_IMAGES % max(1, sampler.num_classes)
    images = sampler.with_variables(jax.device_put(variables, device)).sample(
      whole_rows or GRID_IMAGES, seed=run.config.seed
    )
    return reporting.labelled_grid(images, sampler.num_classes)

  return paint


def _finish(run: Run, state: TrainState, image: np.ndarray) -> None:
  """Leaves the final pictures, and says where things are."""
  reporting.plot_losses(run.workdir)
  final = run.workdir / 'samples' / 'final.png'
  reporting.save_image(final, image)
  rows = reporting.read_metrics(run.workdir)
  rates = [r['images_per_second'] for r in rows if 'images_per_second' in r]
  speed = f', median {np.median(rates):,.0f} images/s' if rates else ''
  print(
    f'done: {int(state.step)} steps{speed}\n'
    f'  samples      {final}\n'
    f'  loss curves  {run.workdir / "losses.png"}\n'
    f'  metrics      {run.workdir / "metrics.jsonl"} and TensorBoard events\n'
    f'{_where_scores_are(run)}'
    f'  checkpoints  {run.workdir / "checkpoints"}\n'
    f'draw images with: python run.py --mode=sample --workdir={run.workdir}'
  )


def _where_scores_are(run: Run) -> str:
  """Lines about what `eval.every` left, if it was on."""
  plot = run.workdir / 'scores.png'
  if not (run.config.eval.every and plot.exists()):
    return ''
  best = f'  best         {run.workdir / "best"}, by {run.config.eval.best}\n'
  return f'  scores       {plot}\n{best}'

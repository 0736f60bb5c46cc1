"""What a run shows of itself: first and last words, the grid of samples."""

import math
from collections.abc import Callable

import jax
import numpy as np

from gan_jax.devices import parallel
from gan_jax.diagnosis import checkup
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.scores import ranked_name
from gan_jax.process import hosts
from gan_jax.process.exits import program
from gan_jax.reporting import curves, pictures, tables
from gan_jax.sampling.weights import generator_variables
from gan_jax.training import runs
from gan_jax.types import StorageError, TrainState
from gan_jax.workdir import logs

GRID_IMAGES = 64
# Of several runs at once, a row each; of more, every n-th.
GRID_COLUMNS, GRID_ROWS = 16, 32


def grid_painter(run: runs.Run) -> Callable[[TrainState], np.ndarray]:
  """Returns state -> grid `[H', W', 3]` of always the same latents.

  The moving average is shown if there is one. Conditional runs show one class
  a column. Of several runs each has a row.
  """
  device, ensemble = parallel.own(run.devices)[0], run.ensemble
  sampler = None

  def paint(state: TrainState) -> np.ndarray:
    nonlocal sampler
    if sampler is None:
      sampler = run.model.sampler(state, ema=True)
    variables = generator_variables(state, ema=True)
    variables = jax.device_put(parallel.local(variables), device)

    def sample(number, num):
      one = sampler.with_variables(ensemble.select(variables, number))
      return one.sample(num, seed=run.plan.seed)

    if ensemble.several:
      columns = sampler.num_classes or GRID_COLUMNS
      every = math.ceil(ensemble.num_members / GRID_ROWS)
      rows = [sample(i, columns) for i in range(0, ensemble.num_members, every)]
      return pictures.grid(np.concatenate(rows), columns)
    whole_rows = GRID_IMAGES - GRID_IMAGES % max(1, sampler.num_classes)
    images = sample(0, whole_rows or GRID_IMAGES)
    return pictures.labelled_grid(images, sampler.num_classes)

  return paint


def first_words(run: runs.Run, start: int, rate_factor: float) -> str:
  """What is about to be trained, on what.

  Args:
    run: about to begin.
    start: step that it goes on from.
    rate_factor: on its learning rates.
  """
  num_members, device = run.ensemble.num_members, run.devices[0]
  at_once = f', {num_members} runs at once' * run.ensemble.several
  slower = f', learning rates times {rate_factor:g}' * (rate_factor != 1)
  processes = f' of {hosts.count()} processes' * (hosts.count() > 1)
  return (
    f'{"resuming" if start else "training"} {run.workdir} at step {start} of '
    f'{run.plan.schedule.num_steps}: {run.plan.network} on {run.info.name}, '
    f'{run.info.num_train} images {run.info.image_shape}, '
    f'{len(run.devices)} {device.platform} device(s){processes}'
    f'{at_once}{slower}'
  )


def verdict(run: runs.Run, rows: list[dict[str, float]]) -> list[str]:
  """What became of a run, or of each of several, in words."""
  return checkup.of_all(
    logs.rows_by_member(rows),
    run.ensemble,
    run.plan.diagnose,
    critic=run.plan.criterion.boundary is None,
  )


def finish(run: runs.Run, state: TrainState, image: np.ndarray) -> None:
  """Leaves the final pictures, and says where things are.

  Raises:
    StorageError: the pictures cannot be written.
  """
  groups = run.ensemble.groups
  final = run.workdir / 'samples' / 'final.png'
  try:
    curves.plot_losses(run.workdir, groups)
    pictures.save_image(final, image)
  except OSError as error:
    raise StorageError(
      f'training is done and saved, but losses.png and {final} cannot be '
      f'written: {error.strerror or error}; free or name other space, and run '
      'the same command again'
    ) from error
  rows = logs.read_metrics(run.workdir)
  rates = [r['images_per_second'] for r in rows if 'images_per_second' in r]
  speed = f', median {np.median(rates):,.0f} images/s' if rates else ''
  if run.ensemble.several:
    speed += f' in each of {run.ensemble.num_members} runs'
    print(tables.final_table(rows, groups))
  for line in verdict(run, rows):
    print(line)
  print(
    f'done: {int(state.step)} steps{speed}\n'
    f'  samples      {final}\n'
    f'  loss curves  {run.workdir / "losses.png"}\n'
    f'  metrics      {run.workdir / "metrics.jsonl"} and TensorBoard events\n'
    f'{_where_scores_are(run)}'
    f'  checkpoints  {run.workdir / "checkpoints"}\n'
    f'draw images with: {program()} --mode=sample --workdir={run.workdir}'
  )


def _where_scores_are(run: runs.Run) -> str:
  """Lines about what `eval.every` left, if it was on."""
  plot = run.workdir / 'scores.png'
  if not (run.plan.eval.every and plot.exists()):
    return ''
  keys = run.plan.eval
  by = ranked_name(keys.best, keys_lib.network_of(keys, run.info))
  best = f'  best         {run.workdir / "best"}, by {by}\n'
  return f'  scores       {plot}\n{best}'

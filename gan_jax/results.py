"""What a run shows of itself: the grid of samples, and its last words."""

import math
from collections.abc import Callable

import jax
import numpy as np

from gan_jax import build as build_lib
from gan_jax import checkup, logs, parallel, reporting, runs
from gan_jax.types import StorageError, TrainState

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
      sampler = build_lib.make_sampler(
        run.config, run.info, run.model, state, ema=True
      )
    variables = build_lib.generator_variables(state, ema=True)
    variables = jax.device_put(parallel.local(variables), device)

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


def finish(run: runs.Run, state: TrainState, image: np.ndarray) -> None:
  """Leaves the final pictures, and says where things are.

  Raises:
    StorageError: the pictures cannot be written.
  """
  groups = run.ensemble.groups
  final = run.workdir / 'samples' / 'final.png'
  try:
    reporting.plot_losses(run.workdir, groups)
    reporting.save_image(final, image)
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

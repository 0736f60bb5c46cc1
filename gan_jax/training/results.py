"""What a run shows of itself: first and last words, the grid of samples."""

import math
from collections.abc import Sequence

import jax
import numpy as np

from gan_jax import data
from gan_jax.devices import parallel
from gan_jax.diagnosis import checkup
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.scores import ranked_name
from gan_jax.process import hosts
from gan_jax.process.exits import program
from gan_jax.reporting import curves, pictures, tables
from gan_jax.sampling.weights import generator_variables
from gan_jax.training import runs, scoring
from gan_jax.types import StorageError, TrainState
from gan_jax.workdir import logs

GRID_IMAGES = 64
# Of several runs at once, a row each; of more, every n-th.
GRID_COLUMNS, GRID_ROWS = 16, 32
_MOST_READ = 1024  # images that are looked through for those of each class


class Painter:
  """Draws what a run generates, below real images of the same classes.

  Attributes:
    real: uint8 `[N, H, W, C]`, chosen once, by the seed.
    heads: names of the columns, if each is of one class.
  """

  def __init__(self, run: runs.Run):
    """Reads the real images."""
    self._run, self._sampler = run, None
    names = run.info.class_names if run.plan.conditional else ()
    self._num_classes = len(names)
    by_class = pictures.has_class_columns(len(names))
    several = run.ensemble.several
    # Whole rows, so that a class has as many as another.
    num = GRID_IMAGES - GRID_IMAGES % max(1, len(names)) or GRID_IMAGES
    self._num = num
    self._columns = pictures.columns_of(num, len(names))
    if several and not by_class:
      self._columns = GRID_COLUMNS
    self.heads = pictures.heads_of(names, self._columns)
    num_real = self._columns * (1 if several else 2)
    labels = np.arange(num_real) % len(names) if by_class else None
    self.real = real_images(run.dataset.train, num_real, run.plan.seed, labels)

  def __call__(self, state: TrainState) -> np.ndarray:
    """The grid `[H', W', 3]` of a state, always of the same latents.

    The moving average is shown if there is one. Conditional runs show one
    class a column. Of several runs each has a row.
    """
    ensemble = self._run.ensemble
    if self._sampler is None:
      self._sampler = self._run.model.sampler(state, ema=True)
    variables = generator_variables(state, ema=True)
    device = parallel.own(self._run.devices)[0]
    variables = jax.device_put(parallel.local(variables), device)

    def sample(number, num):
      one = self._sampler.with_variables(ensemble.select(variables, number))
      return one.sample(num, seed=self._run.plan.seed)

    if not ensemble.several:
      return self.draw({'generated': sample(0, self._num)})
    every = math.ceil(ensemble.num_members / GRID_ROWS)
    shown = ensemble.members[::every]
    rows = [sample(member.number, self._columns) for member in shown]
    sides = [
      '\n'.join(f'{name} {value:g}' for name, value in whose.items())
      for whose in ({**m.values, 'seed': m.seed} for m in shown)
    ]
    return self.draw({'generated': np.concatenate(rows)}, sides)

  def draw(
    self, blocks: dict[str, np.ndarray], sides: Sequence[str] = ()
  ) -> np.ndarray:
    """The real images, with blocks of others below them."""
    blocks = {'real': self.real} | blocks
    return pictures.sheet(blocks, self._columns, heads=self.heads, sides=sides)


def real_images(
  images: data.Images, num: int, seed: int, labels: np.ndarray | None = None
) -> np.ndarray:
  """Images of a dataset that depend on the seed alone.

  Args:
    images: to choose from.
    num: how many.
    seed: of the choice.
    labels: `[num]` of them; None for any. One that is not found among the
      first 1,024 is left grey.

  Returns:
    uint8 `[num, H, W, C]`; no image comes twice, unless there are too few.
  """
  order = np.random.default_rng(seed).permutation(len(images))
  if labels is None:
    return images.read(np.resize(order, num))['images']
  chosen = np.full((num, *images.image_shape), pictures.GREY, np.uint8)
  missing = list(range(num))
  for start in range(0, min(len(order), _MOST_READ), 64):
    part = images.read(order[start : start + 64])
    for image, label in zip(part['images'], part['labels'], strict=True):
      place = next((i for i in missing if labels[i] == label), None)
      if place is not None:
        chosen[place] = image
        missing.remove(place)
    if not missing:
      break
  return chosen


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
    curves.plot_losses(run.workdir, groups, run.plan.schedule.images_per_step)
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
    print(f'{tables.final_table(rows, groups)}\n\n{final_scores(run)}')
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


def final_scores(run: runs.Run) -> str:
  """Tables of the last scores of several runs, or how to have some."""
  rows = scoring.read_rows(run, run.plan.schedule.num_steps)
  if not (run.plan.eval.every and rows):
    return (
      'losses rank nothing; score all of these runs with: '
      f'{program()} --mode=evaluate --workdir={run.workdir}'
    )
  last = {row['member']: row for row in rows}
  steps = sorted({row['step'] for row in last.values()})
  tables_of_scores = tables.ranked_tables(
    tables.values_of({n: row['scores'] for n, row in last.items()}),
    run.ensemble,
    rows[-1]['protocol']['network'],
    run.plan.eval.best,
  )
  which = ' to '.join(map(str, dict.fromkeys((steps[0], steps[-1]))))
  return f'scores at step {which}, {tables_of_scores}'


def _where_scores_are(run: runs.Run) -> str:
  """Lines about what `eval.every` left, if it was on."""
  plot = run.workdir / 'scores.png'
  if not (run.plan.eval.every and plot.exists()):
    return ''
  keys = run.plan.eval
  by = ranked_name(keys.best, keys_lib.network_of(keys, run.info))
  whose = ', one of each run' * run.ensemble.several
  best = f'  best         {run.workdir / "best"}, by {by}{whose}\n'
  return f'  scores       {plot}\n{best}'

"""What a run shows of itself: first and last words, the grid of samples."""

import numpy as np

from gan_jax.diagnosis import checkup
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.scores import ranked_name
from gan_jax.process import hosts
from gan_jax.process.exits import program
from gan_jax.reporting import curves, pictures, run_page, tables
from gan_jax.training import runs, scoring
from gan_jax.types import StorageError, TrainState
from gan_jax.workdir import logs


def first_words(run: runs.Run, start: int, rate_factor: float) -> str:
  """What is about to be trained, on what.

  Args:
    run: about to begin.
    start: step that it goes on from.
    rate_factor: on its learning rates.
  """
  num_members, device = run.ensemble.num_members, run.devices[0]
  total = run.plan.schedule.num_steps
  what = 'resuming' if start else 'training'
  if start >= total:
    what = 'done already:'
  at_once = f', {num_members} runs at once' * run.ensemble.several
  slower = f', learning rates times {rate_factor:g}' * (rate_factor != 1)
  processes = f' of {hosts.count()} processes' * (hosts.count() > 1)
  return (
    f'{what} {run.workdir} at step {start} of {total}: '
    f'{run.plan.network} on {run.info.name}, '
    f'{run.info.num_train} images {run.info.image_shape}, '
    f'{len(run.devices)} {device.platform} device(s){processes}'
    f'{at_once}{slower}'
  )


def verdict(run: runs.Run, rows: list[dict[str, float]]) -> list[str]:
  """What became of a run, or of each of several, in words."""
  step = max((row['step'] for row in rows), default=run.plan.schedule.num_steps)
  return checkup.of_all(
    logs.rows_by_member(rows),
    run.ensemble,
    run.plan.diagnose,
    critic=run.plan.criterion_at(int(step)).boundary is None,
  )


def finish(run: runs.Run, state: TrainState, image: np.ndarray) -> None:
  """Leaves the final pictures, and says where things are.

  Raises:
    StorageError: the pictures cannot be written.
  """
  groups = run.ensemble.groups
  final = run.workdir / 'samples' / 'final.png'
  try:
    curves.plot_losses(run.workdir, groups, run.plan.images_per_step)
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
  run_page.refresh(run.workdir)
  print(
    f'done: {int(state.step)} steps{speed}\n'
    f'  report       {run.workdir / run_page.FILE}\n'
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

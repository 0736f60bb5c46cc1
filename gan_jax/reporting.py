"""What people look at: image grids, loss curves, animations, tables."""

import collections
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.files import atomic
from gan_jax.logs import read_metrics

# What sets runs apart -> their numbers, as the rows of metrics.jsonl have them.
Groups = Mapping[str, Sequence[int | None]]
ALONE: Groups = {'': [None]}


def grid(
  images: np.ndarray, columns: int | None = None, smallest: int = 56
) -> np.ndarray:
  """Tiles images into one, in reading order, with 2 grey pixels between.

  Args:
    images: uint8 `[N, H, W, C]`.
    columns: images in a row; by default the grid is about square.
    smallest: images of fewer pixels are enlarged by a whole factor.

  Returns:
    uint8 `[H', W', 3]`; a single channel is spread over three.
  """
  scale = max(1, smallest // images.shape[1])
  images = images.repeat(scale, axis=1).repeat(scale, axis=2)
  num, height, width, _ = images.shape
  columns = columns or math.ceil(math.sqrt(num))
  rows = -(-num // columns)
  gap = 2
  canvas = np.full(
    (rows * (height + gap) - gap, columns * (width + gap) - gap, 3),
    64,
    np.uint8,
  )
  for i, image in enumerate(images):
    top = i // columns * (height + gap)
    left = i % columns * (width + gap)
    canvas[top : top + height, left : left + width] = image
  return canvas


def labelled_grid(images: np.ndarray, num_classes: int) -> np.ndarray:
  """A grid of images whose labels go in turn, one class a column if it fits."""
  return grid(images, num_classes if 2 <= num_classes <= 20 else None)


def save_image(path: pathlib.Path, image: np.ndarray) -> None:
  """Writes uint8 `[H, W, 3]` as PNG, atomically."""
  from PIL import Image

  with atomic(path) as temporary:
    Image.fromarray(image).save(temporary)


def save_gif(
  path: pathlib.Path, frames: list[np.ndarray], milliseconds: int = 80
) -> None:
  """Writes frames uint8 `[H, W, 3]` as an endless GIF, atomically."""
  from PIL import Image

  first, *others = [Image.fromarray(frame) for frame in frames]
  with atomic(path) as temporary:
    first.save(
      temporary,
      save_all=True,
      append_images=others,
      duration=milliseconds,
      loop=0,
    )


def smooth(values: np.ndarray, window: int) -> np.ndarray:
  """Mean over the last `window` values up to each point, fewer at the start."""
  starts = np.maximum(np.arange(len(values)) - window + 1, 0)
  # Not by differences of a running sum: one infinity would stay for ever.
  return np.array(
    [values[start : i + 1].mean() for i, start in enumerate(starts)]
  )


_PANELS = (
  ('losses', ('disc_loss', 'gen_loss')),
  ('D(x) and D(G(z))', ('disc_real', 'disc_fake')),
  ('accuracy of D', ('disc_accuracy_real', 'disc_accuracy_fake')),
  ('gradient norms', ('disc_grad_norm', 'gen_grad_norm')),
)


def rows_by_member(
  rows: list[dict[str, Any]],
) -> dict[int | None, list[dict[str, Any]]]:
  """Rows of metrics.jsonl by their `member`; those of a single run by None."""
  members = collections.defaultdict(list)
  for row in rows:
    members[row.get('member')].append(row)
  return members


def plot_losses(workdir: pathlib.Path, groups: Groups = ALONE) -> None:
  """Draws losses.png from metrics.jsonl: each curve raw (pale) and smoothed.

  Several runs that differ in their seed alone are one curve: the mean of the
  smoothed runs, in a band of their standard deviation.

  Args:
    workdir: of the run.
    groups: of members, see `Ensemble.groups`.
  """
  from matplotlib.figure import Figure

  rows = read_metrics(workdir)
  if not rows:
    return
  steps = sorted({row['step'] for row in rows})
  window = max(1, len(steps) // 20)
  members = {
    number: {row['step']: row for row in own}
    for number, own in rows_by_member(rows).items()
  }
  figure = Figure(figsize=(11, 7), layout='constrained')
  axes = figure.subplots(2, 2).flat
  styles = (
    ('tab:blue', '-'),
    ('tab:orange', '-' if len(groups) == 1 else '--'),
  )
  for axis, (title, names) in zip(axes, _PANELS, strict=True):
    for name, (colour, style) in zip(names, styles, strict=True):
      for i, numbers in enumerate(groups.values()):
        values = [
          [
            members.get(n, {}).get(step, {}).get(name, math.nan)
            for step in steps
          ]
          for n in numbers
        ]
        own = colour if len(groups) == 1 else f'C{i % 10}'
        _draw_runs(axis, steps, np.array(values), window, own, style)
      shown = colour if len(groups) == 1 else 'black'
      axis.plot([], [], color=shown, linestyle=style, label=name)
    axis.set_title(title)
    axis.set_xlabel('step (generator updates)')
    axis.grid(alpha=0.3)
    axis.legend()
  if len(groups) > 1:
    handles = [
      axis.plot([], [], color=f'C{i % 10}', label=label)[0]
      for i, label in enumerate(groups)
    ]
    figure.legend(handles=handles, loc='outside lower center', ncols=3)
  title = f'raw, and mean of the last {window} rows'
  seeds = len(next(iter(groups.values())))
  if seeds > 1:
    title = (
      f'mean of the last {window} rows, over {seeds} seeds; band: +- their '
      'standard deviation'
    )
  figure.suptitle(f'{workdir.name}: {title}')
  with atomic(workdir / 'losses.png') as temporary:
    figure.savefig(temporary, dpi=110)


def _draw_runs(axis, steps, values, window, colour, style) -> None:
  """Values `[R, T]`: one run raw and smoothed, or several with their spread."""
  marker = '.' if len(steps) == 1 else ''  # a line of one point is invisible
  smoothed = np.array([smooth(run, window) for run in values])
  mean = smoothed.mean(axis=0)
  if len(values) == 1:
    axis.plot(
      steps, values[0], color=colour, alpha=0.25, linewidth=1, marker=marker
    )
    marker = ''
  else:
    spread = smoothed.std(axis=0, ddof=1)
    axis.fill_between(
      steps, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0
    )
  axis.plot(steps, mean, color=colour, linestyle=style, marker=marker)


_FINAL = ('disc_loss', 'gen_loss', 'disc_real', 'disc_fake')


def final_table(rows: list[dict[str, Any]], groups: Groups) -> str:
  """A Markdown table of how several runs ended, a row a group.

  Args:
    rows: of metrics.jsonl.
    groups: of members, see `Ensemble.groups`.

  Returns:
    Each run's mean over its last tenth of rows; of these, the mean over seeds
    +- its standard error.
  """
  members = rows_by_member(rows)
  last = math.ceil(len(members[0]) / 10)
  lines = [
    f'final metrics: mean of the last {last} logged rows of each run, +- '
    'standard error over seeds\n',
    f'| runs | seeds | {" | ".join(_FINAL)} |',
    f'|---|---{"|---" * len(_FINAL)}|',
  ]
  for label, numbers in groups.items():
    cells = []
    for name in _FINAL:
      finals = [
        np.mean([row.get(name, math.nan) for row in members[number][-last:]])
        for number in numbers
      ]
      cells.append(f'{np.mean(finals):.4g}')
      if len(finals) > 1:
        error = np.std(finals, ddof=1) / math.sqrt(len(finals))
        cells[-1] += f' +- {error:.2g}'
    name = label or 'all'
    lines.append(f'| {name} | {len(numbers)} | {" | ".join(cells)} |')
  return '\n'.join(lines)


def plot_scores(
  path: pathlib.Path,
  curves: dict[str, tuple[list[int], list[float]]],
  best_images: int | None = None,
) -> None:
  """Draws scores against images seen, a panel each.

  Args:
    path: of the PNG.
    curves: name -> (real images that D has seen, values).
    best_images: where to mark the best checkpoint, by a green line.
  """
  from matplotlib.figure import Figure
  from matplotlib.ticker import EngFormatter, MaxNLocator

  columns = min(3, len(curves))
  rows = -(-len(curves) // columns)
  figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout='constrained')
  axes = list(figure.subplots(rows, columns, squeeze=False).flat)
  for axis, (name, (seen, values)) in zip(axes, curves.items(), strict=False):
    axis.plot(seen, values, marker='.')
    if best_images is not None:
      axis.axvline(best_images, color='tab:green', alpha=0.5)
    axis.set_title(name)
    axis.set_xlabel('real images seen by D')
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter(EngFormatter(sep=''))
    axis.grid(alpha=0.3)
  for axis in axes[len(curves) :]:
    axis.set_visible(False)
  if best_images is not None:
    figure.suptitle('green: the checkpoint kept in best/', fontsize='small')
  with atomic(path) as temporary:
    figure.savefig(temporary, dpi=110)

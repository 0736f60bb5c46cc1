"""Losses and scores over the course of a run."""

import math
import pathlib

import numpy as np

from gan_jax.reporting.tables import ALONE, Groups
from gan_jax.storage.files import atomic
from gan_jax.workdir.logs import read_metrics, rows_by_member


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
  seeds = len(next(iter(groups.values())))
  figure.suptitle(f'{workdir.name}: {_title(window, seeds)}')
  with atomic(workdir / 'losses.png') as temporary:
    figure.savefig(temporary, dpi=110)


def _title(window: int, seeds: int) -> str:
  if seeds == 1:
    return f'raw, and mean of the last {window} rows'
  return (
    f'mean of the last {window} rows, over {seeds} seeds; band: +- their '
    'standard deviation'
  )


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

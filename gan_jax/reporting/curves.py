"""Losses and scores over the course of a run."""

import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

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


class Panel(NamedTuple):
  """A plot of one thing or two, by their names in metrics.jsonl."""

  title: str
  names: tuple[str, ...]
  limits: str  # of the y axis, see `set_limits`


PANELS = (
  Panel('losses', ('disc_loss', 'gen_loss'), 'free'),
  Panel('D(x) and D(G(z))', ('disc_real', 'disc_fake'), 'share'),
  Panel('accuracy of D', ('disc_accuracy_real', 'disc_accuracy_fake'), 'share'),
  Panel('gradient norms', ('disc_grad_norm', 'gen_grad_norm'), 'zero'),
  Panel('diversity: fakes / real', ('diversity', 'nearest_diversity'), 'share'),
  Panel('penalty, regulariser', ('penalty', 'regulariser'), 'zero'),
  Panel(
    'cross-entropy of classes, nats',
    ('disc_class_loss_real', 'disc_class_loss_fake', 'gen_class_loss'),
    'zero',
  ),
  Panel('-log q of codes, nats', ('disc_code_loss', 'gen_code_loss'), 'zero'),
  Panel('bound of log p(x), nats', ('elbo', 'reconstruction'), 'free'),
  Panel('KL divergence, nats', ('kl',), 'zero'),
)
_COLUMNS, _WIDTH, _HEIGHT = 3, 4.8, 3.4  # of panels, inches
_LINE = 0.25  # height of a line of a legend, inches


def plot_losses(
  workdir: pathlib.Path,
  groups: Groups = ALONE,
  images_per_step: int | None = None,
) -> None:
  """Draws losses.png from metrics.jsonl: each curve raw (pale) and smoothed.

  Several runs that differ in their seed alone are one curve: the mean of the
  smoothed runs, in a band of their standard deviation. What no row has gets
  no panel.

  Args:
    workdir: of the run.
    groups: of members, see `Ensemble.groups`.
    images_per_step: real images that D sees in a step, to be named.
  """
  from matplotlib.figure import Figure

  rows = read_metrics(workdir)
  logged = set().union(*rows)
  panels = [panel for panel in PANELS if logged & set(panel.names)]
  if not panels:
    return
  steps = sorted({row['step'] for row in rows})
  window = max(1, len(steps) // 20)
  runs = Runs(rows, steps, window, groups)
  legend_rows, legend_columns = _legend_shape(groups, _COLUMNS)
  figure = Figure(
    figsize=(
      _COLUMNS * _WIDTH,
      -(-len(panels) // _COLUMNS) * _HEIGHT + (legend_rows + 2) * _LINE,
    ),
    layout='constrained',
  )
  axes = _axes(figure, len(panels), _COLUMNS)
  for axis, panel in zip(axes, panels, strict=True):
    runs.draw(axis, [name for name in panel.names if name in logged])
    axis.set_title(panel.title, loc='left', pad=20)
    axis.legend(
      loc='lower left',
      bbox_to_anchor=(0, 1),
      ncols=2,
      frameon=False,
      fontsize='small',
      borderaxespad=0.1,
    )
    _finish_axes(axis, images_per_step, panel.limits)
  _name_groups(figure, axes[0], groups, legend_columns)
  seeds = len(next(iter(groups.values())))
  figure.get_layout_engine().set(h_pad=0.1)
  figure.suptitle(f'{workdir.name}{_explanation(window, seeds)}')
  with atomic(workdir / 'losses.png') as temporary:
    figure.savefig(temporary, dpi=100)


def colours(num: int) -> list[Any]:
  """So many colours that differ: of more than ten, a range."""
  if num <= 10:
    return [f'C{i}' for i in range(num)]
  from matplotlib import colormaps

  return list(colormaps['viridis'](np.linspace(0, 0.9, num)))


def _legend_shape(groups: Groups, panels: int) -> tuple[int, int]:
  """Rows and columns of the legend of several groups, below panels in a row."""
  if len(groups) < 2:
    return 0, 1
  longest = max(map(len, groups))
  characters = panels * _WIDTH * 10  # that fit beside each other
  columns = max(1, min(len(groups), int(characters / (longest + 8))))
  return -(-len(groups) // columns), columns


def _name_groups(figure, axis, groups: Groups, columns: int) -> None:
  """A legend below all panels, where there are several groups."""
  if len(groups) < 2:
    return
  handles = [
    axis.plot([], [], color=colour, label=label)[0]
    for colour, label in zip(colours(len(groups)), groups, strict=True)
  ]
  figure.legend(handles=handles, loc='outside lower center', ncols=columns)


def _axes(figure, num: int, columns: int) -> list[Any]:
  """So many axes in rows; those that remain of the last row are hidden."""
  rows = -(-num // columns)
  axes = list(figure.subplots(rows, columns, squeeze=False).flat)
  for axis in axes[num:]:
    axis.set_visible(False)
  return axes[:num]


def _finish_axes(axis, images_per_step: int | None, limits: str) -> None:
  from matplotlib.ticker import EngFormatter, MaxNLocator

  each = f' ({images_per_step:,} real images each)' if images_per_step else ''
  axis.set_xlabel(f'step{each}')
  axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
  axis.xaxis.set_major_formatter(EngFormatter(sep=''))
  axis.grid(alpha=0.3)
  set_limits(axis, limits)


def set_limits(axis, kind: str) -> None:
  """Limits of a y axis that make no drama of a trifle.

  Args:
    axis: with all its data drawn.
    kind: share: from 0 to 1, unless values lie outside; zero: from 0, unless
      some are below; free: half as wide as the largest value is far from 0, or
      wider.
  """
  low, high = axis.get_ylim()
  data_low, data_high = axis.dataLim.intervaly
  if kind == 'share' and data_low >= 0:
    low, high = -0.02, max(1.02, high)
  elif kind == 'zero' and data_low >= 0:
    low = 0
  else:
    half = max(high - low, 0.5 * max(abs(data_low), abs(data_high))) / 2
    low, high = (low + high) / 2 - half, (low + high) / 2 + half
  axis.set_ylim(low, high)


def _explanation(window: int, seeds: int) -> str:
  smoothed = f'mean of the last {window} rows'
  if seeds > 1:
    over = f' (each its {smoothed})' if window > 1 else ''
    return f': mean over {seeds} seeds{over}; band: ± standard deviation'
  return f': each row (pale) and the {smoothed}' if window > 1 else ''


class Runs:
  """Curves of all runs, by what sets them apart."""

  def __init__(
    self,
    rows: list[dict[str, Any]],
    steps: list[int],
    window: int,
    groups: Groups,
  ):
    self._rows = {
      number: {row['step']: row for row in own}
      for number, own in rows_by_member(rows).items()
    }
    self._steps, self._window, self._groups = steps, window, groups

  def draw(self, axis, names: Sequence[str], marker: str = '') -> None:
    """Draws a curve for each name and group, and a legend's entry a name."""
    alone = len(self._groups) == 1
    for i, name in enumerate(names):
      colour = f'C{i}'
      style = '-' if alone or not i else '--'
      for j, numbers in enumerate(self._groups.values()):
        values = self.values(numbers, name)
        own = colour if alone else colours(len(self._groups))[j]
        _draw_runs(axis, self._steps, values, self._window, own, style, marker)
      shown = colour if alone else 'black'
      axis.plot([], [], color=shown, linestyle=style, label=name)

  def values(self, numbers: Sequence[int | None], name: str) -> np.ndarray:
    """A metric of some runs `[R, T]`, NaN where a row lacks it."""
    every = [self._rows.get(number, {}) for number in numbers]
    return np.array(
      [
        [own.get(step, {}).get(name, math.nan) for step in self._steps]
        for own in every
      ]
    )


def _draw_runs(axis, steps, values, window, colour, style, marker) -> None:
  """Values `[R, T]`: one run raw and smoothed, or several with their spread."""
  marker = '.' if len(steps) == 1 else marker  # one point alone is no line
  smoothed = np.array([smooth(run, window) for run in values])
  mean = smoothed.mean(axis=0)
  if len(values) == 1:
    axis.plot(steps, values[0], color=colour, alpha=0.25, linewidth=1)
  else:
    spread = smoothed.std(axis=0, ddof=1)
    axis.fill_between(
      steps, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0
    )
  axis.plot(steps, mean, color=colour, linestyle=style, marker=marker)


# Scores that are shares, by how their names begin.
_SHARES = ('precision', 'recall', 'coverage')
_SHARES += ('disc_accuracy', 'label_accuracy')


def limits_of_score(name: str) -> str:
  """The kind of limits that suits a score, see `set_limits`."""
  return 'share' if name.startswith(_SHARES) else 'free'


def flat_rows(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
  """Rows of evaluations.jsonl with values alone, as metrics.jsonl has them."""
  return [
    {'step': row['step'], 'member': row.get('member')}
    | {name: entry['value'] for name, entry in row['scores'].items()}
    for row in rows
  ]


def plot_scores(
  path: pathlib.Path,
  rows: list[dict[str, Any]],
  groups: Groups = ALONE,
  best_step: int | None = None,
  images_per_step: int | None = None,
) -> None:
  """Draws scores against steps, a panel each.

  Runs that differ in their seed alone are one curve: their mean in a band of
  their standard deviation.

  Args:
    path: of the PNG.
    rows: `step`, `member` (None of a single run) and values by name.
    groups: of members, see `Ensemble.groups`.
    best_step: where to mark the best checkpoint, by a green line.
    images_per_step: real images that D sees in a step, to be named.
  """
  from matplotlib.figure import Figure

  found = dict.fromkeys(name for row in rows for name in row)
  names = [name for name in found if name not in ('step', 'member')]
  columns = min(3, len(names))
  legend_rows, legend_columns = _legend_shape(groups, columns)
  height = _HEIGHT * -(-len(names) // columns) + legend_rows * _LINE
  figure = Figure(figsize=(_WIDTH * columns, height), layout='constrained')
  axes = _axes(figure, len(names), columns)
  for axis, name in zip(axes, names, strict=True):
    own = [row for row in rows if name in row]
    steps = sorted({row['step'] for row in own})
    Runs(own, steps, 1, groups).draw(axis, [name], marker='.')
    if best_step is not None:
      axis.axvline(best_step, color='tab:green', alpha=0.5)
    axis.set_title(name)
    _finish_axes(axis, images_per_step, limits_of_score(name))
  _name_groups(figure, axes[0], groups, legend_columns)
  seeds = len(next(iter(groups.values())))
  if best_step is not None:
    figure.suptitle('green: the checkpoint kept in best/', fontsize='small')
  elif seeds > 1:
    figure.suptitle(_explanation(1, seeds).removeprefix(': '), fontsize='small')
  with atomic(path) as temporary:
    figure.savefig(temporary, dpi=100)

"""Curves of a run as data, which a page draws at the size that it has."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_jax.reporting import curves
from gan_jax.reporting.page import text
from gan_jax.reporting.tables import ALONE, Groups

Panel = dict[str, Any]
_MOST = 400  # points of a curve
_WIDEST = 8  # times the middle of the values, of a panel's limits


def of_losses(
  rows: list[dict[str, Any]], groups: Groups = ALONE
) -> list[Panel]:
  """Panels of metrics.jsonl, those of losses.png: raw and smoothed.

  Args:
    rows: of metrics.jsonl.
    groups: of members, see `Ensemble.groups`.
  """
  logged = set().union(*rows) if rows else set()
  panels = []
  for panel in curves.PANELS:
    names = [name for name in panel.names if name in logged]
    if names:
      steps = len({row['step'] for row in rows})
      window = max(1, steps // 20)
      series = _series(rows, names, groups, window)
      panels.append(_panel(panel.title, series, panel.limits))
  return panels


def of_scores(
  rows: list[dict[str, Any]],
  groups: Groups = ALONE,
) -> list[Panel]:
  """A panel for each score over steps.

  Args:
    rows: `step`, `member` (None of a single run) and values by name.
    groups: of members.
  """
  found = dict.fromkeys(name for row in rows for name in row)
  names = [name for name in found if name not in ('step', 'member')]
  panels = []
  for name in names:
    own = [row for row in rows if name in row]
    series = _series(own, [name], groups, 1)
    limits = curves.limits_of_score(name)
    panels.append(_panel(name, series, limits))
  return panels


def _series(
  rows: list[dict[str, Any]],
  names: Sequence[str],
  groups: Groups,
  window: int,
) -> list[dict[str, Any]]:
  """A curve for each name and group; of several runs with their spread."""
  steps = sorted({row['step'] for row in rows})
  runs = curves.Runs(rows, steps, window, groups)
  every = -(-len(steps) // _MOST)
  kept = list(range(len(steps) - 1, -1, -every))[::-1]
  series = []
  for i, name in enumerate(names):
    for j, (label, numbers) in enumerate(groups.items()):
      values = runs.values(numbers, name)
      smoothed = np.array([curves.smooth(run, window) for run in values])
      mean = smoothed.mean(axis=0)
      curve = {
        'name': text(f'{name}, {label}' if label else name),
        'x': [steps[k] for k in kept],
        'y': _plain(mean[kept]),
        'colour': j if len(groups) > 1 else i,
        'dash': '5 4' * (len(groups) > 1 and i > 0),
        'points': window == 1 and len(kept) <= 40,
      }
      if len(values) > 1:
        spread = smoothed.std(axis=0, ddof=1)
        curve['low'] = _plain((mean - spread)[kept])
        curve['high'] = _plain((mean + spread)[kept])
      elif window > 1:
        curve['raw'] = _plain(values[0][kept])
      series.append(curve)
  return series


def _plain(values: np.ndarray) -> list[float | None]:
  """Numbers as JSON takes them, to four digits."""
  return [float(f'{v:.4g}') if math.isfinite(v) else None for v in values]


def _panel(
  title: str,
  series: list[dict[str, Any]],
  kind: str,
) -> Panel:
  """A panel with limits of its y axis, see `curves.set_limits`.

  What is far out of all the rest does not flatten it.
  """
  values = [
    value
    for curve in series
    for part in ('y', 'raw', 'low', 'high')
    for value in curve.get(part, ())
    if value is not None
  ]
  low, high = (min(values), max(values)) if values else (0.0, 1.0)
  if len(values) > 20:
    quarter, middle, most = np.percentile(values, (4, 50, 96))
    reach = _WIDEST * max(middle - quarter, most - middle, 1e-9)
    low, high = max(low, middle - reach), min(high, middle + reach)
  if kind == 'share' and low >= 0:
    low, high = 0.0, max(1.0, high)
  elif kind == 'zero' and low >= 0:
    low = 0.0
  room = max(high - low, 0.05 * max(abs(low), abs(high)), 1e-9)
  pad = 0.0 if kind == 'share' else 0.05 * room
  limits = [float(low - pad * (low != 0)), float(low + room + pad)]
  return {'title': title, 'series': series, 'limits': limits}

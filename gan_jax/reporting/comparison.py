"""Runs side by side: one table and one plot, mean and spread over seeds."""

import collections
import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.config.overrides import may_change
from gan_jax.evaluation.entries import Entry
from gan_jax.evaluation.protocol import MEASURE
from gan_jax.evaluation.scores import directions
from gan_jax.reporting import curves
from gan_jax.reporting.tables import mean_and_spread
from gan_jax.storage.files import atomic
from gan_jax.types import InputError

# Parts of a protocol that say which generator was measured, not how.
_VARIANTS = ('checkpoint', 'weights', 'batch_norm', 'truncation')
# Parts of a score's entry that are results; the others are how it was taken.
_RESULTS = (
  'value',
  'standard_error',
  'standard_deviation',
  'levels',
  'of_real',
)
_RESULTS += ('of_real', 'sigma', 'at_edge', 'expected_bias', 'noise_floor')


class Scored(NamedTuple):
  """A run with its last evaluation.

  Attributes:
    path: its workdir.
    config: its own, flat.
    protocol: how it was measured.
    entries: scores with their numbers.
    member: its number among the runs of the workdir; None if it is alone.
  """

  path: pathlib.Path
  config: dict[str, Any]
  protocol: dict[str, Any]
  entries: dict[str, Entry]
  member: int | None = None

  @property
  def name(self) -> str:
    """As the command line names it, without the way to it."""
    whose = '' if self.member is None else f':{self.member}'
    return f'{self.path.name}{whose}'

  @property
  def values(self) -> dict[str, float]:
    """Scores by name."""
    return {name: entry['value'] for name, entry in self.entries.items()}


class Group(NamedTuple):
  """Runs that differ in their seed alone.

  Attributes:
    label: what sets the group apart from the others.
    runs: its members.
  """

  label: str
  runs: list[Scored]

  def values(self, name: str) -> np.ndarray:
    """A score of all members that have it."""
    return np.array([r.values[name] for r in self.runs if name in r.values])


def check_comparable(runs: Sequence[Scored]) -> None:
  """Raises InputError unless all were measured in the same way.

  That is: one protocol in all of `MEASURE`, and one in what each score says
  of itself (neighbours, subsets, splits, counts of images).
  """
  first, seen = runs[0], set()
  for run in runs:
    if (run.path, run.member) in seen:
      raise InputError(f'compare: {run.path.parent / run.name} is named twice')
    seen.add((run.path, run.member))
    of_data = [each.protocol['data'] for each in (first, run)]
    if of_data[0] != of_data[1]:
      raise InputError(
        f'compare: {run.path.name} and {first.path.name} are of other data: '
        f'{of_data[1]} against {of_data[0]}; compare runs of one dataset'
      )
    for field in MEASURE:
      before, now = first.protocol[field], run.protocol[field]
      _check_same(run, first, field, before, now)
    for name in first.entries.keys() & run.entries.keys():
      parts = [
        {k: v for k, v in each.entries[name].items() if k not in _RESULTS}
        for each in (first, run)
      ]
      for key in sorted(parts[0].keys() | parts[1].keys()):
        values = [part.get(key) for part in parts]
        _check_same(run, first, f'{key} of {name}', *values)


def _check_same(run: Scored, first: Scored, what: str, before, now) -> None:
  if before != now:
    raise InputError(
      f'compare: {run.name} and {first.name} were measured '
      f'differently: {what} {now} against {before}; evaluate both with the '
      'same eval keys'
    )


def group(runs: Sequence[Scored]) -> list[Group]:
  """Puts runs together that differ in their seed alone.

  A group is named by the keys in which the groups differ; by its first run's
  folder if there are none.
  """

  def identity(run: Scored) -> dict[str, Any]:
    keys = {
      key: value
      for key, value in run.config.items()
      if key != 'seed' and not may_change(key)
    }
    variant = {name: run.protocol.get(name) for name in _VARIANTS}
    if variant['checkpoint'] != 'best':  # the best step differs by seed
      variant['step'] = run.protocol.get('step')
    return keys | variant

  members = collections.defaultdict(list)
  for run in runs:
    members[json.dumps(identity(run), sort_keys=True)].append(run)
  identities = [identity(part[0]) for part in members.values()]
  keys = sorted({key for each in identities for key in each})
  differing = [
    key
    for key in keys
    if len({json.dumps(each.get(key)) for each in identities}) > 1
  ]
  groups = []
  for part, each in zip(members.values(), identities, strict=True):
    shown = [f'{key}={each.get(key)}' for key in differing]
    short = 0 < len(shown) <= 3
    label = ', '.join(shown) if short else part[0].name
    groups.append(Group(label, part))
  return groups


def table(groups: Sequence[Group]) -> str:
  """A Markdown table: a row a score, a column a group, the best in bold.

  The spread is the standard deviation over seeds (n - 1); the best is bold
  where it leads by more than both spreads; single runs have none.
  """
  heads, rows = cells(groups)
  lines = [f'| {" | ".join(heads)} |', f'|---{"|---" * len(groups)}|']
  for name, *values in rows:
    shown = [f'**{v}**' if best else v for v, best in values]
    lines.append(f'| {name} | {" | ".join(shown)} |')
  return '\n'.join(lines)


def cells(groups: Sequence[Group]) -> tuple[list[str], list[list[Any]]]:
  """Heads, and rows: a score's name, then (figure, whether it leads) a group.

  Args:
    groups: see `table`.
  """
  names = list(
    dict.fromkeys(n for g in groups for r in g.runs for n in r.values)
  )
  better = directions(groups[0].runs[0].protocol['network'])
  arrows = {'lower': ' (lower is better)', 'higher': ' (higher is better)'}
  rows = []
  for name in names:
    values = [g.values(name) for g in groups]
    best = _leader(values, better.get(name))
    figures = [(mean_and_spread(v), i == best) for i, v in enumerate(values)]
    rows.append([f'{name}{arrows.get(better.get(name), "")}', *figures])
  return ['score', *(f'{g.label} ({_count(g)})' for g in groups)], rows


def _count(group: Group) -> str:
  return f'{len(group.runs)} run{"s"[: len(group.runs) > 1]}'


def _leader(values: list[np.ndarray], direction: str | None) -> int | None:
  """Index of the group that leads by more than both spreads, if one does."""
  # One run has no spread to compare a lead with.
  if direction is None or len(values) < 2 or min(map(len, values)) < 2:
    return None
  means = np.array([v.mean() for v in values])
  spreads = [v.std(ddof=1) for v in values]
  order = np.argsort(means if direction == 'lower' else -means)
  first, second = order[:2]
  gap = abs(means[first] - means[second])
  return int(first) if gap > max(spreads[first], spreads[second]) else None


def plot(groups: Sequence[Group], path: pathlib.Path) -> None:
  """A panel for each score: every run a dot, every mean a line."""
  from matplotlib.figure import Figure

  names = list(
    dict.fromkeys(n for g in groups for r in g.runs for n in r.values)
  )
  better = directions(groups[0].runs[0].protocol['network'])
  columns = min(4, len(names))
  rows = -(-len(names) // columns)
  labels = [f'{g.label} ({_count(g)})' for g in groups]
  longest = max(map(len, labels)) * 0.09 + 0.8  # of the legend, inches
  figure = Figure(
    figsize=(
      max(3.4 * columns, longest),
      2.6 * rows + 0.4 + 0.25 * len(groups),
    ),
    layout='constrained',
  )
  axes = list(figure.subplots(rows, columns, squeeze=False).flat)
  palette = curves.colours(len(groups))
  for axis, name in zip(axes, names, strict=False):
    for i, (member, colour) in enumerate(zip(groups, palette, strict=True)):
      values = member.values(name)
      axis.plot([i] * len(values), values, 'o', color=colour, alpha=0.6)
      if len(values):
        mean, half = values.mean(), 0.3
        axis.plot([i - half, i + half], [mean, mean], color=colour)
    way = better.get(name)
    axis.set_title(name + (f'\n{way} is better' if way else ''), size=9)
    axis.set_xticks(range(len(groups)), [])
    axis.set_xlim(-0.6, len(groups) - 0.4)
    axis.grid(alpha=0.3, axis='y')
    curves.set_limits(axis, curves.limits_of_score(name))
  for axis in axes[len(names) :]:
    axis.set_visible(False)
  handles = [
    axes[0].plot([], [], 'o', color=colour, label=label)[0]
    for colour, label in zip(palette, labels, strict=True)
  ]
  figure.legend(handles=handles, loc='outside lower left', fontsize=9)
  with atomic(path) as temporary:
    figure.savefig(temporary, dpi=110)

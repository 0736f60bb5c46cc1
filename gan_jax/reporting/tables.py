"""How several runs ended, as tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.ensemble import Ensemble
from gan_jax.evaluation.entries import Entry
from gan_jax.evaluation.scores import directions, ranked_name
from gan_jax.workdir.logs import rows_by_member

# What sets runs apart -> their numbers, as the rows of metrics.jsonl have them.
Groups = Mapping[str, Sequence[int | None]]
ALONE: Groups = {'': [None]}
Values = Mapping[int, Mapping[str, float]]  # by number of a member and name


# Of these, the ones that a run has.
_FINAL = ('disc_loss', 'gen_loss', 'disc_real', 'disc_fake', 'elbo', 'kl')


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
  which = f'mean of the last {last} logged rows' if last > 1 else 'last row'
  names, lines = [name for name in _FINAL if name in set().union(*rows)], []
  for label, numbers in groups.items():
    cells = []
    for name in names:
      finals = [
        np.mean([row.get(name, math.nan) for row in members[number][-last:]])
        for number in numbers
      ]
      cells.append(f'{np.mean(finals):.4g}')
      if len(finals) > 1:
        error = np.std(finals, ddof=1) / math.sqrt(len(finals))
        cells[-1] += f' +- {error:.2g}'
    lines.append([label or 'all', str(len(numbers)), *cells])
  return (
    f'final metrics: {which} of each run, +- standard error over seeds\n\n'
    + _markdown(['runs', 'seeds', *names], lines)
  )


def values_of(scores: Mapping[int, Mapping[str, Entry]]) -> Values:
  """The values alone of each member's scores."""
  return {
    number: {name: entry['value'] for name, entry in own.items()}
    for number, own in scores.items()
  }


class Ranking(NamedTuple):
  """Several runs from the best to the worst.

  Attributes:
    by: the score that ranks them; None if none of theirs can.
    better: lower or higher, of this score.
    groups: of members, best mean first; those without the score come last.
    numbers: of all members, in the same way.
    names: scores to be shown: those with a better and a worse, if any has.
  """

  by: str | None
  better: str
  groups: Groups
  numbers: list[int]
  names: list[str]


def rank(values: Values, groups: Groups, network: str, best: str) -> Ranking:
  """Ranks groups of runs by the mean of a score, and the runs by themselves.

  Args:
    values: scores of each member.
    groups: of members, see `Ensemble.groups`.
    network: of the features.
    best: what they are ranked by if it was scored, see `eval.best`; else the
      first score that can be ranked.
  """
  numbers = [number for own in groups.values() for number in own]
  ways = directions(network)
  names = list(dict.fromkeys(n for own in values.values() for n in own))
  ranked = [name for name in names if name in ways]
  if not ranked:
    return Ranking(None, '', groups, numbers, names)
  wanted = ranked_name(best, network)
  by = wanted if wanted in ranked else ranked[0]
  sign = 1 if ways[by] == 'lower' else -1

  def place(members):
    found = of_group(values, members, by)
    mean = sign * found.mean() if len(found) else math.nan
    return math.inf if math.isnan(mean) else mean

  order = sorted(groups, key=lambda label: place(groups[label]))
  numbers = sorted(numbers, key=lambda number: place([number]))
  return Ranking(by, ways[by], {k: groups[k] for k in order}, numbers, ranked)


def of_group(values: Values, numbers: Sequence[int], name: str) -> np.ndarray:
  """A score of those members that have it."""
  own = [values.get(number, {}) for number in numbers]
  return np.array([scores[name] for scores in own if name in scores])


def ranked_lines(values: Values, ranking: Ranking) -> list[str]:
  """A line a group, best first: mean and spread of each score.

  Args:
    values: scores of each member.
    ranking: of the same.
  """
  lines = []
  for label, numbers in ranking.groups.items():
    found = [
      f'{name} {mean_and_spread(of_group(values, numbers, name))}'
      for name in ranking.names
    ]
    lines.append(f'  {label or "all"}: {", ".join(found)}')
  return lines


def ranked_tables(
  values: Values, ensemble: Ensemble, network: str, best: str
) -> str:
  """Tables of scores, best first: of groups, and of members by themselves.

  Args:
    values: scores of each member.
    ensemble: the members.
    network: of the features.
    best: see `rank`.
  """
  ranking = rank(values, ensemble.groups, network, best)
  order = 'none of these scores ranks anything'
  if ranking.by:
    order = f'ranked by {ranking.by} ({ranking.better} is better)'

  def scores_of(numbers):
    found = [of_group(values, numbers, name) for name in ranking.names]
    return list(map(mean_and_spread, found))

  rows = [
    [label or 'all', ', '.join(map(str, numbers)), *scores_of(numbers)]
    for label, numbers in ranking.groups.items()
  ]
  parts = [
    f'{order}, +- standard deviation over seeds',
    _markdown(['runs', 'members', *ranking.names], rows),
  ]
  if len(rows) < ensemble.num_members:
    rows = [
      [str(n), ensemble.member(n).label.replace('/', ', '), *scores_of([n])]
      for n in ranking.numbers
    ]
    parts.append(_markdown(['member', 'run', *ranking.names], rows))
  return '\n\n'.join(parts)


def mean_and_spread(values: np.ndarray) -> str:
  """Mean +- standard deviation (n - 1); of one value, the value."""
  if not len(values):
    return 'not measured'
  if len(values) == 1:
    return f'{values[0]:.4g}'
  return f'{values.mean():.4g} +- {values.std(ddof=1):.2g}'


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """A table whose columns stand below each other on the screen too."""
  widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
  rule = ['-' * width for width in widths]
  return '\n'.join(
    f'| {" | ".join(map(str.ljust, cells, widths))} |'
    for cells in (heads, rule, *rows)
  )

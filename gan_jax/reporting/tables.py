"""How several runs ended, as a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.workdir.logs import rows_by_member

# What sets runs apart -> their numbers, as the rows of metrics.jsonl have them.
Groups = Mapping[str, Sequence[int | None]]
ALONE: Groups = {'': [None]}


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
  which = f'mean of the last {last} logged rows' if last > 1 else 'last row'
  lines = [
    f'final metrics: {which} of each run, +- standard error over seeds\n',
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

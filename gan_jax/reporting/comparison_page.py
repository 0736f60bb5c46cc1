"""comparison.html: runs side by side, on one page."""

import contextlib
import pathlib
from collections.abc import Sequence

from gan_jax.config import defaults
from gan_jax.evaluation import protocol
from gan_jax.reporting import comparison, page


def write(groups: Sequence[comparison.Group], folder: pathlib.Path) -> None:
  """Writes comparison.html, with comparison.png in it.

  Args:
    groups: see `comparison.group`.
    folder: to write into; holds comparison.png.

  Raises:
    OSError: it cannot be written.
  """
  runs = [run for group in groups for run in group.runs]
  record = runs[0].protocol
  found = page.Page(
    f'{len(runs)} runs compared',
    page.paragraph(
      f'{record["data"]}, {record["num_fake"]:,} images of each against '
      f'{record["num_real"]:,} ({record["split"]})',
      'pale',
    ),
  )
  heads, rows = comparison.cells(groups)
  found.add(
    'Scores',
    page.table(heads, [[name, *map(_cell, own)] for name, *own in rows]),
    page.paragraph(
      'Mean +- standard deviation over runs. Bold: leads by more than either.',
      'pale',
    ),
    page.figure(
      folder / 'comparison.png', 'a dot a run, a line the mean', 'plot'
    ),
  )
  found.add('Samples', page.row(*map(_samples, groups)))
  found.add('Runs', *map(_members, groups))
  found.add('How they were measured', page.listed(protocol.lines(dict(record))))
  found.write(folder / 'comparison.html')


def _cell(figure: tuple[str, bool]) -> str:
  value, best = figure
  return page.bold(value) if best else value


def _samples(group: comparison.Group) -> str:
  """The last grid of a group's first run."""
  path = group.runs[0].path / 'samples' / 'final.png'
  with contextlib.suppress(OSError, ValueError):
    return page.figure(path, f'{group.label}: {group.runs[0].name}')
  return ''


def _members(group: comparison.Group) -> str:
  """Where the runs lie, and what their config changes."""
  first = group.runs[0]
  changed = defaults.changed(first.config)
  return (
    f'<h3>{page.text(group.label)}</h3>'
    + page.listed(f'{run.path}{_whose(run)}' for run in group.runs)
    + page.details(
      'what differs from configs/base.py',
      page.table(('key', 'value'), changed.items(), long=(1,)),
    )
  )


def _whose(run: comparison.Scored) -> str:
  return '' if run.member is None else f', run {run.member}'

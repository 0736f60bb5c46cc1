"""`--mode=compare`: evaluated runs side by side, mean and spread over seeds."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.config import sweep
from gan_jax.ensemble import Ensemble
from gan_jax.evaluation.protocol import MEASURE
from gan_jax.process.exits import program
from gan_jax.reporting import comparison, comparison_page
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import layout, scored
from gan_jax.workdir.trained import read_plan


def compare(
  workdirs: Sequence[str], out: str | pathlib.Path
) -> list[comparison.Group]:
  """Writes comparison.md, comparison.png and comparison.html.

  Args:
    workdirs: of evaluated runs, two or more in all; see `read`.
    out: folder to write into.

  Raises:
    InputError: fewer than two, not evaluated, or measured differently.
  """
  runs = [run for workdir in workdirs for run in read(workdir)]
  if len(runs) < 2:
    raise InputError(
      f'compare: {"one run" if runs else "no run"} named; name two workdirs or '
      f'more: {program()} --mode=compare RUN RUN:MEMBER ...'
    )
  comparison.check_comparable(runs)
  groups = comparison.group(runs)
  folder = layout.prepare(out)
  protocol = runs[0].protocol
  measured = ', '.join(
    f'{field} {protocol[field]}'
    for field in MEASURE
    if not field.endswith('digest')
  )
  members = '\n'.join(
    f'- {g.label}: ' + ', '.join(run.name for run in g.runs) for g in groups
  )
  text = (
    f'{comparison.table(groups)}\n\n+- is the standard deviation over runs. '
    f'Measured with {measured}.\n\n{members}'
  )
  with atomic(folder / 'comparison.md') as temporary:
    temporary.write_text(text + '\n')
  comparison.plot(groups, folder / 'comparison.png')
  comparison_page.write(groups, folder)
  print(text)
  print(f'written to {folder / "comparison.md"}, comparison.png and .html')
  return groups


def read(name: str) -> list[comparison.Scored]:
  """What metrics.json says of a run, or of the members of several at once.

  Args:
    name: a workdir, which stands for all its evaluated members, or
      WORKDIR:NUMBER for one of them.

  Raises:
    InputError: it is no run, or has not been evaluated.
  """
  workdir, number = _parts(name)
  path = layout.absolute(workdir)
  config = layout.flatten(layout.config_fields(path))
  if not (path / scored.FILE).exists():
    raise InputError(
      f'compare: {path} has no {scored.FILE}; {_score_first(workdir, number)}'
    )
  records = scored.read(path)
  if number is None and None in records:  # a run by itself
    chosen, ensemble = [None], None
  else:
    _, ensemble = read_plan(path)
    chosen = _chosen(name, number, records, ensemble)
  return [
    comparison.Scored(
      path,
      config if n is None else config | _own(ensemble, n),
      records[n]['protocol'],
      records[n]['scores'],
      n,
    )
    for n in chosen
  ]


def _parts(name: str) -> tuple[str, int | None]:
  """RUN:NUMBER as its parts; a folder of this very name comes first."""
  head, _, number = str(name).rpartition(':')
  one = head and number.isdecimal() and not layout.absolute(name).exists()
  return (head, int(number)) if one else (str(name), None)


def _chosen(
  name: str,
  number: int | None,
  records: Mapping[int | None, scored.Record],
  ensemble: Ensemble,
) -> list[int | None]:
  """Numbers of the members that a name stands for."""
  if number is None:
    return list(records)
  try:
    ensemble.member(number)
  except InputError as error:
    raise InputError(f'compare: {name}: {error}') from error
  member = number if ensemble.several else None
  if member not in records:
    head, _ = _parts(name)
    raise InputError(
      f'compare: {name} has no scores; {_score_first(head, number)}'
    )
  return [member]


def _own(ensemble: Ensemble, number: int) -> dict[str, Any]:
  """The dotted keys of one of several runs."""
  return sweep.overrides_of(ensemble.member(number))


def _score_first(workdir: str, number: int | None) -> str:
  one = '' if number is None else f' --config.member={number}'
  return f'score it first: {program()} --mode=evaluate --workdir={workdir}{one}'

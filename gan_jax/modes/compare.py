"""`--mode=compare`: evaluated runs side by side, mean and spread over seeds."""

import pathlib
from collections.abc import Sequence

from gan_jax.config import sweep
from gan_jax.evaluation.protocol import MEASURE
from gan_jax.process.exits import program
from gan_jax.reporting import comparison
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import read_plan


def compare(
  workdirs: Sequence[str], out: str | pathlib.Path
) -> list[comparison.Group]:
  """Writes comparison.md and comparison.png.

  Args:
    workdirs: of two evaluated runs or more.
    out: folder to write into.

  Raises:
    InputError: fewer than two, not evaluated, or measured differently.
  """
  if len(workdirs) < 2:
    raise InputError(
      f'compare: {len(workdirs)} runs named; name two workdirs or more: '
      f'{program()} --mode=compare RUN RUN ...'
    )
  runs = [read(workdir) for workdir in workdirs]
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
    f'- {g.label}: ' + ', '.join(run.path.name for run in g.runs)
    for g in groups
  )
  text = (
    f'{comparison.table(groups)}\n\n+- is the standard deviation over runs. '
    f'Measured with {measured}.\n\n{members}'
  )
  with atomic(folder / 'comparison.md') as temporary:
    temporary.write_text(text + '\n')
  comparison.plot(groups, folder / 'comparison.png')
  print(text)
  print(f'written to {folder / "comparison.md"} and comparison.png')
  return groups


def read(workdir: str | pathlib.Path) -> comparison.Scored:
  """A run's metrics.json and config.

  Raises:
    InputError: it is no run, or has not been evaluated.
  """
  path = layout.absolute(workdir)
  config = layout.flatten(layout.config_fields(path))
  if not (path / 'metrics.json').exists():
    raise InputError(
      f'compare: {path} has no metrics.json; score it first: {program()} '
      f'--mode=evaluate --workdir={workdir}'
    )
  metrics = layout.read_json(path / 'metrics.json')
  record, entries = metrics.get('protocol'), metrics.get('scores')
  whole = (
    isinstance(record, dict)
    and set(MEASURE) <= set(record)
    and isinstance(entries, dict)
    and entries
    and all(
      isinstance(e, dict) and isinstance(e.get('value'), int | float)
      for e in entries.values()
    )
  )
  if not whole:
    raise InputError(
      f'compare: {path / "metrics.json"} holds no scores of this version; run '
      '--mode=evaluate again'
    )
  if 'member' in record:  # one of several runs: its own seed and values
    _, ensemble = read_plan(path)
    config |= sweep.overrides_of(ensemble.member(record['member']))
  return comparison.Scored(path, config, record, entries)

"""metrics.json: what --mode=evaluate has found.

Of a single run it holds `scores`, `protocol` and `warnings`; of several runs
at once the same for each, by its number, under `members`.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from gan_jax.evaluation.protocol import MEASURE
from gan_jax.types import InputError
from gan_jax.workdir import layout

Record = dict[str, Any]  # scores, protocol, warnings
FILE = 'metrics.json'


def write(workdir: pathlib.Path, records: Mapping[int | None, Record]) -> None:
  """Writes the records of all members, or that of a single run.

  Args:
    workdir: of the run.
    records: by number of the member; None for a single run.
  """
  fields = records.get(None)
  if fields is None:
    fields = {'members': {str(n): records[n] for n in sorted(records)}}
  layout.write_json(workdir / FILE, fields)


def read(workdir: pathlib.Path) -> dict[int | None, Record]:
  """The records by number of the member; of a single run, under None.

  Raises:
    InputError: no file, or none of this version.
  """
  path = workdir / FILE
  fields = layout.read_json(path)
  members = fields.get('members')
  if not isinstance(members, dict):  # a single run, or one member by itself
    record = fields.get('protocol')
    member = record.get('member') if isinstance(record, dict) else None
    members = {'' if member is None else str(member): fields}
  whole = members and all(
    (not number or (number.isdecimal() and len(number) < 10))
    and _is_record(record)
    for number, record in members.items()
  )
  if not whole:
    raise InputError(
      f'workdir: {path} holds no scores of this version; run --mode=evaluate '
      'again'
    )
  return {int(n) if n else None: record for n, record in members.items()}


def _is_record(record: Any) -> bool:
  """Whether it has scores, and all that tells whether they compare."""
  if not isinstance(record, dict):
    return False
  protocol, entries = record.get('protocol'), record.get('scores')
  return (
    isinstance(protocol, dict)
    and set(MEASURE) <= set(protocol)
    and isinstance(entries, dict)
    and bool(entries)
    and all(
      isinstance(entry, dict) and isinstance(entry.get('value'), int | float)
      for entry in entries.values()
    )
  )

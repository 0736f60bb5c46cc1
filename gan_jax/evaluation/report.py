"""Scores for the screen, each with how it was measured."""

from collections.abc import Sequence
from typing import Any

from gan_jax.evaluation import protocol
from gan_jax.evaluation.entries import Entry
from gan_jax.evaluation.evaluator import Result

_ERRORS = ('standard_error', 'standard_deviation')
_PLAIN = ('value', 'num_real', 'num_fake', 'points', 'levels')


def _error(entry: Entry) -> str | None:
  """Which field of an entry stands after +-."""
  return next((name for name in _ERRORS if name in entry), None)


def figure(entry: Entry) -> str:
  """The value and, where known, its error: '3.21 +- .04'."""
  text, error = f'{entry["value"]:.4g}', _error(entry)
  return f'{text} +- {entry[error]:.2g}' if error else text


def _how(entry: Entry, record: dict[str, Any]) -> str:
  """What +- is, and where a score's own protocol is not the record's."""
  error = _error(entry)
  parts = [f'+- {error.replace("_", " ")}'] if error else []
  parts += [
    f'{name.replace("_", " ")} {entry[name]}'
    for name in ('num_real', 'num_fake')
    if entry[name] != record[name]
  ]
  parts += [
    f'{name.replace("_", " ")} {_short(value)}'
    for name, value in entry.items()
    if name not in _PLAIN and name != error
  ]
  return ', '.join(parts)


def _short(value: Any) -> str:
  return f'{value:.4g}' if isinstance(value, float) else str(value)


def report(result: Result) -> list[str]:
  """Lines: the scores, then the protocol, then warnings."""
  record = result.protocol
  lines = [heading([result])]
  widths = [
    max(map(len, column))
    for column in (
      result.scores,
      [figure(entry) for entry in result.scores.values()],
    )
  ]
  for name, entry in result.scores.items():
    how = _how(entry, record)
    line = f'  {name:{widths[0]}}  {figure(entry):{widths[1]}}  {how}'
    lines.append(line.rstrip())
  return lines + measured([result])


def heading(results: Sequence[Result]) -> str:
  """How many images of which step stand against which.

  Args:
    results: of one run, or of several with one protocol.
  """
  record = results[0].protocol
  steps = sorted({result.protocol.get('step') for result in results})
  which = f'step {steps[0]}'
  if len(steps) > 1:
    which = f'steps {steps[0]} to {steps[-1]}'
  whose = f' of each of {len(results)} runs' * (len(results) > 1)
  return (
    f'{which}, {record["num_fake"]} generated images{whose} against '
    f'{record["num_real"]} of {record["data"]} ({record["split"]})'
  )


def measured(results: Sequence[Result]) -> list[str]:
  """Lines: the protocol, as far as it is one of all, then warnings.

  Args:
    results: of one run, or of several.
  """
  record = {
    key: value
    for key, value in results[0].protocol.items()
    if all(result.protocol.get(key) == value for result in results)
  }
  speed = sum(result.images_per_second for result in results) / len(results)
  said = dict.fromkeys(line for result in results for line in result.warnings)
  return [
    'measured with',
    *_wrapped(protocol.lines(record)),
    f'  {speed:,.0f} generated images/s',
    *(f'warning: {line}' for line in said),
  ]


def _wrapped(parts: list[str], width: int = 78) -> list[str]:
  """Parts joined by commas, in lines."""
  lines, line = [], ' '
  for part in parts:
    if len(line) + len(part) + 2 > width and line.strip():
      lines.append(line)
      line = ' '
    line += f' {part},'
  lines.append(line)
  lines[-1] = lines[-1].rstrip(',')
  return lines

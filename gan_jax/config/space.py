"""What a search may try: a space over config keys.

`{"gen_optimizer.learning_rate": [1e-4, 4e-4, "log"], "batch_size": [32, 64],
"loss": ["hinge", "non_saturating"], "latent_dim": {"choices": [16, 32]}}`

Two numbers are the ends of a range, of whole numbers where both are whole;
"log" draws evenly by logarithms. Any other list is one of choices, and so is
`{"choices": [...]}`. A grid takes two numbers as two points, and of
`[1e-4, 1e-2, "log", 3]` so many.
"""

import json
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.config.overrides import dotted, may_change, similar
from gan_jax.config.sweep import SWEPT
from gan_jax.types import InputError

MOST_DIMENSIONS, MOST_POINTS = 64, 100_000
_KEY = 'search.space'
_MOST_BYTES = 1_000_000
# Of a run by itself; not to be searched.
_OWN = ('seed', 'num_seeds', 'sweep', 'init_from', 'plugin')


class Dimension(NamedTuple):
  """One key and what it may be.

  Attributes:
    key: dotted, of the config.
    low: the least of a range; None of choices.
    high: the most.
    log: whether it is drawn evenly by logarithms.
    points: of the range, for a grid; 0 if not told.
    choices: what there is to choose from; () of a range.
  """

  key: str
  low: float | int | None = None
  high: float | int | None = None
  log: bool = False
  points: int = 0
  choices: tuple[Any, ...] = ()

  @property
  def whole(self) -> bool:
    """Whether a range is of whole numbers."""
    return type(self.low) is int and type(self.high) is int

  @property
  def ends(self) -> tuple[Any, ...]:
    """All choices, or both ends."""
    return self.choices or (self.low, self.high)

  def grid(self) -> list[Any]:
    """The points of a grid.

    Raises:
      InputError: it is a range, and nobody said how many there are.
    """
    if self.choices:
      return list(self.choices)
    if not self.points and not self.log:
      return [self.low, self.high]
    if self.points < 2:
      raise InputError(
        f'{_KEY}: {self.key} is a range, and a grid is of points; write such '
        f'as [{self.low}, {self.high}, "log", 3] or {{"choices": [...]}}'
      )
    shares = [i / (self.points - 1) for i in range(self.points)]
    if self.log:
      found = [self.low * (self.high / self.low) ** share for share in shares]
    else:
      found = [self.low + share * (self.high - self.low) for share in shares]
    if self.whole:
      return sorted({round(value) for value in found})
    return [*found[:-1], self.high]


class Space(NamedTuple):
  """All dimensions of a search."""

  dimensions: tuple[Dimension, ...]

  @property
  def keys(self) -> list[str]:
    """The keys, in the order in which they were given."""
    return [dimension.key for dimension in self.dimensions]

  @property
  def scalars(self) -> bool:
    """Whether one program can try several points at once."""
    return set(self.keys) <= set(SWEPT.values())

  def grid(self) -> list[dict[str, Any]]:
    """All combinations.

    Raises:
      InputError: too many, or a range without points.
    """
    axes = [dimension.grid() for dimension in self.dimensions]
    num = math.prod(map(len, axes))
    if num > MOST_POINTS:
      raise InputError(
        f'{_KEY}: a grid of {num:,} points is beyond the limit, '
        f'{MOST_POINTS:,}; take fewer choices, or search.sampler=tpe'
      )
    combined: list[dict[str, Any]] = [{}]
    for key, axis in zip(self.keys, axes, strict=True):
      combined = [{**point, key: value} for point in combined for value in axis]
    return combined

  def describe(self) -> dict[str, Any]:
    """As JSON, to see whether another space is the same."""
    return {d.key: list(d)[1:] for d in self.dimensions}


def read_space(text: str, fields: Mapping[str, Any]) -> Space:
  """The space that a text or a file describes.

  Args:
    text: JSON, or the path of a file of it.
    fields: the config, nested, as configs/base.py has it.

  Raises:
    InputError: it is none, or of a key that cannot be searched.
  """
  described = _object(text)
  known = dotted(fields)
  if len(described) > MOST_DIMENSIONS:
    raise InputError(
      f'{_KEY}: {len(described)} keys are beyond the limit, {MOST_DIMENSIONS}'
    )
  for key in described:
    if key not in known:
      close = ', '.join(similar(key, known))
      raise InputError(f'{_KEY}: there is no key {key!r}; nearest: {close}')
    asks = may_change(key) and key not in ('num_steps', 'eval.every')
    if asks or key.split('.')[0] in _OWN:
      raise InputError(
        f'{_KEY}: {key} does not shape a training run, so there is nothing to '
        'find; leave it out'
      )
  return Space(
    tuple(_dimension(key, value) for key, value in described.items())
  )


def _object(text: str) -> dict[str, Any]:
  """The JSON object in a text or a file."""
  if not text.strip():
    raise InputError(
      f'{_KEY}: what is to be tried? such as '
      '\'{"gen_optimizer.learning_rate": [1e-4, 1e-3, "log"]}\', or a file'
    )
  source = text
  if not text.lstrip().startswith('{'):
    path = pathlib.Path(text).expanduser()
    try:
      if path.stat().st_size > _MOST_BYTES:
        raise InputError(f'{_KEY}: {path} is too large to be a space')
      source = path.read_text()
    except (OSError, ValueError) as error:
      raise InputError(
        f'{_KEY}: {text[:80]!r} is neither JSON in braces nor a file that can '
        f'be read ({error})'
      ) from error
  try:
    found = json.loads(source)
  except (ValueError, RecursionError) as error:
    raise InputError(f'{_KEY}: it is not JSON: {error}') from error
  if not isinstance(found, dict) or not found:
    raise InputError(f'{_KEY}: it is no JSON object of keys')
  return found


def _dimension(key: str, value: Any) -> Dimension:
  """What stands beside a key.

  Raises:
    InputError: nothing that can be tried.
  """
  if isinstance(value, dict) and set(value) == {'choices'}:
    value = value['choices']
  elif isinstance(value, list):
    numbers = [x for x in value[:2] if _is_number(x)]
    rest = value[2:]
    log = 'log' in rest
    points = [x for x in rest if x != 'log']
    if len(numbers) == 2 and (not rest or log) and len(points) <= 1:
      return _range(key, *numbers, log, points)
  if not isinstance(value, list) or not value:
    raise InputError(
      f'{_KEY}: {key} is {json.dumps(value)[:80]}, and has to be [low, high], '
      '[low, high, "log"], or a list of choices'
    )
  choices = tuple(_plain(key, value))
  if len({json.dumps(choice) for choice in choices}) < len(choices):
    raise InputError(f'{_KEY}: {key} has a choice twice')
  return Dimension(key, choices=choices)


def _range(
  key: str, low: float, high: float, log: bool, points: Sequence[Any]
) -> Dimension:
  number = points[0] if points else 0
  if type(number) is not int or (points and not 2 <= number <= MOST_POINTS):
    raise InputError(
      f'{_KEY}: {key} has {number!r} points; a range has 2 or more'
    )
  if not low < high:
    raise InputError(
      f'{_KEY}: {key} goes from {low} to {high}; the lower end comes first, '
      f'[{high}, {low}]'
    )
  if log and low <= 0:
    raise InputError(
      f'{_KEY}: {key} begins at {low}, which has no logarithm; begin above 0, '
      'or leave "log" out'
    )
  return Dimension(key, low, high, log, number)


def _is_number(value: Any) -> bool:
  """Whether JSON gave a finite number."""
  if isinstance(value, int):  # which may have any number of digits
    return not isinstance(value, bool) and abs(value) < 2**63
  return isinstance(value, float) and math.isfinite(value)


def _plain(key: str, values: Sequence[Any]) -> Iterator[Any]:
  """Choices that a config can hold: lists become tuples."""
  for value in values:
    if isinstance(value, dict):
      raise InputError(
        f'{_KEY}: {key} has {json.dumps(value)[:80]} as a choice'
      )
    yield tuple(value) if isinstance(value, list) else value

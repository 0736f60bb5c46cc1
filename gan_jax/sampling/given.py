"""What a generator is told, from what a user has: arrays, or text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import from_uint8
from gan_jax.sampling import tokens
from gan_jax.types import Column, Given, InputError

Encoder = Callable[[Sequence[str]], np.ndarray]


def as_told(given: Given) -> Given:
  """Columns as networks take them: pictures of uint8 in [-1, 1]."""
  return {
    name: from_uint8(x) if x.dtype == jnp.uint8 else x
    for name, x in given.items()
  }


def dummies(columns: Mapping[str, Column], num: int) -> Given:
  """Columns `[num, ...]` of zeros."""
  return {
    name: jnp.zeros((num, *column.shape), column.dtype)
    for name, column in columns.items()
  }


def check_names(
  names: Sequence[str], columns: Mapping[str, Column], how: str = ''
) -> None:
  """Raises InputError unless these are the columns that a run is told."""
  listed = ', '.join(columns) or 'nothing'
  for name in names:
    if name not in columns:
      raise InputError(
        f'given: this run is not told {name!r}; it is told {listed} beside '
        'labels'
      )
  for name, column in columns.items():
    if name not in names and not column.optional:
      kind = 'text' if column.size else _what(column)
      raise InputError(
        f'given: this run is told {listed}, and {name} is missing; pass '
        f'given={{{name!r}: {kind} for each, or one for all}}{how}'
      )


def encode(
  given: Mapping[str, Any] | None,
  columns: Mapping[str, Column],
  num: int,
  vocabulary: Sequence[str] | Encoder = (),
) -> Given:
  """Columns `[num, ...]`, as a compiled function takes them.

  Args:
    given: of each column `num` values, or one for all: pictures uint8, text as
      strings or tokens, numbers. An optional one may be left out, or None.
    columns: that the run is told.
    num: how many examples.
    vocabulary: of the texts, or what makes vectors of them.

  Raises:
    InputError: a column that is missing or not known, or of another shape.
  """
  given = dict(given or {})
  check_names(given, columns)
  told = {}
  for name, column in columns.items():
    if given.get(name) is None and column.optional:
      told[name] = np.zeros((num, *column.shape), column.dtype)
    else:
      told[name] = _column(name, given[name], column, num, vocabulary)
  return told


def _column(name, value, column, num, vocabulary) -> np.ndarray:
  if isinstance(value, str):
    value = [value]
  if isinstance(value, list | tuple) and all(isinstance(x, str) for x in value):
    value = _read(name, value, column, vocabulary)
  try:
    value = np.asarray(value)
  except ValueError as error:  # rows of several lengths
    raise InputError(f'given: {name}: {error}') from error
  picture = len(column.shape) == 3
  if picture:
    fits = value.dtype == np.uint8
  else:
    fits = value.dtype.kind in ('iu' if column.size else 'fiu')
  shapes = [(*n, *column.shape) for n in ((), (1,), (num,))]
  if not fits or value.shape not in shapes:
    raise InputError(
      f'given: {name} is {value.dtype} of shape {value.shape}; it takes '
      f'{_what(column)} for each of {num}, or one for all'
    )
  if column.size and not (value.min() >= 0 and value.max() < column.size):
    raise InputError(
      f'given: {name} has tokens outside 0 to {column.size - 1}; give strings'
    )
  if not picture:
    value = value.astype(column.dtype)
  rows = value.reshape(-1, *column.shape)
  return np.broadcast_to(rows, (num, *column.shape))


def _read(name, texts, column, vocabulary) -> np.ndarray:
  """Texts as tokens, or as vectors."""
  if name == 'text' and callable(vocabulary):
    return vocabulary(texts)
  if not column.size:
    raise InputError(f'given: {name} is no text; it takes {_what(column)}')
  return tokens.encode(texts, vocabulary, column.shape[0], f'given: {name}')


def _what(column: Column) -> str:
  kind = column.dtype
  if column.size:
    kind = 'strings, or int32'
  elif len(column.shape) == 3:
    kind = 'uint8'
  return f'{kind} [{", ".join(map(str, column.shape))}]'


def by_index(given: Any) -> Any:
  """Columns `[N, ...]`, or what reads them -> indices `[n]` -> columns."""
  if callable(given):
    return given
  return lambda indices: jax.tree.map(lambda x: x[indices], given)


def picture_of(columns: Mapping[str, Column]) -> str:
  """The column of pictures that a run makes images of, and is told alone.

  Raises:
    InputError: it is told none, or more.
  """
  names = list(columns)
  if len(names) != 1 or len(columns[names[0]].shape) != 3:
    told = ', '.join(columns) or 'no source'
    raise InputError(
      f'translate: this run is told {told}; translate is for runs that are '
      'told one picture, as by given=source, and sample(num, given=...) for '
      'others'
    )
  return names[0]


def sources(images: np.ndarray, columns: Mapping[str, Column]) -> Given:
  """Sources `[N, h, w, c]` as what a run is told, which is nothing else.

  Raises:
    InputError: the run is told no source, or more; or there are no images.
  """
  name = picture_of(columns)
  images = np.asarray(images)
  if images.ndim != 4 or not len(images):
    raise InputError(
      f'translate: shape {images.shape} is not [N, h, w, c] of N sources'
    )
  return {name: images}

"""What a file beside the images says of each: its text, or its pose.

captions.json, .csv or .txt hold texts; poses.json, .csv or .txt azimuths and
elevations in degrees.
"""

import csv
import io
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data.files import MOST_BYTES, File, Found, crc32
from gan_jax.data.images import reason_of, shown
from gan_jax.sampling import tokens
from gan_jax.sampling.orbits import half_turns
from gan_jax.types import InputError


class Kind(NamedTuple):
  """A kind of file beside the images.

  Attributes:
    noun: what it says of an image.
    stem: of its name.
    columns: of the CSV, after the image's.
    formats: in words.
    parse: the values of an image, as they stand there -> what they mean;
      raises ValueError, TypeError for others.
  """

  noun: str
  stem: str
  columns: tuple[str, ...]
  formats: str
  parse: Callable[[Sequence[Any]], Any]


def _text(values: Sequence[Any]) -> str:
  (text,) = values
  if not isinstance(text, str):
    raise TypeError(text)
  return text


def _pose(values: Sequence[Any]) -> tuple[float, float]:
  azimuth, elevation = map(float, values)
  if not (math.isfinite(azimuth) and abs(elevation) <= 90):
    raise ValueError(values)
  return azimuth, elevation


KINDS = {
  'text': Kind(
    'text',
    'captions',
    ('text',),
    'captions.json ({"NAME": "TEXT", ...}), captions.csv (with the columns '
    'image and text) or captions.txt (NAME, a tab and TEXT on each line)',
    _text,
  ),
  'pose': Kind(
    'pose',
    'poses',
    ('azimuth', 'elevation'),
    'poses.json ({"NAME": [AZIMUTH, ELEVATION], ...}), poses.csv (with the '
    'columns image, azimuth and elevation) or poses.txt (NAME and both, tabs '
    'between them), in degrees, elevations from -90 to 90',
    _pose,
  ),
}


class Columns(NamedTuple):
  """Columns of both splits.

  Attributes:
    versions: tell them from others.
    train: by name, arrays `[N, ...]`.
    test: likewise.
    vocabulary: of the text, if it comes as words.
  """

  versions: tuple[str, ...] = ()
  train: dict[str, np.ndarray] = {}  # noqa: RUF012  nobody writes in it
  test: dict[str, np.ndarray] = {}  # noqa: RUF012
  vocabulary: tuple[str, ...] = ()


class Wanted(NamedTuple):
  """Which columns are wanted.

  Attributes:
    text: whether each image comes with a text.
    pose: whether it comes with a pose.
    encoder: texts -> vectors float32 `[N, E]`, with a `name`; None for words.
  """

  text: bool = False
  pose: bool = False
  encoder: Any = None


def columns(
  root: pathlib.Path, found: Found, wanted: Wanted, splits: Sequence[list[File]]
) -> Columns:
  """What stands beside the images of both splits.

  `text` is tokens int32 `[N, L]` by the words of the first split, or vectors
  float32 `[N, E]`; `pose` azimuth and elevation in half turns, float32
  `[N, 2]`, azimuths in [-1, 1).

  Raises:
    InputError: no such file or several, one that cannot be read, one that
      names an image that is not there, or an image without its value.
  """
  columns = Columns()
  if wanted.text:
    columns = _with(columns, *_texts(root, found, wanted.encoder, splits))
  if wanted.pose:
    poses = _of_splits(root, found, KINDS['pose'], splits)
    arrays = [half_turns(np.array(split, np.float64)) for split in poses]
    version = f'poses {crc32(repr(poses)):08x}'
    columns = _with(columns, 'pose', version, arrays)
  return columns


def _with(
  columns: Columns, name: str, version: str, arrays, vocabulary=()
) -> Columns:
  train, test = arrays
  return Columns(
    (*columns.versions, version),
    {**columns.train, name: train},
    {**columns.test, name: test},
    columns.vocabulary or tuple(vocabulary),
  )


def _texts(root, found, encoder, splits):
  """Texts as tokens of a vocabulary, or as what an encoder makes of them."""
  texts = _of_splits(root, found, KINDS['text'], splits)
  everything = texts[0] + texts[1]
  version = f'captions {crc32(chr(0).join(everything)):08x}'
  if encoder is not None:
    whole = encoder(everything)
    arrays = whole[: len(texts[0])], whole[len(texts[0]) :]
    return 'text', f'{version} by {encoder.name}', arrays
  longest = max(everything, key=lambda text: len(tokens.words(text)))
  length = min(max(1, len(tokens.words(longest))), tokens.MOST_WORDS)
  vocabulary = tokens.vocabulary_of(texts[0])
  what = f'given: a caption in {root}'
  arrays = [tokens.encode(split, vocabulary, length, what) for split in texts]
  return 'text', version, arrays, vocabulary


def _of_splits(
  root: pathlib.Path, found: Found, kind: Kind, splits: Sequence[list[File]]
) -> list[list[Any]]:
  """The values of each image of both splits."""
  values = read(root, found, kind)
  for file in (file for split in splits for file in split):
    if file.path not in values:
      raise InputError(
        f'given: the {kind.stem} in {shown(root)} have no {kind.noun} for '
        f'{shown(file.path)}; add one, or take the image out'
      )
  return [[values[file.path] for file in split] for split in splits]


def read(root: pathlib.Path, found: Found, kind: Kind) -> dict[Any, Any]:
  """Paths of images -> what a file says of them.

  Args:
    root: the folder or ZIP, for messages.
    found: in it; names are relative to it, with `/` between folders.
    kind: of the file.

  Raises:
    InputError: no such file or several, one that cannot be read, or one that
      names an image that is not there.
  """
  file = _the_file(root, found, kind)
  paths = {image.relative.as_posix(): image.path for image in found.files}
  values = {}
  for name, value in _parsed(file, kind):
    try:
      meaning = kind.parse(value)
    except (ValueError, TypeError):
      raise InputError(
        f'given: {shown(file.path)} has no {kind.noun} for {shown(name)}'
      ) from None
    if name not in paths:
      raise InputError(
        f'given: {shown(file.path)} has a {kind.noun} for {shown(name)}, and '
        f'there is no such image in {shown(root)}'
      )
    values[paths[name]] = meaning
  return values


# --- Formats ------------------------------------------------------------------


def _json(text: str, kind: Kind) -> Iterable[tuple[Any, Sequence[Any]]]:
  found = json.loads(text)
  if not isinstance(found, dict):
    raise ValueError(f'it is no object of names and {kind.noun}s')
  one = len(kind.columns) == 1
  return [
    (name, value if isinstance(value, list) and not one else [value])
    for name, value in found.items()
  ]


def _csv(text: str, kind: Kind) -> Iterable[tuple[Any, Sequence[Any]]]:
  rows = csv.DictReader(io.StringIO(text, newline=''))
  wanted = ('image', *kind.columns)
  if not set(wanted) <= set(rows.fieldnames or ()):
    *first, last = wanted
    listed = f'{", ".join(first)} and {last}'
    raise ValueError(f'its first line does not name the columns {listed}')
  return [(row['image'], [row[c] for c in kind.columns]) for row in rows]


def _txt(text: str, kind: Kind) -> Iterable[tuple[Any, Sequence[Any]]]:
  num = len(kind.columns)
  lines = enumerate(text.splitlines(), 1)
  rows = [(n, line.split('\t', num)) for n, line in lines if line.strip()]
  for number, row in rows:
    if len(row) <= num:
      raise ValueError(f'line {number} has no tab between name and {kind.noun}')
  return [(row[0], row[1:]) for _, row in rows]


_READERS = {'.json': _json, '.csv': _csv, '.txt': _txt}


def _the_file(root: pathlib.Path, found: Found, kind: Kind) -> File:
  files = found.beside.get(kind.stem, [])
  if not files:
    raise InputError(
      f'given: {kind.noun} takes {kind.stem} from a file beside the images, '
      f'and {shown(root)} has none: {kind.formats}'
    )
  names = [shown(file.relative) for file in files]
  if len(names) > 1:
    raise InputError(
      f'given: {shown(root)} has {", ".join(names)}; leave one of them'
    )
  if files[0].relative.suffix.lower() not in _READERS:
    raise InputError(f'given: {names[0]} is not read; give {kind.formats}')
  return files[0]


def _parsed(file: File, kind: Kind) -> list[tuple[Any, Sequence[Any]]]:
  """Names and values, as they stand in a file."""
  try:
    if file.size > MOST_BYTES:
      raise ValueError(f'{file.size:,} bytes are beyond the limit')
    with file.path.open('rb') as opened:
      text = opened.read().decode('utf-8-sig')
    return list(_READERS[file.relative.suffix.lower()](text, kind))
  except (ValueError, OSError, RecursionError, csv.Error) as error:
    raise InputError(
      f'given: cannot read {shown(file.path)}: {reason_of(error)}; give '
      f'{kind.formats}'
    ) from error

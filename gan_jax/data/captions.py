"""Texts of images, from a file beside them: captions.json, .csv or .txt."""

import csv
import io
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from gan_jax.data.files import MOST_BYTES, File, Found, crc32
from gan_jax.data.images import reason_of, shown
from gan_jax.types import InputError

FORMATS = (
  'captions.json ({"NAME": "TEXT", ...}), captions.csv (with the columns image '
  'and text) or captions.txt (NAME, a tab and TEXT on each line)'
)


def _json(text: str) -> Iterable[tuple[Any, Any]]:
  found = json.loads(text)
  if not isinstance(found, dict):
    raise ValueError('it is no object of names and texts')
  return found.items()


def _csv(text: str) -> Iterable[tuple[Any, Any]]:
  rows = csv.DictReader(io.StringIO(text, newline=''))
  if not {'image', 'text'} <= set(rows.fieldnames or ()):
    raise ValueError('its first line does not name the columns image and text')
  return [(row['image'], row['text']) for row in rows]


def _txt(text: str) -> Iterable[tuple[Any, Any]]:
  pairs = [line.split('\t', 1) for line in text.splitlines() if line.strip()]
  for number, pair in enumerate(pairs, 1):
    if len(pair) < 2:
      raise ValueError(f'line {number} has no tab between name and text')
  return [(name, text) for name, text in pairs]


_READERS: dict[str, Callable[[str], Iterable[tuple[Any, Any]]]] = {
  '.json': _json,
  '.csv': _csv,
  '.txt': _txt,
}


def read(root: pathlib.Path, found: Found) -> dict[Any, str]:
  """Paths of images -> their texts.

  Args:
    root: the folder or ZIP, for messages.
    found: in it; names are relative to it, with `/` between folders.

  Raises:
    InputError: no such file or several, one that cannot be read, or one that
      names an image that is not there.
  """
  file = _the_file(root, found)
  paths = {image.relative.as_posix(): image.path for image in found.files}
  texts = {}
  for name, text in _parsed(file):
    if not isinstance(text, str):
      raise InputError(
        f'given: {shown(file.path)} has no text for {shown(name)}'
      )
    if name not in paths:
      raise InputError(
        f'given: {shown(file.path)} has a text for {shown(name)}, and there is '
        f'no such image in {shown(root)}'
      )
    texts[paths[name]] = text
  return texts


def of_images(
  texts: dict[Any, str], files: Iterable[File], root: pathlib.Path
) -> list[str]:
  """The text of each image.

  Raises:
    InputError: an image has none.
  """
  files = list(files)
  for file in files:
    if file.path not in texts:
      raise InputError(
        f'given: the captions in {shown(root)} have no text for '
        f'{shown(file.path)}; add one, or take the image out'
      )
  return [texts[file.path] for file in files]


def version(texts: Iterable[str]) -> str:
  """Tells texts from others."""
  return f'captions {crc32(chr(0).join(texts)):08x}'


def _the_file(root: pathlib.Path, found: Found) -> File:
  if not found.captions:
    raise InputError(
      f'given: text takes captions from a file beside the images, and '
      f'{shown(root)} has none: {FORMATS}'
    )
  names = [shown(file.relative) for file in found.captions]
  if len(names) > 1:
    raise InputError(
      f'given: {shown(root)} has {", ".join(names)}; leave one of them'
    )
  file = found.captions[0]
  if file.relative.suffix.lower() not in _READERS:
    raise InputError(f'given: {names[0]} is not read; give {FORMATS}')
  return file


def _parsed(file: File) -> list[tuple[Any, Any]]:
  """Names and texts, as they stand in a file."""
  try:
    if file.size > MOST_BYTES:
      raise ValueError(f'{file.size:,} bytes are beyond the limit')
    with file.path.open('rb') as opened:
      text = opened.read().decode('utf-8-sig')
    return list(_READERS[file.relative.suffix.lower()](text))
  except (ValueError, OSError, RecursionError, csv.Error) as error:
    raise InputError(
      f'given: cannot read {shown(file.path)}: {reason_of(error)}; give '
      f'{FORMATS}'
    ) from error

"""What the files of a checkpoint must hash to.

Storage layers of checkpoints check their own structure and not the arrays in
it: one flipped bit comes back as another number, without a word.
"""

import hashlib
import json
import pathlib

from gan_jax.storage.files import atomic

_NAME = 'digests.json'


class DamagedError(Exception):
  """A checkpoint cannot be read, or is not what was written."""


def write(folder: pathlib.Path) -> None:
  """Notes the digests of all files below a checkpoint's items."""
  found = {str(p.relative_to(folder)): _digest(p) for p in _files(folder)}
  with atomic(folder / _NAME) as temporary:
    temporary.write_text(json.dumps(found))


def check(folder: pathlib.Path) -> None:
  """Raises DamagedError if a file is not what was written.

  Checkpoints without digests, of before there were any, pass.
  """
  path = folder / _NAME
  if not path.exists():
    return
  try:
    wanted = json.loads(path.read_text())
    for name, digest in wanted.items():
      path = (folder / name).resolve()
      inside = path.is_relative_to(folder.resolve()) and path.is_file()
      if not inside or _digest(path) != digest:
        raise DamagedError(f'{name} is not what was written')
  except (OSError, ValueError, AttributeError, TypeError) as error:
    raise DamagedError(f'{type(error).__name__}: {error}') from error


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
  """Those of the items; orbax adds marks of its own when it commits."""
  return [
    path
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path.parent != folder and 'commit' not in path.name
  ]


def _digest(path: pathlib.Path) -> str:
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'blake2b').hexdigest()[:32]

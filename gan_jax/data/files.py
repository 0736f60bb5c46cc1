"""The files of a folder or of a ZIP archive: which are images, which are not.

A ZIP is read where it lies, each member when it is asked for.
"""

import collections
import io
import os
import pathlib
import re
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from gan_jax.data.images import (
  MOST_PIXELS,
  SUFFIXES,
  format_of,
  reason_of,
  shown,
)
from gan_jax.types import InputError

# Of a member of a ZIP, unpacked: what the largest image takes without any
# compression, 4 bytes a pixel, and as much again for all else.
MOST_BYTES = 8 * MOST_PIXELS
# Contents are looked at in so many bytes of either end, of so many files.
_END, _SAMPLE = 4096, 10_000
NO_FILES = 'dead links or devices'


BESIDE = ('captions', 'poses')  # stems of files that say more of images


class File(NamedTuple):
  """An image file.

  Attributes:
    path: `pathlib.Path`, or a `Member`.
    relative: where it lies below the folder, or in the archive.
    size: bytes.
    checksum: of all of them, where a ZIP has one.
  """

  path: Any
  relative: pathlib.PurePosixPath
  size: int
  checksum: int = 0


class Found(NamedTuple):
  """What lies in a folder or an archive; names that begin with a dot do not.

  Attributes:
    files: the images, in the order of their names.
    folders: names of the first level.
    ignored: how many files of each kind (suffix) are no images.
    beside: the files `captions.*` and `poses.*` among those, of the first
      level, by their stem.
  """

  files: list[File]
  folders: set[str]
  ignored: collections.Counter[str]
  beside: dict[str, list[File]]


class Archive:
  """A ZIP file; any number of threads and of forked processes may read it."""

  def __init__(self, path: pathlib.Path):
    self.path, self._lock, self._owner = path, threading.Lock(), 0
    self.members = [m for m in self._zip().infolist() if not m.is_dir()]

  def _zip(self) -> zipfile.ZipFile:
    """This process's own: a fork would share the position in the file."""
    with self._lock:
      if self._owner != os.getpid():
        self._file, self._owner = zipfile.ZipFile(self.path), os.getpid()
      return self._file

  def read(self, member: zipfile.ZipInfo) -> bytes:
    """A member unpacked: never more than `MOST_BYTES`.

    Raises:
      ValueError: it is larger, or packed in a way that cannot be bounded.
      Exception: zipfile has exceptions of many kinds for damage.
    """
    if member.file_size > MOST_BYTES:
      raise ValueError(
        f'{member.file_size:,} bytes are beyond the limit, {MOST_BYTES:,}'
      )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
      raise ValueError('only stored and deflated members of a ZIP are read')
    return self._zip().read(member)


class Member:
  """A file in a ZIP, as much of a `pathlib.Path` as reading it takes."""

  def __init__(self, archive: Archive, info: zipfile.ZipInfo):
    self._archive, self.info = archive, info

  def __str__(self) -> str:
    return f'{self._archive.path}/{self.info.filename}'

  def open(self, mode: str = 'rb') -> BinaryIO:
    """Its bytes, in memory."""
    del mode
    return io.BytesIO(self._archive.read(self.info))

  def stat(self) -> os.stat_result:
    """Of the archive: it changes when a member does."""
    return self._archive.path.stat()


def find(root: pathlib.Path, key: str = 'data.dir') -> Found:
  """Searches a folder or a ZIP in depth.

  Links are followed, but not to a folder that they lie in. A ZIP whose files
  all lie in one folder is taken for that folder.

  Args:
    root: where to search.
    key: that names it, for messages.

  Raises:
    InputError: it is neither.
    OSError: a folder may not be read.
  """
  folders = set()
  if root.is_dir():
    entries = list(_walk(root))
    folders = {p.name for p in root.iterdir() if p.is_dir()}  # also empty ones
  elif root.is_file() and zipfile.is_zipfile(root):
    entries = _members(root, key)
  else:
    raise InputError(
      f'{key}: {shown(root)} is not a folder, nor a ZIP of images'
    )
  ignored, files = collections.Counter(), []
  beside: dict[str, list[File]] = {}
  for file in entries:
    if file.path is None:
      ignored[NO_FILES] += 1
    elif kind := _kind_unless_image(file):
      ignored[kind] += 1
      if file.relative.stem in BESIDE and len(file.relative.parts) == 1:
        beside.setdefault(file.relative.stem, []).append(file)
    else:
      files.append(file)
  folders |= {x.relative.parts[0] for x in entries if len(x.relative.parts) > 1}
  files = sorted(files, key=lambda x: x.relative.parts)
  return Found(files, folders, ignored, beside)


def _kind_unless_image(file: File) -> str:
  """'' for an image: so it is by its suffix, or, without one, by content."""
  suffix = file.relative.suffix.lower()
  if suffix in SUFFIXES:
    return ''
  if suffix:
    return suffix
  try:
    with file.path.open('rb') as opened:
      return '' if format_of(opened.read(16)) else 'without a suffix'
  except Exception:  # of a damaged member; a file that may not be read
    return 'without a suffix'


def _walk(root: pathlib.Path) -> Iterator[File]:
  """All files below a folder, through links but not around in circles."""

  def identity(status):
    return status.st_dev, status.st_ino

  real = root.resolve()
  above = frozenset(identity(p.stat()) for p in (real, *real.parents))
  waiting = [(root, pathlib.PurePosixPath(), above)]
  while waiting:
    folder, relative, above = waiting.pop()
    for name in sorted(os.listdir(folder)):
      if name.startswith('.'):
        continue
      path, below = folder / name, relative / name
      try:
        status = path.stat()
      except OSError:  # a link to nothing, or to itself
        status = None
      if status is None or not (
        stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)
      ):
        yield File(None, below, 0)
      elif stat.S_ISREG(status.st_mode):
        yield File(path, below, status.st_size)
      elif identity(status) not in above:
        waiting.append((path, below, above | {identity(status)}))


def _members(path: pathlib.Path, key: str) -> list[File]:
  """All files of a ZIP, below the folder that they may share."""
  try:
    archive = Archive(path)
    named = [(pathlib.PurePosixPath(m.filename), m) for m in archive.members]
    named = [(n, m) for n, m in named if not re.search(r'(^|/)[.]', str(n))]
    shared = os.path.commonpath([name.parent for name, _ in named] or [''])
  except Exception as error:  # a damaged or a planted directory
    raise InputError(
      f'{key}: cannot read {shown(path)}: {reason_of(error)}'
    ) from error
  return [
    File(Member(archive, m), n.relative_to(shared), m.file_size, m.CRC)
    for n, m in named
  ]


def version(files: list[File]) -> str:
  """Tells files from others, by names, sizes and some of what is in them.

  Of each file the first and last 4 KiB are read; of more than 10,000 files,
  of so many, evenly spread, and the sizes of all. A ZIP has a checksum of the
  whole of every member. What this misses is a change that leaves the size of a
  file as it was, between its ends or in a file that is not looked at. Times do
  not matter: a copy is the same data.

  Returns:
    'N files, crc32 XXXXXXXX, contents YYYYYYYY', the first of names alone.
  """
  by_name = sorted(files, key=lambda file: file.relative.as_posix())
  names = '\n'.join(file.relative.as_posix() for file in by_name)
  facts = [f'{file.size} {file.checksum}' for file in by_name]
  contents = crc32('\n'.join(facts))
  for file in by_name[:: -(-len(by_name) // _SAMPLE)]:
    if isinstance(file.path, pathlib.Path):
      contents = zlib.crc32(_ends(file.path), contents)
  return (
    f'{len(files)} files, crc32 {crc32(names):08x}, contents {contents:08x}'
  )


def _ends(path: pathlib.Path) -> bytes:
  """The first and the last bytes of a file."""
  with path.open('rb') as file:
    head = file.read(_END)
    if len(head) == _END:
      file.seek(max(_END, file.seek(0, os.SEEK_END) - _END))
    return head + file.read(_END)


def crc32(name: str) -> int:
  """Of a name, which need not be text."""
  return zlib.crc32(name.encode(errors='surrogateescape'))

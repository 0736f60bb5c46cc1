"""Files that appear whole or not at all, and where they are kept."""

import contextlib
import errno
import fcntl
import functools
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator

from gan_jax.types import InUseError

# Of files that are being written; `sweep_temporary` removes what a kill left.
_TEMPORARY = '.tmp.'
# Of file systems that know no locks.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


def cache_dir() -> pathlib.Path:
  """$XDG_CACHE_HOME/gan_jax, or ~/.cache/gan_jax; not made by this call.

  For a user without a home it is a folder that ends with the process.
  """
  root = os.environ.get('XDG_CACHE_HOME')
  if not root:
    try:
      root = pathlib.Path.home() / '.cache'
    except RuntimeError:  # neither $HOME nor an entry of the user
      root = _passing().name
  return pathlib.Path(root) / 'gan_jax'


@functools.cache
def _passing() -> tempfile.TemporaryDirectory:
  """A folder that is removed as the process ends."""
  print(
    'note: there is no home folder, so nothing is cached for the next run; '
    'XDG_CACHE_HOME names a folder for that',
    file=sys.stderr,
  )
  return tempfile.TemporaryDirectory(prefix='gan_jax-')


@contextlib.contextmanager
def atomic(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a temporary name of the same suffix; renames it on success."""
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, name = tempfile.mkstemp(
    dir=path.parent,
    prefix=f'{_TEMPORARY}{os.getpid()}.{path.stem}.',
    suffix=path.suffix,
  )
  os.close(handle)
  temporary = pathlib.Path(name)
  try:
    yield temporary
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


def sweep_temporary(*folders: pathlib.Path) -> None:
  """Removes what `atomic` had begun in these folders when it was killed.

  What belongs to a process that lives, of this machine, stays.
  """
  for folder in folders:
    for path in folder.glob(f'{_TEMPORARY}*'):
      owner = path.name.removeprefix(_TEMPORARY).split('.')[0]
      if not (owner.isdigit() and _lives(int(owner))):
        with contextlib.suppress(OSError):
          path.unlink()


def _lives(process: int) -> bool:
  try:
    os.kill(process, 0)
  except (ProcessLookupError, OverflowError):
    return False
  except PermissionError:
    pass
  return True


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
  """Holds a folder against other processes; the lock dies with its owner.

  It is advisory and the system's own (`flock` on `.lock`), so nothing stays
  behind after a kill. On network file systems it holds as far as they do.

  Raises:
    InUseError: another process has it; the message names it.
  """
  handle = os.open(folder / '.lock', os.O_RDWR | os.O_CREAT, 0o666)
  try:
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      owner = os.pread(handle, 200, 0).decode(errors='replace').strip()
      raise InUseError(
        f'workdir: {folder} is in use by {owner or "another process"}; wait '
        'until it ends, or name another --workdir'
      ) from error
    except OSError as error:
      if error.errno not in _NO_LOCKS:
        raise
      print(
        f'warning: {folder} cannot be locked ({error.strerror}); see to it '
        'that one process alone trains there',
        file=sys.stderr,
      )
    with contextlib.suppress(OSError):  # a full disk takes no name
      os.ftruncate(handle, 0)
      os.pwrite(handle, f'process {os.getpid()} on {_host()}'.encode(), 0)
    yield
  finally:
    os.close(handle)


def _host() -> str:
  return os.uname().nodename

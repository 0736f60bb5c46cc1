"""How a command ends when it cannot go on: one line, and an exit code.

docs/reliability.md lists the codes.
"""

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO


def fail(message: object, code: int = 2) -> NoReturn:
  """Prints one line and ends with an exit code, that of bad input if not told.

  Imports nothing: help and mistakes in flags come at once.
  """
  line = ' '.join(str(message).split())
  line = ''.join(c if c.isprintable() else '?' for c in line)
  with contextlib.suppress(OSError):  # nobody reads it
    print('error:', line, file=sys.stderr)
  sys.exit(code)


def program() -> str:
  """How this program was called: `python run.py`, or `gan-jax`."""
  own = os.path.basename(sys.argv[0]).startswith('gan-jax')
  return 'gan-jax' if own else 'python run.py'


_GONE = (OSError, ValueError)  # of a stream: its end is gone, it is closed


class _Screen:
  """A stream whose end may be gone: what nobody reads stops nothing.

  A pipe to a program that has ended, a log file on a full disk, or a terminal
  without the letters of a name would else end the training. A letter that the
  stream cannot hold is escaped.
  """

  def __init__(self, stream: TextIO, *, main_thread: bool = False):
    """Wraps a stream.

    Args:
      stream: to write to.
      main_thread: drop what other threads write. Where a disk is full, threads
        of the checkpoint library print tracebacks of what it also raises, and
        what is then said in a line.
    """
    self._stream, self._main_thread = stream, main_thread

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)

  def write(self, text: str) -> int:
    """Writes, or not."""
    own = threading.current_thread() is threading.main_thread()
    if own or not self._main_thread:
      encoding = self._stream.encoding or 'utf-8'
      known = text.encode(encoding, 'backslashreplace').decode(encoding)
      with contextlib.suppress(*_GONE):
        self._stream.write(known)
    return len(text)

  def flush(self) -> None:
    """Puts on the screen what has been written, or not."""
    with contextlib.suppress(*_GONE):
      self._stream.flush()


def _open_closed() -> None:
  """Gives standard streams that the caller has closed (`>&-`) to nobody.

  Else the next file that is opened takes their number, and what a library
  prints ends up in it.
  """
  for number in range(3):
    try:
      os.fstat(number)
    except OSError:
      os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


@contextlib.contextmanager
def _screens() -> Iterator[None]:
  """Standard output and errors as `_Screen`s."""
  _open_closed()
  out, error = sys.stdout, sys.stderr  # None: closed from the start
  with open(os.devnull, 'w', encoding='utf-8') as nobody:
    sys.stdout = _Screen(out or nobody)
    sys.stderr = _Screen(error or nobody, main_thread=True)
    try:
      yield
    finally:
      for stream in filter(None, (out, error)):
        try:
          stream.flush()
        except ValueError:  # closed since: nothing is left to be written
          pass
        except OSError:  # the interpreter would try again, and say so
          os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
      sys.stdout, sys.stderr = out, error


# What an interruption has cost, by mode; a training that has begun ends in its
# own way.
_INTERRUPTED = {
  'train': 'interrupted before training began; nothing was lost',
  'evaluate': 'interrupted; nothing was written',
  'diagnose': 'interrupted; nothing was written',
}


@contextlib.contextmanager
def one_line(mode: str = 'train') -> Iterator[None]:
  """Turns what a user, a disk or a signal can cause into `fail`.

  Args:
    mode: what is done within; an interruption's line depends on it.
  """
  from gan_jax.process import hosts
  from gan_jax.process.quiet import libraries_quiet
  from gan_jax.types import InputError, Stopped, StorageError

  def end(message: object, code: int) -> NoReturn:
    try:
      fail(message, code)
    finally:
      hosts.leave_in_turn(code)

  libraries_quiet()
  with _screens():
    try:
      yield
    except (InputError, Stopped) as error:
      end(error, error.exit_code)
    except OSError as error:
      where = error.filename or 'disk'
      code = StorageError.exit_code
      if error.errno == errno.ENAMETOOLONG:  # whose name the user gave
        code = InputError.exit_code
      end(f'{where}: {error.strerror or error}', code)
    except KeyboardInterrupt:
      try:
        fail(_INTERRUPTED.get(mode, 'interrupted'), 130)
      finally:  # a compilation that was broken off crashes an orderly end
        hosts.leave_at_once(130)
    except (MemoryError, RuntimeError) as error:
      full = isinstance(error, MemoryError) or 'RESOURCE_EXHAUSTED' in str(
        error
      )
      if not full:
        raise
      end(
        'batch_size: this run needs more memory than there is; take a smaller '
        f'one, micro_batch, or a smaller network ({str(error)[:120]})',
        InputError.exit_code,
      )

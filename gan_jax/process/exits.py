"""How a command ends when it cannot go on: one line, and an exit code.

docs/reliability.md lists the codes.
"""

import contextlib
import logging
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


class _Screen:
  """A stream whose end may be gone: what nobody reads stops nothing.

  A pipe to a program that has ended, or a log file on a full disk, would else
  end the training.
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
      with contextlib.suppress(OSError):
        self._stream.write(text)
    return len(text)

  def flush(self) -> None:
    """Puts on the screen what has been written, or not."""
    with contextlib.suppress(OSError):
      self._stream.flush()


@contextlib.contextmanager
def _screens() -> Iterator[None]:
  """Standard output and errors as `_Screen`s."""
  out, error = sys.stdout, sys.stderr
  sys.stdout = _Screen(out)
  sys.stderr = _Screen(error, main_thread=True)
  try:
    yield
  finally:
    for stream in (out, error):
      try:
        stream.flush()
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
  from gan_jax.types import InputError, Stopped, StorageError

  def end(message: object, code: int) -> NoReturn:
    try:
      fail(message, code)
    finally:
      hosts.leave_in_turn(code)

  # It prints what tasks of the checkpoint library raise, as they are collected.
  logging.getLogger('asyncio').setLevel(logging.CRITICAL)
  with _screens():
    try:
      yield
    except (InputError, Stopped) as error:
      end(error, error.exit_code)
    except OSError as error:
      where = error.filename or 'disk'
      end(f'{where}: {error.strerror or error}', StorageError.exit_code)
    except KeyboardInterrupt:
      end(_INTERRUPTED.get(mode, 'interrupted'), 130)
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

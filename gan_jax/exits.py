"""How a command ends when it cannot go on: one line, and an exit code.

docs/reliability.md lists the codes.
"""

import contextlib
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
  print('error:', line, file=sys.stderr)
  sys.exit(code)


class _MainThread:
  """A stream that drops what other threads write.

  Where a disk is full, threads of the checkpoint library print tracebacks of
  what it also raises, and what is then said in a line.
  """

  def __init__(self, stream: TextIO):
    self._stream = stream

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)

  def write(self, text: str) -> int:
    """Writes, or not."""
    if threading.current_thread() is threading.main_thread():
      return self._stream.write(text)
    return len(text)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
  """Turns what a user, a disk or a signal can cause into `fail`."""
  from gan_jax.types import InputError, Stopped, StorageError

  screen, sys.stderr = sys.stderr, _MainThread(sys.stderr)
  try:
    yield
  except (InputError, Stopped) as error:
    fail(error, error.exit_code)
  except OSError as error:
    where = error.filename or 'disk'
    fail(f'{where}: {error.strerror or error}', StorageError.exit_code)
  except KeyboardInterrupt:
    fail('interrupted before training began; nothing was lost', 130)
  except (MemoryError, RuntimeError) as error:
    if not (
      isinstance(error, MemoryError) or 'RESOURCE_EXHAUSTED' in str(error)
    ):
      raise
    fail(
      'batch_size: this run needs more memory than there is; take a smaller '
      f'one, micro_batch, or a smaller network ({str(error)[:120]})'
    )
  finally:
    sys.stderr = screen

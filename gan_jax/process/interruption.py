"""SIGTERM and SIGINT: once ends a run in good order, twice at once.

Python runs its own signal handlers between two of its instructions, which a
long computation puts off. So a thread reads what the system's handler writes
into a pipe, and can end the process while the main thread is computing.
"""

import contextlib
import os
import signal
import threading
import time
from types import TracebackType

from gan_jax.process import hosts

SIGNALS = (signal.SIGTERM, signal.SIGINT)
TOGETHER = (
  1.0  # seconds in which signals to a whole group of processes count once
)


_OPEN: list['StopRequest'] = []


def asked_to_stop() -> bool:
  """Whether a signal has asked a run for its end: for long work inside it."""
  return any(request.requested for request in _OPEN)


class StopRequest:
  """Whether a signal has asked for the end; a context manager.

  Within the context the first signal is only noted. The second one, unless it
  comes within a second, ends the process at once, with 128 + its number:
  checkpoints and files are whole or absent at any moment, so nothing is
  damaged. In another thread than the main one, where Python takes no signals,
  nothing is changed.

  Until `begun` is set there is nothing to save, and the first signal ends the
  process as the second one does: a compilation may take minutes. One of several
  processes always waits for the others.

  Attributes:
    requested: name of the first signal, or None.
    begun: whether a step has been made.
  """

  def __init__(self):
    self.requested: str | None = None
    self.begun = False
    self._old = {}

  def __enter__(self) -> 'StopRequest':
    _OPEN.append(self)
    if threading.current_thread() is not threading.main_thread():
      return self
    self._read, self._write = os.pipe()
    os.set_blocking(self._write, False)
    for number in SIGNALS:
      # Something has to be set, or the system's handler stays.
      self._old[number] = signal.signal(number, lambda *_: None)
    self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
    self._thread = threading.Thread(target=self._listen, daemon=True)
    self._thread.start()
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    _OPEN.remove(self)
    if not self._old:
      return
    signal.set_wakeup_fd(self._old_fd)
    for number, handler in self._old.items():
      signal.signal(number, handler)
    os.close(self._write)
    self._thread.join()
    os.close(self._read)
    self._old = {}

  def _listen(self) -> None:
    while data := os.read(self._read, 1):
      number = data[0]
      if number not in SIGNALS:
        continue
      name, now = signal.Signals(number).name, time.monotonic()
      if not self.begun and hosts.count() == 1:
        _say(f'error: {name}: ended before a step was made; nothing was lost')
        os._exit(128 + number)
      if self.requested is None:
        self.requested, first = name, now
        _say(
          f'{name}: a checkpoint is written after this dispatch; a second '
          'signal ends the run at once'
        )
      elif now - first > TOGETHER:
        _say(
          f'error: {name}: ended at once; the same command goes on from the '
          'newest checkpoint, or from the start where there is none'
        )
        os._exit(128 + number)


def _say(line: str) -> None:
  """Not through `print`, whose lock the main thread may hold."""
  with contextlib.suppress(OSError):
    os.write(2, f'\n{line}\n'.encode())

"""Several processes, on one host or many, that train one run.

Every process runs the same program on its share of each batch. The first one
(`is_first`) writes logs and grids; all take part in checkpoints. Who is lost
takes the others along within `LOST_AFTER` seconds, instead of leaving them to
wait for ever.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from gan_jax.types import InputError, LostProcessError, Stopped

T = TypeVar('T')

JOIN_WITHIN = 120  # seconds for all processes to come
HEARTBEAT = 30  # seconds without a sign of life after which one is lost
LOST_AFTER = 60  # seconds in which the others end, at the most

_place = (0, 1)  # of this process, and how many there are


def is_first() -> bool:
  """Whether this process is the one that writes."""
  return _place[0] == 0


def index() -> int:
  """The number of this process, from 0 on."""
  return _place[0]


def count() -> int:
  """How many processes train this run."""
  return _place[1]


def check(
  coordinator: str, num_processes: int | None, process_id: int | None
) -> None:
  """Raises InputError unless the flags name this process's place."""
  if coordinator == 'auto':
    if num_processes is not None or process_id is not None:
      raise InputError(
        '--coordinator=auto finds num_processes and process_id by itself; '
        'leave them out'
      )
    return
  if not re.fullmatch(r'.+:\d{1,5}', coordinator):
    raise InputError(
      f'--coordinator: {coordinator!r} is not HOST:PORT of the first process, '
      'nor auto'
    )
  if num_processes is None or process_id is None:
    raise InputError(
      '--coordinator needs --num_processes=N and --process_id=I, from 0 to '
      'N - 1, or --coordinator=auto under SLURM, Open MPI or on cloud TPUs'
    )
  if not 0 <= process_id < num_processes:
    raise InputError(
      f'--process_id: {process_id} is not between 0 and num_processes - 1 = '
      f'{num_processes - 1}'
    )


def join(
  coordinator: str,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Joins the other processes; before any use of devices.

  Args:
    coordinator: HOST:PORT of the first process, or auto: found by JAX under
      SLURM, Open MPI and on cloud TPUs.
    num_processes: how many there are; None with auto.
    process_id: the number of this one; None with auto.

  Raises:
    InputError: the flags make no sense, or nothing was found.
    LostProcessError: the others did not come.
  """
  global _place
  check(coordinator, num_processes, process_id)
  import jax

  # It would take SIGTERM for itself; see gan_jax/process/interruption.py.
  jax.config.update('jax_enable_preemption_service', False)
  by_hand = coordinator != 'auto'
  try:
    jax.distributed.initialize(
      coordinator if by_hand else None,
      num_processes,
      process_id,
      cluster_detection_method='deactivate' if by_hand else None,
      initialization_timeout=JOIN_WITHIN,
      heartbeat_timeout_seconds=HEARTBEAT,
      shutdown_timeout_seconds=HEARTBEAT,
    )
  except (ValueError, RuntimeError) as error:
    reason = ' '.join(str(error).split())[:200]
    if not by_hand:
      raise InputError(
        f'--coordinator=auto: no cluster was found ({reason}); give '
        '--coordinator=HOST:PORT --num_processes=N --process_id=I'
      ) from error
    raise LostProcessError(
      f'process {process_id} of {num_processes} could not join {coordinator} '
      f'within {JOIN_WITHIN} s: {reason}; start all processes, with one '
      '--coordinator that they can reach'
    ) from error
  _place = jax.process_index(), jax.process_count()


def enter(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
  """As `join`, for a command: with a process that says how this one ended.

  Without any of the flags it does nothing.
  """
  if coordinator is None:
    if num_processes is not None or process_id is not None:
      raise InputError(
        '--num_processes and --process_id need --coordinator=HOST:PORT'
      )
    return
  check(coordinator, num_processes, process_id)
  supervise()
  sys.excepthook = _fall
  join(coordinator, num_processes, process_id)


def _fall(kind: Any, error: Any, trace: Any) -> None:
  """A fault of ours ends this process at once, so that the others notice."""
  sys.__excepthook__(kind, error, trace)
  leave_at_once(1)


def agree(function: Callable[[], T], *, everywhere: bool = True) -> T | None:
  """Calls a function on the first process, then on the others.

  For what must not be done twice at a time, such as preparing a dataset on a
  disk that they share. If the first process refuses its input, all do.

  Args:
    function: its result is each process's own.
    everywhere: False leaves it to the first; the others get None.

  Raises:
    InputError: of the function, on any process; that the first cannot write
      is refused by all of several as one.
  """
  if count() == 1:
    return function()
  refused, result = '', None
  if is_first():
    try:
      result = function()
    except (InputError, OSError) as error:
      refused = str(error)
  refused = broadcast(refused)
  if refused:
    raise InputError(refused)
  return result if is_first() or not everywhere else function()


def broadcast(value: Any) -> Any:
  """The first process's value, as JSON takes it, on every process."""
  if count() == 1:
    return value
  import numpy as np
  from jax.experimental import multihost_utils

  text = json.dumps(value).encode() if is_first() else b''
  (size,) = multihost_utils.broadcast_one_to_all(np.array([len(text)]))
  padded = np.zeros(int(size), np.uint8)
  if is_first():
    padded[:] = np.frombuffer(text, np.uint8)
  sent = multihost_utils.broadcast_one_to_all(padded)
  return json.loads(np.asarray(sent, np.uint8).tobytes())


def lost(error: Exception) -> LostProcessError | None:
  """What an error of the runtime says of another process, if it does."""
  text = ' '.join(str(error).split())
  signs = (
    'Gloo',
    'coordination',
    'heartbeat',
    'NCCL',
    'UNAVAILABLE',
    'Barrier',
  )
  if count() == 1 or not any(sign in text for sign in signs):
    return None
  return LostProcessError(
    f'another of the {count()} processes is gone ({text[:120]}); start all of '
    'them again: they go on from the newest checkpoint'
  )


@contextlib.contextmanager
def noticed() -> Iterator[None]:
  """Within it, an error that means that another process is gone is taken so."""
  try:
    yield
  except (InputError, Stopped):
    raise
  except (RuntimeError, ValueError) as error:  # as JAX raises one or the other
    leave_if_lost(error)
    raise


def leave_in_turn(code: int) -> None:
  """Ends one of several processes without waiting for the others.

  They may be in a computation that this one will not join. The first goes a
  second later: it serves the others, who may have a line of their own to say.
  """
  if count() > 1:
    if is_first():
      time.sleep(1.0)
    leave_at_once(code)


def leave_if_lost(error: Exception) -> None:
  """Says so and ends the process, if an error means that another is gone.

  What is open is left as it is: to close it would mean waiting for the others.
  """
  gone = lost(error)
  if gone is not None:
    print(f'error: {gone}', file=sys.stderr)
    leave_at_once(gone.exit_code)


def leave_at_once(code: int) -> NoReturn:
  """Ends without waiting for the others, who may be gone."""
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError):
      stream.flush()
  os._exit(code)


def supervise() -> None:
  """Goes on in a child; this process stays, to say how the child has ended.

  JAX's runtime aborts a process whose peers are gone, from a thread of its
  own: nothing in that process can say a word, or choose its exit code. So one
  that holds nothing but its child waits for it, passes signals on, and turns
  the abort into one line and an exit code.
  """
  parent, child = os.getpid(), os.fork()
  if child == 0:
    _die_with(parent)
    return
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: _pass_on(child, number))
  _, status = os.waitpid(child, 0)
  code = os.waitstatus_to_exitcode(status)
  if code == -signal.SIGABRT:
    print(
      'error: another process of this run is gone, or cannot be reached; start '
      'all of them again: they go on from the newest checkpoint',
      file=sys.stderr,
    )
    code = LostProcessError.exit_code
  leave_at_once(code if code >= 0 else 128 - code)


def _pass_on(child: int, number: int) -> None:
  with contextlib.suppress(ProcessLookupError):
    os.kill(child, number)


def _die_with(parent: int) -> None:
  """The child is killed when its parent is, where the system can do that."""
  if sys.platform == 'linux':
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
      os._exit(1)

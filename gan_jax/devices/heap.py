"""What glibc's allocator holds beside what is in use. Nothing where it is not.

Compiling takes a hundred MiB for a moment. Freed, they stay with the process:
the highest resident memory of a run is then that of its compiler, to which the
maps of a step come on top.
"""

import ctypes
import functools
import resource


def peak() -> int:
  """The most memory that this process has held, in a unit of the system's."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def give_back(before: int) -> None:
  """Returns freed memory to the system if the peak has risen since `before`.

  Only then can it lower a later one: a process that compiles many programs
  would otherwise give and take the same pages again and again.
  """
  if _libc() and peak() > before:
    _libc().malloc_trim(0)


@functools.cache
def _libc() -> ctypes.CDLL | None:
  """The C library, if it is glibc."""
  try:
    libc = ctypes.CDLL('libc.so.6')
    return libc if hasattr(libc, 'malloc_trim') else None
  except OSError:  # macOS, musl
    return None

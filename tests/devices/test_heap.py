"""What the allocator keeps, and what it gives back."""

import ctypes
import pathlib

import pytest

from gan_jax.devices import heap
from tests.conftest import resident

glibc = pytest.mark.skipif(
  not heap._libc(), reason='the C library is not glibc'
)
SMALL, NUM = 2**15, 2_000  # bytes of a block, of the heap; 62 MiB in all


@pytest.fixture
def freed():
  """Freed memory that the process still has, below a block in use."""
  libc = ctypes.CDLL('libc.so.6')  # its own, of which a type is set
  libc.malloc.restype = ctypes.c_void_p
  blocks = [libc.malloc(ctypes.c_size_t(SMALL)) for _ in range(NUM)]
  for block in blocks:
    ctypes.memset(block, 1, SMALL)
  for block in blocks[:-1]:
    libc.free(ctypes.c_void_p(block))
  yield
  libc.free(ctypes.c_void_p(blocks[-1]))


@glibc
@pytest.mark.skipif(
  not pathlib.Path('/proc/self/statm').exists(), reason='no /proc'
)
def test_memory_is_given_back_after_a_new_peak(freed):
  before, half = resident(), SMALL * NUM // 2
  heap.give_back(heap.peak())
  assert resident() > before - half
  heap.give_back(heap.peak() - 1)
  assert resident() < before - half

"""What libraries say on the screen, kept from it."""

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def absl_quiet() -> Iterator[None]:
  """Keeps absl's advice (install OpenCV, ...) out of the terminal."""
  logger = logging.getLogger('absl')
  level = logger.level
  logger.setLevel(max(level, logging.ERROR))
  try:
    yield
  finally:
    logger.setLevel(level)


def libraries_quiet() -> None:
  """Keeps from the screen what libraries say of caches, for good.

  Where matplotlib cannot write its own it takes a temporary one, and JAX
  compiles anew: neither is worth a line in each run.
  """
  logging.getLogger('matplotlib').setLevel(logging.ERROR)
  warnings.filterwarnings('ignore', 'Error (reading|writing) persistent comp')
  # It prints what tasks of the checkpoint library raise, as they are collected.
  logging.getLogger('asyncio').setLevel(logging.CRITICAL)

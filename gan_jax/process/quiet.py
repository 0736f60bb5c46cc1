"""What libraries say on the screen, kept from it."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def absl_quiet() -> Iterator[None]:
  """Keeps absl's advice (install OpenCV, ...) out of the terminal."""
  logger = logging.getLogger('absl')
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)

"""Decoded images, kept in the user's cache from one run to the next.

Decoding 50,000 small JPEGs takes seconds, reading their pixels back a tenth of
one. A file holds a split as it was asked for (size, channels, fit), with a
stamp of what it was made from: where that differs, it is written anew. All of
`decoded/` can be deleted at any time.
"""

import contextlib
import importlib.metadata
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gan_jax.storage.cache import digest_of, load_arrays, save_arrays
from gan_jax.storage.files import cache_dir

FORMAT = 1  # of the files; older ones are ignored
MOST = 2 * 2**30  # bytes of a split; of more, nothing is kept
WORTH = 0.5  # seconds of reading; what takes less is not kept
_DECODERS = ('pillow', 'tensorflow-datasets')


def read_once(
  what: Any,
  fingerprint: Callable[[], Any],
  read: Callable[[], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """What `read` gives, from the cache if it was read before.

  A cache that cannot be read or written costs time and nothing else.

  Args:
    what: JSON value that names what is read, and the form it is brought to.
    fingerprint: gives a JSON value of all that the arrays depend on; an
      OSError means that it cannot be told, and nothing is kept.
    read: reads and decodes.
  """
  try:
    stamp = digest_of([FORMAT, _decoders(), fingerprint()])
  except OSError:
    return read()
  path = cache_dir() / 'decoded' / f'{digest_of(what)[:32]}.npz'
  kept = load_arrays(path)
  if kept is not None and kept.pop('stamp', '') == stamp:
    return kept
  started = time.monotonic()
  arrays = read()
  took = time.monotonic() - started
  if took >= WORTH and sum(x.nbytes for x in arrays.values()) <= MOST:
    save_arrays(path, **arrays, stamp=np.array(stamp))
  return arrays


def _decoders() -> dict[str, str]:
  """Versions of what decodes and resizes."""
  versions = {}
  for package in _DECODERS:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[package] = importlib.metadata.version(package)
  return versions

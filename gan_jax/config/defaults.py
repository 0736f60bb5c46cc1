"""The keys of configs/base.py, with their defaults and what they mean."""

import functools
import pathlib
import sys
import types
from typing import Any, NamedTuple

from gan_jax.config import key_help
from gan_jax.config.overrides import dotted


class Base(NamedTuple):
  """What the base says of each dotted key.

  Attributes:
    values: its default.
    meanings: the comment beside it.
  """

  values: dict[str, Any]
  meanings: dict[str, str]


def base() -> Base:
  """What configs/base.py says, which every config of a run has imported.

  Nothing of it is known where nobody has: nothing is run for it.
  """
  module = sys.modules.get('configs.base')
  return Base({}, {}) if module is None else _read(module)


@functools.cache
def _read(module: types.ModuleType) -> Base:
  values = {
    key: list(value) if isinstance(value, tuple) else value
    for key, value in dotted(module.get_config().to_dict()).items()
  }
  source = pathlib.Path(module.__file__).read_text()
  return Base(values, key_help.meanings(source))


def changed(flat: dict[str, Any]) -> dict[str, Any]:
  """The keys of a flat config that are not as in the base, in its order."""
  known = base().values
  return {
    key: flat[key] for key in known if key in flat and flat[key] != known[key]
  } | {key: value for key, value in flat.items() if known and key not in known}

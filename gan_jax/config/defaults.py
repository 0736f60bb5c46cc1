"""The keys of configs/base.py, with their defaults and what they mean."""

import functools
import importlib.util
from typing import Any, NamedTuple

from gan_jax.config import key_help
from gan_jax.config.overrides import dotted
from gan_jax.process.command import folder


class Base(NamedTuple):
  """What the base says of each dotted key.

  Attributes:
    values: its default.
    meanings: the comment beside it.
  """

  values: dict[str, Any]
  meanings: dict[str, str]


@functools.cache
def base() -> Base:
  """Reads configs/base.py, which lies where run.py does.

  Nothing of it is known where it is not: of a package that was copied alone.
  """
  path = folder() / 'configs' / 'base.py'
  if not path.is_file():
    return Base({}, {})
  spec = importlib.util.spec_from_file_location('gan_jax_base', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  values = {
    key: list(value) if isinstance(value, tuple) else value
    for key, value in dotted(module.get_config().to_dict()).items()
  }
  return Base(values, key_help.meanings(path.read_text()))


def changed(flat: dict[str, Any]) -> dict[str, Any]:
  """The keys of a flat config that are not as in the base, in its order."""
  known = base().values
  return {
    key: flat[key] for key in known if key in flat and flat[key] != known[key]
  } | {key: value for key, value in flat.items() if known and key not in known}

"""Config keys as the command line names them: dotted, one at a time."""

import pathlib
import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

# Keys that a run may change when it goes on: they do not touch what the
# remaining steps compute, but for rounding (`num_devices`). Where the data lies
# may change, and whether broken files are left out; that it is the same data is
# checked by its version.
MAY_CHANGE = (
  'num_steps',
  'num_devices',
  'steps_per_dispatch',
  'log_every',
  'sample_every',
  'checkpoint_every',
  'keep_checkpoints',
  'data.dir',
  'data.cache',
  'data.cache_mb',
  'data.decoded_cache',
  'data.skip_broken',
  'member',
  'sample.',
  'interpolate.',
  'eval.',
  'diagnose.',
  'non_finite.',
)


def may_change(key: str) -> bool:
  """Whether a dotted key may differ when a run is resumed or sampled."""
  return any(
    key == name or (name.endswith('.') and key.startswith(name))
    for name in MAY_CHANGE
  )


def section(config: Any) -> dict[str, Any]:
  """A section of a config as keyword arguments."""
  return dict(config.items() if hasattr(config, 'items') else vars(config))


def replaced(config: Any, values: Mapping[str, Any]) -> SimpleNamespace:
  """A copy of a config with other values, of any type, at dotted keys."""
  fields = section(config)
  for key, value in values.items():
    head, _, rest = key.partition('.')
    fields[head] = replaced(fields[head], {rest: value}) if rest else value
  return SimpleNamespace(**fields)


def default_workdir(config_file: str, overrides: Mapping[str, Any]) -> str:
  """runs/NAME,KEY=VALUE,...: one folder for each model of each config file.

  Keys that a run may change later are left out, so that the same model with
  more steps goes on in the same folder; where the data lies stays in, because
  it often says which data.

  Args:
    config_file: FILE or FILE:ARG.
    overrides: dotted keys of the command line.
  """
  path, *argument = config_file.split(':', 1)
  parts = [
    f'{key}={value}'
    for key, value in overrides.items()
    if not may_change(key) or key == 'data.dir'
  ]
  name = ','.join([pathlib.Path(path).stem, *argument, *sorted(parts)])
  return 'runs/' + re.sub(r'[^\w.,=+-]+', '_', name)


def with_config_file(
  arguments: Sequence[str], folder: pathlib.Path, default: str = 'mlp_digits'
) -> list[str]:
  """Arguments whose --config names a file, also where it named one of ours.

  Args:
    arguments: the command line, without the program.
    folder: of the config files that come with the project.
    default: name of the one that is meant if there is no --config.
  """
  if not any(re.match('--?config(=|$)', argument) for argument in arguments):
    return [f'--config={folder / default}.py', *arguments]

  def located(argument):
    flag, name, rest = re.match(r'(--?config=)?([^:]*)(.*)', argument).groups()
    file = folder / f'{pathlib.Path(name).stem}.py'
    if flag and not pathlib.Path(name).exists() and file.exists():
      return f'{flag}{file}{rest}'
    return argument

  return list(map(located, arguments))


def unknown_key(
  config: Mapping[str, Any], arguments: Sequence[str]
) -> str | None:
  """Says which `--config.KEY` names no key, and which keys there are.

  Args:
    config: with all keys.
    arguments: the command line.
  """
  for argument in arguments:
    override = re.match(r'--?(?:no)?config\.([^=]+)', argument)
    section, seen = config, []
    for key in override[1].split('.') if override else ():
      valid = sorted(section) if hasattr(section, 'keys') else []
      seen.append(key)
      if key not in valid:
        name, listed = '.'.join(seen), ', '.join(valid) or 'none'
        return f'unknown config key {name!r}; valid here: {listed}'
      section = section[key]
  return None


def forget_replaced(
  config: Any,
  base: Mapping[str, Any],
  original: Mapping[str, Any],
  overrides: Mapping[str, Any],
) -> None:
  """Clears, in place, what belonged to a name that the command line replaced.

  `--config.network.name=dcgan` on a config file for an MLP leaves the MLP's
  widths behind; `--config.gen_optimizer.name=sgd` leaves Adam's betas.

  Args:
    config: with the overrides in it.
    base: where the optional keys of a section are None.
    original: the config file's own keys, without the overrides.
    overrides: dotted keys of the command line; these stay.
  """
  for section in base:
    name = overrides.get(f'{section}.name')
    if name is not None and name != original[section]['name']:
      for key, default in base[section].items():
        if default is None and f'{section}.{key}' not in overrides:
          config[section][key] = None

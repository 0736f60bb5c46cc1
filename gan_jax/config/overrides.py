"""Config keys as the command line names them: dotted, one at a time."""

import difflib
import functools
import hashlib
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from gan_jax.process.exits import fail, one_line

# Keys that a run may change when it goes on: they do not touch what the
# remaining steps compute, but for rounding (numbers of devices). Where the data
# lies may change, and whether broken files are left out; that it is the same is
# checked by its version.
MAY_CHANGE = (
  'num_steps',
  'num_devices',
  'cpu_devices',
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
  'text.weights',
  'member',
  'sample.',
  'interpolate.',
  'translate.',
  'upscale.',
  'orbit.',
  'guide.',
  'edit.',
  'invert.',
  'denoise.',
  'eval.',
  'search.',
  'export.',
  'explore.',
  'diagnose.',
  'non_finite.',
)

_LONGEST = 200  # bytes of a folder's name; file systems take 255


def may_change(key: str) -> bool:
  """Whether a dotted key may differ when a run is resumed or sampled."""
  return any(
    key == name or (name.endswith('.') and key.startswith(name))
    for name in MAY_CHANGE
  )


def section(config: Any) -> dict[str, Any]:
  """A section of a config as keyword arguments."""
  return dict(config.items() if hasattr(config, 'items') else vars(config))


def value_at(config: Any, key: str) -> Any:
  """The value of a dotted key; raises AttributeError if there is none."""
  return functools.reduce(getattr, key.split('.'), config)


def replaced(config: Any, values: Mapping[str, Any]) -> SimpleNamespace:
  """A copy of a config with other values, of any type, at dotted keys."""
  fields = section(config)
  for key, value in values.items():
    head, _, rest = key.partition('.')
    fields[head] = replaced(fields[head], {rest: value}) if rest else value
  return SimpleNamespace(**fields)


def workdir(
  config_file: str, overrides: Mapping[str, Any], folder: str = 'runs'
) -> str:
  """FOLDER/NAME,KEY=VALUE,...: one folder for each model of each config file.

  Keys that a run may change later are left out, so that the same model with
  more steps goes on in the same folder; where the data lies stays in, because
  it often says which data. A name that is too long for a file system ends in a
  digest of the whole.

  Args:
    config_file: FILE or FILE:ARG.
    overrides: dotted keys of the command line.
    folder: that it lies in.
  """
  path, *argument = config_file.split(':', 1)
  parts = [
    f'{key}={value}'
    for key, value in overrides.items()
    if not may_change(key) or key == 'data.dir'
  ]
  whole = ','.join([pathlib.Path(path).stem, *argument, *sorted(parts)])
  name = re.sub(r'[^\w.,=+-]+', '_', whole)
  if len(name.encode()) > _LONGEST:
    digest = hashlib.sha256(whole.encode(errors='surrogatepass')).hexdigest()
    start = name.encode()[: _LONGEST - 17].decode(errors='ignore')
    name = f'{start},{digest[:16]}'
  return f'{folder}/{name}'


def take(arguments: Sequence[str], flag: str) -> tuple[list[str], list[str]]:
  """The values of a flag, wherever it stands, and the other arguments.

  Args:
    arguments: the command line, without the program.
    flag: its name, without dashes.
  """
  values, others, rest = [], [], iter(arguments)
  for argument in rest:
    found = re.fullmatch(f'--?{flag}(?:=(.*))?', argument, re.S)
    if not found:
      others.append(argument)
    else:
      values.append(next(rest, '') if found[1] is None else found[1])
  return values, others


def run_plugins(arguments: Sequence[str]) -> None:
  """Runs what --plugin names, wherever and however often it stands.

  Ends the program if a plugin fails.

  Args:
    arguments: the command line, without the program.
  """
  names, _ = take(arguments, 'plugin')
  if names:
    from gan_jax.process import plugins  # not to wait for JAX

    with one_line():
      plugins.run(names)


def config_file(
  arguments: Sequence[str], folder: pathlib.Path, default: str = 'mlp_digits'
) -> tuple[str, list[str]]:
  """Which file --config names, wherever it stands; the last one counts.

  Ends the program if there is no such file.

  Args:
    arguments: the command line, without the program.
    folder: of the config files that come with the project.
    default: name of the one that is meant if there is no --config.

  Returns:
    FILE[:ARG], and the arguments with `--config=FILE[:ARG]` before the others,
    as ml_collections wants it.
  """
  asked, others = take(arguments, 'config')
  name, colon, argument = [default, *asked][-1].partition(':')
  path = pathlib.Path(name)
  if not path.is_file() and str(path.parent) in ('.', folder.name):
    path = folder / f'{path.stem}.py'  # NAME, or configs/NAME.py from anywhere
  if name and path.exists() and not path.is_dir():
    found = f'{path}{colon}{argument}'
    return found, [f'--config={found}', *others]
  known = {file.stem for file in folder.glob('[a-z]*.py')} - {'base'}
  close = ', '.join(nearest(pathlib.Path(name).stem, known))
  fail(
    f'config: cannot load {name}: there is no such file; nearest in '
    f'{folder.name}/: {close}'
  )


def dotted(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """All keys of a nested config by their dotted names."""
  found = {}
  for key, value in config.items():
    if hasattr(value, 'items'):
      found |= dotted(value, f'{prefix}{key}.')
    else:
      found[f'{prefix}{key}'] = value
  return found


def nearest(name: str, known: Iterable[str], num: int = 3) -> list[str]:
  """The `num` known names that are most like one, best first."""
  return difflib.get_close_matches(name, sorted(known), num, cutoff=0.0)


def _by_initials(key: str, known: Iterable[str]) -> list[str]:
  """Keys that are called by their first letters, such as lr."""
  last = key.rpartition('.')[2]
  return [
    name
    for name in known
    if '_' in name.rpartition('.')[2]
    and last == ''.join(x[0] for x in name.rpartition('.')[2].split('_') if x)
  ]


def similar(key: str, known: Iterable[str]) -> list[str]:
  """Three known keys that one may have meant, best first."""
  return [*_by_initials(key, known), *nearest(key, known)][:3]


def unknown_key(
  config: Mapping[str, Any], arguments: Sequence[str]
) -> str | None:
  """Says which `--config.KEY` names no key, and which keys are like it.

  Args:
    config: with all keys.
    arguments: the command line.
  """
  keys = dotted(config)
  for argument in arguments:
    override = re.match(r'--?(?:no)?config\.([^=]+)', argument)
    if override is None:
      continue
    key = override[1]
    if key not in keys and not any(k.startswith(f'{key}.') for k in keys):
      close = ', '.join(similar(key, keys))
      return f'unknown config key {key!r}; nearest: {close}; all: --helpkeys'
  return None


def in_words(error: Exception) -> str:
  """What is wrong with a flag, in a line.

  A ValueError of a config file brings its traceback, of which the end is kept;
  a value that is no number, Python's words for it, which are replaced.
  """
  line = re.sub(r'Error whilst.*\n(?=.)', '', str(error).strip(), flags=re.S)
  line = re.sub(
    r'invalid literal for int\(\) with base 10: (.*)',
    r'\1 is not a whole number',
    line,
  )
  return re.sub(
    r'could not convert string to float: (.*)', r'\1 is not a number', line
  )


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
    original: what the config file itself says, by the same dotted keys.
    overrides: dotted keys of the command line; these stay.
  """
  for section in base:
    name = overrides.get(f'{section}.name')
    if name is not None and name != original[f'{section}.name']:
      for key, default in base[section].items():
        if default is None and f'{section}.{key}' not in overrides:
          config[section][key] = None

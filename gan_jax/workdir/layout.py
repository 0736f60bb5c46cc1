"""A run's folder: everything of a run lies in it, and nothing elsewhere.

config.json        the resolved config
dataset.json       shape, classes and size of the data
environment.json   package versions, git commit, devices, command line
plugins.json       files and modules of the user's that it was trained with
metrics.jsonl      one object a row, with `step`
evaluations.jsonl  scores taken during training, one evaluation a row
metrics.json       scores of the last --mode=evaluate
events.out.*       the same for TensorBoard
samples/           grids, step_00001000.png
losses.png         loss curves
report.html        all of this on one page
scores.png         scores over steps
checkpoints/       orbax, the newest ones
best/              orbax, the one with the best score; of members, one each
failures/          what is needed to repeat a step that was not finite
rollbacks.json     when the run went back, and with which learning rates
damaged/           checkpoints that could not be read
.lock              held while a process trains
"""

import json
import os
import pathlib
import sys
import tempfile
from types import SimpleNamespace
from typing import Any

from gan_jax.config.history import ADDED, completed
from gan_jax.config.overrides import dotted, may_change
from gan_jax.data import DatasetInfo
from gan_jax.process.environment import environment
from gan_jax.storage.files import atomic
from gan_jax.types import InputError


def flatten(config: dict[str, Any]) -> dict[str, Any]:
  """Nested dicts -> one dict with dotted keys; as in JSON, tuples are lists."""
  return dotted(json.loads(json.dumps(config)))


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a value as readable JSON, atomically."""
  with atomic(path) as temporary:
    temporary.write_text(json.dumps(value, indent=2) + '\n')


def absolute(workdir: str | pathlib.Path) -> pathlib.Path:
  """The full path of a workdir, with ~ resolved."""
  try:
    return pathlib.Path(workdir).expanduser().absolute()
  except RuntimeError as error:  # ~nobody
    raise InputError(f'workdir: {workdir}: {error}') from error


def prepare(workdir: str | pathlib.Path, flag: str = 'workdir') -> pathlib.Path:
  """Makes a workdir, or the folder that another flag names.

  Raises:
    InputError: it is a file, or cannot be written.
  """
  path = absolute(workdir)
  if os.path.exists(path) and not path.is_dir():
    raise InputError(f'{flag}: {path} is a file; name a folder')
  try:
    str(path).encode()  # as the checkpoint library does
  except UnicodeEncodeError as error:
    raise InputError(
      f'{flag}: {str(path)!a} is not in UTF-8; name another --{flag}'
    ) from error
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise InputError(
      f'{flag}: cannot write in {path}: {error.strerror}; name another --{flag}'
    ) from error
  return path


_DEEPEST = 10  # objects in objects, of a file of ours


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """A JSON object of a run, or InputError saying why there is none."""
  try:
    value = json.loads(path.read_text())
  except FileNotFoundError as error:
    raise InputError(
      f'workdir: {path} is missing, so {path.parent} holds no run; train '
      'first, or name another --workdir'
    ) from error
  except NotADirectoryError as error:
    raise InputError(
      f'workdir: {path.parent} is a file; name the folder of a run'
    ) from error
  except (OSError, ValueError, RecursionError) as error:
    raise InputError(f'workdir: cannot read {path}: {error}') from error
  if not isinstance(value, dict):
    raise InputError(f'workdir: cannot read {path}: it is no JSON object')
  level, depth = [value], 0
  while level := [x for d in level for x in d.values() if isinstance(x, dict)]:
    depth += 1
    if depth > _DEEPEST:
      raise InputError(f'workdir: cannot read {path}: it is nested too deep')
  return value


def read_config(workdir: pathlib.Path) -> SimpleNamespace:
  """The config of a run, with attributes like the one it was started with."""
  return as_config(config_fields(workdir))


def config_fields(workdir: pathlib.Path) -> dict[str, Any]:
  """The config of a run, nested, with the keys that came later.

  Raises:
    InputError: neither config.json nor a checkpoint can be read.
  """
  return completed(_described(workdir, 'config.json', 'config'))


def _described(workdir: pathlib.Path, name: str, field: str) -> dict[str, Any]:
  """What a file says of a run; the newest checkpoint has the same."""
  try:
    return read_json(workdir / name)
  except InputError as error:
    if not has_checkpoint(workdir):
      raise
    from gan_jax.workdir.checkpoint import Checkpoints  # not to wait for orbax

    folder = workdir / 'checkpoints'
    with Checkpoints(folder, read_only=True) as checkpoints:
      fields = checkpoints.meta().get(field)
    if not isinstance(fields, dict):
      raise
    print(
      f'note: {error}; the newest checkpoint has what was in it',
      file=sys.stderr,
    )
    return fields


def as_config(fields: Any) -> Any:
  """Nested dicts as nested attributes."""
  if not isinstance(fields, dict):
    return fields
  return SimpleNamespace(**{k: as_config(v) for k, v in fields.items()})


def read_info(workdir: pathlib.Path) -> DatasetInfo:
  """What a run knows of its data.

  Raises:
    InputError: there is no run, or its file is not ours.
  """
  fields = _described(workdir, 'dataset.json', 'data')
  return as_info(fields, workdir / 'dataset.json')


def as_info(fields: dict[str, Any], source: pathlib.Path) -> DatasetInfo:
  """The description of a dataset that a JSON object holds.

  Raises:
    InputError: it is none; the message names the source.
  """
  try:
    info = DatasetInfo(**fields)
    return info._replace(
      image_shape=tuple(info.image_shape),
      class_names=tuple(info.class_names),
      columns={name: tuple(shape) for name, shape in info.columns.items()},
      vocabulary=tuple(info.vocabulary),
    )
  except (TypeError, AttributeError) as error:
    raise InputError(
      f'workdir: {source} is not a description of a dataset: {error}'
    ) from error


def check_resumable(workdir: pathlib.Path, config: dict[str, Any]) -> None:
  """Raises InputError if a run with another config is in the workdir.

  A run without a checkpoint has nothing to lose and does not count. The
  message lists the differences. A run that is further than `num_steps` does
  not go back either.

  Args:
    workdir: from `prepare`.
    config: the resolved config, nested.
  """
  steps = saved_steps(workdir)
  if not steps:
    return
  old = flatten(config_fields(workdir))
  check_same(workdir, old, flatten(config))
  reached, wanted = max(steps), config['num_steps']
  if reached > wanted:
    raise InputError(
      f'num_steps: {workdir} is at step {reached} already, and a run does not '
      f'go back to {wanted}; give it {reached} or more, or another --workdir'
    )


def is_of(workdir: pathlib.Path, config: dict[str, Any]) -> bool:
  """Whether the workdir is of a run with this config, or one that it may take.

  Args:
    workdir: from `prepare`.
    config: the resolved config, nested.
  """
  try:
    old = flatten(read_json(workdir / 'config.json'))
    check_same(workdir, old, flatten(config))
  except InputError:
    return has_checkpoint(workdir)
  return True


def has_checkpoint(workdir: pathlib.Path) -> bool:
  """Whether a run in this workdir has got as far as a checkpoint."""
  return bool(saved_steps(workdir))


def saved_steps(workdir: pathlib.Path) -> list[int]:
  """Steps of the checkpoints that are there, in no order."""
  folders = (workdir / 'checkpoints').glob('[0-9]*')
  return [int(folder.name) for folder in folders if folder.name.isdigit()]


def check_data(workdir: pathlib.Path, info: DatasetInfo) -> None:
  """Raises InputError if a run's data is not what it was trained on.

  Args:
    workdir: of the run.
    info: of the data as found now.
  """
  before, now = read_info(workdir)._asdict(), info._asdict()
  # Earlier versions knew the names of files, and nothing of what is in them.
  if now['version'].startswith(f'{before["version"]}, contents '):
    before['version'] = now['version']
  for field in before:
    if before[field] != now[field]:
      raise InputError(
        f'workdir: the data of {workdir} has changed: {field} was '
        f'{before[field]!r}, now {now[field]!r}; bring it back, or name '
        'another --workdir'
      )


def describe_run(
  workdir: pathlib.Path, config: dict[str, Any], info: DatasetInfo
) -> None:
  """Writes what a run is; environment.json keeps one entry a start.

  Args:
    workdir: of the run.
    config: the resolved config, nested.
    info: of its data.
  """
  resumed = has_checkpoint(workdir)
  if resumed:
    check_data(workdir, info)
  starts = []
  if resumed and (workdir / 'environment.json').exists():
    starts = read_json(workdir / 'environment.json').get('starts', [])
  write_json(workdir / 'config.json', config)
  write_json(workdir / 'dataset.json', info._asdict())
  write_json(workdir / 'environment.json', {'starts': [*starts, environment()]})


def check_same(
  workdir: pathlib.Path, old: dict[str, Any], new: dict[str, Any]
) -> None:
  """Raises InputError if keys of a run that may not change have changed.

  Args:
    workdir: of the run, for the message.
    old: its flat config.
    new: the flat config it shall go on with.
  """
  missing, changed = object(), []
  old, new = flatten(ADDED) | old, flatten(ADDED) | new
  for key in sorted(old.keys() | new.keys()):
    if old.get(key, missing) != new.get(key, missing) and not may_change(key):
      changed.append(key)
  if old.get('num_steps') != new.get('num_steps') and _follows_num_steps(new):
    changed.append('num_steps')
  if changed:
    listed = ', '.join(
      f'{key} was {old.get(key, "absent")!r}, now {new.get(key, "absent")!r}'
      for key in changed
    )
    raise InputError(
      f'workdir: {workdir} holds a run with another config: {listed}; name '
      'another --workdir, or give the keys their old values'
    )


def _follows_num_steps(config: dict[str, Any]) -> bool:
  """Whether a schedule ends with the run, and would change course with it."""
  courses = [
    (f'{player}.schedule', 'constant', f'{player}.decay_steps')
    for player in ('gen_optimizer', 'disc_optimizer')
  ]
  courses.append(('tricks.top_k_share', 1.0, 'tricks.top_k_steps'))
  if config.get('tricks.noise_std'):
    courses.append(('tricks.noise_schedule', 'constant', 'tricks.noise_steps'))
  stages = [config] + [config | values for _, values in config['stages']]
  return any(
    stage.get(name, still) != still and not stage.get(steps)
    for stage in stages
    for name, still, steps in courses
  )


def check_overrides(
  workdir: str | pathlib.Path, overrides: dict[str, Any]
) -> None:
  """Raises InputError for a key that a finished run cannot take any more.

  Args:
    workdir: of the run that is to be sampled or scored.
    overrides: dotted keys of the command line.
  """
  if not overrides:
    return
  path = absolute(workdir)
  trained = flatten(config_fields(path))
  given = flatten(overrides)
  for key, value in given.items():
    if not may_change(key) and trained.get(key) != value:
      raise InputError(
        f'{key}: the run in {path} has {trained.get(key)!r}, not {value!r}; '
        'train another one with that, or leave the key out'
      )

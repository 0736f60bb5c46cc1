"""Plugins: the user's own files and modules, which add parts to the tables.

A plugin is Python and is executed, once in a process. Who names one, by a flag
or as an argument, wants that. A run's folder may come from anywhere: it names
what the run was trained with by the hash of its bytes, and never says what is
executed. That is a file which this user has run before with the same bytes,
found where he has run it; the note of it lies in his own cache.
"""

import ast
import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import NamedTuple

from gan_jax.process import command
from gan_jax.storage.files import atomic, cache_dir
from gan_jax.types import InputError


class Plugin(NamedTuple):
  """A plugin as it was when it was run.

  Attributes:
    name: as `--plugin` takes it: a module, or the absolute path of a file.
    path: absolute, of the file.
    sha256: of the file's bytes.
  """

  name: str
  path: str
  sha256: str


_RUN: dict[pathlib.Path, Plugin] = {}  # in this process


def all_run() -> list[Plugin]:
  """The plugins that this process has run, in order."""
  return list(_RUN.values())


def run(names: Iterable[str]) -> None:
  """Runs plugins that the user has named, those that have not been yet.

  Args:
    names: of modules, which may lie in the current directory, or paths of
      files (with a `/`, or ending in `.py`); several may be in one string,
      with commas.

  Raises:
    InputError: one cannot be found, is no Python, or raises something.
  """
  folder = os.getcwd()
  for name in (part.strip() for text in names for part in text.split(',')):
    try:
      plugin = _run(name, folder)
    except (Exception, SystemExit) as error:
      raise InputError(f'plugin: {name}: {_reason(error)}') from error
    note = json.dumps([plugin.name, folder])
    with (
      contextlib.suppress(OSError),  # then it has to be named again
      atomic(_note_of(plugin.sha256)) as temporary,
    ):
      temporary.write_text(note)


def run_config(file: str) -> None:
  """Makes a plugin of a config file that has run, if it may be one.

  It can register something only if it imports more than other configs do.

  Args:
    file: FILE or FILE:ARG.
  """
  path = pathlib.Path(file.partition(':')[0]).absolute()
  modules = set()
  for node in ast.walk(ast.parse(path.read_bytes())):
    if isinstance(node, ast.Import):
      modules |= {alias.name.partition('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      modules.add((node.module or '').partition('.')[0])
  if modules - {'configs', 'ml_collections'}:
    run([str(path)])


def again(plugin: Plugin) -> str:
  """Runs what a run remembers, if it is what this user has run before.

  Args:
    plugin: as a workdir describes it, which nobody vouches for.

  Returns:
    Why it was not run, as the end of a sentence about it; '' if it was.
  """
  try:
    name, folder = json.loads(_note_of(plugin.sha256).read_text())
  except (OSError, ValueError):
    if not os.path.isfile(plugin.path):
      return f'is gone; if you have it: --plugin={plugin.name}'
    return (
      'you have not run here yet; if you trust it, name it: '
      f'--plugin={plugin.name}'
    )
  try:
    _run(name, folder, wanted=plugin.sha256)
  except _ChangedError:
    return f'has changed since; to take it as it is: --plugin={name}'
  except _GoneError:
    return f'is gone; name it where it is now: --plugin={name}'
  except (Exception, SystemExit) as error:
    return f'cannot be run any more: {_reason(error)}'
  return ''


class _GoneError(Exception):
  """There is nothing of that name."""


class _ChangedError(Exception):
  """A file is not the one that is wanted."""


def _run(name: str, folder: str, wanted: str | None = None) -> Plugin:
  """Runs a plugin unless it has been, by whatever name.

  Args:
    name: see `Plugin`; a path may be relative.
    folder: where modules are looked for, besides the usual places.
    wanted: the hash that it must have.
  """
  for place in (folder, command.folder()):  # modules; `configs`
    if str(place) not in sys.path:
      sys.path.append(str(place))
  is_file = '/' in name or name.endswith('.py')
  path = _path_of_file(name) if is_file else _path_of_module(name)
  if path not in _RUN:
    plugin = Plugin(
      str(path) if is_file else name,
      str(path),
      hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    if wanted not in (None, plugin.sha256):
      raise _ChangedError
    if not _is_imported(path):
      if is_file:
        _import_file(path, f'gan_jax_plugin_{plugin.sha256[:12]}')
      else:
        importlib.import_module(name)
    _RUN[path] = plugin
  return _RUN[path]


def _path_of_file(name: str) -> pathlib.Path:
  path = pathlib.Path(name).expanduser().resolve()
  if not path.is_file():
    raise _GoneError('there is no such file')
  return path


def _path_of_module(name: str) -> pathlib.Path:
  spec = importlib.util.find_spec(name)
  if spec is None or not spec.has_location:
    raise _GoneError(
      'there is no such module; a file is named by its path, with .py'
    )
  return pathlib.Path(spec.origin).resolve()


def _is_imported(path: pathlib.Path) -> bool:
  """Whether a file has been executed, as a config or as any module."""
  files = (
    getattr(module, '__dict__', {}).get('__file__')
    for module in list(sys.modules.values())
  )
  return any(
    os.path.basename(file) == path.name and pathlib.Path(file).resolve() == path
    for file in files
    if isinstance(file, str)
  )


def _import_file(path: pathlib.Path, name: str) -> None:
  """Executes a file as a module that dataclasses and TFDS can find by name."""
  loader = importlib.machinery.SourceFileLoader(name, str(path))
  spec = importlib.util.spec_from_file_location(name, path, loader=loader)
  sys.modules[name] = importlib.util.module_from_spec(spec)
  try:
    loader.exec_module(sys.modules[name])
  except BaseException:
    del sys.modules[name]
    raise


def _note_of(digest: str) -> pathlib.Path:
  """Where the user's cache says that he has run a file, and which."""
  return cache_dir() / 'plugins' / f'{digest}.json'


def _reason(error: BaseException) -> str:
  """An exception on one line."""
  text = ' '.join(str(error).split())[:300]
  own = isinstance(error, _GoneError)
  return text if own else f'{type(error).__name__}: {text}'

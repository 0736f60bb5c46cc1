"""plugins.json: which plugins a run was trained with.

It is as any file of a workdir: data that may come from anywhere. What of it is
executed again is decided in gan_jax/process/plugins.py.
"""

import contextlib
import functools
import pathlib
import re
import sys
from collections.abc import Iterator

from gan_jax.process import hosts, plugins
from gan_jax.process.plugins import Plugin
from gan_jax.types import InputError, UnknownNameError
from gan_jax.workdir import layout

_NAME = 'plugins.json'
_SHOWN = 12  # digits of a hash


def remember(workdir: pathlib.Path) -> None:
  """Writes down the plugins of this process, those of a resumed run too.

  Without any there is no such file.
  """
  new = plugins.all_run()
  paths, digests = {x.path for x in new}, {x.sha256 for x in new}
  old = [
    plugin
    for plugin in (read(workdir) if layout.has_checkpoint(workdir) else [])
    if plugin.path not in paths and plugin.sha256 not in digests
  ]
  if old + new:
    fields = {'plugins': [plugin._asdict() for plugin in old + new]}
    layout.write_json(workdir / _NAME, fields)
  else:
    (workdir / _NAME).unlink(missing_ok=True)


def read(workdir: pathlib.Path) -> list[Plugin]:
  """The plugins that a run was trained with.

  Raises:
    InputError: the file is not one that a run writes.
  """
  path = workdir / _NAME
  if not path.exists():
    return []
  try:
    found = [Plugin(**fields) for fields in layout.read_json(path)['plugins']]
    for plugin in found:
      texts = all(isinstance(x, str) and x.isprintable() for x in plugin)
      if not texts or not re.fullmatch('[0-9a-f]{64}', plugin.sha256):
        raise ValueError(plugin)
  except (KeyError, TypeError, ValueError) as error:
    raise InputError(
      f'workdir: {path} is not what a run writes; remove it, and name the '
      'plugins of the run by --plugin'
    ) from error
  return found


@contextlib.contextmanager
def recalled(workdir: str | pathlib.Path) -> Iterator[None]:
  """A run's plugins are known within, as far as they may be run again.

  Of those that may not, an error about an unknown name tells. A plugin that
  was run with other bytes than the run was trained with is noted.

  Raises:
    UnknownNameError: with the plugin that may have known the name.
  """
  unknown = []
  for plugin in read(layout.absolute(workdir)):
    short = f'sha256 {plugin.sha256[:_SHOWN]}'
    now = _in_place_of(plugin)
    if now is None:
      why_not = plugins.again(plugin)
      if why_not:
        unknown.append(f'{plugin.path} ({short}), which {why_not}')
    elif now.sha256 != plugin.sha256:
      _note(
        f'note: {now.path} has changed since the run in {workdir} was trained '
        f'with it: {short}, now {now.sha256[:_SHOWN]}'
      )
  try:
    yield
  except UnknownNameError as error:
    if not unknown:
      raise
    # No UnknownNameError any more: told once, however deep this is nested.
    raise InputError(
      f'{error}; the run was trained with {"; and ".join(unknown)}'
    ) from error


def _in_place_of(plugin: Plugin) -> Plugin | None:
  """What has been run of a remembered plugin: its bytes, or its newer ones."""
  run = plugins.all_run()
  return next(
    (x for x in run if x.sha256 == plugin.sha256),
    next((x for x in run if x.path == plugin.path), None),
  )


@functools.cache
def _note(line: str) -> None:
  """Says something once."""
  if hosts.is_first():
    print(line, file=sys.stderr)

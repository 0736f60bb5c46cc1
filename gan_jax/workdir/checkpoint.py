"""Checkpoints of a TrainState: orbax, and nothing else.

A checkpoint is a folder named by its step, with the items `state` and `meta`
(format, config, data) and, in digests.json, what every file must hash to:
orbax does not notice a flipped bit in an array.
"""

import contextlib
import errno
import gc
import io
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import chex
import jax
import orbax.checkpoint as ocp

from gan_jax.devices import parallel
from gan_jax.process import hosts
from gan_jax.process.quiet import absl_quiet
from gan_jax.storage import digests
from gan_jax.types import InputError, StorageError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
FORMAT = 1  # 0: before there was one; a bare state under `default`


def _say(line: str) -> None:
  print(line, file=sys.stderr)


class Checkpoints:
  """The checkpoints of one run, newest `keep` of them; a context manager.

  Saving is asynchronous: `save` returns once the state is copied, and leaving
  the context waits for what is being written. A checkpoint appears whole or
  not at all, and one that cannot be written costs a line, not the training.

  Attributes:
    restored_step: of the checkpoint that `restore` has read, or None.
  """

  def __init__(
    self,
    directory: str | pathlib.Path,
    *,
    keep: int = 2,
    meta: dict[str, Any] | None = None,
    note: Callable[[str], None] = _say,
    read_only: bool = False,
    alone: bool = False,
  ):
    """Opens a folder of checkpoints, and makes it if need be.

    Args:
      directory: the folder.
      keep: how many of the newest to keep, at least 1.
      meta: what a checkpoint says of its run, as JSON takes it.
      note: says a line on the screen.
      read_only: changes nothing in the folder; another process may train.
      alone: whether, of several processes, only the first takes part.
    """
    self._directory = pathlib.Path(directory).absolute()
    self._meta = {'format': FORMAT} | (meta or {})
    self._note, self._read_only, self._alone = note, read_only, alone
    self._under_way = self._failure = self.restored_step = None
    whole = {} if read_only else dict(cleanup_tmp_directories=True)
    if not read_only:
      whole['preservation_policy'] = ocp.checkpoint_managers.LatestN(keep)
      whole['async_options'] = ocp.AsyncOptions(
        post_finalization_callback=self._seal
      )
    if alone:
      self._directory.mkdir(parents=True, exist_ok=True)
      whole['create'] = False  # which orbax leaves to us in this case
      whole['multiprocessing_options'] = ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0}
      )
    with absl_quiet():  # it would say of read_only what that means
      self._manager = ocp.CheckpointManager(
        self._directory,
        options=ocp.CheckpointManagerOptions(read_only=read_only, **whole),
        item_names=('state', 'meta'),
      )

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *unused: Any) -> None:
    self._settle()
    with contextlib.suppress(Exception):  # `finish` has said what failed
      self._manager.close()

  @property
  def latest_step(self) -> int | None:
    """Step of the newest checkpoint, None if there is none."""
    return self._manager.latest_step()

  @property
  def settled_step(self) -> int | None:
    """The same, once what is being written is there."""
    self._settle()
    return self.latest_step

  # --- Writing --------------------------------------------------------------

  def save(self, step: int, state: chex.ArrayTree) -> None:
    """Begins to save the state; a step that is there already stays.

    Says in a line what went wrong, with this one or with the one before, and
    raises nothing: see `finish`.
    """
    self._settle()
    if step in self._manager.all_steps():
      self._failure = None
      return
    if self._alone:  # of several processes orbax wants no arrays of one alone
      state = jax.device_get(state)
    try:
      arguments = ocp.args.Composite(
        state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(self._meta)
      )
      self._under_way = step
      self._manager.save(step, args=arguments)
    except Exception as error:  # what a full disk makes orbax raise
      self._failed(error)

  def finish(self) -> None:
    """Waits for what is being written.

    Raises:
      StorageError: the last checkpoint that was to be saved is not there.
    """
    self._settle()
    if self._failure:
      raise StorageError(
        f'{self._failure}; free or name other space, and run the same command '
        'again'
      )

  def _settle(self) -> None:
    """Waits for what is being written, and says so if it has failed."""
    if self._under_way is None:
      return
    try:
      with _unheard():
        self._manager.wait_until_finished()
    except Exception as error:
      self._failed(error)
    else:
      self._under_way = self._failure = None

  def _failed(self, error: Exception) -> None:
    hosts.leave_if_lost(error)  # not a matter of this disk
    step, self._under_way = self._under_way, None
    with contextlib.suppress(Exception), _unheard():  # or the next save raises
      self._manager.wait_until_finished()
    for folder in self._of_step(step):
      if folder.name != str(step):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
      self._manager.reload()
    newest = self.latest_step
    self._failure = (
      f'checkpoints: that of step {step} cannot be written in '
      f'{self._directory}: {_reason(error)}; '
      + ('there is none' if newest is None else f'the newest is of {newest}')
    )
    self._note(f'warning: {self._failure}; training goes on')

  def _of_step(self, step: int | None) -> list[pathlib.Path]:
    """Its folder, being written first: under a longer name."""
    return [
      path
      for path in sorted(self._directory.iterdir(), reverse=True)
      if path.name.split('.')[0] == str(step)
    ]

  def _seal(self) -> None:
    """Notes what the files of a checkpoint hash to, before it gets its name."""
    folders = self._of_step(self._under_way)
    if folders and hosts.is_first():
      digests.write(folders[0])

  def forget_after(self, step: int) -> None:
    """Deletes checkpoints of later steps, which are about to be made again."""
    self._settle()
    for later in self._manager.all_steps():
      if later > step:
        self._manager.delete(later)

  # --- Reading --------------------------------------------------------------

  def restore(
    self,
    template: chex.ArrayTree,
    sharding: jax.sharding.Sharding | None = None,
  ) -> chex.ArrayTree:
    """Restores the newest checkpoint that is whole.

    Says so if that is not the newest one. Damaged ones are moved to the folder
    `damaged` beside this one, once an older one has been read.

    Args:
      template: a tree of arrays or `jax.ShapeDtypeStruct`s like the state.
      sharding: where to put the arrays; None for the first device.

    Raises:
      InputError: there is none, or none that is whole and of this shape.
    """
    self._settle()
    steps = sorted(self._manager.all_steps(), reverse=True)
    if not steps:
      raise InputError(
        f'workdir: no checkpoint in {self._directory}; train first, or name '
        'another --workdir'
      )
    sharding = sharding or parallel.replicated(parallel.select_devices(1))
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
      template,
    )
    reasons = {}
    for step in steps:
      try:
        state = self._read(step, abstract)
      except digests.DamagedError as error:
        if self._read_only and not (self._directory / str(step)).exists():
          self._manager.reload()  # a training has moved on meanwhile
          return self.restore(template, sharding)
        reasons[step] = str(error)
        continue
      self.restored_step = step
      if reasons:
        self._set_aside(reasons, step)
      return state
    step, reason = next(iter(reasons.items()))
    others = f' (and {len(steps) - 1} older)' if len(steps) > 1 else ''
    raise InputError(
      f'workdir: checkpoint {self._directory / str(step)}{others} is damaged '
      f'or of another architecture ({reason}); no older one is whole: name '
      'another --workdir to start again'
    )

  def _read(self, step: int, abstract: chex.ArrayTree) -> chex.ArrayTree:
    folder = self._directory / str(step)
    digests.check(folder)
    old = folder / 'default'  # format 0
    if (
      not old.is_dir()
      and (found := self._meta_of(step).get('format')) != FORMAT
    ):
      raise InputError(
        f'workdir: checkpoint {folder} has format {found!r}, and this version '
        f'of gan_jax reads {FORMAT}; read it with the version that wrote it'
      )
    with _unheard():
      try:
        if old.is_dir():
          with ocp.StandardCheckpointer() as checkpointer:
            return checkpointer.restore(old, abstract)
        wanted = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        return self._manager.restore(step, args=wanted).state
      except Exception as error:  # orbax, tensorstore, JSON raise their own
        reason = _reason(error)
      # The other reads end or are collected, each with a traceback.
      time.sleep(0.5)
      gc.collect()
    raise digests.DamagedError(reason)

  def _meta_of(self, step: int) -> dict[str, Any]:
    try:
      arguments = ocp.args.Composite(meta=ocp.args.JsonRestore())
      meta = self._manager.restore(step, args=arguments).meta
    except Exception as error:
      raise digests.DamagedError(_reason(error)) from error
    if not isinstance(meta, dict):
      raise digests.DamagedError('meta is no JSON object')
    return meta

  def meta(self) -> dict[str, Any]:
    """What the newest readable checkpoint says of its run; {} if none does."""
    for step in sorted(self._manager.all_steps(), reverse=True):
      with contextlib.suppress(digests.DamagedError):
        return self._meta_of(step)
    return {}

  def _set_aside(self, reasons: dict[int, str], good: int) -> None:
    for step, reason in reasons.items():
      source = self._directory / str(step)
      line = (
        f'warning: checkpoint {source} is damaged ({reason}); going back to '
        f'that of step {good}'
      )
      if not self._read_only and hosts.is_first():
        name = f'{self._directory.name}_{step}_{time.time_ns()}'
        target = self._directory.parent / 'damaged' / name
        with contextlib.suppress(OSError):
          target.parent.mkdir(exist_ok=True)
          source.rename(target)
          line += f'; it is kept as {target}'
      self._note(line)
    if not (self._alone or self._read_only):
      hosts.broadcast(None)  # until the first has moved them
    self._manager.reload()


def _reason(error: Exception) -> str:
  text = ' '.join(str(error).split())
  for number in _DISK:  # named at the end of what tensorstore says
    if os.strerror(number) in text:
      return os.strerror(number)
  return f'{type(error).__name__}: {text[:160]}'


@contextlib.contextmanager
def _unheard():
  """Threads of orbax print tracebacks of what we say in a line."""
  with contextlib.redirect_stderr(io.StringIO()):
    yield


def restore_latest(
  directory: str | pathlib.Path, template: chex.ArrayTree
) -> chex.ArrayTree:
  """The newest whole checkpoint of a run, on one device of this machine.

  See `Checkpoints.restore`; nothing is changed, so the run may be going on.
  """
  if not pathlib.Path(directory).is_dir():
    raise InputError(
      f'workdir: no checkpoint in {directory}; train first, or name another '
      '--workdir'
    )
  with Checkpoints(directory, read_only=True) as checkpoints:
    return checkpoints.restore(template)

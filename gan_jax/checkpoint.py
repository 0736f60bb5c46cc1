"""Checkpoints of a TrainState: orbax, and nothing else."""

import contextlib
import gc
import io
import pathlib
import time
from typing import Any

import chex
import jax
import orbax.checkpoint as ocp

from gan_jax import parallel
from gan_jax.types import InputError


class Checkpoints:
  """The checkpoints of one run, newest `keep` of them; a context manager.

  Saving is asynchronous: `save` returns once the state is copied, and leaving
  the context waits for what is being written. A checkpoint appears whole or
  not at all.
  """

  def __init__(self, directory: str | pathlib.Path, *, keep: int = 2):
    """Opens a folder of checkpoints, and makes it if need be.

    Args:
      directory: the folder.
      keep: how many of the newest to keep, at least 1.
    """
    self._directory = pathlib.Path(directory).absolute()
    self._manager = ocp.CheckpointManager(
      self._directory,
      options=ocp.CheckpointManagerOptions(
        preservation_policy=(ocp.checkpoint_managers.LatestN(keep)),
      ),
    )

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *unused: Any) -> None:
    self._manager.wait_until_finished()
    self._manager.close()

  @property
  def latest_step(self) -> int | None:
    """Step of the newest checkpoint, None if there is none."""
    return self._manager.latest_step()

  def save(self, step: int, state: chex.ArrayTree) -> None:
    """Saves the state under a step; saving a step again does nothing."""
    if step != self.latest_step:
      self._manager.save(step, args=ocp.args.StandardSave(state))

  def forget_after(self, step: int) -> None:
    """Deletes checkpoints of later steps, which are about to be made again."""
    for later in self._manager.all_steps():
      if later > step:
        self._manager.delete(later)

  def restore(
    self,
    template: chex.ArrayTree,
    sharding: jax.sharding.Sharding | None = None,
  ) -> chex.ArrayTree:
    """Restores the newest checkpoint.

    Args:
      template: a tree of arrays or `jax.ShapeDtypeStruct`s like the state.
      sharding: where to put the arrays; None for the first device.

    Raises:
      InputError: there is none, it is damaged, or it is of another shape.
    """
    step = self.latest_step
    if step is None:
      raise InputError(
        f'workdir: no checkpoint in {self._directory}; train first, or name '
        'another --workdir'
      )
    sharding = sharding or parallel.replicated(parallel.select_devices(1))
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
      template,
    )
    # When one read fails, orbax abandons the others, and each prints a
    # traceback as it ends or is collected: let that happen unheard.
    with contextlib.redirect_stderr(io.StringIO()):
      try:
        arguments = ocp.args.StandardRestore(abstract)
        return self._manager.restore(step, args=arguments)
      except Exception as error:  # orbax, tensorstore and JSON raise their own
        reason = f'{type(error).__name__}: {" ".join(str(error).split())[:160]}'
      time.sleep(0.5)
      gc.collect()
    raise InputError(
      f'workdir: checkpoint {self._directory / str(step)} is damaged or of '
      f'another architecture ({reason}); remove that folder to go on from the '
      'one before'
    )


def restore_latest(
  directory: str | pathlib.Path, template: chex.ArrayTree
) -> chex.ArrayTree:
  """The newest checkpoint of a finished run, on one device of this machine.

  See `Checkpoints.restore`.
  """
  if not pathlib.Path(directory).is_dir():
    raise InputError(
      f'workdir: no checkpoint in {directory}; train first, or name another '
      '--workdir'
    )
  with Checkpoints(directory) as checkpoints:
    return checkpoints.restore(template)

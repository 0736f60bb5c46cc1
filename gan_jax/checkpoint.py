"""Checkpoints of a TrainState: orbax, and nothing else."""

import pathlib
from collections.abc import Callable
from typing import Any

import chex
import jax
import orbax.checkpoint as ocp

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

  def restore(
    self,
    template: chex.ArrayTree,
    sharding: jax.sharding.Sharding | None = None,
  ) -> chex.ArrayTree:
    """Restores the newest checkpoint.

    Args:
      template: a tree of arrays or `jax.ShapeDtypeStruct`s like the state.
      sharding: where to put the arrays.

    Raises:
      InputError: there is none, it is damaged, or it is of another shape.
    """
    step = self.latest_step
    if step is None:
      raise InputError(
        f'workdir: no checkpoint in {self._directory}; train first, or name '
        'another --workdir'
      )
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
      template,
    )
    try:
      return self._manager.restore(
        step, args=ocp.args.StandardRestore(abstract)
      )
    except Exception as error:  # orbax, tensorstore and JSON raise their own
      reason = ' '.join(str(error).split())[:160]
      raise InputError(
        f'workdir: checkpoint {self._directory / str(step)} is damaged or of '
        f'another architecture ({type(error).__name__}: {reason}); remove that '
        'folder to go on from the one before'
      ) from error


def restore_latest(
  directory: str | pathlib.Path, make_template: Callable[[], chex.ArrayTree]
) -> chex.ArrayTree:
  """The newest checkpoint of a folder that nothing is to be written into."""
  if not pathlib.Path(directory).is_dir():
    raise InputError(
      f'workdir: no checkpoint in {directory}; train first, or name another '
      '--workdir'
    )
  with Checkpoints(directory) as checkpoints:
    return checkpoints.restore(jax.eval_shape(make_template))

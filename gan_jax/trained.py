"""A run read back from its workdir."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from gan_jax import build as build_lib
from gan_jax import checkpoint as checkpoint_lib
from gan_jax import workdir as workdir_lib
from gan_jax.data import DatasetInfo
from gan_jax.ensemble import Ensemble
from gan_jax.overrides import replaced
from gan_jax.sampling import Sampler
from gan_jax.types import InputError, TrainState, lookup


class Trained(NamedTuple):
  """A run read back from its workdir.

  Attributes:
    config: of this run alone, if it was trained with others.
    info: of its data.
    model: built from the two.
    state: from the checkpoint.
    member: its number among the runs of one program; None if there are none.
  """

  config: Any
  info: DatasetInfo
  model: build_lib.Model
  state: TrainState
  member: int | None = None

  def sampler(
    self, *, ema: bool = True, batch_norm: str = 'running'
  ) -> Sampler:
    """Draws images from the moving average if there is one and `ema`."""
    return build_lib.make_sampler(
      self.config,
      self.info,
      self.model,
      self.state,
      ema=ema,
      batch_norm=batch_norm,
    )


_FOLDERS = {'latest': 'checkpoints', 'best': 'best'}


@contextlib.contextmanager
def of_file(workdir: pathlib.Path) -> Iterator[None]:
  """What a config that is not ours makes fail, which may be anything."""
  try:
    yield
  except InputError:
    raise
  except Exception as error:
    raise InputError(
      f'workdir: {workdir / "config.json"} is not a whole config of this '
      f'version: {type(error).__name__}: {str(error)[:200]}'
    ) from error


def read_config(workdir: pathlib.Path) -> tuple[Any, Ensemble]:
  """The config of a run, checked, and the members that it has.

  Raises:
    InputError: there is no run, or its config is not one of this version.
  """
  config = workdir_lib.read_config(workdir)
  with of_file(workdir):
    build_lib.check(config)
    return config, Ensemble(config)


def restore(
  workdir: str | pathlib.Path, which: str = 'latest', member: int = 0
) -> Trained:
  """Reads a run's config and one of its checkpoints.

  Args:
    workdir: of the run.
    which: latest, or best by `eval.best` if it was scored while training.
    member: number of the run among those trained at once; 0 for a single one.

  Raises:
    InputError: there is no run, no such member, or no whole checkpoint.
  """
  folder = lookup(_FOLDERS, which, 'checkpoint')
  path = workdir_lib.absolute(workdir)
  config, ensemble = read_config(path)
  info = workdir_lib.read_info(path)
  with of_file(path):
    config = replaced(config, ensemble.member(member).overrides)
    model = build_lib.build(config, info)
    abstract = build_lib.abstract_state(model)
  if which == 'best' and not (path / folder).is_dir():
    raise InputError(
      f'checkpoint: {path} has no best one, which eval.every keeps while '
      'training; take latest'
    )
  template = ensemble.abstract(abstract)
  state = checkpoint_lib.restore_latest(path / folder, template)
  return Trained(
    config,
    info,
    model,
    ensemble.select(state, member),
    member if ensemble.several else None,
  )

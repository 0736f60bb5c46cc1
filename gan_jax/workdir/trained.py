"""A run read back from its workdir."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from gan_jax.config import build
from gan_jax.config.plan import Plan, read_trained
from gan_jax.data import DatasetInfo
from gan_jax.ensemble import Ensemble
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError, TrainState, lookup
from gan_jax.workdir import checkpoint as checkpoint_lib
from gan_jax.workdir import layout


class Trained(NamedTuple):
  """A run read back from its workdir.

  Attributes:
    plan: of this run alone, if it was trained with others.
    info: of its data.
    model: built from the two.
    state: from the checkpoint.
    member: its number among the runs of one program; None if there are none.
  """

  plan: Plan
  info: DatasetInfo
  model: build.Model
  state: TrainState
  member: int | None = None

  def sampler(
    self, *, ema: bool = True, batch_norm: str = 'running'
  ) -> Sampler:
    """Draws images from the moving average if there is one and `ema`."""
    return self.model.sampler(self.state, ema=ema, batch_norm=batch_norm)


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


def read_plan(workdir: pathlib.Path) -> tuple[Plan, Ensemble]:
  """The plan of a run, and the members that it has.

  Raises:
    InputError: there is no run, or its config is not one of this version.
  """
  config = layout.read_config(workdir)
  with of_file(workdir):
    plan = read_trained(config)
    return plan, Ensemble(plan.members)


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
  path = layout.absolute(workdir)
  plan, ensemble = read_plan(path)
  info = layout.read_info(path)
  with of_file(path):
    plan = plan.of_member(ensemble.member(member))
    model = plan.build(info)
    abstract = build.abstract_state(model)
  if which == 'best' and not (path / folder).is_dir():
    raise InputError(
      f'checkpoint: {path} has no best one, which eval.every keeps while '
      'training; take latest'
    )
  template = ensemble.abstract(abstract)
  state = checkpoint_lib.restore_latest(path / folder, template)
  return Trained(
    plan,
    info,
    model,
    ensemble.select(state, member),
    member if ensemble.several else None,
  )


def load(
  workdir: str | pathlib.Path,
  *,
  ema: bool = True,
  checkpoint: str = 'latest',
  member: int = 0,
) -> Sampler:
  """Loads a run for sampling.

      sampler = gan_jax.load('runs/mlp_digits')
      images = sampler.sample(64, seed=0)  # uint8 [64, H, W, C]

  Args:
    workdir: of the run.
    ema: take the moving average of G if the run keeps one; False takes the
      raw weights.
    checkpoint: latest or best, see `restore`.
    member: which of several runs that were trained at once.

  Raises:
    InputError: there is no run, no such member, or no whole checkpoint.
  """
  return restore(workdir, checkpoint, member).sampler(ema=ema)

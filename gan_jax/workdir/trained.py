"""A run read back from its workdir."""

import contextlib
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.config import build
from gan_jax.config.plan import Plan, read_trained
from gan_jax.config.sections import CHECKPOINTS
from gan_jax.data import DatasetInfo
from gan_jax.ensemble import Ensemble
from gan_jax.process import plugins as plugins_lib
from gan_jax.sampling.styles import Truncation
from gan_jax.types import InputError, TrainState, lookup
from gan_jax.workdir import checkpoint as checkpoint_lib
from gan_jax.workdir import exported, layout, origins
from gan_jax.workdir.trained_gan import TrainedGAN


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
    self,
    *,
    ema: bool = True,
    batch_norm: str = 'running',
    psi: float = 1.0,
    psi_cutoff: int = 0,
    threshold: float = 0.0,
    back: bool = False,
  ) -> TrainedGAN:
    """Both players; G with the moving average if there is one and `ema`.

    With `back`, of a game of two domains, the G that makes the other one.
    """
    return TrainedGAN(
      self,
      ema=ema,
      back=back,
      batch_norm=batch_norm,
      truncation=Truncation(psi, psi_cutoff),
      threshold=threshold,
    )

  def sampler_of(self, keys: Any, *, back: bool = False) -> TrainedGAN:
    """As a section of the config asks for it, see `sampler`."""
    names = ('ema', 'batch_norm', 'psi', 'psi_cutoff')
    asked = {name: getattr(keys, name) for name in names}
    return self.sampler(threshold=keys.truncation, back=back, **asked)


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
  with origins.recalled(workdir), of_file(workdir):
    plan = read_trained(config)
    return plan, Ensemble(plan.members)


def best_folder(workdir: pathlib.Path, member: int | None) -> pathlib.Path:
  """Where the best checkpoint of a run lies, or that of one member."""
  best = workdir / 'best'
  return best if member is None else best / f'member_{member}'


class TrainedRuns:
  """All members of a workdir, read back one at a time.

  Attributes:
    plan: of all of them.
    info: of their data.
    ensemble: the members; one, if it is a single run.
  """

  def __init__(
    self,
    workdir: str | pathlib.Path,
    which: str = 'latest',
    denoise: Mapping[str, Any] | None = None,
  ):
    """Reads the config, and no checkpoint yet.

    Args:
      workdir: of the run.
      which: latest, or best by `eval.best` if it was scored while training.
      denoise: how a diffusion model is to draw, `sampler`, `steps` and `eta`;
        what is left out is as the run was trained.

    Raises:
      InputError: there is no run, or its config is not one of this version.
    """
    lookup(dict.fromkeys(CHECKPOINTS), which, 'checkpoint')
    self._which, self._path = which, layout.absolute(workdir)
    self._denoise = dict(denoise or {})
    self.plan, self.ensemble = read_plan(self._path)
    self.info = layout.read_info(self._path)
    self._one: TrainState | None = None  # shapes of any member's state

  def member(self, number: int) -> 'Trained':
    """One of them by its number; 0 of a single run.

    Raises:
      InputError: there is none of this number, or no whole checkpoint.
    """
    member = self.ensemble.member(number)
    with of_file(self._path):
      plan = self.plan.of_member(member).drawn_by(self._denoise)
      model = plan.build(self.info)
      if self._one is None:
        self._one = build.abstract_state(model)
    whose = number if self.ensemble.several else None
    if exported.is_one(self._path):
      state = exported.state_of(self._path, self._one)
    elif self._which == 'best':
      state = self._best_state(whose)
    else:
      state = self.ensemble.select(self._latest_states, number)
    return Trained(plan, self.info, model, state, whose)

  @functools.cached_property
  def _latest_states(self) -> TrainState:
    """The newest state of all members."""
    return checkpoint_lib.restore_latest(
      self._path / 'checkpoints', self.ensemble.abstract(self._one)
    )

  def _best_state(self, member: int | None) -> TrainState:
    folder = best_folder(self._path, member)
    if not folder.is_dir():
      whose = '' if member is None else f' of run {member}'
      raise InputError(
        f'checkpoint: {self._path} has no best one{whose}, which eval.every '
        'keeps while training; take latest'
      )
    return checkpoint_lib.restore_latest(folder, self._one)


def restore(
  workdir: str | pathlib.Path,
  which: str = 'latest',
  member: int = 0,
  denoise: Mapping[str, Any] | None = None,
) -> Trained:
  """Reads a run's config and one of its checkpoints.

  Args:
    workdir: of the run.
    which: latest, or best by `eval.best` if it was scored while training; of
      several runs at once, the best of that member.
    member: number of the run among those trained at once; 0 for a single one.
    denoise: how a diffusion model is to draw, see `TrainedRuns`.

  Raises:
    InputError: there is no run, no such member, or no whole checkpoint.
  """
  return TrainedRuns(workdir, which, denoise).member(member)


def load(
  workdir: str | pathlib.Path,
  *,
  ema: bool = True,
  checkpoint: str = 'latest',
  member: int = 0,
  batch_norm: str = 'running',
  psi: float = 1.0,
  psi_cutoff: int = 0,
  denoise: Mapping[str, Any] | None = None,
  plugins: Sequence[str] = (),
) -> TrainedGAN:
  """Loads a run to draw from it, and to judge images by its discriminator.

      run = gan_jax.load('runs/mlp_digits')
      images = run.sample(64, seed=0)  # uint8 [64, H, W, C]
      logits = run.discriminate(images)  # [64]
      images = run.generator(run.latents(64))  # jax.Array in [-1, 1]

  Args:
    workdir: of the run, or a folder of --mode=export, which has G alone.
    ema: take the moving average of G if the run keeps one; False takes the
      raw weights.
    checkpoint: latest or best, see `restore`.
    member: which of several runs that were trained at once.
    batch_norm: what batch norm in G goes by: running, batch, standing.
    psi: of a style-based G, how far from their mean styles may be: 1 as far as
      they are, 0 not at all.
    psi_cutoff: in so many layers, the first; 0 in all.
    denoise: how a diffusion model draws, such as
      `{'sampler': 'ddim', 'steps': 50, 'eta': 0.0}`; what is left out is as
      the run was trained.
    plugins: files or modules that the run needs, which are run. Those that it
      was trained with are found if you have run them before and they are
      where they were, unchanged; a workdir alone makes no code run.

  Raises:
    InputError: there is no run, no such member, no whole checkpoint, or a
      plugin that fails.
  """
  plugins_lib.run(plugins)
  trained = restore(workdir, checkpoint, member, denoise)
  return trained.sampler(
    ema=ema, batch_norm=batch_norm, psi=psi, psi_cutoff=psi_cutoff
  )

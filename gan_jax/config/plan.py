"""A config as the rest of the project takes it: checked once, and typed.

`read` is where the trip of a ConfigDict ends. What lies above this room
(training, modes) sees a `Plan`; what lies below sees plain arguments.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import jax

from gan_jax.config import build as building
from gan_jax.config import (
  checks,
  diffusion,
  games,
  parts,
  requests,
  sections,
  sweep,
  terms,
)
from gan_jax.config import stages as stages_lib
from gan_jax.config.overrides import replaced, section
from gan_jax.data import DatasetInfo
from gan_jax.ensemble import Member
from gan_jax.networks.style import Style
from gan_jax.solvers import UNROLL_STEPS
from gan_jax.tricks.criterion import Criterion, make_criterion
from gan_jax.types import InputError, Players


def read(config: Any) -> 'Plan':
  """Checks every key of every section, and makes a plan of them.

  Args:
    config: a ConfigDict with the keys of configs/base.py.

  Raises:
    InputError: a name, a number or a combination that cannot be; the message
      names the key and what would be right.
  """
  checks.check(config)
  plan = Plan(config)
  _check_requests(plan)
  return plan


def read_trained(config: Any) -> 'Plan':
  """The plan of a run from its config.json, whose requests nobody repeats.

  Args:
    config: of a run, nested attributes; sections such as `eval` may be of
      another version.

  Raises:
    InputError: what shapes the run is not of this version.
  """
  checks.check(config)
  plan = Plan(config)
  _ = plan.schedule  # whatever is missing is missed here
  return plan


class Plan(requests.Requests):
  """What a config asks for; made by `read`.

  Attributes:
    seed: of the first member.
    game: name of the kind of game.
    network: name of the architecture.
    conditional: whether both players see the labels.
    given: names of the columns that they are told beside these.
    precision: name of the number format.
    num_devices: of each process; 0 for all.
    packing: examples that D judges together.
    num_discs: discriminators.
    member: which of several runs a mode is about; the first if none is named.
    names_member: whether one is named.
    init_from: workdir of a run whose parameters to begin with; '' for none.
  """

  def __init__(self, config: Any):
    """Takes a config that `checks.check` has let pass."""
    self._config = config
    self.seed: int = config.seed
    self.game: str = config.game
    self.network: str = config.network.name
    self.conditional: bool = config.conditional
    self.given: tuple[str, ...] = tuple(config.given)
    self.precision: str = config.precision
    self.num_devices: int = config.num_devices
    self.packing: int = config.tricks.packing
    self.num_discs: int = config.tricks.num_discs
    self.init_from: str = config.init_from
    self.names_member: bool = config.member != -1
    self.member: int = config.member if self.names_member else 0

  @property
  def told(self) -> tuple[str, ...]:
    """All columns that both players are told, labels first."""
    return ('labels',) * self.conditional + self.given

  # --- What is trained --------------------------------------------------------

  @functools.cached_property
  def fields(self) -> dict[str, Any]:
    """All keys, nested, as config.json has them."""
    config = self._config
    fields = config.to_dict() if hasattr(config, 'to_dict') else _nested(config)
    return json.loads(json.dumps(fields))

  @functools.cached_property
  def members(self) -> list[Member]:
    """All runs that are asked for: seeds, and combinations of swept values."""
    return sweep.members(self._config)

  def of_member(self, member: Member) -> 'Plan':
    """The plan that makes one member by itself."""
    return Plan(sweep.one(self._config, member))

  @property
  def denoise(self) -> dict[str, Any]:
    """How a diffusion model is to draw: the keys that are given."""
    return diffusion.asked(self._config)

  def drawn_by(self, denoise: Mapping[str, Any]) -> 'Plan':
    """The same run, drawing otherwise.

    Args:
      denoise: keys of the section, see `denoise`.
    """
    keys = {f'denoise.{name}': value for name, value in denoise.items()}
    return Plan(replaced(self._config, keys)) if keys else self

  @functools.cached_property
  def schedule(self) -> sections.Schedule:
    """How many steps and images, and how often what is done."""
    return sections.schedule(self._config)

  @functools.cached_property
  def stages(self) -> list[stages_lib.Stage]:
    """From which step on which keys have other values; one without any."""
    return stages_lib.stages_of(self._config)

  def of_stage(self, stage: stages_lib.Stage) -> 'Plan':
    """The plan of one stage by itself."""
    return Plan(stages_lib.config_of(self._config, stage))

  def stage_of(self, step: int) -> stages_lib.Stage:
    """The stage in which a step is made, from step 1 on."""
    return next(s for s in self.stages[::-1] if s.start < max(step, 1))

  def criterion_at(self, step: int) -> Criterion:
    """What D's logits mean after so many steps, see `criterion`."""
    return self.of_stage(self.stage_of(step)).criterion

  @property
  def images_per_step(self) -> int | None:
    """Real images that D sees in a step; None where stages differ in that."""
    found = {stage.batch_size * stage.disc_steps for stage in self.stages}
    return found.pop() if len(found) == 1 else None

  def images_seen(self, step: int) -> int:
    """Real images that D has seen in so many training steps."""
    return self.stage_of(step).images_before(step)

  @property
  def cpu_parts(self) -> int:
    """Equal parts that the devices of a CPU may share: runs, or images."""
    if len(self.members) > 1:
      return len(self.members)
    most = max(1, min(self._config.cpu_devices, self._config.batch_size))
    dividing = (
      n for n in range(most, 0, -1) if not self._config.batch_size % n
    )
    return next(dividing)

  def advice(self, disc: Style) -> list[str]:
    """Lines about choices that are allowed and unlikely to be meant."""
    return checks.advice(self._config, disc)

  @property
  def looks_ahead(self) -> int:
    """Updates of D that G's solver looks ahead."""
    if self._config.solver != 'unrolled':
      return 0
    return self._config.unroll_steps or UNROLL_STEPS

  def build(
    self,
    info: DatasetInfo,
    *,
    axis_name: str | None = None,
    swept: Mapping[str, jax.Array] | None = None,
    rate_factor: float = 1.0,
    reference: Players[Any] | None = None,
  ) -> building.Model:
    """Networks, game, optimizers and training step, see `building.build`.

    Args:
      info: the shape and classes of the data.
      axis_name: mapped device axis that shares the batches, or None.
      swept: traced scalars of the section `sweep`, by name.
      rate_factor: on the learning rates of those who play.
      reference: what the players begin with.
    """
    config = self._config
    if rate_factor != 1.0:
      rates = {
        f'{player}_optimizer.learning_rate': rate_factor
        * getattr(config, f'{player}_optimizer').learning_rate
        for player in games.kind_of(config).players
      }
      config = replaced(config, rates)
    return building.build(
      config, info, axis_name=axis_name, swept=swept, reference=reference
    )

  def check_weights(self) -> None:
    """Reads what training needs beside the data.

    Raises:
      InputError: the network of a perceptual loss is not there.
    """
    terms.check_weights(self._config)

  @functools.cached_property
  def criterion(self) -> Criterion:
    """What D's logits mean: the loss, as the tricks compare it."""
    return make_criterion(
      parts.loss_of(self._config),
      relativistic=self._config.tricks.relativistic,
    )

  # --- The data ---------------------------------------------------------------

  def dataset(self, data_dir: str = '') -> dict[str, Any]:
    """Arguments of `load_dataset`.

    Args:
      data_dir: where the data lies now; '' for where the config says.
    """
    return parts.dataset_keys(self._config, data_dir)

  @property
  def data_dir(self) -> str:
    """Where the data lies, as a mode of a finished run is told; or ''."""
    return self._config.data.dir

  @property
  def feed(self) -> dict[str, Any]:
    """Arguments of `make_feed`."""
    return dict(
      batch_size=self._config.batch_size,
      seed=self.seed,
      flip=self._config.data.flip,
      labels=self.conditional,
      columns=self.given,
      cache=self._config.data.cache,
      cache_mb=self._config.data.cache_mb,
    )


def _check_requests(plan: Plan) -> None:
  """Takes every section that a mode may ask for; each checks itself.

  Raises:
    InputError: a key at fault, with what would be right.
  """
  for name in requests.SECTIONS:
    getattr(plan, name)
  for stage in plan.stages:
    plan.of_stage(stage).check_weights()
  if plan.member < 0:
    raise InputError(
      f'member: {plan.member} is no run; they are numbered from 0 on, and -1 '
      'names none'
    )
  if plan.non_finite.action == 'rollback' and len(plan.members) > 1:
    raise InputError(
      'non_finite.action: rollback would take sound runs back with the others; '
      'with several runs at once (num_seeds, sweep) take stop'
    )


def _nested(config: Any) -> Any:
  if not hasattr(config, '__dict__'):
    return config
  return {key: _nested(value) for key, value in section(config).items()}

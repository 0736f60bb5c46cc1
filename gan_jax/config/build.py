"""From names to objects: the one place that reads a config's model keys.

Below this file nothing knows of configs. `config` is a locked ConfigDict or
anything else with the same attributes (a run's config.json, read back).
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import optax

from gan_jax import solvers
from gan_jax.config import (
  annealing,
  checks,
  diffusion,
  games,
  parts,
  ranges,
  sweep,
  tricks,
)
from gan_jax.config.given import task_of
from gan_jax.config.overrides import replaced
from gan_jax.data import DatasetInfo
from gan_jax.devices.precision import PRECISIONS
from gan_jax.features import texts
from gan_jax.games import Game
from gan_jax.networks import style_of
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.weights import generator_variables, weights_name
from gan_jax.types import Column, InputError, Players, Task, TrainState

Config = Any


class Model(NamedTuple):
  """The objects that a config names.

  Attributes:
    networks: both players' modules; a coalition's in a dict by their names.
    game: what the players minimise.
    optimizers: of both players.
    init: key -> TrainState.
    train_step: (state, batches, key) -> (state, metrics).
    probe: (state, batches, key) -> metrics after the update of G.
    drawing: how a sampler draws, as `Sampler` takes it.
  """

  networks: Players[Any]
  game: Game
  optimizers: Players[optax.GradientTransformation | None]
  init: Any
  train_step: solvers.Step
  probe: Any
  drawing: Mapping[str, Any]

  def drawn_from(
    self, state: TrainState, *, ema: bool, back: Column | None = None
  ) -> dict[str, Any]:
    """Arguments of a `Sampler` over a state.

    Args:
      state: trained.
      ema: take the moving average if the run keeps one, not the raw weights.
      back: the column `images` of which the other domain is made, of a game of
        two; None for the way there.

    Raises:
      InputError: there is no way back.
    """
    way = {'generate': self.game.generate}
    if back is not None:
      way = {'generate': self.game.back, 'columns': {'images': back}}
    if way['generate'] is None:
      raise InputError('back: this run goes one way; game=cycle goes both')
    return dict(
      self.drawing | way,
      encode=self.game.encode,
      styled=self.game.styled,
      enlarge=self.game.enlarge,
      posed=self.game.posed,
      variables=generator_variables(state, ema),
      weights=weights_name(state, ema),
    )

  def sampler(self, state: TrainState, *, ema: bool, **keys: Any) -> Sampler:
    """A sampler over a state, see `drawn_from`, with more of its arguments."""
    return Sampler(**self.drawn_from(state, ema=ema), **keys)


def build(
  config: Config,
  info: DatasetInfo,
  *,
  axis_name: str | None = None,
  swept: Mapping[str, jax.Array] | None = None,
  reference: Players[Any] | None = None,
) -> Model:
  """Makes everything that a config names.

  Args:
    config: see configs/base.py.
    info: the shape and classes of the data.
    axis_name: mapped device axis that will share the batches, or None.
    swept: traced scalars of the section `sweep`, by name; `check` has seen
      their values, see gan_jax/ensemble.py.
    reference: what the players begin with, for those that do, in [-1, 1]: of
      G the mean image `[H, W, C]`, of D the images `[R, H, W, C]` of its
      virtual batch norm, as many as make its packs; needed where a state is
      initialised to be trained.

  Raises:
    InputError: an unknown name, a value out of range, or a combination that
      makes no sense; the message names the key.
  """
  checks.check(config)
  ranges.check_image_shape(info.image_shape)
  values = {sweep.SWEPT[name]: value for name, value in (swept or {}).items()}
  config = replaced(config, values)
  kind = games.kind_of(config)
  architecture = kind.architectures[config.network.name]
  size = kind.latent_dim(config, tuple(info.image_shape))
  task = task_of(config, info, architecture.num_seeds, size)
  networks = kind.networks(config, task, axis_name)
  checks.check_combination(config, style_of(networks.disc))
  game = kind.game(config, task, networks, reference, axis_name)
  lookahead = tricks.lookahead(config)
  optimizers = parts.make_optimizers(config, kind.players)
  order = dict(
    disc_steps=config.disc_steps,
    fresh_latents=config.fresh_latents,
    axis_name=axis_name,
    micro_batch=config.micro_batch,
  )
  kept = dict(ema=annealing.averages(config), lookahead=lookahead is not None)
  init = functools.partial(solvers.init_state, game, optimizers, **kept)
  train_step = solvers.make_train_step(
    game,
    optimizers,
    solver=parts.solver_of(config),
    gen_steps=config.gen_steps,
    ema_decay=annealing.ema_decay(config),
    ema_start=config.ema_start,
    lookahead=lookahead,
    disc_accuracy_limit=config.tricks.disc_accuracy_limit,
    moving=parts.MOVING[config.moving],
    **order,
  )
  return Model(
    networks,
    game,
    optimizers,
    ranges.within_memory(init),
    train_step,
    solvers.make_probe(game, **order),
    _drawing(config, task, info, size),
  )


def _drawing(
  config: Config, task: Task, info: DatasetInfo, latent_dim: int
) -> dict[str, Any]:
  """How a sampler draws, and what it is told of what is given."""
  columns = dict(task.given)
  return dict(
    latent_dim=task.num_seeds + latent_dim + sum(task.codes),
    prior=config.latent_prior,
    codes=task.codes,
    num_seeds=task.num_seeds,
    exact=PRECISIONS[config.precision].dtype is None,
    num_classes=columns.pop('labels', Column(())).size,
    class_names=info.class_names if config.conditional else (),
    columns=columns,
    vocabulary=_words(config, info),
    denoising=diffusion.denoising_of(config),
  )


def _words(config: Config, info: DatasetInfo) -> Any:
  """The captions' vocabulary, or what made vectors of them.

  An encoder's files are read when it is called.
  """
  if config.text.encoder == texts.WORDS:
    return info.vocabulary
  return lambda strings: parts.text_encoder(config)(strings)


def abstract_state(model: Model) -> TrainState:
  """Shapes and dtypes of the state, without computing one."""
  return jax.eval_shape(model.init, jax.random.key(0))

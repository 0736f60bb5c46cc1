"""From names to objects: the one place that reads a config's model keys.

Below this file nothing knows of configs. `config` is a locked ConfigDict or
anything else with the same attributes (a run's config.json, read back).
"""

import functools
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import optax

from gan_jax import build_tricks, gradients, limits, priors, sampling, solvers
from gan_jax import networks as networks_lib
from gan_jax import optimizers as optimizers_lib
from gan_jax import sweep as sweep_lib
from gan_jax.data import DatasetInfo, load_dataset
from gan_jax.games import Game
from gan_jax.games.image import image_gan
from gan_jax.losses import AdversarialLoss, make_loss
from gan_jax.overrides import replaced, section
from gan_jax.penalties import PENALTIES
from gan_jax.precision import PRECISIONS
from gan_jax.types import InputError, Players, TrainState, lookup

Config = Any
check_seed = limits.check_seed


class Model(NamedTuple):
  """The objects that a config names.

  Attributes:
    networks: generator and discriminator modules.
    game: what the players minimise.
    optimizers: of both players.
    init: key -> TrainState.
    train_step: (state, batches, key) -> (state, metrics).
    probe: (state, batches, key) -> metrics after the update of G.
  """

  networks: Players[nn.Module]
  game: Game
  optimizers: Players[optax.GradientTransformation]
  init: Any
  train_step: solvers.Step
  probe: Any


def build(
  config: Config,
  info: DatasetInfo,
  *,
  axis_name: str | None = None,
  swept: Mapping[str, jax.Array] | None = None,
  reference: Any = None,
) -> Model:
  """Makes everything that a config names.

  Args:
    config: see configs/base.py.
    info: the shape and classes of the data.
    axis_name: mapped device axis that will share the batches, or None.
    swept: traced scalars in place of the config's, by dotted key; `check` has
      seen their values, see gan_jax/ensemble.py.
    reference: images of D's virtual batch norm, `[R, H, W, C]` in [-1, 1],
      as many as make its packs; needed where a state is initialised to be
      trained.

  Raises:
    InputError: an unknown name, a value out of range, or a combination that
      makes no sense; the message names the key.
  """
  check(config)
  limits.check_image_shape(info.image_shape)
  config = replaced(config, swept or {})
  if config.conditional and not info.class_names:
    raise InputError(
      f'conditional: {info.name} has no labels; use a labelled dataset or '
      'class subfolders, or set conditional=False'
    )
  keys = section(config.network)
  networks = networks_lib.make_networks(
    keys.pop('name'),
    tuple(info.image_shape),
    num_classes=len(info.class_names) if config.conditional else 0,
    axis_name=axis_name,
    dtype=PRECISIONS[config.precision].dtype,
    **keys,
  )
  check_combination(config, networks.disc.style.norm)
  game = image_gan(
    networks,
    loss_of(config),
    draw_latents=functools.partial(
      priors.draw_latents,
      prior=config.latent_prior,
      latent_dim=config.latent_dim,
    ),
    image_shape=tuple(info.image_shape),
    penalty=PENALTIES[config.penalty],
    penalty_weight=config.penalty_weight,
    tricks=build_tricks.make_tricks(
      config, networks.disc, tuple(info.image_shape)
    ),
    reference=reference,
    axis_name=axis_name,
  )
  lookahead = build_tricks.lookahead(config)
  optimizers = make_optimizers(config)
  order = dict(
    disc_steps=config.disc_steps,
    fresh_latents=config.fresh_latents,
    axis_name=axis_name,
    micro_batch=config.micro_batch,
  )
  return Model(
    networks,
    game,
    optimizers,
    init=limits.within_memory(
      functools.partial(
        solvers.init_state,
        game,
        optimizers,
        ema=config.ema_decay > 0,
        lookahead=lookahead is not None,
      )
    ),
    train_step=solvers.make_train_step(
      game,
      optimizers,
      solver=_solver(config),
      gen_steps=config.gen_steps,
      ema_decay=config.ema_decay,
      lookahead=lookahead,
      disc_accuracy_limit=config.tricks.disc_accuracy_limit,
      **order,
    ),
    probe=solvers.make_probe(game, **order),
  )


def check(config: Config) -> None:
  """Checks all that needs neither data nor devices.

  Raises:
    InputError: an unknown name or a value out of range.
  """
  limits.check(config)
  dataset_keys(config)
  loss_of(config)
  lookup(PENALTIES, config.penalty, 'penalty')
  lookup(PRECISIONS, config.precision, 'precision')
  _solver(config)
  lookup(priors.PRIORS, config.latent_prior, 'latent_prior')
  lookup(networks_lib.NETWORKS, config.network.name, 'network.name')
  for player in ('gen_optimizer', 'disc_optimizer'):
    _optimizer(config, player)
  build_tricks.check(config)
  sweep_lib.check(config, check)


def dataset_keys(config: Config, data_dir: str = '') -> dict[str, Any]:
  """The keys of `load_dataset`: those of the data that are not the feed's.

  Args:
    config: of a run.
    data_dir: where its data lies now; '' for where it lay.
  """
  keys = section(config.data)
  for of_feed in ('flip', 'cache', 'cache_mb'):
    keys.pop(of_feed, None)
  unknown = sorted(keys.keys() - inspect.signature(load_dataset).parameters)
  if unknown or 'name' not in keys:
    raise InputError(f'data: {unknown or "name"} is not what data must hold')
  if data_dir:
    keys['dir'] = data_dir
  return keys


def loss_of(config: Config) -> AdversarialLoss:
  """The adversarial loss with its own keys."""
  return make_loss(config.loss, config.label_smoothing, config.f_divergence)


def _solver(config: Config) -> solvers.Solver:
  return solvers.make_solver(
    config.solver,
    unroll_steps=config.unroll_steps,
    consensus_weight=config.consensus_weight,
  )


def make_optimizers(config: Config) -> Players[optax.GradientTransformation]:
  """Both players' optimizers: as configured, as the solver wants, clipped."""
  counts = solvers.updates_per_step(
    config.solver, config.disc_steps, config.gen_steps
  )
  optimizers = solvers.adapt_optimizers(
    config.solver,
    Players(
      gen=_optimizer(config, 'gen_optimizer', counts.gen),
      disc=_optimizer(config, 'disc_optimizer', counts.disc),
    ),
    time_scale_ratio=config.time_scale_ratio,
  )
  disc = optimizers.disc
  if config.weight_clip:
    disc = optax.chain(disc, optimizers_lib.weight_clipping(config.weight_clip))
  if config.tricks.num_discs > 1:
    disc = gradients.for_each(disc)
  return optimizers._replace(disc=disc)


def _optimizer(config, key, updates_per_step=1) -> optax.GradientTransformation:
  keys = section(getattr(config, key))
  keys['decay_steps'] = keys['decay_steps'] or config.num_steps
  return optimizers_lib.make_optimizer(
    keys.pop('name'), key=key, updates_per_step=updates_per_step, **keys
  )


def check_combination(config: Config, disc_norm: str) -> None:
  """Refuses what makes no sense, with the reason.

  Args:
    config: with valid names.
    disc_norm: the norm that D ends up with.

  Raises:
    InputError: the keys at fault and the way out.
  """
  penalised = config.penalty != 'none'
  if penalised and disc_norm == 'batch':
    raise InputError(
      f'penalty: {config.penalty} needs the gradient of each example, and '
      'batch norm in D makes it depend on the others; set '
      'network.disc_norm to none, layer or spectral'
    )
  if config.weight_clip and penalised:
    raise InputError(
      f'weight_clip: {config.weight_clip} and penalty={config.penalty} are two '
      'ways to one constraint; set weight_clip=0 or penalty=none'
    )
  if config.weight_clip and disc_norm == 'spectral':
    raise InputError(
      f'weight_clip: {config.weight_clip} has no effect under spectral norm, '
      'which rescales the weights; set weight_clip=0 or another '
      'network.disc_norm'
    )


def advice(config: Config, disc_norm: str) -> list[str]:
  """Lines about choices that are allowed and unlikely to be meant."""
  lines = []
  constrained = (
    config.penalty != 'none' or config.weight_clip or disc_norm == 'spectral'
  )
  if config.loss == 'wasserstein' and not constrained:
    lines.append(
      'loss=wasserstein without a Lipschitz constraint is no distance; '
      'consider penalty=wgan_gp, weight_clip=0.01 or network.disc_norm=spectral'
    )
  return lines + build_tricks.advice(config)


def make_sampler(
  config: Config,
  info: DatasetInfo,
  model: Model,
  state: TrainState,
  ema: bool,
  batch_norm: str = 'running',
) -> sampling.Sampler:
  """A sampler over a state's moving average, or its raw weights.

  Args:
    config: of the run.
    info: of its data.
    model: built from the two.
    state: trained.
    ema: take the moving average if the run keeps one.
    batch_norm: see `Sampler`.
  """
  return sampling.Sampler(
    model.networks.gen,
    generator_variables(state, ema),
    latent_dim=config.latent_dim,
    prior=config.latent_prior,
    num_classes=len(info.class_names) if config.conditional else 0,
    batch_norm=batch_norm,
  )


def discriminator_variables(state: TrainState) -> chex.ArrayTree:
  """D's flax variables."""
  return {'params': state.params.disc, **state.model_state.disc}


def generator_variables(state: TrainState, ema: bool) -> chex.ArrayTree:
  """G's flax variables: averaged if `ema` and there is one, else raw."""
  if weights_name(state, ema) == 'ema':
    return {'params': state.ema['params'], **state.ema['model_state']}
  return {'params': state.params.gen, **state.model_state.gen}


def weights_name(state: TrainState, ema: bool) -> str:
  """Which weights of G `generator_variables` gives: ema or raw."""
  return 'ema' if ema and state.ema is not None else 'raw'


def abstract_state(model: Model) -> TrainState:
  """Shapes and dtypes of the state, without computing one."""
  return jax.eval_shape(model.init, jax.random.key(0))

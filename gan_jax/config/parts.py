"""Names of a config -> the loss, the solver, the optimizers, the data."""

import inspect
from typing import Any

import optax

from gan_jax import solvers
from gan_jax.config import annealing
from gan_jax.config.overrides import section
from gan_jax.data import load_dataset
from gan_jax.features import texts
from gan_jax.losses import AdversarialLoss, make_loss
from gan_jax.solvers import gradients
from gan_jax.solvers import optimizers as optimizers_lib
from gan_jax.types import InputError, Players

Config = Any

# Values of the key `moving` -> who moves.
MOVING = {'both': ('gen', 'disc'), 'gen': ('gen',), 'disc': ('disc',)}


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
  keys['captions'] = 'text' in config.given
  keys['poses'] = 'pose' in config.given
  keys['encoder'] = text_encoder(config)
  return keys


def text_encoder(config: Config) -> Any:
  """What makes vectors of captions; None where they come as words."""
  return texts.load(config.text.encoder, config.text.weights)


def loss_of(config: Config) -> AdversarialLoss:
  """The adversarial loss with its own keys."""
  return make_loss(config.loss, config.label_smoothing, config.f_divergence)


def solver_of(config: Config) -> solvers.Solver:
  """How the players move, with the solver's own keys."""
  return solvers.make_solver(
    config.solver,
    unroll_steps=config.unroll_steps,
    consensus_weight=config.consensus_weight,
  )


def make_optimizers(
  config: Config, players: tuple[str, ...] = ('gen', 'disc')
) -> Players[optax.GradientTransformation | None]:
  """The players' optimizers: as configured, as the solver wants, clipped.

  Args:
    config: of a run.
    players: who moves; the other's is None.
  """
  if 'disc' not in players:
    return Players(optimizer_of(config, 'gen_optimizer'), None)
  counts = solvers.updates_per_step(
    config.solver, config.disc_steps, config.gen_steps
  )
  optimizers = solvers.adapt_optimizers(
    config.solver,
    Players(
      gen=optimizer_of(config, 'gen_optimizer', counts.gen),
      disc=optimizer_of(config, 'disc_optimizer', counts.disc),
    ),
    time_scale_ratio=config.time_scale_ratio,
  )
  disc = optimizers.disc
  if config.weight_clip:
    disc = optax.chain(disc, optimizers_lib.weight_clipping(config.weight_clip))
  if config.tricks.num_discs > 1:
    disc = gradients.for_each(disc)
  return optimizers._replace(disc=disc)


def optimizer_of(
  config: Config, key: str, updates_per_step: int = 1
) -> optax.GradientTransformation:
  """One player's optimizer.

  Args:
    config: of a run.
    key: gen_optimizer or disc_optimizer.
    updates_per_step: see `make_optimizer`.
  """
  keys = section(getattr(config, key))
  keys['decay_steps'] = keys['decay_steps'] or config.num_steps
  return optimizers_lib.make_optimizer(
    keys.pop('name'),
    key=key,
    updates_per_step=updates_per_step,
    courses=annealing.of_optimizer(config, keys),
    **keys,
  )

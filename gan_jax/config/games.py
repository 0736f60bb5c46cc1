"""The games by name: how each is made of a config, and which keys it takes.

To add one: a file in gan_jax/games/, and a `Kind` in `GAMES`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn

from gan_jax import networks as networks_lib
from gan_jax import solvers
from gan_jax.config import (
  diffusion,
  growing,
  parts,
  styled,
  terms,
  translation,
  tricks,
)
from gan_jax.config.overrides import section, value_at
from gan_jax.devices.precision import PRECISIONS
from gan_jax.games import Game, autoencoder
from gan_jax.games.dropping import dropping_game
from gan_jax.games.growth import Growth, growing_game
from gan_jax.games.image import image_gan
from gan_jax.games.pairs import pairs_of
from gan_jax.types import InputError, Players, Task, lookup

Config = Any


class Kind(NamedTuple):
  """A kind of game.

  Attributes:
    architectures: what `network.name` may be.
    networks: (config, task, axis_name) -> modules of both players.
    game: (config, task, networks, reference, axis_name) -> game.
    players: who moves.
    keys: config keys that games of this kind alone read; None if not given.
    check: raises InputError for values of these keys that cannot be.
    latent_dim: (config, shape of images) -> numbers of noise in a latent.
  """

  architectures: dict[str, networks_lib.Architecture]
  networks: Callable[..., Players]
  game: Callable[..., Game]
  players: tuple[str, ...] = ('gen', 'disc')
  keys: tuple[str, ...] = ()
  check: Callable[[Config], None] = lambda config: None
  latent_dim: Callable[..., int] = lambda config, shape: config.latent_dim


# --- Two players --------------------------------------------------------------


def _network_keys(config: Config, axis_name: str | None) -> dict[str, Any]:
  dtype = PRECISIONS[config.precision].dtype
  return dict(axis_name=axis_name, dtype=dtype, **section(config.network))


def _pair(
  config: Config, task: Task, axis_name: str | None
) -> Players[nn.Module]:
  keys = _network_keys(config, axis_name)
  if 'factor' in networks_lib.network_keys(config.network.name):
    keys['factor'] = _factor(config)
  return networks_lib.make_networks(task=task, **keys)


def _factor(config: Config) -> int:
  """By which G enlarges: what its sources were shrunk by."""
  if config.data.derive != 'low_res':
    raise InputError(
      f'data.derive: {config.network.name} enlarges what low_res shrinks, not '
      f'{config.data.derive}; set data.derive=low_res and given=source'
    )
  return config.data.derive_factor


def _adversarial(
  config: Config,
  task: Task,
  networks: Players[nn.Module],
  reference: Players[Any] | None,
  axis_name: str | None,
) -> Game:
  styled.check(config, networks.gen)
  game = image_gan(
    networks,
    parts.loss_of(config),
    task=task,
    terms=terms.make_terms(config, task, networks),
    pairs=pairs_of(config.mismatch_weight),
    tricks=tricks.make_tricks(config, networks.disc, task),
    adversarial_weight=config.adversarial_weight,
    reference=reference,
    axis_name=axis_name,
  )
  if config.drop_given:
    game = dropping_game(game, config.drop_given)
  if not growing.grows(config):
    return game
  size = config.network.resolution or task.image_shape[0]
  return growing_game(game, Growth(size, tuple(config.fade_in)))


# --- An encoder and a decoder -------------------------------------------------


def _coder(heads: int):
  """Networks whose code is so many times as long as the latents."""

  def make(config, task, axis_name):
    return networks_lib.make_autoencoder(
      task=task,
      code_dim=heads * config.latent_dim,
      **_network_keys(config, axis_name),
    )

  return make


def _autoencoder(config, task, networks, reference, axis_name) -> Game:
  del config, reference, axis_name
  return autoencoder.autoencoder(networks.gen, task=task)


def _vae(config, task, networks, reference, axis_name) -> Game:
  del reference, axis_name
  return autoencoder.vae(
    networks.gen,
    task=task,
    likelihood=_likelihood(config),
    kl_weight=1.0 if config.kl_weight is None else config.kl_weight,
  )


def _likelihood(config: Config) -> autoencoder.Likelihood:
  if config.likelihood == 'gaussian':
    std = config.likelihood_std
    return autoencoder.gaussian(0.5 if std is None else std)
  return autoencoder.bernoulli()


def _check_vae(config: Config) -> None:
  std, weight = config.likelihood_std, config.kl_weight
  name = config.likelihood or 'bernoulli'
  lookup(dict.fromkeys(autoencoder.LIKELIHOODS), name, 'likelihood')
  if std is not None and name != 'gaussian':
    raise InputError(
      f'likelihood_std: {std} is a deviation, and likelihood={name} has none; '
      'set likelihood=gaussian, or leave it out'
    )
  if std is not None and not 0 < std < math.inf:
    raise InputError(f'likelihood_std: {std} is not a finite number above 0')
  if weight is not None and not 0 <= weight < math.inf:
    raise InputError(f'kl_weight: {weight} is not a finite number from 0 on')
  if config.latent_prior != 'normal':
    raise InputError(
      f'latent_prior: {config.latent_prior} is not what the KL divergence of '
      'game=vae is to; set latent_prior=normal'
    )


_coalition = dict(architectures=networks_lib.AUTOENCODERS, players=('gen',))
GAMES: dict[str, Kind] = {
  'adversarial': Kind(
    networks_lib.NETWORKS, _pair, _adversarial, check=growing.check
  ),
  'autoencoder': Kind(networks=_coder(1), game=_autoencoder, **_coalition),
  'vae': Kind(
    networks=_coder(2),
    game=_vae,
    keys=('likelihood', 'likelihood_std', 'kl_weight'),
    check=_check_vae,
    **_coalition,
  ),
  diffusion.GAME: Kind(
    networks_lib.DENOISERS,
    lambda config, task, axis_name: networks_lib.make_denoiser(
      task=task, **_network_keys(config, axis_name)
    ),
    diffusion.make_game,
    players=('gen',),
    keys=('diffusion.noise_steps', 'diffusion.noise_schedule'),
    check=diffusion.check,
    latent_dim=diffusion.latent_dim,
  ),
  'cycle': Kind(
    networks_lib.TRANSLATORS,
    lambda config, task, axis_name: networks_lib.make_translators(
      task=task, **_network_keys(config, axis_name)
    ),
    translation.make_game,
    keys=('cycle_weight', 'identity_weight', 'pool_size'),
    check=lambda config: translation.check(config, _NEUTRAL),
  ),
}

# --- What is refused ----------------------------------------------------------

# Keys that say something of D, or of a game of two -> their value where nobody
# has given one. A config does not say what was given: any other value was. That
# these are the values of configs/base.py is held by tests/config/test_games.py.
_NEUTRAL = {
  'loss': 'non_saturating',
  'f_divergence': None,
  'label_smoothing': 0.0,
  'penalty': 'none',
  'penalty_every': 1,
  'penalty_weight_end': None,
  'drift_weight': 0.0,
  'fade_in': (),
  'adversarial_weight': 1.0,
  'l1_weight': 0.0,
  'mse_weight': 0.0,
  'perceptual.weight': 0.0,
  'path_length_weight': 0.0,
  'conditioning_weight': 0.0,
  'path_length_every': 4,
  'mismatch_weight': 0.0,
  'contrastive_weight': 0.0,
  'drop_given': 0.0,
  'class_weight': None,
  'classify_fakes': None,
  'codes': (),
  'code_weight': None,
  'moving': 'both',
  'weight_clip': 0.0,
  'disc_steps': 1,
  'gen_steps': 1,
  'fresh_latents': True,
  'disc_optimizer.name': 'adam',
  'disc_optimizer.learning_rate': 2e-4,
  'disc_optimizer.b1': None,
  'disc_optimizer.b2': None,
  'disc_optimizer.eps': None,
  'disc_optimizer.momentum': None,
  'disc_optimizer.decay': None,
  'disc_optimizer.weight_decay': None,
  'disc_optimizer.schedule': 'constant',
  'disc_optimizer.decay_steps': 0,
  'disc_optimizer.decay_rate': 0.1,
  'disc_optimizer.warmup_steps': 0,
  'disc_optimizer.clip_norm': 0.0,
  'disc_optimizer.historical_weight': 0.0,
  'disc_optimizer.orthogonal_weight': 0.0,
  'tricks.relativistic': 'none',
  'tricks.label_flip': 0.0,
  'tricks.top_k_share': 1.0,
  'tricks.packing': 1,
  'tricks.noise_std': 0.0,
  'tricks.augment': 'none',
  'tricks.augment_end': None,
  'tricks.feature_matching': 0.0,
  'tricks.lecam_weight': 0.0,
  'tricks.consistency_weight': 0.0,
  'tricks.fake_consistency_weight': 0.0,
  'tricks.num_discs': 1,
  'tricks.mixing_weight': 0.0,
  'tricks.disc_accuracy_limit': 1.0,
}


def kind_of(config: Config) -> Kind:
  """The kind of game that a config asks for.

  Raises:
    InputError: an unknown name.
  """
  return lookup(GAMES, config.game, 'game')


def check(config: Config) -> None:
  """Checks the game's own keys, and that others are of its kind.

  Raises:
    InputError: the key at fault, with the reason.
  """
  kind = kind_of(config)
  lookup(kind.architectures, config.network.name, 'network.name')
  for name, other in GAMES.items():
    for key in set(other.keys) - set(kind.keys):
      if value_at(config, key) is not None:
        raise InputError(
          f'{key}: {value_at(config, key)!r} is for game={name}, and not for '
          f'game={config.game}; leave it out, or set game={name}'
        )
  if 'disc' not in kind.players:
    _check_one_player(config)
  elif config.solver in solvers.ALONE and config.adversarial_weight:
    raise InputError(
      f'solver: {config.solver} moves G alone, and game={config.game} has two '
      f'players; take solver={solvers.ALTERNATING[0]}, or set '
      'adversarial_weight=0'
    )
  kind.check(config)


def _check_one_player(config: Config) -> None:
  """Raises InputError for what needs two."""
  one = f'game={config.game} has one player'
  if config.solver not in solvers.ALONE:
    raise InputError(
      f'solver: {config.solver} moves two players, and {one}; set '
      f'solver={solvers.ALONE[0]}'
    )
  for key, neutral in _NEUTRAL.items():
    value = value_at(config, key)
    if value != neutral and value != []:  # a list, in a run's config.json
      raise InputError(
        f'{key}: {value!r} says how two players play, and {one}; leave it at '
        f'{neutral!r}'
      )

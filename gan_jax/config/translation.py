"""A game of two domains by a config: its terms, and what it does not read."""

from collections.abc import Mapping
from typing import Any

from gan_jax.config import parts
from gan_jax.config.overrides import value_at
from gan_jax.games import Game
from gan_jax.games.translation import Weights, cycle_gan
from gan_jax.types import InputError

Config = Any
MOST_POOLED = 10_000  # fakes

# Keys of adversarial games that it reads too, beside the optimizers'.
_READ = ('loss', 'f_divergence', 'label_smoothing', 'moving', 'weight_clip')
_READ += ('disc_steps', 'gen_steps', 'fresh_latents')
_READ += ('tricks.disc_accuracy_limit',)


def make_game(config, task, networks, reference, axis_name) -> Game:
  """See `gan_jax.config.games.Kind`."""
  del reference
  return cycle_gan(
    networks,
    parts.loss_of(config),
    task=task,
    weights=_weights(config),
    axis_name=axis_name,
  )


def _weights(config: Config) -> Weights:
  keys = config.cycle_weight, config.identity_weight, config.pool_size
  return Weights(
    *(
      default if key is None else key
      for key, default in zip(keys, Weights(), strict=True)
    )
  )


def check(config: Config, neutral: Mapping[str, Any]) -> None:
  """Checks its keys, and that others are left alone.

  Args:
    config: of the run.
    neutral: keys of adversarial games -> their values where none is given.

  Raises:
    InputError: the key at fault, with the reason.
  """
  pool = _weights(config).pool
  if not 0 <= pool <= MOST_POOLED:
    raise InputError(f'pool_size: {pool} is not in 0 to {MOST_POOLED:,}')
  if config.conditional or list(config.given) != ['other']:
    raise InputError(
      'given: game=cycle is told the other domain and nothing else; set '
      'given=other and conditional=False'
    )
  for key, left in neutral.items():
    value = value_at(config, key)
    read = key.startswith('disc_optimizer') or key in _READ
    if not read and value != left and value != []:
      raise InputError(
        f'{key}: {value!r} is for game=adversarial, and game=cycle does not '
        f'read it; leave it at {left!r}'
      )

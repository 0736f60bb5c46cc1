"""A diffusion model by a config: its noise, its network, how it draws.

Noise schedule, network and sampler are three tables that know nothing of each
other: gan_jax.sampling.noising, gan_jax.networks, gan_jax.sampling.denoising.
"""

import math
from typing import Any

from gan_jax.config.overrides import section
from gan_jax.games import Game
from gan_jax.games.diffusion import diffusion
from gan_jax.sampling import denoising as denoising_lib
from gan_jax.sampling.denoising import Denoising
from gan_jax.sampling.noising import Noising, make_noising
from gan_jax.types import InputError

Config = Any
GAME = 'diffusion'
NUM_STEPS = 1_000  # T, unless the config says


def latent_dim(config: Config, image_shape: tuple[int, ...]) -> int:
  """Numbers of noise, as many as an image has."""
  del config
  return math.prod(image_shape)


def make_game(config, task, networks, reference, axis_name) -> Game:
  """See `gan_jax.config.games.Kind`."""
  del reference, axis_name
  return diffusion(
    networks.gen,
    task=task,
    noising=_noising(config),
    denoising=denoising_of(config),
  )


def denoising_of(config: Config) -> Denoising | None:
  """How a run draws: as `denoise` says, or by 50 steps of DDIM, T at most.

  None for a game that draws in one pass.

  Raises:
    InputError: a value that cannot be, or any for another game.
  """
  given = asked(config)
  if config.game != GAME:
    if given:
      key, value = next(iter(given.items()))
      raise InputError(
        f'denoise.{key}: {value} is how a diffusion model draws, and this run '
        f'has game={config.game}, which draws in one pass; leave it out'
      )
    return None
  num = _noising(config).num_steps
  default = Denoising(steps=min(Denoising().steps, num))
  return denoising_lib.check(default._replace(**given), num)


def asked(config: Config) -> dict[str, Any]:
  """The keys of `denoise` that are given."""
  keys = section(config.denoise)
  return {name: value for name, value in keys.items() if value is not None}


def _noising(config: Config) -> Noising:
  keys = config.diffusion
  steps = NUM_STEPS if keys.noise_steps is None else keys.noise_steps
  return make_noising(keys.noise_schedule or 'linear', steps)


def check(config: Config) -> None:
  """Checks its keys.

  Raises:
    InputError: the key at fault, with the reason.
  """
  denoising_of(config)
  if config.latent_prior != 'normal':
    raise InputError(
      f'latent_prior: {config.latent_prior} is not the noise that a diffusion '
      'model begins with; set latent_prior=normal'
    )

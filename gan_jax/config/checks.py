"""The keys that shape a run, checked in one pass before any work."""

from typing import Any

from gan_jax.config import games, parts, ranges, sweep, tricks
from gan_jax.devices.precision import PRECISIONS
from gan_jax.penalties import PENALTIES
from gan_jax.sampling.priors import PRIORS
from gan_jax.types import InputError, lookup

Config = Any


def check(config: Config) -> None:
  """Checks all that shapes a run and needs neither data nor devices.

  Raises:
    InputError: an unknown name or a value out of range.
  """
  ranges.check(config)
  parts.dataset_keys(config)
  parts.loss_of(config)
  lookup(PENALTIES, config.penalty, 'penalty')
  lookup(PRECISIONS, config.precision, 'precision')
  parts.solver_of(config)
  lookup(PRIORS, config.latent_prior, 'latent_prior')
  games.check(config)
  for player in ('gen_optimizer', 'disc_optimizer'):
    parts.optimizer_of(config, player)
  tricks.check(config)
  sweep.check(config, check)


def check_combination(config: Config, disc_norm: str) -> None:
  """Refuses what makes no sense, with the reason.

  Args:
    config: with valid names.
    disc_norm: the norm that D ends up with; none where there is no D.

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
  return lines + tricks.advice(config, disc_norm)

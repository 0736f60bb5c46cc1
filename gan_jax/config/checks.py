"""The keys that shape a run, checked in one pass before any work."""

from typing import Any

from gan_jax.config import (
  annealing,
  games,
  given,
  parts,
  ranges,
  stages,
  sweep,
  terms,
  tricks,
)
from gan_jax.devices.precision import PRECISIONS
from gan_jax.networks.style import Style
from gan_jax.penalties import PENALTIES
from gan_jax.sampling.priors import PRIORS
from gan_jax.types import InputError, lookup

Config = Any
_MOST_VALUES = 10_000  # of a code


def check(config: Config) -> None:
  """Checks all that shapes a run and needs neither data nor devices.

  Raises:
    InputError: an unknown name or a value out of range.
  """
  ranges.check(config)
  given.check(config)
  given.check_use(config)
  parts.dataset_keys(config)
  parts.loss_of(config)
  lookup(PENALTIES, config.penalty, 'penalty')
  lookup(PRECISIONS, config.precision, 'precision')
  parts.solver_of(config)
  lookup(PRIORS, config.latent_prior, 'latent_prior')
  games.check(config)
  annealing.check(config)
  for player in ('gen_optimizer', 'disc_optimizer'):
    parts.optimizer_of(config, player)
  tricks.check(config)
  terms.check(config)
  _check_pairs(config)
  _check_codes(config)
  lookup(parts.MOVING, config.moving, 'moving')
  sweep.check(config, check)
  stages.check(config, check)


def _check_pairs(config: Config) -> None:
  """Raises InputError for terms and pairs that would do nothing, or harm."""
  if config.penalty_every > 1 and config.penalty == 'none':
    raise InputError(
      f'penalty_every: {config.penalty_every} spaces a penalty out, and there '
      'is none; set penalty, or penalty_every=1'
    )
  weight = config.mismatch_weight
  if not 0.0 <= weight < 1.0:
    raise InputError(f'mismatch_weight: {weight} is not in [0, 1)')
  if not weight:
    return
  if not config.conditional and not config.given:
    raise InputError(
      f'mismatch_weight: {weight} tells D of a real image what belongs to '
      'another, and nothing is given; set conditional=True or given=text, or '
      'mismatch_weight=0'
    )
  if config.tricks.relativistic != 'none':
    raise InputError(
      f'mismatch_weight: tricks.relativistic={config.tricks.relativistic} '
      'compares real with fake, and has no place for a third pair; set '
      'one of them to 0 or none'
    )
  if config.micro_batch:
    raise InputError(
      'mismatch_weight: it takes what the next example of a batch is given, '
      f'which micro_batch={config.micro_batch} splits; set micro_batch=0'
    )


def _check_codes(config: Config) -> None:
  """Raises InputError for codes that cannot be, or cannot be guessed."""
  codes = config.codes
  if not isinstance(codes, tuple | list) or not all(
    type(size) is int and 1 <= size <= _MOST_VALUES for size in codes
  ):
    raise InputError(
      f'codes: {codes!r} is no list of sizes from 1 to {_MOST_VALUES:,}, such '
      'as (10, 1, 1)'
    )
  if not codes and config.code_weight is not None:
    raise InputError(
      f'code_weight: {config.code_weight} is on codes, and there are none; set '
      'codes, such as (10, 1, 1), or leave it out'
    )
  if codes and config.tricks.packing > 1:
    raise InputError(
      f'tricks.packing: the {config.tricks.packing} images of a pack have as '
      'many codes, and D guesses one; set codes=() or tricks.packing=1'
    )


def _check_labels(config: Config, disc: Style) -> None:
  """Raises InputError for what says something of labels that D does not do."""
  way = config.network.disc_labels_by
  if way is not None and not config.conditional:
    raise InputError(
      f'network.disc_labels_by: {way} is about labels, and D sees none; set '
      'conditional=True, or leave it out'
    )
  guesses = terms.guesses_labels(disc)
  if guesses and disc.norm == 'conditional':
    raise InputError(
      'network.disc_norm: conditional batch norm tells D the labels, which it '
      'is to guess; take batch, layer or none, or '
      'network.disc_labels_by=projection'
    )
  for key in ('class_weight', 'classify_fakes'):
    value = getattr(config, key)
    if value is not None and not guesses:
      raise InputError(
        f'{key}: {value} is about the classes that D guesses, and it guesses '
        'none; set network.disc_labels_by=classifier with conditional=True, or '
        'leave it out'
      )
  if config.mismatch_weight and guesses and not config.given:
    raise InputError(
      f'mismatch_weight: {config.mismatch_weight} tells D of a real image what '
      'belongs to another, and D guesses the labels; set mismatch_weight=0, or '
      'network.disc_labels_by=projection'
    )


def _check_groups(config: Config, disc: Style) -> None:
  """Raises InputError for groups that do not divide what D sees at once."""
  batch = config.batch_size // config.tricks.packing
  group = min(disc.minibatch_group, batch)
  if disc.minibatch == 'stddev' and group and batch % group:
    packs = ' packs' * (config.tricks.packing > 1)
    raise InputError(
      f'network.minibatch_group: groups of {group} do not divide a batch of '
      f'{batch}{packs}; take a batch_size that they do, or another group'
    )


def check_combination(config: Config, disc: Style) -> None:
  """Refuses what makes no sense, with the reason.

  Args:
    config: with valid names.
    disc: the style that D ends up with; a plain one where there is no D.

  Raises:
    InputError: the keys at fault and the way out.
  """
  _check_labels(config, disc)
  if config.micro_batch and disc.minibatch != 'none':
    raise InputError(
      'network.disc_minibatch: D compares the examples of a batch, which '
      f'micro_batch={config.micro_batch} splits; set micro_batch=0'
    )
  _check_groups(config, disc)
  penalised = config.penalty != 'none'
  if penalised and disc.batch_norm:
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
  if config.weight_clip and disc.weights == 'spectral':
    raise InputError(
      f'weight_clip: {config.weight_clip} has no effect under spectral norm, '
      'which rescales the weights; set weight_clip=0 or '
      'network.disc_weights=none'
    )


def advice(config: Config, disc: Style) -> list[str]:
  """Lines about choices that are allowed and unlikely to be meant.

  Args:
    config: with valid names.
    disc: the style that D ends up with.
  """
  lines = []
  constrained = (
    config.penalty != 'none' or config.weight_clip or disc.weights == 'spectral'
  )
  if config.loss == 'wasserstein' and not constrained:
    lines.append(
      'loss=wasserstein without a Lipschitz constraint is no distance; '
      'consider penalty=wgan_gp, weight_clip=0.01 or network.disc_norm=spectral'
    )
  return lines + given.advice(config) + tricks.advice(config, disc)

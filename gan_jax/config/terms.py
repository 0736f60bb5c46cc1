"""What the players add to their losses, by a config."""

from typing import Any

import flax.linen as nn

from gan_jax import networks as networks_lib
from gan_jax.config import annealing, parts, tricks
from gan_jax.features import maps
from gan_jax.networks.style import Style
from gan_jax.penalties import PENALTIES
from gan_jax.tricks import conditioning, contrastive
from gan_jax.tricks import terms as terms_lib
from gan_jax.tricks.guesses import class_terms, code_terms
from gan_jax.tricks.path_length import path_length_term
from gan_jax.tricks.terms import Term
from gan_jax.types import InputError, Players, Task

Config = Any


def make_terms(
  config: Config, task: Task, networks: Players[nn.Module]
) -> Players[tuple[Term, ...]]:
  """All of them but those of tricks.

  Raises:
    InputError: D does not guess what it is paid for.
  """
  penalty = terms_lib.gradient_penalty(
    PENALTIES[config.penalty],
    annealing.penalty_weight(config),
    config.penalty_every,
  )
  of_gen = (
    *terms_lib.l1(config.l1_weight),
    *terms_lib.mse(config.mse_weight),
    *_perceptual(config, task),
  )
  of_disc = *penalty, *terms_lib.drift(config.drift_weight)
  found = [Players(gen=of_gen, disc=of_disc)]
  if config.path_length_weight:
    term = path_length_term(config.path_length_weight, config.path_length_every)
    found.append(Players(gen=(term,), disc=()))
  if config.conditioning_weight:
    _check_conditioning(config, networks.gen)
    term = conditioning.conditioning_term(config.conditioning_weight)
    found.append(Players(gen=(term,), disc=()))
  if getattr(networks.disc, 'judges_alone', False):
    found.append(conditioning.alone_terms(parts.loss_of(config)))
  if config.contrastive_weight:
    found.append(contrastive.contrastive_terms(config.contrastive_weight))
  by_classes = guesses_labels(networks_lib.style_of(networks.disc))
  if by_classes or task.codes or task.contrast:
    _check_guesses(config, task, networks.disc, by_classes)
  if by_classes:
    weight, fakes = config.class_weight, config.classify_fakes
    found.append(
      class_terms(
        1.0 if weight is None else weight,
        classify_fakes=fakes is None or fakes,
      )
    )
  if task.codes:
    weight = config.code_weight
    found.append(code_terms(task.codes, 1.0 if weight is None else weight))
  return Players(*(sum(own, ()) for own in zip(*found, strict=True)))


def _check_conditioning(config: Config, gen: nn.Module) -> None:
  """Raises InputError where G draws no vector for what it is told."""
  if not hasattr(gen, 'conditioning'):
    raise InputError(
      f'conditioning_weight: G of {config.network.name} draws no vector for a '
      'text; set network.name=stackgan, or conditioning_weight=0'
    )


def _check_guesses(
  config: Config, task: Task, disc: nn.Module, by_classes: bool
) -> None:
  """Raises InputError where D does not guess what it is paid for."""
  guesses = tricks.abstract_verdict(config, task, disc).guesses
  wants = {
    'labels': by_classes,
    'codes': bool(task.codes),
    'seen': bool(task.contrast),
  }
  for name, wanted in wants.items():
    if wanted and name not in guesses:
      raise InputError(
        f'network.name: D of {config.network.name} guesses no {name}; end it '
        'in gan_jax.networks.heads.verdict, or take another architecture'
      )


def _perceptual(config: Config, task: Task) -> tuple[Term, ...]:
  """The distance to the target in the maps of a fixed network.

  Read when a step is traced: to draw from a run nobody needs the network.
  """
  smallest = min(task.image_shape[:2])

  def distance(images, targets):
    of = _network(config)
    if smallest < of.smallest:
      raise InputError(
        f'perceptual.network: {of.name} takes images of {of.smallest} pixels '
        f'or more, not {smallest}'
      )
    keys = config.perceptual
    compare = maps.make_distance(of, keys.layer, keys.distance)
    return compare(images, targets)

  return terms_lib.perceptual(config.perceptual.weight, distance)


def _network(config: Config) -> maps.Maps:
  return maps.load(config.perceptual.network, config.perceptual.weights)


def check_weights(config: Config) -> None:
  """Raises InputError unless the network of a perceptual loss can be read."""
  keys = config.perceptual
  if keys.weight:
    maps.make_distance(_network(config), keys.layer, keys.distance)


def check(config: Config) -> None:
  """Raises InputError for terms that would do nothing, or are all there is."""
  weights = {
    'l1_weight': config.l1_weight,
    'mse_weight': config.mse_weight,
    'perceptual.weight': config.perceptual.weight,
  }
  for key, weight in weights.items():
    if weight and not {'source', 'text'} & {*config.given}:
      raise InputError(
        f'{key}: {weight} is on the distance to the image that a source or a '
        'text belongs to, and neither is given; set given=source or given=text,'
        f' or {key}=0'
      )
  adversarial, tricks_of = config.adversarial_weight, config.tricks
  in_its_place = tricks_of.feature_matching and tricks_of.feature_matching_alone
  if adversarial != 1.0 and in_its_place:
    raise InputError(
      f'adversarial_weight: {adversarial} is on a loss in whose place '
      'tricks.feature_matching stands; leave it at 1, or set '
      'tricks.feature_matching_alone=False'
    )
  if not adversarial and not any(weights.values()):
    raise InputError(
      'adversarial_weight: 0 leaves G nothing to minimise; set one of '
      f'{", ".join(weights)} too'
    )


def guesses_labels(disc: Style) -> bool:
  """Whether D guesses the labels, where there are some."""
  return bool(disc.num_classes) and disc.labels_by == 'classifier'

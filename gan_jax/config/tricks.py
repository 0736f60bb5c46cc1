"""From the keys of the section `tricks` to objects, and what is refused."""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import solvers
from gan_jax.config import annealing
from gan_jax.games.passes import hidden_layers
from gan_jax.losses import make_loss
from gan_jax.networks.seeds import with_noise
from gan_jax.networks.style import Style
from gan_jax.solvers.optimizers import SCHEDULES
from gan_jax.tricks import Tricks, adaptive, criterion, diffaugment
from gan_jax.tricks.regularisers import FeatureMatching, LeCam, layer_number
from gan_jax.tricks.views import packed_shape
from gan_jax.types import InputError, Task, Verdict, lookup

Config = Any

AUGMENTATIONS = ('none', 'diffaugment', 'ada')
_NOT_NEGATIVE = (
  ('noise_std', 'feature_matching', 'lecam_weight', 'consistency_weight')
  + ('fake_consistency_weight', 'mixing_weight')
  + ('noise_steps', 'top_k_steps', 'lookahead_steps')
)
_AT_LEAST_ONE = ('packing', 'num_discs', 'ada_images')


def make_tricks(config: Config, disc: nn.Module, task: Task) -> Tricks:
  """The tricks of a config that `check` has let pass.

  Args:
    config: see configs/base.py.
    disc: the discriminator.
    task: what D is built for.

  Raises:
    InputError: D has no layer of the name given.
  """
  keys = config.tricks
  augment, adaptation = None, None
  if keys.augment == 'ada':
    augment, adaptation = _augment_adaptively, _adaptation(config)
  elif keys.augment == 'diffaugment':
    augment = functools.partial(_diffaugment, policy=tuple(keys.augment_policy))
  matching, top_k = None, None
  if keys.feature_matching:
    number = layer_number(
      keys.feature_layer,
      len(_look(disc, task, keys.packing)[1]),
    )
    matching = FeatureMatching(
      keys.feature_matching, number, keys.feature_matching_alone
    )
  if keys.top_k_share < 1.0:
    top_k = criterion.falling_share(
      keys.top_k_share, keys.top_k_steps or config.num_steps
    )
  return Tricks(
    relativistic=keys.relativistic,
    label_flip=keys.label_flip,
    top_k=top_k,
    packing=keys.packing,
    noise_std=_noise(config) if keys.noise_std else None,
    augment=augment,
    adaptive=adaptation,
    lecam=LeCam(keys.lecam_weight, keys.lecam_decay)
    if keys.lecam_weight
    else None,
    consistency_weight=keys.consistency_weight,
    fake_consistency_weight=keys.fake_consistency_weight,
    feature_matching=matching,
    num_discs=keys.num_discs,
    mixing_weight=keys.mixing_weight,
  )


def lookahead(config: Config) -> solvers.Lookahead | None:
  """How both players go back now and then; None without lookahead."""
  keys = config.tricks
  if not keys.lookahead_steps:
    return None
  return solvers.Lookahead(keys.lookahead_steps, keys.lookahead_rate)


def _adaptation(config: Config) -> adaptive.Adaptive | adaptive.Annealed:
  """How the probability of ada's transforms moves."""
  keys = config.tricks
  course = annealing.augmentation(config)
  if course is not None:
    return adaptive.Annealed(course)
  boundary = make_loss(config.loss).boundary
  return adaptive.Adaptive(keys.ada_target, keys.ada_images, boundary)


def _augment_adaptively(images, keys, memory):
  return adaptive.augment(images, keys, memory['adaptive'])


def _diffaugment(images, keys, memory, *, policy):
  del memory
  return diffaugment.diffaugment(images, keys, policy)


def _noise(config: Config):
  """Step -> standard deviation of instance noise."""
  keys = config.tricks
  # An exponential never ends at 0; a hundredth of the start is no noise.
  end = 0.01 if keys.noise_schedule == 'exponential' else 0.0
  steps = keys.noise_steps or config.num_steps
  return SCHEDULES[keys.noise_schedule](keys.noise_std, steps, end)


def _look(disc: nn.Module, task: Task, packing: int) -> tuple:
  """D's verdict on two examples and its hidden layers, shapes alone."""

  def look():
    images = jnp.zeros((2, *packed_shape(task.image_shape, packing)))
    keys = jax.random.split(jax.random.key(0), 2)
    given = with_noise(disc, task.dummies(2), keys)
    variables = disc.init(keys[0], images, given, train=False)
    params = variables.pop('params')
    return hidden_layers(disc, params, variables, images, given)

  return jax.eval_shape(look)


def abstract_verdict(config: Config, task: Task, disc: nn.Module) -> Verdict:
  """What D says of two examples, shapes alone."""
  return _look(disc, task, config.tricks.packing)[0]


def check(config: Config) -> None:
  """Checks what needs neither data nor networks.

  Raises:
    InputError: an unknown name, a value out of range, or tricks that cancel
      each other, with the reason.
  """
  keys = config.tricks
  _check_ranges(keys)
  lookup(dict.fromkeys(AUGMENTATIONS), keys.augment, 'tricks.augment')
  lookup(SCHEDULES, keys.noise_schedule, 'tricks.noise_schedule')
  for name in keys.augment_policy:
    lookup(diffaugment.POLICIES, name, 'tricks.augment_policy')
  if keys.augment == 'diffaugment' and not keys.augment_policy:
    raise InputError(
      'tricks.augment_policy: it is empty, and diffaugment would change '
      f'nothing; give it some of {", ".join(diffaugment.POLICIES)}, or set '
      'tricks.augment=none'
    )
  criterion.check(
    config.loss,
    keys.relativistic,
    keys.label_flip,
    keys.top_k_share,
    config.label_smoothing,
  )
  _check_packing(config)
  _check_cancelling(config)
  if config.unroll_steps is not None and config.solver != 'unrolled':
    raise InputError(
      f'unroll_steps: solver={config.solver} does not look ahead; set '
      'solver=unrolled, or leave it out'
    )
  if config.gen_steps < 1:
    raise InputError(f'gen_steps: {config.gen_steps} is not at least 1')
  if config.gen_steps > 1 and config.solver not in solvers.ALTERNATING:
    raise InputError(
      f'gen_steps: solver={config.solver} moves both players at once; set '
      f'gen_steps=1, or take one of {", ".join(solvers.ALTERNATING)}'
    )


def _check_ranges(keys: Any) -> None:
  for key in _NOT_NEGATIVE:
    if not 0 <= getattr(keys, key) < math.inf:
      raise InputError(
        f'tricks.{key}: {getattr(keys, key)} is not a finite number from 0 on'
      )
  for key in _AT_LEAST_ONE:
    if getattr(keys, key) < 1:
      raise InputError(f'tricks.{key}: {getattr(keys, key)} is not at least 1')
  if not 0.0 <= keys.lecam_decay < 1.0:
    raise InputError(f'tricks.lecam_decay: {keys.lecam_decay} is not in [0, 1)')
  if not -1.0 < keys.ada_target < 1.0:
    raise InputError(
      f'tricks.ada_target: {keys.ada_target} is not in (-1, 1), where the mean '
      'of a sign lies'
    )
  if not 0.0 < keys.lookahead_rate <= 1.0:
    raise InputError(
      f'tricks.lookahead_rate: {keys.lookahead_rate} is not in (0, 1]'
    )
  if not 0.5 <= keys.disc_accuracy_limit <= 1.0:
    raise InputError(
      f'tricks.disc_accuracy_limit: {keys.disc_accuracy_limit} is not in '
      '[.5, 1]; D guesses at .5, and 1 lets it always move'
    )


def _check_packing(config: Config) -> None:
  packing = config.tricks.packing
  for key in ('batch_size', 'micro_batch'):
    size = getattr(config, key)
    if size % packing:
      down = size - size % packing
      near = [str(n) for n in (down, down + packing) if n]
      raise InputError(
        f'tricks.packing: {packing} does not divide {key}={size}; take '
        f'{key}={" or ".join(near)}, or another packing'
      )
  if packing > 1 and config.conditional:
    raise InputError(
      f'tricks.packing: the {packing} images of a pack have as many labels, '
      'and D takes one; set conditional=False or tricks.packing=1'
    )
  if packing > 1 and config.given:
    raise InputError(
      f'tricks.packing: the {packing} images of a pack are given as many '
      f'columns ({", ".join(config.given)}), and D takes one of each; set '
      'given=() or tricks.packing=1'
    )


def _check_cancelling(config: Config) -> None:
  """Refuses what undoes something else, or would do nothing."""
  keys = config.tricks
  alone = keys.feature_matching and keys.feature_matching_alone
  if alone and keys.top_k_share < 1.0:
    raise InputError(
      'tricks.top_k_share: it chooses the fakes of the adversarial loss of G, '
      'which tricks.feature_matching replaces; set '
      'tricks.feature_matching_alone=False, or tricks.top_k_share=1'
    )
  if keys.feature_layer and not keys.feature_matching:
    raise InputError(
      f'tricks.feature_layer: {keys.feature_layer!r} is matched by nobody with '
      'tricks.feature_matching=0; give that a weight, or leave the layer out'
    )
  if keys.mixing_weight and keys.num_discs == 1:
    raise InputError(
      f'tricks.mixing_weight: {keys.mixing_weight} mixes several '
      'discriminators, and there is one; set tricks.num_discs'
    )
  steered = keys.augment == 'ada' and keys.augment_end is None
  if steered and (
    keys.relativistic != 'none' or make_loss(config.loss).boundary is None
  ):
    raise InputError(
      'tricks.augment: ada reads overfitting from the sign of D, which has no '
      f'meaning under loss={config.loss} with tricks.relativistic='
      f'{keys.relativistic}; take diffaugment, or another loss, or set '
      'tricks.augment_end'
    )
  if keys.disc_accuracy_limit < 1.0 and config.solver == 'extragradient':
    raise InputError(
      'tricks.disc_accuracy_limit: extragradient wants both of its looks; '
      'set it to 1, or take another solver'
    )
  _check_micro_batch(config)


def _check_micro_batch(config: Config) -> None:
  """Refuses what needs the whole batch at once where it comes in parts."""
  keys = config.tricks
  of_whole_batch = {
    'top_k_share': (keys.top_k_share < 1, 'it ranks all fakes of a batch'),
    'feature_matching': (keys.feature_matching, 'it matches means of a batch'),
    'mixing_weight': (
      keys.mixing_weight,
      'it takes the softmax of losses over a batch',
    ),
    'relativistic': (
      keys.relativistic == 'average',
      'average takes the mean logit of a batch (paired does not)',
    ),
    'lecam_weight': (
      keys.lecam_weight,
      'its averages move once per update of D, by the mean of a batch',
    ),
    'augment': (
      keys.augment == 'ada',
      'ada counts once per update of D, by the mean sign of a batch',
    ),
  }
  refused = {f'tricks.{key}': value for key, value in of_whole_batch.items()}
  refused['path_length_weight'] = (
    config.path_length_weight,
    'its mean moves once per update of G, by the lengths of a batch',
  )
  for key, (on, reason) in refused.items():
    if config.micro_batch and on:
      raise InputError(
        f'{key}: {reason}, which micro_batch={config.micro_batch} splits; set '
        'micro_batch=0'
      )


def advice(config: Config, disc: Style) -> list[str]:
  """Lines about tricks with a D of this style, see `checks.advice`."""
  lines = []
  compares = (config.network.disc_minibatch or 'none') != 'none'
  if compares and config.penalty != 'none':
    lines.append(
      f'network.disc_minibatch={config.network.disc_minibatch} lets D(x) '
      f'depend on the rest of the batch, so penalty={config.penalty} holds '
      'the gradient of the whole batch, as in Progressive GAN'
    )
  if config.tricks.feature_matching and disc.batch_norm:
    lines.append(
      'tricks.feature_matching compares mean features of real and fake, and '
      'batch norm in D gives both the same means before the activation, '
      'whatever G does; consider network.disc_norm=none, layer or spectral'
    )
  return lines

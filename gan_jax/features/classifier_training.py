"""Training the small classifier of the data at hand."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.networks.layers import Conv
from gan_jax.pixels import from_uint8
from gan_jax.process.interruption import asked_to_stop
from gan_jax.types import InputError, Interrupted

_DISPATCH = 50  # steps in one call of the compiled program
_CALM = 3  # dispatches of a loss near 0 in a row, after which no more is learnt


class Recipe(NamedTuple):
  """How a classifier is trained; all of it is part of its cache key.

  Attributes:
    version: raised when this file changes what a recipe means.
    width: channels of the first layer.
    feature_dim: of the layer before the logits.
    epochs: passes over the training split.
    min_steps: at least so many, for small data.
    max_epochs: but no more passes than these for their sake.
    enough: mean loss of a dispatch; after three below it training ends.
    batch_size: images.
    learning_rate: of Adam, the peak of a one-cycle schedule.
    shift: pixels that images are moved by at random, each way, for each 32
      of their height.
    dropout: share of features set to 0 in training.
    seed: of weights, order and shifts.
  """

  version: int = 3
  width: int = 32
  feature_dim: int = 128
  epochs: int = 6
  min_steps: int = 1_000
  max_epochs: int = 40
  enough: float = 1e-3
  batch_size: int = 128
  learning_rate: float = 2e-3
  shift: float = 1.0
  dropout: float = 0.3
  seed: int = 0


RECIPE = Recipe()


class Classifier(nn.Module):
  """Images `[B, H, W, C]` in [-1, 1] -> features `[B, F]`, logits `[B, K]`.

  Images of 128 pixels and more are shrunk to 64 to 127 first. Four 3x3
  convolutions, the second and fourth of stride 2, and two dense layers; ReLU.
  Features are taken after the ReLU: means over space of the strided
  convolutions, and the layer before the logits; F = 3 width + feature_dim.
  """

  num_classes: int
  width: int
  feature_dim: int
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, images: jax.Array, *, train: bool = False
  ) -> tuple[jax.Array, jax.Array]:
    factor = shrink_factor(images.shape[1:])
    x = nn.avg_pool(images, (factor, factor), (factor, factor))
    features = []
    for width in (self.width, 2 * self.width):
      x = nn.relu(Conv(width, 3)(x))
      x = nn.relu(Conv(width, 3, stride=2)(x))
      features.append(x.mean(axis=(1, 2)))
    x = x.reshape(len(x), -1)
    x = nn.relu(nn.Dense(self.feature_dim)(x))
    features.append(x)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return jnp.concatenate(features, axis=1), nn.Dense(self.num_classes)(x)


def shrink_factor(image_shape: Sequence[int]) -> int:
  """By how much means over squares shrink images (H, W, C); 1: not at all."""
  return max(1, min(image_shape[:2]) // 64)


def make_module(recipe: Recipe, num_classes: int) -> Classifier:
  """The classifier that a recipe describes."""
  return Classifier(
    num_classes, recipe.width, recipe.feature_dim, recipe.dropout
  )


def shifted(key: jax.Array, images: jax.Array, most: int) -> jax.Array:
  """Moves each image by up to `most` pixels each way; edges are repeated."""
  if not most:
    return images
  margins = ((most, most), (most, most), (0, 0))
  starts = jax.random.randint(key, (len(images), 2), 0, 2 * most + 1)

  def move(image, start):
    padded = jnp.pad(image, margins, mode='edge')
    return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)

  return jax.vmap(move)(images, starts)


def train(
  images: np.ndarray,
  labels: np.ndarray,
  num_classes: int,
  *,
  recipe: Recipe = RECIPE,
  progress: bool = True,
) -> chex.ArrayTree:
  """Trains a classifier; the same bits for the same arguments and machine.

  Args:
    images: uint8 `[N, H, W, C]`.
    labels: int `[N]`, 0 to num_classes - 1.
    num_classes: at least 2.
    recipe: see `Recipe`.
    progress: show a bar.

  Returns:
    Variables of `Classifier`.

  Raises:
    InputError: the images are of one class.
    Interrupted: a signal has asked the run around it for its end.
  """
  from tqdm import tqdm

  _check_classes(labels)
  module = make_module(recipe, num_classes)
  batch, total, length = plan_of(recipe, len(images))
  rates = optax.cosine_onecycle_schedule(total, recipe.learning_rate, 0.2)
  optimizer = optax.adam(rates)
  init_key, root = jax.random.split(jax.random.key(recipe.seed))
  variables = jax.jit(module.init)(init_key, jnp.zeros((1, *images.shape[1:])))
  dispatch = _make_dispatch(module, recipe, optimizer, root, images, labels)
  carry = variables, optimizer.init(variables), jnp.zeros((), jnp.int32)
  indices = _order(len(images), total, batch, recipe.seed)
  tqdm.write(
    f'training a classifier for up to {total:,} steps of {batch} images '
    f'(about {total * batch / len(images):.0f} epochs); kept for later runs; '
    'eval.network=random, diagnose.classifier=False do without',
    file=sys.stderr,
  )
  calm = 0  # dispatches in a row with nothing left to learn
  with tqdm(
    total=total, desc='training the classifier', disable=not progress
  ) as bar:
    for start in range(0, total, length):
      carry, losses = dispatch(carry, indices[start : start + length])
      loss = float(losses.mean())
      bar.set_postfix_str(f'loss {loss:.3f}', refresh=False)
      bar.update(length)
      if asked_to_stop():
        raise Interrupted('the classifier was still being trained')
      calm = calm + 1 if loss < recipe.enough else 0
      if calm == _CALM:
        break
  return carry[0]


def plan_of(recipe: Recipe, num: int) -> tuple[int, int, int]:
  """(images of a batch, steps at the most, steps of a dispatch).

  All dispatches are equally long, so that one program is compiled.

  Args:
    recipe: see `Recipe`.
    num: training images.
  """
  batch = min(recipe.batch_size, num)
  shortest = min(recipe.min_steps, recipe.max_epochs * num // batch)
  steps = max(shortest, recipe.epochs * num // batch)
  dispatches = -(-steps // _DISPATCH)
  length = steps // dispatches
  return batch, dispatches * length, length


def _make_dispatch(
  module: Classifier,
  recipe: Recipe,
  optimizer: optax.GradientTransformation,
  root: jax.Array,
  images: np.ndarray,
  labels: np.ndarray,
) -> Callable:
  """(carry, indices `[steps, batch]`) -> (carry, losses `[steps]`)."""
  most = round(recipe.shift * images.shape[1] / 32)
  images, labels = jnp.asarray(images), jnp.asarray(labels)

  def step(carry, indices):
    variables, state, count = carry
    shift_key, drop_key = jax.random.split(jax.random.fold_in(root, count))
    x = shifted(shift_key, from_uint8(images[indices]), most)

    def loss(variables):
      rngs = {'dropout': drop_key}
      _, logits = module.apply(variables, x, train=True, rngs=rngs)
      losses = optax.softmax_cross_entropy_with_integer_labels
      return losses(logits, labels[indices]).mean()

    value, gradient = jax.value_and_grad(loss)(variables)
    updates, state = optimizer.update(gradient, state)
    return (optax.apply_updates(variables, updates), state, count + 1), value

  return jax.jit(functools.partial(jax.lax.scan, step), donate_argnums=0)


def _order(num: int, steps: int, batch: int, seed: int) -> np.ndarray:
  """Indices `[steps, batch]`: one permutation of all images after another."""
  rng = np.random.default_rng(seed)
  passes = -(-steps * batch // num)
  joined = np.concatenate([rng.permutation(num) for _ in range(passes)])
  return joined[: steps * batch].reshape(steps, batch)


def _check_classes(labels: np.ndarray) -> None:
  """Raises InputError if all labels are one."""
  if len(np.unique(labels)) < 2:
    raise InputError(
      'eval.network: a classifier needs images of 2 classes at least, and all '
      f'{len(labels)} here have one label; take eval.network=random'
    )

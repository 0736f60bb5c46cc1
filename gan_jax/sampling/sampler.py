"""Drawing images from a trained generator."""

import copy
import functools
from collections.abc import Callable

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import to_uint8
from gan_jax.rng import example_keys
from gan_jax.sampling.batches import BATCH, batched
from gan_jax.sampling.priors import draw_latents, truncated_normal
from gan_jax.sampling.standing import NUM_BATCHES, standing_statistics
from gan_jax.sampling.walks import INTERPOLATIONS
from gan_jax.types import InputError, lookup

MOST_IMAGES = 2**24  # of one draw
BATCH_NORMS = ('running', 'batch', 'standing')


class Sampler:
  """Draws images from a trained generator.

  Attributes:
    latent_dim: size Z of a latent vector.
    num_classes: number of labels, 0 for an unconditional generator.
  """

  def __init__(
    self,
    generator: nn.Module,
    variables: chex.ArrayTree,
    *,
    latent_dim: int,
    prior: str = 'normal',
    num_classes: int = 0,
    batch_norm: str = 'running',
  ):
    """Wraps a generator.

    Args:
      generator: a flax module, see gan_jax.networks.
      variables: its `{'params': ..., 'batch_stats': ...}`.
      latent_dim: Z.
      prior: one of `PRIORS`, the one it was trained with.
      num_classes: > 0 if it is conditional.
      batch_norm: what batch norm goes by, one of `BATCH_NORMS`. With `batch`
        an image depends on the 63 others that it is made with.
    """
    lookup(dict.fromkeys(BATCH_NORMS), batch_norm, 'batch_norm')
    self.latent_dim = latent_dim
    self.num_classes = num_classes
    self._prior = prior
    self._variables = variables

    def apply(variables, latents, labels):
      images = generator.apply(
        variables,
        latents,
        labels,
        train=batch_norm == 'batch',
        mutable=['batch_stats'],  # what batches did to them is dropped
      )[0]
      finite = jnp.isfinite(images).all(axis=(1, 2, 3))
      return {'images': to_uint8(images), 'finite': finite}

    self._apply = jax.jit(apply)
    if batch_norm == 'standing':
      self._variables = standing_statistics(
        generator, variables, self._fresh_batches(NUM_BATCHES)
      )

  def _fresh_batches(self, num_batches: int) -> list[tuple]:
    """Batches of latents and labels, of seed 0."""
    num = num_batches * BATCH
    latents, labels = self.latents(num), self.labels(num)
    starts = range(0, num, BATCH)
    return [
      (
        latents[i : i + BATCH],
        labels if labels is None else labels[i : i + BATCH],
      )
      for i in starts
    ]

  def with_variables(self, variables: chex.ArrayTree) -> 'Sampler':
    """The same sampler over other weights, without compiling again."""
    other = copy.copy(self)
    other._variables = variables
    return other

  def latents(
    self, num: int, *, seed: int = 0, truncation: float = 0.0
  ) -> np.ndarray:
    """Latents `[num, Z]` from the prior; the i-th depends on (seed, i) only.

    Args:
      num: how many.
      seed: of the draw.
      truncation: > 0 restricts a normal prior to [-truncation, truncation].

    Raises:
      InputError: nothing to draw, or truncation of another prior.
    """
    if not 1 <= num <= MOST_IMAGES:
      raise InputError(f'num: {num} is not between 1 and {MOST_IMAGES:,}')
    if not truncation >= 0 or (truncation and self._prior != 'normal'):
      raise InputError(
        f'truncation: {truncation} with prior {self._prior!r}; it must be '
        'above 0 (or 0 for none) and needs latent_prior=normal'
      )
    root = jax.random.key(seed)
    keys = example_keys(root, jnp.arange(num))
    if truncation:
      draw = functools.partial(truncated_normal, truncation=truncation)
    else:
      draw = functools.partial(draw_latents, prior=self._prior)
    return np.asarray(draw(keys, latent_dim=self.latent_dim))

  def labels(self, num: int, label: int | None = None) -> np.ndarray | None:
    """Labels `[num]`: one class, or all in turn; None if unconditional.

    Raises:
      InputError: a label out of range, or any for an unconditional generator.
    """
    if label is not None and not 0 <= label < self.num_classes:
      valid = (
        f'0 to {self.num_classes - 1}'
        if self.num_classes
        else 'none: the model is not conditional'
      )
      raise InputError(f'label: {label} is not valid; valid: {valid}')
    if not self.num_classes:
      return None
    if label is None:
      return np.arange(num, dtype=np.int32) % self.num_classes
    return np.full(num, label, np.int32)

  def generate(
    self, latents: np.ndarray, labels: np.ndarray | None = None
  ) -> np.ndarray:
    """Images uint8 `[N, H, W, C]` of latents `[N, Z]` and labels `[N]`."""
    return self._outputs(latents, labels)['images']

  def _outputs(self, latents, labels):
    return batched(
      lambda *inputs: self._apply(self._variables, *inputs), latents, labels
    )

  def stream(
    self, num: int, *, seed: int = 0, truncation: float = 0.0
  ) -> Callable[[np.ndarray], np.ndarray]:
    """The images that `sample` would draw, made when they are asked for.

    Args:
      num: how many there are.
      seed: of the latents.
      truncation: see `latents`.

    Returns:
      Indices `[n]` -> uint8 `[n, H, W, C]`. It raises InputError where the
      generator's output is not finite, which uint8 would hide.
    """
    latents = self.latents(num, seed=seed, truncation=truncation)
    labels = self.labels(num)

    def read(indices):
      part = None if labels is None else labels[indices]
      outputs = self._outputs(latents[indices], part)
      if not outputs['finite'].all():
        index = indices[np.argmin(outputs['finite'])]
        raise InputError(
          f'images: the generator gives NaN or infinity for image {index} of '
          f'seed {seed}; take an earlier checkpoint'
        )
      return outputs['images']

    return read

  def sample(
    self,
    num: int,
    *,
    seed: int = 0,
    label: int | None = None,
    truncation: float = 0.0,
  ) -> np.ndarray:
    """Draws images, uint8 `[num, H, W, C]`.

    The i-th image depends on (seed, i) and its label, not on `num`.

    Args:
      num: how many.
      seed: of the latents.
      label: one class for all; None goes through all classes in turn.
      truncation: see `latents`.
    """
    latents = self.latents(num, seed=seed, truncation=truncation)
    return self.generate(latents, self.labels(num, label))

  def interpolate(
    self,
    num_points: int,
    steps: int,
    *,
    path: str = 'spherical',
    seed: int = 0,
    label: int | None = None,
  ) -> np.ndarray:
    """A walk from latent to latent, closed at the end.

    Args:
      num_points: latents to pass through, at least 2.
      steps: images from one to before the next.
      path: one of `INTERPOLATIONS`.
      seed: of the latents.
      label: the class to stay in; None is class 0 if conditional.

    Returns:
      Images uint8 `[num_points * steps, H, W, C]`.

    Raises:
      InputError: too few points or steps, an unknown path or label.
    """
    if num_points < 2:
      raise InputError(f'num_points: {num_points} is not at least 2')
    if steps < 1:
      raise InputError(f'steps: {steps} is not at least 1')
    walk_between = lookup(INTERPOLATIONS, path, 'path')
    ends = self.latents(num_points, seed=seed)
    t = jnp.arange(steps) / steps
    walk = [
      walk_between(ends[i], ends[(i + 1) % num_points], t)
      for i in range(num_points)
    ]
    if label is None and self.num_classes:
      label = 0
    labels = self.labels(num_points * steps, label)
    return self.generate(np.concatenate(walk), labels)

"""Drawing images from a trained generator."""

import copy
import functools
from collections.abc import Callable, Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import from_uint8, to_uint8
from gan_jax.rng import example_keys
from gan_jax.sampling.batches import BATCH, batched, take
from gan_jax.sampling.labels import class_index, shortened
from gan_jax.sampling.priors import draw_latents, truncated_normal
from gan_jax.sampling.standing import NUM_BATCHES, standing_statistics
from gan_jax.sampling.walks import INTERPOLATIONS
from gan_jax.sampling.weights import WEIGHTS
from gan_jax.types import Given, InputError, lookup

MOST_IMAGES = 2**24  # of one draw
BATCH_NORMS = ('running', 'batch', 'standing')


class Sampler:
  """Draws images from a trained generator.

  Attributes:
    latent_dim: size Z of a latent vector.
    num_classes: number of labels, 0 for an unconditional generator.
    class_names: of the labels, where they are known.
  """

  def __init__(
    self,
    generate: Callable[..., tuple[jax.Array, chex.ArrayTree]],
    variables: chex.ArrayTree,
    *,
    latent_dim: int,
    prior: str = 'normal',
    num_classes: int = 0,
    class_names: Sequence[str] = (),
    batch_norm: str = 'running',
    encode: Callable[..., jax.Array] | None = None,
    weights: str = '',
    step: int | None = None,
  ):
    """Wraps a generator.

    Args:
      generate: of a game, see gan_jax.games.Generate.
      variables: of G, `{'params': ..., 'batch_stats': ...}`.
      latent_dim: Z.
      prior: one of `PRIORS`, the one it was trained with.
      num_classes: > 0 if it is conditional.
      class_names: of the labels, where they are known.
      batch_norm: what batch norm goes by, one of `BATCH_NORMS`. With `batch`
        an image depends on the 63 others that it is made with.
      encode: of a game that has an encoder, see gan_jax.games.Game.
      weights: which ones the variables are, for `repr`: ema or raw.
      step: of the training that they are from, likewise.
    """
    lookup(dict.fromkeys(BATCH_NORMS), batch_norm, 'batch_norm')
    self.latent_dim = latent_dim
    self.num_classes = num_classes
    self.class_names = tuple(class_names)
    self._prior = prior
    self._generate, self._batch_norm = generate, batch_norm
    self._about = {'weights': WEIGHTS.get(weights), 'step': step}

    def images_of(variables, latents, given):
      # What batches did to the statistics is dropped.
      train = batch_norm == 'batch'
      return generate(variables, latents, given, train=train)[0]

    def apply(variables, latents, given):
      images = images_of(variables, latents, given)
      finite = jnp.isfinite(images).all(axis=tuple(range(1, images.ndim)))
      return {'images': to_uint8(images), 'finite': finite}

    def reconstruct(variables, images, given):
      latents = encode(variables, from_uint8(images), given)
      return apply(variables, latents, given)['images']

    self._images_of, self._apply = images_of, jax.jit(apply)
    self._reconstruct = encode and jax.jit(reconstruct)
    self._variables = self._settled(variables)

  def __repr__(self) -> str:
    latents = jax.ShapeDtypeStruct((1, self.latent_dim), jnp.float32)
    fields = {
      'images': jax.eval_shape(self.generator, latents).shape[1:],
      'latent_dim': self.latent_dim,
      'prior': self._prior,
      'classes': self.num_classes,
    }
    if self.class_names:
      fields['classes'] = f'{self.num_classes}: {shortened(self.class_names)}'
    fields |= {k: v for k, v in self._about.items() if v is not None}
    listed = ', '.join(f'{name}={value}' for name, value in fields.items())
    return f'{type(self).__name__}({listed})'

  def _settled(self, variables: chex.ArrayTree) -> chex.ArrayTree:
    """Variables with the statistics that `batch_norm` asks for."""
    if self._batch_norm != 'standing':
      return variables
    return standing_statistics(
      self._generate, variables, self._fresh_batches(NUM_BATCHES)
    )

  def _fresh_batches(self, num_batches: int) -> list[tuple]:
    """Batches of latents and what is given, of seed 0."""
    num = num_batches * BATCH
    inputs = self.latents(num), self._given(self.labels(num))
    return [
      take(inputs, slice(start, start + BATCH))
      for start in range(0, num, BATCH)
    ]

  def _given(self, labels: np.ndarray | None) -> Given:
    """What G is told, of labels `[N]`."""
    return {} if labels is None else {'labels': labels}

  def with_variables(self, variables: chex.ArrayTree) -> 'Sampler':
    """The same sampler over other weights, without compiling again."""
    other = copy.copy(self)
    other._variables, other._about = self._settled(variables), {}
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
    keys = example_keys(jax.random.key(seed), jnp.arange(num))
    return self._draw(keys, truncation)

  def latents_of(
    self, seeds: Sequence[int], *, truncation: float = 0.0
  ) -> np.ndarray:
    """Latents `[N, Z]`, the first one of each of N seeds; see `latents`."""
    root_keys = jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))
    first = jnp.zeros(1, jnp.int32)
    keys = jax.vmap(lambda root: example_keys(root, first)[0])(root_keys)
    return self._draw(keys, truncation)

  def _draw(self, keys: jax.Array, truncation: float) -> np.ndarray:
    """Latents `[N, Z]` of keys `[N]`."""
    if not truncation >= 0 or (truncation and self._prior != 'normal'):
      raise InputError(
        f'truncation: {truncation} with prior {self._prior!r}; it must be '
        'above 0 (or 0 for none) and needs latent_prior=normal'
      )
    if truncation:
      draw = functools.partial(truncated_normal, truncation=truncation)
    else:
      draw = functools.partial(draw_latents, prior=self._prior)
    return np.asarray(draw(keys, latent_dim=self.latent_dim))

  def labels(
    self, num: int, label: int | str | None = None
  ) -> np.ndarray | None:
    """Labels `[num]`: one class, or all in turn; None if unconditional.

    Args:
      num: how many.
      label: number or name of the class, see `class_index`; None for all.

    Raises:
      InputError: a label that there is not, or any if unconditional.
    """
    if label is not None:
      label = class_index(label, self.num_classes, self.class_names)
      return np.full(num, label, np.int32)
    if not self.num_classes:
      return None
    return np.arange(num, dtype=np.int32) % self.num_classes

  def generator(
    self, latents: jax.Array, labels: jax.Array | None = None
  ) -> jax.Array:
    """G itself, which can be differentiated and compiled.

    Args:
      latents: `[N, Z]`.
      labels: int32 `[N]`; None goes through all classes in turn.

    Returns:
      Images float32 `[N, H, W, C]` in [-1, 1].
    """
    if labels is None:
      labels = self.labels(len(latents))
    return self._images_of(self._variables, latents, self._given(labels))

  def generate(
    self, latents: np.ndarray, labels: np.ndarray | None = None
  ) -> np.ndarray:
    """Images uint8 `[N, H, W, C]` of latents `[N, Z]` and labels `[N]`."""
    return self._outputs(latents, labels)['images']

  def _outputs(self, latents, labels):
    return batched(
      lambda *inputs: self._apply(self._variables, *inputs),
      latents,
      self._given(labels),
    )

  def reconstruct(
    self, images: np.ndarray, labels: np.ndarray | None = None
  ) -> np.ndarray:
    """Images encoded and decoded again, uint8 `[N, H, W, C]`, as they came.

    Latents are the code of an auto-encoder, and the mean of a VAE's posterior.

    Args:
      images: uint8 `[N, H, W, C]`, of the shape that was trained on.
      labels: int32 `[N]`; None goes through all classes in turn.

    Raises:
      InputError: the run has no encoder.
    """
    if self._reconstruct is None:
      raise InputError(
        'reconstruct: this run has no encoder; those of game=autoencoder and '
        'game=vae have one'
      )
    labels = self.labels(len(images)) if labels is None else labels
    return batched(
      lambda *inputs: self._reconstruct(self._variables, *inputs),
      images,
      self._given(labels),
    )

  def stream(
    self,
    num: int,
    *,
    seed: int = 0,
    truncation: float = 0.0,
    labels: np.ndarray | None = None,
  ) -> Callable[[np.ndarray], np.ndarray]:
    """The images that `sample` would draw, made when they are asked for.

    Args:
      num: how many there are.
      seed: of the latents.
      truncation: see `latents`.
      labels: int32 `[num]`; None goes through all classes in turn.

    Returns:
      Indices `[n]` -> uint8 `[n, H, W, C]`. It raises InputError where the
      generator's output is not finite, which uint8 would hide.
    """
    latents = self.latents(num, seed=seed, truncation=truncation)
    labels = self.labels(num) if labels is None else labels

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
    label: int | str | None = None,
    truncation: float = 0.0,
  ) -> np.ndarray:
    """Draws images, uint8 `[num, H, W, C]`.

    The i-th image depends on (seed, i) and its label, not on `num`.

    Args:
      num: how many.
      seed: of the latents.
      label: one class for all, by number or name; None goes through all
        classes in turn.
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
    label: int | str | None = None,
    truncation: float = 0.0,
  ) -> np.ndarray:
    """A walk from latent to latent, closed at the end.

    Args:
      num_points: latents to pass through, at least 2.
      steps: images from one to before the next.
      path: one of `INTERPOLATIONS`.
      seed: of the latents.
      label: the class to stay in, by number or name; None is class 0 if
        conditional.
      truncation: of the latents to pass through, see `latents`.

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
    ends = self.latents(num_points, seed=seed, truncation=truncation)
    t = jnp.arange(steps) / steps
    walk = [
      walk_between(ends[i], ends[(i + 1) % num_points], t)
      for i in range(num_points)
    ]
    if label is None and self.num_classes:
      label = 0
    labels = self.labels(num_points * steps, label)
    return self.generate(np.concatenate(walk), labels)

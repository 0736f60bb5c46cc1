"""Drawing images from a trained generator."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.networks.posing import Ranges
from gan_jax.pixels import from_uint8, to_uint8
from gan_jax.sampling import enlarging
from gan_jax.sampling import given as given_lib
from gan_jax.sampling import styles as styles_lib
from gan_jax.sampling.batches import batched
from gan_jax.sampling.drawing import Drawing
from gan_jax.sampling.labels import shortened
from gan_jax.sampling.orbits import Orbiting
from gan_jax.sampling.standing import BATCH_NORMS, Standing
from gan_jax.sampling.translating import Translating
from gan_jax.sampling.walks import check_walk, closed_walk
from gan_jax.sampling.weights import WEIGHTS
from gan_jax.types import Column, Given, InputError, lookup


class Sampler(
  styles_lib.Styling,
  enlarging.Enlarging,
  Orbiting,
  Translating,
  Standing,
  Drawing,
):
  """Draws images from a trained generator.

  Attributes:
    columns: what else the generator is told, by name.
    posed: ranges of the poses that it draws; None if it has none.
  """

  def __init__(
    self,
    generate: Callable[..., tuple[jax.Array, chex.ArrayTree]],
    variables: chex.ArrayTree,
    *,
    columns: Mapping[str, Column] | None = None,
    vocabulary: Sequence[str] | given_lib.Encoder = (),
    batch_norm: str = 'running',
    threshold: float = 0.0,
    encode: Callable[..., jax.Array] | None = None,
    styled: styles_lib.Styled | None = None,
    enlarge: enlarging.Enlarge | None = None,
    posed: Ranges | None = None,
    truncation: styles_lib.Truncation = styles_lib.WHOLE,
    weights: str = '',
    step: int | None = None,
    **drawing,
  ):
    """Wraps a generator.

    Args:
      generate: of a game, see gan_jax.games.Generate.
      variables: of G, `{'params': ..., 'batch_stats': ...}`.
      columns: what else it is told.
      vocabulary: of the texts among it, or what makes vectors of them.
      batch_norm: what batch norm goes by, one of `BATCH_NORMS`. With `batch`
        an image depends on the 63 others that it is made with.
      threshold: of the latents that standing statistics are of, see `at`.
      encode: of a game that has an encoder, see gan_jax.games.Game.
      styled: of a style-based generator, see there.
      enlarge: of a super-resolution generator, see there.
      posed: of a generator with poses, see there.
      truncation: of its styles, see gan_jax.sampling.styles.
      weights: which ones the variables are, for `repr`: ema or raw.
      step: of the training that they are from, likewise.
      **drawing: what it was trained with, see `Drawing`.
    """
    lookup(dict.fromkeys(BATCH_NORMS), batch_norm, 'batch_norm')
    super().__init__(**drawing)
    self.columns, self._vocabulary = dict(columns or {}), vocabulary
    styles_lib.check(truncation, styled)
    if truncation != styles_lib.WHOLE:
      generate = styles_lib.truncating(styled, truncation, self._anchors())
    self._generate, self._batch_norm = generate, batch_norm
    self._threshold, self._styled = threshold, styled
    self.truncation = truncation
    self._enlarge, self.posed = enlarge, posed
    self._enlarge_tile = enlarging.compiled(enlarge)
    self._about = {'weights': WEIGHTS.get(weights), 'step': step}

    def images_of(variables, latents, given):
      # What batches did to the statistics is dropped.
      train = batch_norm == 'batch'
      told = given_lib.as_told(given)
      return generate(variables, latents, told, train=train)[0]

    def apply(variables, latents, given):
      images = images_of(variables, latents, given)
      finite = jnp.isfinite(images).all(axis=tuple(range(1, images.ndim)))
      return {'images': to_uint8(images), 'finite': finite}

    def reconstruct(variables, images, given):
      told = given_lib.as_told(given)
      latents = encode(variables, from_uint8(images), told)
      return apply(variables, latents, given)['images']

    self._images_of, self._apply = images_of, jax.jit(apply)
    self._reconstruct = encode and jax.jit(reconstruct)
    self._variables = self._settled(variables)

  @property
  def prior(self) -> str:
    """Of the latents' noise, see gan_jax.sampling.priors."""
    return self._prior

  @functools.cached_property
  def image_shape(self) -> tuple[int, ...]:
    """(H, W, C) of its images."""
    given = given_lib.dummies(self.columns, 1)
    latents = jnp.zeros((1, self.latent_dim))
    made = jax.eval_shape(lambda: self.generator(latents, given=given))
    return tuple(made.shape[1:])

  def __repr__(self) -> str:
    fields = {
      'images': self.image_shape,
      'latent_dim': self.latent_dim,
      'prior': self._prior,
      'classes': self.num_classes,
    }
    if self.class_names:
      fields['classes'] = f'{self.num_classes}: {shortened(self.class_names)}'
    if self.columns:
      fields['given'] = f'({", ".join(self.columns)})'
    if self.denoising is not None:
      fields |= self.denoising.record
    fields |= {k: v for k, v in self._about.items() if v is not None}
    listed = ', '.join(f'{name}={value}' for name, value in fields.items())
    return f'{type(self).__name__}({listed})'

  def _given(
    self,
    num: int,
    labels: np.ndarray | None,
    given: Mapping[str, Any] | None = None,
  ) -> Given:
    """What G is told, of labels `[num]` and of what else a user gives."""
    told = given_lib.encode(given, self.columns, num, self._vocabulary)
    return told if labels is None else {'labels': labels, **told}

  def told(
    self,
    num: int,
    labels: np.ndarray | None = None,
    given: Mapping[str, Any] | None = None,
  ) -> Given:
    """Columns `[num, ...]` as G takes them, of what a user gives."""
    return given_lib.as_told(self._given(num, labels, given))

  def generator(
    self,
    latents: jax.Array,
    labels: jax.Array | None = None,
    given: Given | None = None,
  ) -> jax.Array:
    """G itself, which can be differentiated and compiled.

    Args:
      latents: `[N, Z]`.
      labels: int32 `[N]`, or shares of classes, float32 `[N, K]`; None goes
        through all classes in turn.
      given: columns `[N, ...]` that the run is told beside labels: pictures of
        uint8, or of float32 in [-1, 1]; tokens.

    Returns:
      Images float32 `[N, H, W, C]` in [-1, 1].
    """
    if labels is None:
      labels = self.labels(len(latents))
    told = dict(given or {})
    given_lib.check_names(tuple(told), self.columns)
    if labels is not None:
      told['labels'] = labels
    return self._images_of(self._variables, latents, told)

  def generate(
    self,
    latents: np.ndarray,
    labels: np.ndarray | None = None,
    given: Mapping[str, Any] | None = None,
  ) -> np.ndarray:
    """Images uint8 `[N, H, W, C]`.

    Args:
      latents: `[N, Z]`.
      labels: int32 `[N]`, of a conditional run, or shares of classes `[N, K]`.
      given: see `sample`.
    """
    return self._outputs(latents, labels, given)['images']

  def _outputs(self, latents, labels, given):
    return batched(
      lambda *inputs: self._apply(self._variables, *inputs),
      latents,
      self._given(len(latents), labels, given),
    )

  def reconstruct(
    self,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    given: Mapping[str, Any] | None = None,
  ) -> np.ndarray:
    """Images encoded and decoded again, uint8 `[N, H, W, C]`, as they came.

    Latents are the code of an auto-encoder, and the mean of a VAE's posterior.

    Args:
      images: uint8 `[N, H, W, C]`, of the shape that was trained on.
      labels: int32 `[N]`; None goes through all classes in turn.
      given: what else the run is told of each image, see `sample`.

    Raises:
      InputError: the run has no encoder.
    """
    if self._reconstruct is None:
      raise InputError(
        'reconstruct: no encoder; see game=autoencoder, vae and diffusion'
      )
    labels = self.labels(len(images)) if labels is None else labels
    return batched(
      lambda *inputs: self._reconstruct(self._variables, *inputs),
      images,
      self._given(len(images), labels, given),
    )

  def stream(
    self,
    num: int,
    *,
    seed: int = 0,
    truncation: float = 0.0,
    labels: np.ndarray | None = None,
    given: Given | Callable[[np.ndarray], Given] | None = None,
  ) -> Callable[[np.ndarray], np.ndarray]:
    """The images that `sample` would draw, made when they are asked for.

    Args:
      num: how many there are.
      seed: of the latents.
      truncation: see `latents`.
      labels: int32 `[num]`; None goes through all classes in turn.
      given: columns `[num, ...]`, or what reads them: indices -> columns.

    Returns:
      Indices `[n]` -> uint8 `[n, H, W, C]`. It raises InputError where the
      generator's output is not finite, which uint8 would hide.
    """
    gan = self.at(truncation)
    latents = gan.latents(num, seed=seed, truncation=truncation)
    labels = gan.labels(num) if labels is None else labels
    columns = given_lib.by_index(given or {})

    def read(indices):
      part = None if labels is None else labels[indices]
      outputs = gan._outputs(latents[indices], part, columns(indices))
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
    given: Mapping[str, Any] | None = None,
    truncation: float = 0.0,
  ) -> np.ndarray:
    """Draws images, uint8 `[num, H, W, C]`.

    The i-th image depends on (seed, i) and what is given, not on `num`.

    Args:
      num: how many.
      seed: of the latents.
      label: one class for all, by number or name; None goes through all
        classes in turn.
      given: what else the run is told, by name, `num` of each or one for all:
        `source` and `other` uint8 `[num, h, w, c]`, `text` as strings.
      truncation: see `latents`.

    Raises:
      InputError: a column is missing, not known, or of another shape.
    """
    latents = self.latents(num, seed=seed, truncation=truncation)
    labels = self.labels(num, label)
    return self.at(truncation).generate(latents, labels, given)

  def interpolate(
    self,
    num_points: int,
    steps: int,
    *,
    path: str = 'spherical',
    seed: int = 0,
    label: int | str | None = None,
    given: Mapping[str, Any] | None = None,
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
      given: what else the run is told, one for all; see `sample`.
      truncation: of the latents to pass through, see `latents`.

    Returns:
      Images uint8 `[num_points * steps, H, W, C]`.

    Raises:
      InputError: too few points or steps, an unknown path or label.
    """
    check_walk(num_points, steps, path)
    ends = self.latents(num_points, seed=seed, truncation=truncation)
    walk = closed_walk(ends, steps, path, sum(self.codes), self.num_seeds)
    if label is None and self.num_classes:
      label = 0
    labels = self.labels(len(walk), label)
    return self.at(truncation).generate(walk, labels, given)

"""Latents and labels that a trained generator takes, by seed."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.rng import example_keys
from gan_jax.sampling.denoising import Denoising
from gan_jax.sampling.labels import class_index
from gan_jax.sampling.priors import (
  draw_latents,
  truncated_normal,
  with_codes,
  with_seeds,
)
from gan_jax.types import InputError

MOST_IMAGES = 2**24  # of one draw


class Drawing:
  """Draws what a generator takes.

  Attributes:
    latent_dim: size Z of a latent vector, seeds and codes included.
    num_seeds: numbers at its start, see gan_jax.sampling.priors.
    codes: at its end, see there.
    num_classes: number of labels, 0 for an unconditional generator.
    class_names: of the labels, where they are known.
    exact: whether the generator computes in float32.
    denoising: how a diffusion model draws; None of another.
  """

  def __init__(
    self,
    *,
    latent_dim: int,
    prior: str = 'normal',
    codes: Sequence[int] = (),
    num_seeds: int = 0,
    num_classes: int = 0,
    class_names: Sequence[str] = (),
    exact: bool = True,
    denoising: Denoising | None = None,
  ):
    """Says what there is to draw.

    Args:
      latent_dim: Z, seeds and codes included.
      prior: of the noise, one of `PRIORS`.
      codes: at the end of the latents.
      num_seeds: numbers at their start.
      num_classes: > 0 if the generator is conditional.
      class_names: of the labels, where they are known.
      exact: whether the generator computes in float32.
      denoising: how a diffusion model draws, for the record.
    """
    self.exact, self.denoising = exact, denoising
    self.latent_dim, self.codes = latent_dim, tuple(codes)
    self.num_seeds = num_seeds
    self.num_classes = num_classes
    self.class_names = tuple(class_names)
    self._prior = prior

  def latents(
    self, num: int, *, seed: int = 0, truncation: float = 0.0
  ) -> np.ndarray:
    """Latents `[num, Z]` from the prior; the i-th depends on (seed, i) only.

    Args:
      num: how many.
      seed: of the draw.
      truncation: > 0 restricts normal noise to [-truncation, truncation].

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
    return np.asarray(self.latents_of_keys(keys, truncation))

  def latents_of_keys(self, keys: jax.Array, truncation: float) -> jax.Array:
    """Latents `[N, Z]` of keys `[N]`, to be compiled; see `latents`."""
    if truncation:
      draw = functools.partial(truncated_normal, truncation=truncation)
    else:
      draw = functools.partial(draw_latents, prior=self._prior)
    others = self.num_seeds + sum(self.codes)
    noise = draw(keys, latent_dim=self.latent_dim - others)
    latents = with_codes(noise, keys, self.codes)
    return with_seeds(latents, keys, self.num_seeds)

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

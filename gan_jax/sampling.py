"""Drawing images from a trained generator, and walking between latents."""

import copy
import functools
from collections.abc import Callable

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import to_uint8
from gan_jax.priors import draw_latents, truncated_normal
from gan_jax.rng import example_keys
from gan_jax.types import InputError, lookup

_BATCH = 64  # fixed, so that an image does not depend on how many are drawn


def lerp(start: jax.Array, end: jax.Array, t: jax.Array) -> jax.Array:
  """Points `[T, Z]` on the straight line from `[Z]` to `[Z]`, t in [0, 1]."""
  t = t[:, None]
  return (1.0 - t) * start + t * end


def slerp(start: jax.Array, end: jax.Array, t: jax.Array) -> jax.Array:
  """Points `[T, Z]` along the great circle from `[Z]` to `[Z]`, t in [0, 1].

  Unlike the straight line it keeps to the shell where a Gaussian prior has
  its mass. Parallel vectors fall back to `lerp`.

  Reference:
    White, Sampling Generative Networks, arXiv 1609.04468, section 2.1.
  """
  cosine = jnp.vdot(start, end) / (
    jnp.linalg.norm(start) * jnp.linalg.norm(end)
  )
  omega = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
  sine = jnp.sin(omega)
  parallel = sine < 1e-6
  safe = jnp.where(parallel, 1.0, sine)
  t_ = t[:, None]
  arc = (jnp.sin((1.0 - t_) * omega) * start + jnp.sin(t_ * omega) * end) / safe
  return jnp.where(parallel, lerp(start, end, t), arc)


INTERPOLATIONS = {'spherical': slerp, 'linear': lerp}


def batched(
  function: Callable[..., jax.Array], *arrays: np.ndarray | None
) -> np.ndarray:
  """Applies a compiled function in batches of one fixed size.

  Args:
    function: arrays `[64, ...]` -> array `[64, ...]`.
    *arrays: `[N, ...]` each, or None, which is passed on.

  Returns:
    `[N, ...]`; the last batch is padded, and the padding cut off.
  """
  num = len(arrays[0])
  outputs = []
  for start in range(0, num, _BATCH):
    rows = np.arange(start, start + _BATCH) % num
    inputs = [None if array is None else array[rows] for array in arrays]
    outputs.append(np.asarray(function(*inputs)))
  return np.concatenate(outputs)[:num]


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
  ):
    """Wraps a generator.

    Args:
      generator: a flax module, see gan_jax.networks.
      variables: its `{'params': ..., 'batch_stats': ...}`.
      latent_dim: Z.
      prior: one of `PRIORS`, the one it was trained with.
      num_classes: > 0 if it is conditional.
    """
    self.latent_dim = latent_dim
    self.num_classes = num_classes
    self._prior = prior
    self._variables = variables
    self._apply = jax.jit(
      lambda variables, latents, labels: to_uint8(
        generator.apply(variables, latents, labels, train=False)
      )
    )

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
    if num < 1:
      raise InputError(f'num: {num} is not at least 1')
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
    return batched(
      lambda *inputs: self._apply(self._variables, *inputs), latents, labels
    )

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

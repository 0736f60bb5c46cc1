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

MOST_IMAGES = 2**24  # of one draw


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
  function: Callable[..., chex.ArrayTree], *arrays: np.ndarray | None
) -> chex.ArrayTree:
  """Applies a compiled function in batches of one fixed size.

  Args:
    function: arrays `[64, ...]` -> tree of arrays `[64, ...]`.
    *arrays: `[N, ...]` each, or None, which is passed on.

  Returns:
    `[N, ...]`; the last batch is padded, and the padding cut off.
  """
  num = len(arrays[0])
  outputs = []
  for start in range(0, num, _BATCH):
    rows = np.arange(start, start + _BATCH) % num
    inputs = [None if array is None else array[rows] for array in arrays]
    outputs.append(jax.tree.map(np.asarray, function(*inputs)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:num], *outputs)


BATCH_NORMS = ('running', 'batch', 'standing')
_STANDING_BATCHES = 100


def standing_statistics(
  generator: nn.Module, sampler: 'Sampler', seed: int = 0
) -> chex.ArrayTree:
  """Variables whose batch statistics are means over fresh batches of latents.

  Running statistics lag behind the weights, and those of an average of
  weights belong to none of them. These are of the very weights.

  Args:
    generator: of the sampler.
    sampler: whose variables and prior to take.
    seed: of the latents.

  Returns:
    The sampler's variables with new batch statistics, from 100 batches of 64.

  Reference:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, arXiv 1809.11096, section 3.1.
  """
  variables = sampler._variables
  if 'batch_stats' not in variables:
    return variables
  old = variables['batch_stats']

  @jax.jit
  def batch_statistics(latents, labels):
    def update(value):
      stats = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.full_like(x, value) if _is_norm(path) else x, old
      )
      _, new = generator.apply(
        variables | {'batch_stats': stats},
        latents,
        labels,
        train=True,
        mutable=['batch_stats'],
      )
      return new['batch_stats']

    # An update is m old + (1 - m) batch: two of them give m and the batch's.
    def solve(path, x, zero, one):
      return zero / (1.0 - (one - zero)) if _is_norm(path) else x

    return jax.tree_util.tree_map_with_path(
      solve, old, update(0.0), update(1.0)
    )

  num = _STANDING_BATCHES * _BATCH
  latents, labels = sampler.latents(num, seed=seed), sampler.labels(num)
  batches = [
    batch_statistics(
      latents[i : i + _BATCH],
      None if labels is None else labels[i : i + _BATCH],
    )
    for i in range(0, num, _BATCH)
  ]
  means = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *batches)
  return variables | {'batch_stats': means}


def _is_norm(path) -> bool:
  """Whether a leaf of batch_stats is a mean or variance of batch norm."""
  return jax.tree_util.keystr(path[-1:]) in ("['mean']", "['var']")


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
      self._variables = standing_statistics(generator, self)

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

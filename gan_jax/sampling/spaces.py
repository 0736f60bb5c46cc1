"""What of a generator's input can be moved, to make other images: z, w, w+.

Guidance and inversion move it by a gradient, editing along a direction.

- z: the noise of the latents; seeds and codes stay.
- w: of a style-based generator one style for all layers (Karras et al.,
  arXiv 1812.04948).
- w+: a style for each layer (Abdal et al., Image2StyleGAN, arXiv 1904.03189).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.sampling.sampler import Sampler
from gan_jax.types import Given, InputError, lookup

SPACES = ('z', 'w', 'w+')
AUTO = 'auto'  # the widest that a generator has
_TOGETHER = 16  # images in one optimisation; another size is another program


class Movable(NamedTuple):
  """Something to move.

  Attributes:
    start: where it is, `[N, ...]`.
    render: (it, noise) -> images `[N, H, W, C]` in [-1, 1]; noise as
      `Sampler.painter` takes it, not read in z.
    project: what keeps it where the generator has learnt to draw.
  """

  start: chex.ArrayTree
  render: Callable[[jax.Array, jax.Array], jax.Array]
  project: Callable[[jax.Array], jax.Array]


def space_of(gan: Sampler, space: str, key: str) -> str:
  """A space that a generator has; of `AUTO` w+ if it has styles, else z.

  Args:
    gan: the generator.
    space: one of `SPACES`, or `AUTO`.
    key: that names it.

  Raises:
    InputError: an unknown name, or styles of a generator without them.
  """
  if space == AUTO:
    return 'w+' if gan.has_styles else 'z'
  lookup(dict.fromkeys((*SPACES, AUTO)), space, key)
  if space != 'z' and not gan.has_styles:
    raise InputError(
      f'{key}: {space} is of styles, and this generator has none; take z'
    )
  return space


def movable(
  gan: Sampler, latents: np.ndarray, told: Given, space: str
) -> Movable:
  """Latents or styles of a generator.

  Args:
    gan: the generator.
    latents: `[N, Z]`, to begin with.
    told: what it is told, `[N, ...]`, see `Sampler.told`.
    space: one of `SPACES`, which it has.
  """
  labels = told.get('labels')
  others = {k: x for k, x in told.items() if k != 'labels'}
  if space != 'z':
    styles = jnp.asarray(gan.styles(latents, labels, others))
    layers, start = styles.shape[1], styles
    if space == 'w':
      start = styles[:, :1]

    def paint(x, noise):
      every = jnp.broadcast_to(x, (len(x), layers, x.shape[-1]))
      return gan.painter(every, noise)

    return Movable(start, paint, lambda x: x)

  def render(x, noise):
    del noise
    return gan.generator(with_noise(gan, latents, x), labels, others)

  start = jnp.asarray(latents[:, free(gan)])
  if gan.prior == 'uniform':
    return Movable(start, render, lambda x: jnp.clip(x, -1.0, 1.0))
  return Movable(start, render, lambda x: x)


def groups(num: int) -> Iterator[np.ndarray]:
  """Rows of `num` images, so many at a time; the last are filled up.

  What comes of all groups, one after the other, begins with the `num`.
  """
  for first in range(0, num, _TOGETHER):
    yield np.arange(first, first + _TOGETHER) % num


def on_its_shell(start: jax.Array) -> Callable[[jax.Array], jax.Array]:
  """What keeps latents `[N, Z]` of a normal prior as long as they are."""
  lengths = jnp.linalg.norm(start, axis=1, keepdims=True)
  return lambda x: x * (lengths / jnp.linalg.norm(x, axis=1, keepdims=True))


def free(gan: Sampler) -> slice:
  """The latents that are noise: between seeds and codes."""
  return slice(gan.num_seeds, gan.latent_dim - sum(gan.codes))


def with_noise(gan: Sampler, latents, noise):
  """Latents `[N, Z]` with other noise."""
  own = free(gan)
  parts = latents[:, : own.start], noise, latents[:, own.stop :]
  kind = jnp if isinstance(noise, jax.Array) else np
  return kind.concatenate([kind.asarray(x) for x in parts], axis=1)

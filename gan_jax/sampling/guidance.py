"""Moving what a generator is made to draw until something likes its images.

What likes them is a function of images, such as how far they are from a text;
what moves are latents, or styles of a style-based generator.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.pixels import to_uint8
from gan_jax.sampling import spaces
from gan_jax.sampling.optimise import optimise_input
from gan_jax.sampling.sampler import Sampler

# (images `[B, H, W, C]` in [-1, 1], key) -> how little they are liked, `[B]`.
Distance = Callable[[jax.Array, jax.Array], jax.Array]


class Guided(NamedTuple):
  """What came of it; everything `[N, ...]`.

  Attributes:
    before: images uint8 that it began with.
    images: those that it ended with.
    latents: of these; where styles were moved, of their noise alone.
    styles: `[N, L, W]` of these; None where latents were moved.
  """

  before: np.ndarray
  images: np.ndarray
  latents: np.ndarray
  styles: np.ndarray | None


def guide(
  gan: Sampler,
  distance: Distance,
  latents: np.ndarray,
  *,
  labels: np.ndarray | None = None,
  given: Mapping[str, Any] | None = None,
  space: str = 'z',
  num_steps: int = 100,
  learning_rate: float = 0.05,
  seed: int = 0,
  progress: str = '',
) -> Guided:
  """Adam on latents or styles, each image by itself.

  Latents of a normal prior keep their lengths, those of a uniform one stay in
  [-1, 1]: what lies elsewhere the generator has not learnt to draw. Seeds and
  codes stay.

  Args:
    gan: the generator.
    distance: that is to become small.
    latents: to begin with, `[N, Z]`.
    labels: int32 `[N]`, of a conditional run.
    given: what else it is told, `[N, ...]` or one for all.
    space: what moves, see gan_jax.sampling.spaces.
    num_steps: of each image.
    learning_rate: of Adam, falling to 0 along half a cosine.
    seed: of what is random in the distance.
    progress: title of a bar; '' for none.

  Raises:
    InputError: an unknown space, styles of a generator without them, or steps
      that come to no finite end.
  """
  space = spaces.space_of(gan, space, 'space')
  before = gan.generate(latents, labels, given)
  told = gan.told(len(latents), labels, given)
  moved = []
  for rows in spaces.groups(len(latents)):
    part = jax.tree.map(lambda x: x[rows], told)  # noqa: B023  used at once
    noise = latents[rows]
    start, render, project = spaces.movable(gan, noise, part, space)
    if space == 'z' and gan.prior == 'normal':
      project = spaces.on_its_shell(start)

    def loss(x, key, step, render=render, noise=noise):
      del step
      return distance(render(x, noise), key)

    found = optimise_input(
      loss,
      start,
      num_steps=num_steps,
      learning_rate=_falling(learning_rate, num_steps),
      project=project,
      seed=seed,
      progress=progress,
    )
    images = to_uint8(jax.jit(render)(found.best, noise))
    moved.append([np.asarray(x) for x in (images, found.best)])
  images, ends = (
    np.concatenate(parts)[: len(latents)] for parts in zip(*moved, strict=True)
  )
  if space == 'z':
    ends = spaces.with_noise(gan, latents, ends)
    return Guided(before, images, ends, None)
  if space == 'w':
    ends = ends.repeat(gan.num_layers, axis=1)
  return Guided(before, images, latents, ends)


def _falling(rate: float, num_steps: int):
  """Half a cosine down to 0."""

  def at(step):
    return 0.5 * rate * (1 + jnp.cos(jnp.pi * step / num_steps))

  return at

"""The latents, or the styles, of an image that is given.

Adam moves them until the generator draws the image. It begins where a drawn
image is nearest, in w and w+ at the mean style of its class; there maps of
noise move too, and are kept from drawing the image by themselves.

Reference:
  Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
  arXiv 1912.04958, appendix D; where it leaves a choice, as in the authors'
  code. w+: Abdal et al., Image2StyleGAN, arXiv 1904.03189.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.networks import layers
from gan_jax.pixels import from_uint8, to_uint8
from gan_jax.sampling import spaces
from gan_jax.sampling.optimise import optimise_input
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError

_DRAWN = 512  # images among which the nearest is looked for
NOISE_WEIGHT = 1e5  # of `noise_penalty`
_SMALLEST = 8  # pixels of the last map that it looks at
_JITTER, _STILL = 0.05, 0.75  # of styles: in their deviation; share of steps
_WARM_UP, _FALL = 0.05, 0.25  # shares of the steps in which the rate changes

# (images, targets), both `[B, H, W, C]` in [-1, 1] -> how far apart, `[B]`.
Distance = Callable[[jax.Array, jax.Array], jax.Array]


class Inverted(NamedTuple):
  """What came of it; everything `[N, ...]`.

  Attributes:
    images: what the generator draws, uint8.
    latents: of these; with styles, of nothing but their first noise.
    labels: classes that they were drawn as; None where there are none.
    styles: of these, `[N, L, W]`; None in z.
    noise: their maps of noise; None in z.
  """

  images: np.ndarray
  latents: np.ndarray
  labels: np.ndarray | None
  styles: np.ndarray | None
  noise: tuple[np.ndarray, ...] | None


def pixel_distance(images: jax.Array, targets: jax.Array) -> jax.Array:
  """Mean squared error of pixels in [-1, 1], `[B]`."""
  return jnp.mean((images - targets) ** 2, axis=(1, 2, 3))


def noise_penalty(maps: tuple[jax.Array, ...]) -> jax.Array:
  """How far maps of noise are from white, `[B]`.

  Squares of their correlation with themselves one pixel on, along both axes;
  also of their means over 2x2, 4x4, ... pixels, down to maps of 8. 0 in
  expectation of white noise as maps grow, 1 along each axis of a constant 1.

  Args:
    maps: `[B, S, S, 1]` each, of mean 0 and variance 1.

  Reference:
    arXiv 1912.04958, appendix D, eq. 5; means as in the authors' code (twice
    the mean in the paper).
  """
  total = jnp.zeros(len(maps[0]))
  for x in maps:
    while True:
      for axis in (1, 2):
        total += jnp.mean(x * jnp.roll(x, 1, axis), axis=(1, 2, 3)) ** 2
      if x.shape[1] <= _SMALLEST:
        break
      x = layers.mean_pool(x)
  return total


def whitened(maps: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
  """Maps of mean 0 and variance 1, each by itself."""

  def of(x):
    x = x - x.mean(axis=(1, 2, 3), keepdims=True)
    return x * jax.lax.rsqrt((x**2).mean(axis=(1, 2, 3), keepdims=True) + 1e-8)

  return tuple(map(of, maps))


def rate_at(learning_rate: float, num_steps: int) -> Callable[[Any], Any]:
  """The published course of the rate: up a line, then down half a cosine."""

  def at(step):
    t = step / num_steps
    fall = jnp.minimum(1.0, (1.0 - t) / _FALL)
    fall = 0.5 - 0.5 * jnp.cos(jnp.pi * fall)
    return (
      learning_rate * fall * jnp.minimum(1.0, (t + 1 / num_steps) / _WARM_UP)
    )

  return at


def jitter_at(step: jax.Array, num_steps: int) -> jax.Array:
  """Share of the published noise on styles: (1 - t / .75)^2, then 0."""
  return jnp.maximum(0.0, 1.0 - step / num_steps / _STILL) ** 2


def invert(
  gan: Sampler,
  images: np.ndarray,
  *,
  space: str = spaces.AUTO,
  distance: Distance = pixel_distance,
  num_steps: int = 500,
  learning_rate: float = 0.1,
  labels: np.ndarray | None = None,
  seed: int = 0,
  progress: str = '',
) -> Inverted:
  """Finds what the generator has to be told to draw images.

  Args:
    gan: the generator.
    images: uint8 `[N, H, W, C]`, of its shape.
    space: where, see gan_jax.sampling.spaces; auto: w+, or z without styles.
    distance: of images, that becomes small.
    num_steps: of each image.
    learning_rate: of Adam at its highest, see `rate_at`.
    labels: int32 `[N]`, classes of the images; None for that of the nearest
      drawn image.
    seed: of the drawn images and of the noise.
    progress: title of a bar; '' for none.

  Raises:
    InputError: an unknown space, images of another shape, a generator that
      draws by a sampler or is told more than labels, or steps that come to no
      finite end.
  """
  space = spaces.space_of(gan, space, 'space')
  _check(gan, images)
  latents, labels = _nearest(gan, images, labels, seed)
  moments = None if space == 'z' else _style_moments(gan)
  parts = []
  for rows in spaces.groups(len(images)):
    found = _group(
      gan,
      images[rows],
      latents[rows],
      None if labels is None else labels[rows],
      space,
      distance,
      moments,
      learning_rate=learning_rate,
      num_steps=num_steps,
      seed=seed,
      progress=progress,
    )
    parts.append(jax.tree.map(np.asarray, found))
  made, moved, noise = jax.tree.map(
    lambda *xs: np.concatenate(xs)[: len(images)], *parts
  )
  if space == 'z':
    latents = spaces.with_noise(gan, latents, moved)
    return Inverted(made, latents, labels, None, None)
  if space == 'w':
    moved = moved.repeat(gan.num_layers, axis=1)
  return Inverted(made, latents, labels, moved, noise)


def _check(gan: Sampler, images: np.ndarray) -> None:
  if gan.denoising is not None:
    raise InputError(
      'invert: a diffusion model has the noise of an image by undoing DDIM: '
      'load(RUN).reconstruct(images) does'
    )
  if gan.columns:
    raise InputError(
      f'invert: this run is told {", ".join(gan.columns)}, of which nobody '
      'knows what an image was drawn from; take one that is told labels or '
      'nothing'
    )
  shape = gan.image_shape
  if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
    raise InputError(
      f'images: {images.dtype} {images.shape}; this generator draws uint8 '
      f'[N, {", ".join(map(str, shape))}]'
    )


def _nearest(gan: Sampler, images, labels, seed):
  """Latents of the nearest drawn image, by pixels, and its class."""
  latents = gan.latents(_DRAWN, seed=seed)
  classes = gan.labels(_DRAWN)
  drawn = gan.generate(latents, classes).reshape(_DRAWN, -1).astype(np.float32)
  flat = images.reshape(len(images), -1).astype(np.float32)
  squares = (drawn**2).sum(axis=1) - 2.0 * flat @ drawn.T
  if labels is not None:
    squares[labels[:, None] != classes] = np.inf
  nearest = squares.argmin(axis=1)
  if labels is None and classes is not None:
    labels = classes[nearest]
  return latents[nearest], labels


def _group(
  gan,
  images,
  latents,
  labels,
  space,
  distance,
  moments,
  *,
  learning_rate,
  **keys,
):
  """Images, what was moved, and maps of noise or (), of some images."""
  targets = from_uint8(jnp.asarray(images))
  told = gan.told(len(images), labels)
  start, render, project = spaces.movable(gan, latents, told, space)
  rate = rate_at(learning_rate, keys['num_steps'])
  if moments is None:  # in z

    def distance_at(x, key, step):
      del key, step
      return distance(render(x, None), targets)

    found = optimise_input(
      distance_at, start, learning_rate=rate, project=project, **keys
    )
    made = jax.jit(lambda x: to_uint8(render(x, None)))(found.best)
    return made, found.best, ()
  means, deviation = moments
  centre = means[0 if labels is None else labels].reshape(
    -1, 1, start.shape[-1]
  )
  start = jnp.broadcast_to(centre, start.shape)

  def loss(moving, key, step):
    x, noise = moving
    share = _JITTER * deviation * jitter_at(step, keys['num_steps'])
    x = x + share * jax.random.normal(key, x.shape)
    white = NOISE_WEIGHT * noise_penalty(noise)
    return distance(render(x, noise), targets) + white

  found = optimise_input(
    loss,
    (start, whitened(gan.noise(latents))),
    learning_rate=rate,
    project=lambda moving: (moving[0], whitened(moving[1])),
    **keys,
  )
  moved, noise = found.best
  made = jax.jit(lambda x, noise: to_uint8(render(x, noise)))(moved, noise)
  return made, moved, noise


def _style_moments(gan: Sampler) -> tuple[np.ndarray, float]:
  """The mean style of each class, or of all, `[K, W]`; how far styles are.

  The second is the root of the mean squared length from that mean, as in the
  authors' code.
  """
  labels = gan.labels(_DRAWN)
  styles = gan.styles(gan.latents(_DRAWN, seed=1), labels)[:, 0]
  classes = None if labels is None else np.arange(gan.num_classes)
  means = gan.mean_style(classes).reshape(-1, styles.shape[-1])
  rest = styles - means[0 if labels is None else labels]
  return means, float(np.sqrt((rest**2).sum(axis=1).mean()))

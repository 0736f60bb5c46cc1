"""pi-GAN: a radiance field of sines, modulated by the latents, and rendered.

Each pixel is a ray through the volume; a field says of each of its points how
dense and of what colour it is, and light is added up along it
(gan_jax.networks.rendering).

Deviations: one pass of samples along a ray, drawn evenly in their bins and at
their middles once trained (the authors add as many where the first found
something); the last bin has the others' length; lengths are in the field's
units, in which the rays have 2. D is GRAF's, without patches:
spectral weights, instance norm.

References:
  Chan et al., pi-GAN: Periodic Implicit Generative Adversarial Networks for
  3D-Aware Image Synthesis, arXiv 2012.00926, section 3, and the authors' code,
  whose sizes these are (TALL-SIREN).
  Schwarz et al., GRAF, arXiv 2007.02442: D, and its count.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import cameras, layers, posing, rendering, seeds
from gan_jax.networks.dcgan import Discriminator
from gan_jax.networks.style import Style
from gan_jax.rng import fold_each
from gan_jax.types import Given, InputError, Players

_MAPPING = 3  # hidden layers from z to frequencies and phases
_FREQUENCY, _SPREAD = 30.0, 15.0  # gamma = 15 raw + 30
_JITTER = 0  # layer of the seeds that moves samples in their bins


class View(NamedTuple):
  """What the camera sees of the world.

  Attributes:
    field_of_view: in degrees, from edge to edge.
    near: distance at which rays begin; the camera is 1 from the origin.
    far: at which they end.
    samples: points on each ray.
    scale: by which points are multiplied before the field sees them.
  """

  field_of_view: float = 12.0
  near: float = 0.88
  far: float = 1.12
  samples: int = 24
  scale: float = 2 / 0.24


def _uniform(most: float):
  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -most, most)

  return init


def _leaky_kaiming(share: float):
  """He's for leaky ReLUs of slope .2, times a share."""
  scale = 2 / (1 + 0.2**2) * share**2
  return nn.initializers.variance_scaling(scale, 'fan_in', 'normal')


class Mapping(nn.Module):
  """z -> frequencies and phases of all layers, `[B, layers, 2, width]`.

  Attributes:
    width: of the layers.
    num_layers: of the field that are modulated.
  """

  width: int
  num_layers: int

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    h = z
    for _ in range(_MAPPING):
      h = nn.Dense(self.width, kernel_init=_leaky_kaiming(1.0))(h)
      h = nn.leaky_relu(h, 0.2)
    size = 2 * self.num_layers * self.width
    h = nn.Dense(size, kernel_init=_leaky_kaiming(0.25))(h)
    h = h.reshape(len(h), 2, self.num_layers, self.width)
    return jnp.moveaxis(h, 1, 2)


class Field(nn.Module):
  """Points and directions `[B, R, N, 3]` -> densities and colours.

  sin(gamma (W x + b) + beta) in each layer, gamma and beta of the latents.

  Attributes:
    width: of the layers.
    depth: layers before the density; one more has the direction.
    channels: of the colours, in [0, 1].
  """

  width: int
  depth: int
  channels: int

  @nn.compact
  def __call__(self, points, directions, modulation):
    def film(h, number, init):
      h = nn.Dense(self.width, kernel_init=init)(h)
      raw, phase = modulation[:, number, 0], modulation[:, number, 1]
      frequency = _SPREAD * raw + _FREQUENCY
      return jnp.sin(frequency[:, None, None] * h + phase[:, None, None])

    inside = _uniform(math.sqrt(6 / self.width) / 25)
    h = film(points, 0, _uniform(1 / 3))
    for number in range(1, self.depth):
      h = film(h, number, inside)
    density = nn.relu(nn.Dense(1, kernel_init=inside)(h)[..., 0])
    seen = film(jnp.concatenate([directions, h], axis=-1), self.depth, inside)
    colour = nn.Dense(self.channels, kernel_init=inside)(seen)
    return density, nn.sigmoid(colour)


class Generator(nn.Module):
  """Latents `[B, 2 + Z]` -> images `[B, H, W, C]` in [-1, 1], of any pose.

  Where no ray meets anything they are black.

  Attributes:
    channels: of the images.
    size: of the images in pixels.
    width: of the field's layers and of the mapping's.
    depth: see `Field`.
    view: see `View`.
    ranges: of poses that nobody is told.
    style: of the labels and texts that join z.
  """

  channels: int
  size: int
  width: int
  depth: int
  view: View
  ranges: posing.Ranges
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    keys, z = seeds.split(latents)
    pose, view = posing.pose_of(keys, given, self.ranges), self.view
    z = self.style.join_latents(z, given)
    modulation = Mapping(self.width, self.depth + 1)(z)
    origins, directions = cameras.rays(pose, self.size, view.field_of_view, 1.0)
    directions = directions.reshape(len(z), -1, 1, 3)
    noise = None
    if train:
      shape = (directions.shape[1], view.samples)
      own = fold_each(keys, _JITTER)
      noise = jax.vmap(lambda key: jax.random.uniform(key, shape))(own)
    depths, length = rendering.bins(view.near, view.far, view.samples, noise)
    points = origins[:, None, None] + depths[..., None] * directions
    directions = jnp.broadcast_to(directions, points.shape)
    field = Field(self.width, self.depth, self.channels)
    density, colour = field(view.scale * points, directions, modulation)
    seen = rendering.render(density, colour, depths, view.scale * length)
    images = 2.0 * seen.colour - 1.0
    return images.reshape(len(z), self.size, self.size, self.channels)


def pigan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 256,
  disc_width: int = 64,
  field_depth: int = 8,
  samples: int = 24,
  azimuth: tuple[float, float] = (-180.0, 180.0),
  elevation: tuple[float, float] = (0.0, 0.0),
) -> Players[nn.Module]:
  """pi-GAN's generator and GRAF's discriminator, for square images.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: of the field's layers.
    disc_width: channels of D's first map.
    field_depth: layers of the field before its density.
    samples: points on each ray.
    azimuth: of poses that nobody is told, in degrees; from the least to the
      most.
    elevation: likewise.

  Raises:
    InputError: a size that D cannot halve, no samples, ranges that are none.
  """
  depth = layers.halvings(image_shape, None, 'pigan')
  for key, value in (('field_depth', field_depth), ('samples', samples)):
    if not isinstance(value, int) or not 1 <= value <= 512:
      raise InputError(f'network.{key}: {value!r} is not a number in 1 to 512')
  ranges = posing.ranges_of(azimuth, elevation)
  gen = posing.without_pose(style.gen)
  common = image_shape[-1], image_shape[0], gen_width
  view = View(samples=samples)
  return Players(
    gen=Generator(*common, field_depth, view, ranges, gen),
    disc=Discriminator(disc_width, depth, style.disc),
  )

"""Maps in space, `[B, D, H, W, C]`: convolutions, doubling, rotation.

Axes are depth (towards the viewer), height (downwards) and width.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import layers


class Conv3D(nn.Module):
  """A 3x3x3 convolution with biases; of the doubled volume, if asked for.

  Three depths are channels of one 3x3 convolution of each plane: what runs
  fast there is fast here.

  Attributes:
    features: channels it makes.
    doubled: whether depth, height and width are doubled before, by nearest
      neighbours.
    dtype: of the computation.
  """

  features: int
  doubled: bool = False
  dtype: jnp.dtype | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    if self.doubled:
      x = x.repeat(2, axis=1)
    batch, depth, height, width, channels = x.shape
    padded = jnp.pad(x, [(0, 0), (1, 1), *[(0, 0)] * 3])
    planes = [padded[:, k : k + depth] for k in range(3)]
    planes = jnp.concatenate(planes, axis=-1)
    planes = planes.reshape(batch * depth, height, width, 3 * channels)
    conv = layers.Conv(self.features, 3, doubled=self.doubled, dtype=self.dtype)
    y = conv(planes)
    return y.reshape(batch, depth, *y.shape[1:])


def rotated(volume: jax.Array, pose: jax.Array) -> jax.Array:
  """A volume as a camera of a pose sees it, by bilinear resampling.

  First about the vertical axis by the azimuth, then about the axis to the right
  by the elevation, each in its plane. Outside of the volume there are zeros.

  Args:
    volume: `[B, S, S, S, C]`.
    pose: azimuth and elevation in half turns, `[B, 2]`.
  """
  turned = _in_plane(volume, pose[:, 0], 2)
  return _in_plane(turned, -pose[:, 1], 3)


def _in_plane(volume: jax.Array, angle: jax.Array, still: int) -> jax.Array:
  """Turned in the plane of depth and the axis that does not stand still.

  A product with one matrix `[S S, S S]` for each example: gradients of a
  gather would be added up one by one.
  """
  batch, size, *_, channels = volume.shape
  other = {2: 3, 3: 2}[still]
  planes = jnp.moveaxis(volume, (1, other, still), (1, 2, 3))
  centre = (size - 1) / 2
  place = jnp.arange(size) - centre
  depth, across = jnp.meshgrid(place, place, indexing='ij')
  turn = jnp.pi * angle[:, None, None]
  cos, sin = jnp.cos(turn), jnp.sin(turn)
  sources = cos * depth - sin * across, sin * depth + cos * across
  near = [
    jnp.maximum(1.0 - jnp.abs(x.reshape(batch, -1, 1) - place), 0.0)
    for x in sources
  ]
  matrix = near[0][..., :, None] * near[1][..., None, :]
  matrix = matrix.reshape(batch, size**2, size**2).astype(volume.dtype)
  flat = planes.reshape(batch, size**2, size * channels)
  turned = (matrix @ flat).reshape(planes.shape)
  return jnp.moveaxis(turned, (1, 2, 3), (1, other, still))


def folded(volume: jax.Array) -> jax.Array:
  """Depths as channels: `[B, D, H, W, C]` -> `[B, H, W, D C]`."""
  batch, depth, height, width, channels = volume.shape
  planes = jnp.moveaxis(volume, 1, 3)
  return planes.reshape(batch, height, width, depth * channels)

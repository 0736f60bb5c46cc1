"""HoloGAN: a volume of features, turned as the camera has it, then drawn.

A constant of 4^3 grows to 16^3 with styles of the latents, is turned, and its
depths become channels of a map that grows to the image. D sees no pose, unless
both players are told the data's. It is DCGAN's; that it guesses what an image
was made of, the paper's identity loss, are `codes` here: (1,) * Z of them.

Deviations: volumes are doubled by nearest neighbours and convolved, where the
authors' code has transposed convolutions; D's styles at several depths, which
the paper has from 128 pixels on, are left out.

Reference:
  Nguyen-Phuoc et al., HoloGAN: Unsupervised Learning of 3D Representations from
  Natural Images, arXiv 1904.01326, section 3, and the authors' code.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import growing, layers, posing, seeds, volumes
from gan_jax.networks.dcgan import Discriminator
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players

_CONSTANT, _VOLUME = 4, 16  # sides of the volumes at the start and at the end


class Generator(nn.Module):
  """Latents `[B, 2 + Z]` -> images `[B, H, W, C]` in [-1, 1], of any pose.

  Attributes:
    channels: of the images.
    size: of the images in pixels.
    width: channels of the volume that is turned.
    ranges: of poses that nobody is told.
    style: the norm is that of volumes and maps; adain goes by the latents.
  """

  channels: int
  size: int
  width: int
  ranges: posing.Ranges
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style, (keys, z) = self.style, seeds.split(latents)
    pose = posing.pose_of(keys, given, self.ranges)
    styles = style.join_latents(z, given)

    def settled(h):
      h = style.normalise(h, given, train=train, styles=styles)
      return style.activate(h)

    shape = (*[_CONSTANT] * 3, 8 * self.width)
    h = self.param('constant', nn.initializers.normal(1.0), shape)
    h = h.astype(style.dtype or h.dtype)
    h = settled(jnp.broadcast_to(h, (len(z), *shape)))
    for width in (2 * self.width, self.width):
      layer = volumes.Conv3D(width, doubled=True, dtype=style.dtype)
      h = settled(style.apply(layer, h, train=train))
    h = volumes.rotated(h, pose)
    for _ in range(2):
      layer = volumes.Conv3D(self.width, dtype=style.dtype)
      h = style.activate(style.apply(layer, h, train=train))
    h = volumes.folded(h)
    layer = layers.Conv(h.shape[-1], 1, dtype=style.dtype)
    h = style.activate(style.apply(layer, h, train=train))
    features = h.shape[-1]
    while h.shape[1] < self.size:
      features = max(features // 4, self.width)
      layer = layers.Conv(features, 3, doubled=True, dtype=style.dtype)
      h = settled(style.apply(layer, h, train=train))
    layer = layers.Conv(self.channels, 3, dtype=style.dtype)
    return nn.tanh(style.output(style.apply(layer, h, train=train, gain=1.0)))


def hologan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 64,
  disc_width: int = 64,
  azimuth: tuple[float, float] = (-180.0, 180.0),
  elevation: tuple[float, float] = (0.0, 0.0),
) -> Players[nn.Module]:
  """The HoloGAN pair, for square images of 16 pixels times a power of two.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: channels of the volume that is turned.
    disc_width: of D's first map.
    azimuth: of poses that nobody is told, in degrees; from the least to the
      most.
    elevation: likewise.

  Raises:
    InputError: another size, or ranges that are none.
  """
  size = image_shape[0]
  growing.check_power('data.image_size', 'hologan', size)
  if image_shape[1] != size or size < 2 * _VOLUME:
    raise InputError(
      f'data.image_size: hologan makes square images of {2 * _VOLUME} pixels '
      f'or more, not {size} x {image_shape[1]}'
    )
  ranges = posing.ranges_of(azimuth, elevation)
  gen = posing.without_pose(style.gen)
  depth = layers.halvings(image_shape, None, 'hologan')
  return Players(
    gen=Generator(image_shape[-1], size, gen_width, ranges, gen),
    disc=Discriminator(disc_width, depth, style.disc),
  )

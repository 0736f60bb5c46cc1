"""Images of one domain from those of another, both ways: two pairs.

Each G is a residual network that sees an image and nothing else; each D judges
patches, as in pix2pix.py.

    generator(images [B, H, W, c], given, *, train) -> images [B, H, W, C]
    discriminator(images [B, H, W, C], given, *, train) -> Verdict(logits)

Reference:
  Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent
  Adversarial Networks, arXiv 1703.10593, section 4 and appendix 7.2; instance
  norm without scale and bias, and biases in all convolutions, as in the
  authors' second code.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import layers
from gan_jax.networks.pix2pix import Discriminator, check_patches
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players

HALVINGS = 2  # of G
_FIRST = 7  # side of the first and the last kernel
_kernel_init = nn.initializers.normal(0.02)


class Generator(nn.Module):
  """Images `[B, H, W, c]` -> images `[B, H, W, C]` in [-1, 1].

  Borders of the first, the last and the residual layers are reflected.

  Attributes:
    channels: of the images that it makes.
    width: channels of the first map; twice as many after each halving.
    blocks: residual ones, at the smallest size.
    style: see `Style`; the norm skips the image.
  """

  channels: int
  width: int
  blocks: int
  style: Style

  @property
  def multiple(self) -> int:
    """Of which sides may be any multiple, once it is trained."""
    return 2**HALVINGS

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    del given
    style = self.style

    def conv(kind, h, features, kernel, stride=1, padding='VALID', **gain):
      layer = kind(
        features,
        kernel,
        stride,
        padding=padding,
        kernel_init=_kernel_init,
        dtype=style.dtype,
      )
      return style.apply(layer, h, train=train, **gain)

    def reflected(h, features, kernel, **gain):
      border = (kernel // 2, kernel // 2)
      h = jnp.pad(h, ((0, 0), border, border, (0, 0)), mode='reflect')
      return conv(layers.Conv, h, features, kernel, **gain)

    def activated(h):
      return style.activate(style.normalise(h, train=train))

    h = activated(reflected(images, self.width, _FIRST))
    for number in range(1, HALVINGS + 1):
      features = self.width * 2**number
      h = activated(conv(layers.Conv, h, features, 3, 2, [(1, 1), (1, 1)]))
    for _ in range(self.blocks):
      inner = activated(reflected(h, h.shape[-1], 3))
      h += style.normalise(reflected(inner, h.shape[-1], 3), train=train)
    for number in range(HALVINGS)[::-1]:
      h = conv(layers.ConvTranspose, h, self.width * 2**number, 3, 2)
      # What turns the halving round: PyTorch's padding and output padding of 1.
      h = activated(h[:, 1:, 1:])
    h = reflected(h, self.channels, _FIRST, gain=1.0)
    return nn.tanh(style.output(h))


def cyclegan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 64,
  disc_width: int = 64,
  blocks: int | None = None,
  disc_layers: int = 3,
) -> Players[dict[str, nn.Module]]:
  """Both pairs, for images whose sides are multiples of 4.

  Args:
    image_shape: (H, W, C) of `images`; `other` is a column of the style.
    style: of both players.
    gen_width: channels of a G's first map.
    disc_width: of a D's.
    blocks: residual blocks; None for 9 from 256 pixels on, else 6.
    disc_layers: layers of D that halve, see gan_jax.networks.pix2pix.

  Returns:
    gen `forward` (other -> images) and `backward`, disc `images` and `other`.

  Raises:
    InputError: no `other`, one of another size, or a size that G cannot halve
      twice or of which D has no patch.
  """
  columns = dict(style.gen.columns)
  if 'other' not in columns:
    raise InputError(
      'given: cyclegan goes from one domain to another; set given=other, and '
      'data.layout=unpaired'
    )
  height, width, channels = image_shape
  *other_size, other_channels = columns['other'].shape
  if tuple(other_size) != (height, width):
    raise InputError(
      f'given: the other domain has {" x ".join(map(str, other_size))} pixels '
      f'and the images {height} x {width}; set data.image_size'
    )
  side = 2**HALVINGS
  if height % side or width % side or min(height, width) < 4 * side:
    raise InputError(
      f'data.image_size: cyclegan makes images of 16 pixels or more whose '
      f'sides are multiples of {side}, not {height} x {width}'
    )
  check_patches(image_shape, disc_layers)
  if blocks is None:
    blocks = 9 if min(height, width) >= 256 else 6
  alone = dataclasses.replace(style.disc, columns=())
  return Players(
    gen={
      'forward': Generator(channels, gen_width, blocks, style.gen),
      'backward': Generator(other_channels, gen_width, blocks, style.gen),
    },
    disc={
      name: Discriminator(disc_width, disc_layers, alone)
      for name in ('images', 'other')
    },
  )

"""Images from images: a U-Net, and a discriminator of patches.

G sees the source, and beside it a plane of whatever else it is told. What is
random in it is dropout, in training as afterwards: the seed at the start of the
latents decides it, and their other numbers are not read.

Reference:
  Isola et al., Image-to-Image Translation with Conditional Adversarial
  Networks, arXiv 1611.07004, section 3.2 and appendix 6.1; biases as in the
  authors' second code: with batch norm G has them in its last layer alone, and
  D in its first and its last.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import conditions, layers, seeds
from gan_jax.networks.norms import BATCH_NORMS
from gan_jax.networks.style import ACTIVATIONS, Style
from gan_jax.types import Given, InputError, Players, Verdict

MOST_HALVINGS = 8
MOST_LAYERS = 5  # of D that halve
_WIDEST = 8  # times the width
_DROPPED = 3  # layers with dropout, the innermost of the decoder
_kernel_init = nn.initializers.normal(0.02)


class Generator(nn.Module):
  """Latents `[B, 2 + Z]` and a source -> images `[B, H, W, C]` in [-1, 1].

  Attributes:
    channels: of the images.
    width: channels of the first map, doubling inwards up to eight times.
    depth: how often the image is halved.
    dropout: share of values that it zeroes.
    style: the activation is that of the decoder, the encoder's is leaky ReLU;
      the norm skips the first and the innermost map, and the image.
  """

  channels: int
  width: int
  depth: int
  dropout: float
  style: Style

  @property
  def multiple(self) -> int:
    """Of which sides may be any multiple, once it is trained."""
    return 2**self.depth

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given, *, train: bool
  ) -> jax.Array:
    style, keys = self.style, seeds.split(latents)[0]
    widths = [self.width * min(2**i, _WIDEST) for i in range(self.depth)]

    def conv(kind, h, features, normed, use_bias=False, **gain):
      layer = kind(
        features,
        4,
        2,
        use_bias=use_bias or style.norm not in BATCH_NORMS,
        kernel_init=_kernel_init,
        dtype=style.dtype,
      )
      h = style.apply(layer, h, train=train, **gain)
      return style.normalise(h, given, train=train) if normed else h

    others = [column for column in style.told if column[0] != 'source']
    h, maps = conditions.join_images(given['source'], others, given), []
    for number, features in enumerate(widths):
      if number:
        h = ACTIVATIONS['leaky_relu'](h)
      inside = 0 < number < self.depth - 1
      h = conv(layers.Conv, h, features, inside)
      maps.append(h)
    for number, features in enumerate(widths[-2::-1]):
      h = conv(layers.ConvTranspose, style.activate(h), features, True)
      if number < _DROPPED:
        h = seeds.dropout(h, keys, number, self.dropout)
      h = jnp.concatenate([maps[-2 - number], h], axis=-1)
    h = style.activate(h)
    h = conv(layers.ConvTranspose, h, self.channels, False, True, gain=1.0)
    return nn.tanh(style.output(h))


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` and what they are of -> logits `[B, h, w]`.

  One for each patch: of 16, 34, 70, 142 or 286 pixels with one to five layers
  that halve; of one pixel with none.

  Attributes:
    width: channels of the first map, doubling up to eight times.
    num_halvings: layers with a stride of 2; one without follows.
    style: the norm skips the first layer.
  """

  width: int
  num_halvings: int
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style, num = self.style, self.num_halvings

    def conv(h, features, stride, use_bias, **gain):
      layer = layers.Conv(
        features,
        4 if num else 1,
        stride,
        padding=[(1, 1), (1, 1)] if num else 'SAME',
        use_bias=use_bias or style.norm not in BATCH_NORMS,
        kernel_init=_kernel_init,
        dtype=style.dtype,
      )
      return style.apply(layer, h, train=train, **gain)

    h = style.join_images(images, given)
    for number in range(max(num, 1) + 1):
      features = self.width * min(2**number, _WIDEST)
      first = number == 0
      stride = 2 if number < num else 1
      h = conv(h, features, stride, first)
      if not first:
        h = style.normalise(h, given, train=train)
      h = style.activate(h)
      self.sow('intermediates', 'features', h)
    logits = conv(h, 1, 1, num > 0, gain=1.0)[..., 0]
    return Verdict(style.output(logits), {})


def pix2pix(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 64,
  disc_width: int = 64,
  depth: int | None = None,
  disc_layers: int = 3,
  dropout: float = 0.5,
) -> Players[nn.Module]:
  """The pix2pix pair, for images that are made of others of their size.

  Args:
    image_shape: (H, W, C).
    style: of both players.
    gen_width: channels of G's first map.
    disc_width: of D's.
    depth: how often G halves the image; None for as often as it can be, eight
      times at the most.
    disc_layers: layers of D that halve, 0 to 5: what it judges are patches of
      1, 16, 34, 70, 142 or 286 pixels.
    dropout: share of values that dropout zeroes, in [0, 1).

  Raises:
    InputError: no source, one of another size, an image that cannot be halved
      so often, or one that leaves D no patch.
  """
  _check_source(image_shape, style.gen)
  seeds.check_share('dropout', dropout)
  depth = _depth(image_shape, depth)
  check_patches(image_shape, disc_layers)
  return Players(
    gen=Generator(image_shape[-1], gen_width, depth, dropout, style.gen),
    disc=Discriminator(disc_width, disc_layers, style.disc),
  )


def _check_source(image_shape: tuple[int, int, int], style: Style) -> None:
  columns = dict(style.columns)
  if 'source' not in columns:
    raise InputError(
      'given: pix2pix makes images of others; set given=source, and '
      'data.layout to halves or paired, or data.derive to grey, edges or masked'
    )
  height, width, _ = columns['source'].shape
  if (height, width) != tuple(image_shape[:2]):
    raise InputError(
      f'given: the source has {height} x {width} pixels and the image '
      f'{image_shape[0]} x {image_shape[1]}, and pix2pix changes no size'
    )


def _depth(image_shape: tuple[int, int, int], depth: int | None) -> int:
  """How often both sides are halved."""
  height, width, _ = image_shape
  possible = 0
  while height % 2 == width % 2 == 0 and possible < MOST_HALVINGS:
    height, width, possible = height // 2, width // 2, possible + 1
  size = f'{image_shape[0]} x {image_shape[1]} pixels'
  if possible < 2:
    raise InputError(
      f'data.image_size: pix2pix halves its images twice at least, and {size} '
      'cannot be; take a multiple of 4'
    )
  if depth is None:
    return possible
  if not 2 <= depth <= possible:
    raise InputError(
      f'network.depth: pix2pix can halve {size} 2 to {possible} times, not '
      f'{depth}'
    )
  return depth


def check_patches(image_shape: tuple[int, int, int], num: int) -> None:
  """Raises InputError unless D has a patch of the image."""
  if not isinstance(num, int) or not 0 <= num <= MOST_LAYERS:
    raise InputError(f'network.disc_layers: {num!r} is not in 0 to 5')
  small = min(image_shape[:2])
  most = max(n for n in range(MOST_LAYERS + 1) if patches(small, n) > 0)
  if num > most:
    raise InputError(
      f'network.disc_layers: {num} layers leave no patch of {small} pixels; '
      f'take {most} at the most'
    )


def patches(size: int, num_halvings: int) -> int:
  """Patches along a side of so many pixels."""
  if not num_halvings:
    return size
  for _ in range(num_halvings):
    size //= 2
  return size - 2

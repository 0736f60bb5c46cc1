"""Super-resolution: a generator that enlarges, and what judges its images.

The generators are those of gan_jax.networks.enlargers; D sees the image alone.

References:
  Ledig et al., Photo-Realistic Single Image Super-Resolution Using a Generative
  Adversarial Network, arXiv 1609.04802, figure 4.
  Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial
  Networks, arXiv 1809.00219, and its authors' D of images of 128 pixels.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax

from gan_jax.networks import layers
from gan_jax.networks.enlargers import FACTORS, MSRResNet, RRDBNet, SRResNet
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players, Verdict


class Discriminator(nn.Module):
  """Whole images `[B, H, W, C]` -> logits `[B]`.

  Attributes:
    width: channels of the first map, doubling up to eight times.
    halvings: pairs of convolutions, the second with a stride of 2.
    kernel: side of those; the first of a pair has 3.
    units: of the dense layer before the last.
    biased: whether convolutions before a batch norm have biases.
    pooled: whether maps are averaged before the dense layers, so that images
      may be of any size.
    style: the norm skips the first convolution.
  """

  width: int
  halvings: int
  kernel: int
  units: int
  biased: bool
  pooled: bool
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    del given
    style, h = self.style, images
    for number in range(2 * self.halvings):
      halving = number % 2
      layer = layers.Conv(
        self.width * 2 ** min(number // 2, 3),
        self.kernel if halving else 3,
        1 + halving,
        padding=[(1, 1), (1, 1)],
        use_bias=number == 0 or self.biased or not style.batch_norm,
        dtype=style.dtype,
      )
      h = style.apply(layer, h, train=train)
      h = style.normalise(h, train=train) if number else h
      h = style.activate(h)
      self.sow('intermediates', 'features', h)
    h = h.mean(axis=(1, 2)) if self.pooled else h.reshape(len(h), -1)
    h = style.activate(style.apply(style.dense(self.units), h, train=train))
    self.sow('intermediates', 'features', h)
    logits = style.apply(style.dense(1), h, train=train, gain=1.0)[..., 0]
    return Verdict(style.output(logits), {})


def _pair(name, image_shape, style, gen, disc_width, pooled, **disc):
  """Both players; what they share is checked here."""
  halvings = disc['halvings']
  height, width, _ = image_shape
  side = 2**halvings
  if not pooled and math.gcd(height, width) % side:
    raise InputError(
      f'data.image_size: {name} halves images {halvings} times, which '
      f'{height} x {width} pixels cannot be; take a multiple of {side} (of '
      'data.crop, where there is one), or set network.pooled=True'
    )
  if min(height, width) < side:
    raise InputError(
      f'data.image_size: {name} judges images of {side} pixels or more, not '
      f'{height} x {width}'
    )
  alone = dataclasses.replace(style.disc, columns=())
  disc = Discriminator(disc_width, pooled=pooled, style=alone, **disc)
  return Players(gen=gen, disc=disc)


def _source(name: str, image_shape, style: Style, factor: int) -> None:
  """Raises InputError unless G is told a source and nothing else."""
  columns = dict(style.columns)
  if list(columns) != ['source'] or style.num_classes:
    raise InputError(
      f'given: {name} enlarges a source and goes by nothing else; set '
      'given=source, conditional=False and data.derive=low_res'
    )
  if factor not in FACTORS:
    raise InputError(
      f'data.derive_factor: {name} enlarges 2, 3 or 4 times, not {factor}'
    )
  if tuple(columns['source'].shape) != tuple(image_shape):
    raise InputError(
      f'given: {name} makes images {tuple(image_shape)} of sources as large '
      f'and of as many channels, not {tuple(columns["source"].shape)}'
    )


_OF_SRGAN = dict(halvings=4, kernel=3, units=1024, biased=True)
_OF_ESRGAN = dict(halvings=5, kernel=4, units=100, biased=False)


def _residual(
  kind: type[SRResNet] | type[MSRResNet],
  name: str,
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  factor: int = 4,
  gen_width: int = 64,
  disc_width: int = 64,
  blocks: int = 16,
  pooled: bool = False,
) -> Players[nn.Module]:
  """A residual generator and SRGAN's D.

  Args:
    kind: of generator.
    name: of the architecture, for messages.
    image_shape: (H, W, C).
    style: of both players.
    factor: by which G enlarges, 2, 3 or 4.
    gen_width: channels of G's maps.
    disc_width: of D's first map.
    blocks: residual blocks of G.
    pooled: whether D averages its last maps, see `Discriminator`.

  Raises:
    InputError: no source, more than that, or a size that does not fit.
  """
  _source(name, image_shape, style.gen, factor)
  gen = kind(image_shape[-1], factor, gen_width, blocks, style.gen)
  return _pair(name, image_shape, style, gen, disc_width, pooled, **_OF_SRGAN)


srgan = functools.partial(_residual, SRResNet, 'srgan')
msrresnet = functools.partial(_residual, MSRResNet, 'msrresnet')


def esrgan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  factor: int = 4,
  gen_width: int = 64,
  disc_width: int = 64,
  blocks: int = 23,
  growth: int = 32,
  pooled: bool = False,
) -> Players[nn.Module]:
  """RRDBNet and its D.

  Args:
    image_shape: as in `_residual`, as the others.
    style: likewise.
    factor: likewise.
    gen_width: likewise.
    disc_width: likewise.
    blocks: of three dense blocks each.
    growth: channels that a convolution of a dense block adds.
    pooled: likewise.

  Raises:
    InputError: as in `_residual`.
  """
  _source('esrgan', image_shape, style.gen, factor)
  gen = RRDBNet(image_shape[-1], factor, gen_width, blocks, style.gen, growth)
  return _pair(
    'esrgan', image_shape, style, gen, disc_width, pooled, **_OF_ESRGAN
  )

"""The U-Net of diffusion models: what noise is in an image.

    network(images [B, H, W, C], times [B], given, keys, *, train) -> noise

Reference:
  Ho et al., Denoising Diffusion Probabilistic Models, arXiv 2006.11239,
  appendix B; where it leaves a choice, as in the authors' code.
"""

import itertools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import conditions, layers, seeds
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError

_LONGEST = 10_000.0  # period of the slowest wave, in steps / 2 pi
_init = nn.initializers.variance_scaling(1.0, 'fan_avg', 'uniform')
_init_zero = nn.initializers.variance_scaling(1e-10, 'fan_avg', 'uniform')


def waves(times: jax.Array, size: int) -> jax.Array:
  """Sines and cosines of steps `[B]` -> `[B, size]`, size even.

  Reference:
    Vaswani et al., Attention Is All You Need, arXiv 1706.03762, section 3.5,
    all sines first, and the slowest of period 2 pi 10,000.
  """
  half = size // 2
  rates = jnp.exp(-math.log(_LONGEST) / (half - 1) * jnp.arange(half))
  angles = times.astype(jnp.float32)[:, None] * rates
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class _Residual(nn.Module):
  """Two 3x3 convolutions, the vector of the step between them, a shortcut.

  Attributes:
    width: channels of what leaves.
    dropout: before the second.
    number: of the block, for its dropout.
    style: see `Style`.
  """

  width: int
  dropout: float
  number: int
  style: Style

  @nn.compact
  def __call__(self, x, vector, keys, *, train: bool):
    style, shared = self.style, dict(dtype=self.style.dtype)
    h = style.activate(style.normalise(x, train=train))
    h = layers.Conv(self.width, 3, kernel_init=_init, **shared)(h)
    dense = nn.Dense(self.width, kernel_init=_init, **shared)
    h += dense(style.activate(vector))[:, None, None]
    h = style.activate(style.normalise(h, train=train))
    if train and keys is not None:
      h = seeds.dropout(h, keys, self.number, self.dropout)
    h = layers.Conv(self.width, 3, kernel_init=_init_zero, **shared)(h)
    if x.shape[-1] != self.width:
      x = layers.Conv(self.width, 1, kernel_init=_init, **shared)(x)
    return x + h


class _Attention(nn.Module):
  """x + o(softmax(q k^T / sqrt(C)) v) over pixels, q, k, v of the norm of x.

  Attributes:
    style: see `Style`.
  """

  style: Style

  @nn.compact
  def __call__(self, x, *, train: bool):
    style, (batch, _, _, channels) = self.style, x.shape
    h = style.normalise(x, train=train).reshape(batch, -1, channels)

    def dense(h, init=_init):
      return nn.Dense(channels, kernel_init=init, dtype=style.dtype)(h)

    query, key, value = dense(h), dense(h), dense(h)
    scores = jnp.einsum(
      'bqc,bkc->bqk', query, key, preferred_element_type=jnp.float32
    )
    weights = nn.softmax(scores / math.sqrt(channels), axis=-1)
    seen = jnp.einsum('bqk,bkc->bqc', weights.astype(value.dtype), value)
    return x + dense(seen, _init_zero).reshape(x.shape)


class UNet(nn.Module):
  """Noisy images and their steps -> the noise in them.

  Down a level after so many blocks each, through two blocks with attention
  between them, and up again by one block more at each level, each of which also
  sees one map of the way down.

  What is given: pictures as more channels, all else as a vector that is added
  to that of the step.

  Attributes:
    channels: of the images.
    widths: channels of the levels; each but the last halves the map.
    blocks: of each level.
    attention: sizes of maps that get attention after each block, in pixels.
    dropout: share of values that each block zeroes in training.
    style: see `Style`.
  """

  channels: int
  widths: Sequence[int]
  blocks: int
  attention: Sequence[int]
  dropout: float
  style: Style

  @nn.compact
  def __call__(
    self,
    images: jax.Array,
    times: jax.Array,
    given: Given | None = None,
    keys: jax.Array | None = None,
    *,
    train: bool,
  ) -> jax.Array:
    style, numbers = self.style, itertools.count()
    vector = self.vector(times, given)

    def block(h, width):
      residual = _Residual(width, self.dropout, next(numbers), style)
      return residual(h, vector, keys, train=train)

    def attend(h):
      return _Attention(style)(h, train=train)

    def level(h, width):
      h = block(h, width)
      return attend(h) if h.shape[1] in self.attention else h

    def conv(h, width, init=_init, **keys):
      layer = layers.Conv(width, 3, kernel_init=init, dtype=style.dtype, **keys)
      return layer(h)

    pictures = [c for c in style.told if conditions.kind_of(c[0]) == 'image']
    h = conditions.join_images(images, pictures, given)
    maps = [h := conv(h, self.widths[0])]
    for number, width in enumerate(self.widths):
      for _ in range(self.blocks):
        maps.append(h := level(h, width))
      if number < len(self.widths) - 1:
        maps.append(h := conv(h, width, stride=2))
    h = block(attend(block(h, self.widths[-1])), self.widths[-1])
    for number, width in reversed(list(enumerate(self.widths))):
      for _ in range(self.blocks + 1):
        h = level(jnp.concatenate([h, maps.pop()], axis=-1), width)
      if number:
        h = conv(h, width, doubled=True)
    h = style.activate(style.normalise(h, train=train))
    return style.output(conv(h, self.channels, _init_zero))

  def vector(self, times: jax.Array, given: Given | None) -> jax.Array:
    """What says which step it is, and what is given: `[B, 4 width]`."""
    style, width = self.style, self.widths[0]

    def dense(h):
      layer = nn.Dense(4 * width, kernel_init=_init, dtype=style.dtype)
      return layer(h)

    vector = dense(style.activate(dense(waves(times, width))))
    others = [c for c in style.told if conditions.kind_of(c[0]) != 'image']
    told = conditions.vectors(others, given, 4 * width, style.dtype)
    return sum(told, vector)


def unet(
  image_shape: tuple[int, int, int],
  style: Style,
  *,
  gen_widths: Sequence[int] = (128, 256, 256, 256),
  blocks: int = 2,
  attention: Sequence[int] | None = None,
  dropout: float = 0.1,
) -> UNet:
  """The U-Net; by default DDPM's for CIFAR-10, 35,746,307 parameters.

  Args:
    image_shape: (H, W, C).
    style: of the network.
    gen_widths: channels of the levels, from the image's size on.
    blocks: residual ones of each level.
    attention: sizes of maps that get attention, in pixels; None for 16 if there
      is such a level. The smallest map gets it once in any case.
    dropout: share of values that each block zeroes in training, in [0, 1).

  Raises:
    InputError: an image that cannot be halved so often, attention at a size
      that no level has, odd or too narrow a first level, or no share.
  """
  sizes = [image_shape[0] // 2**i for i in range(len(gen_widths))]
  factor = 2 ** (len(gen_widths) - 1)
  if any(side % factor for side in image_shape[:2]):
    raise InputError(
      f'data.image_size: {len(gen_widths)} levels halve the image '
      f'{len(gen_widths) - 1} times, and {factor} does not divide '
      f'{image_shape[0]} x {image_shape[1]}; give fewer network.gen_widths, or '
      'another size'
    )
  if attention is None:
    attention = tuple(size for size in sizes if size == 16)
  for size in attention:
    if size not in sizes:
      raise InputError(
        f'network.attention: no map has {size} pixels; they have '
        f'{", ".join(map(str, sizes))}'
      )
  if gen_widths[0] % 2 or gen_widths[0] < 4:
    raise InputError(
      f'network.gen_widths: the first level, {gen_widths[0]}, makes as many '
      'sines and cosines of the step; take an even number from 4 on'
    )
  seeds.check_share('dropout', dropout)
  return UNet(
    image_shape[-1],
    tuple(gen_widths),
    blocks,
    tuple(attention),
    dropout,
    style,
  )

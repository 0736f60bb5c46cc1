"""A source made from the image itself, inside the compiled step.

Whole numbers throughout, so that a source is the same to the last bit however
many devices share the batch and whichever feed it comes from; it is what an
image file would hold, and what `translate` is given.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.types import InputError, lookup

_BITS = 22  # of a kernel's fixed point: 255 times the weights fits int32
_MASK = 128  # of 127 and 128, the levels nearest to 0 in [-1, 1]


def luma(images: jax.Array) -> jax.Array:
  """int32 `[B, H, W, 1]`: .299 R + .587 G + .114 B, rounded; grey as it is.

  Reference:
    ITU-R, Recommendation BT.601, section 2.5.1.
  """
  images = images.astype(jnp.int32)
  if images.shape[-1] == 1:
    return images
  red, green, blue = (images[..., i : i + 1] for i in range(3))
  return (299 * red + 587 * green + 114 * blue + 500) // 1000


def grey(images: jax.Array, factor: int) -> jax.Array:
  """The luma, in one channel."""
  del factor
  return luma(images).astype(jnp.uint8)


def edges(images: jax.Array, factor: int) -> jax.Array:
  """A quarter of the luma's Sobel magnitude, in one channel, at most 255.

  A step from black to white along an axis is 255. The border is repeated.
  """
  del factor
  x = jnp.pad(luma(images), ((0, 0), (1, 1), (1, 1), (0, 0)), mode='edge')
  rows = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
  columns = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
  across = rows[:, :, 2:] - rows[:, :, :-2]
  down = columns[:, 2:] - columns[:, :-2]
  squared = (across**2 + down**2).astype(jnp.float32)
  return jnp.minimum(jnp.round(jnp.sqrt(squared) / 4), 255).astype(jnp.uint8)


def low_res(images: jax.Array, factor: int) -> jax.Array:
  """Shrunk `factor` times by an antialiased cubic, and back by repetition.

  The kernel is Keys' with a = -.5, widened by the factor, its weights
  normalised where the border cuts it; columns come before rows, each rounded
  to 256 levels, as Pillow's BICUBIC does. Every pixel of the small image is a
  square of equal ones here: `[:, ::factor, ::factor]` is that image.

  Reference:
    Keys, Cubic Convolution Interpolation for Digital Image Processing, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 29 (1981), eq. 15.
  """
  small = images.astype(jnp.int32)
  for axes in ('ow,bhwc->bhoc', 'oh,bhwc->bowc'):
    weights = shrinking(small.shape[2 if axes[1] == 'w' else 1], factor)
    summed = jnp.einsum(axes, weights, small) + 2 ** (_BITS - 1)
    small = jnp.clip(summed >> _BITS, 0, 255)
  return small.astype(jnp.uint8).repeat(factor, axis=1).repeat(factor, axis=2)


@functools.lru_cache(maxsize=8)
def shrinking(size: int, factor: int) -> np.ndarray:
  """Weights int32 `[size / factor, size]` of `low_res`, in units of 2^-22."""
  centres = (np.arange(size // factor)[:, None] + 0.5) * factor
  x = np.abs(np.arange(size) + 0.5 - centres) / factor
  near = (1.5 * x - 2.5) * x**2 + 1
  far = ((-0.5 * x + 2.5) * x - 4) * x + 2
  weights = np.where(x < 1, near, np.where(x < 2, far, 0.0))
  weights /= weights.sum(axis=1, keepdims=True)
  return np.trunc(weights * 2**_BITS + np.copysign(0.5, weights)).astype(
    np.int32
  )


def masked(images: jax.Array, factor: int) -> jax.Array:
  """The image without its central square of half the sides, which is 128."""
  del factor
  height, width = images.shape[1:3]
  top, left = height // 4, width // 4
  hole = np.zeros((height, width, 1), bool)
  hole[top : top + height // 2, left : left + width // 2] = True
  return jnp.where(hole, jnp.uint8(_MASK), images)


class _Kind(NamedTuple):
  """A way to make a source: `make(images, factor)`, and how many channels.

  Attributes:
    make: uint8 `[B, H, W, C]`, factor -> uint8 `[B, H, W, channels]`.
    channels: of the source; 0 for those of the image.
  """

  make: Callable[[jax.Array, int], jax.Array]
  channels: int


DERIVE = {
  'grey': _Kind(grey, 1),
  'edges': _Kind(edges, 1),
  'low_res': _Kind(low_res, 0),
  'masked': _Kind(masked, 0),
}
NONE = 'none'


class Derive(NamedTuple):
  """Images uint8 `[B, H, W, C]` -> their sources, uint8 of this shape each.

  Attributes:
    name: of `DERIVE`.
    factor: of `low_res`.
    shape: of a source, (H, W, C').
  """

  name: str
  factor: int
  shape: tuple[int, int, int]

  def __call__(self, images: jax.Array) -> jax.Array:
    return DERIVE[self.name].make(images, self.factor)


def make_derive(
  name: str, factor: int, image_shape: tuple[int, int, int]
) -> Derive | None:
  """What makes the column `source` of images; None for nothing.

  Args:
    name: one of `DERIVE`, or none.
    factor: by which `low_res` shrinks.
    image_shape: (H, W, C).

  Raises:
    InputError: an unknown name, or a factor that does not divide both sides.
  """
  kind = lookup(DERIVE | {NONE: None}, name, 'data.derive')
  if kind is None:
    return None
  height, width, channels = image_shape
  if name == 'low_res' and (
    factor < 2 or math.gcd(height, width) % factor or factor == height
  ):
    both = math.gcd(height, width)
    fitting = [n for n in range(2, height) if both % n == 0][:8]
    raise InputError(
      f'data.derive_factor: {factor} does not divide images of {height} x '
      f'{width} into smaller ones; take one of {fitting}, or another '
      'data.image_size'
    )
  return Derive(name, factor, (height, width, kind.channels or channels))

"""Layers that several architectures share."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import convolution
from gan_jax.networks.style import Style as Style  # where plugins look for it
from gan_jax.types import InputError


def Conv(
  features: int,
  kernel: int,
  stride: int = 1,
  *,
  doubled: bool = False,
  halved: bool = False,
  **kwargs,
) -> nn.Conv:
  """A square `nn.Conv` with our gradients; padding 'SAME' unless told.

  Args:
    features: channels it makes.
    kernel: side of the kernel, odd where a size changes by the next two.
    stride: along both axes.
    doubled: the convolution of `upsample(x)`, at 4 / 9 of its products for
      kernels of 3, and of a quarter for 1.
    halved: the `mean_pool` of the convolution, likewise.
    **kwargs: of `nn.Conv`.
  """
  convolve = convolution.conv_general_dilated
  if doubled:
    convolve = _convolve_doubled
  elif halved:
    convolve = _convolve_halved
  return nn.Conv(
    features,
    (kernel, kernel),
    (stride, stride),
    conv_general_dilated=convolve,
    **kwargs,
  )


def _convolve_doubled(x, kernel, strides, padding, **others):
  """The kernel meets each pixel with two or four of its weights at once."""
  plain = functools.partial(
    convolution.conv_general_dilated,
    strides=strides,
    padding=padding,
    **others,
  )
  if kernel.shape[0] == 1:
    return upsample(plain(x, kernel))
  if not convolution.own_gradients():
    return plain(upsample(x), kernel)
  return convolution.conv_transpose(x, _twice_summed(kernel), (2, 2), 'SAME')


def _convolve_halved(x, kernel, strides, padding, **others):
  """Its weights are means of those that meet a pixel in the four positions."""
  plain = functools.partial(convolution.conv_general_dilated, **others)
  if kernel.shape[0] == 1:
    return plain(mean_pool(x), kernel, strides, padding)
  if not convolution.own_gradients():
    return mean_pool(plain(x, kernel, strides, padding))
  reach = kernel.shape[0] // 2
  pads = [(reach, reach)] * 2
  return plain(x, 0.25 * _twice_summed(kernel), (2, 2), pads)


def _twice_summed(kernel: jax.Array) -> jax.Array:
  """Convolved with a 2x2 square of ones: `[k, k, ...]` -> `[k+1, k+1, ...]`."""
  for axis in (0, 1):
    before, after = ([(0, 0)] * kernel.ndim for _ in range(2))
    before[axis], after[axis] = (1, 0), (0, 1)
    kernel = jnp.pad(kernel, before) + jnp.pad(kernel, after)
  return kernel


class ConvTranspose(nn.Module):
  """A square transposed convolution; parameters as in `nn.ConvTranspose`.

  `nn.ConvTranspose` has no hook for gradients of our own.
  """

  features: int
  kernel: int
  stride: int = 1
  padding: str = 'SAME'
  use_bias: bool = True
  kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape)
    strides = (self.stride, self.stride)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    y = convolution.conv_transpose(x, kernel, strides, self.padding)
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,))
      y += bias.astype(y.dtype)
    return y


def max_pool(x: jax.Array) -> jax.Array:
  """2x2 maximum, stride 2; an odd last row or column is dropped.

  Of equal values the gradient goes to the first. Slices are compared: the
  gradient of XLA's window reduction is eight times as slow on the CPU.
  """
  *batch, h, w, c = x.shape
  x = x[..., : h // 2 * 2, : w // 2 * 2, :]
  x = x.reshape(*batch, h // 2, 2, w // 2, 2, c)
  columns = _larger(x[..., 0, :], x[..., 1, :])
  return _larger(columns[..., 0, :, :], columns[..., 1, :, :])


def _larger(first: jax.Array, second: jax.Array) -> jax.Array:
  """Their maximum, NaN if one is NaN; `jnp.maximum` halves the gradient."""
  return jnp.where((second > first) | (second != second), second, first)


@jax.custom_vjp
def sum_pool(x: jax.Array) -> jax.Array:
  """2x2 sum, stride 2, `[..., H, W, C]`. Height and width must be even.

  Slices are added: over two axes at once, XLA's reduction is ten times as slow
  on the CPU. It and `upsample` are each other's transposes.
  """
  *batch, h, w, c = x.shape
  x = x.reshape(*batch, h // 2, 2, w // 2, 2, c)
  rows = x[..., 0, :, :, :] + x[..., 1, :, :, :]
  return rows[..., 0, :] + rows[..., 1, :]


@jax.custom_vjp
def upsample(x: jax.Array) -> jax.Array:
  """Nearest-neighbour doubling of height and width, `[..., H, W, C]`."""
  return x.repeat(2, axis=-3).repeat(2, axis=-2)


sum_pool.defvjp(lambda x: (sum_pool(x), None), lambda _, g: (upsample(g),))
upsample.defvjp(lambda x: (upsample(x), None), lambda _, g: (sum_pool(g),))


def mean_pool(x: jax.Array) -> jax.Array:
  """2x2 mean, stride 2. Height and width must be even."""
  return 0.25 * sum_pool(x)


def halvings(
  image_shape: tuple[int, int, int], depth: int | None, network: str
) -> int:
  """How often an image is halved on the way to its base resolution.

  Args:
    image_shape: (H, W, C).
    depth: the number of halvings asked for; None for as many as leave a base
      of 4 to 7 pixels.
    network: the architecture's name, for the message.

  Raises:
    InputError: the image size does not allow it, or is not square.
  """
  size = image_shape[0]
  if image_shape[1] != size:
    raise InputError(
      f'data.image_size: {network} makes square images, not '
      f'{size} x {image_shape[1]}; set data.image_size'
    )
  if depth is None:
    fitting = [d for d in range(1, 12) if 4 <= size / 2**d < 8]
    if not fitting or size % 2 ** fitting[0]:
      raise InputError(
        f'data.image_size: {network} halves the image down to 4 to 7 pixels, '
        f'which {size} does not allow; 8, 16, 28, 32, 48, 64 and 128 do '
        '(or set network.depth)'
      )
    return fitting[0]
  if depth < 1 or size % 2**depth:
    raise InputError(
      f'network.depth: {network} cannot halve {size} pixels {depth} times; '
      'depth must be at least 1 and 2 ** depth divide data.image_size'
    )
  return depth

"""Layers and blocks of the FID's InceptionV3, see `inception`.

Names of modules are the keys of the PyTorch weight file. Every layer is a
convolution with its batch norm folded in. A block's 1x1 convolutions of one
input are done as one; where one follows a mean, the mean is taken after it:
they commute, and fewer channels are left.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Scores shall not depend on whether a GPU rounds to TF32.
PRECISION = lax.Precision.HIGHEST


class Weights(nn.Module):
  """Kernel `[h, w, C, F]` and bias `[F]`; their values are from `convert`."""

  shape: tuple[int, int, int, int]

  @nn.compact
  def __call__(self) -> tuple[jax.Array, jax.Array]:
    kernel = self.param('kernel', nn.initializers.zeros, self.shape)
    return kernel, self.param('bias', nn.initializers.zeros, self.shape[-1:])


def _convolve(x, kernel, bias, stride=1, padding='SAME'):
  y = lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    precision=PRECISION,
  )
  return y + bias


def conv(
  x: jax.Array,
  name: str,
  features: int,
  window: tuple[int, int],
  stride: int = 1,
  padding: str = 'SAME',
) -> jax.Array:
  """Convolution and ReLU; called inside a compact module."""
  weights = Weights((*window, x.shape[-1], features), name=name)()
  return nn.relu(_convolve(x, *weights, stride, padding))


def pointwise(x: jax.Array, **features: int) -> list[jax.Array]:
  """1x1 convolutions of one input, by name, done as one; no ReLU yet."""
  weights = [
    Weights((1, 1, x.shape[-1], width), name=name)()
    for name, width in features.items()
  ]
  kernels, biases = zip(*weights, strict=True)
  y = _convolve(x, jnp.concatenate(kernels, -1), jnp.concatenate(biases))
  return jnp.split(y, np.cumsum([*features.values()])[:-1], axis=-1)


def _reduce3(function, x, stride=1):
  """Combines 3x3 neighbours; on the CPU faster than `lax.reduce_window`."""
  for axis in (1, 2):
    last = x.shape[axis] - 2
    first, second, third = (
      lax.slice_in_dim(x, start, start + last, stride, axis)
      for start in range(3)
    )
    x = function(function(first, second), third)
  return x


def _pad1(x, value):
  margins = ((0, 0), (1, 1), (1, 1), (0, 0))
  return jnp.pad(x, margins, constant_values=value)


def max_pool(x: jax.Array) -> jax.Array:
  """3x3 maximum, stride 2, no padding."""
  return _reduce3(jnp.maximum, x, 2)


def mean_pool(x: jax.Array) -> jax.Array:
  """3x3 mean, stride 1, of those pixels that lie within the image."""
  inside = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
  sums, counts = (_reduce3(jnp.add, _pad1(y, 0)) for y in (x, inside))
  return sums / counts


class BlockA(nn.Module):
  """35x35 pixels: 1x1, 5x5, two 3x3 and a mean; 224 + pool features."""

  pool_features: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    one, five, three, pool = pointwise(
      x,
      branch1x1=64,
      branch5x5_1=48,
      branch3x3dbl_1=64,
      branch_pool=self.pool_features,
    )
    five = conv(nn.relu(five), 'branch5x5_2', 64, (5, 5))
    three = conv(nn.relu(three), 'branch3x3dbl_2', 96, (3, 3))
    three = conv(three, 'branch3x3dbl_3', 96, (3, 3))
    pool = nn.relu(mean_pool(pool))
    return jnp.concatenate([nn.relu(one), five, three, pool], axis=-1)


class BlockB(nn.Module):
  """35x35 to 17x17 pixels; 480 features more."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    three = conv(x, 'branch3x3', 384, (3, 3), 2, 'VALID')
    (double,) = pointwise(x, branch3x3dbl_1=64)
    double = conv(nn.relu(double), 'branch3x3dbl_2', 96, (3, 3))
    double = conv(double, 'branch3x3dbl_3', 96, (3, 3), 2, 'VALID')
    return jnp.concatenate([three, double, max_pool(x)], axis=-1)


class BlockC(nn.Module):
  """17x17 pixels, 768 features: 7x7 as 1x7 and 7x1, once and twice."""

  width: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    one, seven, double, pool = pointwise(
      x,
      branch1x1=192,
      branch7x7_1=self.width,
      branch7x7dbl_1=self.width,
      branch_pool=192,
    )
    seven = conv(nn.relu(seven), 'branch7x7_2', self.width, (1, 7))
    seven = conv(seven, 'branch7x7_3', 192, (7, 1))
    double = conv(nn.relu(double), 'branch7x7dbl_2', self.width, (7, 1))
    double = conv(double, 'branch7x7dbl_3', self.width, (1, 7))
    double = conv(double, 'branch7x7dbl_4', self.width, (7, 1))
    double = conv(double, 'branch7x7dbl_5', 192, (1, 7))
    pool = nn.relu(mean_pool(pool))
    return jnp.concatenate([nn.relu(one), seven, double, pool], axis=-1)


class BlockD(nn.Module):
  """17x17 to 8x8 pixels; 512 features more."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    three, seven = pointwise(x, branch3x3_1=192, branch7x7x3_1=192)
    three = conv(nn.relu(three), 'branch3x3_2', 320, (3, 3), 2, 'VALID')
    seven = conv(nn.relu(seven), 'branch7x7x3_2', 192, (1, 7))
    seven = conv(seven, 'branch7x7x3_3', 192, (7, 1))
    seven = conv(seven, 'branch7x7x3_4', 192, (3, 3), 2, 'VALID')
    return jnp.concatenate([three, seven, max_pool(x)], axis=-1)


class BlockE(nn.Module):
  """8x8 pixels, 2048 features; the last block pools the maximum."""

  pool_max: bool = False

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    names = dict(branch1x1=320, branch3x3_1=384, branch3x3dbl_1=448)
    if self.pool_max:
      one, three, double = pointwise(x, **names)
      highest = _reduce3(jnp.maximum, _pad1(x, -jnp.inf))
      (pool,) = pointwise(highest, branch_pool=192)
    else:
      one, three, double, pool = pointwise(x, **names, branch_pool=192)
      pool = mean_pool(pool)
    three, double = nn.relu(three), nn.relu(double)
    double = conv(double, 'branch3x3dbl_2', 384, (3, 3))
    parts = [
      nn.relu(one),
      conv(three, 'branch3x3_2a', 384, (1, 3)),
      conv(three, 'branch3x3_2b', 384, (3, 1)),
      conv(double, 'branch3x3dbl_3a', 384, (1, 3)),
      conv(double, 'branch3x3dbl_3b', 384, (3, 1)),
      nn.relu(pool),
    ]
    return jnp.concatenate(parts, axis=-1)

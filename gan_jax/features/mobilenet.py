"""MobileNet v1 as published for ImageNet: width 1.0, images of 224 pixels.

Thirteen blocks of a depthwise 3x3 and a pointwise convolution, each with
batch norm and ReLU6, and a mean over space. A tenth of Inception's work.

Reference:
  Howard et al., MobileNets: Efficient Convolutional Neural Networks for
  Mobile Vision Applications, arXiv 1704.04861, table 1.
"""

import itertools
from collections.abc import Mapping

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.features.inception_blocks import PRECISION
from gan_jax.features.layout import check_arrays

IMAGE_SIZE = 224
RESIZE = '224 x 224, bilinear, smoothed when shrinking'
_EPSILON = 1e-3  # of batch norm, added to the variance
_CLASSES = 1_001  # of ImageNet, after one of what is none of them
_WIDTHS = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the blocks
_LOGITS = 'Logits.Conv2d_1c_1x1'


def _kernels() -> dict[str, tuple[int, ...]]:
  """Keys of the convolutions' kernels in the file, and their shapes."""
  shapes = {'Conv2d_0.weights': (3, 3, 3, _WIDTHS[0])}
  for i, (before, after) in enumerate(itertools.pairwise(_WIDTHS), 1):
    depthwise = f'Conv2d_{i}_depthwise.depthwise_weights'
    shapes[depthwise] = (3, 3, before, 1)
    shapes[f'Conv2d_{i}_pointwise.weights'] = (1, 1, before, after)
  return shapes


def layout() -> dict[str, tuple[int, ...]]:
  """Shapes of the arrays in the weight file, by their names.

  They are those of the variables in TF-slim, with dots for slashes.
  """
  shapes = {
    f'{_LOGITS}.weights': (1, 1, _WIDTHS[-1], _CLASSES),
    f'{_LOGITS}.biases': (_CLASSES,),
  }
  for kernel, shape in _kernels().items():
    layer = kernel.partition('.')[0]
    shapes[kernel] = shape
    for part in ('gamma', 'beta', 'moving_mean', 'moving_variance'):
      channels = shape[2] if layer.endswith('depthwise') else shape[3]
      shapes[f'{layer}.BatchNorm.{part}'] = (channels,)
  return shapes


def convert(state: Mapping[str, np.ndarray]) -> chex.ArrayTree:
  """Variables of `apply`: layers without their batch norms.

  Args:
    state: the arrays of the weight file, see `layout`.

  Raises:
    InputError: a name is missing or unknown, or an array has another shape or
      type, or is not finite.
  """
  check_arrays(state, layout())
  layers = {}
  for key in _kernels():
    layer = key.partition('.')[0]
    scale, shift, mean, variance = (
      np.float64(state[f'{layer}.BatchNorm.{part}'])
      for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')
    )
    scale = scale / np.sqrt(variance + _EPSILON)
    kernel = state[key]
    if layer.endswith('depthwise'):
      kernel = kernel[..., 0]
    layers[layer] = {
      'kernel': np.float32(kernel * scale),
      'bias': np.float32(shift - mean * scale),
    }
  kernel, bias = state[f'{_LOGITS}.weights'], state[f'{_LOGITS}.biases']
  return layers | {'Logits': {'kernel': kernel, 'bias': bias}}


def _relu6(x: jax.Array) -> jax.Array:
  return jnp.clip(x, 0.0, 6.0)


def _depthwise(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  """Each channel with its own 3x3 kernel `[3, 3, C]`, padding SAME.

  A sum of nine shifted products: XLA's CPU backend is slow at convolutions of
  as many groups as channels.
  """
  num_out, pads = [], [(0, 0)]
  for size in x.shape[1:3]:
    num_out.append(-(-size // stride))
    total = max((num_out[-1] - 1) * stride + 3 - size, 0)
    pads.append((total // 2, total - total // 2))
  x = jnp.pad(x, (*pads, (0, 0)))
  spans = [(num - 1) * stride + 1 for num in num_out]
  return sum(
    x[:, i : i + spans[0] : stride, j : j + spans[1] : stride] * kernel[i, j]
    for i, j in np.ndindex(3, 3)
  )


def _pointwise(x: jax.Array, layer: Mapping[str, jax.Array]) -> jax.Array:
  product = jnp.matmul(x, layer['kernel'][0, 0], precision=PRECISION)
  return product + layer['bias']


NUM_BLOCKS = len(_STRIDES)


def maps(
  variables: chex.ArrayTree, x: jax.Array, last: int = NUM_BLOCKS
) -> list[jax.Array]:
  """Maps `[B, h, w, C]` after the first convolution and after each block.

  Args:
    variables: from `convert`.
    x: images `[B, h, w, 3]` in [-1, 1].
    last: number of the block to stop at, from 0 on.
  """
  layer = variables['Conv2d_0']
  x = jax.lax.conv_general_dilated(
    x,
    layer['kernel'],
    (2, 2),
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    precision=PRECISION,
  )
  x = _relu6(x + layer['bias'])
  found = [x]
  for i, stride in enumerate(_STRIDES[:last], 1):
    layer = variables[f'Conv2d_{i}_depthwise']
    x = _relu6(_depthwise(x, layer['kernel'], stride) + layer['bias'])
    x = _relu6(_pointwise(x, variables[f'Conv2d_{i}_pointwise']))
    found.append(x)
  return found


def forward(variables: chex.ArrayTree, x: jax.Array) -> dict[str, jax.Array]:
  """Images `[B, h, w, 3]` in [-1, 1] -> features `[B, 1024]`, logits."""
  features = maps(variables, x)[-1].mean(axis=(1, 2))
  return {
    'features': features,
    'logits': _pointwise(features, variables['Logits']),
  }


def apply(variables: chex.ArrayTree, images: jax.Array) -> dict[str, jax.Array]:
  """Features and logits of images; pure, so that it can be jitted.

  Args:
    variables: from `convert`.
    images: uint8 `[B, H, W, C]` of any size, C 3, or 1 for grey.

  Returns:
    `features` `[B, 1024]`, means over space; `logits` `[B, 1001]`, the first
    of which stands for no class.
  """
  num, _, _, channels = images.shape
  shape = (num, IMAGE_SIZE, IMAGE_SIZE, channels)
  # Pixels have centres; `antialias` acts only where images shrink.
  x = jax.image.resize(
    images.astype(jnp.float32), shape, 'bilinear', antialias=True
  )
  return forward(variables, jnp.broadcast_to(x / 127.5 - 1, (*shape[:3], 3)))

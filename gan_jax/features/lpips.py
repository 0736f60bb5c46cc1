"""LPIPS: how far apart two images are to a network that was shown ImageNet.

Maps of five layers of AlexNet or VGG-16, each place a unit vector over its
channels; squared differences are weighted by channel, as people judged pairs
of images, and averaged over places. Both networks stop at their last
convolution.

Reference:
  Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual
  Metric, arXiv 1801.03924, equation 1; version 0.1 of the weights.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.features.inception_blocks import PRECISION
from gan_jax.features.layout import check_arrays
from gan_jax.types import InputError

RESIZE = 'bilinear, to 32 pixels at least and 256 at most'
SMALLEST, LARGEST = 32, 256  # sides; below, AlexNet has no map left
_MEAN = (0.485, 0.456, 0.406)  # of ImageNet's pixels in [0, 1]
_DEVIATION = (0.229, 0.224, 0.225)
_EPSILON = 1e-10  # added to lengths


class Backbone(NamedTuple):
  """Convolutions in a row, each with its ReLU.

  Attributes:
    module: first word of the names of its arrays.
    widths: channels of the convolutions.
    sides: of their kernels.
    stride: of the first; the others' is 1.
    pool: side of max pools of stride 2, without padding.
    pooled: convolutions that a pool stands before.
    taps: convolutions whose maps count.
  """

  module: str
  widths: tuple[int, ...]
  sides: tuple[int, ...]
  stride: int
  pool: int
  pooled: tuple[int, ...]
  taps: tuple[int, ...]


BACKBONES = {
  'AlexNet': Backbone(
    'AlexNet_0',
    (64, 192, 384, 256, 256),
    (11, 5, 3, 3, 3),
    stride=4,
    pool=3,
    pooled=(1, 2),
    taps=(0, 1, 2, 3, 4),
  ),
  'VGG-16': Backbone(
    'VGG16_0',
    (64, 64, 128, 128, *[256] * 3, *[512] * 6),
    (3,) * 13,
    stride=1,
    pool=2,
    pooled=(2, 4, 7, 10),
    taps=(1, 3, 6, 9, 12),
  ),
}


def layout(name: str) -> dict[str, tuple[int, ...]]:
  """Shapes of the arrays in a weight file, by their names.

  Args:
    name: of `BACKBONES`.
  """
  net, shapes = BACKBONES[name], {}
  before = (3, *net.widths[:-1])
  for i, (width, side) in enumerate(zip(net.widths, net.sides, strict=True)):
    shapes[f'{net.module}.Conv_{i}.kernel'] = (side, side, before[i], width)
    shapes[f'{net.module}.Conv_{i}.bias'] = (width,)
  for i, tap in enumerate(net.taps):
    head = f'NetLinLayer_{i}.Conv_0.kernel'
    shapes[head] = (1, 1, net.widths[tap], 1)
  return shapes


def convert(state: Mapping[str, np.ndarray]) -> chex.ArrayTree:
  """Variables of `apply`, of the backbone whose arrays these are.

  Args:
    state: the arrays of a weight file, see `layout`.

  Raises:
    InputError: a name is missing or unknown, an array has another shape or
      type or is not finite, or a channel's weight is negative.
  """
  vgg = any(key.startswith('VGG16') for key in state)
  name = 'VGG-16' if vgg else 'AlexNet'
  shapes, module = layout(name), BACKBONES[name].module
  check_arrays(state, shapes)
  for key in shapes:
    if key.startswith('Net') and state[key].min() < 0:
      raise InputError(f'{key}: weights of at least 0 are wanted')
  parts = ('kernel', 'bias')
  convs = [
    {part: state[f'{module}.Conv_{i}.{part}'] for part in parts}
    for i in range(len(BACKBONES[name].widths))
  ]
  heads = [state[key].ravel() for key in shapes if key.startswith('Net')]
  return {'convs': convs, 'heads': heads}


def _backbone(variables: chex.ArrayTree) -> Backbone:
  of_layers = {len(net.widths): net for net in BACKBONES.values()}
  return of_layers[len(variables['convs'])]


def layer_names(variables: chex.ArrayTree) -> list[str]:
  """Names of convolutions, in order: relu1, ... or, of VGG-16, relu1_1, ...

  Those before their ReLU are called conv1, ...
  """
  net = _backbone(variables)
  starts = (0, *net.pooled)
  if net.stride > 1:
    return [f'relu{i + 1}' for i in range(len(net.widths))]
  block = [sum(i >= start for start in starts) for i in range(len(net.widths))]
  return [
    f'relu{number}_{i - starts[number - 1] + 1}'
    for i, number in enumerate(block)
  ]


def maps(
  variables: chex.ArrayTree, x: jax.Array, wanted: Sequence[str]
) -> list[jax.Array]:
  """Maps `[B, h, w, C]` of some layers, in their order in the network.

  Args:
    variables: from `convert`.
    x: images `[B, H, W, C]` in [-1, 1], C 3, or 1 for grey; H and W at least
      `SMALLEST`.
    wanted: of `layer_names`, or of these with conv for relu: before the ReLU.
  """
  net, found = _backbone(variables), {}
  window, strides = (1, net.pool, net.pool, 1), (1, 2, 2, 1)
  x = (x + 1.0) / 2.0
  x = (x - jnp.array(_MEAN)) / jnp.array(_DEVIATION)
  for i, (conv, name) in enumerate(
    zip(variables['convs'], layer_names(variables), strict=True)
  ):
    if i in net.pooled:
      x = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, window, strides, 'VALID'
      )
    stride = net.stride if i == 0 else 1
    # The first of AlexNet has 2 in place of 5.
    pad = (2 if i == 0 and net.stride > 1 else net.sides[i] // 2,) * 2
    x = jax.lax.conv_general_dilated(
      x,
      conv['kernel'],
      (stride, stride),
      (pad, pad),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      precision=PRECISION,
    )
    x = x + conv['bias']
    found[name.replace('relu', 'conv')] = x
    x = jax.nn.relu(x)
    found[name] = x
    if all(name in found for name in wanted):
      break
  return [x for name, x in found.items() if name in wanted]


def activations(variables: chex.ArrayTree, x: jax.Array) -> list[jax.Array]:
  """Maps `[B, h, w, C]` of the five layers that LPIPS compares.

  Args:
    variables: from `convert`.
    x: see `maps`.
  """
  names = layer_names(variables)
  return maps(variables, x, [names[tap] for tap in _backbone(variables).taps])


def _weighted(variables: chex.ArrayTree, x: jax.Array) -> list[jax.Array]:
  """Unit vectors over channels, times roots of the channels' weights."""
  maps = activations(variables, x)
  weighted = []
  for layer, head in zip(maps, variables['heads'], strict=True):
    squares = jnp.sum(layer**2, axis=-1, keepdims=True)
    # The root of nought has no derivative: a small one stands for it.
    length = jnp.sqrt(jnp.maximum(squares, _EPSILON**2)) + _EPSILON
    weighted.append(layer / length * jnp.sqrt(head))
  return weighted


def lpips(
  variables: chex.ArrayTree, first: jax.Array, second: jax.Array
) -> jax.Array:
  """The distance of pairs, `[B]`, at least 0.

  Args:
    variables: from `convert`.
    first: images `[B, H, W, C]` in [-1, 1], see `activations`.
    second: likewise.
  """
  pairs = zip(
    _weighted(variables, first), _weighted(variables, second), strict=True
  )
  return sum(
    jnp.mean(jnp.sum((one - other) ** 2, axis=-1), axis=(1, 2))
    for one, other in pairs
  )


def embed(variables: chex.ArrayTree, images: jax.Array) -> jax.Array:
  """Vectors `[B, D]` whose squared distances are LPIPS.

  Args:
    variables: from `convert`.
    images: in [0, 255], whole or not, see `apply`.
  """
  maps = _weighted(variables, _prepared(images))
  return jnp.concatenate(
    [
      layer.reshape(len(layer), -1) / np.sqrt(np.prod(layer.shape[1:3]))
      for layer in maps
    ],
    axis=1,
  )


def apply(variables: chex.ArrayTree, images: jax.Array) -> dict[str, jax.Array]:
  """Means over space of what LPIPS compares; pure, so that it can be jitted.

  Args:
    variables: from `convert`.
    images: uint8 `[B, H, W, C]` of any size, C 3, or 1 for grey.

  Returns:
    `features`: `[B, 1152]` with AlexNet, `[B, 1472]` with VGG-16.
  """
  maps = _weighted(variables, _prepared(images))
  means = [layer.mean(axis=(1, 2)) for layer in maps]
  return {'features': jnp.concatenate(means, axis=1)}


def _prepared(images: jax.Array) -> jax.Array:
  """Pixels of [0, 255] in [-1, 1] and of a size that the network takes."""
  num, *sides, channels = images.shape
  sides = [min(max(side, SMALLEST), LARGEST) for side in sides]
  x = images.astype(jnp.float32) / 127.5 - 1.0
  if sides != list(images.shape[1:3]):
    x = jax.image.resize(x, (num, *sides, channels), 'bilinear', antialias=True)
  return x

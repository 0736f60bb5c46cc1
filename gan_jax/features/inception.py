"""InceptionV3 as published for the FID: the TensorFlow graph of 2015-12-05.

It differs from the network of the paper and of torchvision: average pools do
not count the padding, the last block pools its maximum, there are 1008
classes, and images are resized as TensorFlow 1 did. Scores are comparable
with others only if all of that is so.

Reference:
  Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
  arXiv 1512.00567; Heusel et al., GANs Trained by a Two Time-Scale Update
  Rule Converge to a Local Nash Equilibrium, arXiv 1706.08500, section 4.
"""

import functools
from collections.abc import Mapping

import chex
import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.features.inception_blocks import (
  PRECISION,
  BlockA,
  BlockB,
  BlockC,
  BlockD,
  BlockE,
  Weights,
  conv,
  max_pool,
  pointwise,
)
from gan_jax.types import InputError

IMAGE_SIZE = 299
_EPSILON = 1e-3  # of batch norm, added to the variance
_CLASSES = 1008
# Of `jax.jit`, by backend. XLA's CPU backend would hand work to YNNPACK, which
# makes this network 1.6 times slower on two cores: nothing shall go there.
COMPILER_OPTIONS: dict[str, dict[str, str]] = {
  'cpu': {'xla_cpu_experimental_ynn_fusion_type': ''}
}


class InceptionV3(nn.Module):
  """Images `[B, 299, 299, 3]` in [-1, 1] -> features and logits."""

  @nn.compact
  def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
    x = conv(x, 'Conv2d_1a_3x3', 32, (3, 3), 2, 'VALID')
    x = conv(x, 'Conv2d_2a_3x3', 32, (3, 3), 1, 'VALID')
    x = conv(x, 'Conv2d_2b_3x3', 64, (3, 3))
    x = max_pool(x)
    (x,) = pointwise(x, Conv2d_3b_1x1=80)
    x = conv(nn.relu(x), 'Conv2d_4a_3x3', 192, (3, 3), 1, 'VALID')
    x = max_pool(x)
    for letter, pool_features in zip('bcd', (32, 64, 64), strict=True):
      x = BlockA(pool_features, name=f'Mixed_5{letter}')(x)
    x = BlockB(name='Mixed_6a')(x)
    for letter, width in zip('bcde', (128, 160, 160, 192), strict=True):
      x = BlockC(width, name=f'Mixed_6{letter}')(x)
    x = BlockD(name='Mixed_7a')(x)
    x = BlockE(name='Mixed_7b')(x)
    x = BlockE(pool_max=True, name='Mixed_7c')(x)
    features = x.mean(axis=(1, 2))
    kernel, bias = Weights((1, 1, x.shape[-1], _CLASSES), name='fc')()
    logits = jnp.matmul(features, kernel[0, 0], precision=PRECISION)
    return {
      'features': features,
      'logits': logits,
      'biased_logits': logits + bias,
    }


def resize(images: jax.Array, size: int = IMAGE_SIZE) -> jax.Array:
  """Bilinear, as TensorFlow 1 does it: `[B, H, W, C]` -> `[B, size, size, C]`.

  Output pixel i lies at i * H / size, computed in float32: corners are not
  aligned and pixels have no centres; nothing is smoothed when shrinking.

  Args:
    images: float32; of the right size they are returned as they are.
    size: height and width wanted.
  """
  for axis in (2, 1):
    num = images.shape[axis]
    if num != size:
      position = np.arange(size, dtype=np.float32) * np.float32(num / size)
      low = position.astype(np.int32)
      high = np.minimum(low + 1, num - 1)
      share = (position - low.astype(np.float32)).reshape(-1, *[1] * (3 - axis))
      low, high = (jnp.take(images, i, axis=axis) for i in (low, high))
      images = low + (high - low) * share
  return images


def apply(variables: chex.ArrayTree, images: jax.Array) -> dict[str, jax.Array]:
  """Features and logits of images; pure, so that it can be jitted.

  Args:
    variables: from `convert`.
    images: uint8 `[B, H, W, C]` of any size, C 3, or 1 for grey.

  Returns:
    `features` `[B, 2048]`, the mean of the last block; `logits` `[B, 1008]`
    without the last layer's bias, which is the Inception score's convention;
    `biased_logits` `[B, 1008]`.

  Raises:
    InputError: images of another type, rank or number of channels.
  """
  shape = images.shape
  if images.dtype != jnp.uint8 or len(shape) != 4 or shape[-1] not in (1, 3):
    raise InputError(
      f'images: {images.dtype} {list(shape)}; Inception takes uint8 '
      '[B, H, W, C] with C of 1 or 3'
    )
  x = (resize(images.astype(jnp.float32)) - 128) / 128
  x = jnp.broadcast_to(x, (*x.shape[:3], 3))
  return InceptionV3().apply(variables, x)


@functools.cache
def abstract_variables() -> chex.ArrayTree:
  """Shapes and types of the variables."""
  shape = (1, IMAGE_SIZE, IMAGE_SIZE, 3)
  return jax.eval_shape(InceptionV3().init, jax.random.key(0), jnp.zeros(shape))


def _kernel_shapes() -> dict[str, tuple[int, int, int, int]]:
  """Kernels `[h, w, C, F]` by the names that layers have in the weight file."""
  flat = flax.traverse_util.flatten_dict(
    abstract_variables()['params'], sep='.'
  )
  return {
    key.removesuffix('.kernel'): leaf.shape
    for key, leaf in flat.items()
    if key.endswith('.kernel')
  }


def _state_shapes(name: str) -> dict[str, tuple[int, ...]]:
  """Keys of one layer in the weight file and the shapes of their arrays."""
  h, w, inputs, features = _kernel_shapes()[name]
  if name == 'fc':
    return {'fc.weight': (features, inputs), 'fc.bias': (features,)}
  norm = ('weight', 'bias', 'running_mean', 'running_var')
  return {f'{name}.conv.weight': (features, inputs, h, w)} | {
    f'{name}.bn.{part}': (features,) for part in norm
  }


def _fold(kernel, scale, shift, mean, variance):
  """One layer of the weight file, `[F, C, h, w]`, without its batch norm."""
  scale = scale / np.sqrt(variance + _EPSILON)
  kernel = kernel.transpose(2, 3, 1, 0) * scale
  return kernel, shift - mean * scale


def convert(state: Mapping[str, np.ndarray]) -> chex.ArrayTree:
  """Variables of `InceptionV3` from the arrays of the PyTorch weight file.

  Args:
    state: as from `torch_file.read_state_dict`. Counters of batches and the
      auxiliary classifier are ignored.

  Raises:
    InputError: a key is missing or unknown, or an array has another shape.
  """
  ignored = {
    key
    for key in state
    if key.endswith('.num_batches_tracked') or key.startswith('AuxLogits')
  }
  unknown = set(state) - ignored
  params = {}
  for name in _kernel_shapes():
    arrays = []
    for key, shape in _state_shapes(name).items():
      found = state[key].shape if key in state else 'nothing'
      if found != shape:
        raise InputError(
          f'weights: {key} of shape {shape} is wanted, found {found}; the FID '
          'Inception of 2015-12-05 is needed'
        )
      arrays.append(np.asarray(state[key], np.float64))
      unknown.remove(key)
    if name == 'fc':
      kernel, bias = arrays[0].T[None, None], arrays[1]
    else:
      kernel, bias = _fold(*arrays)
    layer = {'kernel': np.float32(kernel), 'bias': np.float32(bias)}
    params |= {(*name.split('.'), part): x for part, x in layer.items()}
  if unknown:
    raise InputError(
      f'weights: {min(unknown)} of shape {state[min(unknown)].shape} is found, '
      'nothing of that name is wanted; the FID Inception of 2015-12-05 is '
      'needed'
    )
  return {'params': flax.traverse_util.unflatten_dict(params)}


def random_state(seed: int) -> dict[str, np.ndarray]:
  """A weight file's content, but random, for tests and benchmarks.

  Kernels are normal with the variance that keeps activations at their scale
  (He et al., arXiv 1502.01852), less a share of their mean: without that, the
  positive means after ReLU add up over the layers until all images have
  nearly the same features; without all of it, rounding errors grow.

  Args:
    seed: of the draws.
  """
  rng = np.random.default_rng(seed)
  taken = 0.3  # share of the kernels' mean that is taken away
  # Inverse second moment of relu(N(0, 1)) as such a kernel sees it.
  gain = 2 / (1 - taken * (2 - taken) / np.pi)
  norm = {
    'weight': lambda shape: rng.uniform(0.8, 1.2, shape),
    'bias': lambda shape: rng.normal(0, 0.1, shape),
    'running_mean': lambda shape: rng.normal(0, 0.1, shape),
    'running_var': lambda shape: rng.uniform(0.5, 1.5, shape),
  }

  def draw(key, shape):
    if len(shape) == 1:
      return norm[key.rpartition('.')[2]](shape)
    axes = tuple(range(1, len(shape)))
    kernel = rng.normal(0, np.sqrt(gain / np.prod(shape[1:])), shape)
    return kernel - taken * kernel.mean(axis=axes, keepdims=True)

  return {
    key: draw(key, shape).astype(np.float32)
    for name in _kernel_shapes()
    for key, shape in _state_shapes(name).items()
  }

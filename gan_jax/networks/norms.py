"""Norms of activations `[B, ..., C]`; virtual batch norm has its own file."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import moments
from gan_jax.types import InputError

BATCH_NORMS = ('batch', 'conditional')  # by the moments of the batch
# What any layer can have, and what takes moments over pixels.
OF_VECTORS = ('none', *BATCH_NORMS, 'layer', 'pixel', 'group', 'virtual')
OF_MAPS = (*OF_VECTORS, 'instance')
NORMS = (*OF_MAPS, 'adain')


class BatchNorm(nn.Module):
  """Batch norm over all axes but the last; variables as in `nn.BatchNorm`.

  It differs from flax's in that nothing is reshaped: where two passes have the
  same input, as G's in both players' updates on the same fakes, XLA then
  compiles them to the same operations and drops one.

  The running variance is of the biased ones, as flax has it; PyTorch's is of
  n / (n - 1) times those, n values of a channel.

  Attributes:
    momentum: share of the old value in the running statistics.
    axis_name: mapped device axis over which statistics are averaged, or None.
    scale_init: initialiser of the scales.
    epsilon: added to the variance.

  Reference:
    Ioffe and Szegedy, Batch Normalization, arXiv 1502.03167, Algorithm 1.
  """

  momentum: float
  axis_name: str | None = None
  scale_init: Callable[..., jax.Array] = nn.initializers.ones
  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    shape = x.shape[-1:]
    scale = self.param('scale', self.scale_init, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    return self._normalised(x, scale, bias, train)

  def _normalised(self, x, scale, bias, train):
    shape = x.shape[-1:]
    running_mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
    running_var = self.variable('batch_stats', 'var', jnp.ones, shape)
    if train:
      mean, var = self._statistics(x)
      if not self.is_initializing():
        for running, new in ((running_mean, mean), (running_var, var)):
          kept = self.momentum * running.value
          running.value = kept + (1.0 - self.momentum) * new
    else:
      mean, var = running_mean.value, running_var.value
    slope = jax.lax.rsqrt(var + self.epsilon) * scale
    return ((x - mean) * slope + bias).astype(x.dtype)

  def _statistics(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance `[C]`, in float32 at least."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return moments.of_batch(
      x, None if self.is_initializing() else self.axis_name
    )


class ConditionalBatchNorm(BatchNorm):
  """Batch norm with a scale and a bias for each class, `[classes, C]` each.

  The moments are those of the whole batch, whatever its labels.

  Attributes:
    num_classes: rows of the tables.

  Reference:
    de Vries et al., Modulating early visual processing by language,
    arXiv 1707.00683, section 3.1; with tables as in Miyato and Koyama, cGANs
    with Projection Discriminator, arXiv 1802.05637, appendix.
  """

  num_classes: int = 0

  @nn.compact
  def __call__(
    self, x: jax.Array, labels: jax.Array, *, train: bool
  ) -> jax.Array:
    shape = (self.num_classes, x.shape[-1])
    scales = self.param('scale', self.scale_init, shape)
    biases = self.param('bias', nn.initializers.zeros, shape)
    scale, bias = (_over_pixels(rows(t, labels), x) for t in (scales, biases))
    return self._normalised(x, scale, bias, train)


class ModulatedBatchNorm(BatchNorm):
  """Batch norm whose scales and biases are other layers' outputs.

  (1 + s0) times the normalised input, plus s1; `scale_init` is not used.

  Reference:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, arXiv 1809.11096, appendix B.1, with the 1 of the authors' code.
  """

  @nn.compact
  def __call__(
    self, x: jax.Array, scale: jax.Array, bias: jax.Array, *, train: bool
  ) -> jax.Array:
    """Of `[B, ..., C]`, with scales s0 and biases s1 `[B, C]`."""
    scale = 1.0 + scale.astype(jnp.promote_types(scale.dtype, jnp.float32))
    scale, bias = (_over_pixels(s, x) for s in (scale, bias))
    return self._normalised(x, scale, bias, train)


def rows(table: jax.Array, labels: jax.Array) -> jax.Array:
  """Rows of a table `[K, C]`, or mixtures of them: `[B, C]`.

  Args:
    table: a row for each class.
    labels: int32 `[B]`, or shares of the classes, float `[B, K]`.
  """
  if jnp.issubdtype(labels.dtype, jnp.integer):
    return table[labels]
  return labels.astype(table.dtype) @ table


def _over_pixels(vectors: jax.Array, x: jax.Array) -> jax.Array:
  """`[B, C]`, shaped to be combined with `[B, ..., C]`."""
  return vectors.reshape(len(x), *[1] * (x.ndim - 2), x.shape[-1])


class GroupNorm(nn.Module):
  """Group norm, with a scale and a bias for each channel.

  As `nn.GroupNorm`; moments are taken of each channel first, and of groups of
  these then, which XLA does two to four times as fast on the CPU.

  Attributes:
    num_groups: that divide the channels.
    dtype: of what comes out; None for that of the input and the parameters.

  Reference:
    Wu and He, Group Normalization, arXiv 1803.08494, eq. 7.
  """

  num_groups: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    scale = self.param('scale', nn.initializers.ones, (channels,))
    bias = self.param('bias', nn.initializers.zeros, (channels,))
    h = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    h = h.reshape(len(x), -1, channels)

    def mean(values):  # of each group, for each of its channels
      groups = values.mean(axis=1).reshape(len(x), self.num_groups, -1)
      return groups.mean(axis=-1).repeat(channels // self.num_groups, axis=1)

    centred = h - mean(h)[:, None]
    slope = jax.lax.rsqrt(mean(centred**2) + 1e-5)[:, None] * scale
    y = (centred * slope + bias).reshape(x.shape)
    return y.astype(self.dtype or jnp.promote_types(x.dtype, scale.dtype))


def group_norm(num_groups: int, channels: int, dtype: Any) -> GroupNorm:
  """Group norm of maps or vectors of so many channels.

  Raises:
    InputError: the channels cannot be divided so.
  """
  if channels % num_groups:
    raise InputError(
      f'network.norm_groups: {num_groups} groups do not divide {channels} '
      'channels; take a number that divides every width'
    )
  return GroupNorm(num_groups, dtype)


def instance_norm(x: jax.Array, epsilon: float = 1e-5) -> jax.Array:
  """Each channel of each example to mean 0 and variance 1 over its pixels.

  Biased variance; no parameters.

  Args:
    x: `[B, H, W, C]`.
    epsilon: added to the variance.

  Reference:
    Ulyanov et al., Instance Normalization, arXiv 1607.08022, eq. 3.
  """
  y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  space = tuple(range(1, x.ndim - 1))
  centred = y - y.mean(space, keepdims=True)
  variance = (centred**2).mean(space, keepdims=True)
  return (centred * jax.lax.rsqrt(variance + epsilon)).astype(x.dtype)


def pixel_norm(x: jax.Array) -> jax.Array:
  """Divides by sqrt(mean of x^2 over channels + 1e-8); subtracts no mean.

  Reference:
    Karras et al., Progressive Growing of GANs, arXiv 1710.10196, section 4.2.
  """
  y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  square = (y**2).mean(axis=-1, keepdims=True)
  return (y * jax.lax.rsqrt(square + 1e-8)).astype(x.dtype)


def adain(
  x: jax.Array, modulation: jax.Array, epsilon: float = 1e-5
) -> jax.Array:
  """Adaptive instance norm: (1 + s0) instance_norm(x) + s1.

  Args:
    x: `[B, H, W, C]`.
    modulation: `[B, 2 C]`, s0 before s1; zeros leave instance norm.
    epsilon: see `instance_norm`.

  Reference:
    Huang and Belongie, Arbitrary Style Transfer in Real-time with Adaptive
    Instance Normalization, arXiv 1703.06868, eq. 8; as in Karras et al., A
    Style-Based Generator Architecture, arXiv 1812.04948, eq. 1, with the 1 of
    the authors' code.
  """
  each = (len(x), *[1] * (x.ndim - 2), 2 * x.shape[-1])
  scale, bias = jnp.split(modulation.reshape(each), 2, axis=-1)
  return (1.0 + scale) * instance_norm(x, epsilon) + bias

"""Layers that several architectures share, and the style they are put in."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import (
  conditions,
  convolution,
  minibatch,
  moments,
  virtual,
)
from gan_jax.types import Column, Given, InputError, lookup

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'relu': nn.relu,
  'leaky_relu': lambda x: nn.leaky_relu(x, 0.2),
  'elu': nn.elu,
  'gelu': nn.gelu,
  'silu': nn.silu,
  'tanh': nn.tanh,
}
NORMS = ('none', 'batch', 'layer', 'spectral', 'virtual')
MINIBATCH = ('none', 'stddev', 'discrimination')


@dataclasses.dataclass(frozen=True)
class Style:
  """How one player's layers are activated, normalised and conditioned.

  Its methods make flax layers, so they are called inside a compact module.

  Attributes:
    activation: one of `ACTIVATIONS`.
    norm: one of `NORMS`: none; batch; layer (over all features of an example,
      one scale per channel); spectral (weights divided by their largest
      singular value); virtual (by a reference batch, see
      gan_jax.networks.virtual).
    norm_momentum: of running batch statistics, in flax's convention: the
      share of the old value (torch's .1 is .9 here).
    num_classes: > 0 joins an embedding of the label to the player's input.
    embed_dim: size of each embedding that joins the latents.
    columns: names and kinds of what else joins it.
    axis_name: mapped device axis over which batch statistics are averaged, so
      that N devices normalise as one; None on a single device.
    scale_init: initialiser of batch norm's scales.
    dtype: of activations and of weights as they enter a product; None for
      that of the parameters, which stay as they are either way.
    reference_size: examples in the reference batch of virtual batch norm.
    minibatch: one of `MINIBATCH`: whether D compares the examples of a batch
      before its last layer, see gan_jax.networks.minibatch.
    minibatch_kernels: features that `discrimination` adds.
    minibatch_dim: dimension in which it compares, for each of them.
    init_std: of the normal distribution that dense weights are drawn from;
      None for flax's default.
  """

  activation: str = 'leaky_relu'
  norm: str = 'none'
  norm_momentum: float = 0.9
  num_classes: int = 0
  embed_dim: int = 50
  axis_name: str | None = None
  scale_init: Callable[..., jax.Array] = nn.initializers.ones
  dtype: Any = None
  reference_size: int = 0
  minibatch: str = 'none'
  minibatch_kernels: int = 100
  minibatch_dim: int = 5
  init_std: float | None = None
  columns: tuple[tuple[str, Column], ...] = ()

  def activate(self, x: jax.Array) -> jax.Array:
    """The non-linearity, elementwise."""
    return ACTIVATIONS[self.activation](x)

  def dense(self, features: int) -> nn.Dense:
    """A fully connected layer."""
    if self.init_std is None:
      return nn.Dense(features, dtype=self.dtype)
    init = nn.initializers.normal(self.init_std)
    return nn.Dense(features, dtype=self.dtype, kernel_init=init)

  def normalise(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Batch, virtual or layer norm of `[B, ..., C]`; else the identity."""
    if self.norm == 'virtual':
      return virtual.VirtualBatchNorm(self.reference_size, self.scale_init)(x)
    if self.norm == 'batch':
      layer = BatchNorm(self.norm_momentum, self.axis_name, self.scale_init)
      return layer(x, train=train)
    if self.norm == 'layer':
      axes = tuple(range(1, x.ndim))
      return nn.LayerNorm(
        reduction_axes=axes,
        feature_axes=-1,
        dtype=self.dtype,
        use_fast_variance=False,
      )(x)
    return x

  def compare(self, x: jax.Array) -> jax.Array:
    """Features of how the examples of the batch differ, appended to `x`."""
    if self.minibatch == 'stddev':
      return minibatch.StandardDeviation(self.axis_name)(x)
    if self.minibatch == 'discrimination':
      return minibatch.Discrimination(
        self.minibatch_kernels, self.minibatch_dim, self.axis_name
      )(x)
    return x

  def output(self, x: jax.Array) -> jax.Array:
    """What leaves a network, in float32 whatever it computes in."""
    return x if self.dtype is None else x.astype(jnp.float32)

  def apply(self, layer: nn.Module, x: jax.Array, *, train: bool) -> jax.Array:
    """Calls a linear layer, spectrally normalised if that is the norm.

    One power iteration per training call; u and sigma are model state.

    Reference:
      Miyato et al., Spectral Normalization for Generative Adversarial
      Networks, arXiv 1802.05957, Algorithm 1.
    """
    if self.norm == 'spectral':
      return SpectralNorm(layer)(x, update_stats=train)
    return layer(x)

  @property
  def told(self) -> tuple[tuple[str, Column], ...]:
    """All columns that the player is told, the labels first."""
    labels = ('labels', Column((), 'int32', self.num_classes))
    return (labels,) * bool(self.num_classes) + self.columns

  def join_latents(self, latents: jax.Array, given: Given | None) -> jax.Array:
    """Appends an embedding of each column: `[B, Z]` -> `[B, Z + n embed_dim]`.

    Reference:
      Mirza and Osindero, Conditional Generative Adversarial Nets,
      arXiv 1411.1784, section 3.2 (an embedding here, a dense layer there).
    """
    return conditions.join_latents(
      latents, self.told, given, self.embed_dim, self.dtype
    )

  def join_images(self, images: jax.Array, given: Given | None) -> jax.Array:
    """Adds columns as channels, see `conditions.join_images`."""
    return conditions.join_images(images, self.told, given)


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

  Reference:
    Ioffe and Szegedy, Batch Normalization, arXiv 1502.03167, Algorithm 1.
  """

  momentum: float
  axis_name: str | None = None
  scale_init: Callable[..., jax.Array] = nn.initializers.ones

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    shape = x.shape[-1:]
    scale = self.param('scale', self.scale_init, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
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
    slope = jax.lax.rsqrt(var + 1e-5) * scale
    return ((x - mean) * slope + bias).astype(x.dtype)

  def _statistics(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance `[C]`, in float32 at least."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return moments.of_batch(
      x, None if self.is_initializing() else self.axis_name
    )


class SpectralNorm(nn.SpectralNorm):
  """flax's, except that it leaves the initial weights as they were drawn.

  flax stores the normalised weights when it initialises, so that an
  architecture would start at another scale with spectral norm than without.
  """

  def _spectral_normalize(self, path, vs, update_stats):
    normalised = super()._spectral_normalize(path, vs, update_stats)
    return vs if self.is_initializing() else normalised


def check_style(style: Style, player: str, norms: tuple[str, ...]) -> Style:
  """Returns the style if its names are valid.

  Args:
    style: of one player.
    player: 'gen' or 'disc', the prefix of its config keys.
    norms: the normalisations that this player of this architecture takes.

  Raises:
    InputError: an unknown activation or norm, or one that does not go with the
      rest of the style.
  """
  lookup(ACTIVATIONS, style.activation, f'network.{player}_activation')
  lookup(dict.fromkeys(norms), style.norm, f'network.{player}_norm')
  lookup(
    dict.fromkeys(MINIBATCH), style.minibatch, f'network.{player}_minibatch'
  )
  if style.norm == 'virtual':
    virtual.check_style(style, player)
  return style


def Conv(features: int, kernel: int, stride: int = 1, **kwargs) -> nn.Conv:
  """A square `nn.Conv` with our gradients; padding 'SAME' unless told."""
  return nn.Conv(
    features,
    (kernel, kernel),
    (stride, stride),
    conv_general_dilated=convolution.conv_general_dilated,
    **kwargs,
  )


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
  """2x2 maximum, stride 2; an odd last row or column is dropped."""
  return nn.max_pool(x, (2, 2), (2, 2))


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

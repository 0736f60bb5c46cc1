"""The style that a player's layers are put in."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import conditions, minibatch, norms, virtual
from gan_jax.networks import weights as weights_lib
from gan_jax.types import Column, Given, InputError, lookup

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'relu': nn.relu,
  'leaky_relu': lambda x: nn.leaky_relu(x, 0.2),
  'elu': nn.elu,
  'gelu': nn.gelu,
  'silu': nn.silu,
  'tanh': nn.tanh,
}
MINIBATCH = ('none', 'stddev', 'discrimination')


@dataclasses.dataclass(frozen=True)
class Style:
  """How one player's layers are activated, normalised and conditioned.

  Its methods make flax layers, so they are called inside a compact module.

  Attributes:
    activation: one of `ACTIVATIONS`.
    norm: of activations, one of `norms.NORMS`: none; batch; conditional (batch
      norm with scales and biases of each class, or of a vector where the
      network has one); layer (over all features of an
      example, one scale per channel); instance; pixel; group; adain (instance
      norm with scales and biases of a style); virtual (by a reference batch,
      see gan_jax.networks.virtual). `spectral` is an older name of no norm with
      spectral weights.
    weights: as they enter a product, one of `weights.WEIGHTS`: none; spectral
      (divided by their largest singular value); equalised (drawn from N(0, 1)
      and scaled in every call).
    norm_momentum: of running batch statistics, in flax's convention: the
      share of the old value (torch's .1 is .9 here).
    norm_epsilon: added to the variance by batch norm, conditional or not.
    norm_groups: of group norm.
    num_classes: > 0 joins an embedding of the label to the player's input.
    embed_dim: size of each embedding that joins the latents.
    codes: that D guesses, see gan_jax.sampling.priors.
    contrast: size of the vectors that D compares, see `Task`.
    labels_by: how D takes the labels, one of gan_jax.networks.heads.WAYS.
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
    minibatch_group: examples that `stddev` compares; 0 for the whole batch.
    dense_init: initialiser of dense weights.
    styles_init: initialiser of the linear maps from a vector to scales and
      biases; None for flax's default.
  """

  activation: str = 'leaky_relu'
  norm: str = 'none'
  weights: str = 'none'
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
  minibatch_group: int = 0
  dense_init: Callable[..., jax.Array] = nn.linear.default_kernel_init
  norm_epsilon: float = 1e-5
  norm_groups: int = 32
  columns: tuple[tuple[str, Column], ...] = ()
  labels_by: str = 'concat'
  codes: tuple[int, ...] = ()
  contrast: int = 0
  styles_init: Callable[..., jax.Array] | None = None

  def __post_init__(self):
    if self.norm == 'spectral':
      object.__setattr__(self, 'norm', 'none')
      object.__setattr__(self, 'weights', 'spectral')

  @property
  def batch_norm(self) -> bool:
    """Whether activations are normalised by the moments of their batch."""
    return self.norm in norms.BATCH_NORMS

  def activate(self, x: jax.Array) -> jax.Array:
    """The non-linearity, elementwise."""
    return ACTIVATIONS[self.activation](x)

  def dense(self, features: int) -> nn.Dense:
    """A fully connected layer."""
    return nn.Dense(features, dtype=self.dtype, kernel_init=self.dense_init)

  def normalise(
    self,
    x: jax.Array,
    given: Given | None = None,
    *,
    train: bool,
    styles: jax.Array | None = None,
  ) -> jax.Array:
    """The norm of `[B, ..., C]`.

    Args:
      x: what is normalised; instance norm and adain want maps.
      given: with labels, for conditional batch norm.
      train: whether batch norm goes by the batch, and remembers it.
      styles: vectors `[B, W]`, for adain, and for conditional batch norm in
        place of the labels.
    """
    norm, channels = self.norm, x.shape[-1]
    batch = (self.norm_momentum, self.axis_name, self.scale_init)
    batch += (self.norm_epsilon,)
    if norm == 'batch':
      return norms.BatchNorm(*batch)(x, train=train)
    if norm == 'conditional' and styles is not None:
      moved = [self._linear(styles, channels, False, train) for _ in range(2)]
      return norms.ModulatedBatchNorm(*batch)(x, *moved, train=train)
    if norm == 'conditional':
      layer = norms.ConditionalBatchNorm(*batch, self.num_classes)
      return layer(x, given['labels'], train=train)
    if norm == 'virtual':
      return virtual.VirtualBatchNorm(self.reference_size, self.scale_init)(x)
    if norm == 'layer':
      axes = tuple(range(1, x.ndim))
      return nn.LayerNorm(
        reduction_axes=axes,
        feature_axes=-1,
        dtype=self.dtype,
        use_fast_variance=False,
      )(x)
    if norm == 'group':
      return norms.group_norm(self.norm_groups, channels, self.dtype)(x)
    if norm == 'adain':
      return norms.adain(x, self._linear(styles, 2 * channels, True, train))
    plain = {'instance': norms.instance_norm, 'pixel': norms.pixel_norm}
    return plain[norm](x) if norm in plain else x

  def _linear(self, styles, features: int, use_bias: bool, train: bool):
    """Scales or biases `[B, features]` of vectors `[B, W]`."""
    init = self.styles_init or nn.linear.default_kernel_init
    layer = nn.Dense(
      features, use_bias=use_bias, dtype=self.dtype, kernel_init=init
    )
    return self.apply(layer, styles, train=train, gain=1.0)

  def compare(self, x: jax.Array) -> jax.Array:
    """Features of how the examples of the batch differ, appended to `x`."""
    if self.minibatch == 'stddev':
      return minibatch.StandardDeviation(self.axis_name, self.minibatch_group)(
        x
      )
    if self.minibatch == 'discrimination':
      return minibatch.Discrimination(
        self.minibatch_kernels, self.minibatch_dim, self.axis_name
      )(x)
    return x

  def output(self, x: jax.Array) -> jax.Array:
    """What leaves a network, in float32 whatever it computes in."""
    return x if self.dtype is None else x.astype(jnp.float32)

  def apply(
    self,
    layer: nn.Module,
    x: jax.Array,
    *,
    train: bool,
    gain: float = math.sqrt(2.0),
    rate: float = 1.0,
  ) -> jax.Array:
    """Calls a linear layer or an embedding, its weights as the style has them.

    Spectral: one power iteration per training call; u and sigma are model
    state. Equalised: by `gain`, which is 1 where no non-linearity follows, and
    learning `rate` times as fast.

    Reference:
      Miyato et al., Spectral Normalization for Generative Adversarial
      Networks, arXiv 1802.05957, Algorithm 1.
    """
    if self.weights == 'spectral':
      return weights_lib.SpectralNorm(layer)(x, update_stats=train)
    if self.weights == 'equalised':
      return weights_lib.Equalised(layer, gain, rate)(x)
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
    """Adds columns as channels, see `conditions.join_images`.

    Labels only where they are to come in so.
    """
    told = self.told if self.labels_by == 'concat' else self.columns
    return conditions.join_images(images, told, given)


def check_style(
  style: Style,
  player: str,
  norms_of: tuple[str, ...],
  weights_of: tuple[str, ...],
) -> Style:
  """Returns the style if its names are valid.

  Args:
    style: of one player.
    player: 'gen' or 'disc', the prefix of its config keys.
    norms_of: the norms that this player of this architecture takes.
    weights_of: the weights, likewise.

  Raises:
    InputError: an unknown activation, norm or weights, or one that does not go
      with the rest of the style.
  """
  if style.norm == 'adain' and 'adain' not in norms_of:
    raise InputError(
      f'network.{player}_norm: adain takes scales and biases from styles, '
      f'which this architecture has none of; take one of {", ".join(norms_of)}'
    )
  for attribute, valid in (
    ('activation', ACTIVATIONS),
    ('norm', norms_of),
    ('weights', weights_of),
    ('minibatch', MINIBATCH),
  ):
    key = f'network.{player}_{attribute}'
    lookup(dict.fromkeys(valid), getattr(style, attribute), key)
  if style.norm == 'conditional' and not style.num_classes:
    raise InputError(
      f'network.{player}_norm: conditional batch norm has scales of each '
      'class, and the players see no labels; set conditional=True'
      + (', or take batch' if 'batch' in norms_of else '')
    )
  if style.norm == 'virtual':
    virtual.check_style(style, player)
  return style

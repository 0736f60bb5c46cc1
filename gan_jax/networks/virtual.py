"""Virtual batch norm: statistics of a reference batch that never changes.

Reference:
  Salimans et al., Improved Techniques for Training GANs, arXiv 1606.03498,
  section 3.5.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import moments
from gan_jax.types import Given, InputError, Verdict


def check_style(style: Any, player: str) -> None:
  """Refuses what has no meaning with virtual batch norm.

  Args:
    style: of one player, with this norm; see gan_jax.networks.layers.
    player: 'gen' or 'disc', the prefix of its config keys.

  Raises:
    InputError: the key at fault, with the reason.
  """
  if not style.reference_size:
    raise InputError(
      f'network.{player}_norm: virtual batch norm normalises by a reference '
      'batch, and network.reference_size is 0; give it examples, such as 64'
    )
  if style.told:
    names = ', '.join(name for name, _ in style.told)
    raise InputError(
      f'network.{player}_norm: virtual batch norm has one reference batch '
      f'without {names}; set conditional=False and given=(), or another norm'
    )
  if style.minibatch != 'none':
    raise InputError(
      f'network.{player}_minibatch: {style.minibatch} compares the examples of '
      'a batch, among which virtual batch norm passes its reference batch; set '
      f'it to none, or take another network.{player}_norm'
    )


class VirtualBatchNorm(nn.Module):
  """Normalises by a reference batch and the example itself.

  The first `size` examples of the input are the reference, see
  `WithReference`. An example x is normalised with the moments of the reference
  and x together: m = (sum over the reference + x) / (size + 1), where x counts
  by its own mean over space; the reference by its own moments. So an example's
  output does not depend on the others of its batch.
  """

  size: int
  scale_init: Any = nn.initializers.ones

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = x.shape[-1:]
    scale = self.param('scale', self.scale_init, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    space = tuple(range(1, x.ndim - 1))
    means = y.mean(space, keepdims=True)  # [R + B, 1, ..., C]
    variances = ((y - means) ** 2).mean(space, keepdims=True)
    mean, variance = moments.pooled(means[: self.size], variances[: self.size])
    of_reference = jnp.arange(len(x)) < self.size
    own = jnp.where(of_reference, 0.0, 1.0 / (self.size + 1))  # x's share
    own, apart = own.reshape(-1, *[1] * (x.ndim - 1)), means - mean
    mean += own * apart
    variance = (1 - own) * (variance + own * apart**2) + own * variances
    slope = jax.lax.rsqrt(variance + 1e-5) * scale
    return ((y - mean) * slope + bias).astype(x.dtype)


class WithReference(nn.Module):
  """Passes a network a reference batch before every batch.

  The reference is the batch that the module is initialised with. It is model
  state, collection `reference`; nothing changes it.
  """

  network: nn.Module

  @nn.compact
  def __call__(
    self, inputs: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array | Verdict:
    del given  # refused together with virtual batch norm
    reference = self.variable('reference', 'inputs', lambda: inputs).value
    both = jnp.concatenate([reference.astype(inputs.dtype), inputs])
    outputs = self.network(both, None, train=train)
    return jax.tree.map(lambda x: x[len(reference) :], outputs)

  @property
  def style(self) -> Any:
    """Of the network."""
    return self.network.style


def reference_size(network: nn.Module) -> int:
  """Examples of a network's reference batch; 0 if it has none."""
  has_one = isinstance(network, WithReference)
  return network.style.reference_size if has_one else 0

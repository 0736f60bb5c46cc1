"""Self-attention over the pixels of a map, as SAGAN and BigGAN have it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import layers
from gan_jax.types import InputError


class SelfAttention(nn.Module):
  """x + gamma o(softmax(theta phi^T) g), gamma a scalar from 0 on.

  theta and phi have an eighth of the channels, g a half; phi and g, the keys
  and their values, are halved by max pooling. All are 1x1 convolutions without
  bias: 1.25 C^2 + 1 parameters. The softmax is over the keys. The paper has no
  pooling and an eighth everywhere; the authors' code is followed.

  Maps `[B, H, W, C]` of even height and width, C a multiple of 8.

  Attributes:
    style: of the player; its weights are those of the convolutions.
    kernel_init: of the convolutions.

  Reference:
    Zhang et al., Self-Attention Generative Adversarial Networks,
    arXiv 1805.08318, eq. 1 to 3.
  """

  style: Any
  kernel_init: Callable[..., jax.Array]

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    style, channels = self.style, x.shape[-1]

    def conv(h, features):
      layer = layers.Conv(
        features,
        1,
        use_bias=False,
        kernel_init=self.kernel_init,
        dtype=style.dtype,
      )
      return style.apply(layer, h, train=train, gain=1.0)

    def flat(h):  # [B, H, W, F] -> [B, H W, F]
      return h.reshape(len(h), -1, h.shape[-1])

    theta = flat(conv(x, channels // 8))
    phi = flat(layers.max_pool(conv(x, channels // 8)))
    g = flat(layers.max_pool(conv(x, channels // 2)))
    scores = jnp.einsum(
      'bqc,bkc->bqk', theta, phi, preferred_element_type=jnp.float32
    )
    weights = nn.softmax(scores, axis=-1)
    self.sow('intermediates', 'attention', weights)
    seen = jnp.einsum('bqk,bkc->bqc', weights.astype(g.dtype), g)
    o = conv(seen.reshape(*x.shape[:-1], channels // 2), channels)
    gamma = self.param('gamma', nn.initializers.zeros, ())
    return x + gamma.astype(o.dtype) * o


def check_sizes(
  attention: Sequence[int], maps: Mapping[int, Sequence[int]]
) -> tuple[int, ...]:
  """The sizes of maps that get attention, as a tuple.

  Args:
    attention: asked for, in pixels.
    maps: pixels of the maps that both players have -> channels of both.

  Raises:
    InputError: a size that no such map has, or channels that 8 does not divide.
  """
  for size in attention:
    if size not in maps:
      listed = ', '.join(map(str, maps)) or 'none, and set it to ()'
      raise InputError(
        f'network.attention: both players have no map of {size!r} pixels; take '
        f'from {listed}'
      )
    for channels in maps[size]:
      if channels % 8:
        raise InputError(
          f'network.attention: it takes an eighth of the channels, and a map '
          f'of {size} pixels has {channels}; take widths that 8 divides'
        )
  return tuple(attention)

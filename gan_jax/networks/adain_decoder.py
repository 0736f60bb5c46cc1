"""From maps of a fixed network back to images: AdaIN's decoder.

Reference:
  Huang and Belongie, Arbitrary Style Transfer in Real-time with Adaptive
  Instance Normalization, arXiv 1703.06868, section 6: nearest enlargement,
  reflected borders, no norm.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import layers
from gan_jax.networks.enlargers import repeated

# Of VGG's first three blocks and the first layer of the fourth, from its end.
VGG = ((256,), (256, 256, 256, 128), (128, 64), (64,))


class Decoder(nn.Module):
  """Maps `[B, h, w, C]` -> images `[B, f h, f w, channels]`, without bounds.

  Attributes:
    widths: channels of the convolutions at each size; between two sizes the
      maps double. A convolution that makes the image follows.
    channels: of the images.
  """

  widths: Sequence[Sequence[int]] = VGG
  channels: int = 3

  @nn.compact
  def __call__(self, maps: jax.Array) -> jax.Array:
    def conv(h, features):
      h = jnp.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)), mode='reflect')
      return layers.Conv(features, 3, padding='VALID')(h)

    h = maps
    for number, widths in enumerate(self.widths):
      h = repeated(h, 2) if number else h
      for features in widths:
        h = nn.relu(conv(h, features))
    return conv(h, self.channels)

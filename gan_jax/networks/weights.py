"""Weights as they enter a product: divided by their norm, or equalised."""

import math

import flax.linen as nn
import jax

WEIGHTS = ('none', 'spectral', 'equalised')


class SpectralNorm(nn.SpectralNorm):
  """flax's, except that it leaves the initial weights as they were drawn.

  flax stores the normalised weights when it initialises, so that an
  architecture would start at another scale with spectral norm than without.
  """

  def _spectral_normalize(self, path, vs, update_stats):
    normalised = super()._spectral_normalize(path, vs, update_stats)
    return vs if self.is_initializing() else normalised


class Equalised(nn.Module):
  """A linear layer whose weights are N(0, 1), scaled at every call.

  By gain / sqrt(fan_in): k * k * in of a convolution, of which a transposed one
  with a stride adds up 1 / stride^2, and the width of an embedding, which is
  one to be multiplied with. Biases are as the layer has them. As Adam moves all
  parameters alike, all weights so move by the same share of their size.

  Attributes:
    layer: dense, convolution or embedding; its own initialiser of the weights
      is not used.
    gain: of unit-variance inputs, the outputs' variance is gain^2.
    rate: on how fast the layer learns. Weights are stored 1 / rate as large and
      multiplied by it in every call, as biases are: the function starts as the
      same one, and each step moves it `rate` times as far.

  Reference:
    Karras et al., Progressive Growing of GANs, arXiv 1710.10196, section 4.1;
    the rate: A Style-Based Generator Architecture, arXiv 1812.04948,
    appendix C.
  """

  layer: nn.Module
  gain: float
  rate: float = 1.0

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return nn.map_variables(
      lambda layer: layer(x),
      trans_in_fn=lambda variables: jax.tree_util.tree_map_with_path(
        self._weights, variables
      ),
      init=self.is_initializing(),
      mapped_collections='params',
    )(self.layer)

  def _weights(self, path, leaf: jax.Array) -> jax.Array:
    if leaf.ndim == 1:
      return leaf if self.is_initializing() else leaf * self.rate
    if self.is_initializing():  # what is returned here is what is stored
      drawn = jax.random.normal(self.make_rng('params'), leaf.shape, leaf.dtype)
      return drawn / self.rate
    if path[-1].key == 'embedding':
      fan_in = leaf.shape[-1]
    else:
      stride = getattr(self.layer, 'stride', 1)
      fan_in = math.prod(leaf.shape[:-1]) / stride**2
    return leaf * (self.gain * self.rate / math.sqrt(fan_in))

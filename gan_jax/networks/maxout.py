"""The pair of the first GAN on digits: rectifiers against maxout units.

Reference:
  Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661, section
  5: a mixture of rectified linear and sigmoid activations in G, maxout and
  dropout in D. Widths, initial weights and shares are those of the authors'
  published configuration for MNIST.
"""

from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import seeds
from gan_jax.networks.layers import Style
from gan_jax.networks.mlp import Discriminator, Generator
from gan_jax.types import Players

NEVER = 1e-7  # the least mean of a pixel, as the authors' library has it


def uniform(reach: float) -> nn.initializers.Initializer:
  """U[-reach, reach]."""

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -reach, reach)

  return init


def sigmoid(x: jax.Array) -> jax.Array:
  """The logistic function, of images in [-1, 1] in place of [0, 1]."""
  return jnp.tanh(0.5 * x)


class FromMean(Generator):
  """An MLP that begins with the mean of the real images.

  Its last biases are the logits of the mean image, so that pixels that are
  always black begin black, and stay so where a sigmoid is flat.
  """

  def begun_at(self, params: Mapping, mean: jax.Array) -> dict:
    """Its first parameters, with those biases.

    Args:
      params: as initialised.
      mean: `[H, W, C]` in [-1, 1].
    """
    share = jnp.clip(0.5 * (mean.reshape(-1) + 1), NEVER, 1 - NEVER)
    last = f'Dense_{len(self.widths)}'
    bias = jax.scipy.special.logit(share)
    return {**params, last: {**params[last], 'bias': bias}}


def maxout(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_widths: Sequence[int] = (1200, 1200),
  disc_widths: Sequence[int] = (240, 240),
  disc_maxout: int = 5,
  dropout: float = 0.5,
  input_dropout: float = 0.2,
) -> Players[nn.Module]:
  """The maxout pair.

  Args:
    image_shape: (H, W, C).
    style: of both players.
    gen_widths: hidden widths of G, from the latents on.
    disc_widths: hidden units of D, from the image on.
    disc_maxout: linear pieces of each of them.
    dropout: share of D's hidden units that are zeroed in training, in [0, 1).
    input_dropout: share of the pixels that D does not see, likewise.

  Raises:
    InputError: a share that is none.
  """
  seeds.check_share('dropout', dropout)
  seeds.check_share('input_dropout', input_dropout)
  shares = dropout, input_dropout
  return Players(
    gen=FromMean(image_shape, tuple(gen_widths), style.gen, sigmoid),
    disc=Discriminator(tuple(disc_widths), style.disc, disc_maxout, *shares),
  )

"""GANs on Gaussian mixtures: the image game on points, with known densities."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.games import Game
from gan_jax.games.image import image_gan
from gan_jax.losses import AdversarialLoss
from gan_jax.networks.layers import Style
from gan_jax.networks.mlp import points_mlp
from gan_jax.penalties import Penalty
from gan_jax.sampling.priors import draw_latents
from gan_jax.tricks.terms import gradient_penalty
from gan_jax.types import Batch, InputError, Players, Task


class Mixture(NamedTuple):
  """A mixture of isotropic Gaussians.

  Attributes:
    means: `[K, d]`.
    stds: `[K]`.
    weights: `[K]`, summing to 1.
  """

  means: jax.Array
  stds: jax.Array
  weights: jax.Array

  @property
  def dim(self) -> int:
    """Number of coordinates d."""
    return self.means.shape[-1]

  def sample(self, key: jax.Array, num: int) -> jax.Array:
    """Points `[num, d]`."""
    mode_key, noise_key = jax.random.split(key)
    logits = jnp.log(self.weights)
    modes = jax.random.categorical(mode_key, logits, shape=(num,))
    noise = jax.random.normal(noise_key, (num, self.dim))
    return self.means[modes] + self.stds[modes, None] * noise

  def log_density(self, points: jax.Array) -> jax.Array:
    """Points `[..., d]` -> log densities `[...]`, in nats."""
    offsets = (points[..., None, :] - self.means) / self.stds[:, None]
    log_normal = -0.5 * jnp.sum(offsets**2, axis=-1) - self.dim * (
      jnp.log(self.stds) + 0.5 * jnp.log(2.0 * jnp.pi)
    )
    return jax.nn.logsumexp(log_normal + jnp.log(self.weights), axis=-1)


def mixture(
  means: Sequence[Sequence[float]],
  std: float | Sequence[float],
  weights: Sequence[float] | None = None,
) -> Mixture:
  """A mixture from lists.

  Args:
    means: of the K modes, each of d coordinates.
    std: of all modes, or of each.
    weights: in any unit; None for equal ones.

  Raises:
    InputError: shapes that do not fit, a std or a weight that is not above 0.
  """
  means = np.asarray(means, np.float32)
  if means.ndim != 2 or not means.size:
    raise InputError(f'means: shape {means.shape} is not (modes, coordinates)')
  num = len(means)
  weights = np.ones(num) if weights is None else np.asarray(weights, float)
  stds = np.broadcast_to(
    np.asarray(std, np.float32), (num,) if np.ndim(std) == 0 else np.shape(std)
  )
  for name, values in (('std', stds), ('weights', weights)):
    if values.shape != (num,) or not np.all(values > 0):
      raise InputError(
        f'{name}: {values.tolist()} is not one number above 0 for each of '
        f'{num} modes'
      )
  shares = (weights / weights.sum()).astype(np.float32)
  return Mixture(jnp.asarray(means), jnp.asarray(stds), jnp.asarray(shares))


def ring(num_modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
  """Equal modes on a circle, at angles 2 pi k / num_modes.

  Reference:
    Lin et al., PacGAN, arXiv 1712.04086, section 4.1 (8, 1, .01).
  """
  angles = 2.0 * np.pi * np.arange(num_modes) / num_modes
  return mixture(radius * np.stack([np.cos(angles), np.sin(angles)], -1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
  """Equal modes on a square grid about the origin.

  Reference:
    Lin et al., PacGAN, arXiv 1712.04086, section 4.1 (5, 2, .05).
  """
  line = spacing * (np.arange(side) - (side - 1) / 2)
  return mixture(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), std)


def draw_batches(
  key: jax.Array, *, data: Mixture, batch_size: int, disc_steps: int = 1
) -> Batch:
  """Fresh batches for one training step, leaves `[disc_steps, B, ...]`."""
  points = data.sample(key, disc_steps * batch_size)
  positions = jnp.arange(batch_size, dtype=jnp.int32)
  return Batch(
    images=points.reshape(disc_steps, batch_size, data.dim),
    given={},
    positions=jnp.broadcast_to(positions, (disc_steps, batch_size)),
  )


def mixture_gan(
  data: Mixture,
  loss: AdversarialLoss,
  *,
  latent_dim: int = 2,
  prior: str = 'normal',
  gen_widths: Sequence[int] = (64, 64),
  disc_widths: Sequence[int] = (64, 64),
  activation: str = 'leaky_relu',
  penalty: Penalty | None = None,
  penalty_weight: float = 0.0,
  axis_name: str | None = None,
) -> tuple[Game, Players[nn.Module]]:
  """The GAN that learns a mixture, with an MLP for each player.

  Args:
    data: only its dimension matters here; batches come from `draw_batches`.
    loss: of gan_jax.losses.
    latent_dim: of the latents.
    prior: one of gan_jax.sampling.priors.PRIORS.
    gen_widths: hidden widths of G.
    disc_widths: hidden widths of D.
    activation: of both players' hidden layers.
    penalty: of gan_jax.penalties.
    penalty_weight: as in gan_jax.games.image.
    axis_name: mapped device axis that shares the batch, or None.

  Returns:
    The game, over `Batch`es with points `[B, d]` for images, and its networks.
  """
  style = Style(activation=activation, axis_name=axis_name)
  networks = points_mlp(
    data.dim,
    Players(gen=style, disc=style),
    gen_widths=gen_widths,
    disc_widths=disc_widths,
  )
  game = image_gan(
    networks,
    loss,
    task=Task(
      (data.dim,),
      {},
      functools.partial(draw_latents, prior=prior, latent_dim=latent_dim),
    ),
    terms=Players(gen=(), disc=gradient_penalty(penalty, penalty_weight)),
    axis_name=axis_name,
  )
  return game, networks

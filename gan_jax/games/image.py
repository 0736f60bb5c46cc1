"""The image GAN as a game: Goodfellow et al., arXiv 1406.2661, Algorithm 1.

Nothing in it asks for images: with networks on points `[B, d]`, the same game
is played on Gaussian mixtures (games/mixture.py).

What is real and what is fake, and whose statistics are whose:

* D's objective passes the real batch and the fake batch through D one after
  the other (two passes, batch statistics of each batch alone; running
  statistics and spectral-norm vectors take both in turn), as the DCGAN recipe
  does. G's running statistics are not touched. Fakes stay a function of G:
  a solver takes D's gradient with respect to D alone, and one that looks ahead
  needs the rest.
* G's objective runs D in training mode too, and drops D's new statistics.
* Fakes carry the labels of the real batch, so both halves that D sees have
  the same label distribution.
* Noise is drawn per example of the global batch: sharing a batch among more
  devices does not change it.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome
from gan_jax.losses import AdversarialLoss, accuracies
from gan_jax.penalties import Penalty
from gan_jax.rng import example_keys
from gan_jax.types import Players

# [B] keys -> latents [B, Z].
DrawLatents = Callable[[jax.Array], jax.Array]


def _initialiser(networks, draw_latents, image_shape):
  """Key -> (params, model state) of both players, from two dummy examples."""

  def init(key):
    gen_key, disc_key = jax.random.split(key)
    latents = draw_latents(jax.random.split(key, 2))
    images, labels = jnp.zeros((2, *image_shape)), jnp.zeros(2, jnp.int32)
    variables = Players(
      gen=networks.gen.init(gen_key, latents, labels, train=False),
      disc=networks.disc.init(disc_key, images, labels, train=False),
    )
    params = Players(*(v['params'] for v in variables))
    model_state = Players(
      *({k: c for k, c in v.items() if k != 'params'} for v in variables)
    )
    return params, model_state

  return init


def _apply(network: nn.Module, params, model_state, *inputs):
  """Runs a network in training mode; returns (output, new model state)."""
  return network.apply(
    {'params': params, **model_state},
    *inputs,
    train=True,
    mutable=list(model_state),
  )


def image_gan(
  networks: Players[nn.Module],
  loss: AdversarialLoss,
  *,
  draw_latents: DrawLatents,
  image_shape: tuple[int, ...],
  penalty: Penalty | None = None,
  penalty_weight: float = 0.0,
  axis_name: str | None = None,
) -> Game:
  """Builds the game that a pair of networks plays on images.

  Args:
    networks: generator and discriminator, see gan_jax.networks.
    loss: see gan_jax.losses.
    draw_latents: the prior, per-example keys `[B]` -> latents `[B, Z]`.
    image_shape: (H, W, C), or (d,) for points.
    penalty: see gan_jax.penalties; None for none.
    penalty_weight: the paper's lambda (wgan_gp, dragan) or gamma (r1, r2).
    axis_name: the mapped device axis that shares the batch, or None.

  Returns:
    A game over `Batch`es. Losses are means over the local batch, so gradients
    are to be averaged over devices.
  """

  def generate(params, model_state, batch, key):
    latents = draw_latents(example_keys(key, batch.positions))
    return _apply(
      networks.gen, params.gen, model_state.gen, latents, batch.labels
    )

  def disc_objective(params, model_state, batch, key, step):
    del step
    latents_key, penalty_key = jax.random.split(key)
    fake, _ = generate(params, model_state, batch, latents_key)

    def discriminate(images, disc_state):
      return _apply(
        networks.disc, params.disc, disc_state, images, batch.labels
      )

    real_logits, disc_state = discriminate(batch.images, model_state.disc)
    fake_logits, disc_state = discriminate(fake, disc_state)
    loss_real, loss_fake = (
      loss.disc_real(real_logits),
      loss.disc_fake(fake_logits),
    )
    total = loss_real + loss_fake
    metrics = {
      'disc_loss_real': loss_real,
      'disc_loss_fake': loss_fake,
      'disc_real': jnp.mean(loss.score(real_logits)),
      **accuracies(loss.boundary, real_logits, fake_logits, axis_name),
    }
    if penalty is not None:
      metrics['penalty'] = penalty.value(
        lambda images: discriminate(images, disc_state)[0],
        batch.images,
        fake,
        example_keys(penalty_key, batch.positions),
        axis_name,
      )
      total += penalty_weight * penalty.factor * metrics['penalty']
    metrics['disc_loss'] = total
    return total, Outcome(disc_state, metrics)

  def gen_objective(params, model_state, batch, key, step):
    del step
    latents_key, _ = jax.random.split(key)  # as in D's: equal keys, equal fakes
    fake, gen_state = generate(params, model_state, batch, latents_key)
    fake_logits, _ = _apply(
      networks.disc, params.disc, model_state.disc, fake, batch.labels
    )
    total = loss.gen(fake_logits)
    metrics = {
      'gen_loss': total,
      'disc_fake': jnp.mean(loss.score(fake_logits)),
    }
    return total, Outcome(gen_state, metrics)

  init = _initialiser(networks, draw_latents, image_shape)
  return Game(init, Players(gen=gen_objective, disc=disc_objective))

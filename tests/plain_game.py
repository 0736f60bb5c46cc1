"""The image GAN as a beginner would write it: no trick, no penalty.

What gan_jax.games.image compiles to with every trick off is compared with this.
"""

import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome
from gan_jax.losses import accuracies
from gan_jax.rng import example_keys
from gan_jax.types import Players


def plain_game(networks, loss, draw_latents, init):
  """Two objectives over the same networks; `init` as in a `Game`."""

  def apply(network, params, state, images):
    return network.apply(
      {'params': params, **state}, images, train=True, mutable=list(state)
    )

  def generate(params, model_state, batch, key):
    latents_key, _ = jax.random.split(key)
    latents = draw_latents(example_keys(latents_key, batch.positions))
    return apply(networks.gen, params.gen, model_state.gen, latents)

  def disc(params, model_state, batch, key, step):
    del step
    fake, _ = generate(params, model_state, batch, key)
    (real_logits, _), state = apply(
      networks.disc, params.disc, model_state.disc, batch.images
    )
    (fake_logits, _), state = apply(networks.disc, params.disc, state, fake)
    on_real, on_fake = loss.disc_real(real_logits), loss.disc_fake(fake_logits)
    metrics = {
      'disc_loss_real': on_real,
      'disc_loss_fake': on_fake,
      'disc_real': jnp.mean(loss.score(real_logits)),
      'logit_gap': jnp.mean(real_logits) - jnp.mean(fake_logits),
      **accuracies(loss.boundary, real_logits, fake_logits),
    }
    metrics['disc_loss'] = on_real + on_fake
    return on_real + on_fake, Outcome(state, metrics)

  def gen(params, model_state, batch, key, step):
    del step
    fake, state = generate(params, model_state, batch, key)
    (logits, _), _ = apply(networks.disc, params.disc, model_state.disc, fake)
    total = loss.gen(logits)
    score = jnp.mean(loss.score(logits))
    return total, Outcome(state, {'gen_loss': total, 'disc_fake': score})

  return Game(init, Players(gen=gen, disc=disc))

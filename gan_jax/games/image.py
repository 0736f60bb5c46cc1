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
* Fakes carry what is given with the real batch, so both halves that D sees have
  the same label distribution.
* Noise is drawn per example of the global batch: sharing a batch among more
  devices does not change it.
* Tricks (gan_jax.tricks) stand where they act: D sees views of the examples,
  in both objectives; penalties are of D at what it sees.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome, of_network
from gan_jax.games.passes import Keys, apply, hidden_layers, initialiser
from gan_jax.losses import AdversarialLoss, accuracies
from gan_jax.penalties import Penalty
from gan_jax.rng import example_keys
from gan_jax.tricks import NONE, Tricks, regularisers
from gan_jax.tricks.criterion import make_criterion
from gan_jax.tricks.regularisers import Sides
from gan_jax.types import Players, Task


class _ImageGame:
  """The two objectives; the arguments are those of `image_gan`.

  From the top: D's loss with its penalty and regularisers, G's loss, and what
  both share.
  """

  def __init__(
    self, networks, loss, task, penalty, penalty_weight, tricks, axis
  ):
    self.networks, self.task = networks, task
    self.penalty, self.penalty_weight = penalty, penalty_weight
    self.tricks, self.axis_name = tricks, axis
    self.criterion = make_criterion(
      loss,
      relativistic=tricks.relativistic,
      label_flip=tricks.label_flip,
      top_k=tricks.top_k,
      axis_name=axis,
    )
    self.show = tricks.view()

  # --- D --------------------------------------------------------------------

  def disc_objective(self, params, model_state, batch, key, step):
    keys = Keys.of(key)
    fake, _ = self.fakes_of(params, model_state, batch, keys.latents)
    keys = Keys(*(example_keys(k, batch.positions) for k in keys))

    def of_one(disc_params, disc_state):
      return self.one_disc(disc_params, disc_state, batch, fake, keys, step)

    losses, disc_state, metrics = self.over_discs(of_one, params, model_state)
    return jnp.sum(losses), Outcome(disc_state, metrics)

  def one_disc(self, disc_params, disc_state, batch, fake, keys, step):
    """One D's loss, new state and metrics; keys are of examples, `[B]`."""
    criterion, packing = self.criterion, self.tricks.packing

    def discriminate(images, disc_state):
      verdict, disc_state = apply(
        self.networks.disc, disc_params, disc_state, images, batch.given
      )
      return verdict.logits, disc_state

    memory = disc_state.get('memory', {})
    real = self.show(batch.images, keys.real, step, memory)
    fake = self.show(fake, keys.fake, step, memory)
    real_logits, disc_state = discriminate(real, disc_state)
    fake_logits, disc_state = discriminate(fake, disc_state)
    loss_real, loss_fake = criterion.disc(
      real_logits, fake_logits, keys.labels[::packing]
    )
    total = loss_real + loss_fake
    metrics = {
      'disc_loss_real': loss_real,
      'disc_loss_fake': loss_fake,
      'disc_real': jnp.mean(criterion.score(real_logits)),
      'logit_gap': jnp.mean(real_logits) - jnp.mean(fake_logits),
      **accuracies(
        criterion.boundary, real_logits, fake_logits, self.axis_name
      ),
    }

    def critic(images):
      return discriminate(images, disc_state)[0]

    if self.penalty is not None:
      metrics['penalty'] = self.penalty.value(
        critic, real, fake, keys.penalty[::packing], self.axis_name
      )
      total += self.penalty_weight * self.penalty.factor * metrics['penalty']
    sides = Sides((real, real_logits), (fake, fake_logits))
    terms, memory = self.tricks.regularise(
      critic, sides, keys.consistency[::packing], memory, self.axis_name
    )
    if terms:
      metrics['regulariser'] = sum(terms)
      total += metrics['regulariser']
    if memory:
      disc_state = {**disc_state, 'memory': memory}
    metrics['disc_loss'] = total
    return total, disc_state, metrics

  # --- G --------------------------------------------------------------------

  def gen_objective(self, params, model_state, batch, key, step):
    keys = Keys.of(key)  # as in D's: equal keys, equal fakes
    fake, gen_state = self.fakes_of(params, model_state, batch, keys.latents)

    def of_one(disc_params, disc_state):
      return self.against_one(disc_params, disc_state, batch, fake, keys, step)

    total, metrics = self.over_discs(of_one, params, model_state)
    if self.tricks.num_discs > 1:
      total = regularisers.mixed(
        total, self.tricks.mixing_weight, self.axis_name
      )
    return total, Outcome(gen_state, {'gen_loss': total, **metrics})

  def against_one(self, disc_params, disc_state, batch, fake, keys, step):
    """G's loss against one D, and metrics."""
    criterion, matching = self.criterion, self.tricks.feature_matching

    def look(images, key):
      keys = example_keys(key, batch.positions)
      shown = self.show(images, keys, step, disc_state.get('memory', {}))
      inputs = self.networks.disc, disc_params, disc_state, shown, batch.given
      if matching is None:
        return apply(*inputs)[0].logits, None
      logits, layers = hidden_layers(*inputs)
      return logits, layers[matching.layer]

    fake_logits, fake_features = look(fake, keys.fake)
    real_logits = None
    if criterion.sees_real or matching is not None:
      real_logits, real_features = look(batch.images, keys.real)
    total = criterion.gen(real_logits, fake_logits, step)
    metrics = {'disc_fake': jnp.mean(criterion.score(fake_logits))}
    if matching is not None:
      metrics['feature_distance'] = regularisers.feature_distance(
        real_features, fake_features, self.axis_name
      )
      term = matching.weight * metrics['feature_distance']
      total = term if matching.alone else total + term
    return total, metrics

  # --- Both -----------------------------------------------------------------

  def fakes_of(self, params, model_state, batch, key):
    """Fakes, and G's new model state."""
    latents = self.task.draw(example_keys(key, batch.positions))
    return apply(
      self.networks.gen, params.gen, model_state.gen, latents, batch.given
    )

  def fakes(self, params, model_state, batch, key):
    """Those of G's objective."""
    latents_key = Keys.of(key).latents
    return self.fakes_of(params, model_state, batch, latents_key)[0]

  def over_discs(self, of_one, params, model_state):
    """`of_one(disc_params, disc_state)`; of several Ds, `[N, ...]`.

    Metrics, which come last, are means over the Ds.
    """
    if self.tricks.num_discs == 1:
      return of_one(params.disc, model_state.disc)
    *rest, metrics = jax.vmap(of_one)(params.disc, model_state.disc)
    return *rest, jax.tree.map(lambda x: x.mean(axis=0), metrics)


def image_gan(
  networks: Players[nn.Module],
  loss: AdversarialLoss,
  *,
  task: Task,
  penalty: Penalty | None = None,
  penalty_weight: float = 0.0,
  tricks: Tricks = NONE,
  reference: Any = None,
  axis_name: str | None = None,
) -> Game:
  """Builds the game that a pair of networks plays on images.

  Args:
    networks: generator and discriminator, see gan_jax.networks.
    loss: see gan_jax.losses.
    task: the shape of the images, what is given, what nature draws.
    penalty: see gan_jax.penalties; None for none.
    penalty_weight: the paper's lambda (wgan_gp, dragan) or gamma (r1, r2).
    tricks: see gan_jax.tricks; by default none.
    reference: images `[R, H, W, C]` of D's virtual batch norm, if it has that.
    axis_name: the mapped device axis that shares the batch, or None.

  Returns:
    A game over `Batch`es. Losses are means over the local batch, so gradients
    are to be averaged over devices; D's is the sum of those of several Ds.
  """
  game = _ImageGame(
    networks, loss, task, penalty, penalty_weight, tricks, axis_name
  )
  init = initialiser(networks, task, tricks, reference)
  objectives = Players(gen=game.gen_objective, disc=game.disc_objective)
  generate = of_network(networks.gen)
  return Game(init, objectives, generate, game.fakes)

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
  in both objectives; terms are of D at what it sees.
* What D judges is a list of pairs (games/pairs.py), and what a player adds to
  its loss a list of terms (gan_jax.tricks.terms).
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome, enlarging, of_network, styled_of
from gan_jax.games.pairs import Pair, pairs_of, weighted
from gan_jax.games.passes import (
  Keys,
  apply,
  call,
  described,
  hidden_layers,
  initialiser,
)
from gan_jax.losses import AdversarialLoss
from gan_jax.networks.seeds import with_noise
from gan_jax.rng import example_keys
from gan_jax.tricks import NONE, Tricks, regularisers
from gan_jax.tricks.criterion import make_criterion
from gan_jax.tricks.terms import Scene, Side, Term, add_up
from gan_jax.types import Players, Task

NO_TERMS = Players(gen=(), disc=())


class _ImageGame:
  """The two objectives; the arguments are those of `image_gan`.

  From the top: D's loss over its pairs, with its terms; G's loss with its own;
  and what both share.
  """

  def __init__(self, networks, loss, task, terms, pairs, tricks, weight, axis):
    self.networks, self.task = networks, task
    self.tricks, self.weight, self.axis_name = tricks, weight, axis
    self.loss, self.pairs, self.terms = loss, pairs, terms
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
    latents, fake, _ = self.fakes_of(params, model_state, batch, keys.latents)
    keys = Keys(*(example_keys(k, batch.positions) for k in keys))

    def of_one(disc_params, disc_state):
      return self.one_disc(
        disc_params, disc_state, batch, latents, fake, keys, step
      )

    losses, disc_state, metrics = self.over_discs(of_one, params, model_state)
    return jnp.sum(losses), Outcome(disc_state, metrics)

  def one_disc(self, disc_params, disc_state, batch, latents, fake, keys, step):
    """One D's loss, new state and metrics; keys are of examples, `[B]`."""
    memory = disc_state.get('memory', {})
    bare = {'real': batch.images, 'fake': fake}
    views = {
      side: functools.partial(
        self.show, keys=getattr(keys, side), step=step, memory=memory
      )
      for side in bare
    }
    real, fake = (views[side](images) for side, images in bare.items())
    verdicts = []
    for pair in self.pairs:
      shown, given = pair.make(real, fake, batch.given, self.axis_name)
      given = self.told(given, keys.real if pair.real else keys.fake)
      verdict, disc_state = apply(
        self.networks.disc, disc_params, disc_state, shown, given
      )
      verdicts.append(verdict)
    critics = self.told(batch.given, keys.penalty)
    keys = keys.of_packs(self.tricks.packing)
    total, metrics = self.of_pairs([v.logits for v in verdicts], keys.labels)

    def critic(images):
      return apply(
        self.networks.disc, disc_params, disc_state, images, critics
      )[0].logits

    def through(view):
      return lambda images: critic(view(images))

    sides = [Side(real, verdicts[0]), Side(fake, verdicts[1])]
    if self.tricks.augment is not None:
      sides = [
        side._replace(bare=(images, through(views[name])))
        for side, (name, images) in zip(sides, bare.items(), strict=True)
      ]
    scene = Scene(
      *sides, critic, batch, latents, memory, keys, step, self.axis_name
    )
    summands, more, memory = add_up(self.terms.disc, scene)
    total = sum(summands, total)
    memory |= self.tricks.remember(scene)
    if memory:
      disc_state = {**disc_state, 'memory': memory}
    return total, disc_state, {**metrics, **more, 'disc_loss': total}

  def of_pairs(self, logits, keys):
    """D's loss over all pairs, and metrics of the real and the fake one."""
    criterion, (real, fake, *others) = self.criterion, self.pairs
    real_logits, fake_logits = logits[:2]
    loss_real, loss_fake = criterion.disc(real_logits, fake_logits, keys)
    total = weighted(loss_real, real) + weighted(loss_fake, fake)
    for pair, more in zip(others, logits[2:], strict=True):
      of_pair = self.loss.disc_real if pair.real else self.loss.disc_fake
      total += weighted(of_pair(more), pair)
    said = loss_real, loss_fake, real_logits, fake_logits
    return total, described(criterion, *said, self.axis_name)

  # --- G --------------------------------------------------------------------

  def gen_objective(self, params, model_state, batch, key, step):
    keys = Keys.of(key)  # as in D's: equal keys, equal fakes
    latents, fake, gen_state = self.fakes_of(
      params, model_state, batch, keys.latents
    )
    memory = model_state.gen.get('memory', {})
    gen = functools.partial(
      call, self.networks.gen, params.gen, model_state.gen
    )

    def of_one(disc_params, disc_state):
      return self.against_one(
        disc_params, disc_state, batch, latents, fake, keys, step, memory, gen
      )

    total, memory, metrics = self.over_discs(of_one, params, model_state)
    if self.tricks.num_discs > 1:
      memory = jax.tree.map(lambda x: x.mean(axis=0), memory)
      total = regularisers.mixed(
        total, self.tricks.mixing_weight, self.axis_name
      )
    if memory:
      gen_state = {**gen_state, 'memory': memory}
    return total, Outcome(gen_state, {'gen_loss': total, **metrics})

  def against_one(
    self, disc_params, disc_state, batch, latents, fake, keys, step, memory, gen
  ):
    """G's loss against one D, what G remembers, and metrics."""
    criterion, terms = self.criterion, self.terms.gen
    wants_layers = any(term.layer is not None for term in terms)

    def discriminate(shown, keys):
      given = self.told(batch.given, keys)
      inputs = self.networks.disc, disc_params, disc_state, shown, given
      if wants_layers:
        return Side(shown, *hidden_layers(*inputs))
      return Side(shown, apply(*inputs)[0])

    def look(images, key):
      keys = example_keys(key, batch.positions)
      memory = disc_state.get('memory', {})
      return discriminate(self.show(images, keys, step, memory), keys)

    made, fake, real = fake, look(fake, keys.fake), None
    if criterion.sees_real or any(term.sees_real for term in terms):
      real = look(batch.images, keys.real)
    adversarial, metrics = [], {}  # D that nothing asks is not compiled
    if self.weight:
      metrics = {'disc_fake': jnp.mean(criterion.score(fake.logits))}
      real_logits = None if real is None else real.logits
      loss = criterion.gen(real_logits, fake.logits, step)
      adversarial = [loss if self.weight == 1.0 else self.weight * loss]

    def critic(images):
      of_critic = example_keys(keys.penalty, batch.positions)
      return discriminate(images, of_critic).logits

    scene = Scene(
      *(real, fake, critic, batch, latents, memory, keys, step),
      *(self.axis_name, gen, made),
    )
    summands, more, memory = add_up(terms, scene)
    if self.tricks.adversarial:
      summands = [*adversarial, *summands]
    total = functools.reduce(operator.add, summands)
    return total, memory, {**metrics, **more}

  # --- Both -----------------------------------------------------------------

  def told(self, given, keys):
    """What D is told: with keys of its own noise, if it has some."""
    return with_noise(self.networks.disc, given, keys[:: self.tricks.packing])

  def fakes_of(self, params, model_state, batch, key):
    """Latents, the fakes that G makes of them, and its new model state."""
    latents = self.task.draw(example_keys(key, batch.positions))
    own = params.gen, model_state.gen
    return latents, *apply(self.networks.gen, *own, latents, batch.given)

  def fakes(self, params, model_state, batch, key):
    """Those of G's objective."""
    latents_key = Keys.of(key).latents
    return self.fakes_of(params, model_state, batch, latents_key)[1]

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
  terms: Players[Sequence[Term]] = NO_TERMS,
  pairs: Sequence[Pair] = pairs_of(),
  tricks: Tricks = NONE,
  adversarial_weight: float = 1.0,
  reference: Players[Any] | None = None,
  axis_name: str | None = None,
) -> Game:
  """Builds the game that a pair of networks plays on images.

  Args:
    networks: generator and discriminator, see gan_jax.networks.
    loss: see gan_jax.losses.
    task: the shape of the images, what is given, what nature draws.
    terms: what the players add to their losses, see gan_jax.tricks.terms;
      those of the tricks come after them.
    pairs: what D judges; the real pair and the fake pair come first.
    tricks: see gan_jax.tricks; by default none.
    adversarial_weight: of G's adversarial loss; at 0 G has its terms alone.
    reference: what the players begin with, for those that do: of G the mean
      image `[H, W, C]`, of D the images `[R, H, W, C]` of its virtual batch
      norm, in [-1, 1].
    axis_name: the mapped device axis that shares the batch, or None.

  Returns:
    A game over `Batch`es. Losses are means over the local batch, so gradients
    are to be averaged over devices; D's is the sum of those of several Ds.
  """
  terms = Players(
    *(
      (*own, *of_tricks)
      for own, of_tricks in zip(terms, tricks.terms(), strict=True)
    )
  )
  game = _ImageGame(
    *(networks, loss, task, terms, pairs, tricks),
    *(adversarial_weight, axis_name),
  )
  init = initialiser(networks, task, terms, tricks, reference)
  objectives = Players(gen=game.gen_objective, disc=game.disc_objective)
  generate = of_network(networks.gen)
  return Game(
    *(init, objectives, generate, game.fakes),
    styled=styled_of(networks.gen),
    enlarge=enlarging(networks.gen),
    posed=getattr(networks.gen, 'ranges', None),
  )

"""Auto-encoders as games with one player: encoder and decoder, in coalition.

Nobody plays against them: D is {}, and the solver `descent` moves both at once.
Pictures are decoded from latents of the prior, as a GAN's are. A VAE is trained
for that; the codes of a plain auto-encoder follow no prior at all, so what it
draws from one need not look like the data.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome
from gan_jax.games.passes import (
  apply,
  drawn_by,
  first_variables,
  joined,
  of_member,
)
from gan_jax.networks.gaussian import kl_to_prior, reparameterise
from gan_jax.rng import example_keys
from gan_jax.types import Players, Task


class Likelihood(NamedTuple):
  """p(x | z) of what the decoder puts out, pixels independent.

  Attributes:
    log_prob: (outputs, images in [-1, 1]) -> nats, elementwise.
    mean: outputs -> images in [-1, 1].
  """

  log_prob: Callable[[jax.Array, jax.Array], jax.Array]
  mean: Callable[[jax.Array], jax.Array]


def bernoulli() -> Likelihood:
  """Outputs are logits of pixels that are mapped to [0, 1].

  Of a grey pixel the "probability" is minus the cross-entropy, as is usual.

  Reference:
    Kingma and Welling, Auto-Encoding Variational Bayes, arXiv 1312.6114,
    appendix C.1, eq. 11.
  """

  def log_prob(logits, images):
    return 0.5 * (images + 1.0) * logits - jax.nn.softplus(logits)

  return Likelihood(log_prob, lambda logits: jnp.tanh(0.5 * logits))


def gaussian(std: float) -> Likelihood:
  """Outputs are means of pixels in [-1, 1], whose deviation is fixed.

  Reference:
    arXiv 1312.6114, appendix C.2, eq. 12, with a constant sigma.
  """

  def log_prob(means, images):
    scaled = (images - means) / std
    return -0.5 * scaled**2 - math.log(std * math.sqrt(2.0 * math.pi))

  return Likelihood(log_prob, lambda means: jnp.clip(means, -1.0, 1.0))


LIKELIHOODS = ('bernoulli', 'gaussian')


class _Coder:
  """What both games do with their two networks.

  Attributes:
    networks: `encoder` and `decoder`.
    task: see `Task`; its latents are the decoder's.
    images_of: outputs of the decoder -> images in [-1, 1].
  """

  def __init__(self, networks, task, images_of):
    self.networks, self.task, self.images_of = networks, task, images_of

  def init(self, key):
    """Key -> (params, model state), from two dummy examples."""
    given = self.task.dummies(2)
    inputs = {
      'encoder': (jnp.zeros((2, *self.task.image_shape)), given),
      'decoder': (self.task.draw(jax.random.split(key)), given),
    }
    variables = first_variables(self.networks, inputs, key)
    params = variables.pop('params')
    return Players(params, {}), Players(variables, {})

  def passes(self, params, model_state, batch, code):
    """Encodes, makes latents of the code, decodes, in training mode.

    Args:
      params: of both players.
      model_state: likewise.
      batch: see `Batch`.
      code: output of the encoder -> latents `[B, Z]`.

    Returns:
      The code, the decoder's output, and the new model state of G.
    """

    def run(name, inputs):
      own = params.gen[name], of_member(model_state.gen, name)
      return apply(self.networks[name], *own, inputs, batch.given)

    found, encoder = run('encoder', batch.images)
    outputs, decoder = run('decoder', code(found))
    return found, outputs, joined({'encoder': encoder, 'decoder': decoder})

  def generate(self, variables, latents, given, *, train=False):
    """See `gan_jax.games.Generate`."""
    inputs = self.networks['decoder'], variables, 'decoder', latents, given
    outputs, variables = drawn_by(*inputs, train=train)
    return self.images_of(outputs), variables

  def fakes(self, params, model_state, batch, key):
    """Drawn from the prior, as many as the batch has; for the probe alone."""
    keys = example_keys(jax.random.fold_in(key, 1), batch.positions)
    variables = {'params': params.gen, **model_state.gen}
    latents = self.task.draw(keys)
    return self.generate(variables, latents, batch.given, train=True)[0]

  def game(self, objective, latents_of):
    """A game of G's objective; `latents_of` a code are what is decoded."""

    def encode(variables, images, given):
      network, own = self.networks['encoder'], of_member(variables, 'encoder')
      return latents_of(network.apply(own, images, given, train=False))

    return Game(
      self.init,
      Players(gen=objective, disc=None),
      self.generate,
      self.fakes,
      encode,
    )


def autoencoder(networks: dict[str, nn.Module], *, task: Task) -> Game:
  """The auto-encoder: mean squared error of pixels in [-1, 1].

  The mean is over pixels and batch; the code is the latents.

  Args:
    networks: `encoder` and `decoder`, see gan_jax.networks.autoencoder.
    task: the shape of the images, what is given, what nature draws.

  Returns:
    A game of one player, whose metric is `gen_loss`.

  Reference:
    Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural
    Networks, Science 313 (2006), without their layers trained one by one.
  """
  coder = _Coder(networks, task, jnp.tanh)

  def objective(params, model_state, batch, key, step):
    del key, step
    _, outputs, gen_state = coder.passes(
      params, model_state, batch, lambda code: code
    )
    loss = jnp.mean((coder.images_of(outputs) - batch.images) ** 2)
    return loss, Outcome(gen_state, {'gen_loss': loss})

  return coder.game(objective, lambda code: code)


def vae(
  networks: dict[str, nn.Module],
  *,
  task: Task,
  likelihood: Likelihood,
  kl_weight: float = 1.0,
) -> Game:
  """The variational auto-encoder: minus a lower bound of log p(x), in nats.

  Args:
    networks: `encoder`, whose code is the mean and the log variance of the
      latents, `[B, 2 Z]`, and `decoder`.
    task: as in `autoencoder`; its latents are N(0, I).
    likelihood: of the images.
    kl_weight: on the KL divergence; 1 for the bound, others as in beta-VAE
      (Higgins et al., ICLR 2017, eq. 4).

  Returns:
    A game of one player. Its metrics are sums over pixels and latents, means
    over the batch: `reconstruction`, E log p(x | z) by one sample; `kl`;
    `elbo`, their difference; `gen_loss`, minus that with `kl_weight`.

  Reference:
    Kingma and Welling, Auto-Encoding Variational Bayes, arXiv 1312.6114,
    eq. 7 and 10, with L = 1.
  """
  coder = _Coder(networks, task, likelihood.mean)

  def objective(params, model_state, batch, key, step):
    del step
    keys = example_keys(key, batch.positions)

    def draw(code):
      return reparameterise(*jnp.split(code, 2, axis=-1), keys)

    code, outputs, gen_state = coder.passes(params, model_state, batch, draw)
    log_prob = likelihood.log_prob(outputs, batch.images)
    reconstruction = jnp.sum(log_prob) / len(log_prob)
    kl = jnp.mean(kl_to_prior(*jnp.split(code, 2, axis=-1)))
    loss = kl_weight * kl - reconstruction
    metrics = {
      'gen_loss': loss,
      'elbo': reconstruction - kl,
      'reconstruction': reconstruction,
      'kl': kl,
    }
    return loss, Outcome(gen_state, metrics)

  return coder.game(objective, lambda code: jnp.split(code, 2, axis=-1)[0])

"""A diffusion model as a game with one player: a network that hears the noise.

Nobody plays against it: D is {}, and the solver `descent` moves G, which is the
denoising network, alone. Pictures come of a sampler, `denoising`, which calls
the network many times; latents are the seed of what noise it adds, and the
noise that it begins with.

Reference:
  Ho et al., Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome
from gan_jax.games.passes import apply
from gan_jax.networks import seeds
from gan_jax.rng import example_keys
from gan_jax.sampling import denoising as denoising_lib
from gan_jax.sampling.denoising import Denoising
from gan_jax.sampling.noising import Noising
from gan_jax.types import Players, Task

_GLANCE = 10  # steps of the fakes that are looked at while training


class _Diffusion:
  """The objective, and how pictures come; see `diffusion`."""

  def __init__(self, network, task, noising, denoising):
    self.network, self.task = network, task
    self.noising, self.denoising = noising, denoising
    self.shape = tuple(task.image_shape)

  def init(self, key):
    images, times = jnp.zeros((2, *self.shape)), jnp.ones(2, jnp.int32)
    inputs = images, times, self.task.dummies(2)
    variables = self.network.init(key, *inputs, train=False)
    params = variables.pop('params')
    return Players(params, {}), Players(variables, {})

  def objective(self, params, model_state, batch, key, step):
    del step
    keys = jax.vmap(jax.random.split, (0, None), 1)(
      example_keys(key, batch.positions), 3
    )
    last = self.noising.num_steps + 1
    times = jax.vmap(lambda key: jax.random.randint(key, (), 1, last))(keys[0])
    noise = jax.vmap(lambda key: jax.random.normal(key, self.shape))(keys[1])
    noisy = self.noising.noisy(batch.images, noise, times)
    inputs = noisy, times, batch.given, keys[2]
    found, gen_state = apply(self.network, params.gen, model_state.gen, *inputs)
    loss = jnp.mean((found - noise) ** 2)
    return loss, Outcome(gen_state, {'gen_loss': loss})

  def predictor(self, variables, given):
    def predict(x, times):
      return self.network.apply(variables, x, times, given, train=False)

    return predict

  def drawn(self, variables, latents, given, denoising):
    keys, noise = seeds.split(latents)
    images = denoising_lib.denoise(
      self.predictor(variables, given),
      noise.reshape(-1, *self.shape),
      keys,
      self.noising,
      denoising,
    )
    return jnp.clip(images, -1.0, 1.0)

  def generate(self, variables, latents, given, *, train=False):
    del train  # no batch norm
    images = self.drawn(variables, latents, given, self.denoising)
    return images, variables

  def fakes(self, params, model_state, batch, key):
    """As many as the batch has, in few steps; for the probe alone."""
    keys = example_keys(jax.random.fold_in(key, 1), batch.positions)
    variables = {'params': params.gen, **model_state.gen}
    few = Denoising('ddim', min(_GLANCE, self.denoising.steps))
    return self.drawn(variables, self.task.draw(keys), batch.given, few)

  def encode(self, variables, images, given):
    noise = denoising_lib.encode(
      self.predictor(variables, given),
      images,
      self.noising,
      self.denoising.steps,
    )
    none = jnp.zeros((len(images), seeds.NUM_SEEDS))
    return jnp.concatenate([none, noise.reshape(len(images), -1)], axis=1)


def diffusion(
  network: nn.Module, *, task: Task, noising: Noising, denoising: Denoising
) -> Game:
  """The simple loss: mean squared error of the noise, over pixels and batch.

  Args:
    network: of gan_jax.networks.unet.
    task: the shape of the images, what is given, what nature draws: seeds, and
      as many numbers as an image has.
    noising: how noise is added.
    denoising: how it is taken out again.

  Returns:
    A game of one player, whose metric is `gen_loss`, 1 for a network that says
    0. `encode` undoes DDIM.

  Reference:
    arXiv 2006.11239, algorithm 1 and eq. 14; t is uniform on 1 to T.
  """
  own = _Diffusion(network, task, noising, denoising)
  objectives = Players(gen=own.objective, disc=None)
  return Game(own.init, objectives, own.generate, own.fakes, own.encode)

"""Residual pairs at 32 pixels, by class, against modules written in PyTorch.

With copied weights: outputs in training (batch statistics, one power iteration
from copied u), and one training step of hinge and Adam.
"""

import functools
import importlib

import jax
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from gan_jax import solvers
from gan_jax.games.image import image_gan
from gan_jax.losses import make_loss
from gan_jax.types import Players
from tests.helpers import fake_batch, make_pair, stack_draws, task_of

pytestmark = pytest.mark.slow
SHAPE, CLASSES, LATENTS, BATCH = (32, 32, 3), 3, 16, 6
# Our keys, and the arguments of their G and D.
PAIRS = {
  'sngan': (
    dict(gen_width=12, disc_width=12),
    Players((12, CLASSES, LATENTS), (12, CLASSES)),
  ),
  'biggan': (
    dict(gen_width=4, disc_width=4, embed_dim=5, attention=(16,)),
    Players((4, CLASSES, LATENTS, 5), (4, CLASSES)),
  ),
}
RATE, BETAS = 2e-4, (0.0, 0.9)


def close(ours, theirs, floor=0.0):
  """To 1e-4 of the largest value."""
  theirs = theirs.detach().numpy()
  scale = max(np.abs(theirs).max(), floor)
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * scale)


@pytest.fixture(scope='module')
def peer():
  """How to make both of one, imported only if the test runs."""
  pytest.importorskip('torch')
  from tests.networks import torch_sngan

  return torch_sngan


@pytest.fixture(scope='module', params=PAIRS)
def game(request):
  """Ours, with one draw of latents for every pass, and a state at random."""
  name, (keys, sizes) = request.param, PAIRS[request.param]
  rng = np.random.default_rng(0)
  latents = rng.normal(size=(BATCH, LATENTS)).astype(np.float32)
  task = task_of(SHAPE, CLASSES)._replace(
    draw=lambda keys: latents[: len(keys)]
  )
  pair = make_pair(name, SHAPE, num_classes=CLASSES, **keys)
  game = image_gan(pair, make_loss('hinge'), task=task)
  adam = optax.adam(RATE, *BETAS)
  optimizers = Players(adam, adam)
  state = jax.jit(functools.partial(solvers.init_state, game, optimizers))(
    jax.random.key(0)
  )
  params = jax.tree.map(
    lambda x: x + 0.1 * rng.normal(size=x.shape).astype(np.float32),
    state.params,
  )
  step = solvers.make_train_step(game, optimizers)
  batch = fake_batch(BATCH, SHAPE, CLASSES)
  state = state._replace(params=params)
  return pair, state, step, batch, latents, (name, sizes)


def theirs_of(peer, state, which):
  """Both networks in PyTorch, with the weights and vectors of a state."""
  name, sizes = which
  theirs = importlib.import_module(f'tests.networks.torch_{name}')
  pair = Players(
    theirs.Generator(*sizes.gen), theirs.Discriminator(*sizes.disc)
  )
  for network, params, stats in zip(
    pair, state.params, state.model_state, strict=True
  ):
    peer.copy(network, params, stats['batch_stats'])
  return pair


def test_outputs(game, peer):
  pair, state, _, batch, latents, which = game
  gen, disc = theirs_of(peer, state, which)
  ours = [
    network.apply(
      {'params': params, **stats},
      x,
      batch.given,
      train=True,
      mutable='batch_stats',
    )
    for network, params, stats, x in zip(
      pair,
      state.params,
      state.model_state,
      (latents, batch.images),
      strict=True,
    )
  ]
  (images, _), (verdict, stats) = ours
  given = peer.tensors(batch.images, latents, batch.given['labels'])
  close(np.moveaxis(np.asarray(images), -1, 1), gen(*given[1:]))
  close(verdict.logits, disc(given[0], given[2]))
  for u, theirs in peer.vectors(disc, stats['batch_stats']):
    close(u, theirs)


def test_one_training_step(game, peer):
  """D's update, then G's against the new D: gradients, and where Adam goes.

  Adam with b1 = 0 keeps the gradient itself. Where that is rounding alone, as
  of a bias before batch norm, its sign is anyone's: such updates are left out.
  """
  _, state, step, batch, latents, which = game
  new, metrics = jax.jit(step)(state, stack_draws(batch), jax.random.key(1))
  theirs = theirs_of(peer, state, which)
  given = peer.tensors(batch.images, latents, batch.given['labels'])
  losses = peer.train_step(*theirs, *given, RATE, BETAS)
  close(metrics['disc_loss'], losses[0])
  close(metrics['gen_loss'], losses[1])
  for network, params, opt_state in zip(
    theirs, new.params, new.opt_state, strict=True
  ):
    gradients = flatten_dict(opt_state[0].mu)
    largest = float(max(np.abs(g).max() for g in gradients.values()))
    for path, leaf, theirs_is in peer.named(network, params):
      gradient, value = (
        peer.as_torch(x, path[-1], theirs_is) for x in (gradients[path], leaf)
      )
      close(gradient, theirs_is.grad, floor=1e-2 * largest)
      clear = theirs_is.grad.abs() > 1e-3 * largest
      np.testing.assert_allclose(
        value[clear],
        theirs_is.detach()[clear],
        rtol=0,
        atol=0.01 * RATE + 1e-7,  # and the last digit of the largest values
      )

"""Diffusion as a game: its loss, how it draws, what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.config.plan import Plan, read
from gan_jax.games.diffusion import diffusion
from gan_jax.sampling.batches import take
from gan_jax.sampling.denoising import Denoising
from gan_jax.sampling.noising import make_noising
from gan_jax.types import Batch, InputError, Players
from tests.helpers import (
  fake_batch,
  fake_info,
  task_of,
  tiny_digits,
  tiny_one_player,
)

KEY = jax.random.key(0)
NOISING = make_noising('linear', 50)


def tiny(**keys):
  return tiny_one_player('diffusion', **keys)


def unlabelled(num):
  return fake_batch(num)._replace(given={})


class Scaled(nn.Module):
  """Says that the noise is a share of what it sees."""

  @nn.compact
  def __call__(self, x, times, given=None, keys=None, *, train):
    share = self.param('share', nn.initializers.zeros, ())
    return share * x


FIVE = Denoising(steps=5)


def game_of(network, how=FIVE):
  task = task_of(latent_dim=66)  # seeds and pixels
  return diffusion(network, task=task, noising=NOISING, denoising=how)


def loss_at(share, level, size=32_768):
  """Of images that are all `level`."""
  game = game_of(Scaled())
  images = jnp.full((size, 8, 8, 1), level)
  batch = Batch(images, {}, jnp.arange(size))
  params = Players({'share': jnp.float32(share)}, {})
  loss, outcome = game.objectives.gen(params, Players({}, {}), batch, KEY, 0)
  assert outcome.metrics['gen_loss'] == loss
  return float(loss)


def test_the_loss_is_the_mean_square_of_what_is_left_of_the_noise():
  """E over t of s^2 abar c^2 + (s sqrt(1 - abar) - 1)^2, t from 1 to T.

  32,768 examples: a standard error under a hundredth.
  """
  abar = NOISING.alpha_bars[1:]
  for share, level in ((0.0, 0.5), (1.0, 0.5), (0.7, -1.0)):
    exact = share**2 * abar * level**2
    exact = np.mean(exact + (share * np.sqrt(1 - abar) - 1) ** 2)
    assert loss_at(share, level) == pytest.approx(exact, rel=0.03)


@pytest.mark.slow  # compiles a U-Net; what it says is in its own tests
def test_an_untrained_network_has_a_loss_of_1():
  model = build(tiny(), fake_info(num_classes=0))
  state = model.init(KEY)
  batch = unlabelled(256)
  loss, _ = model.game.objectives.gen(
    state.params, state.model_state, batch, KEY, 0
  )
  assert float(loss) == pytest.approx(1.0, abs=0.03)


def test_its_noise_is_of_the_example_and_not_of_the_batch():
  game, batch = game_of(Scaled()), unlabelled(8)
  params = Players({'share': jnp.float32(0.5)}, {})

  def loss(batch):
    return game.objectives.gen(params, Players({}, {}), batch, KEY, 0)[0]

  halves = [take(batch, rows) for rows in (slice(4), slice(4, 8))]
  expected = np.mean([loss(half) for half in halves])
  assert float(loss(batch)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_latents_are_the_seed_and_the_noise_that_it_begins_with():
  model = build(tiny(), fake_info(num_classes=0))
  sampler = model.sampler(model.init(KEY), ema=True)
  assert sampler.latent_dim == 2 + 64
  latents = sampler.latents(3)
  images = sampler.generator(latents)
  assert images.shape == (3, 8, 8, 1)
  # Of a network that says 0 an image is its noise, clipped at every step.
  exact = np.clip(latents[:, 2:].reshape(3, 8, 8, 1) * 1e3, -1, 1)
  np.testing.assert_allclose(images, exact, atol=1e-2)
  seeds = np.concatenate([latents[::-1, :2], latents[:, 2:]], axis=1)
  np.testing.assert_array_equal(
    sampler.generate(seeds), sampler.generate(latents)
  )
  noisy = build(tiny(denoise__sampler='ddpm'), fake_info(num_classes=0))
  noisy = noisy.sampler(model.init(KEY), ema=True)
  assert (noisy.generate(seeds) != noisy.generate(latents)).any()


def test_it_reconstructs_what_it_draws():
  """By undoing DDIM; a network of its own, and no clipping in between."""

  class Fixed(Scaled):
    @nn.compact
    def __call__(self, x, times, given=None, keys=None, *, train):
      self.param('share', nn.initializers.zeros, ())
      abar = jnp.asarray(NOISING.alpha_bars, jnp.float32)[times]
      abar = abar.reshape(-1, 1, 1, 1)
      return jnp.sqrt(1 - abar) * x / (abar * 0.04 + 1 - abar)

  game = game_of(Fixed(), how=Denoising(steps=50, clip=False))
  variables = {'params': {'share': jnp.zeros(())}}
  images = 0.2 * jax.random.normal(KEY, (2, 8, 8, 1))
  latents = game.encode(variables, images, {})
  assert latents.shape == (2, 66)
  again, _ = game.generate(variables, latents, {})
  np.testing.assert_allclose(again, images, atol=5e-3)


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    (dict(denoise__steps=21), 'denoise.steps: 21 is not in 1 to 20, the steps'),
    (dict(denoise__sampler='dpm'), 'denoise.sampler: unknown name'),
    (dict(diffusion__noise_schedule='x'), 'diffusion.noise_schedule: unknown'),
    (dict(diffusion__noise_steps=1), 'diffusion.noise_steps: 1 is not in 2'),
    (dict(latent_prior='uniform'), 'latent_prior: uniform is not the noise'),
    (dict(network__name='mlp', network__gen_widths=(4,), network__blocks=None,
          network__norm_groups=None), r'network.name: .*mlp.*valid: unet'),
    (dict(loss='hinge'), r'loss: .*one player'),
  ],
)  # fmt: skip
def test_what_a_diffusion_model_cannot_be_is_named(keys, message):
  with pytest.raises(InputError, match=message):
    build(tiny(**keys), fake_info(num_classes=0))


def test_a_gan_draws_in_one_pass():
  with pytest.raises(InputError, match=r'denoise.steps: 5 is how a diffusion'):
    build(tiny_digits(denoise__steps=5), fake_info())
  with pytest.raises(
    InputError, match=r'diffusion.noise_steps: 5 is for game='
  ):
    build(tiny_digits(diffusion__noise_steps=5), fake_info())


def test_few_steps_of_noise_are_drawn_in_as_many():
  keys = dict(diffusion__noise_steps=7, denoise__steps=None)
  plan = read(tiny(**keys))
  model = plan.build(fake_info(num_classes=0))
  assert model.drawing['denoising'] == Denoising('ddim', 7)
  other = Plan(tiny(**keys)).drawn_by({'sampler': 'ddpm', 'steps': 4})
  found = other.build(fake_info(num_classes=0)).drawing['denoising']
  assert found == Denoising('ddpm', 4)

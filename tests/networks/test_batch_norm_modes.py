"""What a sampler's batch norm goes by, and streams of images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.games import of_network
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.standing import BATCH_NORMS, standing_statistics
from gan_jax.types import InputError
from tests.helpers import assert_same_bits


class Normed(nn.Module):
  """Batch norm of latents of mean 0 and spread 1, shown as four pixels."""

  momentum: float = 0.9
  offset: float = 1.0

  @nn.compact
  def __call__(self, latents, given=None, *, train):
    x = 3.0 * latents + self.offset
    x = nn.BatchNorm(use_running_average=not train, momentum=self.momentum)(x)
    scale = self.param('scale', nn.initializers.constant(0.2), ())
    # Something of batch_stats that is no statistic of batch norm.
    self.variable('batch_stats', 'u', lambda: jnp.full(3, 7.0))
    return (scale * x).reshape(-1, 2, 2, 1)


def make(batch_norm='running', momentum=0.9):
  generator = Normed(momentum)
  variables = generator.init(jax.random.key(0), jnp.zeros((2, 4)), train=False)
  return Sampler(
    of_network(generator), variables, latent_dim=4, batch_norm=batch_norm
  )


def statistics(sampler):
  return sampler._variables['batch_stats']['BatchNorm_0']


@pytest.mark.parametrize('momentum', [0.0, 0.5, 0.9, 0.99])
def test_standing_statistics_are_means_over_batches(momentum):
  """Of 6,400 latents: mean 1 and variance 9 before the norm."""
  sampler = make('standing', momentum)
  found = statistics(sampler)
  latents = 3.0 * sampler.latents(6_400).reshape(100, 64, 4) + 1.0
  np.testing.assert_allclose(
    found['mean'], latents.mean(axis=(0, 1)), rtol=2e-4
  )
  np.testing.assert_allclose(
    found['var'], latents.var(axis=1).mean(axis=0), rtol=2e-4
  )


def test_standing_means_far_from_zero():
  """The share of the old value is found without a difference that cancels."""
  generator = Normed(offset=1_000.0)
  variables = generator.init(jax.random.key(0), jnp.zeros((2, 4)), train=False)
  latents = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
  new = standing_statistics(of_network(generator), variables, [(latents, {})])
  mean = new['batch_stats']['BatchNorm_0']['mean']
  expected = 1_000.0 + 3.0 * np.float64(latents).mean(0)
  np.testing.assert_allclose(mean, expected, rtol=3e-6)


def test_other_weights_get_standing_statistics_too():
  sampler = make('standing')
  fresh = make()._variables
  assert_same_bits(
    statistics(sampler.with_variables(fresh)), statistics(sampler)
  )


def test_standing_statistics_are_of_latents_cut_at_a_threshold():
  sampler = make('standing')
  cut = sampler.at(0.5)
  variance = sampler._variables['batch_stats']['BatchNorm_0']['var']
  of_cut = cut._variables['batch_stats']['BatchNorm_0']['var']
  # phi(.5) = .35207, erf(.5 / sqrt 2) = .38292
  share = 1 - 2 * 0.5 * 0.35207 / 0.38292
  np.testing.assert_allclose(of_cut / variance, share, rtol=0.03)
  assert cut.at(0.5) is cut
  for other in (make('running'), make('batch')):
    assert other.at(0.5) is other
  latents = sampler.latents(70, truncation=0.5)
  np.testing.assert_array_equal(
    sampler.sample(70, truncation=0.5), cut.generate(latents)
  )
  read = sampler.stream(70, truncation=0.5)
  np.testing.assert_array_equal(read(np.arange(70)), cut.generate(latents))


def test_standing_touches_nothing_else():
  sampler = make()
  batch = sampler.latents(64), {}
  new = standing_statistics(of_network(Normed()), sampler._variables, [batch])
  np.testing.assert_array_equal(new['batch_stats']['u'], np.full(3, 7.0))
  assert_same_bits(new['params'], sampler._variables['params'])
  assert standing_statistics(None, {'params': {}}, []) == {'params': {}}


def test_the_three_modes_show_different_images():
  latents = make().latents(64)
  x = 3.0 * latents + 1.0
  normed = {
    'running': x,  # the initial statistics: mean 0, variance 1
    'batch': (x - x.mean(axis=0)) / x.std(axis=0),
    'standing': (x - 1.0) / 3.0,
  }
  for mode in BATCH_NORMS:
    images = make(mode).generate(latents).reshape(64, 4).astype(float)
    expected = np.clip(0.2 * normed[mode], -1, 1) * 127.5 + 127.5
    slack = 4.0 if mode == 'standing' else 0.6  # 6,400 samples know that much
    assert np.abs(images - expected).max() < slack, mode


def test_sampling_changes_no_variables():
  sampler = make('batch')
  before = jax.tree.map(np.array, sampler._variables)
  sampler.sample(10)
  assert_same_bits(before, jax.tree.map(np.array, sampler._variables))


def test_an_unknown_mode_lists_the_valid_ones():
  with pytest.raises(InputError, match="unknown name 'off'; valid: batch, run"):
    make('off')


def test_a_stream_draws_what_sample_draws():
  sampler = make()
  read = sampler.stream(70, seed=3)
  whole = sampler.sample(70, seed=3)
  np.testing.assert_array_equal(read(np.arange(70)), whole)
  np.testing.assert_array_equal(read(np.array([69, 2, 5])), whole[[69, 2, 5]])
  truncated = sampler.stream(5, truncation=0.1)(np.arange(5))
  np.testing.assert_array_equal(truncated, sampler.sample(5, truncation=0.1))


def test_a_stream_refuses_what_uint8_would_hide():
  sampler = make()
  broken = jax.tree.map(lambda x: x, sampler._variables)
  broken['params']['scale'] = jnp.float32(np.nan)
  read = sampler.with_variables(broken).stream(9, seed=4)
  with pytest.raises(InputError, match='NaN or infinity for image 6 of'):
    read(np.array([6, 7]))

"""Auto-encoder and VAE: densities, bounds and gradients with known values."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax.games import autoencoder as lib
from gan_jax.networks import gaussian, make_autoencoder
from gan_jax.rng import example_keys
from gan_jax.sampling.batches import take
from gan_jax.types import Batch, Players
from tests.helpers import (
  assert_same_bits,
  differs,
  fake_batch,
  sampled,
  task_of,
)

KEY = jax.random.key(0)


def rng_of(seed=0):
  return np.random.default_rng(seed)


# --- The divergence, the likelihoods ------------------------------------------


def test_kl_of_a_shifted_prior_is_half_a_nat_a_dimension():
  kl = gaussian.kl_to_prior(jnp.ones((2, 7)), jnp.zeros((2, 7)))
  np.testing.assert_allclose(kl, [3.5, 3.5], rtol=1e-6)


def test_kl_is_what_samples_say():
  """Monte Carlo in float64: E log q - log p, to four standard errors."""
  rng = rng_of(0)
  mean, log_var = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
  std = np.exp(log_var / 2)
  z = mean + std * rng.normal(size=(200_000, 2, 3))
  log_ratio = (stats.norm.logpdf(z, mean, std) - stats.norm.logpdf(z)).sum(
    axis=-1
  )
  with jax.enable_x64(True):
    kl = np.asarray(
      gaussian.kl_to_prior(jnp.asarray(mean), jnp.asarray(log_var))
    )
  error = log_ratio.std(axis=0) / np.sqrt(len(z))
  assert np.all(np.abs(kl - log_ratio.mean(axis=0)) < 4 * error)
  assert np.all(error < 0.02 * kl)  # the samples tell something


def test_log_probabilities_are_those_of_scipy():
  rng = rng_of(1)
  outputs, images = rng.normal(size=(4, 5)), rng.uniform(-1, 1, (4, 5))
  found = lib.gaussian(0.3).log_prob(outputs, images)
  expected = stats.norm.logpdf(images, outputs, 0.3)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  corners = np.where(images > 0, 1.0, -1.0)  # black and white alone
  found = lib.bernoulli().log_prob(outputs, corners)
  expected = stats.bernoulli.logpmf(corners > 0, 1 / (1 + np.exp(-outputs)))
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_grey_pixels_cost_their_cross_entropy():
  """Least at the logit of the pixel, where it is the entropy."""
  images = np.float32([-0.5, 0.0, 0.8])
  share = (images + 1) / 2
  logits = np.log(share / (1 - share))
  found = lib.bernoulli().log_prob(logits, images)
  entropy = stats.bernoulli.entropy(share)
  np.testing.assert_allclose(-found, entropy, rtol=1e-5)
  np.testing.assert_allclose(lib.bernoulli().mean(logits), images, atol=1e-6)


def test_a_saturated_bernoulli_stays_finite():
  """Where log(1 - sigmoid) would be minus infinity."""
  logits = jnp.float32([200.0, -200.0])
  log_prob = lib.bernoulli().log_prob
  np.testing.assert_allclose(log_prob(logits, -jnp.sign(logits)), [-200, -200])
  grads = jax.grad(lambda x: log_prob(x, -jnp.sign(logits)).sum())(logits)
  np.testing.assert_allclose(grads, [-1, 1])


# --- The bound on a model whose evidence is known -----------------------------


class Linear(nn.Module):
  """An affine map of flat inputs to `shape`, beside fixed values appended.

  Attributes:
    shape: of an output.
    appended: log variances `[n]`, behind the output; None for none.
  """

  shape: tuple[int, ...]
  appended: bool = False

  @nn.compact
  def __call__(self, x, given=None, *, train):
    del given, train
    x = x.reshape(len(x), -1)
    size = int(np.prod(self.shape))
    y = nn.Dense(size, param_dtype=x.dtype)(x).reshape(-1, *self.shape)
    if not self.appended:
      return y
    log_var = self.param('log_var', nn.initializers.zeros, (size,), x.dtype)
    return jnp.concatenate([y, jnp.broadcast_to(log_var, y.shape)], axis=-1)


DIM, LATENTS, STD = 4, 3, 0.6


def linear_vae(kl_weight=1.0):
  task = task_of((2, 2, 1), latent_dim=LATENTS)
  networks = {
    'encoder': Linear((LATENTS,), appended=True),
    'decoder': Linear((2, 2, 1)),
  }
  return lib.vae(
    networks,
    task=task,
    likelihood=lib.gaussian(STD),
    kl_weight=kl_weight,
  )


def linear_params(q_scale=1.0, q_log_var=None):
  """x = W z + b + STD noise, W's columns orthogonal: a diagonal posterior.

  Returns:
    Parameters with an encoder of mean `q_scale` times the true posterior's,
    and its variances unless told; W and b.
  """
  rng = rng_of(2)
  weights = np.linalg.qr(rng.normal(size=(DIM, LATENTS)))[0] * [2.0, 1.0, 0.5]
  bias = rng.normal(size=DIM)
  precision = np.eye(LATENTS) + weights.T @ weights / STD**2
  to_mean = np.linalg.solve(precision, weights.T) / STD**2  # [Z, D]
  log_var = -np.log(np.diag(precision)) if q_log_var is None else q_log_var
  encoder = {
    'Dense_0': {
      'kernel': q_scale * to_mean.T,
      'bias': -q_scale * to_mean @ bias,
    },
    'log_var': log_var * np.ones(LATENTS),
  }
  decoder = {'Dense_0': {'kernel': weights.T, 'bias': bias}}
  return {'encoder': encoder, 'decoder': decoder}, weights, bias


def linear_batch(weights, bias, num):
  rng = rng_of(3)
  latents = rng.normal(size=(num, LATENTS))
  x = latents @ weights.T + bias + STD * rng.normal(size=(num, DIM))
  return Batch(x.reshape(num, 2, 2, 1), {}, np.arange(num, dtype=np.int32))


def metrics_of(game, gen, batch, key=KEY):
  gen = jax.tree.map(jnp.asarray, gen)
  players = Players(gen, {}), Players({}, {})
  return game.objectives.gen(*players, batch, key, 0)[1].metrics


def evidence(weights, bias, images):
  covariance = weights @ weights.T + STD**2 * np.eye(DIM)
  x = np.asarray(images).reshape(-1, DIM)
  return stats.multivariate_normal.logpdf(x, bias, covariance)


def repeated(batch, num):
  """The first example, `num` times: each has noise of its own."""
  return Batch(
    batch.images[:1].repeat(num, axis=0), {}, np.arange(num, dtype=np.int32)
  )


def test_the_bound_of_the_true_posterior_is_the_evidence():
  """E_q of the bound, by 100,000 draws, is log p(x); float64."""
  with jax.enable_x64(True):
    gen, weights, bias = linear_params()
    batch = repeated(linear_batch(weights, bias, 1), 100_000)
    found = metrics_of(linear_vae(), gen, batch)
    elbo, kl = float(found['elbo']), float(found['kl'])
    expected = evidence(weights, bias, batch.images[:1])
    np.testing.assert_allclose(elbo, float(expected), atol=0.02)
    np.testing.assert_allclose(-float(found['gen_loss']), elbo, rtol=1e-12)
    assert kl > 0.1  # it counts


@pytest.mark.parametrize(
  ('scale', 'log_var'), [(0.5, None), (1.0, 0.0), (1.5, -3.0)]
)
def test_the_bound_of_another_posterior_lies_below(scale, log_var):
  """By KL(q || p(z | x)), which is known: both are Gaussian."""
  with jax.enable_x64(True):
    gen, weights, bias = linear_params(scale, log_var)
    batch = repeated(linear_batch(weights, bias, 1), 100_000)
    elbo = float(metrics_of(linear_vae(), gen, batch)['elbo'])
    log_p = float(evidence(weights, bias, batch.images[:1]))
  x = batch.images[0].ravel()
  precision = np.diag(np.eye(LATENTS) + weights.T @ weights / STD**2)
  true_mean = weights.T @ (x - bias) / STD**2 / precision
  var = np.exp(gen['encoder']['log_var'])
  gap = 0.5 * np.sum(
    precision * (var + (scale - 1) ** 2 * true_mean**2)
    - 1
    - np.log(precision * var)
  )
  assert elbo < log_p
  np.testing.assert_allclose(log_p - elbo, gap, atol=0.03 + 0.01 * gap)


def test_sums_over_pixels_and_latents_means_over_the_batch():
  """Each example's log p(x | z) by SciPy, with the noise of its place."""
  with jax.enable_x64(True):
    gen, weights, bias = linear_params()
    batch = linear_batch(weights, bias, 3)
    found = metrics_of(linear_vae(), gen, batch)
    zeros, keys = jnp.zeros((3, LATENTS)), example_keys(KEY, batch.positions)
    noise = np.asarray(gaussian.reparameterise(zeros, zeros, keys))
  images, to_mean = batch.images.reshape(3, DIM), gen['encoder']['Dense_0']
  mean = images @ to_mean['kernel'] + to_mean['bias']
  log_var = gen['encoder']['log_var']
  latents = mean + np.exp(log_var / 2) * noise
  log_prob = stats.norm.logpdf(images, latents @ weights.T + bias, STD)
  kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var)
  expected = dict(
    reconstruction=log_prob.sum(axis=1).mean(), kl=kl.sum(axis=1).mean()
  )
  for name, value in expected.items():
    np.testing.assert_allclose(float(found[name]), value, rtol=1e-9)


def test_images_are_encoded_as_the_mean_of_the_posterior():
  with jax.enable_x64(True):
    gen, weights, bias = linear_params()
    batch = linear_batch(weights, bias, 3)
    found = linear_vae().encode({'params': gen}, batch.images, {})
    found = np.asarray(found)
  precision = np.eye(LATENTS) + weights.T @ weights / STD**2
  apart = batch.images.reshape(3, DIM) - bias
  expected = np.linalg.solve(precision, weights.T @ apart.T / STD**2).T
  np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_kl_weight_weighs_the_divergence_alone():
  with jax.enable_x64(True):
    gen, weights, bias = linear_params()
    batch = linear_batch(weights, bias, 4)
    plain = metrics_of(linear_vae(), gen, batch)
    heavy = metrics_of(linear_vae(4.0), gen, batch)
    free = metrics_of(linear_vae(0.0), gen, batch)
    for name in ('elbo', 'reconstruction', 'kl'):
      assert float(plain[name]) == float(heavy[name])
    np.testing.assert_allclose(
      float(heavy['gen_loss'] - plain['gen_loss']), 3 * float(plain['kl'])
    )
    np.testing.assert_allclose(
      float(free['gen_loss']), -float(plain['reconstruction'])
    )


def test_the_gradient_goes_through_the_latents():
  """Of both heads and the decoder, against central differences; float64."""
  with jax.enable_x64(True):
    game = linear_vae()
    gen, weights, bias = linear_params(0.7, -0.5)
    batch = linear_batch(weights, bias, 3)
    flat, unravel = jax.flatten_util.ravel_pytree(
      jax.tree.map(jnp.asarray, gen)
    )

    @jax.jit
    def loss(flat):
      players = Players(unravel(flat), {}), Players({}, {})
      return game.objectives.gen(*players, batch, KEY, 0)[0]

    found = np.asarray(jax.grad(loss)(flat))
    moved = 1e-5 * np.eye(len(flat))
    expected = [float(loss(flat + d) - loss(flat - d)) / 2e-5 for d in moved]
  np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_noise_is_of_the_examples_place():
  """Not of its place in the part that one device has."""
  with jax.enable_x64(True):
    gen, weights, bias = linear_params()
    batch = linear_batch(weights, bias, 4)
    losses = [
      float(metrics_of(linear_vae(), gen, part)['gen_loss'])
      for part in (batch, take(batch, slice(0, 2)), take(batch, slice(2, 4)))
    ]
  np.testing.assert_allclose(losses[0], np.mean(losses[1:]), rtol=1e-9)
  zeros = jnp.zeros((4, 2))
  noise = gaussian.reparameterise(
    zeros, zeros, example_keys(KEY, jnp.arange(4))
  )
  assert len(np.unique(noise)) == 8


# --- The auto-encoder, and both as games --------------------------------------


def small(name='mlp', heads=1, num_classes=0, **keys):
  task = task_of((8, 8, 1), num_classes)
  networks = make_autoencoder(name, task, heads * 4, **keys)
  return networks.gen, task


def game_of(kind, **keys):
  networks, task = small(heads=1 + (kind == 'vae'), **keys)
  if kind == 'vae':
    return lib.vae(networks, task=task, likelihood=lib.bernoulli())
  return lib.autoencoder(networks, task=task)


def variables_of(game):
  params, state = game.init(KEY)
  return params, state, {'params': params.gen, **state.gen}


def test_the_loss_of_an_autoencoder_is_that_of_what_it_makes():
  game, batch = game_of('autoencoder', gen_widths=(8,)), fake_batch(3)
  params, state, variables = variables_of(game)
  loss, outcome = game.objectives.gen(params, state, batch, KEY, 0)
  latents = game.encode(variables, batch.images, {})
  images, _ = game.generate(variables, latents, {})
  assert set(outcome.metrics) == {'gen_loss'}
  expected = np.mean((np.float64(images) - batch.images) ** 2)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize(
  ('kind', 'name'),
  sampled(
    itertools.product(['autoencoder', 'vae'], ['mlp', 'conv']),
    ('autoencoder', 'mlp'),
    ('vae', 'conv'),
  ),
)
def test_statistics_of_both_networks_move_in_training(kind, name):
  """In the objective; of the decoder alone where pictures are made."""
  game = game_of(kind, name=name, gen_widths=(4, 8), gen_norm='batch')
  params, state, variables = variables_of(game)
  assert params.disc == state.disc == {}
  batch, old = fake_batch(3), state.gen['batch_stats']
  _, outcome = jax.jit(game.objectives.gen)(params, state, batch, KEY, 0)
  new = outcome.model_state['batch_stats']
  assert jax.tree.structure(new) == jax.tree.structure(old)
  for network in ('encoder', 'decoder'):
    assert differs(new[network], old[network])
  latents = jnp.ones((3, 4))
  images, same = game.generate(variables, latents, {})
  assert images.shape == (3, 8, 8, 1)
  assert np.all(np.abs(images) <= 1)
  assert_same_bits(same, variables)
  _, moved = game.generate(variables, latents, {}, train=True)
  assert jax.tree.structure(moved) == jax.tree.structure(variables)
  assert differs(moved['batch_stats']['decoder'], old['decoder'])
  moved['batch_stats']['decoder'] = old['decoder']
  assert_same_bits(moved, variables)


@pytest.mark.parametrize('name', ['mlp', 'conv'])
def test_labels_reach_encoder_and_decoder(name):
  game = game_of('vae', name=name, num_classes=3, gen_widths=(4, 8))
  _, _, variables = variables_of(game)
  batch = fake_batch(3)
  given = [{'labels': jnp.full(3, label)} for label in (0, 1)]
  codes = [game.encode(variables, batch.images, g) for g in given]
  assert np.any(codes[0] != codes[1])
  latents = jnp.ones((3, 4))
  images = [game.generate(variables, latents, g)[0] for g in given]
  assert np.any(images[0] != images[1])


def test_what_the_probe_sees_is_drawn_from_the_prior():
  """With noise that is not the posterior's."""
  game, batch = game_of('vae', gen_widths=(8,)), fake_batch(3)
  params, state, variables = variables_of(game)
  fakes = game.fakes(params, state, batch, KEY)
  keys = example_keys(jax.random.fold_in(KEY, 1), batch.positions)
  latents = task_of(latent_dim=4).draw(keys)
  expected, _ = game.generate(variables, latents, {})
  np.testing.assert_allclose(fakes, expected, rtol=1e-6)
  posterior = gaussian.reparameterise(
    jnp.zeros((3, 4)), jnp.zeros((3, 4)), example_keys(KEY, batch.positions)
  )
  assert np.all(np.abs(posterior - latents) > 0)

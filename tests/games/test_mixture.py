"""Gaussian mixtures: densities, samples, and the GANs that learn them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from gan_jax import solvers
from gan_jax.games import mixture as mixtures
from gan_jax.losses import make_loss
from gan_jax.theory.divergences import wasserstein_1d_of_samples
from gan_jax.theory.f_divergences import F_DIVERGENCES
from gan_jax.types import InputError, Players

KEY = jax.random.key(0)
LOPSIDED = mixtures.mixture(
  [[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]], [0.5, 1.0, 0.2], [1, 2, 5]
)


def test_log_density_against_scipy():
  points = np.random.default_rng(0).normal(0, 3, (50, 2))
  expected = sum(
    weight * stats.multivariate_normal(mean, std**2).pdf(points)
    for weight, mean, std in zip(
      [1 / 8, 2 / 8, 5 / 8], LOPSIDED.means, [0.5, 1.0, 0.2], strict=True
    )
  )
  np.testing.assert_allclose(
    LOPSIDED.log_density(points), np.log(expected), rtol=1e-4
  )


def test_samples_have_the_moments_of_the_mixture():
  """Bounds are five standard errors at 100,000 points."""
  points = np.asarray(LOPSIDED.sample(KEY, 100_000))
  weights, means = np.array([1, 2, 5]) / 8, np.asarray(LOPSIDED.means)
  mean = weights @ means
  variance = (
    weights @ (means**2 + np.array([0.25, 1.0, 0.04])[:, None]) - mean**2
  )
  error = np.sqrt(variance / len(points))
  assert np.all(np.abs(points.mean(0) - mean) < 5 * error)
  np.testing.assert_allclose(points.var(0), variance, rtol=0.03)
  # Each mode gets its share, and its spread.
  nearest = np.argmin(
    np.linalg.norm(points[:, None] - means, axis=-1) / np.array([0.5, 1, 0.2]),
    axis=1,
  )
  np.testing.assert_allclose(
    np.bincount(nearest) / len(points), weights, atol=0.01
  )
  np.testing.assert_allclose(points[nearest == 2].std(0), 0.2, rtol=0.02)


def test_ring_and_grid_are_pacgans():
  ring, grid = mixtures.ring(), mixtures.grid()
  assert ring.means.shape == (8, 2)
  np.testing.assert_allclose(np.linalg.norm(ring.means, axis=1), 1, rtol=1e-6)
  assert len(np.unique(np.round(ring.means, 4), axis=0)) == 8
  expected = {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
  assert {tuple(map(int, mean)) for mean in grid.means} == expected
  assert (float(ring.stds[0]), float(grid.stds[0])) == pytest.approx(
    (0.01, 0.05)
  )
  np.testing.assert_allclose(jnp.sum(grid.weights), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (([0.0, 1.0], 1.0), r'means: shape \(2,\)'),
    (([], 1.0), 'means'),
    (([[0.0]], -1.0), r'std: \[-1.0\]'),
    (([[0.0]], [1.0, 2.0]), 'std'),
    (([[0.0], [1.0]], 1.0, [1.0, 0.0]), 'weights'),
  ],
)
def test_bad_mixtures_are_refused(arguments, message):
  with pytest.raises(InputError, match=message):
    mixtures.mixture(*arguments)


def test_batches_are_as_the_image_game_wants_them():
  batches = mixtures.draw_batches(
    KEY, data=LOPSIDED, batch_size=6, disc_steps=3
  )
  assert batches.images.shape == (3, 6, 2)
  assert batches.given == {}
  np.testing.assert_array_equal(batches.positions, [range(6)] * 3)
  assert len(np.unique(batches.images)) == 36


# --- Learning a mixture -----------------------------------------------------

# Standard deviation 1.56; an untrained generator is 1.2 away.
TARGET = mixtures.mixture([[-1.5], [1.5]], [0.4, 0.6], [0.4, 0.6])
DISC_STEPS, STEPS = 3, 1_500


def distance_after_training(loss, **game_options):
  """W1 between 20,000 points of TARGET and of the averaged generator."""
  game, networks = mixtures.mixture_gan(
    TARGET, loss, latent_dim=1, **game_options
  )
  optimizers = Players(*[optax.adam(1e-3, b1=0.5)] * 2)
  step = solvers.make_train_step(
    game, optimizers, disc_steps=DISC_STEPS, ema_decay=0.99
  )
  draw = functools.partial(
    mixtures.draw_batches, data=TARGET, batch_size=256, disc_steps=DISC_STEPS
  )

  @jax.jit
  def run(key):
    state = solvers.init_state(game, optimizers, key, ema=True)
    state, _ = solvers.play(
      step, state, key, STEPS, draw_batches=draw, record_every=STEPS
    )
    latents = jax.random.normal(jax.random.fold_in(key, 7), (20_000, 1))
    fake = networks.gen.apply(
      {'params': state.ema['params']}, latents, train=False
    )
    real = TARGET.sample(jax.random.fold_in(key, 8), 20_000)
    return wasserstein_1d_of_samples(real[:, 0], fake[:, 0])

  return float(run(KEY))


@pytest.mark.slow  # each trains for a while
@pytest.mark.parametrize('f_divergence', F_DIVERGENCES)
def test_every_f_divergence_learns_the_1d_mixture(f_divergence):
  """To .2 in W1, an eighth of the target's standard deviation."""
  loss = make_loss('f_gan', f_divergence=f_divergence)
  assert distance_after_training(loss) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize('f_divergence', F_DIVERGENCES)
def test_every_non_saturating_f_gan_learns_it_too(f_divergence):
  loss = make_loss('f_gan_non_saturating', f_divergence=f_divergence)
  assert distance_after_training(loss) < 0.2

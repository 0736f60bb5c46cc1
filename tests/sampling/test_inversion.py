"""Inversion: its schedule and its penalty, and images that come back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.metrics.psnr import psnr
from gan_jax.sampling import inversion
from gan_jax.sampling.optimise import optimise_input
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError
from tests.helpers import fake_info, tiny_digits, tiny_one_player
from tests.sampling.test_styles import drawn as drawn  # a fixture

KEY = jax.random.key(0)


# --- The parts ----------------------------------------------------------------


def test_white_noise_costs_nothing_and_a_constant_one_along_each_axis():
  white = jax.random.normal(KEY, (200, 32, 32, 1))
  found = inversion.noise_penalty((white,))
  # A map of S pixels: variance 1 / S^2 of each mean, also of pooled ones,
  # whose own variance is 1/4, 1/16.
  expected = 2 * (1 / 32**2 + (1 / 4) ** 2 / 16**2 + (1 / 16) ** 2 / 8**2)
  assert float(found.mean()) == pytest.approx(expected, rel=0.15)
  constant = jnp.ones((2, 32, 32, 1))
  found = inversion.noise_penalty((constant, constant[:, :4, :4]))
  np.testing.assert_allclose(found, 2 * 3 + 2)  # 32, 16, 8; and 4


def test_the_penalty_sees_neighbours_along_both_axes():
  stripes = jnp.broadcast_to(
    jnp.array([1.0, -1.0] * 4)[:, None, None], (1, 8, 8, 1)
  )
  np.testing.assert_allclose(inversion.noise_penalty((stripes,)), [2.0])
  blocks = jnp.broadcast_to(
    jnp.array([1.0, 1.0, -1.0, -1.0] * 2)[:, None, None], (1, 8, 8, 1)
  )
  np.testing.assert_allclose(inversion.noise_penalty((blocks,)), [1.0])


def test_maps_are_whitened_each_by_itself():
  maps = (3.0 * jax.random.normal(KEY, (2, 8, 8, 1)) + 5.0,)
  (found,) = inversion.whitened(maps)
  np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 0, atol=1e-5)
  np.testing.assert_allclose((found**2).mean(axis=(1, 2, 3)), 1, rtol=1e-4)


def test_the_rate_goes_up_a_line_and_down_half_a_cosine():
  rate = inversion.rate_at(0.1, 1_000)
  found = [float(rate(t)) for t in (0, 24, 49, 500, 750, 875, 950, 1_000)]
  np.testing.assert_allclose(
    found, [0.002, 0.05, 0.1, 0.1, 0.1, 0.05, 0.009549, 0.0], atol=1e-6
  )


def test_the_noise_on_styles_is_gone_after_three_quarters():
  found = [float(inversion.jitter_at(t, 1_000)) for t in (0, 375, 750, 900)]
  np.testing.assert_allclose(found, [1.0, 0.25, 0.0, 0.0], atol=1e-6)


def test_examples_are_moved_side_by_side_and_each_keeps_its_best():
  """Steps that overshoot from one start and approach from the other."""

  def loss(x, key, step):
    del key
    return (x[:, 0] - jnp.array([0.0, 5.0])) ** 2 + 0.0 * step

  start = jnp.array([[0.1], [0.0]])
  found = optimise_input(loss, start, num_steps=4, learning_rate=1.0)
  assert found.losses.shape == (4, 2)
  np.testing.assert_allclose(
    found.losses.min(axis=0), found.losses[[0, 3], [0, 1]]
  )
  np.testing.assert_allclose(found.best[0], 0.1)
  assert float(loss(found.best, KEY, 0)[1]) == pytest.approx(found.losses[3, 1])


# --- Images -------------------------------------------------------------------


@pytest.fixture(scope='module')
def flat():
  """An MLP with labels whose images differ, not trained."""
  model = build(tiny_digits(conditional=True, latent_dim=16), fake_info())
  state = jax.jit(model.init)(KEY)
  grown = jax.tree.map(lambda x: 2.0 * x, state.params.gen)
  state = state._replace(params=state.params._replace(gen=grown))
  return model.sampler(state, ema=False)


def test_own_samples_come_back(flat):
  """Of 16 numbers; it begins at the nearest of 512 images."""
  labels = np.array([0, 1, 2, 0])
  images = flat.generate(flat.latents(4, seed=9), labels)
  short = inversion.invert(flat, images, num_steps=1)
  found = inversion.invert(flat, images, num_steps=300)
  np.testing.assert_array_equal(found.labels, labels)
  scores = psnr(found.images, images)
  assert scores.min() > 30.0
  assert (scores > psnr(short.images, images)).all()
  assert psnr(short.images, images).mean() < 30.0
  made = flat.generate(found.latents, found.labels)
  assert np.abs(made.astype(int) - found.images).max() <= 1
  assert found.styles is None
  assert found.noise is None


def test_it_begins_at_the_nearest_image_of_the_class_that_is_known(flat):
  images = flat.generate(flat.latents(2, seed=9), np.array([0, 1]))
  told = np.array([2, 2])
  found = inversion.invert(
    flat, images, num_steps=1, labels=told, learning_rate=1e-9
  )
  np.testing.assert_array_equal(found.labels, told)
  latents, classes = flat.latents(512), flat.labels(512)
  drawn = flat.generate(latents, classes).astype(float)[classes == 2]
  distances = ((drawn - images[:, None].astype(float)) ** 2).sum((2, 3, 4))
  nearest = latents[classes == 2][distances.argmin(axis=1)]
  np.testing.assert_allclose(found.latents, nearest, atol=1e-6)


def without_noise(parts):
  """Variables whose noise has no strength: of maps of 4 and 8 pixels the
  penalty, which wants them white, would be most of the loss.
  """
  return jax.tree_util.tree_map_with_path(
    lambda path, x: 0 * x if path[-1].key == 'noise' else x, parts['variables']
  )


@pytest.mark.slow  # a style-based generator is compiled, and differentiated
def test_more_styles_are_no_farther(drawn):
  gan = Sampler(**drawn[0] | {'variables': without_noise(drawn[0])})
  latents = gan.latents(6, seed=9)
  styles = gan.styles(latents, np.arange(6) % 3)
  mixed = gan.mixed(styles[:3], styles[3:], 2)  # of which w has none
  images = gan.paint(mixed, latents[:3])
  found = {
    space: inversion.invert(gan, images, space=space, num_steps=600)
    for space in ('w', 'w+')
  }
  scores = {space: psnr(x.images, images) for space, x in found.items()}
  assert scores['w+'].mean() > 25.0
  assert scores['w+'].mean() >= scores['w'].mean() - 0.5
  one = found['w'].styles
  assert one.shape == (3, 4, 6)
  np.testing.assert_array_equal(one, one[:, :1].repeat(4, axis=1))
  made = gan.paint(found['w+'].styles, found['w+'].noise)
  assert np.abs(made.astype(int) - found['w+'].images).max() <= 1
  for x in found['w+'].noise:
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), 0, atol=1e-4)


def test_what_cannot_be_inverted_is_named(flat):
  images = flat.sample(1)
  with pytest.raises(InputError, match=r'space: w is of styles, and this'):
    inversion.invert(flat, images, space='w')
  with pytest.raises(InputError, match=r'images: uint8 .* draws uint8 \[N, 8,'):
    inversion.invert(flat, images[:, :4])
  model = build(tiny_one_player('diffusion'), fake_info())
  sampler = model.sampler(model.init(KEY), ema=True)
  with pytest.raises(InputError, match=r'invert: a diffusion model has the'):
    inversion.invert(sampler, images)

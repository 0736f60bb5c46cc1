"""Cameras, rays and what they see: closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import cameras, rendering

POSES = np.array(
  [[0, 0], [0.5, 0], [0.3, 0.2], [-0.9, -0.4], [0.7, 0.5], [1.0, -0.5]],
  np.float32,
)


# --- Cameras ------------------------------------------------------------------


def test_orientations_are_rotations():
  """At the poles too, where `up` and the view are parallel."""
  turns = np.asarray(cameras.orientation(POSES))
  product = turns.swapaxes(1, 2) @ turns
  np.testing.assert_allclose(product, np.tile(np.eye(3), (6, 1, 1)), atol=1e-6)
  np.testing.assert_allclose(np.linalg.det(turns), 1, rtol=1e-5)


def test_cameras_look_at_the_origin_from_where_they_are():
  places = np.asarray(cameras.position(POSES, 2.0))
  np.testing.assert_allclose(np.linalg.norm(places, axis=1), 2, rtol=1e-6)
  expected = [[0, 0, 2], [2, 0, 0]]  # in front, and at the right
  np.testing.assert_allclose(places[:2], expected, atol=1e-6)
  np.testing.assert_allclose(places[4], [0, 2, 0], atol=1e-6)  # above
  backward = np.asarray(cameras.orientation(POSES))[..., 2]
  np.testing.assert_allclose(places - 2 * backward, 0, atol=1e-6)


@pytest.mark.parametrize('size', [4, 5])
def test_rays_go_through_the_middles_of_pixels(size):
  origins, directions = cameras.rays(POSES, size, 40.0, 1.5)
  assert directions.shape == (6, size, size, 3)
  np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1, rtol=1e-5)
  mean = np.asarray(directions).mean(axis=(1, 2))
  mean /= np.linalg.norm(mean, axis=1, keepdims=True)
  np.testing.assert_allclose(origins + 1.5 * mean, 0, atol=1e-5)
  turns = np.asarray(cameras.orientation(POSES))
  local = np.einsum('bij,bhwi->bhwj', turns, directions)
  slopes = local[..., 0] / -local[..., 2]
  half = np.tan(np.radians(20))
  pixel = 2 * half / size
  np.testing.assert_allclose(slopes[:, 0, 0], -half + pixel / 2, rtol=1e-4)
  np.testing.assert_allclose(slopes[:, 0, -1], half - pixel / 2, rtol=1e-4)
  up = local[..., 1] / -local[..., 2]
  assert (up[:, 0] > up[:, -1]).all()  # the first row is the top


def test_focal_length():
  assert cameras.focal_length(64, 90.0) == pytest.approx(32)


# --- Rendering ----------------------------------------------------------------


def sampled(kind, num=9):
  """Bins of a depth of 2.3, cut in one way or another."""
  rng = np.random.default_rng(0)
  if kind == 'even':
    return np.full(num, 2.3 / num)
  cuts = rng.dirichlet(np.ones(num)) if kind == 'random' else [0.99, 0.01]
  return 2.3 * np.array(cuts)


@pytest.mark.parametrize('kind', ['even', 'random', 'two'])
def test_a_slab_lets_through_what_it_should(kind):
  """1 - exp(-sigma d), however it is cut: .979959 of sigma 1.7, d 2.3."""
  lengths = sampled(kind)
  shares = rendering.weights(jnp.full(len(lengths), 1.7), jnp.array(lengths))
  np.testing.assert_allclose(shares.sum(), 0.979959, rtol=1e-5)


def test_weights_and_what_is_left_sum_to_one():
  rng = np.random.default_rng(1)
  sigma, delta = rng.gamma(1.0, 1.0, (2, 5, 16)).astype(np.float32)
  shares = rendering.weights(sigma, delta)
  through = np.exp(-(sigma * delta).sum(axis=-1))
  np.testing.assert_allclose(shares.sum(axis=-1) + through, 1, rtol=1e-5)
  alpha = 1 - np.exp(-sigma.astype(np.float64) * delta)
  before = np.cumprod(1 - alpha, axis=-1) / (1 - alpha)
  np.testing.assert_allclose(shares, before * alpha, rtol=1e-4, atol=1e-6)


def test_depth_is_the_expected_one():
  sigma, depth = 1.7, 2.3
  depths, length = rendering.bins(0.0, depth, 4_000)
  seen = rendering.render(
    jnp.full(4_000, sigma), jnp.ones((4_000, 1)), depths, length
  )
  expected = (1 - np.exp(-sigma * depth) * (1 + sigma * depth)) / sigma
  np.testing.assert_allclose(seen.depth, expected, rtol=1e-3)


def test_splitting_a_sample_changes_nothing():
  rng = np.random.default_rng(2)
  sigma = rng.gamma(1.0, 1.0, 6).astype(np.float32)
  colours = rng.uniform(size=(6, 3)).astype(np.float32)
  depths, lengths = np.arange(6.0, dtype=np.float32), np.full(6, 0.3)
  whole = rendering.render(sigma, colours, depths, lengths, 0.5)
  twice = np.repeat(np.arange(6), [1, 1, 2, 1, 1, 1])
  cut = lengths[twice]
  cut[2:4] /= 2
  split = rendering.render(
    sigma[twice], colours[twice], depths[twice], cut, 0.5
  )
  for one, other in zip(whole, split, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_nothing_shows_the_background_and_a_wall_hides_it():
  colours = jnp.array([[1.0, 0, 0], [0, 1.0, 0]])
  depths, background = jnp.array([1.0, 2.0]), jnp.array([0.2, 0.3, 0.4])
  empty = rendering.render(jnp.zeros(2), colours, depths, 1.0, background)
  assert np.array_equal(empty.colour, background)
  assert empty.opacity == empty.depth == 0
  wall = rendering.render(
    jnp.array([1e6, 1.0]), colours, depths, 1.0, background
  )
  assert np.array_equal(wall.colour, colours[0])
  assert (wall.opacity, wall.depth) == (1, 1)


def test_a_faint_last_sample_is_faint():
  """With a last length of 1e10, any density would close the ray."""
  shares = rendering.weights(jnp.array([0.0, 0.01]), 0.5)
  np.testing.assert_allclose(shares.sum(), 1 - np.exp(-0.005), rtol=1e-4)


def test_gradients_are_finite_where_all_is_dark_or_full():
  def opacity(scale):
    return rendering.weights(scale * jnp.ones(8), 0.1).sum()

  for scale in (0.0, 1.0, 1e4):
    assert np.isfinite(jax.grad(opacity)(scale))
  np.testing.assert_allclose(jax.grad(opacity)(0.0), 0.8, rtol=1e-5)


def test_bins_cover_the_ray():
  depths, length = rendering.bins(1.0, 3.0, 4)
  np.testing.assert_allclose(depths, [1.25, 1.75, 2.25, 2.75])
  assert length == 0.5
  noise = jax.random.uniform(jax.random.key(0), (5, 4))
  moved, _ = rendering.bins(1.0, 3.0, 4, noise)
  assert (np.floor((moved - 1.0) / 0.5) == np.arange(4)).all()

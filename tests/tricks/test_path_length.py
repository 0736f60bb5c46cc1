"""Path-length regularisation: a linear map, and the mean that it follows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.tricks.path_length import path_length_term, path_lengths
from gan_jax.tricks.terms import Scene, first_memory
from gan_jax.types import Batch

LAYERS, WIDTH, SIZE = 3, 4, 8


def linear_scene(matrix, num=4_000, axis_name=None):
  """Of images sum_l A_l w_l, whose styles are its latents."""

  def gen(method, *inputs):
    if method == 'styles':
      latents = inputs[0][:, 2:]
      return jnp.repeat(latents[:, None], LAYERS, axis=1)
    styles, _ = inputs
    return jnp.einsum('blw,lwp->bp', styles, matrix).reshape(-1, SIZE, SIZE, 1)

  rng = np.random.default_rng(0)
  latents = rng.normal(size=(num, 2 + WIDTH)).astype(np.float32)
  latents[:, :2] = 0

  class Keys:
    penalty = jax.random.key(3)

  batch = Batch(None, {}, jnp.arange(num))
  return Scene(None, None, None, batch, latents, {}, Keys, 0, axis_name, gen)


def test_lengths_of_a_linear_map():
  """E length^2 is the mean over layers of ||A_l||_F^2 / (H W)."""
  rng = np.random.default_rng(1)
  matrix = rng.normal(size=(LAYERS, WIDTH, SIZE * SIZE)).astype(np.float32)
  squares = (matrix**2).sum(axis=(1, 2)) / SIZE**2
  pixels = rng.normal(size=(20_000, SIZE * SIZE)) / SIZE
  gradients = np.moveaxis(np.tensordot(matrix, pixels, (2, 1)), 2, 0)
  lengths = path_lengths(jnp.float32(gradients))
  np.testing.assert_allclose(
    np.mean(np.asarray(lengths) ** 2), squares.mean(), rtol=0.02
  )


def test_the_penalty_is_about_a_mean_that_moves():
  rng = np.random.default_rng(1)
  matrix = rng.normal(size=(LAYERS, WIDTH, SIZE * SIZE)).astype(np.float32)
  term, scene = path_length_term(2.0), linear_scene(matrix)
  assert (term.weight, term.every) == (2.0, 4)
  assert first_memory((term,))['terms'] == {'path_penalty': 0.0}
  value, mean = term.value(scene, jnp.float32(1.0))
  lengths = 1.0 + (float(mean) - 1.0) / 0.01  # their mean
  squares = (matrix**2).sum(axis=(1, 2)).mean() / SIZE**2
  assert 0.9 * np.sqrt(squares) < lengths < np.sqrt(squares)
  spread = squares - lengths**2
  np.testing.assert_allclose(
    value, spread + (lengths - float(mean)) ** 2, rtol=0.03
  )


def test_the_gradient_flows_through_the_newest_part_of_the_mean():
  """With it the penalty is homogeneous of degree 2; with a fixed one not."""
  matrix = np.ones((LAYERS, WIDTH, SIZE * SIZE), np.float32)
  term = path_length_term(2.0)

  def value(scale):
    return term.value(linear_scene(scale * matrix, 64), jnp.float32(0.0))[0]

  slope = jax.grad(value)(1.0)
  expected = 2.0 * value(1.0)  # homogeneous of degree 2, a included
  np.testing.assert_allclose(slope, expected, rtol=1e-4)


def test_shares_of_a_batch_take_what_the_whole_takes():
  """Every second example: of two even shares the same ones as of the whole."""
  matrix = np.ones((LAYERS, WIDTH, SIZE * SIZE), np.float32)
  whole, term = linear_scene(matrix, 8), path_length_term(2.0)
  shares = [
    whole._replace(
      latents=whole.latents[part],
      batch=whole.batch._replace(positions=whole.batch.positions[part]),
    )
    for part in (slice(0, 4), slice(4, 8))
  ]
  means = [float(term.value(s, jnp.float32(0))[1]) for s in (*shares, whole)]
  np.testing.assert_allclose((means[0] + means[1]) / 2, means[2], rtol=1e-5)


@pytest.mark.parametrize('num', [1, 5])
def test_half_of_the_batch_is_taken(num):
  matrix = np.ones((LAYERS, WIDTH, SIZE * SIZE), np.float32)
  value, _ = path_length_term(2.0).value(linear_scene(matrix, num), 0.0)
  assert np.isfinite(value)

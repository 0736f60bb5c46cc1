"""Adaptive augmentation: the transforms, and how often they come."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.tricks import adaptive

RNG = np.random.default_rng(0)
IMAGE = np.float32(RNG.uniform(-1, 1, (8, 8, 3)))
KEY = jax.random.key(0)


def matrix(*rows):
  return jnp.array(rows, float)


PLACES = {
  # from where each pixel comes -> the same in NumPy
  'identity': (matrix([1, 0, 0], [0, 1, 0], [0, 0, 1]), lambda x: x),
  'flip': (matrix([-1, 0, 0], [0, 1, 0], [0, 0, 1]), lambda x: x[:, ::-1]),
  'quarter': (
    matrix([0, -1, 0], [1, 0, 0], [0, 0, 1]),
    lambda x: np.rot90(x, 1),
  ),
  'right': (
    matrix([1, 0, 2], [0, 1, 0], [0, 0, 1]),
    # x + 2, mirrored beyond the last column
    lambda x: x[:, [2, 3, 4, 5, 6, 7, 6, 5]],
  ),
  'half a pixel': (
    matrix([1, 0, 0.5], [0, 1, 0], [0, 0, 1]),
    lambda x: (x + x[:, [1, 2, 3, 4, 5, 6, 7, 6]]) / 2,
  ),
}


@pytest.mark.parametrize('name', PLACES)
def test_pixels_are_looked_up_where_the_matrix_says(name):
  origin, expected = PLACES[name]
  np.testing.assert_allclose(
    adaptive.resample(IMAGE, origin), expected(IMAGE), atol=2e-6
  )


@pytest.mark.slow
def test_without_probability_nothing_changes():
  memory = adaptive.first_memory()
  images = np.stack([IMAGE] * 5)
  keys = jax.random.split(KEY, 5)
  np.testing.assert_allclose(
    adaptive.augment(images, keys, memory), images, atol=2e-6
  )
  sure = memory | {'probability': jnp.ones(())}
  changed = np.asarray(adaptive.augment(images, keys, sure))
  assert len(np.unique(changed.reshape(5, -1), axis=0)) == 5
  grey = adaptive.augment(images[..., :1], keys, sure)
  assert grey.shape == (5, 8, 8, 1)


@pytest.mark.parametrize('probability', [0.2, 0.7])
def test_each_transform_comes_as_often_as_told(probability):
  """The share of images of which nothing was moved; five standard errors.

  A flip changes nothing in half of its draws, a quarter turn in a fourth; a
  whole-pixel shift of 8 pixels is 0 in each direction with 1/2.
  """
  num = 20_000
  keys = jax.random.split(KEY, num)
  place = functools.partial(
    adaptive.placement, probability=jnp.float32(probability), size=(8, 8)
  )
  origins = np.asarray(jax.jit(jax.vmap(place))(keys))
  still = np.abs(origins - np.eye(3)).max(axis=(1, 2)) < 1e-6
  p = probability
  expected = (1 - p / 2) * (1 - 3 * p / 4) * (1 - p * (1 - 1 / 4))
  expected *= (1 - p) ** 3  # two scales and a shift by a fraction
  expected *= 1 - p  # two rotations, of which none with 1 - p
  error = np.sqrt(expected * (1 - expected) / num)
  assert abs(still.mean() - expected) < 5 * error


def test_colours_turn_about_the_grey_axis():
  """Brightness and contrast move the grey value; nothing else does."""
  sure = jnp.ones(())
  for seed in range(8):
    key = jax.random.key(seed)
    draws = adaptive._Draws(key, sure)
    shift = draws.maybe(draws.normal(0.2), 0.0)
    factor = draws.maybe(2.0 ** draws.normal(0.5), 1.0)
    flip = draws.maybe(draws.below(2), 0)
    changed = np.asarray(adaptive.recolour(IMAGE, key, sure))
    grey = (1 - 2 * int(flip)) * (IMAGE + shift).mean(axis=-1) * factor
    np.testing.assert_allclose(changed.mean(axis=-1), grey, atol=1e-5)
    # The distance from the grey axis is scaled by one saturation for all.
    before = np.linalg.norm(IMAGE - IMAGE.mean(-1, keepdims=True), axis=-1)
    after = np.linalg.norm(changed - changed.mean(-1, keepdims=True), axis=-1)
    ratio = after / before
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)
  # A grey image stays grey.
  flat = np.full((4, 4, 3), 0.3, np.float32)
  turned = np.asarray(adaptive.recolour(flat, KEY, sure))
  np.testing.assert_allclose(turned, turned[:1, :1, :1] + 0 * turned, atol=1e-6)


@pytest.mark.parametrize('boundary', [0.0, 0.5])
def test_the_probability_follows_the_sign(boundary):
  """Against the rule in plain Python, over forty updates."""
  steer = adaptive.Adaptive(0.6, 400, boundary)
  memory = adaptive.first_memory()
  p, signs = 0.0, []
  rng = np.random.default_rng(1)
  for t in range(40):
    logits = np.float32(rng.normal(2.0 if t < 24 else -2.0, 1.5, 5))
    memory = adaptive.correct(memory, logits, 2, steer)
    signs.append(np.sign(logits - boundary).mean())
    if len(signs) == 4:
      p = np.clip(p + 4 * 10 / 400 * np.sign(np.mean(signs) - 0.6), 0, 1)
      signs = []
    np.testing.assert_allclose(memory['probability'], p, atol=1e-6)
  assert p < 0.6  # it rose, and fell again


def test_devices_agree_on_the_probability():
  steer = adaptive.Adaptive(0.0, 400)
  logits = np.float32(RNG.normal(1.5, 1, (4, 6)))

  def updates(logits, axis_name):
    memory = adaptive.first_memory()
    for _ in range(4):
      memory = adaptive.correct(memory, logits, 1, steer, axis_name)
    return memory['probability']

  many = jax.pmap(functools.partial(updates, axis_name='batch'), 'batch')(
    logits
  )
  one = updates(logits.reshape(-1), None)
  np.testing.assert_array_equal(many, np.full(4, one))
  np.testing.assert_allclose(one, 4 * 24 / 400, rtol=1e-6)


def test_the_probability_stays_one():
  """Beyond [0, 1] it would take as long to come back as it has overshot."""
  steer = adaptive.Adaptive(target=0.6, num_images=8, boundary=0.0)
  memory = adaptive.first_memory()
  for sign, expected in ((1.0, 1.0), (-1.0, 0.0)):
    for _ in range(3 * adaptive.INTERVAL):  # each interval moves it by 2
      memory = adaptive.correct(memory, jnp.full(4, sign), 1, steer)
    assert memory['probability'] == expected

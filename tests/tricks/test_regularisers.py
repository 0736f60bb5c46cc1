"""Terms on D's outputs and features, and the mix of several Ds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.tricks import regularisers
from gan_jax.types import InputError

RNG = np.random.default_rng(0)
REAL, FAKE = (np.float32(RNG.normal(m, 1.0, 8)) for m in (1.0, -0.5))
KEYS = jax.random.split(jax.random.key(1), 8)


def test_lecam_holds_outputs_near_the_other_sides_average():
  memory = regularisers.first_memory()
  averages = {'real': 0.0, 'fake': 0.0}
  for t in range(3):
    real, fake = np.float64(REAL) + t, np.float64(FAKE) - t
    value, memory = regularisers.lecam(
      np.float32(real), np.float32(fake), memory, 0.9
    )
    expected = ((real - averages['fake']) ** 2).mean()
    expected += ((fake - averages['real']) ** 2).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    averages = {
      'real': 0.9 * averages['real'] + 0.1 * real.mean(),
      'fake': 0.9 * averages['fake'] + 0.1 * fake.mean(),
    }
    for side in averages:
      np.testing.assert_allclose(memory[side], averages[side], rtol=1e-5)
  # The averages are constants to D.
  gradient = jax.grad(
    lambda real: regularisers.lecam(real, FAKE, memory, 0.9)[1]['real']
  )(REAL)
  assert not np.any(gradient)


def test_consistency_is_of_mirrored_and_shifted_images():
  images = np.float32(RNG.uniform(-1, 1, (8, 16, 16, 2)))
  weights = np.float32(RNG.normal(size=(16, 16, 2)))

  def discriminate(x):
    return jnp.tensordot(x, weights, 3)

  changed = np.asarray(regularisers.mirror_and_shift(images, KEYS), float)
  seen = set()
  for image, after in zip(images, changed, strict=True):
    matches = []
    for flip in (False, True):
      start = image[:, ::-1] if flip else image
      for down in range(-2, 3):
        for right in range(-2, 3):
          moved = np.zeros_like(image)
          rows = slice(max(down, 0), 16 + min(down, 0))
          columns = slice(max(right, 0), 16 + min(right, 0))
          moved[rows, columns] = start[
            max(-down, 0) : 16 - max(down, 0),
            max(-right, 0) : 16 - max(right, 0),
          ]
          if np.array_equal(moved, after):
            matches.append((flip, down, right))
    assert len(matches) == 1
    seen |= set(matches)
  assert len(seen) > 3
  logits = discriminate(images)
  expected = (
    np.tensordot(np.float64(images) - changed, weights, 3) ** 2
  ).mean()
  np.testing.assert_allclose(
    regularisers.consistency(discriminate, images, logits, KEYS),
    expected,
    rtol=1e-4,
  )


def test_features_are_matched_in_their_means():
  real = RNG.normal(0.2, 1, (8, 3, 3, 5))
  fake = RNG.normal(-0.1, 2, (8, 3, 3, 5))
  expected = ((real.mean(0) - fake.mean(0)) ** 2).sum()
  ours = regularisers.feature_distance(np.float32(real), np.float32(fake))
  np.testing.assert_allclose(ours, expected, rtol=1e-5)
  shares = [np.float32(x).reshape(4, 2, 3, 3, 5) for x in (real, fake)]
  distance = functools.partial(regularisers.feature_distance, axis_name='batch')
  many = jax.pmap(distance, 'batch')(*shares)
  np.testing.assert_allclose(many, np.full(4, expected), rtol=1e-5)
  # Gradients, averaged over devices as every player's are.
  one = jax.grad(regularisers.feature_distance, 1)(
    np.float32(real), np.float32(fake)
  )
  slopes = jax.pmap(jax.grad(distance, 1), 'batch')(*shares) / 4
  np.testing.assert_allclose(
    slopes.reshape(one.shape), one, rtol=1e-4, atol=1e-7
  )


def test_layers_have_names():
  assert regularisers.layer_number('', 3) == 2
  assert regularisers.layer_number('hidden_0', 3) == 0
  with pytest.raises(InputError) as error:
    regularisers.layer_number('conv5', 2)
  for word in ('tricks.feature_layer', "'conv5'", 'hidden_0, hidden_1'):
    assert word in str(error.value)


@pytest.mark.parametrize('weight', [0.0, 0.7, 50.0])
def test_several_losses_are_mixed_by_their_softmax(weight):
  losses = np.array([0.3, 1.2, 0.9])
  shares = np.exp(weight * losses) / np.exp(weight * losses).sum()
  mixed = regularisers.mixed(np.float32(losses), weight)
  np.testing.assert_allclose(mixed, shares @ losses, rtol=1e-6)
  if not weight:
    np.testing.assert_allclose(mixed, losses.mean(), rtol=1e-6)
  if weight == 50:
    np.testing.assert_allclose(mixed, 1.2, rtol=1e-5)

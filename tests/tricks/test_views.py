"""What D is shown: packs, noise and augmented images, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.solvers.optimizers import SCHEDULES
from gan_jax.tricks import diffaugment, views
from gan_jax.types import InputError

RNG = np.random.default_rng(0)
IMAGES = np.float32(RNG.uniform(-1, 1, (6, 8, 10, 3)))
KEYS = jax.random.split(jax.random.key(1), 6)
KEY = KEYS[0]


def test_a_pack_is_neighbours_channel_by_channel():
  packed = views.pack(IMAGES, 3)
  assert packed.shape == (2, 8, 10, 9)
  for i in range(2):
    expected = np.concatenate(IMAGES[3 * i : 3 * i + 3], axis=-1)
    np.testing.assert_array_equal(packed[i], expected)
  points = np.arange(12.0).reshape(6, 2)
  np.testing.assert_array_equal(views.pack(points, 2), points.reshape(3, 4))
  assert views.pack(IMAGES, 1) is IMAGES
  assert views.packed_shape((8, 10, 3), 3) == (8, 10, 9)


def test_noise_has_the_deviation_asked_for():
  """Bounds are five standard errors."""
  images = jnp.zeros((4, 50, 50, 4))
  noise = np.asarray(views.add_noise(images, KEYS[:4], 0.3), float)
  num = noise.size
  assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(num)
  assert abs(noise.std() - 0.3) < 5 * 0.3 / np.sqrt(2 * num)
  # One draw for each example, by its own key.
  assert np.abs(noise[0] - noise[1]).max() > 0.1
  again = views.add_noise(images[:1], KEYS[:1], 0.3)
  np.testing.assert_array_equal(again[0], np.float32(noise[0]))
  np.testing.assert_array_equal(views.add_noise(IMAGES, KEYS, 0.0), IMAGES)


@pytest.mark.parametrize(
  ('name', 'end', 'expected'),
  [
    ('linear', 0.0, lambda t: 0.4 * (1 - t)),
    ('exponential', 0.01, lambda t: 0.4 * 0.01**t),
    ('cosine', 0.0, lambda t: 0.2 * (1 + np.cos(np.pi * t))),
    ('constant', 0.0, lambda t: 0.4),
  ],
)
def test_noise_fades_as_its_schedule_says(name, end, expected):
  std = SCHEDULES[name](0.4, 100, end)
  for t in (0.0, 0.25, 0.5, 1.0):
    np.testing.assert_allclose(std(100 * t), expected(t), rtol=1e-5, atol=1e-8)


def test_the_view_is_augmentation_then_noise_then_packing():
  view = views.make_view(
    packing=2,
    noise_std=lambda step: 0.1 * step,
    augment=lambda images, keys, memory: images * memory['factor'],
  )
  shown = view(IMAGES, KEYS, 3, {'factor': 0.5})
  noise_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(KEYS)
  expected = views.add_noise(0.5 * IMAGES, noise_keys, 0.3)
  np.testing.assert_allclose(shown, views.pack(expected, 2), rtol=1e-6)


# --- DiffAugment ------------------------------------------------------------


def uniform(key, low, high):
  return float(jax.random.uniform(key, (), jnp.float32, low, high))


def test_brightness_adds_one_number():
  shift = uniform(KEY, -0.5, 0.5)
  image = np.float64(IMAGES[0])
  np.testing.assert_allclose(
    diffaugment.brightness(IMAGES[0], KEY), image + shift, atol=1e-6
  )


def test_saturation_scales_the_distance_from_grey():
  image = np.float64(IMAGES[0])
  grey = image.mean(axis=-1, keepdims=True)
  expected = grey + uniform(KEY, 0, 2) * (image - grey)
  changed = diffaugment.saturation(IMAGES[0], KEY)
  np.testing.assert_allclose(changed, expected, atol=1e-6)
  # Grey images have none.
  one = IMAGES[0, ..., :1]
  np.testing.assert_allclose(diffaugment.saturation(one, KEY), one, atol=1e-7)


def test_contrast_scales_the_distance_from_the_mean():
  image = np.float64(IMAGES[0])
  expected = image.mean() + uniform(KEY, 0.5, 1.5) * (image - image.mean())
  np.testing.assert_allclose(
    diffaugment.contrast(IMAGES[0], KEY), expected, atol=1e-6
  )


@pytest.mark.parametrize('offset', [(0, 0), (2, -3), (-8, 1), (9, 0)])
def test_a_shift_moves_whole_pixels_and_lets_zeros_in(offset):
  down, right = offset
  expected = np.zeros_like(IMAGES[0])
  for i in range(8):
    for j in range(10):
      if 0 <= i - down < 8 and 0 <= j - right < 10:
        expected[i, j] = IMAGES[0, i - down, j - right]
  np.testing.assert_array_equal(
    diffaugment.shift(IMAGES[0], jnp.array(offset)), expected
  )


def test_translations_reach_an_eighth_and_no_further():
  image = np.zeros((32, 32, 1), np.float32)
  image[16, 16] = 1.0
  keys = jax.random.split(jax.random.key(0), 500)
  moved = jax.vmap(lambda key: diffaugment.translation(image, key))(keys)
  rows, columns = np.nonzero(np.asarray(moved)[..., 0])[1:]
  assert set(rows - 16) == set(columns - 16) == set(range(-4, 5))


def test_cutout_is_half_of_each_side_and_cut_at_the_edge():
  image = np.ones((32, 24, 2), np.float32)
  keys = jax.random.split(jax.random.key(0), 300)
  cut = np.asarray(jax.vmap(lambda key: diffaugment.cutout(image, key))(keys))
  holes = cut[..., 0] == 0
  np.testing.assert_array_equal(holes, cut[..., 1] == 0)
  heights = holes.any(axis=2).sum(axis=1)
  widths = holes.any(axis=1).sum(axis=1)
  np.testing.assert_array_equal(holes.sum(axis=(1, 2)), heights * widths)
  # Whole in the middle, half where the centre is on the edge.
  assert (heights.min(), heights.max()) == (8, 16)
  assert (widths.min(), widths.max()) == (6, 12)


@pytest.mark.slow
def test_every_image_has_a_draw_of_its_own_and_gradients_pass():
  policy = ('colour', 'translation', 'cutout')
  same = np.repeat(IMAGES[:1], 6, axis=0)
  changed = diffaugment.diffaugment(same, KEYS, policy)
  assert len(np.unique(np.asarray(changed).reshape(6, -1), axis=0)) == 6
  # Given its draws it is affine in the image, so a slope is a difference.
  weights = np.float32(RNG.normal(size=same.shape))

  @jax.jit
  def value(images):
    return jnp.sum(weights * diffaugment.diffaugment(images, KEYS, policy))

  slope = jnp.vdot(jax.jit(jax.grad(value))(IMAGES), same - IMAGES)
  np.testing.assert_allclose(value(same) - value(IMAGES), slope, rtol=1e-4)


def test_an_unknown_policy_is_refused():
  with pytest.raises(InputError, match="augment_policy: unknown name 'foo'"):
    diffaugment.diffaugment(IMAGES, KEYS, ('foo',))

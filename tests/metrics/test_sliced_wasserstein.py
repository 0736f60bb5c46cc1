"""Sliced Wasserstein distances against closed forms and SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter
from scipy.special import gamma
from scipy.stats import wasserstein_distance

from gan_jax.metrics import sliced_wasserstein as module
from gan_jax.metrics.sliced_wasserstein import (
  directions,
  laplacian_pyramid,
  num_levels,
  sliced_wasserstein,
  sliced_wasserstein_images,
)
from gan_jax.theory.divergences import wasserstein_1d_of_samples
from gan_jax.types import InputError


def normals(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape)


def mean_projection(dimension):
  """E|<u, e>| of a uniform unit vector u."""
  return gamma(dimension / 2) / (np.sqrt(np.pi) * gamma((dimension + 1) / 2))


@pytest.mark.parametrize('dimension', [1, 2, 30])
def test_directions_are_uniform_and_unit(dimension):
  units = directions(20_000, dimension, 0)
  np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, rtol=1e-6)
  # Each component has mean 0 and variance 1 / D; within 5 standard errors.
  assert np.abs(units.mean(axis=0)).max() < 5 / np.sqrt(20_000 * dimension)
  np.testing.assert_allclose(
    np.abs(units).mean(axis=0), mean_projection(dimension), rtol=0.04
  )


def test_shift_is_its_mean_projection():
  """A set against itself moved by m, for which W1 along u is |<u, m>|."""
  x, shift = normals(0, 50, 6), np.array([3.0, 0, -4, 0, 0, 0])
  found = sliced_wasserstein(x, x + shift, num_projections=20_000, seed=0)
  units = directions(20_000, 6, 0).astype(np.float64)
  np.testing.assert_allclose(found, np.abs(units @ shift).mean(), rtol=1e-5)
  # The standard error over directions is .5 % of the mean.
  np.testing.assert_allclose(found, 5 * mean_projection(6), rtol=0.02)


def test_gaussians_with_shifted_means():
  """Independent samples: noise adds under 1 % at this shift."""
  shift = 5 * np.eye(8)[2]
  found = sliced_wasserstein(
    normals(0, 8_000, 8), normals(1, 6_000, 8) + shift, seed=0
  )
  np.testing.assert_allclose(found, 5 * mean_projection(8), rtol=0.06)


@pytest.mark.parametrize(
  ('num', 'other'), [(1, 1), (1, 7), (40, 40), (40, 60), (31, 64), (90, 30)]
)
def test_scipy_on_each_projection(num, other):
  x, y = normals(0, num, 5), 2 * normals(1, other, 5) + 0.5
  units = directions(16, 5, 3).astype(np.float64)
  exact = [wasserstein_distance(x @ u, y @ u) for u in units]
  found = sliced_wasserstein(x, y, num_projections=16, seed=3)
  np.testing.assert_allclose(found, np.mean(exact), rtol=1e-5)


def test_one_dimension_is_the_distance_on_a_line():
  x, y = normals(0, 31, 1), normals(1, 20, 1) - 1
  exact = wasserstein_1d_of_samples(jnp.asarray(x[:, 0]), jnp.asarray(y[:, 0]))
  found = sliced_wasserstein(x, y, num_projections=2, seed=0)
  np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_equal_sets_give_zero():
  x = normals(0, 40, 5)
  assert sliced_wasserstein(x, x[::-1], seed=0) < 1e-7
  # Each vector twice is the same distribution.
  assert sliced_wasserstein(x, np.repeat(x, 2, axis=0), seed=0) < 1e-7


def test_symmetric_and_deterministic():
  x, y = normals(0, 40, 5), normals(1, 30, 5)
  value = sliced_wasserstein(x, y, seed=0)
  np.testing.assert_allclose(value, sliced_wasserstein(y, x, seed=0), rtol=1e-6)
  assert value == sliced_wasserstein(x, y, seed=0)
  assert value != sliced_wasserstein(x, y, seed=1)


def test_far_from_the_origin():
  """Where float32 projections of what is far would round what is small."""
  x, y = normals(0, 40, 5), normals(1, 30, 5)
  value = sliced_wasserstein(x, y, seed=0)
  moved = sliced_wasserstein(x + 1e5, y + 1e5, seed=0)
  np.testing.assert_allclose(moved, value, rtol=1e-5)


@pytest.mark.parametrize('chunk_size', [1, 70, 500, 10**6])
def test_chunks_change_nothing(chunk_size):
  x, y = normals(0, 40, 5), normals(1, 30, 5)
  kwargs = dict(num_projections=50, seed=0)
  np.testing.assert_allclose(
    sliced_wasserstein(x, y, chunk_size=chunk_size, **kwargs),
    sliced_wasserstein(x, y, **kwargs),
    rtol=1e-6,
  )


# --- Patches of a Laplacian pyramid -----------------------------------------


def textures(seed, num, side, channels=1):
  """Smooth blobs with sharp edges, as uint8."""
  shape = num, side, side, channels
  fields = gaussian_filter(normals(seed, *shape), (0, 3, 3, 0))
  return np.where(fields > 0, 200, 60).astype(np.uint8)


@pytest.mark.parametrize('shape', [(32, 32, 3), (28, 28, 1), (37, 22, 1)])
def test_pyramid_reconstructs_the_image(shape):
  images = np.random.default_rng(0).integers(0, 256, (2, *shape))
  pyramid = laplacian_pyramid(images, 3)
  restored = pyramid[-1]
  for level in pyramid[-2::-1]:
    restored = level + module._enlarged(restored, level.shape)
  np.testing.assert_allclose(restored, images, atol=1e-3)
  assert [level.shape[1] for level in pyramid] == [
    shape[0],
    (shape[0] + 1) // 2,
    ((shape[0] + 1) // 2 + 1) // 2,
  ]


def test_pyramid_against_two_dimensional_filters():
  """In float64, with the 5x5 filter of the published code."""
  image = np.random.default_rng(0).integers(0, 256, (32, 32)) * 1.0
  line = np.array([1, 4, 6, 4, 1]) / 16
  kernel = np.outer(line, line)
  coarse = convolve(image, kernel, mode='mirror')[::2, ::2]
  zeros = np.zeros_like(image)
  zeros[::2, ::2] = coarse
  fine = image - convolve(zeros, 4 * kernel, mode='mirror')
  pyramid = laplacian_pyramid(image[None, :, :, None], 2)
  np.testing.assert_allclose(pyramid[0][0, ..., 0], fine, atol=1e-3)
  np.testing.assert_allclose(pyramid[1][0, ..., 0], coarse, rtol=1e-5)


def test_levels_of_a_constant_are_empty():
  """All but the last one, at the borders too."""
  pyramid = laplacian_pyramid(np.full((1, 33, 32, 1), 7), 3)
  np.testing.assert_array_equal(pyramid[0], 0)
  np.testing.assert_array_equal(pyramid[1], 0)
  np.testing.assert_array_equal(pyramid[2], 7)


def test_levels():
  assert [num_levels(n, 300) for n in (8, 28, 32, 64, 128)] == [1, 1, 2, 3, 4]


def small(real, fake, **kwargs):
  keys = dict(num_patches=16, num_projections=64, seed=0) | kwargs
  return sliced_wasserstein_images(real, fake, **keys)


@pytest.mark.parametrize('side', [7, 28])
def test_one_level_is_the_distance_of_normalised_patches(side, monkeypatch):
  """At 7 pixels an image is its only patch; at 28 the patches are seen."""
  real, fake = (
    np.random.default_rng(s).integers(0, high, (20, side, side, 3))
    for s, high in ((0, 256), (1, 99))
  )
  real, fake = real.astype(np.uint8), (fake**2 // 99).astype(np.uint8)
  seen = []
  distance = module._mean_distance

  def spy(x, y, units):
    seen.extend((x, y))
    return distance(x, y, units)

  monkeypatch.setattr(module, '_mean_distance', spy)
  values = small(real, fake, num_patches=1 if side == 7 else 16)
  if side == 7:
    for patches, images in zip(seen, (real, fake), strict=True):
      off = images - images.mean(axis=(0, 1, 2))
      off = (off / images.std(axis=(0, 1, 2))).transpose(0, 3, 1, 2)
      np.testing.assert_allclose(patches, off.reshape(20, -1), atol=1e-5)
  for patches in seen:
    channels = patches.reshape(len(patches), 3, 49)
    np.testing.assert_allclose(channels.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(channels.std(axis=(0, 2)), 1, rtol=1e-5)
  monkeypatch.undo()
  exact = sliced_wasserstein(*seen, num_projections=64, seed=0)
  np.testing.assert_allclose(values[str(side)], 1e3 * exact, rtol=1e-5)


def test_patches_lie_anywhere_in_their_image():
  """Each pixel of a 9x8 image is in some patch, and patches are contiguous."""
  images = np.arange(72, dtype=np.uint8).reshape(1, 9, 8, 1)
  patches = module._descriptors(images, 0, 1, 400, np.random.default_rng(0))
  scale = 1 / (patches[0, 1] - patches[0, 0])
  steps = (patches - patches[:, :1]) * scale
  square = (np.arange(7)[:, None] * 8 + np.arange(7)).ravel()
  np.testing.assert_allclose(steps, np.tile(square, (400, 1)), atol=0.01)
  corners = np.unique(np.round((patches[:, 0] - patches.min()) * scale))
  np.testing.assert_array_equal(corners, [0, 1, 8, 9, 16, 17])


@pytest.mark.parametrize('level', [0, 1, 2])
def test_patches_are_of_their_level(level):
  images = textures(0, 4, 64, 3)
  of_level = laplacian_pyramid(images, 3)[level]
  np.testing.assert_allclose(
    module._descriptors(images, level, 3, 8, np.random.default_rng(0)),
    module._descriptors(of_level, 0, 1, 8, np.random.default_rng(0)),
    atol=1e-5,
  )


def test_images_symmetric_zero_and_deterministic():
  real, fake = textures(0, 40, 32, 3), textures(1, 30, 32, 3)
  values = small(real, fake)
  assert list(values) == ['32', '16', 'mean']
  assert values['mean'] == (values['32'] + values['16']) / 2
  assert values == small(real, fake) != small(real, fake, seed=1)
  swapped = small(fake, real)
  for name, value in values.items():
    np.testing.assert_allclose(swapped[name], value, rtol=1e-5)
  assert set(small(real, real).values()) == {0.0}


@pytest.mark.parametrize('spoil', ['noise', 'blur'])
def test_what_spoils_details_raises_the_finest_level_most(spoil):
  real, other = textures(0, 60, 64), textures(1, 60, 64)
  if spoil == 'noise':
    spoilt = other + normals(2, *other.shape) * 20
  else:
    spoilt = gaussian_filter(other.astype(float), (0, 1, 1, 0))
  good = small(real, other)
  bad = small(real, spoilt.astype(np.uint8))
  rises = [bad[level] - good[level] for level in ('64', '32', '16')]
  assert rises[0] > 3 * max(rises[1:])
  assert bad['64'] > 1.4 * good['64']


def test_constant_images():
  """They have no standard deviation to divide by."""
  black = np.zeros((3, 28, 28, 1), np.uint8)
  assert small(black, black + 9)['mean'] == 0.0
  assert small(black, textures(0, 3, 28))['mean'] > 0


def test_at_most_so_many_images(monkeypatch):
  """A random subset of a set, not its first images."""
  monkeypatch.setattr(module, '_NUM_IMAGES', 10)
  images = np.concatenate([textures(0, 10, 28), 0 * textures(1, 30, 28)])
  assert small(images, images)['mean'] == 0.0
  assert small(images, images[:10])['mean'] > small(images, images[:20])['mean']


@pytest.mark.parametrize(
  ('real', 'fake', 'message'),
  [
    (np.ones((0, 3)), np.ones((2, 3)), 'real: .* not empty'),
    (np.ones((2, 3)), np.ones(3), r'fake: vectors of shape \(3,\)'),
    (np.ones((2, 3)), np.ones((2, 4)), 'real 3, fake 4'),
    (np.ones((2, 3)), np.full((2, 3), np.nan), 'fake: .* not finite'),
  ],
)
def test_refusals(real, fake, message):
  with pytest.raises(InputError, match=message):
    sliced_wasserstein(real, fake, seed=0)


def test_refusals_of_images():
  images = textures(0, 3, 28)
  with pytest.raises(InputError, match='fake: 0 images'):
    small(images, images[:0])
  with pytest.raises(InputError, match='differ in shape'):
    small(images, images[:, :9])
  with pytest.raises(InputError, match='6x28; patches need 7 pixels'):
    small(images[:, :6], images[:, :6])
  with pytest.raises(InputError, match='num_patches: 0'):
    small(images, images, num_patches=0)
  with pytest.raises(InputError, match='num_projections: 0'):
    small(images, images, num_projections=0)
  with pytest.raises(InputError, match='num_projections: 0'):
    sliced_wasserstein(
      np.ones((2, 2)), np.ones((2, 2)), seed=0, num_projections=0
    )

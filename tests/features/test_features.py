"""Feature networks: batches, devices, custom functions, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import features
from gan_jax.features.classifier import random_network
from gan_jax.features.network import digest_variables
from gan_jax.storage import cache
from gan_jax.types import InputError


def some_images(num=23, shape=(8, 8, 1), seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (num, *shape)).astype(np.uint8)


def run(network, images, **keys):
  parts = list(features.extract(network, features.image_set(images), **keys))
  np.testing.assert_array_equal(
    np.concatenate([batch for batch, _ in parts]), images
  )
  return np.concatenate([out['features'] for _, out in parts])


@pytest.fixture(scope='module')
def network():
  return random_network((8, 8, 1))


def test_features_do_not_depend_on_the_batch_size(network):
  images = some_images()
  whole = run(network, images, batch_size=32)
  assert whole.shape == (23, 64 + 3 * 16)
  assert whole.std() > 1e-3
  for size in (1, 5, 23):
    np.testing.assert_allclose(
      run(network, images, batch_size=size), whole, rtol=1e-5, atol=1e-6
    )


def test_four_devices_are_one(network):
  images = some_images()
  devices = jax.local_devices()
  assert len(devices) == 4
  np.testing.assert_allclose(
    run(network, images, batch_size=10, devices=devices),
    run(network, images, batch_size=10),
    rtol=1e-5,
    atol=1e-6,
  )


def test_deterministic(network):
  images = some_images()
  np.testing.assert_array_equal(run(network, images), run(network, images))
  again = random_network((8, 8, 1))
  assert again.digest == network.digest
  assert random_network((8, 8, 1), seed=1).digest != network.digest


def test_any_function_is_a_network():
  def means(images):
    return jnp.mean(images.astype(jnp.float32), axis=(1, 2))

  images = some_images(shape=(4, 6, 3))
  network = features.from_callable(means, 'means', digest='v1')
  np.testing.assert_allclose(
    run(network, images), images.mean(axis=(1, 2)), rtol=1e-5
  )
  assert (network.name, network.digest) == ('means', 'v1')


def test_channels_must_match(network):
  with pytest.raises(InputError, match=r'random takes .* 1 channels.* have 3'):
    run(network, some_images(shape=(8, 8, 3)))


def test_features_that_are_not_finite_are_named():
  def broken(images):
    x = images[:, :2, 0, 0].astype(jnp.float32)
    return jnp.where(
      jnp.sum(images, axis=(1, 2, 3), keepdims=True)[:, 0, 0] == 0, jnp.nan, x
    )

  images = some_images() | 1
  images[17] = 0
  network = features.from_callable(broken, 'broken')
  with pytest.raises(InputError, match=r'broken gives NaN .* for image 17'):
    run(network, images, batch_size=4)


@pytest.mark.parametrize(
  ('images', 'message'),
  [
    (np.full((2, 4, 4, 1), np.nan), 'NaN or infinite pixels'),
    (np.zeros((2, 4, 4, 1), np.float32), r'float32 \(2, 4, 4, 1\); uint8'),
    (np.zeros((2, 4, 4), np.uint8), 'uint8 .N, H, W, C. with N'),
    (np.zeros((0, 4, 4, 1), np.uint8), 'N of at least 1'),
  ],
)
def test_images_of_another_kind_are_refused(images, message):
  with pytest.raises(InputError, match=message):
    features.image_set(images)


def test_digests_see_names_shapes_and_bits():
  tree = {'a': np.zeros(2, np.float32), 'b': np.ones(2, np.float32)}
  digests = {
    digest_variables(other)
    for other in (
      tree,
      {'a': tree['b'], 'b': tree['a']},
      {'a': tree['a'], 'c': tree['b']},
      {'a': tree['a'][None], 'b': tree['b']},
      {'a': tree['a'].astype(np.float64), 'b': tree['b']},
    )
  }
  assert len(digests) == 5
  assert cache.digest_of({'x': 1, 'y': 2}) == cache.digest_of({'y': 2, 'x': 1})


def test_kept_trees_come_back_and_damage_is_noticed(tmp_path):
  tree = {'a': np.arange(3.0), 'b': {'c': np.ones((2, 2), np.float32)}}
  path = tmp_path / 'x.npz'
  assert cache.load_leaves(path, tree) is None
  cache.save_leaves(path, tree, note=np.array(7))
  found, fields = cache.load_leaves(path, tree)
  jax.tree.map(np.testing.assert_array_equal, found, tree)
  assert fields['note'] == 7
  assert cache.load_leaves(path, {'a': np.arange(4.0), 'b': tree['b']}) is None
  assert cache.load_leaves(path, {'z': np.arange(3.0)}) is None
  path.write_bytes(path.read_bytes()[:-40])
  assert cache.load_arrays(path) is None

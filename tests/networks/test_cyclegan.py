"""CycleGAN's networks: published sizes, geometry, and what is refused."""

import math

import jax
import numpy as np
import pytest

from gan_jax.networks import TRANSLATORS, make_translators, network_keys
from gan_jax.networks.cyclegan import Generator
from gan_jax.networks.style import Style
from gan_jax.types import Column, InputError
from tests.helpers import task_of


def pairs_of(shape=(32, 32, 3), other=None, **keys):
  task = task_of(shape)._replace(given={'other': Column(other or shape)})
  return make_translators('cyclegan', task, **keys)


def num_params(network, images):
  variables = jax.eval_shape(
    lambda: network.init(jax.random.key(0), images, train=False)
  )
  return sum(math.prod(p.shape) for p in jax.tree.leaves(variables['params']))


def gen_size(blocks, width=64, channels=3):
  """7x7 in and out, two halvings and back, two 3x3 in each block; biases."""
  wide = 4 * width
  total = 49 * channels * width + width + 49 * width * channels + channels
  for i, o in ((width, 2 * width), (2 * width, wide)):
    total += 9 * i * o + o  # there
    total += 9 * i * o + i  # and back
  return total + 2 * blocks * (9 * wide * wide + wide)


@pytest.mark.parametrize(
  ('size', 'blocks', 'published'), [(256, 9, 11_378_179), (128, 6, 7_837_699)]
)
def test_sizes_of_g_are_the_published_ones(size, blocks, published):
  shape = (size, size, 3)
  images = np.zeros((1, *shape), np.float32)
  for network in pairs_of(shape).gen.values():
    assert num_params(network, images) == gen_size(blocks) == published


@pytest.mark.parametrize(
  ('layers', 'published'), [(3, 2_764_737), (2, 662_977), (1, 136_385)]
)
def test_sizes_of_d_are_the_published_ones(layers, published):
  images = np.zeros((1, 64, 64, 3), np.float32)
  for network in pairs_of((64, 64, 3), disc_layers=layers).disc.values():
    assert num_params(network, images) == published


@pytest.mark.slow
def test_each_g_makes_images_of_its_own_domain():
  pairs = pairs_of(
    (16, 20, 1), (16, 20, 3), gen_width=2, blocks=1, disc_layers=1
  )
  for way, channels in (('forward', 1), ('backward', 3)):
    images = np.ones((2, 16, 20, 4 - channels), np.float32)
    network = pairs.gen[way]
    found, _ = network.init_with_output(jax.random.key(0), images, train=False)
    assert found.shape == (2, 16, 20, channels)
    assert np.abs(found).max() <= 1


def test_halving_and_doubling_keep_places():
  """With equal weights, what a dot changes is centred on it."""
  network = Generator(1, 1, 0, Style('relu'))
  images = np.zeros((1, 32, 32, 1), np.float32)
  variables = network.init(jax.random.key(0), images, train=False)
  equal = jax.tree.map(lambda x: np.full(x.shape, 0.01), variables)
  before = network.apply(equal, images, train=False)
  dotted = images.copy()  # what runs may still read `images`
  dotted[0, 16, 12] = 1.0
  change = np.asarray(network.apply(equal, dotted, train=False) - before)[0]
  for axis, place in ((1, 16), (0, 12)):
    along = change[..., 0].sum(axis=axis)
    centre = (along * np.arange(32)).sum() / along.sum()
    assert abs(centre - place) <= 0.5


@pytest.mark.parametrize(
  ('shape', 'other', 'keys', 'line'),
  [
    ((30, 32, 3), None, {}, 'data.image_size: cyclegan .* multiples of 4'),
    ((8, 8, 1), None, {}, 'data.image_size: cyclegan .* 16 pixels or more'),
    ((32, 32, 3), (16, 16, 3), {}, 'given: the other domain has 16 x 16'),
    ((32, 32, 1), None, {'disc_layers': 5}, 'network.disc_layers: 5'),
    ((32, 32, 1), None, {'gen_norm': 'virtual'}, 'network.gen_norm: unknown'),
    ((32, 32, 1), None, {'blocks': 0}, 'network.blocks: 0 is no whole number'),
  ],
)
def test_what_cannot_be_is_refused(shape, other, keys, line):
  with pytest.raises(InputError, match=line):
    pairs_of(shape, other, **keys)


def test_it_wants_another_domain():
  with pytest.raises(InputError, match=r'given: cyclegan .* set given=other'):
    make_translators('cyclegan', task_of((32, 32, 1)))


def test_its_keys():
  assert {'blocks', 'disc_layers', 'disc_norm', 'gen_norm', 'gen_width'} <= set(
    network_keys('cyclegan', TRANSLATORS)
  )

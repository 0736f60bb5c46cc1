"""Maps of fixed networks by name, and distances in them."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import lpips, maps, mobilenet
from gan_jax.features.classifier_training import RECIPE, make_module
from gan_jax.storage.cache import save_leaves
from gan_jax.types import InputError
from tests.features.test_lpips import random_state
from tests.features.test_mobilenet import random_state as mobilenet_state

X = np.random.default_rng(0).uniform(-1, 1, (2, 40, 36, 3)).astype(np.float32)


@pytest.fixture(scope='module')
def alexnet(tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'alexnet.npz'
  np.savez(path, **random_state('AlexNet'))
  return path


def test_maps_of_alexnet_by_name(alexnet):
  of = maps.load('lpips', str(alexnet))
  assert of.name == 'AlexNet'
  assert of.layers[:3] == ('conv1', 'relu1', 'conv2')
  assert of.layers[-1] == 'relu5'
  found = of.apply(X, ['relu3', 'conv3', 'relu1'])
  variables = lpips.convert(random_state('AlexNet'))
  expected = lpips.activations(variables, X)
  np.testing.assert_array_equal(found[0], expected[0])  # in their order
  np.testing.assert_array_equal(found[2], expected[2])
  assert float(found[1].min()) < 0
  np.testing.assert_array_equal(jax.nn.relu(found[1]), found[2])


def test_layers_of_vgg_have_its_names():
  shapes = {
    name: np.zeros(shape, np.float32)
    for name, shape in lpips.layout('VGG-16').items()
  }
  names = lpips.layer_names(lpips.convert(shapes))
  assert names[:4] == ['relu1_1', 'relu1_2', 'relu2_1', 'relu2_2']
  assert names[4:7] == ['relu3_1', 'relu3_2', 'relu3_3']
  assert names[-1] == 'relu5_3'
  assert [names[tap] for tap in lpips.BACKBONES['VGG-16'].taps] == [
    *('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')
  ]


@pytest.mark.slow
def test_the_last_map_of_mobilenet_has_its_features(tmp_path, monkeypatch):
  state = mobilenet_state()
  variables = mobilenet.convert(state)
  monkeypatch.setattr(maps, 'load_mobilenet', lambda path: (variables, ''))
  of = maps._of_mobilenet('')
  (last,) = of.apply(X, [of.layers[-1]])
  expected = mobilenet.forward(variables, X)['features']
  np.testing.assert_allclose(last.mean(axis=(1, 2)), expected, rtol=1e-5)
  first, third = of.apply(X[..., :1], ['block3', 'block0'])
  assert first.shape == (2, 20, 18, 32)
  assert third.shape == (2, 10, 9, 128)


def test_maps_of_a_classifier_have_its_features(tmp_path):
  module = make_module(RECIPE, 3)
  variables = module.init(jax.random.key(0), jnp.zeros((1, 12, 12, 3)))
  path = tmp_path / 'classifier.npz'
  save_leaves(path, variables)
  of = maps.load('classifier', str(path))
  x = X[:, :12, :12]
  second, last = of.apply(x, ['relu2', 'relu4'])
  features, _ = module.apply(variables, x)
  found = np.concatenate([m.mean(axis=(1, 2)) for m in (second, last)], axis=1)
  np.testing.assert_allclose(found, features[:, : found.shape[1]], rtol=1e-5)


@pytest.mark.parametrize('kind', ['l1', 'l2'])
def test_distances_are_means_over_a_map(alexnet, kind):
  of = maps.load('lpips', str(alexnet))
  one, other = (of.apply(x, ['conv2'])[0] for x in (X, -X))
  expected = {
    'l1': np.abs(one - other).mean(),
    'l2': ((one - other) ** 2).mean(),
  }
  distance = maps.make_distance(of, 'conv2', kind)
  np.testing.assert_allclose(distance(X, -X), expected[kind], rtol=1e-5)
  assert float(distance(X, X)) == 0


@pytest.mark.slow
def test_lpips_is_its_own_distance(alexnet):
  of = maps.load('lpips', str(alexnet))
  distance = maps.make_distance(of, '', 'lpips')
  variables = lpips.convert(random_state('AlexNet'))
  expected = lpips.lpips(variables, X, -X).mean()
  np.testing.assert_allclose(distance(X, -X), expected, rtol=1e-6)
  grads = jax.grad(distance)(jnp.asarray(X), -X)
  assert np.isfinite(grads).all()
  assert np.abs(grads).max() > 0


def test_another_file_is_read_again(tmp_path, alexnet):
  path = tmp_path / 'weights.npz'
  path.write_bytes(alexnet.read_bytes())
  first = maps.load('lpips', str(path))
  assert maps.load('lpips', str(path)) is first
  state = random_state('AlexNet')
  state['AlexNet_0.Conv_0.bias'] += 1
  np.savez(path, **state)
  os.utime(path, ns=(1, 1))
  second = maps.load('lpips', str(path))
  assert (
    np.abs(second.apply(X, ['relu1'])[0] - first.apply(X, ['relu1'])[0]).max()
    > 0.1
  )


@pytest.mark.parametrize(
  ('network', 'line'),
  [
    ('vgg', r"perceptual.network: unknown name 'vgg'; valid: .*lpips"),
    ('lpips', r'perceptual.weights: LPIPS is read from a file; .*=PATH'),
    ('classifier', r'perceptual.weights: no file is not a classifier'),
  ],
)
def test_what_is_not_there_is_named(network, line):
  with pytest.raises(InputError, match=line):
    maps.load(network, '')


def test_what_a_network_lacks_is_named(alexnet):
  of = maps.load('lpips', str(alexnet))
  for layer, kind, line in (
    ('relu9', 'l2', r"perceptual.layer: AlexNet has no layer 'relu9'; .*relu5"),
    ('relu1', 'lpips', r'perceptual.layer: relu1 is one of the five'),
    ('', 'l3', r"perceptual.distance: unknown name 'l3'; valid: l1, l2, lpips"),
  ):
    with pytest.raises(InputError, match=line):
      maps.make_distance(of, layer, kind)
  with pytest.raises(InputError, match=r'distance: lpips is of network=lpips'):
    maps.make_distance(of._replace(distance=None), '', 'lpips')

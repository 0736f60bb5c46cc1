"""MobileNet v1 against plain NumPy, and its weight file."""

import hashlib
import os
import pathlib

import jax
import numpy as np
import pytest

from gan_jax.features import mobilenet, weights
from gan_jax.features.network import extract, image_set
from gan_jax.features.published import mobilenet_network
from gan_jax.features.weights import MOBILENET_FILE_NAME, load_mobilenet
from gan_jax.types import InputError
from tests.helpers import ROOT

BLOCKS = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]  # strides, table 1


def random_state():
  """A weight file's content with random values at a trained network's scale."""
  rng = np.random.default_rng(0)
  arrays = {}
  for name, shape in mobilenet.layout().items():
    if name.endswith('weights'):
      fan_in = np.prod(shape[:2]) * (1 if 'depthwise' in name else shape[2])
      array = rng.normal(0, np.sqrt(2 / fan_in), shape)
    elif name.endswith(('gamma', 'variance')):
      array = rng.uniform(0.8, 2.0, shape)
    else:
      array = rng.normal(0, 0.5, shape)
    arrays[name] = array.astype(np.float32)
  return arrays


@pytest.fixture(scope='module')
def state():
  return random_state()


@pytest.fixture
def source(state, tmp_path):
  """That file, and its hash."""
  return saved(tmp_path / 'net.npz', state)


def saved(path, arrays):
  np.savez(path, **arrays)
  return path, hashlib.sha256(path.read_bytes()).hexdigest()


# --- Against NumPy ----------------------------------------------------------


def patches(x, stride):
  """3x3 patches `[B, h', w', 3, 3, C]`, padded as TensorFlow's SAME."""
  pads = []
  for size in x.shape[1:3]:
    total = max((-(-size // stride) - 1) * stride + 3 - size, 0)
    pads.append((total // 2, total - total // 2))
  x = np.pad(x, [(0, 0), *pads, (0, 0)])
  x = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
  return np.moveaxis(x[:, ::stride, ::stride], 3, -1)


def reference(state, x):
  """Float64, batch norms as they are in the file; one array for each layer."""
  state = {name: np.float64(array) for name, array in state.items()}
  layers = []

  def norm(x, layer):
    gamma, beta, mean, variance = (
      state[f'{layer}.BatchNorm.{part}']
      for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')
    )
    x = gamma * (x - mean) / np.sqrt(variance + 0.001) + beta
    layers.append(np.minimum(np.maximum(x, 0), 6))
    return layers[-1]

  x = np.einsum('bhwijc,ijcd->bhwd', patches(x, 2), state['Conv2d_0.weights'])
  x = norm(x, 'Conv2d_0')
  for i, stride in enumerate(BLOCKS, 1):
    layer = f'Conv2d_{i}_depthwise'
    kernel = state[f'{layer}.depthwise_weights'][..., 0]
    x = norm(np.einsum('bhwijc,ijc->bhwc', patches(x, stride), kernel), layer)
    layer = f'Conv2d_{i}_pointwise'
    x = norm(x @ state[f'{layer}.weights'][0, 0], layer)
  features, name = x.mean(axis=(1, 2)), 'Logits.Conv2d_1c_1x1'
  logits = features @ state[f'{name}.weights'][0, 0] + state[f'{name}.biases']
  return layers, features, logits


def check_outputs(state, x):
  layers, features, logits = reference(state, x)
  found = jax.jit(mobilenet.forward)(mobilenet.convert(state), np.float32(x))
  for name, expected in (('features', features), ('logits', logits)):
    difference = np.abs(found[name] - expected).max()
    assert difference < 1e-4 * np.abs(expected).max(), name
  return layers


def test_the_network_is_that_of_the_paper(state):
  x = np.random.default_rng(1).uniform(-1, 1, (2, 64, 64, 3))
  layers = check_outputs(state, x)
  assert len(layers) == 27
  assert layers[-1].shape == (2, 2, 2, 1024)
  # Both bounds of ReLU6 are met throughout.
  assert all(0.05 < (layer == 0).mean() < 0.8 for layer in layers)
  assert all((layer == 6).mean() > 1e-4 for layer in layers[:9])
  # 4.2 million in table 8; of 1,000 classes the paper has.
  assert sum(x.size for x in state.values()) == 4_253_864 + 1_025


@pytest.mark.slow  # NumPy takes its time with 224 pixels
def test_parity_at_full_size(state):
  images = np.random.default_rng(2).integers(0, 256, (1, 224, 224, 3))
  x = images / 127.5 - 1
  _, features, logits = reference(state, x)
  found = mobilenet.apply(mobilenet.convert(state), np.uint8(images))
  for name, expected in (('features', features), ('logits', logits)):
    np.testing.assert_allclose(
      found[name], expected, atol=1e-4 * np.abs(expected).max()
    )


def test_images_become_rgb_of_224_pixels(monkeypatch):
  """Grey is repeated; pixels have centres, and shrinking takes means."""
  monkeypatch.setattr(mobilenet, 'forward', lambda variables, x: x)
  two = np.array([[0, 255]], np.uint8).reshape(1, 1, 2, 1)
  row = np.asarray(mobilenet.apply({}, two))
  assert row.shape == (1, 224, 224, 3)
  np.testing.assert_array_equal(row[..., 0], row[..., 2])
  middles = (np.arange(224) + 0.5) / 112 - 0.5
  expected = 2 * np.clip(middles, 0, 1) - 1
  np.testing.assert_allclose(row[0, 7, :, 1], expected, atol=1e-5)
  board = np.indices((448, 448)).sum(axis=0) % 2 * 254
  board = np.uint8(board)[None, ..., None]
  inner = np.asarray(mobilenet.apply({}, board))[0, 1:-1, 1:-1]
  np.testing.assert_allclose(inner, 127 / 127.5 - 1, atol=1e-5)


# --- Its file ---------------------------------------------------------------


def test_a_network_says_what_it_is(source):
  path, digest = source
  network = mobilenet_network(str(path), sha256=digest[:8].upper())
  assert (network.name, network.digest) == ('mobilenet', digest)
  assert network.classes == ()
  assert network.channels == (1, 3)
  assert network.resize == '224 x 224, bilinear, smoothed when shrinking'


def refused(*args, **keys):
  with pytest.raises(InputError) as caught:
    load_mobilenet(*args, **keys)
  message = str(caught.value)
  assert message.startswith('eval.weights: ')
  assert '\n' not in message
  return message


def test_another_file_is_named(source, tmp_path):
  path, digest = source
  message = refused(str(path))
  assert f'{path} has SHA-256 {digest}, not {weights.MOBILENET_SHA256}' in (
    message
  )
  assert 'of MobileNet' in message
  path.write_bytes(b'nothing')
  sha256 = hashlib.sha256(b'nothing').hexdigest()
  assert 'is no .npz file' in refused(str(path), sha256=sha256)
  assert 'cannot read' in refused(str(tmp_path / 'gone.npz'))
  assert 'name MobileNet v1' in refused(str(tmp_path))


def test_without_a_file_it_is_said_where_it_belongs(source, tmp_path):
  cache = tmp_path / 'cache'
  message = refused(cache_dir=cache)
  assert str(cache / MOBILENET_FILE_NAME) in message
  assert 'eval.weights=PATH' in message
  path, digest = source
  cache.mkdir()
  path.rename(cache / MOBILENET_FILE_NAME)
  assert load_mobilenet(sha256=digest, cache_dir=cache)[1] == digest


KEY = 'Conv2d_5_pointwise.weights'
FAULTS = {
  'found nothing': lambda state: state.pop(KEY),
  r'found float32 \(256, 256\)': lambda state: state.update(
    {KEY: state[KEY][0, 0]}
  ),
  'found float64': lambda state: state.update({KEY: np.float64(state[KEY])}),
  'NaN or infinite': lambda state: state.update({KEY: np.nan * state[KEY]}),
}


@pytest.mark.parametrize('words', FAULTS)
def test_an_array_that_is_not_its_own_is_named(state, words):
  state = dict(state)
  FAULTS[words](state)
  with pytest.raises(InputError, match=rf'^{KEY}: .*{words}'):
    mobilenet.convert(state)


def test_a_file_of_another_network_is_named(state, tmp_path):
  path, digest = saved(tmp_path / 'more.npz', state | {'Conv2d_99': [1.0]})
  message = refused(str(path), sha256=digest)
  assert f'{path} is not MobileNet v1' in message
  assert 'Conv2d_99' in message


# --- The published file -----------------------------------------------------


@pytest.fixture(scope='module')
def published():
  """The path of the published file, where this machine has it."""
  places = [
    pathlib.Path(os.environ.get('GAN_JAX_MOBILENET', 'nowhere')),
    ROOT.parent / 'shared/data/mobilenet_v1' / MOBILENET_FILE_NAME,
  ]
  for path in places:
    if path.is_file():
      return path
  pytest.skip('the published weights are not here; GAN_JAX_MOBILENET=PATH')


def test_the_published_file_is_read(published):
  with np.load(published) as arrays:
    x = np.random.default_rng(3).uniform(-1, 1, (1, 64, 64, 3))
    check_outputs(dict(arrays), x)


def test_the_published_file_knows_a_palace_by_a_lake(published):
  """A photograph that scikit-learn brings; boathouse comes first."""
  from sklearn.datasets import load_sample_image

  picture = load_sample_image('china.jpg')[None, :, 106:533]
  network = mobilenet_network(str(published))
  ((_, out),) = extract(network, image_set(picture), batch_size=1)
  assert set(np.argsort(out['logits'][0])[-2:]) == {1 + 449, 1 + 698}

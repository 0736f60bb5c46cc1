"""LPIPS against plain NumPy, and its weight files."""

import os
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import lpips
from gan_jax.features.published import published_network
from gan_jax.features.weights import load_lpips
from gan_jax.types import InputError
from tests.helpers import ROOT

POOLED = {'AlexNet': (3, {1, 2}), 'VGG-16': (2, {2, 4, 7, 10})}
TAPS = {'AlexNet': range(5), 'VGG-16': (1, 3, 6, 9, 12)}


def random_state(name):
  rng, arrays = np.random.default_rng(0), {}
  for key, shape in lpips.layout(name).items():
    if key.endswith('bias'):
      array = rng.normal(0, 0.1, shape)
    elif key.startswith('Net'):
      array = rng.uniform(0, 2, shape) * (rng.uniform(size=shape) < 0.7)
    else:
      array = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape)
    arrays[key] = array.astype(np.float32)
  return arrays


@pytest.fixture(scope='module')
def state():
  return random_state('AlexNet')


def patches(x, side, stride, pad):
  """Squares of a map, `[B, h, w, C, side, side]`."""
  x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  x = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
  return x[:, ::stride, ::stride]


def by_numpy(name, state, first, second):
  """Equation 1 of the paper in float64, images `[B, H, W, 3]` in [-1, 1]."""
  module = 'VGG16_0' if name == 'VGG-16' else 'AlexNet_0'
  pool, before = POOLED[name]

  def maps(x):
    x = (np.float64(x) - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    found, i = [], 0
    while f'{module}.Conv_{i}.bias' in state:
      if i in before:
        x = patches(x, pool, 2, 0).max(axis=(4, 5))
      kernel = np.float64(state[f'{module}.Conv_{i}.kernel'])
      side = len(kernel)
      stride, pad = (4, 2) if side == 11 else (1, side // 2)
      x = np.tensordot(
        patches(x, side, stride, pad), kernel, ((4, 5, 3), (0, 1, 2))
      )
      x = np.maximum(x + state[f'{module}.Conv_{i}.bias'], 0)
      found.append(x / (np.sqrt((x**2).sum(axis=-1, keepdims=True)) + 1e-10))
      i += 1
    return [found[tap] for tap in TAPS[name]]

  total = 0.0
  for i, (one, other) in enumerate(zip(maps(first), maps(second), strict=True)):
    head = np.float64(state[f'NetLinLayer_{i}.Conv_0.kernel']).ravel()
    total = total + ((one - other) ** 2 @ head).mean(axis=(1, 2))
  return total


def pairs(size, num=2):
  first = np.random.default_rng(1).uniform(-1, 1, (num, *size, 3))
  noise = np.random.default_rng(2).normal(0, 0.3, first.shape)
  return np.float32(first), np.float32(np.clip(first + noise, -1, 1))


@pytest.mark.parametrize('name', lpips.BACKBONES)
def test_the_distance_is_that_of_the_paper(name):
  state, (first, second) = random_state(name), pairs((45, 38))
  variables = lpips.convert(state)
  found = jax.jit(lpips.lpips)(variables, first, second)
  expected = by_numpy(name, state, first, second)
  assert expected.min() > 0.01
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_vectors_have_these_distances(state):
  variables, (first, second) = lpips.convert(state), pairs((40, 33))
  embed = jax.jit(lpips.embed)
  one, other = (embed(variables, (x + 1) * 127.5) for x in (first, second))
  expected = lpips.lpips(variables, first, second)
  np.testing.assert_allclose(
    jnp.sum((one - other) ** 2, axis=1), expected, rtol=1e-4
  )


def test_equal_images_are_at_nought_and_the_order_does_not_count(state):
  variables, (first, second) = lpips.convert(state), pairs((32, 32))
  np.testing.assert_array_equal(lpips.lpips(variables, first, first), 0)
  np.testing.assert_allclose(
    lpips.lpips(variables, first, second),
    lpips.lpips(variables, second, first),
    rtol=1e-6,
  )


@pytest.mark.slow
def test_the_derivative_is_finite_where_maps_are_nought(state):
  dark = {
    key: np.minimum(x, 0) if 'bias' in key else x * 0
    for key, x in state.items()
  }
  variables, (first, second) = lpips.convert(dark), pairs((32, 32))

  def total(x):
    return lpips.lpips(variables, x, second).sum()

  assert np.isfinite(jax.grad(total)(first)).all()


@pytest.mark.parametrize(
  ('size', 'sides'),
  [((28, 28), (32, 32)), ((20, 300), (32, 256)), ((64, 48), (64, 48))],
)
def test_images_are_of_a_size_that_it_takes(state, monkeypatch, size, sides):
  seen = []

  def activations(variables, x):
    seen.append(x)
    return [x]

  monkeypatch.setattr(lpips, 'activations', activations)
  variables = {'heads': [np.ones(1, np.float32)]}
  images = np.full((2, *size, 1), 255, np.uint8)
  lpips.apply(variables, images)
  assert seen[0].shape == (2, *sides, 1)
  np.testing.assert_allclose(seen[0], 1.0, atol=1e-6)


def test_grey_is_three_equal_channels(state):
  variables = lpips.convert(state)
  grey = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1))
  found = lpips.apply(variables, np.uint8(grey))['features']
  assert found.shape == (2, 1152)
  colour = lpips.apply(variables, np.uint8(np.repeat(grey, 3, axis=3)))
  np.testing.assert_allclose(found, colour['features'], rtol=1e-4, atol=1e-6)


# --- Its files --------------------------------------------------------------


def test_a_file_is_read(state, tmp_path):
  path = tmp_path / 'weights.npz'
  np.savez(path, **state)
  network = published_network('lpips', str(path))
  assert (network.name, network.classes) == ('lpips', ())
  assert network.embed is lpips.embed
  chosen = network.variables['convs'][3]['kernel']
  np.testing.assert_array_equal(chosen, state['AlexNet_0.Conv_3.kernel'])
  assert network.digest == load_lpips(str(path), sha256=network.digest[:9])[1]


@pytest.mark.parametrize('content', [b'', b'nothing', pickle.dumps([1, 2])])
def test_another_file_is_named(tmp_path, content):
  path = tmp_path / 'some.ckpt'
  path.write_bytes(content)
  with pytest.raises(InputError, match=r'^eval\.weights: .*is no \.npz file'):
    load_lpips(str(path))


def test_what_is_wrong_with_a_file_is_named(state, tmp_path):
  head = 'NetLinLayer_2.Conv_0.kernel'
  with pytest.raises(InputError, match=f'{head}: weights of at least 0'):
    lpips.convert(state | {head: -state[head]})
  with pytest.raises(InputError, match=r'Conv_1\.bias: .* found nothing'):
    lpips.convert({k: v for k, v in state.items() if 'Conv_1.bias' not in k})
  path = tmp_path / 'weights.npz'
  np.savez(path, **state, more=[1.0])
  with pytest.raises(InputError, match=r'is not LPIPS: more: nothing of that'):
    load_lpips(str(path))
  with pytest.raises(
    InputError, match=r'eval\.weights: .* not abcdef01 of LPI'
  ):
    load_lpips(str(path), sha256='abcdef01')
  with pytest.raises(InputError, match=r'LPIPS is read from a file; name the'):
    load_lpips()


@pytest.fixture(scope='module')
def published():
  """The path of published weights, where this machine has them."""
  places = [
    pathlib.Path(os.environ.get('GAN_JAX_LPIPS', 'nowhere')),
    ROOT.parent / 'shared/data/lpips/lpips_alexnet.npz',
  ]
  for path in places:
    if path.is_file():
      return path
  pytest.skip('the published weights are not here; GAN_JAX_LPIPS=PATH')


def test_the_published_weights_see_blur_as_worse_than_a_shade(published):
  """A photograph that scikit-learn brings, one of equal mean squared error."""
  from sklearn.datasets import load_sample_image

  picture = load_sample_image('china.jpg')[100:228, 200:328] / 127.5 - 1
  picture = np.float32(picture)[None]
  kernel = np.ones(5, np.float32) / 5
  blurred = picture
  for axis in (1, 2):
    blurred = np.apply_along_axis(np.convolve, axis, blurred, kernel, 'same')
  error = np.sqrt(np.mean((blurred - picture) ** 2))
  shaded = picture + error
  variables, _ = load_lpips(str(published))
  found = [
    float(jax.jit(lpips.lpips)(variables, picture, x)[0])
    for x in (shaded, blurred)
  ]
  with np.load(published) as arrays:
    expected = [
      by_numpy('AlexNet', arrays, picture, x)[0] for x in (shaded, blurred)
    ]
  np.testing.assert_allclose(found, expected, rtol=1e-4)
  assert found[1] > 3 * found[0]

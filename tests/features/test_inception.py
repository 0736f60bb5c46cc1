"""Inception: weights, resizing, and the whole network on tiny batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import inception
from gan_jax.types import InputError

OPTIONS = inception.COMPILER_OPTIONS['cpu']
apply = jax.jit(inception.apply, compiler_options=OPTIONS)
# What torch-fidelity 0.4.0 makes of `pixels(0, (3, 8, 8, 3))` with the weights
# `random_state(0)`: the first three numbers of each image, and the norm.
PUBLISHED = {
  'features': [
    [2.2664, 0.2500571, 1.776378, 74.86549],
    [3.36862, 0.1828923, 3.35997, 115.7938],
    [3.692032, 0.1365503, 3.742065, 128.1685],
  ],
  'logits': [
    [4.013656, -0.3314927, -0.02834308, 72.32204],
    [5.479301, -0.4960568, 1.831672, 112.3221],
    [5.633255, -1.132627, 2.14686, 124.1657],
  ],
  'biased_logits': [
    [3.781852, -0.274305, -0.1317376, 72.31693],
    [5.247498, -0.4388691, 1.728277, 112.3203],
    [5.401452, -1.07544, 2.043466, 124.1701],
  ],
}


@pytest.fixture(scope='module')
def state():
  return inception.random_state(0)


@pytest.fixture(scope='module')
def variables(state):
  return inception.convert(state)


def pixels(seed, shape):
  """Smooth in the first image, noise in the others."""
  images = np.random.default_rng(seed).integers(0, 256, shape)
  images[0] = np.linspace(0, 255, shape[2])[:, None]
  return images.astype(np.uint8)


# --- conversion ---


def test_state_has_the_published_layout(state):
  """94 convolutions, each with batch norm, and a dense layer."""
  assert len(state) == 94 * 5 + 2
  assert sum(x.size for x in state.values()) == 23_885_392
  assert state['Mixed_6c.branch7x7dbl_4.conv.weight'].shape == (160, 160, 7, 1)
  assert state['Mixed_7a.branch3x3_2.bn.running_var'].shape == (320,)
  assert state['fc.weight'].shape == (1008, 2048)


def test_variables_are_what_apply_takes(variables):
  wanted = inception.abstract_variables()
  same = jax.tree.map(
    lambda x, y: x.shape == y.shape and x.dtype == y.dtype, variables, wanted
  )
  assert all(jax.tree.leaves(same))


def test_convert_ignores_counters_and_the_auxiliary_classifier(
  state, variables
):
  extra = {
    'Conv2d_1a_3x3.bn.num_batches_tracked': np.array(3),
    'AuxLogits.fc.bias': np.zeros(5),
  }
  found = inception.convert(state | extra)
  jax.tree.map(np.testing.assert_array_equal, found, variables)


@pytest.mark.parametrize(
  ('key', 'array', 'message'),
  [
    (
      'Mixed_5b.branch1x1.bn.bias',
      None,
      r'Mixed_5b\.branch1x1\.bn\.bias of shape \(64,\) is wanted, found noth',
    ),
    (
      'fc.weight',
      np.zeros((1000, 2048)),
      r'fc\.weight of shape \(1008, 2048\) is wanted, found \(1000, 2048\)',
    ),
    ('extra.bias', np.zeros(3), r'extra\.bias of shape \(3,\) is found, noth'),
  ],
)
def test_convert_refuses(key, array, message, state):
  changed = {name: x for name, x in state.items() if name != key}
  if array is not None:
    changed[key] = array
  with pytest.raises(InputError, match=message) as caught:
    inception.convert(changed)
  assert '\n' not in str(caught.value)


# --- resizing ---


def resized(image, size):
  """TensorFlow 1's bilinear resizing of `[H, W]`, pixel by pixel."""
  height, width = image.shape
  out = np.zeros((size, size))
  for row in range(size):
    for column in range(size):
      y = np.float32(row) * np.float32(height / size)
      x = np.float32(column) * np.float32(width / size)
      top, left = int(y), int(x)
      bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
      dy, dx = float(y) - top, float(x) - left
      upper = image[top, left] * (1 - dx) + image[top, right] * dx
      lower = image[bottom, left] * (1 - dx) + image[bottom, right] * dx
      out[row, column] = upper * (1 - dy) + lower * dy
  return out


@pytest.mark.parametrize(
  ('height', 'width', 'size'),
  [(32, 32, 299), (5, 7, 11), (1, 3, 8), (40, 23, 11), (11, 6, 11)],
)
def test_resize(height, width, size):
  images = np.random.default_rng(0).uniform(1, 255, (2, height, width, 2))
  images = images.astype(np.float32)
  found = jax.jit(inception.resize, static_argnums=1)(images, size)
  assert found.shape == (2, size, size, 2)
  expected = np.stack(
    [
      np.stack([resized(image[..., c], size) for c in range(2)], axis=-1)
      for image in images.astype(float)
    ]
  )
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_images_of_the_right_size_are_not_resized():
  images = jnp.ones((1, 299, 299, 1))
  assert inception.resize(images) is images


# --- the whole network ---


@pytest.mark.parametrize(
  ('shape', 'dtype'),
  [
    ((1, 8, 8, 2), np.uint8),
    ((1, 8, 8, 4), np.uint8),
    ((8, 8, 3), np.uint8),
    ((1, 8, 8, 3), np.float32),
  ],
)
def test_refuses_other_images(shape, dtype, variables):
  with pytest.raises(InputError, match='Inception takes uint8'):
    inception.apply(variables, np.zeros(shape, dtype))


def test_outputs(variables):
  """Shapes, the bias, and a sample of what torch-fidelity says."""
  images = pixels(0, (3, 8, 8, 3))
  outputs = jax.tree.map(np.asarray, apply(variables, images))
  shapes = {name: x.shape for name, x in outputs.items()}
  assert shapes == {
    'features': (3, 2048),
    'logits': (3, 1008),
    'biased_logits': (3, 1008),
  }
  for name, expected in PUBLISHED.items():
    found = outputs[name][:, :3], np.linalg.norm(outputs[name], axis=1)
    # Rounding is relative to the largest numbers, which are about 10.
    np.testing.assert_allclose(np.c_[found], expected, rtol=1e-5, atol=1e-4)
  bias = variables['params']['fc']['bias']
  np.testing.assert_array_equal(
    outputs['biased_logits'], outputs['logits'] + bias
  )


def test_images_do_not_depend_on_their_batch(variables):
  images = pixels(0, (3, 8, 8, 3))
  together = apply(variables, images)
  for index in (0, 2):
    alone = apply(variables, images[index : index + 1])
    for name, values in together.items():
      scale = np.abs(values[index]).max()
      np.testing.assert_allclose(
        alone[name][0], values[index], rtol=1e-5, atol=1e-5 * scale
      )


@pytest.mark.slow  # two programs of the whole network
def test_grey_is_colour_of_equal_channels(variables):
  grey = pixels(1, (3, 8, 8, 1))
  outputs = apply(variables, grey)
  colour = apply(variables, grey.repeat(3, axis=-1))
  for name, values in outputs.items():  # two programs: equal but for rounding
    scale = np.abs(values).max()
    np.testing.assert_allclose(colour[name], values, rtol=0, atol=1e-5 * scale)

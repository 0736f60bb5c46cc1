"""The U-Net of diffusion models: its size, and what it hears."""

import math

import jax
import numpy as np
import pytest

from gan_jax.networks import make_denoiser
from gan_jax.networks.style import Style
from gan_jax.networks.unet import _Attention, waves
from gan_jax.types import Column, InputError
from tests.helpers import slow, task_of

KEY = jax.random.key(0)
PICTURES = np.stack([np.ones((8, 8, 1)), -np.ones((8, 8, 1))])
TINY = dict(gen_widths=(4, 8), blocks=1, attention=(4,), norm_groups=2)


def made(shape=(8, 8, 1), given=None, **keys):
  task = task_of(shape)._replace(given=given or {})
  return make_denoiser('unet', task, **TINY | keys).gen


def inputs(num=2, shape=(8, 8, 1), seed=1):
  key = jax.random.key(seed)
  return jax.random.normal(key, (num, *shape)), np.array([3, 700][:num])


def moved(network, *arguments):
  """Variables whose last layers do not begin at 0."""
  variables = network.init(KEY, *arguments, train=False)
  leaves, tree = jax.tree.flatten(variables)
  keys = jax.random.split(KEY, len(leaves))
  leaves = [
    x + 0.1 * jax.random.normal(key, x.shape)
    for x, key in zip(leaves, keys, strict=True)
  ]
  return jax.tree.unflatten(tree, leaves)


def size_of(widths, blocks, channels, attended):
  """By the layers that the paper lists."""
  first = widths[0]
  vector = 4 * first

  def conv(i, o):
    return 9 * i * o + o

  def block(i, o):
    shortcut = i * o + o if i != o else 0
    time = vector * o + o
    return 2 * i + conv(i, o) + time + 2 * o + conv(o, o) + shortcut

  def attention(c):
    return 2 * c + 4 * (c * c + c)

  total = first * vector + vector + vector * vector + vector
  total += conv(channels, first)
  maps, now = [first], first
  for level, width in enumerate(widths):
    for _ in range(blocks):
      total += block(now, width) + attention(width) * (level in attended)
      now = width
      maps.append(now)
    if level < len(widths) - 1:
      total += conv(now, now)
      maps.append(now)
  total += 2 * block(now, now) + attention(now)
  for level, width in reversed(list(enumerate(widths))):
    for _ in range(blocks + 1):
      total += block(now + maps.pop(), width)
      total += attention(width) * (level in attended)
      now = width
    if level:
      total += conv(now, now)
  return total + 2 * now + conv(now, channels)


def count(network, shape):
  shapes = jax.eval_shape(
    lambda: network.init(
      KEY, np.zeros((2, *shape)), np.ones(2, np.int32), {}, train=False
    )
  )
  return sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))


def test_the_published_size():
  network = make_denoiser('unet', task_of((32, 32, 3))).gen
  formula = size_of((128, 256, 256, 256), 2, 3, {1})
  assert count(network, (32, 32, 3)) == formula == 35_746_307


def test_a_small_size():
  assert count(made(), (8, 8, 1)) == size_of((4, 8), 1, 1, {1})


def test_waves_begin_at_0_and_are_sines_of_the_step():
  found = waves(np.array([0, 1]), 6)
  np.testing.assert_allclose(found[0], [0, 0, 0, 1, 1, 1], atol=1e-7)
  rates = np.array([1.0, 1e-2, 1e-4])
  expected = [*np.sin(rates), *np.cos(rates)]
  np.testing.assert_allclose(found[1], expected, rtol=1e-5)


@pytest.mark.slow
def test_it_begins_by_saying_that_there_is_no_noise():
  network, (x, times) = made(), inputs()
  found, _ = network.init_with_output(KEY, x, times, {}, train=False)
  assert found.shape == x.shape
  assert np.abs(found).max() < 1e-3


@pytest.mark.slow
def test_it_hears_the_step_and_each_example_by_itself():
  network, (x, times) = made(), inputs()
  variables = moved(network, x, times, {})
  found = network.apply(variables, x, times, {}, train=False)
  again = network.apply(variables, x[:1], times[:1], {}, train=False)
  np.testing.assert_allclose(found[:1], again, rtol=1e-4, atol=1e-5)
  later = network.apply(variables, x[:1], times[1:], {}, train=False)
  assert np.abs(later - again).max() > 1e-3


def test_attention_is_its_formula():
  """x + o(softmax(q k^T / sqrt(C)) v), by float64."""
  layer = _Attention(Style('silu', 'none'))
  x = np.float32(jax.random.normal(KEY, (2, 3, 3, 4)))
  variables = moved(layer, x)
  params = jax.tree.map(np.float64, variables['params'])
  flat = x.reshape(2, 9, 4).astype(np.float64)

  def dense(name, h):
    return h @ params[name]['kernel'] + params[name]['bias']

  query, key, value = (dense(f'Dense_{i}', flat) for i in range(3))
  scores = query @ key.swapaxes(1, 2) / 2.0
  weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
  weights /= weights.sum(axis=-1, keepdims=True)
  expected = flat + dense('Dense_3', weights @ value)
  found = layer.apply(variables, x, train=False)
  np.testing.assert_allclose(found.reshape(2, 9, 4), expected, rtol=1e-4)


@pytest.mark.parametrize(
  ('name', 'column', 'values'),
  [
    # A vector, as of a text; sources are beside the image.
    slow('labels', Column((), 'int32', 3), np.array([0, 2])),
    ('text', Column((2,), 'int32', 5), np.array([[1, 2], [3, 0]])),
    slow('source', Column((8, 8, 1)), PICTURES),
  ],
)
def test_it_hears_what_is_given(name, column, values):
  network, (x, times) = made(given={name: column}, attention=()), inputs()
  values = values.astype(column.dtype)
  variables = moved(network, x, times, {name: values})
  x, times = np.concatenate([x, x]), np.concatenate([times, times])
  given = {name: np.concatenate([values, values[::-1]])}
  found, other = np.split(
    network.apply(variables, x, times, given, train=False), 2
  )
  assert np.abs(found - other).max(axis=(1, 2, 3)).min() > 1e-4


@pytest.mark.slow
def test_dropout_is_of_training_and_of_each_example_s_key():
  network, (x, times) = made(dropout=0.5), inputs()
  variables = moved(network, x, times, {})
  keys = jax.random.split(KEY, 2)
  plain = network.apply(variables, x, times, {}, keys, train=False)
  first = network.apply(variables, x, times, {}, keys, train=True)
  second = network.apply(variables, x, times, {}, keys[::-1], train=True)
  assert np.abs(first - plain).max() > 1e-3
  assert np.abs(first - second).max() > 1e-3
  again = network.apply(variables, x, times, {}, keys, train=True)
  np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
  ('shape', 'keys', 'message'),
  [
    ((6, 6, 1), dict(gen_widths=(4, 4, 4)), 'data.image_size: 3 levels halve'),
    ((8, 8, 1), dict(attention=(5,)), 'network.attention: no map has 5 pixels'),
    ((8, 8, 1), dict(gen_widths=(5, 8)), 'network.gen_widths: the first level'),
    ((8, 8, 1), dict(dropout=1.0), 'network.dropout: 1.0 is no share'),
    ((8, 8, 1), dict(norm_groups=3), 'network.norm_groups: 3 groups do not'),
    ((8, 8, 1), dict(gen_width=4), 'network.gen_width: unet has no such key'),
  ],
)
def test_what_cannot_be_built_is_named(shape, keys, message):
  def build():
    network = made(shape, **keys)
    network.init(KEY, np.zeros((2, *shape)), np.ones(2), {}, train=False)

  with pytest.raises(InputError, match=message):
    build()

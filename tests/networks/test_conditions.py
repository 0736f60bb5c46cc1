"""Conditions as vectors, and how they join the input of a player."""

import itertools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import NETWORKS, conditions, make_networks
from gan_jax.types import Column, InputError, Task
from tests.helpers import assert_same_bits, sampled, task_of

KEY = jax.random.key(2)
SHAPE = (8, 8, 1)
COLUMNS = {
  'labels': Column((), 'int32', 3),
  'source': Column((8, 8, 2)),
  'other': Column((8, 8, 1)),
  'text': Column((4,), 'int32', 9),
  'pose': Column((2,)),
}


def random_given(names, num=4, seed=0):
  rng = np.random.default_rng(seed)
  given = {}
  for name in names:
    column = COLUMNS[name]
    shape = (num, *column.shape)
    if column.size:
      given[name] = rng.integers(0, column.size, shape).astype(np.int32)
    else:
      given[name] = rng.uniform(-1, 1, shape).astype(np.float32)
  return given


def words(tokens, features=5):
  module = conditions.BagOfWords(9, features)
  variables = module.init(KEY, jnp.zeros((1, 4), jnp.int32))
  table = np.asarray(variables['params']['Embed_0']['embedding'], np.float64)
  return np.asarray(module.apply(variables, jnp.asarray(tokens))), table


def test_a_bag_of_words_is_the_mean_of_its_words():
  found, table = words([[3, 7, 3, 0], [1, 0, 0, 0]])
  expected = [(2 * table[3] + table[7]) / 3, table[1]]
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_neither_order_nor_padding_count_and_no_words_are_zero():
  same, _ = words([[3, 7, 5, 0], [5, 3, 7, 0], [0, 7, 3, 5], [7, 0, 5, 3]])
  np.testing.assert_allclose(same, same[:1].repeat(4, axis=0), rtol=1e-5)
  longer, _ = words([[3, 7, 5, 0, 0, 0, 0]])
  np.testing.assert_allclose(longer, same[:1], rtol=1e-5)
  empty, _ = words([[0, 0, 0, 0]])
  assert not empty.any()


def test_poses_are_sines():
  module = conditions.Sines(3)
  numbers = np.array([[0.3, -0.7]])
  variables = module.init(KEY, numbers)
  dense = variables['params']['Dense_0']
  angles = np.pi * numbers[..., None] * np.array([1, 2, 4, 8])
  waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
  expected = waves.reshape(1, -1) @ np.float64(dense['kernel'])
  # Of an angle of 8 pi .7 the float32 keeps 1e-6.
  np.testing.assert_allclose(
    module.apply(variables, numbers), expected, atol=2e-5
  )


@pytest.mark.parametrize('name', COLUMNS)
def test_every_kind_gives_vectors_of_each_example(name):
  module = conditions.condition(name, COLUMNS[name], 6)
  value = random_given([name])[name]
  variables = module.init(KEY, value)
  found = np.asarray(module.apply(variables, value))
  assert found.shape == (4, 6)
  assert found.dtype == np.float32
  assert len(np.unique(found, axis=0)) > 1
  turned = module.apply(variables, value[::-1])
  np.testing.assert_allclose(turned, found[::-1], atol=1e-6)


def task(*names):
  given = {name: COLUMNS[name] for name in names}
  return task_of(SHAPE)._replace(given=given)


def tiny(name):
  keys = dict(gen_widths=(8,), disc_widths=(8,), gen_width=4, disc_width=4)
  valid = NETWORKS[name].make.__kwdefaults__
  return {key: keys[key] for key in keys if key in valid}


@pytest.mark.parametrize('name', ['mlp', 'dcgan'])
def test_labels_alone_are_where_they_were(name):
  """Names of parameters and shapes, as in runs of earlier versions."""
  pair = make_networks(name, task('labels'), **tiny(name))
  inputs = jnp.zeros((2, 4)), jnp.zeros((2, *SHAPE))
  for network, x, width in zip(pair, inputs, (50, 64), strict=True):
    init = jax.eval_shape(
      lambda network=network, x=x: network.init(
        KEY, x, task('labels').dummies(2), train=False
      )
    )
    embeds = {
      path: leaf.shape
      for path, leaf in flax.traverse_util.flatten_dict(init['params']).items()
      if 'Embed' in path[0]
    }
    assert embeds == {('Embed_0', 'embedding'): (3, width)}


_ALL = ('labels', 'text', 'source', 'other')


@pytest.mark.parametrize(
  ('name', 'told'),
  sampled(
    itertools.product(['mlp', 'dcgan'], [('source',), ('text',), _ALL]),
    ('mlp', _ALL),
    ('dcgan', _ALL),
  ),
)
def test_both_players_read_each_column(name, told):
  pair = make_networks(name, task(*told), **tiny(name))
  given = random_given(told)
  rng = np.random.default_rng(1)
  inputs = (
    rng.normal(size=(4, 4)).astype(np.float32),
    rng.uniform(-1, 1, (4, *SHAPE)).astype(np.float32),
  )
  for network, x in zip(pair, inputs, strict=True):
    variables = jax.jit(
      lambda network=network, x=x: network.init(KEY, x, given, train=False)
    )()
    apply = jax.jit(
      lambda x, given, network=network, variables=variables: network.apply(
        variables, x, given, train=False
      )
    )
    found = jax.tree.leaves(apply(x, given))[0]
    order = np.array([2, 0, 3, 1])
    turned = {key: value[order] for key, value in given.items()}
    permuted = jax.tree.leaves(apply(x[order], turned))[0]
    np.testing.assert_allclose(permuted, found[order], atol=1e-6)
    for column in told:
      other = {**given, column: random_given([column], seed=7)[column]}
      changed = jax.tree.leaves(apply(x, other))[0]
      assert not np.allclose(changed, found, atol=1e-7), column


def test_pictures_are_channels_and_text_is_a_plane():
  told = [(name, COLUMNS[name]) for name in ('source', 'text')]
  given = random_given(['source', 'text'])
  images = np.zeros((4, *SHAPE), np.float32)

  class Joined(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, images):
      return conditions.join_images(images, told, given)

  joined, variables = Joined().init_with_output(KEY, images)
  assert joined.shape == (4, 8, 8, 4)
  np.testing.assert_array_equal(joined[..., 1:3], given['source'])
  table = variables['params']['BagOfWords_0']['Embed_0']['embedding']
  assert table.shape == (9, 64)


def test_nothing_told_is_nothing_done():
  x = jnp.ones((2, 3))
  assert conditions.join_latents(x, (), None, 5) is x
  assert conditions.join_images(x, (), None) is x
  assert_same_bits(Task(SHAPE, {}, None).dummies(2), {})


def test_virtual_batch_norm_has_no_columns():
  with pytest.raises(InputError, match=r'virtual.*without source.*given=\(\)'):
    make_networks('mlp', task('source'), gen_norm='virtual', reference_size=4)

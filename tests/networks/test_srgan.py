"""Super-resolution: sizes, shuffles, residuals, what is seen of a source."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import make_networks, network_keys
from gan_jax.networks.enlargers import (
  MSRResNet,
  RRDBNet,
  SRResNet,
  icnr,
  pixel_shuffle,
  pixel_unshuffle,
  repeated,
  resized,
)
from gan_jax.networks.layers import Conv
from gan_jax.networks.style import Style
from gan_jax.types import Column, InputError
from tests.helpers import sampled, task_of, tiny_keys

NAMES = ('srgan', 'msrresnet', 'esrgan')
RNG = np.random.default_rng(0)


def pair(name, size=16, channels=3, **keys):
  shape = (size, size, channels)
  task = task_of(shape)._replace(given={'source': Column(shape)})
  return make_networks(name, task, **keys)


def tiny(name, size=16, **keys):
  own = {k.removeprefix('network__'): v for k, v in tiny_keys(name).items()}
  return pair(name, size, **({'factor': 2} | own | keys))


def sizes(networks, size, channels=3):
  images = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)

  def count(network, *inputs):
    shapes = jax.eval_shape(
      lambda *x: network.init(jax.random.key(0), *x, train=False), *inputs
    )
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(shapes['params']))

  latents = jax.ShapeDtypeStruct((2, 1), jnp.float32)
  return (
    count(networks.gen, latents, {'source': images}),
    count(networks.disc, images),
  )


@pytest.mark.parametrize(
  ('name', 'keys', 'gen', 'disc'),
  [
    ('srgan', {}, 1_549_462, 23_565_505),
    ('srgan', {'factor': 2, 'pooled': True}, 1_401_749, 5_215_425),
    ('msrresnet', {}, 1_517_571, 23_565_505),
    ('esrgan', {}, 16_697_987, None),
  ],
)
def test_sizes_are_the_published_ones(name, keys, gen, disc):
  own, judge = sizes(pair(name, 96, **keys), 96)
  assert own == gen
  assert disc in (None, judge)


def test_shuffled_channels_are_pixels_of_a_square():
  x = RNG.normal(size=(2, 3, 4, 18)).astype(np.float32)
  large = np.asarray(pixel_shuffle(x, 3))
  assert large.shape == (2, 9, 12, 2)
  for i, j, channel in np.ndindex(3, 3, 2):
    np.testing.assert_array_equal(
      large[:, i::3, j::3, channel], x[..., channel * 9 + i * 3 + j]
    )
  np.testing.assert_array_equal(pixel_unshuffle(large, 3), x)


def test_a_shuffle_begins_as_nearest_enlargement():
  x = RNG.normal(size=(1, 5, 6, 3)).astype(np.float32)
  init = jax.nn.initializers.he_normal()
  conv = Conv(8, 3, kernel_init=icnr(init, 2))
  params = conv.init(jax.random.key(1), x)
  large = pixel_shuffle(conv.apply(params, x), 2)
  kernel = params['params']['kernel']
  plain = {'params': {'kernel': kernel[..., ::4], 'bias': jnp.zeros(2)}}
  expected = repeated(Conv(2, 3).apply(plain, x), 2)
  np.testing.assert_allclose(large, expected, atol=1e-6)
  assert float(jnp.std(kernel)) > 0.1


@pytest.mark.parametrize('name', sampled(NAMES, 'srgan'))
def test_one_pixel_of_each_square_is_seen(name):
  gen = tiny(name, 32).gen
  source = RNG.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
  latents = jnp.zeros((2, 1))
  variables = gen.init(
    jax.random.key(0), latents, {'source': source}, train=False
  )

  @jax.jit
  def images(source, latents):
    return gen.apply(variables, latents, {'source': source}, train=False)

  found = images(source, latents)
  assert found.shape == (2, 32, 32, 3)
  small = source[:, ::2, ::2]
  np.testing.assert_array_equal(images(repeated(small, 2), latents + 1), found)
  np.testing.assert_allclose(
    gen.apply(variables, small, train=False, method='enlarge'),
    found,
    atol=1e-6,
  )
  assert np.abs(images(-source, latents) - found).max() > 1e-3


@pytest.mark.parametrize('factor', [2, 3, 4])
@pytest.mark.parametrize('kind', [SRResNet, MSRResNet, RRDBNet])
def test_any_size_is_enlarged(kind, factor):
  more = (2,) * (kind is RRDBNet)
  gen = kind(1, factor, 4, 1, Style(), *more)
  x = jnp.zeros((1, 5, 7, 1))
  enlarge = dict(train=False, method='enlarge')
  shapes = jax.eval_shape(
    lambda: gen.apply(gen.init(jax.random.key(0), x, **enlarge), x, **enlarge)
  )
  assert shapes.shape == (1, 5 * factor, 7 * factor, 1)


def with_kernels(params, change):
  """Parameters with kernels that `change(path, kernel)` has made."""
  return jax.tree_util.tree_map_with_path(
    lambda path, x: change(jax.tree_util.keystr(path), x) if x.ndim == 4 else x,
    params,
  )


def test_without_a_last_layer_msrresnet_is_bilinear():
  gen, enlarge = MSRResNet(3, 2, 4, 1, Style()), dict(method='enlarge')
  x = jnp.asarray(RNG.uniform(-1, 1, (2, 6, 6, 3)), jnp.float32)
  variables = gen.init(jax.random.key(0), x, train=False, **enlarge)
  bare = with_kernels(
    variables, lambda _, kernel: kernel * (kernel.shape[-1] != 3)
  )
  found = gen.apply(bare, x, train=False, **enlarge)
  np.testing.assert_allclose(found, resized(x, 2, 'bilinear'), atol=1e-6)


@pytest.mark.parametrize(
  ('dense', 'factor'), sampled([(0.0, 1.2), (1.0, 1.3456)], (1.0, 1.3456))
)
def test_residuals_of_esrgan_weigh_a_fifth(dense, factor):
  """A block of three dense blocks is x + .2 (1 + .2 d)^3 x.

  Where what a dense block adds to x, before it is weighed, is d x.
  """
  x = jnp.asarray(RNG.uniform(-1, 1, (1, 4, 4, 3)), jnp.float32)

  def output(blocks):
    gen = RRDBNet(3, 4, 4, blocks, Style(), growth=2)
    enlarge = dict(train=False, method='enlarge')
    init = functools.partial(gen.init, **enlarge)
    shapes = jax.eval_shape(init, jax.random.key(0), x)['params']
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    last = 1 + 15 * blocks  # the convolution behind all blocks
    same = np.zeros((3, 3, 4, 4), np.float32)
    same[1, 1] = np.eye(4)

    def change(path, kernel):
      number = int(path.split('Conv_')[1].split("'")[0])
      if 0 < number < last:
        # The last of five makes its input anew, d times; the others nothing.
        own = np.zeros(kernel.shape, np.float32)
        if number % 5 == 0:
          own[1, 1, :4] = dense * np.eye(4)
        return own
      # The others are the same whatever the number of blocks.
      key = jax.random.key(number if not number else number - last)
      return same if number == last else jax.random.normal(key, kernel.shape)

    params = with_kernels(params, change)
    return gen.apply({'params': params}, x, **enlarge)

  one, two = output(1), output(2)
  atol = 1e-5 * float(jnp.abs(one).max())
  np.testing.assert_allclose(
    one / (1 + factor), two / (1 + factor**2), atol=atol
  )
  assert float(jnp.std(one)) > 0.1


def test_a_block_of_srresnet_adds_to_what_comes_in():
  """With norms that put out nothing, what is left is the first map."""
  gen, enlarge = (
    SRResNet(3, 2, 4, 2, Style(norm='batch')),
    dict(train=False, method='enlarge'),
  )
  x = jnp.asarray(RNG.uniform(-1, 1, (1, 6, 6, 3)), jnp.float32)
  variables = gen.init(jax.random.key(0), x, **enlarge)
  silent = jax.tree_util.tree_map_with_path(
    lambda path, y: 0 * y if 'scale' in jax.tree_util.keystr(path) else y,
    variables,
  )
  found = gen.apply(silent, x, **enlarge)
  fewer = SRResNet(3, 2, 4, 0, Style(norm='batch'))
  own = fewer.init(jax.random.key(0), x, **enlarge)
  params = silent['params']
  kept = {
    'Conv_0': params['Conv_0'],
    'PReLU_0': params['PReLU_0'],
    'Conv_1': params['Conv_5'],
    'BatchNorm_0': params['BatchNorm_4'],
    'Conv_2': params['Conv_6'],
    'PReLU_1': params['PReLU_3'],
    'Conv_3': params['Conv_7'],
  }
  expected = fewer.apply(own | {'params': kept}, x, **enlarge)
  np.testing.assert_allclose(found, expected, atol=1e-6)
  assert float(jnp.std(found)) > 1e-3  # the first map goes past all blocks


def test_sources_enter_srresnet_from_0_to_1():
  gen = SRResNet(1, 2, 4, 1, Style())
  black = -jnp.ones((1, 4, 4, 1))
  enlarge = dict(train=False, method='enlarge')
  variables = gen.init(jax.random.key(0), black, **enlarge)
  np.testing.assert_array_equal(gen.apply(variables, black, **enlarge), 0)


def test_every_slope_begins_at_a_quarter():
  gen, x = SRResNet(1, 2, 4, 1, Style()), jnp.zeros((1, 4, 4, 1))
  params = gen.init(jax.random.key(0), x, train=False, method='enlarge')
  slopes = [
    x
    for path, x in jax.tree_util.tree_leaves_with_path(params)
    if 'slope' in jax.tree_util.keystr(path)
  ]
  assert [float(x) for x in slopes] == [0.25] * 3


@pytest.mark.slow
def test_d_sees_no_source():
  disc = tiny('srgan').disc
  images = jnp.asarray(RNG.uniform(-1, 1, (2, 16, 16, 3)), jnp.float32)
  variables = disc.init(jax.random.key(0), images, train=False)
  alone = disc.apply(variables, images, train=False).logits
  told = disc.apply(variables, images, {'source': images}, train=False).logits
  np.testing.assert_array_equal(alone, told)
  assert alone.shape == (2,)
  large = jnp.zeros((1, 48, 32, 3))  # its maps are averaged
  assert disc.apply(variables, large, train=False).logits.shape == (1,)


def test_keys_are_those_of_super_resolution():
  assert network_keys('srgan') == [
    *('blocks', 'disc_activation', 'disc_norm', 'disc_weights', 'disc_width'),
    *('factor', 'gen_norm', 'gen_weights', 'gen_width', 'norm_groups'),
    *('norm_momentum', 'pooled'),
  ]
  assert 'growth' in network_keys('esrgan')


@pytest.mark.parametrize(
  ('size', 'keys', 'line'),
  [
    (16, {'factor': 5}, r'derive_factor: srgan enlarges 2, 3 or 4 .* not 5'),
    (24, {'pooled': False}, r'image_size: .* 4 times.*24 x 24.*multiple of 16'),
    (8, {}, r'image_size: .* 16 pixels or more, not 8 x 8'),
  ],
)
def test_bad_sizes_and_factors(size, keys, line):
  with pytest.raises(InputError, match=line):
    tiny('srgan', size, **keys)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
  'given',
  [
    {},
    {'labels': Column((), 'int32', 3)},
    {'source': Column((16, 16, 3)), 'text': Column((4,), 'int32', 9)},
    {'source': Column((16, 16, 1))},
  ],
)
def test_a_source_and_nothing_else_is_given(name, given):
  task = task_of((16, 16, 3))._replace(given=given)
  with pytest.raises(InputError, match=rf'given: {name} '):
    make_networks(name, task)

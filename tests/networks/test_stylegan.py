"""Style-based generators: published sizes, and what styles and noise do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.games import styled_of
from gan_jax.networks import stylegan2
from gan_jax.networks.seeds import NUM_SEEDS, split
from gan_jax.networks.style import Style
from gan_jax.networks.stylegan import Mapping
from gan_jax.sampling.styles import Truncation, truncated
from gan_jax.types import InputError
from tests.helpers import make_pair, sampled, slow
from tests.networks import residual_sizes as sizes
from tests.networks.test_progressive import disc_size, widths

# --- Sizes --------------------------------------------------------------------


def dense(i, o):
  return i * o + o


def mapping_size(depth, z=512, w=512):
  return dense(z, w) + (depth - 1) * dense(w, w)


def stylegan_size(maps, channels, w=512):
  """Mapping, constant, layers with noise, bias and style, to images."""
  total = mapping_size(8) + 16 * maps[0]
  for number in range(2 * len(maps)):
    width = maps[number // 2]
    before = 0 if not number else maps[(number - 1) // 2]
    total += 9 * before * width + 2 * width + dense(w, 2 * width)
  return total + sum(width * channels + channels for width in maps)


@pytest.mark.parametrize(
  ('size', 'published'),
  [
    (128, (25_843_858, 22_941_313)),
    slow(256, (26_086_229, 23_052_353)),
    slow(1024, (26_219_627, 23_087_249)),
  ],
)
def test_sizes_of_stylegan_are_the_published_ones(size, published):
  maps = widths(size, 16_384, 512)
  found = sizes.sizes_of('stylegan', (size, size, 3), 0, NUM_SEEDS + 512)
  assert found == published
  assert found == (stylegan_size(maps, 3), disc_size(maps, 512, 3))


# --- What a pass is made of ---------------------------------------------------

SHAPE, NUM = (16, 16, 1), 4
NAMES = ('stylegan', 'stylegan2')


def generator(name, **keys):
  keys = dict(channel_max=4, style_dim=6, mapping_depth=2) | keys
  return make_pair(name, SHAPE, **keys).gen


def latents_of(seed, num=NUM):
  rng = np.random.default_rng(seed)
  seeds = rng.integers(0, 2**24, (num, NUM_SEEDS))
  return np.float32(np.concatenate([seeds, rng.normal(size=(num, 5))], axis=1))


@pytest.fixture(scope='module', params=sampled(NAMES, 'stylegan2'))
def styled(request):
  """G with parameters at random, its variables, and its two halves."""
  gen = generator(request.param)
  variables = jax.jit(
    lambda: gen.init(jax.random.key(0), latents_of(0), train=False)
  )()
  rng = np.random.default_rng(1)
  params = jax.tree.map(
    lambda x: x + 0.3 * rng.normal(size=x.shape).astype(np.float32),
    variables['params'],
  )
  mean = rng.normal(size=6).astype(np.float32)
  buffers = variables['buffers'] | {'mean_style': mean}
  return gen, {'params': params, 'buffers': buffers}, styled_of(gen)


@pytest.mark.slow
def test_a_pass_is_both_halves(styled):
  gen, variables, halves = styled
  latents = latents_of(0)
  styles = halves.styles(variables, latents, {})
  assert styles.shape == (NUM, halves.num_layers, 6)
  assert halves.num_layers == 6
  np.testing.assert_array_equal(styles, styles[:, :1].repeat(6, axis=1))
  whole = gen.apply(variables, latents, train=False)
  np.testing.assert_allclose(
    halves.paint(variables, styles, latents), whole, rtol=1e-5, atol=1e-6
  )


def test_the_last_style_is_of_the_image(styled):
  """Of StyleGAN2: linear in the scales that it gives, not clipped by a layer.

  Of StyleGAN it is the last layer's.
  """
  gen, variables, halves = styled
  latents = latents_of(0)
  styles = halves.styles(variables, latents, {})

  def images(step):
    moved = styles.at[:, -1].add(step)
    return np.asarray(halves.paint(variables, moved, latents))

  one, two = images(1.0) - images(0.0), images(2.0) - images(0.0)
  assert np.abs(one).max() > 1e-2
  if isinstance(gen, stylegan2.Generator):
    np.testing.assert_allclose(two, 2 * one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('later', [False, True])
def test_what_is_normalised_before_the_mapping(later):
  """Latents of another size: nothing in StyleGAN2; in StyleGAN labels fade."""
  mapping = Mapping(1, 6, Style(num_classes=3), later)
  given = {'labels': jnp.arange(3)}
  z = np.float32(np.random.default_rng(0).normal(size=(3, 5)))
  variables = mapping.init(jax.random.key(0), z, given, train=False)
  small, large = (
    np.asarray(mapping.apply(variables, scale * z, given, train=False))
    for scale in (1.0, 100.0)
  )
  assert (np.abs(large - small).max() < 1e-4) == later


def test_noise_is_of_the_seed_alone_and_nothing_without_strength(styled):
  _, variables, halves = styled
  latents, others = latents_of(0), latents_of(1)
  styles = halves.styles(variables, latents, {})
  mixed = np.concatenate([latents[:, :NUM_SEEDS], others[:, NUM_SEEDS:]], 1)
  images = halves.paint(variables, styles, latents)
  np.testing.assert_array_equal(halves.paint(variables, styles, mixed), images)
  noisy = halves.paint(variables, styles, others)
  assert np.abs(noisy - images).max() > 1e-3
  silent = variables | {
    'params': jax.tree_util.tree_map_with_path(
      lambda path, x: 0.0 * x if path[-1].key == 'noise' else x,
      variables['params'],
    )
  }
  np.testing.assert_array_equal(
    halves.paint(silent, styles, latents), halves.paint(silent, styles, others)
  )


def test_keys_are_of_whole_numbers():
  latents = latents_of(0)
  latents[1, :NUM_SEEDS] = latents[0, :NUM_SEEDS]
  keys, z = split(latents)
  data = np.asarray(jax.random.key_data(keys))
  np.testing.assert_array_equal(data[0], data[1])
  assert len({tuple(row) for row in data}) == NUM - 1
  np.testing.assert_array_equal(z, latents[:, NUM_SEEDS:])
  latents[0, 1] += 1
  assert (
    np.asarray(jax.random.key_data(split(latents)[0]))[0] != data[0]
  ).any()


def test_truncation_pulls_styles_to_their_mean(styled):
  _, variables, halves = styled
  latents, mean = latents_of(0), variables['buffers']['mean_style']
  styles = halves.styles(variables, latents, {})
  np.testing.assert_allclose(
    truncated(styles, mean, Truncation(1.0)), styles, rtol=1e-5, atol=1e-6
  )
  none = np.asarray(truncated(styles, mean, Truncation(0.0)))
  np.testing.assert_allclose(none, np.broadcast_to(mean, none.shape), rtol=1e-6)
  fixed = latents_of(0, 1).repeat(NUM, axis=0)
  images = np.asarray(halves.paint(variables, none, fixed))
  np.testing.assert_allclose(images, images[:1].repeat(NUM, 0), rtol=1e-5)
  half = np.asarray(truncated(styles, mean, Truncation(0.5, 2)))
  np.testing.assert_allclose(
    half[:, :2], 0.5 * (styles[:, :2] + mean), rtol=1e-4, atol=1e-6
  )
  np.testing.assert_array_equal(half[:, 2:], styles[:, 2:])


def test_styles_above_a_layer_change_nothing_below(styled):
  gen, variables, halves = styled
  latents = latents_of(0)
  styles = np.asarray(halves.styles(variables, latents, {}))
  keys, _ = split(latents)

  def outputs(styles):
    _, seen = gen.apply(
      variables,
      styles,
      keys,
      method='paint',
      train=True,
      capture_intermediates=lambda module, _: (
        (module.name or '')[:6] == 'layers'
      ),
      mutable=['intermediates', 'buffers'],
    )
    found = seen['intermediates']
    return [
      np.asarray(found[f'layers_{i}']['__call__'][0]) for i in range(len(found))
    ]

  before = outputs(styles)
  for layer in (1, 3):
    changed = styles.copy()
    changed[:, layer:] += 1.0
    after = outputs(changed)
    for i in range(layer):
      np.testing.assert_array_equal(after[i], before[i])
    assert (after[layer] != before[layer]).any()


# --- Training -----------------------------------------------------------------


def trained(name, latents, **keys):
  """Styles in training, with the mean that they leave, from one of 0."""
  gen = generator(name, **keys)
  variables = jax.jit(
    lambda: gen.init(jax.random.key(0), latents, train=False)
  )()
  styles, new = gen.apply(
    variables, latents, train=True, method='styles', mutable=['buffers']
  )
  plain = gen.apply(variables, latents, train=False, method='styles')
  return np.asarray(styles), np.asarray(plain), new['buffers']['mean_style']


@pytest.mark.parametrize('name', NAMES)
def test_the_mean_of_styles_follows_a_batch(name):
  styles, plain, mean = trained(name, latents_of(0), mixing=0.9)
  np.testing.assert_allclose(mean, 0.005 * plain[:, 0].mean(0), rtol=1e-4)
  assert not np.array_equal(styles, plain)


def test_styles_are_mixed_from_a_layer_on_of_each_image():
  latents = latents_of(2, 400)
  styles, plain, _ = trained('stylegan2', latents, mixing=0.75)
  own = (styles == plain).all(axis=2)
  cuts = own.sum(axis=1)
  assert (own == (np.arange(6) < cuts[:, None])).all()
  assert set(cuts) == {1, 2, 3, 4, 5, 6}
  assert abs((cuts < 6).mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 400)
  other = styles[~own[:, 5], 5]
  assert len(np.unique(other, axis=0)) == len(other)
  styles, plain, _ = trained('stylegan2', latents, mixing=0.0)
  np.testing.assert_array_equal(styles, plain)


def test_layers_that_are_not_played_with_are_never_cut_at():
  latents = latents_of(2, 200)
  styles, plain, _ = trained('stylegan', latents, mixing=1.0, resolution=8)
  cuts = (styles == plain).all(axis=2).sum(axis=1)
  assert set(cuts) == {1, 2, 3}


def test_the_rate_of_the_mapping_moves_the_function_by_as_much():
  """It starts the same; a move of what is stored has 1/100 of the effect."""
  z = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
  mapping = Mapping(1, 64, Style(weights='equalised'))
  variables = mapping.init(jax.random.key(0), z, None, train=False)
  kernel = variables['params']['Dense_0']['kernel']
  assert abs(float(kernel.std()) - 100.0) < 15
  before = mapping.apply(variables, z, None, train=False)
  moved = {'params': jax.tree.map(lambda x: x + 1.0, variables['params'])}
  change = mapping.apply(moved, z, None, train=False) - before
  # sqrt(2 / 5) * .01 * (sum of normalised z) + .01, through the slope.
  z = z / np.sqrt((z**2).mean(1, keepdims=True))
  linear = np.sqrt(2 / 5) * 0.01 * z.sum(1) + 0.01
  ratio = np.asarray(change) / linear[:, None]
  np.testing.assert_allclose(np.median(ratio[ratio > 0.5]), 1.0, rtol=1e-2)


# --- What cannot be -----------------------------------------------------------


@pytest.mark.parametrize(
  ('name', 'keys', 'message'),
  [
    ('stylegan', dict(mixing=1.5), r'mixing: 1.5 is no probability'),
    ('stylegan2', dict(critic='dcgan'), r"critic: unknown name 'dcgan'"),
    ('stylegan2', dict(gen_weights='spectral'), r'gen_weights: unknown name'),
    ('stylegan2', dict(resolution=8), r'resolution: stylegan2 has no such key'),
    ('stylegan', dict(gen_norm='none'), r"gen_norm: unknown name 'none'"),
  ],
)
def test_bad_input_is_named(name, keys, message):
  with pytest.raises(InputError, match=message):
    generator(name, **keys)


def test_others_have_no_styles():
  assert styled_of(make_pair('mlp', SHAPE).gen) is None

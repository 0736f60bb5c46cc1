"""Pairs that grow: published sizes, and the identity at a share of 0."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import growing, progressive
from gan_jax.networks.layers import mean_pool, upsample
from gan_jax.networks.style import Style
from gan_jax.types import InputError
from tests.helpers import make_pair, sampled, slow
from tests.networks import residual_sizes as sizes


def widths(size, base, most):
  """Channels of maps of 4, 8, ... pixels."""
  return [
    min(base // s, most)
    for s in (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    if s <= size
  ]


def gen_size(maps, latents, channels):
  conv = sizes.conv
  total = latents * 16 * maps[0] + maps[0] + conv(3, maps[0], maps[0])
  for i, o in itertools.pairwise(maps):
    total += conv(3, i, o) + conv(3, o, o)
  return total + sum(conv(1, width, channels) for width in maps)


def disc_size(maps, hidden, channels):
  conv = sizes.conv
  total = sum(conv(1, channels, width) for width in maps)
  for low, high in itertools.pairwise(maps):
    total += conv(3, high, high) + conv(3, high, low)
  total += conv(3, maps[0] + 1, maps[0])
  return total + 16 * maps[0] * hidden + hidden + hidden + 1


@pytest.mark.parametrize(
  ('size', 'channels', 'base', 'most', 'published'),
  [
    (32, 3, 16_384, 512, (20_719_628, 20_726_785)),
    (64, 3, 16_384, 512, (22_490_383, 22_498_049)),
    slow(128, 3, 16_384, 512, (22_933_394, 22_941_313)),
    slow(1024, 3, 16_384, 512, (23_079_115, 23_087_249)),
    (32, 1, 2_048, 128, (1_111_364, 1_113_153)),
  ],
)
def test_sizes_are_the_published_ones(size, channels, base, most, published):
  maps = widths(size, base, most)
  found = sizes.sizes_of(
    'progressive',
    (size, size, channels),
    0,
    most,
    channel_base=base,
    channel_max=most,
  )
  expected = gen_size(maps, most, channels), disc_size(maps, most, channels)
  assert found == expected == published


def test_latents_become_maps():
  """A gain of sqrt(2) / 4 in the dense layer; pixel norm hides all but its
  share beside the bias."""
  rng = np.random.default_rng(0)
  latents = np.float32(rng.normal(size=(3, 5)))
  start = progressive.Start(6, Style(norm='pixel', weights='equalised'))
  shapes = start.init(jax.random.key(0), latents, None, train=True)['params']
  params = jax.tree.map(lambda p: np.float32(rng.normal(size=p.shape)), shapes)
  found = start.apply({'params': params}, latents, None, train=True)

  def normed(x):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8)

  def activated(x):
    return normed(np.where(x > 0, x, 0.2 * x))

  h = normed(np.float64(latents)) @ params['Dense_0']['kernel']
  h = (np.sqrt(2) / 4 / np.sqrt(5) * h).reshape(3, 4, 4, 6)
  h = np.pad(activated(h + params['bias']), ((0, 0), (1, 1), (1, 1), (0, 0)))
  kernel = params['Conv_0']['kernel'] * np.sqrt(2 / (9 * 6))
  h = sum(
    h[:, i : i + 4, j : j + 4] @ kernel[i, j] for i, j in np.ndindex(3, 3)
  )
  expected = activated(h + params['Conv_0']['bias'])
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# --- Growing ------------------------------------------------------------------

SHAPE, LATENTS = (16, 16, 1), 4


@pytest.fixture(scope='module')
def players():
  """Both networks at three levels, with their variables and inputs."""
  pairs = [
    make_pair('progressive', SHAPE, channel_max=4, resolution=size)
    for size in (4, 8, 16)
  ]
  rng = np.random.default_rng(0)
  inputs = rng.normal(size=(4, LATENTS)), rng.uniform(-1, 1, (4, *SHAPE))
  inputs = [np.float32(x) for x in inputs]
  variables = [
    jax.jit(lambda n=n, x=x: n.init(jax.random.key(0), x, train=False))()
    for n, x in zip(pairs[0], inputs, strict=True)
  ]
  variables = [
    v | {'params': jax.tree.map(lambda x: x + 0.1, v['params'])}
    for v in variables
  ]
  return pairs, variables, inputs


def at(variables, grown):
  return variables | {'buffers': {'grown': jnp.float32(grown)}}


def played(players, player, level, grown, train=True, images=None):
  pairs, variables, inputs = players
  x = inputs[player] if images is None else images
  output = pairs[level][player].apply(
    at(variables[player], grown), x, train=train
  )
  return np.asarray(output.logits if player else output)


@pytest.mark.parametrize('level', sampled([1, 2], 2))
def test_a_new_level_changes_nothing_at_share_0(players, level):
  """G_k+1(z; 0) is up(G_k(z)), and D_k+1(x; 0) is D_k(x)."""
  for player in (0, 1):
    new = played(players, player, level, level - 1.0)
    old = played(players, player, level - 1, level - 1.0)
    np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)
    later = played(players, player, level, level - 0.5)
    assert np.abs(later - old).max() > 1e-3 * np.abs(old).max()


@pytest.mark.slow
@pytest.mark.parametrize('player', [0, 1])
def test_the_share_is_felt_while_it_rises(players, player):
  """Of G linearly: d out / d share is the new image minus the old one."""
  pairs, variables, inputs = players

  def output(grown):
    found = pairs[2][player].apply(
      at(variables[player], grown), inputs[player], train=True
    )
    return found.logits if player else found

  slope = jax.jacrev(output)(jnp.float32(1.3))
  assert np.abs(slope).max() > 1e-3
  if not player:
    new, old = (output(jnp.float32(grown)) for grown in (2, 1))
    np.testing.assert_allclose(slope, new - old, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('grown', sampled([0.0, 0.4, 1.0, 1.7, 2.0], 1.0, 1.7))
def test_a_grown_network_is_drawn_at_its_own_level(players, grown):
  """Whatever level it was built for."""
  for player in (0, 1):
    expected = played(players, player, int(np.ceil(grown)), grown)
    for level in (0, 2):
      found = played(players, player, level, grown, train=False)
      np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_what_is_in_at_share_1_has_no_old_layers(players):
  """Nor has a level those above it: their gradients are 0."""
  pairs, variables, inputs = players

  def loss(params, player, level, grown):
    own = at(variables[player] | {'params': params}, grown)
    output = pairs[level][player].apply(own, inputs[player], train=True)
    return ((output.logits if player else output) ** 2).sum()

  for player, kind in ((0, 'to_image'), (1, 'from_image')):
    grads = jax.grad(loss)(variables[player]['params'], player, 1, 1.0)
    moved = {
      name: bool(max(np.abs(x).max() for x in jax.tree.leaves(own)) > 0)
      for name, own in grads.items()
    }
    assert not moved[f'{kind}_0']
    assert moved[f'{kind}_1']
    assert not moved[f'{kind}_2']
    assert not moved[f'{"doublings" if not player else "halvings"}_1']


def test_images_repeat_pixels_below_full_size(players):
  images = played(players, 0, 1, 1.0)
  small = np.asarray(mean_pool(images))
  np.testing.assert_allclose(upsample(small), images, rtol=1e-6)
  # D sees no more of them.
  rng = np.random.default_rng(1)
  noise = np.float32(rng.normal(size=images.shape))
  noise -= np.asarray(upsample(mean_pool(noise)))
  np.testing.assert_allclose(
    played(players, 1, 1, 1.0, images=images + noise),
    played(players, 1, 1, 1.0, images=images),
    rtol=1e-4,
    atol=1e-5,
  )


@pytest.mark.parametrize(
  ('shape', 'keys', 'message'),
  [
    (
      (28, 28, 1),
      {},
      r'image_size: .* does not give 28; the nearest size is 32',
    ),
    ((4, 4, 1), {}, r'image_size: .* 8 pixels or more, not 4 x 4'),
    ((16, 8, 1), {}, r'square images of 8 pixels or more, not 16 x 8'),
    (
      (16, 16, 1),
      dict(resolution=12),
      r'resolution: .*12; the nearest size is',
    ),
    ((16, 16, 1), dict(resolution=32), r'resolution: 32 is more than the 16'),
    ((16, 16, 1), dict(gen_norm='batch'), r"gen_norm: unknown name 'batch'"),
    ((16, 16, 1), dict(disc_norm='virtual'), r'disc_norm: unknown name'),
  ],
)
def test_bad_input_is_named(shape, keys, message):
  with pytest.raises(InputError, match=message):
    make_pair('progressive', shape, **keys)


def test_levels():
  assert [growing.level_of(s) for s in (4, 8, 16, 32, 1024)] == [0, 1, 2, 3, 8]

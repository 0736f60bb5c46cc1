"""R3GAN: published sizes, and what zeros at the end of blocks make of it."""

import itertools

import jax
import numpy as np
import pytest

from gan_jax.networks import network_keys
from gan_jax.networks.r3gan import gain_of
from gan_jax.types import InputError
from tests.helpers import make_pair
from tests.networks import residual_sizes as sizes


def block(width, groups):
  inner = 2 * width
  return 2 * width * inner + 9 * inner * inner // groups + 2 * inner


def by_formula(widths, channels, latents, classes, most_groups=96):
  """Both players', of two blocks at each size."""
  groups = [most_groups * w // widths[0] for w in widths]
  both = sum(2 * block(w, g) for w, g in zip(widths, groups, strict=True))
  both += sum(i * o for i, o in itertools.pairwise(widths) if i != o)
  both += 16 * widths[0]
  gen = both + widths[-1] * channels + latents * widths[0]
  disc = both + widths[-1] * channels + widths[0]
  if classes:
    gen += classes * latents + latents * widths[0]
    disc += widths[0] * (widths[0] - 1) + classes * widths[0]
  return gen, disc


WIDE = dict(channel_max=1536)


@pytest.mark.parametrize(
  ('size', 'classes', 'keys', 'widths', 'published'),
  [
    (32, 0, {}, (768,) * 4, (20_732_160, 20_683_776)),
    (32, 10, {}, (768,) * 4, (20_781_952, 21_280_512)),
    (64, 0, {}, (*(768,) * 4, 384), (22_429_824, 22_381_440)),
    (256, 0, {}, (*(768,) * 4, 384, 192, 96), (23_057_952, 23_009_568)),
    (
      *(32, 1000, WIDE | dict(channel_base=49_152)),
      *((1536,) * 4, (82_914_304, 86_548_992)),
    ),
    (
      *(64, 1000, WIDE | dict(channel_base=98_304)),
      *((1536,) * 5, (103_570_432, 107_205_120)),
    ),
  ],
)
def test_sizes_are_the_published_ones(size, classes, keys, widths, published):
  found = sizes.sizes_of('r3gan', (size, size, 3), classes, 64, **keys)
  assert found == by_formula(widths, 3, 64, classes) == published


SHAPE = (16, 16, 1)


@pytest.fixture(scope='module')
def players():
  pair = make_pair('r3gan', SHAPE, channel_max=8, groups=2)
  rng = np.random.default_rng(0)
  inputs = [np.float32(rng.normal(size=(4, *s))) for s in ((5,), SHAPE)]
  variables = [
    jax.jit(lambda n=n, x=x: n.init(jax.random.key(0), x, train=False))()
    for n, x in zip(pair, inputs, strict=True)
  ]
  return pair, variables, inputs


@pytest.mark.slow
def test_at_the_start_g_is_linear_in_the_latents(players):
  """Every block is the identity."""
  (gen, _), (variables, _), (z, _) = players
  whole = gen.apply(variables, 2.0 * z[:2] - 3.0 * z[2:], train=False)
  parts = gen.apply(variables, z, train=False)
  np.testing.assert_allclose(
    whole, 2.0 * parts[:2] - 3.0 * parts[2:], rtol=1e-4, atol=1e-5
  )
  assert np.abs(parts).max() > 0.01


@pytest.mark.slow
def test_at_the_start_r1_of_d_is_one_number(players):
  (_, disc), (_, variables), (_, x) = players

  def logit(x):
    return disc.apply(variables, x[None], train=False).logits[0]

  slopes = jax.vmap(jax.grad(logit))(x)
  norms = np.asarray((slopes**2).sum(axis=(1, 2, 3)))
  np.testing.assert_allclose(norms, norms[0], rtol=1e-5)
  assert norms[0] > 0


def test_the_gain_is_that_of_eight_blocks():
  np.testing.assert_allclose(gain_of(1), 1.38675, rtol=1e-5)
  np.testing.assert_allclose(gain_of(8), 0.82457, rtol=1e-4)


def test_groups_that_do_not_divide_are_refused():
  with pytest.raises(InputError, match=r'groups: 3 groups at 4 channels are 3'):
    make_pair('r3gan', (8, 8, 1), channel_max=4, groups=3)


def test_labels_start_as_a_linear_map_of_one_hots():
  """N(0, 1 / (width K)): the fan-in of that map are the K classes."""
  pair = make_pair(
    'r3gan', (8, 8, 1), num_classes=400, channel_max=64, blocks=1, groups=8
  )
  variables = jax.jit(
    lambda: pair.disc.init(
      jax.random.key(0),
      np.zeros((2, 8, 8, 1), np.float32),
      {'labels': np.zeros(2, np.int32)},
      train=False,
    )
  )()
  table = np.asarray(variables['params']['Embed_0']['embedding'])
  assert table.shape == (400, 64)
  np.testing.assert_allclose(table.std() * np.sqrt(64 * 400), 1, atol=0.02)


def test_keys_that_it_does_not_read_are_refused():
  for key in ('disc_minibatch', 'minibatch_group', 'embed_dim'):
    assert key not in network_keys('r3gan')
  assert 'embed_dim' not in network_keys('stylegan2')
  assert 'minibatch_group' in network_keys('stylegan2')

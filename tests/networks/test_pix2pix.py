"""pix2pix: published sizes, patches, dropout, and what is refused."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax.data import load_dataset
from gan_jax.modes.train import train
from gan_jax.networks import make_networks
from gan_jax.networks.pix2pix import Discriminator
from gan_jax.networks.seeds import dropout
from gan_jax.networks.style import Style
from gan_jax.types import Column, InputError
from gan_jax.workdir.logs import read_metrics
from tests.helpers import task_of, tiny_digits


def pair_of(shape=(32, 32, 3), source=None, **keys):
  task = task_of(shape)._replace(given={'source': Column(source or shape)})
  return make_networks('pix2pix', task, **keys)


def num_params(network, *inputs):
  variables = jax.eval_shape(
    lambda: network.init(jax.random.key(0), *inputs, train=False)
  )
  return sum(math.prod(p.shape) for p in jax.tree.leaves(variables['params']))


# --- Sizes --------------------------------------------------------------------


def gen_size(halvings, width=64, channels=3):
  """4x4 convolutions in and out; norms but at the first and innermost map."""
  maps = [width * min(2**i, 8) for i in range(halvings)]
  total = 16 * channels * width + channels
  for number, (i, o) in enumerate(itertools.pairwise(maps), 1):
    total += 16 * i * o + 2 * o * (number < halvings - 1)
  i = maps[-1]
  for o in maps[-2::-1]:
    total, i = total + 16 * i * o + 2 * o, 2 * o
  return total + 16 * i * channels


@pytest.mark.parametrize(
  ('halvings', 'published'),
  [(8, 54_413_955), (7, 41_828_995), (6, 29_244_035), (5, 16_659_075)],
)
def test_sizes_of_g_are_the_published_ones(halvings, published):
  shape = (2**halvings, 2**halvings, 3)
  images = np.zeros((2, *shape), np.float32)
  latents = np.zeros((2, 3), np.float32)
  gen = pair_of(shape, disc_layers=1).gen
  found = num_params(gen, latents, {'source': images})
  assert found == gen_size(halvings) == published


@pytest.mark.parametrize(
  ('num_halvings', 'channels', 'norm', 'published'),
  [
    (3, 6, 'batch', 2_768_705),
    (3, 3, 'instance', 2_764_737),
    (2, 3, 'instance', 662_977),
    (1, 3, 'instance', 136_385),
    (0, 6, 'batch', 9_024),
  ],
)
def test_sizes_of_d_are_the_published_ones(
  num_halvings, channels, norm, published
):
  disc = Discriminator(64, num_halvings, Style(norm=norm))
  images = np.zeros((2, 64, 64, channels), np.float32)
  found = num_params(disc, images)
  maps = [64 * min(2**i, 8) for i in range(max(num_halvings, 1) + 1)]
  square, batch = (16 if num_halvings else 1), norm == 'batch'
  expected = square * channels * 64 + 64 + square * maps[-1]
  expected += num_halvings > 0 or not batch
  for i, o in itertools.pairwise(maps):
    expected += square * i * o + (2 * o if batch else o)
  assert found == expected == published


# --- Patches ------------------------------------------------------------------


@pytest.mark.parametrize(
  ('num_halvings', 'field'), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142)]
)
def test_a_logit_sees_its_patch_alone(num_halvings, field):
  """The gradient of one in the middle: nothing outside, all within."""
  disc = Discriminator(2, num_halvings, Style())
  size = 3 * field + 16
  size += -size % 2**num_halvings
  images = jax.random.normal(jax.random.key(0), (1, size, size, 1))
  variables = disc.init(jax.random.key(1), images, train=False)

  @jax.jit
  @jax.grad
  def slope(images):
    logits = disc.apply(variables, images, train=False).logits
    middle = logits.shape[1] // 2
    return logits[0, middle, middle]

  seen = np.argwhere(np.asarray(slope(images))[0, :, :, 0])
  assert tuple(np.ptp(seen, axis=0) + 1) == (field, field)


@pytest.mark.parametrize(
  ('size', 'sides'),
  [
    (28, (12, 5, 1)),
    (32, (14, 6, 2)),
    (64, (30, 14, 6)),
    (128, (62, 30, 14)),
    (256, (126, 62, 30)),
  ],
)
def test_number_of_patches(size, sides):
  images = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
  for num_halvings, side in enumerate(sides, 1):
    disc = Discriminator(2, num_halvings, Style())
    found, _ = jax.eval_shape(
      lambda x, d=disc: d.init_with_output(jax.random.key(0), x, train=False),
      images,
    )
    assert found.logits.shape == (1, side, side)


# --- Dropout ------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_is_of_keys_and_layers():
  keys = jax.random.split(jax.random.key(0), 4)
  x = jnp.ones((4, 20_000))
  found = np.asarray(dropout(x, keys, 0, 0.25))
  assert set(np.unique(found)) == {0, np.float32(1 / 0.75)}
  # 4 deviations of the share kept.
  assert abs((found > 0).mean() - 0.75) < 4 * (0.75 * 0.25 / found.size) ** 0.5
  assert (found[0] != found[1]).any()
  np.testing.assert_array_equal(dropout(x, keys, 0, 0.25), found)
  assert (dropout(x, keys, 1, 0.25) != found).any()
  np.testing.assert_array_equal(dropout(x, keys, 0, 0.0), x)


@pytest.fixture(scope='module')
def drawn():
  """G of 16 pixels: latents, source -> images, in training mode or not."""
  gen = pair_of((16, 16, 1), gen_width=4, disc_width=4, disc_layers=1).gen
  source = {'source': jax.random.normal(jax.random.key(1), (3, 16, 16, 1))}
  latents = jnp.array([[1.0, 2.0, 0.3], [5.0, 6.0, 0.1], [7.0, 8.0, 0.2]])
  variables = gen.init(jax.random.key(0), latents, source, train=False)

  def draw(latents=latents, given=source, train=False):
    return jax.jit(
      lambda z, g: gen.apply(
        variables, z, g, train=train, mutable=['batch_stats']
      )[0]
    )(latents, given)

  return draw, latents, source


@pytest.mark.slow
@pytest.mark.parametrize('train', [False, True])
def test_the_seed_decides_in_training_and_afterwards(drawn, train):
  """Dropout stays on; what follows the seed is not read."""
  draw, latents, _ = drawn
  images = draw(train=train)
  assert np.abs(images).max() <= 1
  assert (draw(latents.at[:, 0].add(1.0), train=train) != images).any()
  moved = draw(latents.at[:, 2].add(1.0), train=train)
  np.testing.assert_array_equal(moved, images)


def test_skips_carry_the_source_to_the_image(drawn):
  """A change of one pixel stays near it: no bottleneck lies between."""
  draw, _, source = drawn
  images = draw()
  changed = draw(given={'source': source['source'].at[:, 0, 0].add(1.0)})
  moved = np.abs(changed - images)
  assert moved[:, :2, :2].mean() > 5 * moved[:, -4:, -4:].mean() > 0


# --- What is refused ----------------------------------------------------------


@pytest.mark.parametrize(
  ('shape', 'keys', 'message'),
  [
    ((30, 30, 1), {}, r'image_size: .*30 x 30.* multiple of 4'),
    ((32, 32, 1), dict(depth=6), r'depth: .*32 x 32.* 2 to 5 times, not 6'),
    ((32, 32, 1), dict(depth=1), r'depth: .* not 1'),
    ((32, 32, 1), dict(disc_layers=4), r'disc_layers: 4 .*32 pixels; take 3'),
    ((32, 32, 1), dict(disc_layers=6), r'disc_layers: 6 is not in 0 to 5'),
    ((32, 32, 1), dict(dropout=1.0), r'dropout: 1.0 is no share'),
    (
      (32, 32, 1),
      dict(source=(8, 8, 1)),
      r'given: the source has 8 x 8 pixels and the image 32 x 32',
    ),
    ((32, 32, 1), dict(embed_dim=3), r'embed_dim: pix2pix has no such key'),
  ],
)
def test_bad_input_is_named(shape, keys, message):
  with pytest.raises(InputError, match=message):
    pair_of(shape, **keys)


def test_a_source_is_asked_for():
  with pytest.raises(InputError, match='set given=source, and data'):
    make_networks('pix2pix', task_of((32, 32, 1)))


# --- A run --------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_translates_and_goes_on_to_the_same_bits(tmp_path):
  """Edges to digits: stopped and resumed, loaded, its sources in order."""
  keys = dict(network__gen_widths=None, network__disc_widths=None)
  keys |= dict(network__name='pix2pix', network__disc_layers=1, l1_weight=10.0)
  keys |= dict(given=('source',), data__derive='edges', latent_dim=1)
  keys |= dict(network__gen_width=4, network__disc_width=4)
  for name, steps in (('whole', (8,)), ('parts', (4, 8))):
    for num_steps in steps:
      config = tiny_digits(**keys, num_steps=num_steps)
      train(config, tmp_path / name)
  whole, parts = (gan_jax.load(tmp_path / name) for name in ('whole', 'parts'))
  digits = load_dataset('digits', derive='edges').train
  sources = np.asarray(digits.derive(digits.read(np.arange(5))['images']))
  images = whole.translate(sources)
  assert images.shape == (5, 8, 8, 1)
  np.testing.assert_array_equal(parts.translate(sources), images)
  np.testing.assert_array_equal(whole.translate(sources[:3]), images[:3])
  assert read_metrics(tmp_path / 'whole')[-1]['l1'] > 0

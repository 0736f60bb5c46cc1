"""The maxout pair: its numbers, D's dropout, and its game."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.config.build import build
from gan_jax.config.plan import read
from gan_jax.networks import seeds
from gan_jax.training.runs import open_run
from gan_jax.types import InputError
from tests.helpers import (
  fake_batch,
  fake_info,
  make_pair,
  stack_draws,
  tiny_digits,
  tiny_keys,
)

SHAPE = (4, 4, 1)
KEYS = jax.random.split(jax.random.key(5), 3)
IMAGES_28 = np.zeros((2, 28, 28, 1))
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)).astype('f4')


def small(**keys):
  return make_pair(
    *('maxout', SHAPE), **dict(gen_widths=(5,), disc_widths=(6, 5)) | keys
  )


def started(network, x):
  return network.init(jax.random.key(1), x, {}, train=False)


def logits(disc, variables, images, keys=None, *, train=True):
  given = {} if keys is None else {seeds.NOISE: keys}
  return disc.apply(variables, images, given, train=train).logits


def test_published_sizes():
  """By hand: G 100-1200-1200-784, D 784-240x5-240x5-1, with biases."""
  pair = make_pair('maxout', (28, 28, 1))
  found = [
    jax.eval_shape(lambda n=network, x=x: started(n, x))['params']
    for network, x in zip(pair, (np.zeros((2, 100)), IMAGES_28), strict=True)
  ]
  counts = [sum(x.size for x in jax.tree.leaves(params)) for params in found]
  assert counts == [2_503_984, 1_231_441]


def test_weights_begin_as_published():
  pair = make_pair('maxout', (28, 28, 1))
  for network, x, reach in (
    (pair.gen, np.zeros((2, 100)), 0.05),
    (pair.disc, IMAGES_28, 0.005),
  ):
    for layer in started(network, x)['params'].values():
      assert not layer['bias'].any()
      kernel = np.asarray(layer['kernel'])
      assert 0.9 * reach < -kernel.min() <= reach
      assert 0.9 * reach < kernel.max() < reach
      assert abs(kernel.mean()) < 0.1 * reach


def test_g_ends_in_a_sigmoid_of_pixels_from_0():
  gen = small().gen
  z = np.random.default_rng(1).normal(size=(3, 7)).astype('f4')
  variables = jax.tree.map(lambda x: 20 * x, started(gen, z))
  first, last = (variables['params'][f'Dense_{i}'] for i in range(2))
  h = np.maximum(z @ first['kernel'] + first['bias'], 0)
  pixels = 1 / (1 + np.exp(-(h @ last['kernel'] + last['bias'])))
  np.testing.assert_allclose(
    0.5 * (gen.apply(variables, z, {}, train=False) + 1),
    pixels.reshape(3, *SHAPE),
    atol=1e-6,
  )


def test_g_begins_with_the_mean_image():
  """Where its hidden units are 0: black where all images are black."""
  gen = small().gen
  mean = np.linspace(-1, 0.9, 16, dtype='f4').reshape(SHAPE)
  latents = np.zeros((2, 7), 'f4')
  variables = started(gen, latents)
  begun = gen.begun_at(variables['params'], jnp.asarray(mean))
  images = gen.apply({'params': begun}, latents, {}, train=False)
  np.testing.assert_allclose(images, np.stack([mean, mean]), atol=1e-6)
  # -log(1e7), by hand, and a logit; nothing else has changed.
  bias = np.asarray(begun['Dense_1']['bias'])
  np.testing.assert_allclose(bias[[0, 15]], [-16.118, 2.944], atol=1e-3)
  before = variables['params']
  differ = jax.tree.map(lambda a, b: bool((a != b).any()), begun, before)
  same = {'bias': False, 'kernel': False}
  assert differ == {'Dense_0': same, 'Dense_1': same | {'bias': True}}


@pytest.mark.parametrize('several', [{}, dict(num_seeds=2)])
def test_a_run_begins_with_the_mean_of_what_it_trains_on(several, tmp_path):
  keys = dict(network__name='maxout', **tiny_keys('maxout'), **several)
  keys |= dict(data__validation=300, ema_decay=0.5)
  run = open_run(read(tiny_digits(**keys)), tmp_path)
  pixels = run.dataset.train.whole()['images'].reshape(-1, 64) / 255.0
  assert len(pixels) == run.info.num_train
  mean = np.clip(pixels.mean(0), 1e-7, 1 - 1e-7)
  state = jax.jit(run.model.init)(jax.random.key(0))
  for params in (state.params.gen, state.ema['params']):
    bias = params['Dense_2']['bias']
    np.testing.assert_allclose(bias, np.log(mean / (1 - mean)), atol=1e-3)


def by_hand(params, images, masks):
  """D's logits: what is left of a layer's inputs is scaled up."""
  h = (0.5 * (images + 1)).reshape(len(images), -1)
  for number in range(2):
    h = h * np.reshape(masks[number], h.shape)
    layer = params[f'Dense_{number}']
    pieces = h @ layer['kernel'] + layer['bias']
    h = pieces.reshape(len(h), 5, -1).max(axis=1)
  last = params['Dense_2']
  return (h * masks[2] @ last['kernel'] + last['bias'])[:, 0]


def test_d_by_hand_with_dropout_and_without():
  """.2 of the pixels, scaled by 1.25, and .5 of the units, by 2."""
  disc = small().disc
  variables = jax.tree.map(lambda x: 100 * x, started(disc, IMAGES))
  params = variables['params']
  whole = [np.ones((3, *size)) for size in (SHAPE, (6,), (5,))]
  np.testing.assert_allclose(
    logits(disc, variables, IMAGES, train=False),
    by_hand(params, IMAGES, whole),
    rtol=1e-4,
  )
  masks = [
    seeds.dropout(jnp.asarray(ones), KEYS, number, rate)
    for number, (ones, rate) in enumerate(
      zip(whole, (0.2, 0.5, 0.5), strict=True)
    )
  ]
  assert {*np.unique(masks[0])} <= {0.0, 1.25}
  assert {*np.unique(masks[1])} == {0.0, 2.0}
  np.testing.assert_allclose(
    logits(disc, variables, IMAGES, KEYS),
    by_hand(params, IMAGES, masks),
    rtol=1e-4,
  )


def test_what_is_dropped_of_the_pixels_is_black():
  """So that an image that is black already is seen as it is."""
  disc = small(dropout=0.0, input_dropout=0.9).disc
  variables = jax.tree.map(lambda x: x + 0.01, started(disc, IMAGES))
  black = -np.ones_like(IMAGES)
  seen, bare = (
    logits(disc, variables, black, KEYS, train=train) for train in (True, False)
  )
  np.testing.assert_array_equal(seen, bare)
  assert np.ptp(logits(disc, variables, -black, KEYS)) > 0


def test_an_image_has_noise_of_its_own():
  disc = small().disc
  variables = jax.tree.map(lambda x: 100 * x, started(disc, IMAGES))
  same = np.repeat(IMAGES[:1], 3, axis=0)
  found = np.asarray(logits(disc, variables, same, KEYS))
  assert len({*found.tolist()}) == 3
  alone = logits(disc, variables, same[1:2], KEYS[1:2])
  np.testing.assert_allclose(alone, found[1:2], rtol=1e-5)


def test_both_players_see_the_same_dropout_where_they_move_at_once():
  """G's minimax loss is then minus that part of D's, of the same fakes."""
  model, state = game(
    loss='minimax', solver='simultaneous', fresh_latents=False
  )
  _, metrics = jax.jit(model.train_step)(
    state, stack_draws(fake_batch()), jax.random.key(3)
  )
  assert metrics['disc_loss_fake'] > 0
  np.testing.assert_allclose(
    metrics['gen_loss'], -metrics['disc_loss_fake'], rtol=1e-6
  )


def game(**keys):
  """A tiny one whose dropout can be seen in its losses, and its state."""
  keys = dict(network__name='maxout', **tiny_keys('maxout')) | keys
  model = build(tiny_digits(**keys), fake_info())
  state = model.init(jax.random.key(0))
  scaled = jax.tree.map(lambda x: 100 * x, state.params)
  return model, state._replace(params=scaled)


def test_real_and_fake_are_dropped_by_keys_of_their_own():
  """Of images that are alike, D does not say the same."""
  model, state = game(network__gen_widths=(8, 8))
  dead = jax.tree.map(jnp.zeros_like, state.params.gen)  # its images are grey
  state = state._replace(params=state.params._replace(gen=dead))
  batch = fake_batch()
  batch = batch._replace(images=jnp.zeros_like(batch.images))
  metrics = jax.jit(model.train_step)(
    state, stack_draws(batch), jax.random.key(3)
  )[1]
  assert abs(metrics['logit_gap']) > 1e-4


@pytest.mark.parametrize(
  'keys',
  [
    dict(penalty='r1', penalty_weight=1.0),
    dict(tricks__packing=2),
    dict(tricks__num_discs=2),
    dict(tricks__feature_matching=1.0),
  ],
  ids=lambda keys: next(iter(keys)),
)
@pytest.mark.slow
def test_it_goes_with_what_looks_at_d_elsewhere(keys):
  model, state = game(**keys)
  new, metrics = jax.jit(model.train_step)(
    state, stack_draws(fake_batch(size=8)), jax.random.key(3)
  )
  assert all(np.isfinite(x) for x in jax.tree.leaves(metrics))
  assert optax.tree.norm(optax.tree.sub(new.params, state.params)) > 0


@pytest.mark.parametrize('name', ['dropout', 'input_dropout'])
def test_a_share_that_is_none(name):
  with pytest.raises(InputError, match=rf'network\.{name}: 1.0 is no share'):
    small(**{name: 1.0})

"""Games whose networks grow: shares by the step, what is real, whole runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.config.checks import check
from gan_jax.games.growth import Growth
from gan_jax.modes.train import train
from gan_jax.networks.layers import mean_pool, upsample
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import (
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  stack_draws,
  tiny_digits,
  tiny_keys,
)

GROWN = dict(
  network__name='progressive',
  network__gen_widths=None,
  network__disc_widths=None,
  data__image_size=16,
  loss='wasserstein',
  penalty='wgan_gp',
  drift_weight=0.001,
  ema_decay=0.5,
  **tiny_keys('progressive'),
)
# 4 pixels for 3 steps; 8 fade in over 4, and 16 over the last 2 of 12.
STAGES = (
  (0, {'network.resolution': 4, 'reset_optimizers': True}),
  (
    3,
    {
      'network.resolution': 8,
      'fade_in': (3, 7),
      'batch_size': 4,
      'reset_optimizers': True,
    },
  ),
  (7, {'network.resolution': 8, 'batch_size': 4, 'reset_optimizers': True}),
  (10, {'network.resolution': 16, 'fade_in': (10, 14)}),
)


def config_of(**keys):
  return tiny_digits(**GROWN | keys)


def test_shares_go_from_0_to_1():
  growth = Growth(8, (100, 300))
  steps = jnp.array([0, 100, 150, 200, 300, 900])
  shares = [0, 0, 0.25, 0.5, 1, 1]
  np.testing.assert_allclose(jax.vmap(growth.share)(steps), shares)
  np.testing.assert_allclose(jax.vmap(growth.grown)(steps), shares)
  assert Growth(32).grown(5) == 3
  assert Growth(4).grown(5) == 0


def test_real_images_fade_in_as_layers_do():
  images = fake_batch(2, (16, 16, 3)).images
  pooled = mean_pool(images)
  np.testing.assert_allclose(
    Growth(8).real(images, 5), upsample(pooled), rtol=1e-6
  )
  np.testing.assert_array_equal(Growth(16).real(images, 5), images)
  found = Growth(16, (0, 8)).real(images, jnp.int32(2))
  expected = 0.25 * images + 0.75 * np.asarray(upsample(pooled))
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_state_says_how_far_it_has_grown():
  """After a step of both players, as it was in that step; the average too."""
  config = config_of(
    network__resolution=8, fade_in=(0, 4), batch_size=4, num_steps=5
  )
  model = build(config, fake_info((16, 16, 1)))
  state = jax.jit(model.init)(jax.random.key(0))
  step = jax.jit(model.train_step)
  batches = stack_draws(fake_batch(4, (16, 16, 1)))
  for share in (0, 0.25, 0.5, 0.75, 1, 1):
    state, metrics = step(state, batches, jax.random.key(1))
    for buffers in (
      state.model_state.gen['buffers'],
      state.model_state.disc['buffers'],
      state.ema['model_state']['buffers'],
    ):
      assert buffers['grown'] == share
  assert metrics['drift'] > 0
  assert np.isfinite(list(metrics.values())).all()
  top = {'doublings_1', 'to_image_2'}
  before = model.init(jax.random.key(0)).params.gen
  assert not differs(
    *({k: p[k] for k in top} for p in (before, state.params.gen))
  )
  assert differs(before['doublings_0'], state.params.gen['doublings_0'])


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A run from 4 pixels into the fade of 16, uninterrupted."""
  workdir = tmp_path_factory.mktemp('grown') / 'whole'
  train(config_of(stages=STAGES), workdir)
  return workdir


@pytest.mark.slow  # four runs
def test_resumed_in_a_fade_and_at_boundaries_equals_uninterrupted(
  whole, tmp_path
):
  for num_steps in (5, 7, 11, 12):
    train(config_of(stages=STAGES, num_steps=num_steps), tmp_path)
  assert_same_bits(restore(whole).state, restore(tmp_path).state)
  assert restore(whole).state.model_state.gen['buffers']['grown'] == 1.25


@pytest.mark.slow
def test_pictures_are_of_the_level_that_a_run_has_come_to(whole, tmp_path):
  images = restore(whole).sampler().sample(3)
  assert images.shape == (3, 16, 16, 1)
  train(config_of(stages=STAGES, num_steps=7), tmp_path)
  small = restore(tmp_path).sampler().sample(3)
  np.testing.assert_array_equal(small[:, ::2, ::2], small[:, 1::2, 1::2])
  logits = restore(tmp_path).sampler().discriminate(small)
  assert np.isfinite(logits).all()


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    (dict(fade_in=(4,)), r'fade_in: .* is no pair of steps'),
    (dict(fade_in=(4, 4)), r'fade_in: 4 and 4 are no steps of which'),
    (dict(fade_in=(0.5, 4)), r'fade_in: 0.5 and 4 are no steps'),
    (dict(drift_weight=-1.0), r'drift_weight: -1.0 is '),
    (dict(fade_in=(2, 4), network__resolution=4), 'fade_in: nothing is below'),
  ],
)
def test_bad_input_is_named(keys, message):
  with pytest.raises(InputError, match=message):
    check(config_of(**keys))


def test_only_what_grows_fades_in():
  with pytest.raises(InputError, match=r'fade_in: .* those of mlp do not'):
    check(tiny_digits(fade_in=(0, 4)))


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    (dict(micro_batch=4), 'network.disc_minibatch: .*micro_batch=4 splits'),
    (dict(batch_size=6), 'minibatch_group: groups of 4 .* a batch of 6;'),
    (
      dict(batch_size=12, tricks__packing=2),
      'minibatch_group: groups of 4 .* a batch of 6 packs;',
    ),
    (dict(path_length_weight=1.0), 'path_length_weight: .*progressive has non'),
  ],
)
def test_what_its_d_or_g_cannot_do_is_named(keys, message):
  with pytest.raises(InputError, match=message):
    build(config_of(**keys), fake_info((16, 16, 1)))


def test_labels_are_guessed_at_4_pixels_too():
  """Where D has no hidden layer to show."""
  config = config_of(conditional=True, network__resolution=4)
  model = build(config, fake_info((16, 16, 1)))
  batch = fake_batch(8, (16, 16, 1))
  state = jax.eval_shape(model.init, jax.random.key(0))
  _, metrics = jax.eval_shape(
    model.train_step, state, stack_draws(batch), jax.random.key(1)
  )
  assert 'disc_class_loss' in metrics or any('class' in n for n in metrics)


def test_diversity_is_beside_reals_as_the_level_has_them():
  """Fakes of 4 pixels beside reals of 4, and not of 16."""
  keys = dict(network__resolution=4, penalty='none', loss='hinge')
  model = build(config_of(**keys), fake_info((16, 16, 1)))
  batch = fake_batch(8, (16, 16, 1))
  state = jax.jit(model.init)(jax.random.key(0))
  found = [
    jax.jit(model.probe)(
      state, stack_draws(batch._replace(images=images)), jax.random.key(1)
    )
    for images in (batch.images, Growth(4).real(batch.images, jnp.int32(0)))
  ]
  for name in ('diversity', 'sharpness'):
    np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-4)

"""Runs of two domains: training, resume, devices, and pictures both ways."""

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.config.checks import check
from gan_jax.modes.train import train
from gan_jax.modes.translate import translate
from gan_jax.types import InputError
from gan_jax.workdir.logs import read_metrics
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  assert_close,
  assert_same_bits,
  load_config,
  tiny_digits,
)

KEYS = dict(
  game='cycle',
  given=('other',),
  loss='least_squares',
  data__name='folder',
  data__layout='unpaired',
  data__image_size=16,
  network__name='cyclegan',
  network__gen_width=2,
  network__disc_width=4,
  network__gen_widths=None,
  network__disc_widths=None,
  network__blocks=1,
  network__disc_layers=1,
  pool_size=6,
  batch_size=4,
)


def write(folder, num, channels, seed):
  folder.mkdir(parents=True)
  draws = np.random.default_rng(seed).integers(
    0, 256, (num, 16, 16, channels), dtype=np.uint8
  )
  for number, pixels in enumerate(draws):
    Image.fromarray(pixels.squeeze()).save(folder / f'{number:02}.png')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Twelve images in colour, and nine in grey."""
  root = tmp_path_factory.mktemp('domains')
  write(root / 'A', 12, 3, seed=0)
  write(root / 'B', 9, 1, seed=1)
  return root


@pytest.fixture(scope='module')
def config_of(folder):
  return lambda **keys: tiny_digits(
    **{**KEYS, 'data__dir': str(folder), 'data__channels': 3, **keys}
  )


@pytest.fixture(scope='module')
def run(config_of, tmp_path_factory):
  """Its pool fills in the second step and is asked from then on."""
  workdir = tmp_path_factory.mktemp('runs') / 'cycle'
  train(config_of(num_steps=8), workdir)
  return workdir


@pytest.mark.slow
def test_a_run_has_rows_and_a_grid(run):
  rows = read_metrics(run)
  assert len(rows) == 2
  names = {'gen_loss', 'disc_loss', 'cycle', 'identity', 'logit_gap'}
  for row in rows:
    assert names <= set(row)
    assert all(np.isfinite(row[name]) for name in names)
  assert (run / 'samples' / 'final.png').is_file()


@pytest.mark.slow
def test_the_state_keeps_both_pools(run):
  state = restore(run).state
  pools = state.model_state.disc['buffers']
  assert set(pools) == {'images', 'other'}
  assert all(int(pool['taken']) == 6 for pool in pools.values())


@pytest.mark.slow
def test_either_way_is_drawn(run, folder):
  gan = gan_jax.load(run)
  images = np.stack(
    [np.asarray(Image.open(folder / 'A' / f'{i:02}.png')) for i in range(3)]
  )
  there = gan.translate(images)
  assert there.shape == images.shape
  assert there.dtype == np.uint8
  back = restore(run).sampler(back=True).translate(images)
  assert back.shape == images.shape
  assert (back != there).any()


@pytest.mark.slow
def test_images_of_any_size_keep_it(run, folder, config_of, tmp_path):
  own = np.random.default_rng(3).integers(0, 256, (22, 17, 3), dtype=np.uint8)
  (tmp_path / 'in').mkdir()
  Image.fromarray(own).save(tmp_path / 'in' / 'a.png')
  keys = dict(translate__dir=str(tmp_path / 'in'), translate__any_size=True)
  (path,) = translate(config_of(**keys), run, tmp_path / 'out')
  found = np.asarray(Image.open(path))
  assert found.shape[:2] == (22, 17)
  # A multiple of 4 is what the network makes of it, whatever the run's size.
  whole = np.pad(own, ((0, 2), (0, 3), (0, 0)), mode='edge')
  expected = gan_jax.load(run).at_size(24, 20).translate(whole[None])[0]
  np.testing.assert_array_equal(found, expected[:22, :17].squeeze())


@pytest.mark.slow
def test_a_folder_is_translated_both_ways(run, folder, config_of, tmp_path):
  keys = dict(translate__dir=str(folder / 'A'))
  gan = restore(run)
  for back in (False, True):
    out = tmp_path / str(back)
    paths = translate(config_of(**keys, translate__back=back), run, out)
    assert [path.name for path in paths] == [f'{i:02}.png' for i in range(12)]
    source = np.asarray(Image.open(folder / 'A' / '03.png'))[None]
    expected = gan.sampler(back=back).translate(source)[0]
    np.testing.assert_array_equal(np.asarray(Image.open(paths[3])), expected)


@pytest.mark.slow
def test_d_judges_the_images(run):
  gan = gan_jax.load(run)
  images = np.zeros((3, 16, 16, 3), np.uint8)
  logits = gan.discriminate(images, given={'other': images})
  assert logits.shape[0] == 3
  assert np.isfinite(logits).all()


@pytest.mark.slow  # two more runs
def test_resumed_equals_uninterrupted(run, config_of, tmp_path):
  """With the pool as it was."""
  train(config_of(num_steps=5), tmp_path)
  train(config_of(num_steps=8), tmp_path)
  assert_same_bits(restore(tmp_path).state, restore(run).state)


_RATES = [f'{p}_optimizer__learning_rate' for p in ('gen', 'disc')]


@pytest.mark.slow  # a program for four devices
def test_four_devices_equal_one(config_of, tmp_path):
  """Three steps, after two of which the pools are full; then rounding grows."""
  states, keys = [], SGD | dict.fromkeys(_RATES, 1e-3)
  keys |= dict(num_steps=3, log_every=1, steps_per_dispatch=1)
  for devices in (1, 4):
    workdir = tmp_path / str(devices)
    train(config_of(num_devices=devices, **keys), workdir)
    states.append(restore(workdir).state)
  assert_close(*(state.params for state in states), 1e-4)
  assert_close(*(state.model_state for state in states), 1e-4)


def test_published_rates_end_at_nothing():
  config = load_config('cyclegan_256')
  for player in (config.gen_optimizer, config.disc_optimizer):
    assert player.schedule == 'linear_late'
    assert player.decay_rate == 0


@pytest.mark.parametrize(
  ('keys', 'line'),
  [
    (dict(given=()), 'given: game=cycle is told the other domain and nothing'),
    (dict(conditional=True), 'given: game=cycle .* conditional=False'),
    (dict(cycle_weight=-1.0), 'cycle_weight: -1.0 is not a finite number'),
    (dict(identity_weight=float('inf')), 'identity_weight: inf is not a fin'),
    (dict(pool_size=-1), 'pool_size: -1 is not in 0 to 10,000'),
    (dict(penalty='r1'), "penalty: 'r1' is for game=adversarial, and game=cy"),
    (dict(tricks__augment='ada'), r"tricks\.augment: 'ada' is for game=adv"),
    (dict(network__name='dcgan'), r"network\.name: .*'dcgan'; valid: cyclegan"),
  ],
)
def test_what_it_cannot_do_is_refused(config_of, keys, line):
  with pytest.raises(InputError, match=line):
    check(config_of(**keys))


@pytest.mark.parametrize('key', ['cycle_weight', 'identity_weight'])
def test_its_keys_are_refused_elsewhere(key):
  with pytest.raises(InputError, match=f'{key}: 1.0 is for game=cycle, and n'):
    check(tiny_digits(**{key: 1.0}))


def test_one_way_runs_have_no_way_back(tmp_path):
  train(tiny_digits(num_steps=4), tmp_path)
  with pytest.raises(
    InputError, match='back: this run goes one way; game=cycle'
  ):
    restore(tmp_path).sampler(back=True)

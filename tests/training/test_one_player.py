"""Runs of games without D, from training to a comparison."""

import json
import shutil

import jax
import numpy as np
import pytest

import gan_jax
from gan_jax.config.build import build
from gan_jax.config.history import ADDED, completed
from gan_jax.config.plan import Plan
from gan_jax.data import load_dataset
from gan_jax.modes import replay
from gan_jax.modes.compare import compare
from gan_jax.modes.diagnose import diagnose
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.interpolate import interpolate
from gan_jax.modes.sample import sample
from gan_jax.modes.train import train
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import restore
from tests.helpers import (
  assert_close,
  assert_same_bits,
  differs,
  fake_info,
  sampled,
  timeless_rows,
  tiny_digits,
  tiny_one_player,
)
from tests.training.test_training import run_dispatch

FULL = dict(
  gen_optimizer__name='sgd',
  gen_optimizer__b1=None,
  gen_optimizer__b2=None,
  gen_optimizer__learning_rate=0.01,
  ema_decay=0.5,
  conditional=True,
  data__flip=True,
  network__gen_norm='batch',
  eval__network='random',
  eval__num_samples=64,
)
FAMILIES = [
  (game, name) for game in ('vae', 'autoencoder') for name in ('mlp', 'conv')
]
FAMILIES.append(('diffusion', 'unet'))
FAST = ('vae', 'mlp')
OWN = {'diffusion': dict(network__gen_norm='group', denoise__eta=0.5)}


def config_of(game, name, **keys):
  own = dict(network__name=name) | OWN.get(game, {})
  return tiny_one_player(game, **FULL | own | keys)


@pytest.fixture(
  scope='module', params=sampled(map('-'.join, FAMILIES), '-'.join(FAST))
)
def run(request, tmp_path_factory):
  """A finished run, with its config."""
  family = request.param.split('-')
  config, workdir = config_of(*family), tmp_path_factory.mktemp('run')
  train(config, workdir)
  return config, workdir, family


# Each of these trains: most of its time is compiling. The run of the fixture is
# shared by the rest.

# --- Bit for bit, and side by side --------------------------------------------


@pytest.mark.slow  # two are one in tests/config/test_given.py
@pytest.mark.parametrize(('game', 'name'), FAMILIES)
def test_four_devices_equal_one(game, name):
  config = config_of(game, name)
  one, four = (run_dispatch(config, n) for n in (1, 4))
  before = build(config, fake_info()).init(jax.random.key(0))
  assert differs(one[0].params.gen, before.params.gen)
  assert_close(four, one, 1e-5)


@pytest.mark.slow
def test_a_resumed_run_is_the_uninterrupted_one(run, tmp_path):
  config, workdir, family = run
  train(config_of(*family, num_steps=7), tmp_path)  # amid a dispatch
  train(config, tmp_path)
  assert_same_bits(restore(tmp_path).state, restore(workdir).state)


@pytest.mark.slow
def test_a_member_is_the_run_that_it_would_be_alone(run, tmp_path):
  _, workdir, family = run
  train(config_of(*family, num_seeds=2), tmp_path)
  states = [restore(tmp_path, member=i).state for i in range(2)]
  assert_close(states[0], restore(workdir).state, 1e-5)
  with pytest.raises(AssertionError):
    assert_close(states[1].params, states[0].params, 1e-3)
  assert 'disc_loss' not in timeless_rows(tmp_path)[-1]


# --- What a run leaves, and what is made of it --------------------------------


@pytest.mark.slow
def test_rows_say_nothing_of_a_discriminator(run):
  _, workdir, (game, _) = run
  last = timeless_rows(workdir)[-1]
  assert not [name for name in last if name.startswith(('disc', 'logit'))]
  assert {'gen_loss', 'gen_loss_after', 'diversity', 'sharpness'} < set(last)
  if game == 'vae':
    bound = last['reconstruction'] - last['kl']
    assert last['elbo'] == pytest.approx(bound, rel=1e-5)
    assert last['gen_loss'] == pytest.approx(-bound, rel=1e-5)
  assert (workdir / 'losses.png').stat().st_size > 0
  assert (workdir / 'samples' / 'step_00000008.png').stat().st_size > 0


@pytest.mark.slow
def test_a_run_draws_and_reconstructs(run, capsys):
  config, workdir, _ = run
  trained = gan_jax.load(workdir)
  sample(config, workdir)
  with np.load(workdir / 'samples.npz') as archive:
    np.testing.assert_array_equal(archive['images'], trained.sample(64))
  interpolate(config, workdir)
  assert 'interpolation.png' in capsys.readouterr().out
  images = load_dataset('digits').test.whole()
  found = trained.reconstruct(images['images'][:5], images['labels'][:5])
  assert found.shape == (5, 8, 8, 1)
  assert found.dtype == np.uint8
  if 'batch_stats' not in trained._variables:
    return
  # Standing statistics are of the decoder, and leave the encoder's alone.
  standing = restore(workdir).sampler(batch_norm='standing')
  assert standing.reconstruct(images['images'][:5]).shape == found.shape
  stats = standing._variables['batch_stats']
  own = trained._variables['batch_stats']
  assert_close(stats['encoder'], own['encoder'], 1e-5)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(stats))


def test_what_it_lacks_is_said_in_a_line(run):
  _, workdir, (game, _) = run
  images = np.zeros((2, 8, 8, 1), np.uint8)
  with pytest.raises(InputError, match=f'discriminate: game={game} has one pl'):
    gan_jax.load(workdir).discriminate(images, np.zeros(2, int))


def test_a_repeated_step_is_reported_of_who_plays(run):
  state = restore(run[1]).state
  lines = replay.report(state, state, {}, {'metrics': {}})
  assert any(line.startswith('gen before: 0 of') for line in lines)
  assert not any(line.startswith('disc') for line in lines)


def test_a_gan_does_not_reconstruct():
  model = build(tiny_digits(), fake_info())
  sampler = model.sampler(model.init(jax.random.key(0)), ema=True)
  with pytest.raises(InputError, match='reconstruct: no encoder'):
    sampler.reconstruct(np.zeros((2, 8, 8, 1), np.uint8))


def test_it_is_scored_without_a_discriminator(run):
  config, workdir, _ = run
  config.eval.scores = ('fid', 'nearest_neighbours', 'disc_accuracy')
  found = evaluate(config, workdir)
  assert 'fid_random' in found.scores
  assert not [name for name in found.scores if name.startswith('disc')]
  assert any('the run has no D' in line for line in found.warnings)
  config.eval.scores = ('disc_accuracy',)
  with pytest.raises(InputError, match='the run has no D; name other scores'):
    evaluate(config, workdir)


def test_it_is_diagnosed(run, capsys):
  config, workdir, _ = run
  config.diagnose.samples = 64
  config.diagnose.classifier = False
  diagnose(config, workdir)
  assert 'too early to tell' in capsys.readouterr().out


@pytest.mark.slow  # a figure is drawn
def test_it_is_compared(run, tmp_path):
  config, workdir, _ = run
  config.eval.scores = ('fid', 'nearest_neighbours')
  evaluate(config, workdir)
  shutil.copytree(workdir, tmp_path / 'again')
  out = tmp_path / 'out'
  compare([str(workdir), str(tmp_path / 'again')], out)
  assert 'fid_random' in (out / 'comparison.md').read_text()


def test_a_config_of_before_the_key_is_a_gans(tmp_path):
  """It is read and may be resumed: no kind of game was named."""
  fields = Plan(tiny_digits()).fields
  before = {key: fields[key] for key in fields if key not in ADDED}
  assert 'game' not in before
  (tmp_path / 'config.json').write_text(json.dumps(before))
  (tmp_path / 'checkpoints' / '4').mkdir(parents=True)
  found = completed(layout.config_fields(tmp_path))
  assert layout.flatten(found) == layout.flatten(fields)
  layout.check_resumable(tmp_path, fields)
  assert layout.is_of(tmp_path, fields)
  with pytest.raises(InputError, match="game was 'adversarial', now 'vae'"):
    layout.check_resumable(tmp_path, Plan(tiny_one_player('vae')).fields)

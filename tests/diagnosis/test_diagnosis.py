"""Verdicts on runs: rules on made rows, runs made to fail, and healthy ones."""

import functools
import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.plan import read
from gan_jax.data import load_dataset
from gan_jax.diagnosis import checkup
from gan_jax.diagnosis import verdict as diagnosis
from gan_jax.features.classifier_training import Recipe
from gan_jax.metrics.diversity import diversity, nearest, spread
from gan_jax.modes import diagnose as diagnose_mode
from gan_jax.modes.train import train
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError, NonFiniteError
from gan_jax.workdir import logs
from gan_jax.workdir.layout import write_json
from tests.helpers import (
  BY_CLASS,
  DRAWING,
  ROOT,
  load_config,
  run_cli,
  sampled,
  tiny_digits,
)

SOUND = dict(
  disc_loss=1.1,
  gen_loss=1.0,
  disc_accuracy_real=0.75,
  disc_accuracy_fake=0.7,
  logit_gap=0.8,
  diversity=0.95,
  nearest_diversity=1.0,
  disc_grad_norm=2.0,
  gen_grad_norm=1.5,
  disc_update_ratio=1e-3,
  gen_update_ratio=1e-3,
  sharpness=1.0,
)


def rows_with(num=30, every=100, **changes):
  """Rows of a sound run; a change is a value, or a function of the step."""
  rows = []
  for step in range(every, every * (num + 1), every):
    values = {
      name: value(step) if callable(value) else value
      for name, value in (SOUND | changes).items()
    }
    rows.append({'step': step} | values)
  return rows


CASES = {
  'dynamics healthy': {},
  'diverged': dict(gen_loss=lambda t: math.nan if t > 2_500 else 1.0),
  'diverged, null in JSON': dict(disc_loss=lambda t: None),
  'diverged, huge': dict(disc_grad_norm=2e4),
  'generator collapsed': dict(nearest_diversity=0.1),
  'generator collapsed, far apart': dict(diversity=0.2),
  'discriminator too strong': dict(
    disc_accuracy_real=1.0, disc_accuracy_fake=0.99
  ),
  'generator collapsing': dict(
    nearest_diversity=lambda t: 1.0 if t < 1_500 else 0.5
  ),
  'oscillating': dict(gen_loss=lambda t: 1.0 + 1.5 * math.sin(t / 150)),
  # Figures of faces after 40 steps, and of a critic's G after 15.
  'generator draws noise': dict(diversity=1.92, nearest_diversity=2.55),
  'generator draws noise, near': dict(nearest_diversity=1.9),
  'generator draws noise, rough': dict(sharpness=2.5),
  'too early to tell': dict(gen_update_ratio=1e-6),
}


@pytest.mark.parametrize('case', CASES)
def test_each_sign_has_its_verdict(case):
  found = diagnosis.diagnose(rows_with(**CASES[case]))
  assert found.verdict == case.split(',')[0]
  assert found.step == 3_000
  assert bool(found.remedies) == (case != 'dynamics healthy')
  text = diagnosis.report(found)
  assert text.startswith(f'verdict at step 3,000: {found.verdict}\n')
  assert found.reason in text


@pytest.mark.parametrize('num', [1, 3])
def test_a_run_of_few_steps_is_too_early(num):
  """Neither healthy nor collapsed; but what is not finite is."""
  for changes in ({}, dict(diversity=0.01), dict(diversity=1.92)):
    found = diagnosis.diagnose(rows_with(num, every=50, **changes))
    assert found.verdict == diagnosis.TOO_EARLY
    assert found.reason.startswith(f'step {num * 50}: before 200')
    assert not found.warnings
  found = diagnosis.diagnose(rows_with(num, every=50, gen_loss=math.nan))
  assert found.verdict == diagnosis.DIVERGED


def test_only_samples_near_the_data_are_healthy():
  rows, measured = rows_with(), {'pixel_distance': 0.1}
  assert diagnosis.diagnose(rows, measured=measured).verdict == 'healthy'
  found = diagnosis.diagnose(rows, measured={'pixel_distance': 0.5})
  assert found.verdict == diagnosis.UNLIKE
  assert 'pixel_distance 0.50 > 0.3' in found.reason
  # What the players did comes first.
  found = diagnosis.diagnose(
    rows_with(diversity=0.1), measured={'pixel_distance': 0.5}
  )
  assert found.verdict == diagnosis.COLLAPSED
  assert any(diagnosis.UNLIKE in line for line in found.warnings)


def test_a_loss_that_only_falls_does_not_swing():
  rows = rows_with(gen_loss=lambda t: 3.0 - t / 1_500)
  assert diagnosis.diagnose(rows).verdict == diagnosis.DYNAMICS


def test_a_critic_may_be_right_about_everything():
  rows = rows_with(disc_accuracy_real=1.0, disc_accuracy_fake=1.0)
  assert diagnosis.diagnose(rows, critic=True).verdict == diagnosis.DYNAMICS
  assert diagnosis.diagnose(rows).verdict == diagnosis.STRONG


def test_what_may_help_are_keys_and_values_that_exist():
  keys = {}
  for line in ' '.join(sum(diagnosis.REMEDIES.values(), ())).split():
    for key, value in re.findall(r'([a-z_.]+\w)=([\w.]+\w|\d)', line):
      keys[key] = float(value) if value[0].isdigit() else value
  assert keys.pop('b1') == 0.0  # of either optimizer
  assert len(keys) > 8
  for key, value in keys.items():
    if key in ('tricks.packing', 'tricks.lookahead_steps'):
      value = int(value)
    load_config('mlp_digits', **{key: value})


# Heading of a table in docs/stability.md -> the verdict that it is about.
TABLES = {
  'The generator has collapsed': diagnosis.COLLAPSED,
  'The discriminator is too strong': diagnosis.STRONG,
  'The players oscillate': diagnosis.OSCILLATING,
  'The run has diverged': diagnosis.DIVERGED,
}


@pytest.mark.parametrize('heading', TABLES)
def test_what_helped_most_in_the_docs_comes_first(heading):
  """Cures by their score, then what was not measured; no failures."""
  text = (ROOT / 'docs' / 'stability.md').read_text()
  block = text.split(f'**{heading}.**')[1].split('\n\n')[1]
  rows = [line.split(' | ') for line in block.splitlines()[3:]]
  cured, failed = [], []
  for cells in rows:
    found = re.search(r'`([\w.]+)=?([a-z]\w*)?', cells[0])
    if found is None:  # told in words
      continue
    key = found[1], found[2] or ''
    if cells[1] != 'healthy':
      failed.append(key)
    elif key not in [key for _, key in cured]:
      cured.append((float(cells[2]), key))
  lines = diagnosis.REMEDIES[TABLES[heading]]
  places = []
  for _, (name, value) in sorted(cured):
    lines_with = [i for i, line in enumerate(lines) if name in line]
    lines_with = [i for i in lines_with if value in lines[i]]
    assert lines_with, name
    places.append(lines_with[0])
  assert places == sorted(places)
  measured = set(range(max(places) + 1))
  assert measured <= set(places)
  for name, value in set(failed) - {key for _, key in cured}:
    assert not any(name in line and value in line for line in lines), name


def test_the_level_of_a_critic_may_wander():
  """A constant added to it changes G's loss, and nothing else."""
  wandering = dict(disc_loss=-0.1, gen_loss=lambda t: math.sin(t / 150))
  rows = rows_with(**wandering)
  assert diagnosis.diagnose(rows, critic=True).verdict == diagnosis.DYNAMICS
  assert diagnosis.diagnose(rows).verdict == 'oscillating'
  swinging = rows_with(
    disc_accuracy_fake=lambda t: 0.5 + 0.4 * math.sin(t / 150), **wandering
  )
  found = diagnosis.diagnose(swinging, critic=True)
  assert found.verdict == 'oscillating'
  assert 'accuracy_swing 0.' in found.reason
  steady = rows_with(disc_accuracy_fake=lambda t: 0.5 + 0.4 * math.sin(t / 150))
  assert diagnosis.diagnose(steady, critic=True).verdict == diagnosis.DYNAMICS


def test_the_window_is_the_last_steps():
  early = rows_with(gen_loss=lambda t: math.nan if t <= 2_000 else 1.0)
  assert diagnosis.diagnose(early).verdict == diagnosis.DYNAMICS
  assert diagnosis.diagnose(early, window=1_500).verdict == 'diverged'
  steps = [row['step'] for row in diagnosis.window_of(rows_with())]
  assert steps == list(range(2_100, 3_001, 100))
  # Of a short run, the second half.
  steps = [row['step'] for row in diagnosis.window_of(rows_with(6))]
  assert steps == [400, 500, 600]


def test_what_was_before_the_window_is_before_it():
  """Distances that were high between steps 2,100 and 2,600 alone."""
  rows = rows_with(
    nearest_diversity=lambda t: 1.0 if 2_100 <= t <= 2_600 else 0.5
  )
  found = diagnosis.diagnose(rows, window=300)
  assert found.verdict == diagnosis.COLLAPSING
  assert 'from 1.00 to 0.50' in found.reason
  # A window that holds them has nothing as high before.
  assert diagnosis.diagnose(rows, window=1_500).verdict == diagnosis.DYNAMICS


def test_the_first_verdict_counts_and_the_others_are_told():
  rows = rows_with(
    nearest_diversity=0.1, disc_accuracy_real=1.0, disc_accuracy_fake=1.0
  )
  found = diagnosis.diagnose(rows)
  assert found.verdict == diagnosis.COLLAPSED
  assert any(diagnosis.STRONG in line for line in found.warnings)


def test_long_gradients_are_warned_of():
  found = diagnosis.diagnose(rows_with(gen_grad_norm=150.0))
  assert found.verdict == diagnosis.DYNAMICS
  assert 'gen_grad_norm 150 is above diagnose.grad_norm=100' in found.warnings
  assert not diagnosis.diagnose(
    rows_with(gen_grad_norm=150.0), grad_norm=200.0
  ).warnings


def test_classes_and_samples_outweigh_the_rows():
  rows = rows_with()
  found = diagnosis.diagnose(rows, modes=(4, 10))
  assert found.verdict == diagnosis.COLLAPSED
  assert 'samples are of 4 classes' in found.reason
  assert 'as many real images of 10' in found.reason
  assert (found.evidence['modes'], found.evidence['real_modes']) == (4, 10)
  assert diagnosis.diagnose(rows, modes=(6, 10)).verdict == diagnosis.DYNAMICS
  # As many as as few real images are of.
  assert diagnosis.diagnose(rows, modes=(4, 5)).verdict == diagnosis.DYNAMICS
  found = diagnosis.diagnose(rows, measured={'diversity': 0.1})
  assert found.verdict == diagnosis.COLLAPSED
  assert found.evidence['diversity'] == 0.1


def test_rows_of_an_older_version_are_enough():
  """Without distances, gaps and ratios."""
  names = ('step', 'disc_loss', 'gen_loss')
  old = [{n: row[n] for n in names} for row in rows_with()]
  assert diagnosis.diagnose(old).verdict == diagnosis.DYNAMICS


def test_evidence_is_of_the_window():
  rows = rows_with(gen_loss=lambda t: t / 1_000, disc_loss=2.0)
  evidence = diagnosis.diagnose(rows).evidence
  losses = np.arange(2_100, 3_001, 100) / 1_000
  np.testing.assert_allclose(evidence['gen_loss'], losses.mean())
  np.testing.assert_allclose(evidence['gen_loss_variance'], losses.var())
  np.testing.assert_allclose(evidence['loss_ratio'], losses.mean() / 2)
  np.testing.assert_allclose(evidence['disc_accuracy'], 0.725)


# --- Distances --------------------------------------------------------------


def test_distances_against_numpy():
  rng = np.random.default_rng(0)
  x = rng.normal(3.0, 1.0, (7, 2, 3))
  flat = x.reshape(7, 6)
  distances = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
  pairs = distances[~np.eye(7, dtype=bool)].reshape(7, 6)
  np.testing.assert_allclose(
    spread(np.float32(x)), np.sqrt((pairs**2).mean()), rtol=1e-5
  )
  np.testing.assert_allclose(
    nearest(np.float32(x)), pairs.min(axis=1).mean(), rtol=1e-5
  )


def test_diversity_tells_one_mode_and_few_modes():
  rng = np.random.default_rng(0)
  real = rng.normal(size=(32, 10))
  one = np.repeat(real[:1], 32, axis=0) + 1e-3 * rng.normal(size=(32, 10))
  few = np.repeat(real[:4], 8, axis=0) + 1e-3 * rng.normal(size=(32, 10))
  values = {
    name: {k: float(v) for k, v in diversity(jnp.asarray(x), real).items()}
    for name, x in dict(same=real, one=one, few=few).items()
  }
  assert values['same'] == pytest.approx(
    {'diversity': 1.0, 'nearest_diversity': 1.0}
  )
  assert values['one']['diversity'] < 0.01
  assert values['few']['diversity'] > 0.5
  assert values['few']['nearest_diversity'] < 0.01


# --- Noise ------------------------------------------------------------------


def noises(real, rng):
  """Images that a generator of noise may draw, beside real ones."""
  mean, deviation = real.mean(axis=0), real.std(axis=0)
  normal = rng.normal(size=real.shape)
  drawn = {
    'uniform': rng.uniform(0, 255, real.shape),
    'grey and loud': 128 + 40 * normal,
    'grey and quiet': 128 + 2 * normal,
    'pixels like the data': mean + deviation * normal,
    'the mean, quiet': mean + 0.3 * deviation * normal,
    'pixels in another order': rng.permuted(
      real.reshape(len(real), -1, real.shape[-1]), axis=1
    ).reshape(real.shape),
  }
  return {k: np.clip(x, 0, 255).astype(np.uint8) for k, x in drawn.items()}


@pytest.mark.parametrize(
  'name',
  sampled(['digits', 'mnist', 'cifar10_jpeg', 'fashion_mnist'], 'digits'),
)
def test_no_noise_is_healthy(name):
  """On rows of sound players, whatever they do; real images are healthy."""
  try:
    data = load_dataset(name).train
  except InputError:
    pytest.skip(f'{name} is not prepared here')
  rng = np.random.default_rng(0)
  chosen = rng.permutation(len(data))[:800]
  real, others = np.split(data.read(chosen)['images'], 2)

  def verdict(images):
    measured = checkup.beside(images, real)
    return diagnosis.diagnose(rows_with(), measured=measured).verdict

  assert verdict(others) == 'healthy'
  for kind, images in noises(real, rng).items():
    assert 'healthy' not in verdict(images), kind


# --- One player ---------------------------------------------------------------


def rows_of_one(**changes):
  """Rows of a sound run without D, whose loss falls as an exponential."""
  rows = rows_with(gen_loss=lambda t: 200 * math.exp(-t / 700), **changes)
  own = {name for name in SOUND if not name.startswith(('disc', 'logit'))}
  return [{k: row[k] for k in {'step'} | own} for row in rows]


def test_a_falling_loss_is_no_oscillation():
  found = diagnosis.diagnose(rows_of_one())
  assert found.verdict == 'dynamics healthy'
  assert 'samples not compared with the data' in found.reason
  assert math.isnan(found.evidence['swing'])


def test_samples_of_an_autoencoder_are_looked_at_before_it_is_healthy():
  def verdict(distance):
    measured = {'pixel_distance': distance}
    return diagnosis.diagnose(rows_of_one(), measured=measured)

  assert verdict(0.1).verdict == 'healthy'
  found = verdict(0.5)
  assert found.verdict == 'samples unlike the data'
  assert any('game=vae' in remedy for remedy in found.remedies)


@pytest.mark.parametrize(
  'changes', [dict(nearest_diversity=0.1), dict(gen_grad_norm=2e4)]
)
def test_remedies_for_two_players_are_not_given_to_one(changes):
  found = diagnosis.diagnose(rows_of_one(**changes))
  assert 'healthy' not in found.verdict
  assert found.remedies == ()
  assert diagnosis.diagnose(rows_with(**changes)).remedies


@pytest.mark.parametrize('network', sampled(DRAWING, 'mlp'))
@pytest.mark.parametrize(
  'name', sampled(['digits', 'mnist', 'cifar10_jpeg'], 'digits')
)
def test_no_untrained_generator_is_healthy(name, network):
  """Whatever the rows say of the players."""
  size = 16 if name == 'digits' else 0
  if name == 'mnist' and network in ('sngan', 'sagan', 'biggan'):
    size = 32  # they make no 28
  try:
    data = load_dataset(name, image_size=size)
  except InputError:
    pytest.skip(f'{name} is not prepared here')
  config = load_config(
    'mlp_digits',
    network__name=network,
    conditional=network in BY_CLASS,
    latent_dim=60,  # which two, three and four divide
    **dict.fromkeys(['network__gen_widths', 'network__disc_widths']),
  )
  model = read(config).build(data.info)
  sampler = model.sampler(jax.jit(model.init)(jax.random.key(0)), ema=False)
  real = data.train.read(np.arange(400))['images']
  measured = checkup.beside(sampler.sample(400), real)
  found = diagnosis.diagnose(rows_with(), measured=measured)
  assert 'healthy' not in found.verdict, found.reason


# --- Runs -------------------------------------------------------------------

# Runs made to fail, in a few seconds each; docs/stability.md has longer ones.
RUNS = {
  'healthy': {},
  'healthy, a clipped critic': dict(
    loss='wasserstein', weight_clip=0.01, disc_steps=5
  ),
  'diverged': dict(
    gen_optimizer__name='sgd',
    disc_optimizer__name='sgd',
    gen_optimizer__b1=None,
    gen_optimizer__b2=None,
    disc_optimizer__b1=None,
    disc_optimizer__b2=None,
    gen_optimizer__learning_rate=100.0,
    disc_optimizer__learning_rate=100.0,
  ),
  'generator collapsed': dict(gen_steps=10, gen_optimizer__learning_rate=1e-3),
  'discriminator too strong': dict(
    loss='minimax',
    disc_optimizer__learning_rate=2e-3,
    gen_optimizer__learning_rate=1e-6,
  ),
  'oscillating': dict(
    loss='wasserstein', weight_clip=0.1, solver='simultaneous'
  ),
}


def made_to_fail(case, workdir, **keys):
  """Trains the default config's networks for 1,500 steps."""
  config = load_config(
    'mlp_digits',
    num_devices=1,
    num_steps=1_500,
    log_every=50,
    sample_every=1_500,
    checkpoint_every=1_500,
    **(RUNS[case] | keys),
  )
  return train(config, workdir)


@pytest.mark.slow
@pytest.mark.usefixtures('optimised')
@pytest.mark.parametrize('case', sampled(RUNS, 'diverged'))
def test_a_run_made_to_fail_is_told_how(case, tmp_path, capsys):
  last = '1,500'
  if case == 'diverged':  # and so it stops
    with pytest.raises(NonFiniteError) as caught:
      made_to_fail(case, tmp_path)
    last = f'{caught.value.step:,}'
  else:
    made_to_fail(case, tmp_path)
  printed = capsys.readouterr()
  case = case.split(',')[0]
  said = case.replace('healthy', diagnosis.DYNAMICS)
  assert f'verdict at step {last}: {said}' in printed.out
  assert 'warning: ' not in printed.out
  assert 'NaN' not in printed.err  # said once, not for every number
  config = load_config('mlp_digits', diagnose__classifier=False)
  found = diagnose_mode.diagnose(config, tmp_path)
  assert found.verdict == case
  written = json.loads((tmp_path / 'diagnosis.json').read_text())
  assert written['verdict'] == case
  assert set(written['evidence']) == set(found.evidence)


# --- The mode ---------------------------------------------------------------


@pytest.fixture(scope='module')
def short_run(tmp_path_factory):
  return train(tiny_digits(), tmp_path_factory.mktemp('run'))


@pytest.mark.slow  # trains a classifier
def test_samples_are_classified_where_there_are_labels(short_run, capsys):
  config = tiny_digits(diagnose__samples=64)
  found = diagnose_mode.diagnose(config, short_run)
  assert 1 <= found.evidence['modes'] <= 10
  assert found.evidence['real_modes'] == 10
  assert 'verdict at step 12' in capsys.readouterr().out


@pytest.mark.slow
def test_few_samples_are_of_few_classes(short_run, monkeypatch):
  """Real images as fakes: three of them are of three classes of ten."""
  real = load_dataset('digits').train

  def as_samples(self, num, **keys):
    chosen = np.random.default_rng(1).permutation(len(real))[:num]
    return lambda indices: real.read(np.sort(chosen)[indices])['images']

  monkeypatch.setattr(Sampler, 'stream', as_samples)
  recipe = Recipe(width=8, feature_dim=16, min_steps=200, batch_size=32)
  quick = functools.partial(checkup.classifier_network, recipe=recipe)
  monkeypatch.setattr(checkup, 'classifier_network', quick)
  config = tiny_digits(diagnose__samples=3)
  found = diagnose_mode.diagnose(config, short_run)
  assert found.evidence['modes'] <= 3
  assert found.evidence['real_modes'] <= 3
  assert 'classes' not in found.reason
  assert found.verdict != diagnosis.COLLAPSED


def test_without_data_the_rows_have_to_do(short_run, tmp_path, capsys):
  import shutil

  shutil.copytree(short_run, tmp_path / 'copy')
  run = json.loads((tmp_path / 'copy' / 'config.json').read_text())
  run['data'] |= {'name': 'folder', 'dir': str(tmp_path / 'gone')}
  write_json(tmp_path / 'copy' / 'config.json', run)
  found = diagnose_mode.diagnose(tiny_digits(), tmp_path / 'copy')
  assert 'modes' not in found.evidence
  assert 'note: from the metrics alone' in capsys.readouterr().out


@pytest.mark.slow
def test_each_of_several_runs_has_a_verdict(tmp_path, capsys):
  train(tiny_digits(num_seeds=2), tmp_path)
  printed = capsys.readouterr().out
  for number in range(2):
    assert f'run {number} (seed-{number}): ' in printed
  config = tiny_digits(member=1, diagnose__classifier=False)
  diagnose_mode.diagnose(config, tmp_path)
  assert 'run 1 of 2' in capsys.readouterr().out


def test_a_run_without_rows_is_refused(short_run, tmp_path):
  import shutil

  shutil.copytree(short_run, tmp_path / 'copy')
  logs.write_rows(tmp_path / 'copy' / 'metrics.jsonl', [])
  with pytest.raises(InputError, match='has no rows to diagnose'):
    diagnose_mode.diagnose(tiny_digits(), tmp_path / 'copy')
  with pytest.raises(InputError, match='holds no run'):
    diagnose_mode.diagnose(tiny_digits(), tmp_path / 'nothing')


@pytest.mark.parametrize(
  ('key', 'value'), [('window', 0), ('samples', 1), ('grad_norm', 0.0)]
)
def test_keys_out_of_range_are_refused(key, value):
  config = tiny_digits(**{f'diagnose__{key}': value})
  with pytest.raises(InputError, match=f'diagnose.{key}: '):
    read(config)


@pytest.mark.slow  # the mode is tested by call
def test_the_command_line(short_run):
  done = run_cli(
    '--mode=diagnose',
    f'--workdir={short_run}',
    '--config.diagnose.classifier=False',
    '--config.diagnose.samples=32',
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith('verdict at step 12: ')
  done = run_cli('--mode=diagnose', f'--workdir={short_run}/none')
  assert done.returncode == 2
  assert done.stderr.startswith('error: workdir: ')
  assert len(done.stderr.splitlines()) == 1

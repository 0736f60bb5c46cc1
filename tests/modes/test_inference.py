"""Sampling, walks and scores from a workdir alone."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data import load_dataset
from gan_jax.losses import accuracies
from gan_jax.modes import evaluate as evaluate_mode
from gan_jax.modes import interpolate as interpolate_mode
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.reporting import pictures
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError
from tests.helpers import sampled, slow, tiny_digits


@pytest.fixture(
  scope='module', params=sampled([False, True], True), ids=['plain', 'labels']
)
def run(request, tmp_path_factory):
  """A trained workdir, with its config."""
  workdir = tmp_path_factory.mktemp('run')
  config = tiny_digits(conditional=request.param, ema_decay=0.5)
  config.eval.network = 'random'
  config.eval.scores = ('fid', 'precision_recall', 'nearest_neighbours')
  config.eval.scores += ('disc_accuracy',)
  train(config, workdir)
  return config, workdir


def test_five_lines_of_python(run, caplog):
  with caplog.at_level('WARNING', logger='absl'):
    sampler = gan_jax.load(run[1])
  assert not caplog.records  # the checkpoint library has advice
  images = sampler.sample(64, seed=0)
  assert images.shape == (64, 8, 8, 1)
  assert images.dtype == np.uint8
  np.testing.assert_array_equal(images[:5], sampler.sample(5, seed=0))
  assert not np.array_equal(images[:5], sampler.sample(5, seed=1))


def test_average_and_raw_weights_differ(run):
  average = gan_jax.load(run[1]).sample(4)
  raw = gan_jax.load(run[1], ema=False).sample(4)
  assert not np.array_equal(average, raw)


def test_sample_writes_a_grid_and_an_archive(run, capsys):
  config, workdir = run
  config.sample.num = 12
  sample_mode.sample(config, workdir)
  with np.load(workdir / 'samples.npz') as archive:
    assert archive['images'].shape == (12, 8, 8, 1)
    assert archive['images'].dtype == np.uint8
    np.testing.assert_array_equal(
      archive['images'], gan_jax.load(workdir).sample(12)
    )
    if config.conditional:
      assert archive['labels'].tolist() == [*range(10), 0, 1]
    else:
      assert 'labels' not in archive
  with Image.open(workdir / 'samples.png') as picture:
    pixels = np.asarray(picture)
  columns = 10 if config.conditional else 4
  grid = pictures.grid(
    gan_jax.load(workdir).sample(12), columns, 56 if columns == 10 else 128
  )
  np.testing.assert_array_equal(pixels[-len(grid) :], grid)
  assert (len(pixels) > len(grid)) == config.conditional  # names of classes
  out = capsys.readouterr().out
  assert '12 images at step 12 (moving average)' in out


@pytest.mark.parametrize('label', [7, '7'])
def test_one_class_can_be_asked_for(run, label):
  config, workdir = run
  config.sample.num, config.sample.label = 3, label
  try:
    if config.conditional:
      sample_mode.sample(config, workdir)
      with np.load(workdir / 'samples.npz') as archive:
        assert archive['labels'].tolist() == [7, 7, 7]
      with pytest.raises(InputError, match=r'valid: 0 to 9$'):
        gan_jax.load(workdir).sample(1, label='eleven')
    else:
      with pytest.raises(InputError, match='not conditional'):
        sample_mode.sample(config, workdir)
  finally:
    config.sample.label = -1


@pytest.mark.parametrize(
  ('section', 'key', 'value', 'mode'),
  [
    ('sample', 'num', 0, sample_mode.sample),
    ('sample', 'label', 10, sample_mode.sample),
    ('sample', 'truncation', -1.0, sample_mode.sample),
    ('interpolate', 'num_points', 1, interpolate_mode.interpolate),
    ('interpolate', 'steps', 0, interpolate_mode.interpolate),
    ('eval', 'num_samples', 0, evaluate_mode.evaluate),
  ],
)
def test_bad_requests_name_the_key(run, section, key, value, mode):
  config, workdir = run
  old = config[section][key]
  config[section][key] = value
  try:
    with pytest.raises(InputError, match=key):
      mode(config, workdir)
  finally:
    config[section][key] = old


def test_interpolation_leaves_walks_and_a_strip(run):
  config, workdir = run
  config.interpolate.num_points, config.interpolate.steps = 3, 4
  paths = interpolate_mode.interpolate(config, workdir)
  assert [p.name for p in paths] == [
    'interpolation_spherical.gif',
    'interpolation_linear.gif',
    'interpolation.png',
  ]
  for path in paths[:2]:
    with Image.open(path) as gif:
      assert gif.is_animated
      assert gif.n_frames <= 12  # equal neighbours are merged
  with Image.open(paths[2]) as strip:
    # 2 rows of one leg, its 4 steps and the end, under the names of the paths;
    # 8 pixels enlarged 13 times.
    assert strip.size == (5 * 106 - 2, 2 * (104 + 28))


def test_evaluate_says_what_it_measured(run, capsys):
  config, workdir = run
  config.eval.num_samples = 50
  result = evaluate_mode.evaluate(config, workdir)
  written = json.loads((workdir / 'metrics.json').read_text())
  assert written['scores'] == result.scores
  assert written['protocol'] == result.protocol
  scores, record = result.scores, result.protocol
  assert record['num_fake'] == 50
  assert record['num_real'] == 1_438
  assert (record['weights'], record['batch_norm']) == ('ema', 'running')
  assert record['split'] == 'train'
  assert record['data'] == 'digits 1.0.0'
  assert record['step'] == 12
  assert record['images_seen'] == 12 * 8
  assert record['packages']['jax'] == jax.__version__
  assert len(record['network_digest']) == 64
  assert scores['fid_random']['num_fake'] == 50
  for name in ('disc_accuracy_real', 'disc_accuracy_fake'):
    assert 0.0 <= scores[name]['value'] <= 1.0
  # A hardly trained generator is farther from the data than the data itself.
  near = scores['nearest_train']
  assert near['among'] == 50
  assert near['value'] > scores['nearest_train_of_test']['value']
  out = capsys.readouterr().out
  assert 'step 12, 50 generated images against 1438 of digits 1.0.0' in out
  assert 'fid_random' in out
  assert 'weights ema' in out
  assert 'fid: 50 generated images are too few for 112 features' in out
  # Scores are a function of the run and the seed.
  assert evaluate_mode.evaluate(config, workdir).scores == scores


def test_weights_batch_norm_and_truncation_are_chosen_and_said(run):
  config, workdir = run[0].copy_and_resolve_references(), run[1]
  config.eval.update(scores=('fid',), num_samples=50)
  average = evaluate_mode.evaluate(config, workdir)
  config.eval.update(ema=False, batch_norm='standing')
  raw = evaluate_mode.evaluate(config, workdir)
  assert raw.protocol['weights'] == 'raw'
  assert raw.protocol['batch_norm'] == 'standing'
  assert list(raw.scores) == ['fid_random']
  assert raw.scores != average.scores
  config.eval.truncation = 0.1
  short = evaluate_mode.evaluate(config, workdir)
  assert short.protocol['truncation'] == 0.1
  assert short.scores != raw.scores


@pytest.mark.slow
@pytest.mark.parametrize(
  ('keys', 'boundary'),
  [
    # KL's critic is undecided at 1, not at 0, where it calls all fake.
    slow(dict(loss='f_gan', f_divergence='kl'), 1.0),
    (dict(loss='least_squares'), 0.5),
    # Of a relativistic D only differences have a meaning.
    slow(dict(tricks__relativistic='average'), None),
  ],
  ids=['kl', 'least_squares', 'relativistic'],
)
def test_the_boundary_is_that_of_the_loss(keys, boundary, tmp_path):
  config = tiny_digits(num_steps=4, **keys)
  config.eval.update(
    network='random', scores=('disc_accuracy',), num_samples=50
  )
  train(config, tmp_path)
  seen = []

  def record(boundary, *logits):
    seen.append(boundary)
    return accuracies(boundary, *logits)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr('gan_jax.metrics.disc_accuracy.accuracies', record)
    evaluate_mode.evaluate(config, tmp_path)
  assert seen == [boundary]


def test_a_copying_generator_is_caught(run, monkeypatch):
  """The memorisation check: training images as fakes lie at distance 0."""
  config, workdir = run
  config.eval.num_samples = 359
  data = load_dataset('digits').train
  chosen = np.sort(np.random.default_rng(0).permutation(len(data))[:359])
  copies = data.read(chosen)['images']
  monkeypatch.setattr(
    Sampler, 'stream', lambda self, num, **keys: copies.__getitem__
  )
  scores = evaluate_mode.evaluate(config, workdir).scores
  assert scores['nearest_train']['value'] < 1e-3
  assert scores['nearest_test']['value'] > 0.5
  assert scores['precision_random']['value'] == 1.0


def test_no_run_is_one_clear_error(tmp_path):
  with pytest.raises(InputError, match='holds no run'):
    gan_jax.load(tmp_path)
  with pytest.raises(AttributeError, match='has no attribute'):
    _ = gan_jax.nothing

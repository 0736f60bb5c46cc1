"""Sampling, walks and scores from a workdir alone."""

import json

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax import inference, training
from gan_jax.losses import accuracies
from gan_jax.types import InputError
from tests.helpers import tiny_digits


@pytest.fixture(scope='module', params=[False, True], ids=['plain', 'labels'])
def run(request, tmp_path_factory):
  """A trained workdir, with its config."""
  workdir = tmp_path_factory.mktemp('run')
  config = tiny_digits(conditional=request.param, ema_decay=0.5)
  training.train(config, workdir)
  return config, workdir


def test_five_lines_of_python(run):
  sampler = gan_jax.load(run[1])
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
  inference.sample(config, workdir)
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
  with Image.open(workdir / 'samples.png') as grid:
    assert grid.mode == 'RGB'
  out = capsys.readouterr().out
  assert '12 images at step 12 (moving average)' in out


def test_one_class_can_be_asked_for(run):
  config, workdir = run
  config.sample.num, config.sample.label = 3, 7
  try:
    if config.conditional:
      inference.sample(config, workdir)
      with np.load(workdir / 'samples.npz') as archive:
        assert archive['labels'].tolist() == [7, 7, 7]
    else:
      with pytest.raises(InputError, match='not conditional'):
        inference.sample(config, workdir)
  finally:
    config.sample.label = -1


@pytest.mark.parametrize(
  ('section', 'key', 'value', 'mode'),
  [
    ('sample', 'num', 0, inference.sample),
    ('sample', 'label', 10, inference.sample),
    ('sample', 'truncation', -1.0, inference.sample),
    ('interpolate', 'num_points', 1, inference.interpolate),
    ('interpolate', 'steps', 0, inference.interpolate),
    ('eval', 'num_samples', 0, inference.evaluate),
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
  paths = inference.interpolate(config, workdir)
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
    # 2 rows of one leg, its 4 steps and the end; 8 pixels enlarged 7 times.
    assert strip.size == (5 * 58 - 2, 2 * 58 - 2)


def test_evaluate_says_what_it_measured(run, capsys):
  config, workdir = run
  config.eval.num_samples = 50
  scores = inference.evaluate(config, workdir)
  assert scores == json.loads((workdir / 'evaluation.json').read_text())
  assert scores['num_fake'] == scores['num_test'] == scores['num_train'] == 50
  assert scores['weights'] == 'ema'
  for name in ('disc_accuracy_real', 'disc_accuracy_fake'):
    assert 0.0 <= scores[name] <= 1.0
  assert scores['nearest_train'] > 0.0
  # A hardly trained generator is farther from the data than the data itself.
  assert scores['nearest_train'] > scores['nearest_train_of_test']
  out = capsys.readouterr().out
  assert 'n = 50 among 50' in out
  # Scores are a function of the run and the seed.
  assert inference.evaluate(config, workdir) == scores


def test_the_boundary_is_that_of_the_divergence(tmp_path):
  """KL's critic is undecided at 1, not at 0, where it calls all fake."""
  config = tiny_digits(loss='f_gan', f_divergence='kl', num_steps=4)
  training.train(config, tmp_path)
  seen = []

  def record(boundary, *logits):
    seen.append(boundary)
    return accuracies(boundary, *logits)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr('gan_jax.metrics.disc_accuracy.accuracies', record)
    inference.evaluate(config, tmp_path)
  assert seen == [1.0]


def test_a_copying_generator_is_caught(run, monkeypatch):
  """The memorisation check: training images as fakes lie at distance 0."""
  config, workdir = run
  config.eval.num_samples = 359
  from gan_jax.data import load_dataset
  from gan_jax.sampling import Sampler

  data = load_dataset('digits').train
  chosen = np.sort(np.random.default_rng(0).permutation(len(data))[:359])
  copies = data.read(chosen)['images']
  monkeypatch.setattr(Sampler, 'sample', lambda self, num, seed: copies)
  scores = inference.evaluate(config, workdir)
  assert scores['nearest_train'] < 1e-3
  assert scores['nearest_test'] > 0.5


def test_no_run_is_one_clear_error(tmp_path):
  with pytest.raises(InputError, match='holds no run'):
    gan_jax.load(tmp_path)
  with pytest.raises(AttributeError, match='has no attribute'):
    _ = gan_jax.nothing

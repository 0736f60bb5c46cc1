"""Runs that are told more than labels: trained, sampled, translated, scored."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data import load_dataset
from gan_jax.evaluation.real_images import RealImages
from gan_jax.modes.diagnose import diagnose
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.interpolate import interpolate
from gan_jax.modes.sample import sample
from gan_jax.modes.train import train
from gan_jax.pixels import to_uint8
from gan_jax.reporting import pictures
from gan_jax.types import InputError
from gan_jax.workdir.logs import read_metrics
from gan_jax.workdir.trained import restore
from tests.helpers import tiny_digits


def config_of(**keys):
  shared = dict(
    given=('source',),
    conditional=True,
    data__derive='low_res',
    data__derive_factor=2,
    num_steps=4,
    log_every=2,
    steps_per_dispatch=2,
    sample_every=4,
    checkpoint_every=2,
    diagnose__samples=20,
    eval__num_samples=40,
    eval__num_real=30,
    eval__network='random',
    eval__scores=('fid', 'disc_accuracy'),
  )
  return tiny_digits(**(shared | keys))


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """Of a run of four steps."""
  return train(config_of(), tmp_path_factory.mktemp('told') / 'run')


@pytest.fixture(scope='module')
def dataset():
  return load_dataset('digits', derive='low_res', derive_factor=2)


@pytest.fixture(scope='module')
def run(workdir):
  return gan_jax.load(workdir)


def test_abreast_is_source_result_target():
  source = np.full((2, 3, 3, 1), 1, np.uint8)
  source[1] = 9
  rows = pictures.abreast(
    source, np.full((2, 3, 3, 3), 2, np.uint8), np.full((2, 3, 3, 3), 3)
  )
  assert rows.shape == (6, 3, 3, 3)
  assert rows[:, 0, 0, 0].tolist() == [1, 2, 3, 9, 2, 3]


@pytest.mark.slow
def test_the_grid_is_of_training_images(workdir):
  with Image.open(workdir / 'samples' / 'final.png') as image:
    # 12 pictures of 8 pixels, enlarged 7 times, in 8 rows below their names.
    assert image.size[0] == 12 * 58 - 2
    assert image.size[1] > 8 * 58 - 2


def test_what_is_drawn_depends_on_what_is_given(run, dataset):
  given = dataset.test.given(['source'], np.arange(5))
  images = run.sample(5, given=given)
  assert (images.dtype, images.shape) == (np.uint8, (5, 8, 8, 1))
  np.testing.assert_array_equal(images, run.translate(given['source']))
  one = run.sample(3, given={'source': given['source'][0]})
  np.testing.assert_array_equal(one[0], images[0])
  order = np.array([3, 0, 4, 1, 2])
  latents, labels = run.latents(5), run.labels(5)
  turned = run.generate(
    latents[order], labels[order], {'source': given['source'][order]}
  )
  np.testing.assert_array_equal(turned, images[order])
  assert (run.translate(255 - given['source']) != images).any()
  floats = jax.jit(run.generator)(latents, labels, given)
  np.testing.assert_array_equal(to_uint8(floats), images)
  logits = run.discriminate(images, labels, given)
  assert logits.shape == (5,)
  assert 'given=(source)' in repr(run)


@pytest.mark.parametrize(
  ('given', 'says'),
  [
    (
      None,
      ['source, and source is missing', "given={'source': uint8 [8, 8, 1]"],
    ),
    ({'pose': 1}, ["not told 'pose'", 'it is told source']),
    (
      {'source': np.zeros((8, 8, 3), np.uint8)},
      ['(8, 8, 3)', 'uint8 [8, 8, 1]'],
    ),
    ({'source': np.zeros((4, 8, 8, 1))}, ['float64', 'uint8 [8, 8, 1]']),
    ({'source': np.zeros((3, 8, 8, 1), np.uint8)}, ['(3, 8, 8, 1)', 'of 4']),
    ({'source': 'a cat'}, ['source is no text']),
  ],
)
def test_what_is_given_wrongly_is_one_line(given, says, run):
  with pytest.raises(InputError) as caught:
    run.sample(4, given=given)
  assert '\n' not in str(caught.value)
  for part in ['given', *says]:
    assert part in str(caught.value)


@pytest.mark.parametrize('shape', [(8, 8, 1), (2, 8, 8, 3), (0, 8, 8, 1)])
def test_sources_of_another_shape_are_refused(shape, run):
  with pytest.raises(InputError, match='shape'):
    run.translate(np.zeros(shape, np.uint8))


def test_standing_statistics_have_no_sources(workdir):
  with pytest.raises(InputError, match=r'standing.*told source'):
    restore(workdir).sampler(batch_norm='standing')


def test_sample_takes_held_out_sources(workdir, run, dataset, tmp_path):
  keys = dict(sample__num=6, sample__files=False)
  sample(config_of(**keys), workdir, tmp_path)
  with np.load(tmp_path / 'samples.npz') as arrays:
    given = dataset.test.given(['source'], np.arange(6))
    np.testing.assert_array_equal(arrays['source'], given['source'])
    expected = run.sample(6, given=given)
    np.testing.assert_array_equal(arrays['images'], expected)
  interpolate(config_of(interpolate__steps=2), workdir, tmp_path)
  assert (tmp_path / 'interpolation.png').exists()


@pytest.mark.slow
def test_without_its_data_sample_says_what_is_needed(tmp_path):
  folder = tmp_path / 'data'
  for side in 'AB':
    (folder / side).mkdir(parents=True)
    for i in range(12):
      pixels = np.full((8, 8), 20 * i, np.uint8)
      Image.fromarray(pixels).save(folder / side / f'{i}.png')
  keys = dict(
    data__name='folder',
    data__dir=str(folder),
    data__layout='paired',
    data__derive='none',
    data__flip=True,
    conditional=False,
  )
  workdir = train(config_of(**keys), tmp_path / 'run')
  assert gan_jax.load(workdir).translate(
    np.zeros((1, 8, 8, 1), np.uint8)
  ).shape == (1, 8, 8, 1)
  folder.rename(tmp_path / 'moved')
  with pytest.raises(InputError) as caught:
    sample(config_of(**keys), workdir)
  for part in ('given', 'source', 'cannot be read', 'sample(num, given=...)'):
    assert part in str(caught.value)
  keys['data__dir'] = str(tmp_path / 'moved')
  assert sample(config_of(**keys), workdir)


@pytest.mark.slow
def test_scores_are_of_the_reference_in_order(workdir, dataset, run, capsys):
  result = evaluate(config_of(), workdir)
  assert result.protocol['fake_given'] == ['source']
  assert any('D is told source' in line for line in result.warnings)
  assert np.isfinite(result.scores['fid_random']['value'])
  read = RealImages(dataset, num=30, seed=0).given_in_order(
    ('source', 'labels')
  )
  chosen = np.sort(
    np.random.default_rng(0).permutation(len(dataset.train))[:30]
  )
  indices = np.array([0, 29, 30, 45])
  expected = dataset.train.read(chosen[indices % 30])
  found = read(indices)
  np.testing.assert_array_equal(found['labels'], expected['labels'])
  np.testing.assert_array_equal(
    found['source'], dataset.train.derive(expected['images'])
  )
  found = diagnose(config_of(), workdir)
  assert found.evidence
  capsys.readouterr()


@pytest.mark.slow
def test_a_run_of_no_source_translates_nothing(tmp_path):
  workdir = train(tiny_digits(num_steps=2), tmp_path / 'run')
  with pytest.raises(InputError, match=r'translate.*no source.*given='):
    gan_jax.load(workdir).translate(np.zeros((1, 8, 8, 1), np.uint8))
  with pytest.raises(InputError, match="not told 'source'; it is told nothing"):
    gan_jax.load(workdir).sample(2, given={'source': 0})


@pytest.mark.slow
def test_a_run_of_captions_is_told_text(tmp_path):
  folder = tmp_path / 'data'
  folder.mkdir()
  for i in range(12):
    Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(folder / f'{i}.png')
  texts = {
    f'{i}.png': f'{"dark" if i < 6 else "light"} grey' for i in range(12)
  }
  (folder / 'captions.json').write_text(json.dumps(texts))
  keys = dict(
    data__name='folder',
    data__dir=str(folder),
    data__derive='none',
    given=('text',),
    conditional=False,
  )
  workdir = train(config_of(**keys), tmp_path / 'run')
  run = gan_jax.load(workdir)
  two = run.sample(2, given={'text': ['dark grey', 'light']})
  one = run.sample(2, given={'text': 'Dark, grey'})
  np.testing.assert_array_equal(two[0], one[0])
  assert (two[1] != one[1]).any()
  swapped = run.sample(2, given={'text': 'grey dark'})
  np.testing.assert_allclose(np.int16(swapped), np.int16(one), atol=1)
  with pytest.raises(InputError, match=r"text: 'a b c' has 3 words"):
    run.sample(1, given={'text': 'a b c'})
  with pytest.raises(InputError, match='tokens outside 0 to 4'):
    run.sample(1, given={'text': np.array([5, 0])})
  assert sample(config_of(**keys, sample__num=4), workdir)


@pytest.mark.slow
@pytest.mark.whole
def test_resumed_is_uninterrupted_and_members_are_runs(workdir, tmp_path):
  """Compiles four more programs: two runs at once and one in two parts."""
  half = train(config_of(num_steps=2), tmp_path / 'half')
  train(config_of(), half)
  assert (
    read_metrics(half)[-1]['gen_loss']
    == (read_metrics(workdir)[-1]['gen_loss'])
  )
  both = train(config_of(num_seeds=2), tmp_path / 'both')
  first = [row for row in read_metrics(both) if row['member'] == 0][-1]
  alone = read_metrics(workdir)[-1]
  np.testing.assert_allclose(first['gen_loss'], alone['gen_loss'], rtol=1e-4)
  about = json.loads((both / 'dataset.json').read_text())
  assert about['columns'] == {'source': [8, 8, 1]}

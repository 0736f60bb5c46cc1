"""What can be drawn from a run: by seed, by class, into files, by gradients."""

import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data import load_dataset
from gan_jax.modes import interpolate as interpolate_mode
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.pixels import to_uint8
from gan_jax.types import InputError
from gan_jax.workdir import trained
from tests.helpers import sampled, tiny_digits

NAMES = 'zero one two three four five six seven eight nine'.split()


@pytest.fixture(
  scope='module', params=sampled([False, True], True), ids=['plain', 'labels']
)
def run(request, tmp_path_factory):
  """A config and its trained workdir, whose digits are called by words."""
  workdir = tmp_path_factory.mktemp('run')
  config = tiny_digits(conditional=request.param, ema_decay=0.5)
  train(config, workdir)
  path = workdir / 'dataset.json'
  shutil.copy(path, workdir / 'as_trained.json')
  fields = json.loads(path.read_text())
  path.write_text(json.dumps(fields | {'class_names': NAMES}))
  return config, workdir


def changed(config, **keys):
  """A copy with other values at keys written as `sample__num`."""
  copy = tiny_digits()
  copy.update(config.to_dict())
  copy.update_from_flattened_dict(
    {key.replace('__', '.'): value for key, value in keys.items()}
  )
  return copy


def read_png(path):
  with Image.open(path) as image:
    return np.asarray(image)


@pytest.mark.slow
def test_single_files_are_named_by_number_or_seed_and_class(
  run, tmp_path, capsys
):
  config, workdir = run
  out = tmp_path / 'out'
  keys = dict(sample__files=True, sample__num=3, sample__label=-1)
  paths = sample_mode.sample(changed(config, **keys), workdir, out)
  gan, labels = gan_jax.load(workdir), config.conditional
  names = ['00000_zero', '00001_one', '00002_two']
  names = names if labels else ['00000', '00001', '00002']
  assert paths == [out / f'{name}.png' for name in names]
  for path, image in zip(paths, gan.sample(3), strict=True):
    np.testing.assert_array_equal(read_png(path), image[..., 0])
  assert f'{out}, {names[0]}.png to {names[2]}.png' in capsys.readouterr().out
  keys |= dict(sample__seeds='5,0-1')
  if labels:
    keys |= dict(sample__label='Two')
  paths = sample_mode.sample(changed(config, **keys), workdir)
  end = '_two' * labels
  names = [f'seed{seed:05d}{end}.png' for seed in (5, 0, 1)]
  assert paths == [workdir / 'images' / name for name in names]
  label = 2 if labels else None
  for path, seed in zip(paths, (5, 0, 1), strict=True):
    first = gan.sample(1, seed=seed, label=label)[0]
    np.testing.assert_array_equal(read_png(path), first[..., 0])


def test_the_first_of_each_seed_has_its_own_class(run, tmp_path):
  config, workdir = run
  keys = dict(sample__seeds='3,4', sample__label=-1)
  (path,) = sample_mode.sample(
    changed(config, **keys), workdir, tmp_path / 'two.npz'
  )
  gan = gan_jax.load(workdir)
  with np.load(path) as archive:
    for image, seed in zip(archive['images'], (3, 4), strict=True):
      np.testing.assert_array_equal(image, gan.sample(1, seed=seed)[0])
    if config.conditional:
      assert archive['labels'].tolist() == [0, 0]


def test_a_sheet_shows_one_thing_at_a_time(run, tmp_path, capsys):
  config, workdir = run
  for sheet, num in (('truncation', 7 * 8), ('classes', 10 * 8)):
    if sheet == 'classes' and not config.conditional:
      continue
    keys = dict(sample__sheet=sheet, sample__seed=4)
    sample_mode.sample(changed(config, **keys), workdir, tmp_path)
    with np.load(tmp_path / 'samples.npz') as arrays:
      assert len(arrays['images']) == len(arrays['latents']) == num
      assert ('labels' in arrays) == config.conditional
    assert read_png(tmp_path / 'samples.png').shape[1] >= 512
    assert f'{num} images' in capsys.readouterr().out
  for keys, says in (
    (dict(sample__sheet='rows'), 'sample.sheet: .*between, classes, codes'),
    (dict(sample__sheet='codes'), 'sample.sheet: .*this run has none'),
    (dict(sample__sheet='codes', sample__files=True), 'sample.files: .*grid'),
    (
      dict(sample__sheet='truncation', sample__seed=2**32 - 1),
      'sample.seed, the last of a sheet: 4294967302 is not between',
    ),
    (dict(sample__batch_norm='no'), 'sample.batch_norm: .*running, standing'),
  ):
    with pytest.raises(InputError, match=says):
      sample_mode.sample(changed(config, **keys), workdir, tmp_path)


def test_out_is_a_folder_or_one_file(run, tmp_path):
  config, workdir = run
  config = changed(config, sample__num=2, sample__label=-1)
  config.interpolate.update(num_points=2, steps=2)
  before = sorted(p.name for p in workdir.iterdir())
  for mode, names in (
    (sample_mode.sample, ['samples.png', 'samples.npz']),
    (
      interpolate_mode.interpolate,
      [
        *(f'interpolation_{path}.gif' for path in ('spherical', 'linear')),
        'interpolation.png',
      ],
    ),
  ):
    out = tmp_path / 'new' / mode.__name__
    assert mode(config, workdir, out) == [out / name for name in names]
    assert sorted(p.name for p in out.iterdir()) == sorted(names)
    one = tmp_path / mode.__name__ / 'mine.png'
    assert mode(config, workdir, one) == [one]
    assert list(one.parent.iterdir()) == [one]
    assert np.array_equal(
      read_png(one),
      read_png(out / names[0].replace('_spherical.gif', '.png')),
    )
    with pytest.raises(InputError, match=r'out: a.jpg is no folder, and no fi'):
      mode(config, workdir, tmp_path / 'a.jpg')
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=r'out: .*file is a file; name a fold'):
      mode(config, workdir, tmp_path / 'file')
  assert sorted(p.name for p in workdir.iterdir()) == before
  config.sample.files = True
  with pytest.raises(InputError, match=r'out: .*mine.png is a file; name a fo'):
    sample_mode.sample(config, workdir, tmp_path / 'sample' / 'mine.png')


def test_walks_take_weights_checkpoint_and_truncation(run, tmp_path):
  config, workdir = run
  keys = dict(num_points=2, steps=2, label=-1)

  def strip(**more):
    config_ = changed(config)
    config_.interpolate.update(keys | more)
    out = tmp_path / f'{len(list(tmp_path.iterdir()))}.png'
    return read_png(*interpolate_mode.interpolate(config_, workdir, out))

  usual = strip()
  np.testing.assert_array_equal(usual, strip(checkpoint='latest'))
  assert not np.array_equal(usual, strip(ema=False))
  assert not np.array_equal(usual, strip(truncation=0.1))
  with pytest.raises(InputError, match='has no best one'):
    strip(checkpoint='best')


def test_a_run_says_what_it_is(run):
  config, workdir = run
  classes = '10: zero, one, two, three, four, five, six, seven, eight, nine'
  assert repr(gan_jax.load(workdir)) == (
    'TrainedGAN(images=(8, 8, 1), latent_dim=4, prior=normal, '
    f'classes={classes if config.conditional else 0}, weights=moving average, '
    'step=12)'
  )
  assert 'weights=raw weights' in repr(gan_jax.load(workdir, ema=False))


@pytest.mark.parametrize('num', [3, 130])
def test_the_discriminator_judges_images(run, num):
  """As D by itself, on [-1, 1] and in batches of one size."""
  config, workdir = run
  gan, kept = gan_jax.load(workdir), trained.restore(workdir)
  images = load_dataset('digits').train.read(np.arange(num))
  images, labels = images['images'], images['labels']
  labels = labels if config.conditional else None
  logits = gan.discriminate(images, labels)
  assert isinstance(logits, np.ndarray)
  expected, _ = kept.model.networks.disc.apply(
    {'params': kept.state.params.disc, **kept.state.model_state.disc},
    np.float32(images) / 127.5 - 1,
    {'labels': labels},
    train=False,
  )
  np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_images_that_a_discriminator_does_not_judge(run):
  config, workdir = run
  gan = gan_jax.load(workdir)
  images = gan.sample(4)
  labels = gan.labels(4)
  with pytest.raises(InputError, match=r'this D judges \[N, 8, 8, 1\]'):
    gan.discriminate(images[:, :4], labels)
  with pytest.raises(InputError, match='images: float32'):
    gan.discriminate(np.float32(images), labels)
  wrong = [np.zeros(4, np.int32)]
  if config.conditional:
    wrong = [None, labels[:3], labels + 10, labels - 1, np.float32(labels)]
  for other in wrong:
    with pytest.raises(InputError, match=r'labels: .*conditional'):
      gan.discriminate(images, other)


def test_the_generator_in_a_gradient(run):
  """Latents that D takes for real: G and D in one program."""
  gan = gan_jax.load(run[1])
  latents = gan.latents(3)
  images = gan.generator(latents)
  assert (images.shape, images.dtype) == ((3, 8, 8, 1), np.float32)
  assert abs(images).max() <= 1
  np.testing.assert_array_equal(to_uint8(images), gan.sample(3))
  slopes = jax.jit(jax.grad(lambda z: gan.generator(z).sum()))(latents)
  assert np.isfinite(slopes).all()
  assert slopes.any()


@pytest.mark.parametrize('run', [True], indirect=True, ids=['labels'])
def test_a_run_without_the_newer_keys_goes_on(run, tmp_path):
  """config.json of an earlier version: it loads, and training resumes."""
  config, workdir = run
  old = tmp_path / 'old'
  shutil.copytree(workdir, old)
  shutil.copy(workdir / 'as_trained.json', old / 'dataset.json')
  fields = json.loads((old / 'config.json').read_text())
  assert fields['sample']['label'] == fields['interpolate']['label'] == -1
  newer = dict(
    sample=['seeds', 'files'], interpolate=['checkpoint', 'ema', 'truncation']
  )
  for section, keys in newer.items():
    for key in keys:
      del fields[section][key]
  (old / 'config.json').write_text(json.dumps(fields))
  np.testing.assert_array_equal(
    gan_jax.load(old).sample(2), gan_jax.load(workdir).sample(2)
  )
  more = changed(config, num_steps=16, sample__label=-1)
  train(more, old)
  assert trained.restore(old).state.step == 16

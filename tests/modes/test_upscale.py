"""Super-resolution runs: trained, enlarging folders, scored, mixed."""

import json

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data.derive import low_res
from gan_jax.modes.diagnose import diagnose
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.sample import sample
from gan_jax.modes.train import train
from gan_jax.modes.upscale import bicubic, mixed, scored, upscale
from gan_jax.sampling import enlarging
from gan_jax.types import InputError
from gan_jax.workdir.logs import read_metrics
from gan_jax.workdir.trained import restore
from tests.features.test_lpips import random_state
from tests.helpers import (
  SGD,
  assert_close,
  assert_same_bits,
  tiny_digits,
  tiny_keys,
)

RNG = np.random.default_rng(0)
KEYS = dict(
  network__name='srgan',
  network__gen_widths=None,
  network__disc_widths=None,
  given=('source',),
  data__name='folder',
  data__image_size=48,
  data__fit='centre',
  data__crop=16,
  data__derive='low_res',
  data__derive_factor=2,
  mse_weight=1.0,
  adversarial_weight=0.0,
  solver='descent',
  batch_size=4,
  **tiny_keys('srgan'),
)
RATES = [f'{p}_optimizer__learning_rate' for p in ('gen', 'disc')]
PLAYED = {'solver': 'alternating', 'adversarial_weight': 0.1}


def smooth(height, width, seed):
  """A picture without noise, in colour."""
  coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3))
  image = Image.fromarray(coarse.astype(np.uint8))
  return image.resize((width, height), Image.Resampling.BICUBIC)


def pixels(path):
  with Image.open(path) as image:
    return np.asarray(image)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
  """Twelve photos, two ways round; one in a folder of its own."""
  root = tmp_path_factory.mktemp('photos')
  (root / 'more').mkdir()
  for number in range(12):
    sides = (50, 60) if number % 2 else (60, 50)
    place = root / ('more' if number == 11 else '') / f'{number:02}.png'
    smooth(*sides, number).save(place)
  return root


@pytest.fixture(scope='module')
def config_of(photos):
  def make(**keys):
    given = KEYS | {'data__dir': str(photos)} | keys
    return tiny_digits(**given)

  return make


@pytest.fixture(scope='module')
def run(config_of, tmp_path_factory):
  """Trained by its error alone, and then against D."""
  path = tmp_path_factory.mktemp('sr') / 'run'
  stages = ((8, {**PLAYED, 'reset_optimizers': True}),)
  train(config_of(stages=stages, num_steps=12), path)
  return path


@pytest.mark.slow
def test_d_comes_in_with_its_stage(run):
  rows = read_metrics(run)
  assert [row['step'] for row in rows] == [4, 8, 12]
  for row in rows[:2]:
    assert 'disc_loss' not in row
    assert 'disc_fake' not in row
    np.testing.assert_allclose(row['gen_loss'], row['mse'])
  assert rows[2]['disc_loss'] > 0
  assert rows[2]['gen_loss'] > rows[2]['mse']


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'lpips.npz'
  np.savez(path, **random_state('AlexNet'))
  return path


def test_weights_of_a_later_stage_are_wanted_before_the_first(
  config_of, tmp_path
):
  stages = ((8, {**PLAYED, 'perceptual.weight': 0.1}),)
  config = config_of(
    stages=stages, perceptual__weights=str(tmp_path / 'none.npz')
  )
  with pytest.raises(InputError, match=r'perceptual.weights: cannot read .*no'):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.slow  # compiles AlexNet
def test_a_perceptual_loss_is_trained_on_and_not_drawn_with(
  config_of, weights, tmp_path
):
  keys = dict(perceptual__weight=0.5, perceptual__layer='conv2')
  config = config_of(
    num_steps=2,
    data__crop=32,
    perceptual__weights=str(weights),
    log_every=1,
    **keys,
  )
  train(config, tmp_path / 'run')
  rows = read_metrics(tmp_path / 'run')
  for row in rows:
    np.testing.assert_allclose(
      row['gen_loss'], row['mse'] + 0.5 * row['perceptual'], rtol=1e-5
    )
    assert row['perceptual'] > 0
  weights.rename(weights.with_suffix('.away'))
  try:
    gan = gan_jax.load(tmp_path / 'run')
    assert gan.enlarge(np.zeros((8, 8, 3), np.uint8)).shape == (16, 16, 3)
  finally:
    weights.with_suffix('.away').rename(weights)


@pytest.mark.slow
def test_resumed_within_either_stage_equals_uninterrupted(
  run, config_of, tmp_path
):
  stages = ((8, {**PLAYED, 'reset_optimizers': True}),)
  for steps in (4, 8, 12):
    train(config_of(stages=stages, num_steps=steps), tmp_path / 'run')
  whole, parts = (gan_jax.load(path) for path in (run, tmp_path / 'run'))
  assert_same_bits(whole.variables, parts.variables)
  images = RNG.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
  given = {'source': images}
  np.testing.assert_array_equal(
    whole.discriminate(images, given=given),
    parts.discriminate(images, given=given),
  )


@pytest.mark.slow  # a program for four devices
def test_four_devices_equal_one(config_of, tmp_path):
  """Squares, both stages: what an image is shown as goes by its position."""
  states, keys = [], SGD | dict.fromkeys(RATES, 1e-2)
  stages = ((1, {**PLAYED, 'reset_optimizers': True}),)
  keys |= dict(num_steps=3, log_every=1, steps_per_dispatch=1, stages=stages)
  for devices in (1, 4):
    workdir = tmp_path / str(devices)
    train(config_of(num_devices=devices, **keys), workdir)
    states.append(restore(workdir).state)
  assert_close(*(state.params for state in states), 1e-4)
  assert_close(*(state.model_state for state in states), 1e-4)


@pytest.mark.slow  # scores
def test_scores_and_diagnosis_work_as_of_any_run(run, config_of):
  keys = dict(eval__num_samples=8, eval__network='random')
  evaluate(config_of(eval__scores=('psnr', 'ssim', 'fid'), **keys), run)
  scores = json.loads((run / 'metrics.json').read_text())['scores']
  assert 5 < scores['psnr']['value'] < 60
  diagnose(config_of(), run)
  paths = sample(config_of(sample__num=4), run)
  assert all(path.exists() for path in paths)


@pytest.mark.slow
def test_a_folder_of_any_sizes_is_enlarged(run, photos, config_of, tmp_path):
  out = tmp_path / 'large'
  paths = upscale(config_of(upscale__dir=str(photos)), run, out)
  names = [str(path.relative_to(out)) for path in paths]
  assert names == [*(f'{i:02}.png' for i in range(11)), 'more/11.png']
  gan = gan_jax.load(run)
  assert gan.factor == 2
  for path, source in zip(paths, sorted(photos.rglob('*.png')), strict=True):
    large = gan.enlarge(pixels(source))
    np.testing.assert_array_equal(pixels(path), large)
  assert pixels(paths[0]).shape == (120, 100, 3)


@pytest.mark.slow
def test_it_is_what_the_generator_makes_of_a_source(run):
  gan = gan_jax.load(run)
  small = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
  source = small.repeat(2, axis=0).repeat(2, axis=1)
  np.testing.assert_array_equal(
    gan.enlarge(small), gan.translate(source[None])[0]
  )
  grey = small[..., :1]
  np.testing.assert_array_equal(
    gan.enlarge(grey), gan.enlarge(grey.repeat(3, axis=-1))
  )


@pytest.mark.slow
def test_tiles_meet_without_a_seam(run):
  gan = gan_jax.load(run)
  small = np.asarray(smooth(75, 90, 3))
  np.testing.assert_array_equal(gan.enlarge(small, tile=32), gan.enlarge(small))
  spans = enlarging._spans(75, 32)
  assert [(s.start, s.stop) for s in spans] == [(0, 32), (32, 64), (64, 75)]
  assert [(s.seen.start, s.seen.stop) for s in spans] == [
    *((0, 64), (0, 75), (32, 75))
  ]


@pytest.mark.slow
def test_shrunk_images_are_scored(
  run, photos, config_of, weights, tmp_path, capsys
):
  keys = dict(upscale__shrink=True, upscale__weights=str(weights))
  config = config_of(upscale__dir=str(photos / 'more'), **keys)
  (path,) = upscale(config, run, tmp_path / 'out')
  said = capsys.readouterr().out
  assert '1 images enlarged 2 times at step 12 (raw weights)' in said
  found = json.loads((tmp_path / 'out' / 'scores.json').read_text())
  own = found['images']['11.png']
  assert found['mean'] == own
  assert found['factor'] == 2
  assert set(own['this run']) == {'psnr', 'ssim', 'lpips', 'consistency'}
  image = pixels(photos / 'more' / '11.png')
  small = np.asarray(low_res(image[None], 2))[0, ::2, ::2]
  for way, large in (
    ('bicubic', bicubic(small, 2)),
    ('this run', pixels(path)),
  ):
    expected = scored(large, image, small, 2)
    assert own[way] == expected | {'lpips': own[way]['lpips']}
    assert f'{expected["psnr"]:.2f}' in said
  assert own['bicubic']['psnr'] > 30
  assert own['bicubic']['lpips'] < own['this run']['lpips']


def cubic(x):
  """Keys' kernel with a = -.5."""
  x = np.abs(x)
  near = 1.5 * x**3 - 2.5 * x**2 + 1
  far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
  return np.where(x < 1, near, np.where(x < 2, far, 0))


def test_bicubic_has_the_fields_taps():
  places = (np.arange(18) + 0.5) / 2 - 0.5
  weights = cubic(places[:, None] - np.arange(9))
  taps = weights[7, 2:6]  # a quarter after the fourth pixel
  expected = [-0.0703, 0.8672, 0.2266, -0.0234]
  np.testing.assert_allclose(taps, expected, atol=1e-4)
  image = RNG.integers(60, 190, (9, 9, 1), dtype=np.uint8)
  expected = weights @ image[..., 0].astype(float) @ weights.T
  inside = slice(4, 14)  # where no border renormalises them
  found = bicubic(image, 2)[..., 0].astype(float)
  assert np.abs(found - expected)[inside, inside].max() <= 1


def test_scores_are_better_nearer_by():
  image = np.asarray(smooth(40, 40, 0))
  small = np.asarray(low_res(image[None], 2))[0, ::2, ::2]
  near, far = (
    np.clip(image + RNG.normal(0, std, image.shape), 0, 255).astype(np.uint8)
    for std in (2, 20)
  )
  good, bad = (scored(x, image, small, 2) for x in (near, far))
  assert all(good[name] > bad[name] for name in good)


@pytest.mark.slow
def test_weights_may_be_mixed(run, config_of, photos, tmp_path):
  other = tmp_path / 'other'
  train(config_of(num_steps=4, seed=1), other)
  own, its = (gan_jax.load(path).variables for path in (run, other))
  assert_same_bits(mixed(own, its, 0.0), own)
  assert_same_bits(mixed(own, its, 1.0), its)
  folder = str(photos / 'more')

  def image(share):
    keys = dict(upscale__towards=str(other), upscale__share=share)
    config = config_of(upscale__dir=folder, **keys)
    (path,) = upscale(config, run, tmp_path / f'{share}')
    return pixels(path)

  ends = [
    gan_jax.load(path).enlarge(pixels(photos / 'more/11.png'))
    for path in (run, other)
  ]
  np.testing.assert_array_equal(image(0.0), ends[0])
  np.testing.assert_array_equal(image(1.0), ends[1])
  assert (image(0.5) != ends[0]).any()


@pytest.mark.slow
def test_bad_requests(run, config_of, photos, tmp_path):
  with pytest.raises(InputError, match=r'upscale.dir: name a folder or a ZIP'):
    upscale(config_of(), run)
  with pytest.raises(InputError, match=r'upscale.weights: .*shrink=True'):
    upscale(config_of(upscale__weights='x'), run)
  with pytest.raises(InputError, match=r'upscale.share: 2.0 is no share'):
    upscale(config_of(upscale__share=2.0), run)
  small = tmp_path / 'small'
  small.mkdir()
  smooth(20, 40, 0).save(small / 'a.png')
  keys = dict(upscale__dir=str(small), upscale__shrink=True)
  with pytest.raises(InputError, match=r'a.png has 40 x 20 pixels, and 32'):
    upscale(config_of(**keys), run, tmp_path / 'out')
  with pytest.raises(InputError, match=r'image: 2 channels; .* images of 3'):
    gan_jax.load(run).enlarge(np.zeros((4, 4, 2), np.uint8))
  with pytest.raises(InputError, match=r'data.derive: srgan .*not grey'):
    train(config_of(data__derive='grey'), tmp_path / 'grey')


def test_a_run_that_enlarges_nothing(tmp_path):
  train(tiny_digits(num_steps=1), tmp_path / 'run')
  with pytest.raises(
    InputError, match=r'upscale: .* enlarges nothing; .*srgan'
  ):
    upscale(tiny_digits(upscale__dir='x'), tmp_path / 'run')

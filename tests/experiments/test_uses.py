"""What a generator is for: augmentation, and quality against speed."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments import augmentation, speed_quality
from experiments.augmentation import Xrays
from gan_jax.modes.train import train
from gan_jax.types import InputError
from tests.experiments.test_experiments import cells
from tests.helpers import tiny_digits, tiny_one_player

# --- Augmentation -------------------------------------------------------------


def xrays(counts=(30, 90), size=8, level=0):
  labels = np.repeat([0, 1], counts).astype(np.int32)
  images = np.zeros((len(labels), size, size, 1), np.uint8)
  images += np.uint8(level) + labels[:, None, None, None].astype(np.uint8)
  return Xrays(images, labels)


def test_so_many_of_each_class_are_chosen_or_all():
  rng = np.random.default_rng(0)
  some = xrays().chosen(10, rng)
  assert np.bincount(some.labels).tolist() == [10, 10]
  np.testing.assert_array_equal(some.images[:, 0, 0, 0], some.labels)
  assert len(xrays().chosen(0, rng).labels) == 120


def test_draws_have_as_many_of_either_class():
  drawn = xrays().draws((5, 16), np.random.default_rng(0))
  assert drawn.images.shape == (5, 16, 8, 8, 1)
  assert np.bincount(drawn.labels.ravel()).tolist() == [40, 40]
  np.testing.assert_array_equal(drawn.images[..., 0, 0, 0], drawn.labels)


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_a_batch_has_its_share_of_fakes(share):
  batches = augmentation.mixed(
    xrays(), xrays(level=100), share, np.random.default_rng(0)
  )
  shape = (augmentation.UPDATES, augmentation.BATCH)
  assert batches.labels.shape == shape
  fake = batches.images[..., 0, 0, 0] >= 100
  np.testing.assert_array_equal(fake.mean(axis=1), share)


def test_the_arms_differ_in_fakes_alone(monkeypatch):
  """Null and real + fakes see the same real images; all begin alike."""
  monkeypatch.setattr(augmentation, 'UPDATES', 3)
  seen = []
  monkeypatch.setattr(
    augmentation, 'fit', lambda *inputs: seen.append(inputs) or {}
  )
  monkeypatch.setattr(
    augmentation, 'scores_of', lambda variables, data: {'auc': len(data.labels)}
  )

  class Trainer:
    def fakes(self, real, seed):
      assert len(real.labels) == 20
      return xrays((5, 5), level=100)

  rows, shown = augmentation.cell(10, 3, xrays(), xrays(), {'g': Trainer()})
  arms = ['real', 'null', 'real + g', 'g', 'g, GAN-test']
  assert [row['arm'] for row in rows] == arms
  assert {row['seed'] for row in rows} == {3}
  assert rows[-1]['auc'] == 10  # of the fakes
  assert rows[0]['auc'] == 120
  real, null, both, fakes = (images for images, _, _ in seen)
  half = augmentation.BATCH // 2
  np.testing.assert_array_equal(both[:, :half], null[:, :half])
  assert (both[:, half:] >= 100).all()
  assert (fakes >= 100).all()
  assert (real < 100).all()
  assert (null < 100).all()
  assert len({key.tobytes() for *_, key in map(keyed, seen)}) == 1
  assert shown['g'].shape == (10, 8, 8, 1)


def keyed(inputs):
  import jax

  *others, key = inputs
  return (*others, np.asarray(jax.random.key_data(key)))


def test_an_interval_is_student_s():
  values = np.array([0.01, 0.03, 0.02, 0.04])
  half = 3.182446 * values.std(ddof=1) / 2
  assert augmentation.half_interval(values) == pytest.approx(half, rel=1e-6)
  assert augmentation.interval(values) == f'+0.025 +- {half:.3f}'
  assert augmentation.interval(values[:1]) == '+0.010'


def test_tables_pair_the_seeds():
  rows = [
    dict(size=size, seed=seed, arm=arm, auc=auc + rate * seed, accuracy=0.5)
    for size in (25, 0)
    for seed in (1, 0)
    for arm, auc, rate in (
      ('real', 0.5, 1),
      ('null', 0.6, 2),
      ('g, GAN-test', 0.9, 0),
    )
  ]
  found = augmentation.tables(rows)
  half = 12.7062 * 0.5  # of .1 and 1.1, one degree of freedom
  expected = f'+0.600 +- {half:.3f}'
  assert cells(found['AUC'])[1][1:] == [expected, expected]
  tested = cells(found['GAN test, balanced accuracy'])
  assert tested[0][0] == 'g, GAN-test'
  assert augmentation.sizes_of(rows) == [25, 0]


def test_a_file_of_something_else_is_named(tmp_path):
  with pytest.raises(InputError, match=r'--data: nothing is no file'):
    augmentation.read('')
  np.savez(tmp_path / 'x.npz', images=np.zeros(3))
  with pytest.raises(InputError, match=r'x.npz is no file with train_images'):
    augmentation.read(str(tmp_path / 'x.npz'))
  np.savez(tmp_path / 'y.npz', **of_file(classes=3))
  with pytest.raises(InputError, match=r'no grey images of the two classes'):
    augmentation.read(str(tmp_path / 'y.npz'))


def of_file(classes=2, num=60, size=28):
  """Dark images and bright ones, as MedMNIST's files have them."""
  rng = np.random.default_rng(0)
  arrays = {}
  for split in ('train', 'test'):
    labels = np.arange(num) % classes
    brighter = 100 * (labels == 1)[:, None, None]
    images = rng.integers(0, 100, (num, size, size)) + brighter
    arrays[f'{split}_images'] = images.astype(np.uint8)
    arrays[f'{split}_labels'] = labels[:, None].astype(np.uint8)
  return arrays


@pytest.mark.slow  # trains two GANs and six classifiers
def test_augmentation_as_a_whole(tmp_path, monkeypatch):
  monkeypatch.setattr(augmentation, 'SIZES', (10,))
  np.savez(tmp_path / 'data.npz', **of_file())
  keys = dict(data=str(tmp_path / 'data.npz'), seeds=1, steps=25)
  augmentation.experiment(tmp_path, **keys)
  rows = (tmp_path / augmentation.CELLS).read_text()
  by_arm = {row['arm']: row for row in map(json.loads, rows.splitlines())}
  assert len(by_arm) == 8
  assert by_arm['real']['auc'] > 0.95
  assert (tmp_path / 'augmentation.png').stat().st_size > 5_000
  assert 'null - real' in (tmp_path / 'augmentation.md').read_text()
  augmentation.experiment(tmp_path, **keys)  # nothing is done again
  assert (tmp_path / augmentation.CELLS).read_text() == rows


# --- Quality against speed ----------------------------------------------------


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  folder = tmp_path_factory.mktemp('runs')
  train(tiny_digits(num_steps=4), folder / 'gan')
  train(tiny_one_player('diffusion', num_steps=4), folder / 'diffusion')
  return {name: str(folder / name) for name in ('gan', 'diffusion')}


@pytest.mark.slow  # figures
def test_ways_to_draw_are_scored_alike(runs, tmp_path, monkeypatch):
  monkeypatch.setattr(speed_quality, 'LENGTHS', (2, 50))
  speed_quality.experiment(
    tmp_path, **runs, vae='', network='random', num=20, seeds=2
  )
  rows = cells((tmp_path / 'speed_quality.md').read_text())
  assert [row[0] for row in rows] == ['GAN', 'DDIM 2', 'DDPM 20']
  assert [row[1] for row in rows] == ['1', '2', '20']
  assert all('+-' in row[3] for row in rows)
  assert (tmp_path / 'speed_quality.png').stat().st_size > 5_000
  with Image.open(tmp_path / 'speed_quality_images.png') as image:
    assert image.size[0] > 16 * 8


@pytest.mark.slow  # trains two runs
def test_runs_are_of_their_kind(runs, tmp_path):
  keys = dict(gan='', vae='', diffusion='', network='random', num=2, seeds=1)
  with pytest.raises(InputError, match=r'--gan, --vae, --diffusion: name'):
    speed_quality.experiment(tmp_path, **keys)
  with pytest.raises(InputError, match=r'--gan: .* has game=diffusion'):
    speed_quality.experiment(tmp_path, **keys | {'gan': runs['diffusion']})

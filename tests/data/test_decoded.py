"""Decoded images are kept, used again, and never believed when they are old."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import decoded, load_dataset
from gan_jax.data.sources import file_facts
from gan_jax.storage import cache
from gan_jax.storage.files import cache_dir


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setattr(decoded, 'WORTH', 0.0)


@pytest.fixture
def reads(monkeypatch):
  """Counts what is decoded."""
  from gan_jax.data.examples import Images

  counted = []
  original = Images.read

  def read(self, indices, **keys):
    counted.append(len(indices))
    return original(self, indices, **keys)

  monkeypatch.setattr(Images, 'read', read)
  return counted


@pytest.fixture
def folder(tmp_path):
  for name in ('train', 'test'):
    for label in ('a', 'b'):
      (tmp_path / 'images' / name / label).mkdir(parents=True)
      for i in range(3):
        colour = (40 * i, 100, 200 if label == 'a' else 0)
        image = Image.new('RGB', (10, 8), colour)
        image.save(tmp_path / 'images' / name / label / f'{i}.png')
  return tmp_path / 'images'


def whole(folder, split='train', **keys):
  keys = dict(image_size=8) | keys
  dataset = load_dataset('folder', dir=str(folder), **keys)
  return getattr(dataset, split).whole()


def files():
  return sorted((cache_dir() / 'decoded').glob('*.npz'))


def test_the_second_time_nothing_is_decoded(folder, reads):
  first, second = whole(folder), whole(folder)
  assert reads == [6]
  assert first.keys() == second.keys() == {'images', 'labels'}
  for name, array in first.items():
    np.testing.assert_array_equal(second[name], array)
    assert second[name].dtype == array.dtype
  assert first['images'].shape == (6, 8, 8, 3)
  assert len(files()) == 1


@pytest.mark.parametrize(
  'changed',
  [
    dict(image_size=4),
    dict(channels=1),
    dict(fit='stretch'),
    dict(split='test'),
    dict(decoded_cache=False),
  ],
  ids=str,
)
def test_what_is_asked_for_otherwise_is_read_anew(folder, reads, changed):
  whole(folder)
  expected = whole(folder, **changed | dict(decoded_cache=False))
  reads.clear()
  found = whole(folder, **changed)
  assert reads == [6]
  np.testing.assert_array_equal(found['images'], expected['images'])
  assert len(files()) == (1 if 'decoded_cache' in changed else 2)


@pytest.mark.parametrize('how', ['pixels', 'touched', 'added', 'renamed'])
def test_changed_files_are_read_anew(folder, reads, how):
  whole(folder)
  path = folder / 'train' / 'a' / '1.png'
  if how == 'pixels':
    Image.new('RGB', (10, 8), (1, 2, 3)).save(path)
  elif how == 'touched':
    os.utime(path, ns=(1, 1))
  elif how == 'added':
    Image.new('RGB', (10, 8), (1, 2, 3)).save(path.with_name('9.png'))
  else:
    path.rename(path.with_name('0a.png'))
  found = whole(folder)
  assert len(reads) == 2
  np.testing.assert_array_equal(
    found['images'], whole(folder, decoded_cache=False)['images']
  )
  assert len(files()) == 1  # in the place of the old one
  reads.clear()
  whole(folder)
  assert not reads


def test_a_prepared_dataset_is_kept_too(reads):
  first = load_dataset('digits').train.whole()
  second = load_dataset('digits').train.whole()
  assert len(reads) == 1
  np.testing.assert_array_equal(first['images'], second['images'])
  load_dataset('digits').test.whole()
  assert len(reads) == 2
  assert len(files()) == 2


@pytest.mark.parametrize('damage', [b'', b'no archive', 'cut'])
def test_a_damaged_file_is_written_anew(folder, reads, damage):
  expected = whole(folder)
  (path,) = files()
  if damage == 'cut':
    path.write_bytes(path.read_bytes()[:-200])
  else:
    path.write_bytes(damage)
  for _ in range(2):
    found = whole(folder)
    np.testing.assert_array_equal(found['images'], expected['images'])
  assert reads == [6, 6]


def test_a_cache_that_cannot_be_written_costs_a_line(
  folder, reads, capsys, monkeypatch
):
  monkeypatch.setattr(cache, '_said', set())
  cache_dir().parent.mkdir(parents=True)
  cache_dir().write_text('a file where a folder should be')
  for _ in range(2):
    assert len(whole(folder)['images']) == 6
  assert reads == [6, 6]
  assert capsys.readouterr().err.count('it is a cache') == 1


def test_what_is_quick_or_large_is_not_kept(folder, monkeypatch):
  monkeypatch.setattr(decoded, 'MOST', 6 * 8 * 8 * 3 - 1)
  whole(folder)
  assert not files()
  monkeypatch.setattr(decoded, 'MOST', 2**30)
  monkeypatch.setattr(decoded, 'WORTH', 60.0)
  whole(folder)
  assert not files()


def test_facts_are_json(folder):
  (path,) = (folder / 'train' / 'a').glob('0.png')
  ((name, size, changed),) = file_facts([path])
  assert (name, size) == (str(path), path.stat().st_size)
  assert json.loads(json.dumps([name, size, changed]))[2] == changed

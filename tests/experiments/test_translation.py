"""Counterparts of translated images, and the style of another image."""

import functools
import hashlib

import numpy as np
import pytest
from PIL import Image

from experiments import counterparts, style_transfer
from gan_jax.features import maps
from gan_jax.features.weights import load_mobilenet
from gan_jax.modes.train import train
from gan_jax.types import InputError
from tests.experiments.test_experiments import section
from tests.features.test_lpips import random_state
from tests.features.test_mobilenet import random_state as mobilenet_state
from tests.helpers import tiny_digits
from tests.training.test_cycle import KEYS as CYCLE

RNG = np.random.default_rng(0)


def test_its_own_is_looked_up_among_as_many_as_asked():
  among = RNG.normal(size=(12, 6))
  np.testing.assert_array_equal(counterparts.ranks(among, among, 12), 0)
  # Of noise each rank is as likely; of a query at another's place it is last.
  far = 10 * np.roll(among, 1, axis=0)
  assert counterparts.ranks(far, 10 * among, 12).min() > 0
  assert counterparts.ranks(far, 10 * among, 1).max() == 0
  found = counterparts.ranks(
    RNG.normal(size=(400, 6)), RNG.normal(size=(400, 6)), 4
  )
  assert np.abs(np.bincount(found, minlength=4) - 100).max() < 50


class _Shift:
  """A translator that adds so many levels, modulo 256."""

  def __init__(self, by):
    self.by = by

  def translate(self, images):
    return (images + np.uint8(self.by)).astype(np.uint8)


def test_a_way_that_is_right_finds_every_counterpart():
  sources = RNG.integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
  targets = sources + np.uint8(100)
  embed = counterparts.embedder('pixels', '')
  right = counterparts.one_way(
    _Shift(100), _Shift(156), sources, targets, embed, 20
  )
  assert (right.first, right.top, right.cycle) == (1.0, 1.0, 0.0)
  assert right.unchanged < 1
  assert right.pictures.shape == (4, 12, 4, 4, 3)
  off = counterparts.one_way(
    _Shift(100), _Shift(157), sources, targets, embed, 20
  )
  assert 0 < off.cycle < 0.1


def images(folder, names, size, seed=0):
  folder.mkdir(parents=True)
  for number, name in enumerate(names):
    rng = np.random.default_rng((seed, number))
    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f'{name}.png')


@pytest.mark.slow  # trains a little
def test_counterparts_of_a_run(tmp_path):
  """Of the held-out names that both folders have."""
  names = [f'{i:02}' for i in range(40)]
  images(tmp_path / 'data' / 'A', names, 16)
  images(tmp_path / 'data' / 'B', [*names[:30], *'xyz'], 16, seed=1)
  keys = dict(data__dir=str(tmp_path / 'data'), data__test_fraction=0.5)
  train(tiny_digits(**CYCLE, **keys, num_steps=2), tmp_path / 'run')
  out = tmp_path / 'out'
  out.mkdir()
  run = str(tmp_path / 'run')
  counterparts.experiment(out, run, 5, 'pixels', '')
  rows = section(out / 'counterparts.md', 'lookup')
  assert [row[0] for row in rows] == ['A to B', 'B to A']
  assert (out / 'counterparts.png').stat().st_size > 10_000
  with pytest.raises(InputError, match=r'--num: 50 among \d+ held-out'):
    counterparts.experiment(out, run, 50, 'pixels', '')


@pytest.mark.slow  # trains a little
def test_counterparts_are_of_two_domains(tmp_path):
  with pytest.raises(InputError, match='--workdir: name the folder'):
    counterparts.experiment(tmp_path, '', 5, 'pixels', '')
  train(tiny_digits(num_steps=1), tmp_path / 'run')
  with pytest.raises(InputError, match=r'layout=unpaired, not single'):
    counterparts.experiment(tmp_path, str(tmp_path / 'run'), 5, 'pixels', '')


@pytest.mark.slow  # compiles a network twice
def test_an_image_takes_a_style(tmp_path):
  images(tmp_path / 'in', ['content', 'style'], 40)
  weights = tmp_path / 'lpips.npz'
  np.savez(weights, **random_state('AlexNet'))
  paths = (str(tmp_path / 'in' / f'{x}.png') for x in ('content', 'style'))
  style_transfer.experiment(
    tmp_path, 'gatys', *paths, 'lpips', str(weights), 32, 30, 0
  )
  content, style, result = (
    [float(x) for x in row[1:]]
    for row in section(tmp_path / 'style_transfer.md', 'gatys')
  )
  assert content[0] < 1e-6
  assert style[1] < 1e-6
  assert result[1] < content[1] / 2
  with Image.open(tmp_path / 'stylised.png') as picture:
    assert picture.size == (32, 32)


@pytest.mark.slow  # trains a decoder a little
def test_a_decoder_is_trained_and_judged(tmp_path, monkeypatch):
  names = [f'{i:02}' for i in range(16)]
  images(tmp_path / 'content', names, 48)
  images(tmp_path / 'style', names, 48, seed=1)
  weights = tmp_path / 'mobilenet.npz'
  np.savez(weights, **mobilenet_state())
  digest = hashlib.sha256(weights.read_bytes()).hexdigest()
  load = functools.partial(load_mobilenet, sha256=digest)
  monkeypatch.setattr(maps, 'load_mobilenet', load)
  folders = (str(tmp_path / x) for x in ('content', 'style'))
  style_transfer.experiment(
    tmp_path, 'adain', *folders, 'mobilenet', str(weights), 32, 60, 0
  )
  rows = section(tmp_path / 'style_transfer.md', 'adain')
  assert len(rows) == 4
  assert float(rows[0][1]) < 1e-6
  assert (tmp_path / 'decoder.npz').exists()
  assert (tmp_path / 'alpha.png').stat().st_size > 3_000


def test_what_is_no_image_is_named(tmp_path):
  with pytest.raises(InputError, match=r'--content: nothing is no image file'):
    style_transfer.image_of('', 'content', 32)
  (tmp_path / 'a.png').write_bytes(b'no image')
  with pytest.raises(InputError, match=r'--style: cannot read image .*a.png'):
    style_transfer.image_of(str(tmp_path / 'a.png'), 'style', 32)
  with pytest.raises(InputError, match=r'--content: .* is not a folder'):
    style_transfer.folder(str(tmp_path / 'none'), 'content', 32)

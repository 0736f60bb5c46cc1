"""Folders of emoji and turntables, and what judges texts, conditions, poses."""

import csv
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from experiments import (
  coil_folder,
  cross_modal,
  emoji_folder,
  pose_regression,
  text_to_image,
  two_tower,
)
from gan_jax.data import load_dataset
from gan_jax.modes.train import train
from gan_jax.types import InputError
from tests.experiments.test_experiments import cells
from tests.games.test_dropping import pairs as pairs
from tests.games.test_dropping import whole as whole
from tests.helpers import tiny_digits
from tests.networks.test_posed import run_of as posed_run
from tests.networks.test_posed import turntable as turntable
from tests.networks.test_stackgan import captioned as captioned
from tests.networks.test_stackgan import run_of as text_run


def image(path, value, size=8):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(path)


# --- Folders ------------------------------------------------------------------


@pytest.fixture
def emoji(tmp_path):
  """Thirty drawings in two styles, two of them alike."""
  root, entries = tmp_path / 'emoji', []
  for number in range(30):
    for style in ('one', 'two'):
      level = 7 * min(number, 28) + (style == 'two')
      image(root / style / f'{number:x}.png', level)
    entries.append(
      dict(
        id=f'{number:x}',
        label=f'thing {number}',
        tags=[f'tag{number}', 'shared', f'kind{number % 3}', 'object'],
        names=[f'the-thing-{number}'],
        styles=['one', 'two'],
      )
    )
  entries.append(dict(id='ff', label='x', tags=[], names=[], styles=['one']))
  (root / 'captions.json').write_text(json.dumps(entries))
  with zipfile.ZipFile(root / 'emoji.zip', 'w') as archive:
    for path in root.glob('*/*.png'):
      archive.write(path, f'{path.parent.name}/{path.name}')
  return root


def made(emoji, out, **keys):
  defaults = dict(styles='one,two', source='', words=3, held='wordings')
  emoji_folder.experiment(out, str(emoji), **defaults | keys)
  return json.loads((out / 'captions.json').read_text())


def test_wordings_that_are_held_out_were_never_said(emoji, tmp_path, capsys):
  texts = made(emoji, tmp_path / 'out')
  assert '29 concepts' in capsys.readouterr().out  # two are one
  seen = {}
  for name, text in texts.items():
    split, file = name.split('/')
    seen.setdefault((file.split('_')[1], split), set()).add(
      frozenset(text.split(', '))
    )
  for (thing, split), held in seen.items():
    if split == 'test':
      assert not held & seen[thing, 'train']
  assert len(texts) == 29 * 2 * 4
  dataset = load_dataset('folder', dir=str(tmp_path / 'out'), captions=True)
  assert (len(dataset.train), len(dataset.test)) == (174, 58)
  words = set(dataset.info.vocabulary)
  assert {'thing', 'shared', 'kind1', 'tag5'} <= words


def test_pairs_are_of_two_styles_and_drawings_can_be_held_out(emoji, tmp_path):
  out = tmp_path / 'out'
  texts = made(emoji, out, styles='two', source='one', held='drawings')
  assert all(name.startswith('B/') for name in texts)
  things = {
    split: {n.split('_')[1] for n in texts if f'/{split}/' in n}
    for split in ('train', 'test')
  }
  assert things['test']
  assert not things['train'] & things['test']
  dataset = load_dataset('folder', dir=str(out), captions=True, layout='paired')
  arrays = dataset.train.read(np.arange(5))
  assert (arrays['images'] - arrays['source'] == 1).all()


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(styles='three'), r'--styles: .* has no three'),
    (dict(emoji='none'), r'--emoji: cannot read none'),
  ],
)
def test_emoji_that_are_not_there_are_one_line(emoji, tmp_path, keys, says):
  keys = dict(emoji=str(emoji), styles='one', source='', words=2) | keys
  with pytest.raises(InputError, match=says):
    emoji_folder.experiment(tmp_path, held='wordings', **keys)


def test_views_of_a_turntable_have_their_poses(tmp_path):
  packed = tmp_path / 'coil.zip'
  with zipfile.ZipFile(packed, 'w') as archive:
    for thing in (1, 2):
      for view in range(6):
        name = f'obj{thing}__{view}.png'
        image(tmp_path / name, 40 * view + thing)
        archive.write(tmp_path / name, f'coil/{name}')
  out = tmp_path / 'out'
  coil_folder.experiment(out, str(packed), 3)
  with (out / 'poses.csv').open() as file:
    rows = {row['image']: float(row['azimuth']) for row in csv.DictReader(file)}
  assert rows['train/object_01/04.png'] == 20
  assert len(rows) == 12
  dataset = load_dataset('folder', dir=str(out), poses=True)
  assert (len(dataset.train), len(dataset.test)) == (8, 4)
  arrays = dataset.train.whole()
  views = arrays['images'][:, 0, 0, 0] // 40
  np.testing.assert_allclose(180 * arrays['pose'][:, 0], 5 * views, atol=1e-4)
  with pytest.raises(InputError, match=r'--coil: cannot read'):
    coil_folder.experiment(out, str(tmp_path / 'none.zip'), 3)


# --- Poses --------------------------------------------------------------------


def test_agreement_of_angles():
  rng = np.random.default_rng(0)
  commanded = rng.uniform(-np.pi, np.pi, 20_000)
  agree = pose_regression.agreement
  assert agree(commanded, commanded, own=False) == pytest.approx(1)
  noise = rng.normal(0, 0.5, 20_000)
  expected = np.exp(-(0.5**2) / 2)  # of a wrapped normal
  found = agree(commanded + noise, commanded, own=False)
  assert found == pytest.approx(expected, abs=0.01)
  other = rng.uniform(-np.pi, np.pi, 20_000)
  assert abs(agree(other, commanded, own=False)) < 0.02
  turned = 0.7 - commanded  # another zero, and the other way round
  assert abs(agree(turned, commanded, own=False)) < 0.02
  assert agree(turned, commanded, own=True) == pytest.approx(1)


def test_frames_of_a_turn_are_nearer_to_their_neighbours():
  angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
  turn = 100 + 100 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  still = turn[np.random.default_rng(0).permutation(12)]
  assert pose_regression.closeness(turn) > 2
  assert pose_regression.closeness(still) == pytest.approx(1, abs=0.4)


@pytest.mark.slow  # a run, and a regressor
def test_poses_are_read_off_a_run(turntable, tmp_path):
  train(posed_run(turntable), tmp_path / 'run')
  keys = dict(num=4, frames=6, steps=150, seed=0)
  pose_regression.experiment(tmp_path, str(tmp_path / 'run'), **keys)
  table = cells((tmp_path / 'pose_regression.md').read_text())
  assert [row[0] for row in table][:2] == ['real, held out', 'drawn']
  assert float(table[0][1]) > 0.8  # a stripe at a place of its own
  assert abs(float(table[1][1])) < 0.8  # four steps have taught nothing
  train(tiny_digits(num_steps=4), tmp_path / 'plain')
  with pytest.raises(InputError, match=r'come without poses'):
    pose_regression.experiment(tmp_path, str(tmp_path / 'plain'), **keys)


# --- Texts and conditions -----------------------------------------------------


@pytest.mark.slow  # two runs and towers
def test_texts_are_ranked_and_conditions_counted(
  captioned, pairs, whole, tmp_path
):
  file = tmp_path / 'towers.npz'
  two_tower.experiment(tmp_path, str(captioned), str(file), 16, 50, 2, 0)
  table = cells((tmp_path / 'retrieval.md').read_text())
  assert [row[0] for row in table] == ['train', 'test']
  assert float(table[0][2]) > 0.9  # three colours
  train(text_run(captioned), tmp_path / 'run')
  keys = dict(judge=str(file), num=20, among=2, seed=0)
  text_to_image.experiment(tmp_path, str(tmp_path / 'run'), **keys)
  table = cells((tmp_path / 'text_to_image.md').read_text())
  assert [row[0] for row in table][::2] == ['drawn', 'true images']
  with pytest.raises(InputError, match=r'is told text, source, and not text'):
    text_to_image.experiment(tmp_path, str(whole), **keys)
  keys = dict(num=2, network='pixels', weights='', seed=0)
  cross_modal.experiment(tmp_path, str(whole), **keys)
  table = cells((tmp_path / 'cross_modal.md').read_text())
  assert [row[0] for row in table] == ['nothing', 'text', 'image', 'both']
  with pytest.raises(InputError, match=r'crossmodal_emoji'):
    cross_modal.experiment(tmp_path, str(tmp_path / 'run'), **keys)

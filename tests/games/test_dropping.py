"""What is left out of what is told: how often, for whom, and afterwards."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.config.plan import read
from gan_jax.games import Game
from gan_jax.games.dropping import dropped, dropping_game
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.types import Batch, InputError, Players
from tests.helpers import SGD, assert_close, differs, tiny_digits

KEY = jax.random.key(0)


def columns(num):
  rng = np.random.default_rng(0)
  return {
    'text': rng.integers(1, 9, (num, 3)).astype(np.int32),
    'source': rng.uniform(0.1, 1, (num, 4, 4, 1)).astype(np.float32),
    'labels': rng.integers(0, 3, num).astype(np.int32),
    'pose': np.ones((num, 2), np.float32),
  }


def test_columns_are_missing_by_themselves_and_whole():
  given = columns(2_000)
  found = dropped(given, jax.random.split(KEY, 2_000), 0.25)
  missing = {}
  for name in ('text', 'source'):
    rows = np.asarray(found[name]).reshape(2_000, -1)
    missing[name] = (rows == 0).all(axis=1)
    kept = ~missing[name]
    assert np.array_equal(np.asarray(found[name])[kept], given[name][kept])
    assert 0.22 < missing[name].mean() < 0.28
    assert found[name].dtype == given[name].dtype
  both = missing['text'] & missing['source']
  assert 0.045 < both.mean() < 0.08  # .25 * .25
  for name in ('labels', 'pose'):
    assert np.array_equal(found[name], given[name])


def test_both_players_are_told_less():
  """And an example's own, however the batch is shared."""
  seen = []

  def objective(params, model_state, batch, key, step):
    seen.append(batch)

  game = dropping_game(Game(None, Players(objective, objective)), 0.5)
  given = columns(8)
  whole = Batch(np.zeros((8, 4, 4, 1)), given, np.arange(8, dtype=np.int32))
  half = jax.tree.map(lambda x: x[4:], whole)
  for play in game.objectives:
    play(None, None, whole, KEY, 0)
    play(None, None, half, KEY, 0)
  for batch, part in zip(seen[::2], seen[1::2], strict=True):
    assert differs(batch.given['text'], given['text'])
    for name in given:
      assert not differs(batch.given[name][4:], part.given[name])


# --- Runs ---------------------------------------------------------------------


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
  """Pairs with captions: B is A in negative."""
  root = tmp_path_factory.mktemp('pairs')
  rng, texts = np.random.default_rng(0), {}
  for side in 'AB':
    (root / side).mkdir()
  for number in range(16):
    image = rng.integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(image).save(root / 'A' / f'{number}.png')
    Image.fromarray(255 - image).save(root / 'B' / f'{number}.png')
    texts[f'B/{number}.png'] = f'number {number % 4}'
  (root / 'captions.json').write_text(json.dumps(texts))
  return root


def run_of(pairs, **keys):
  return tiny_digits(
    **dict(
      data__name='folder',
      data__dir=str(pairs),
      data__layout='paired',
      given=('text', 'source'),
      drop_given=0.5,
      contrastive_weight=1.0,
      num_steps=4,
      sample_every=4,
    )
    | keys
  )


@pytest.fixture(scope='module')
def whole(pairs, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('dropping')
  train(run_of(pairs), workdir)
  return workdir


@pytest.mark.slow
def test_either_or_none_may_be_missing(pairs, whole, tmp_path, capsys):
  run = gan_jax.load(whole)
  source = np.full((3, 8, 8, 1), 200, np.uint8)
  asks = [
    {},
    {'text': 'number 1'},
    {'source': source},
    {'text': 'number 1', 'source': source},
  ]
  images = [run.sample(3, given=given) for given in asks]
  for number, one in enumerate(images):
    for other in images[:number]:
      assert differs(one, other)
  none = run.sample(3, given={'text': None, 'source': None})
  assert np.array_equal(none, images[0])
  assert not differs(run.sample(3, given={'text': ''}), images[0])
  config = run_of(pairs, sample__text='number 1', sample__num=3)
  sample_mode.sample(config, whole, tmp_path)
  made = np.load(tmp_path / 'samples.npz')
  assert np.array_equal(made['images'], images[1])  # no source is asked for


@pytest.mark.slow
def test_a_run_that_was_always_told_wants_to_be(pairs, tmp_path):
  train(run_of(pairs, drop_given=0.0), tmp_path)
  with pytest.raises(InputError, match=r'text is missing'):
    gan_jax.load(tmp_path).sample(2, given={'source': np.zeros((2, 8, 8, 1))})


@pytest.mark.slow
def test_four_devices_are_one(pairs, tmp_path):
  """The vectors that are compared are of the whole batch."""
  for num in (1, 4):
    config = run_of(pairs, num_devices=num, **SGD)
    train(config, tmp_path / str(num))
  states = [gan_jax.workdir.trained.restore(tmp_path / n).state for n in '14']
  assert_close(states[1].params, states[0].params, 1e-3)


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(drop_given=1.0), r'drop_given: 1.0 is no share'),
    (dict(drop_given=0.1), r'drop_given: 0.1 leaves out text and source'),
    (dict(contrastive_weight=1.0), r'contrastive_weight: .* nothing is given'),
    (
      dict(contrastive_weight=1.0, conditional=True, micro_batch=4),
      r'contrastive_weight: .* micro_batch=4',
    ),
    (dict(contrastive_weight=-1.0), r'contrastive_weight: -1.0 is not'),
  ],
)
def test_what_makes_no_sense_is_one_line(keys, says):
  with pytest.raises(InputError, match=says):
    read(tiny_digits(**keys))

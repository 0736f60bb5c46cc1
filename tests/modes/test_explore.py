"""`--mode=explore`: what it draws, and the page in a browser."""

import concurrent.futures
import io
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from gan_jax.config.plan import read
from gan_jax.modes import explore as explore_lib
from gan_jax.modes.artist import Artist
from gan_jax.modes.explorer import Explorer, Wish
from gan_jax.modes.train import train
from gan_jax.sampling import editing
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.browser import opened
from tests.helpers import ROOT, cli_environment, tiny_digits, tiny_keys

FEW = dict(num_steps=4, edit__samples=100, explore__num=6)


def explorer_of(workdir, **keys):
  asked = read(tiny_digits(**FEW | keys))
  return Explorer(restore(workdir), asked, workdir)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  path = tmp_path_factory.mktemp('explore') / 'run'
  train(tiny_digits(**FEW, conditional=True), path)
  return path


@pytest.fixture(scope='module')
def explorer(workdir):
  return explorer_of(workdir, explore__directions=('ink, slant',))


def test_a_picture_is_what_the_sampler_draws(explorer):
  gan = explorer.gan
  for wish, wanted in (
    (Wish(seed=3), gan.sample(6, seed=3)),
    (Wish(seed=3, label=7), gan.sample(6, seed=3, label=7)),
    (Wish(seed=1, truncation=0.5), gan.sample(6, seed=1, truncation=0.5)),
  ):
    np.testing.assert_array_equal(explorer.images(wish), wanted)


def test_a_slider_moves_along_its_direction(explorer):
  gan, direction = explorer.gan, explorer.directions['ink']
  latents, labels = gan.latents(6, seed=2), gan.labels(6)
  wanted = editing.edited(gan, direction, [1.5], latents, labels)[0]
  found = explorer.images(Wish(seed=2, amounts=(('ink', 1.5), ('slant', 0.0))))
  np.testing.assert_array_equal(found, wanted)
  assert (found != explorer.images(Wish(seed=2))).any()
  assert {'ink,z.npz', 'slant,z.npz'} <= {
    path.name for path in (explorer._path / 'directions').iterdir()
  }


def test_what_is_suggested_is_not_there_yet(explorer):
  names = explorer.suggested()
  assert 'thickness' in names
  assert 'pca_0' in names
  assert not {'ink', 'slant'} & set(names)
  with pytest.raises(InputError, match="no 'smile'"):
    explorer.add('smile')


def test_a_walk_goes_to_the_next_seed_and_back(explorer):
  walk = explorer.walk(Wish(seed=4), 8)
  assert walk.shape == (8, 6, 8, 8, 1)
  np.testing.assert_array_equal(walk[0], explorer.images(Wish(seed=4)))
  np.testing.assert_array_equal(walk[4], explorer.images(Wish(seed=5)))
  np.testing.assert_array_equal(walk[2], walk[6])
  # Between two latents lies one that is as long as they are.
  ends = [explorer.gan.latents(6, seed=seed) for seed in (4, 5)]
  middle = explorer._between(*ends, 0.5)
  np.testing.assert_allclose(middle, sum(ends) / np.sqrt(2.0), rtol=1e-6)


def test_an_uploaded_image_is_drawn_and_moved(explorer, monkeypatch):
  monkeypatch.setattr('gan_jax.modes.explorer.INVERSION_STEPS', 3)
  image = np.zeros((20, 30, 3), np.uint8)
  image[5:15, 10:20] = 255
  found, decibels = explorer.invert(image)
  assert 0 < decibels < 60
  shown = explorer.images(Wish(), found)
  np.testing.assert_array_equal(shown, found.images)
  moved = explorer.images(Wish(amounts=(('ink', 3.0),)), found)
  assert (moved != shown).any()
  with pytest.raises(InputError, match='takes no picture'):
    explorer.translate(image)


@pytest.mark.slow
def test_styles_are_mixed_pulled_and_moved(tmp_path):
  keys = dict(
    network__name='stylegan2',
    network__gen_widths=None,
    network__disc_widths=None,
    **tiny_keys('stylegan2'),
  )
  train(tiny_digits(**FEW, **keys), tmp_path)
  explorer = explorer_of(tmp_path, explore__directions=('pca_0',))
  gan = explorer.gan
  latents, others = gan.latents(6, seed=1), gan.latents(6, seed=2)
  styles, mean = gan.styles(latents), gan.mean_style()
  explorer._cutoff = 1
  half = np.concatenate(
    [(mean + 0.5 * (styles - mean))[:, :1], styles[:, 1:]], axis=1
  )
  wanted = gan.paint(np.float32(half), latents).astype(int)
  found = explorer.images(Wish(seed=1, psi=0.5)).astype(int)
  assert np.abs(found - wanted).max() <= 1
  explorer._cutoff = 0
  for wish, moved in (
    (Wish(seed=1), styles),
    (Wish(seed=1, psi=0.5), mean + 0.5 * (styles - mean)),
    (Wish(seed=1, mix=2, layer=1), gan.mixed(styles, gan.styles(others), 1)),
  ):
    wanted = gan.paint(np.float32(moved), latents)
    apart = explorer.images(wish).astype(int) - wanted.astype(int)
    assert np.abs(apart).max() <= 1
  assert explorer.directions['pca_0'].space == 'w'
  moved = explorer.images(Wish(seed=1, amounts=(('pca_0', 3.0),)))
  assert (moved != explorer.images(Wish(seed=1))).any()
  walk = explorer.walk(Wish(seed=1), 4)
  apart = walk[0].astype(int) - explorer.images(Wish(seed=1)).astype(int)
  assert np.abs(apart).max() <= 1


@pytest.mark.slow
def test_a_run_that_is_told_a_picture_translates(tmp_path):
  keys = dict(given=('source',), data__derive='low_res')
  train(tiny_digits(**FEW, **keys), tmp_path)
  explorer = explorer_of(tmp_path)
  assert explorer.pictured == 'source'
  assert explorer.images(Wish()).shape == (6, 8, 8, 1)
  source, result = explorer.translate(np.zeros((9, 9, 3), np.uint8))
  assert (len(source), result.shape) == (1, (1, 8, 8, 1))
  with pytest.raises(InputError, match='is told source'):
    explorer.add('ink')


# --- What a program asks for --------------------------------------------------


@pytest.fixture(scope='module')
def artist(explorer, workdir):
  return Artist(explorer, workdir)


def test_an_address_is_a_wish(artist):
  query = 'seed=3&label=4&truncation=0.5&ink=-1.5&text='
  found = artist.wish_of(dict(x.split('=') for x in query.split('&')))
  assert found == Wish(3, 4, '', 0.5, amounts=(('ink', -1.5),))


@pytest.mark.parametrize(
  ('query', 'words'),
  [
    ({'seed': 'x'}, "seed: 'x' is no number"),
    ({'seed': '-1'}, 'seed: -1 is no seed'),
    ({'seed': str(2**40)}, 'is no seed'),
    ({'psi': 'nan'}, 'psi: nan is not from'),
    ({'truncation': '1e9'}, 'truncation'),
    ({'label': '10'}, '10'),
    ({'label': 'shoe'}, 'shoe'),
    ({'label': '²'}, '²'),
    ({'mix': str(2**64)}, 'is no seed'),
    ({'ink': 'much'}, 'much'),
    ({'ink': '100'}, 'goes from -6 to 6'),
    ({'ink': 'nan'}, 'goes from -6 to 6'),
    ({'smile': '1'}, "no direction 'smile'"),
  ],
)
def test_an_address_that_is_none(artist, query, words):
  with pytest.raises(InputError, match=words):
    artist.png(artist.wish_of(query))


def test_pictures_are_files(artist, explorer):
  with Image.open(io.BytesIO(artist.png(Wish()))) as image:
    assert image.format == 'PNG'
    assert image.width > 6 * 8
  with Image.open(io.BytesIO(artist.gif(Wish(), 5))) as image:
    assert 3 <= image.n_frames <= 5  # equal ones are one


def test_what_is_seen_is_saved_with_how_to_have_it_again(artist, explorer):
  wish = Wish(seed=9, amounts=(('ink', 2.0),))
  path = artist.save(wish)
  with np.load(path.with_suffix('.npz')) as archive:
    np.testing.assert_array_equal(archive['images'], explorer.images(wish))
  fields = json.loads(path.with_suffix('.json').read_text())
  assert (fields['seed'], fields['amounts']) == (9, {'ink': 2.0})


def test_an_upload_that_is_no_image(artist):
  for data in (b'', b'GIF89a nothing', bytes(30_000_000)):
    with pytest.raises(InputError, match='upload'):
      artist.upload(data)


def test_a_port_in_use_is_named():
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(InputError, match=f'explore.port: {port} on 127.0.0.1'):
      explore_lib.free_port('127.0.0.1', port)
  assert explore_lib.free_port('127.0.0.1', 0) > 0


def test_no_run_is_one_line(tmp_path):
  with pytest.raises(InputError, match=r'config\.json is missing'):
    explore_lib.explore(tiny_digits(), tmp_path)


# --- The page -----------------------------------------------------------------


@pytest.fixture
def page(workdir):
  """The address of a page that is served, and its process."""
  pytest.importorskip('nicegui')
  running = subprocess.Popen(
    [
      *(sys.executable, str(ROOT / 'run.py'), '--mode=explore'),
      *(f'--workdir={workdir}', '--config.explore.port=0'),
      *('--config.explore.num=6', '--config.edit.samples=100'),
      '--config.explore.directions=ink',
    ],
    env=cli_environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  said = []
  for line in running.stdout:
    said.append(line)
    found = re.match(r'(http://127\.0\.0\.1:\d+) shows', line)
    if found:
      break
  else:
    raise AssertionError(said)
  yield found[1], running
  running.send_signal(signal.SIGINT)
  assert running.wait(timeout=30) == 0


def get(address):
  with urllib.request.urlopen(address, timeout=60) as answer:
    return answer.status, answer.read()


def resident(process):
  status = pathlib.Path(f'/proc/{process.pid}/status').read_text()
  return int(re.search(r'VmRSS:\s+(\d+)', status)[1])


@pytest.mark.slow
def test_ten_clients_at_once(page):
  """200 requests, no error; a second 200 need no more memory."""
  address, process = page

  def ask(number):
    if number % 10 == 0:
      return get(f'{address}/')
    return get(f'{address}/picture.png?seed={number}&ink={number % 5 - 2}')

  used = []
  for start in (0, 200, 400):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
      answers = list(pool.map(ask, range(start, start + 200)))
    assert [status for status, _ in answers] == [200] * 200
    assert all(len(body) > 200 for _, body in answers)
    used.append(resident(process))
  assert used[2] < 1.03 * used[1], used
  with pytest.raises(urllib.error.HTTPError) as error:
    get(f'{address}/picture.png?smile=1')
  assert error.value.code == 400
  assert b'Traceback' not in error.value.read()


@pytest.mark.slow
def test_a_slider_changes_the_picture(page):
  address, _ = page
  with opened(address) as (it, trouble):
    it.wait_for_selector('#picture')
    first = it.get_attribute('#picture', 'src')
    slider = it.locator('[aria-label=ink]').first
    box = slider.bounding_box()
    it.mouse.click(box['x'] + 0.9 * box['width'], box['y'] + box['height'] / 2)
    it.wait_for_function(
      'old => document.querySelector("#picture").src !== old', arg=first
    )
    second = it.get_attribute('#picture', 'src')
    it.get_by_label('next seed').click()
    it.wait_for_function(
      'old => document.querySelector("#picture").src !== old', arg=second
    )
    it.get_by_text('Save').click()
    it.get_by_text('saved as').wait_for()
    it.get_by_text('Walk').click()
    it.wait_for_function(
      'document.querySelector("#picture").src.startsWith("data:image/gif")'
    )
    outside = [
      x for x in trouble if not x.startswith((address, 'data:', 'ws://127.'))
    ]
    assert outside == []

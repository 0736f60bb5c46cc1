"""`--mode=edit` and `--mode=invert`: files, what is kept, what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data import load_dataset
from gan_jax.modes.edit import edit
from gan_jax.modes.invert import invert
from gan_jax.modes.train import train
from gan_jax.types import InputError
from gan_jax.workdir import directions
from tests.helpers import tiny_digits, tiny_keys, tiny_one_player

FEW = dict(edit__samples=100, edit__num=3, edit__steps=4, invert__steps=5)


def config_of(**keys):
  return tiny_digits(**FEW | keys)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('flat')
  train(tiny_digits(conditional=True, num_steps=8), workdir)
  return workdir


def asked(**keys):
  return config_of(conditional=True, **keys)


def times(run):
  folder = run / 'directions'
  return {n: (folder / n).stat().st_mtime_ns for n in directions.kept(run)}


def test_an_attribute_is_found_once_and_kept(run, tmp_path, capsys):
  keys = dict(edit__direction='ink', edit__against=('slant,width',))
  edit(asked(**keys), run, tmp_path)
  said = capsys.readouterr().out
  assert 'ink rises with every step for ' in said
  assert 'slant goes by ' in said
  assert 'width goes by ' in said
  with Image.open(tmp_path / 'edit.png') as image:
    assert image.size[0] > 4 * 8
  with Image.open(tmp_path / 'edit.gif') as image:
    assert image.n_frames > 10
  names = [f'{name},z.npz' for name in ('ink', 'slant', 'width')]
  assert directions.kept(run) == names
  before = {
    name: (run / 'directions' / name).stat().st_mtime_ns for name in names
  }
  with np.load(run / 'directions' / 'ink,z.npz') as archive:
    facts = json.loads(str(archive['about']))
    vector = archive['vector']
  assert facts['network'] == 'mlp'
  assert facts['samples'] == 100
  assert np.linalg.norm(vector) == pytest.approx(1.0, rel=1e-5)
  edit(asked(**keys), run, tmp_path)
  after = {
    name: (run / 'directions' / name).stat().st_mtime_ns for name in names
  }
  assert after == before
  edit(asked(**keys, edit__samples=120), run, tmp_path)  # of others: anew
  assert (run / 'directions' / 'ink,z.npz').stat().st_mtime_ns > before[
    'ink,z.npz'
  ]


def test_ink_rises_along_its_own_direction(run, tmp_path, capsys):
  edit(asked(edit__direction='ink', edit__reach=0.5), run, tmp_path / 'a.png')
  line = capsys.readouterr().out.split('for ')[1]
  assert float(line.split('%')[0]) > 60
  assert not (tmp_path / 'a.gif').exists()


@pytest.mark.parametrize('name', ['sefa_0', 'pca_1'])
def test_directions_of_weights_and_of_points(run, tmp_path, name):
  edit(asked(edit__direction=name), run, tmp_path)
  assert f'{name},z.npz' in directions.kept(run)


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    ({}, r'edit.direction: name one; found by name are brightness, ink,'),
    (dict(edit__direction='smile'), r"this run has no 'smile'; found by name"),
    (dict(edit__direction='sefa_9'), r'sefa_9 is beyond sefa_3, the last'),
    (
      dict(edit__direction='label_cat'),
      r"there is no class 'cat'; the",
    ),
    (dict(edit__direction='x.npz'), r'there is no x.npz; found by name'),
    (
      dict(edit__direction='ink', edit__layers='0-1'),
      r'edit.layers: 0-1 are of styles, and this direction is in z',
    ),
    (
      dict(edit__direction='ink', edit__space='w'),
      r'edit.space: w is of styles, and this generator has none; take z',
    ),
    (
      dict(edit__direction='ink', edit__against=('ink',)),
      r'edit.against: nothing of the direction is left',
    ),
    (
      dict(edit__direction='ink', edit__start='none.npz'),
      r'edit.start: none.npz is no archive of --mode=invert',
    ),
    (dict(edit__direction='ink', edit__steps=1), r'edit.steps: 1 is not in 2'),
    (
      dict(edit__direction='ink', edit__reach=0.0),
      r'edit.reach: 0.0 is not',
    ),
    (dict(edit__direction='ink', edit__space='x'), r'edit.space: unknown name'),
  ],
)
def test_what_cannot_be_edited_is_named(run, tmp_path, keys, message):
  with pytest.raises(InputError, match=message):
    edit(asked(**keys), run, tmp_path)


def test_what_a_run_has_is_listed(run, tmp_path):
  edit(asked(edit__direction='ink'), run, tmp_path)
  with pytest.raises(InputError, match=r'; this run has .*ink,z.npz'):
    edit(asked(edit__direction='smile'), run, tmp_path)


def test_a_direction_of_another_architecture_is_refused(run, tmp_path):
  """By its file, also where it lies in the run's own folder."""
  other = directions.Direction('ink', 'z', np.ones(7), 1.0)
  path = tmp_path / 'directions' / 'ink,z.npz'
  directions.save(path, other, network='dcgan')
  with pytest.raises(InputError, match=r'ink has 7 numbers, and z of this'):
    edit(asked(edit__direction=str(path)), run, tmp_path)
  directions.save(path, other._replace(space='w'), network='stylegan2')
  with pytest.raises(InputError, match=r'edit.direction: w is of styles'):
    edit(asked(edit__direction=str(path)), run, tmp_path)
  (tmp_path / 'broken.npz').write_bytes(b'nothing')
  with pytest.raises(InputError, match=r'broken.npz'):
    edit(asked(edit__direction=str(tmp_path / 'broken.npz')), run, tmp_path)


# --- Inversion ----------------------------------------------------------------


def test_held_out_images_are_inverted_and_can_be_edited(run, tmp_path, capsys):
  invert(asked(invert__num=3), run, tmp_path)
  assert 'PSNR ' in capsys.readouterr().out
  with np.load(tmp_path / 'invert.npz') as archive:
    found = dict(archive)
  test = load_dataset('digits').test.whole()
  np.testing.assert_array_equal(found['labels'], test['labels'][:3])
  gan = gan_jax.load(run)
  made = gan.generate(found['latents'], found['labels'])
  assert np.abs(made.astype(int) - found['images']).max() <= 1
  start = str(tmp_path / 'invert.npz')
  edit(asked(edit__direction='ink', edit__start=start), run, tmp_path)
  assert (tmp_path / 'edit.png').is_file()
  found['latents'] = found['latents'][:, :2]
  np.savez(tmp_path / 'other.npz', **found)
  start = str(tmp_path / 'other.npz')
  with pytest.raises(InputError, match=r'edit.start: latents of .* have 2 n'):
    edit(asked(edit__direction='ink', edit__start=start), run, tmp_path)


def test_a_folder_s_images_are_brought_to_size_with_a_note(
  run, tmp_path, capsys
):
  folder = tmp_path / 'mine'
  folder.mkdir()
  for number, size in enumerate((8, 20)):
    pixels = np.full((size, size), 40 + 100 * number, np.uint8)
    Image.fromarray(pixels).save(folder / f'{number}.png')
  invert(asked(invert__dir=str(folder)), run, tmp_path / 'out')
  said = capsys.readouterr().out
  assert 'note: 1 of 2 images are of another size' in said
  with np.load(tmp_path / 'out' / 'invert.npz') as archive:
    assert archive['images'].shape == (2, 8, 8, 1)
  picture = tmp_path / 'out' / 'only.png'
  invert(asked(invert__dir=str(folder), invert__label=1), run, picture)
  assert picture.parent.joinpath('invert.png').is_file()


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    (dict(invert__space='w+'), r'space: w\+ is of styles'),
    (dict(invert__network='lpips'), r'invert.weights'),
    (dict(invert__network='eye'), r"invert.network: unknown name 'eye'"),
    (dict(invert__dir='nowhere'), r'invert.dir: '),
    (dict(invert__steps=0), r'invert.steps: 0 is not in 1 to'),
    (dict(invert__psi=0.5), r'invert.psi: an image may lie anywhere'),
  ],
)
def test_what_cannot_be_inverted_is_named(run, tmp_path, keys, message):
  with pytest.raises(InputError, match=message):
    invert(asked(**keys), run, tmp_path)


@pytest.mark.slow  # a style-based generator, and one of diffusion
def test_styles_are_inverted_and_edited_by_layers(tmp_path, capsys):
  config = tiny_digits(
    network__name='stylegan2',
    network__gen_widths=None,
    network__disc_widths=None,
    num_steps=4,
    **tiny_keys('stylegan2'),
  )
  train(config, tmp_path)
  config.update_from_flattened_dict(
    {key.replace('__', '.'): value for key, value in FEW.items()}
  )
  config.invert.num = 2
  invert(config, tmp_path)
  with np.load(tmp_path / 'invert.npz') as archive:
    assert archive['styles'].shape == (2, 4, 6)
    assert archive['noise_2'].shape == (2, 8, 8, 1)
  config.edit.direction, config.edit.layers = 'sefa_0', '2-3'
  config.edit.start = str(tmp_path / 'invert.npz')
  edit(config, tmp_path)
  assert 'sefa_0 in w' in capsys.readouterr().out
  config.edit.space, config.edit.layers = 'z', ''
  with pytest.raises(InputError, match=r'edit.start: it holds styles'):
    edit(config, tmp_path)
  noisy = tiny_one_player('diffusion', num_steps=2, **FEW)
  train(noisy, tmp_path / 'noisy')
  with pytest.raises(InputError, match=r'invert: a diffusion model'):
    invert(noisy, tmp_path / 'noisy')

"""`--mode=translate`: a folder in, a folder out, names and order kept."""

import zipfile

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data import load_dataset
from gan_jax.modes.train import train
from gan_jax.modes.translate import translate
from gan_jax.types import InputError
from tests.helpers import tiny_digits

KEYS = dict(given=('source',), data__derive='edges')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('runs') / 'edges'
  train(tiny_digits(num_steps=4, **KEYS), workdir)
  return workdir


def digits(num):
  """Images, and the sources that training derives from them."""
  data = load_dataset('digits', derive='edges').train
  images = data.read(np.arange(num))['images']
  return images, np.asarray(data.derive(images))


def save(folder, pictures):
  for name, pixels in pictures.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.squeeze()).save(folder / name)


def asked(folder, **keys):
  keys = {f'translate__{key}': value for key, value in keys.items()}
  return tiny_digits(**KEYS, translate__dir=str(folder), **keys)


def pixels(paths):
  return np.stack([np.asarray(Image.open(p)) for p in paths])[..., None]


def test_each_image_under_its_own_name(run, tmp_path):
  """As `translate` of the sources in Python; a ZIP as its folder."""
  _, sources = digits(3)
  names = ['b.png', 'sub/a.png', 'sub/c.PNG']
  save(tmp_path / 'in', dict(zip(names, sources, strict=True)))
  written = translate(asked(tmp_path / 'in'), run, tmp_path / 'out')
  assert [p.relative_to(tmp_path / 'out').as_posix() for p in written] == [
    'b.png',
    'sub/a.png',
    'sub/c.png',
  ]
  expected = gan_jax.load(run).translate(sources)
  np.testing.assert_array_equal(pixels(written), expected)
  with zipfile.ZipFile(tmp_path / 'in.zip', 'w') as archive:
    for name in names:
      archive.write(tmp_path / 'in' / name, f'in/{name}')
  zipped = translate(asked(tmp_path / 'in.zip'), run)
  assert zipped[0] == run / 'translated' / 'b.png'
  np.testing.assert_array_equal(pixels(zipped), expected)


def test_an_mlp_makes_images_of_one_size(run, tmp_path):
  save(tmp_path, {'a.png': digits(1)[1][0]})
  with pytest.raises(InputError, match=r'any_size: mlp makes images of one'):
    translate(asked(tmp_path, any_size=True), run, tmp_path / 'out')


def test_images_of_another_kind_are_brought_to_the_sources(run, tmp_path):
  """Colours and other sizes: as the run's own data are read."""
  _, sources = digits(1)
  large = sources[0].repeat(4, axis=0).repeat(4, axis=1)
  save(tmp_path, {'a.png': large.repeat(3, axis=2)})
  (written,) = translate(asked(tmp_path), run, tmp_path / 'out')
  assert pixels([written]).shape == (1, 8, 8, 1)


def test_sources_are_derived_if_that_is_asked_for(run, tmp_path):
  images, sources = digits(2)
  save(tmp_path / 'in', {'0.png': images[0], '1.png': images[1]})
  written = translate(asked(tmp_path / 'in', derive=True), run, tmp_path / 'o')
  expected = gan_jax.load(run).translate(sources)
  np.testing.assert_array_equal(pixels(written), expected)


def test_more_images_than_a_part_holds(run, tmp_path):
  _, sources = digits(70)
  save(tmp_path / 'in', {f'{i:03d}.png': s for i, s in enumerate(sources)})
  written = translate(asked(tmp_path / 'in', seed=5), run, tmp_path / 'out')
  expected = gan_jax.load(run).translate(sources, seed=5)
  np.testing.assert_array_equal(pixels(written), expected)


def test_bad_input_is_named(run, tmp_path):
  _, (source,) = digits(1)
  for folder, message in (
    ('', r'translate.dir: name a folder or a ZIP'),
    (tmp_path / 'none', r'translate.dir: .*none is not a folder'),
    (tmp_path, r'translate.dir: there is no image in'),
  ):
    with pytest.raises(InputError, match=message):
      translate(asked(folder), run)
  save(tmp_path / 'two', {'a.png': source, 'a.bmp': source})
  with pytest.raises(InputError, match=r'a.bmp and a.png would both become'):
    translate(asked(tmp_path / 'two'), run)
  (tmp_path / 'broken').mkdir()
  (tmp_path / 'broken' / 'x.png').write_bytes(b'no image')
  with pytest.raises(InputError, match=r'translate.dir: cannot read .*x.png'):
    translate(asked(tmp_path / 'broken'), run, tmp_path / 'out')


def test_a_run_without_a_source_is_refused(tmp_path):
  train(tiny_digits(num_steps=4), tmp_path / 'plain')
  with pytest.raises(InputError, match='this run is told no source'):
    translate(asked(tmp_path), tmp_path / 'plain')

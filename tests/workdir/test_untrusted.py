"""Files from elsewhere are data: they run nothing, and no size is believed."""

import ast
import io
import os
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from gan_jax.data import folder as folders
from gan_jax.data import load_dataset, tfds_source
from gan_jax.types import InputError
from tests.helpers import ROOT

SOURCES = [ROOT / 'run.py', *sorted((ROOT / 'gan_jax').rglob('*.py'))]


def refused(function, *arguments):
  """The message of an InputError: one line that any terminal can show."""
  with pytest.raises(InputError) as caught:
    function(*arguments)
  message = str(caught.value)
  assert message.isprintable(), message
  return message


@pytest.fixture
def traced():
  """Gives the most bytes that were allocated at once."""
  tracemalloc.start()
  yield lambda: tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()


# --- What no file of ours calls ----------------------------------------------

FORBIDDEN = set(
  'eval exec compile __import__ os.system os.popen pickle.load pickle.loads '
  'shutil.unpack_archive marshal.loads joblib.load yaml.load torch.load '
  'jax.numpy.load'.split()
)
METHODS = {'extract', 'extractall'}  # of archives: nothing is ever unpacked
# What runs a file or a module by its name, and who may: for what the user
# names, or for files of ours.
BY_NAME = set(
  'importlib.import_module importlib.util.find_spec runpy.run_path '
  'runpy.run_module'.split()
)
BY_NAME_METHODS = {'exec_module', 'load_module'}
MAY_RUN = {'run.py', 'gan_jax/__init__.py', 'gan_jax/process/command.py'}
MAY_RUN |= {'gan_jax/process/plugins.py', 'gan_jax/data/images.py'}


def dotted(node):
  """The name that an expression is, or ''."""
  if isinstance(node, ast.Name):
    return node.id
  if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
    return f'{head}.{node.attr}'
  return ''


def objections(text, *, by_name=False):
  """Calls in a source that would let a file from elsewhere run or write."""
  tree = ast.parse(text)
  names = {}
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names |= {(a.asname or a.name): a.name for a in node.names}
    elif isinstance(node, ast.ImportFrom):
      names |= {
        (a.asname or a.name): f'{node.module}.{a.name}' for a in node.names
      }
  for module in names.values():
    if module.split('.')[0] in ('pickle', 'cPickle', 'dill', 'marshal'):
      yield f'import {module}'
  for node in ast.walk(tree):
    if not isinstance(node, ast.Call):
      continue
    head, _, rest = dotted(node.func).partition('.')
    name = '.'.join(filter(None, (names.get(head, head), rest)))
    given = {k.arg: k.value for k in node.keywords}
    if name in FORBIDDEN or (name in BY_NAME and not by_name):
      yield name
    methods = METHODS if by_name else METHODS | BY_NAME_METHODS
    if isinstance(node.func, ast.Attribute) and node.func.attr in methods:
      yield f'.{node.func.attr}'
    if name == 'numpy.load':
      pickled = given.get('allow_pickle')
      if not isinstance(pickled, ast.Constant) or pickled.value is not False:
        yield 'numpy.load with pickles'
    if name.startswith('subprocess.') and 'shell' in given:
      yield 'a shell'


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: p.name)
def test_no_file_can_run_code_or_be_unpacked(path):
  by_name = path.relative_to(ROOT).as_posix() in MAY_RUN
  assert not list(objections(path.read_text(), by_name=by_name))


@pytest.mark.parametrize(
  'text',
  [
    'import pickle',
    'from pickle import loads as read',
    'eval("1")',
    'import os\nos.system("true")',
    'from os import system as run\nrun("true")',
    'import numpy as np\nnp.load("x")',
    'import numpy as np\nnp.load("x", allow_pickle=True)',
    'import subprocess as s\ns.run("true", shell=True)',
    'import zipfile\nzipfile.ZipFile("x").extractall("/")',
    'import shutil\nshutil.unpack_archive("x")',
    'import importlib\nimportlib.import_module("x")',
    'import runpy\nrunpy.run_path("x")',
    'loader.exec_module(module)',
  ],
)
def test_that_such_calls_are_seen(text):
  assert list(objections(text))


# --- Images -------------------------------------------------------------------


def chunk(kind, data):
  crc = zlib.crc32(kind + data)
  return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', crc)


def png(width, height, *chunks, rows=b''):
  """A grey PNG that says it is so large, whatever it has in it."""
  header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
  return b'\x89PNG\r\n\x1a\n' + b''.join(
    [
      chunk(b'IHDR', header),
      *chunks,
      chunk(b'IDAT', zlib.compress(rows)),
      chunk(b'IEND', b''),
    ]
  )


def jpeg(width, height):
  """A JPEG that says it is so large."""
  stream = io.BytesIO()
  Image.new('L', (8, 8)).save(stream, 'JPEG')
  data = bytearray(stream.getvalue())
  at = data.index(b'\xff\xc0') + 5
  data[at : at + 4] = struct.pack('>HH', height, width)
  return bytes(data)


def saved(name, **options):
  stream = io.BytesIO()
  Image.new('L', (8, 8), 100).save(stream, name, **options)
  return stream.getvalue()


def patched(name, at, form, *values):
  """An image whose header says another size."""
  data = bytearray(saved(name))
  struct.pack_into(form, data, at, *values)
  return bytes(data)


def tiff(width, height):
  """A TIFF that says it is so large; its directory is at the end."""
  data = bytearray(saved('TIFF'))
  at = struct.unpack_from('<I', data, 4)[0] + 2
  for tag, value in enumerate((width, height), 256):
    while struct.unpack_from('<H', data, at)[0] != tag:
      at += 12
    struct.pack_into('<HHII', data, at, tag, 4, 1, value)
  return bytes(data)


CANVAS = (2**14 - 1).to_bytes(3, 'little')
WEBP = b'VP8X' + struct.pack('<II', 10, 0) + 2 * CANVAS + saved('WEBP')[12:]

BOMB = zlib.compress(bytes(2**26), 9)
HUGE = {
  'png': (png(100_000, 100_000), '100000 x 100000 pixels'),
  'png beyond 32 bits': (png(2**31 - 1, 2**31 - 1), 'beyond the limit'),
  'png, below the limit of Pillow': (png(9_000, 9_000), '9000 x 9000'),
  'png of one row': (png(2**20, 1), '1048576 x 1'),
  'jpeg': (jpeg(65_000, 65_000), '65000 x 65000'),
  'bmp': (patched('BMP', 18, '<ii', 10**5, 10**5), '100000 x 100000'),
  'ppm': (b'P5 100000 100000 255\n' + bytes(64), '100000 x 100000'),
  'gif': (patched('GIF', 6, '<HH', 9_000, 9_000), '9000 x 9000'),
  'tiff': (tiff(10**5, 10**5), '100000 x 100000'),
  'webp': (b'RIFF' + struct.pack('<I', len(WEBP) + 4) + b'WEBP' + WEBP, ''),
  'zTXt': (png(8, 8, chunk(b'zTXt', b'a\0\0' + BOMB)), 'too large'),
  'iTXt': (png(8, 8, chunk(b'iTXt', b'a\0\1\0\0\0' + BOMB)), 'too large'),
  'iCCP': (png(8, 8, chunk(b'iCCP', b'a\0\0' + BOMB)), 'too large'),
  'many texts': (
    png(8, 8, *[chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(10**6)))] * 99),
    'Too much memory',
  ),
}
OTHER = {
  'JPEG 2000': (saved('JPEG2000'), 'none of PNG'),
  'TGA': (saved('TGA'), 'none of PNG'),
  'EPS': (b'%!PS-Adobe-3.0 EPSF-3.0\n', 'none of PNG'),
  'empty': (b'', 'none of PNG'),
  'text': (b'hello\n', 'none of PNG'),
}


@pytest.mark.parametrize('case', [*HUGE, *OTHER])
def test_images_are_refused_before_they_are_decoded(case, tmp_path, traced):
  data, says = (HUGE | OTHER)[case]
  (tmp_path / 'x.png').write_bytes(data)
  (tmp_path / 'y.png').write_bytes(data)
  start = time.thread_time()
  message = refused(load_dataset, 'folder')
  message = refused(lambda: load_dataset('folder', dir=str(tmp_path)))
  assert message.startswith('data.dir: cannot read image')
  assert '.png' in message
  assert says in message
  assert time.thread_time() - start < 2.0
  assert traced() < 200 * 2**20


def test_the_largest_image_is_read(tmp_path):
  rows = zlib.compress(bytes(2 * 60_000))
  data = png(1, 60_000).replace(chunk(b'IDAT', zlib.compress(b'')), b'')
  data = data.replace(
    chunk(b'IEND', b''), chunk(b'IDAT', rows) + chunk(b'IEND', b'')
  )
  (tmp_path / 'x.png').write_bytes(data)
  image = folders.Folder([tmp_path / 'x.png'], None)[0]['image']
  assert image.shape == (60_000, 1, 1)


def test_a_jpeg_with_further_pictures_is_its_first(tmp_path):
  stream = io.BytesIO()
  first, other = (Image.new('L', (8, 8), value) for value in (40, 200))
  first.save(stream, 'MPO', save_all=True, append_images=[other])
  (tmp_path / 'x.jpg').write_bytes(stream.getvalue())
  image = folders.Folder([tmp_path / 'x.jpg'], None)[0]['image']
  assert abs(int(image[4, 4, 0]) - 40) <= 3


def plant(path):
  Image.new('L', (8, 8), 100).save(path, 'PNG')


def test_only_files_are_opened(tmp_path):
  """Pipes and devices would be waited for, and loops followed for ever."""
  root = tmp_path / 'images'
  root.mkdir()
  for name in ('a.png', 'b.png'):
    plant(root / name)
  os.mkfifo(root / 'pipe.png')
  (root / 'device.png').symlink_to('/dev/zero')
  (root / 'self.png').symlink_to('self.png')
  (root / 'nowhere.png').symlink_to('nowhere')
  (root / 'up').symlink_to(root)
  dataset = load_dataset('folder', dir=str(root))
  assert dataset.info.num_train + dataset.info.num_test == 2


def test_names_that_are_no_text(tmp_path):
  names = [b'a\nb.png', b'\xff\xfe.png', b'\x1b[31m.png', 'ü.png'.encode()]
  for name in names:
    plant(
      os.path.join(os.fsencode(tmp_path), name).decode(errors='surrogateescape')
    )
  dataset = load_dataset('folder', dir=str(tmp_path))
  assert dataset.info.num_train + dataset.info.num_test == 4
  assert dataset.info.version.isprintable()
  for name in names:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, 'wb'):
      pass
  message = refused(lambda: load_dataset('folder', dir=str(tmp_path)))
  assert '.png' in message


def test_folders_that_are_none(tmp_path):
  (tmp_path / 'a\nfile').write_text('')
  for name in ('a\nfile', 'no\x1b[31m\nfolder', 'x\0y'):
    folder = f'{tmp_path}/{name}'
    assert 'is not a folder' in refused(folders.open_folder, folder, 0.1)
  assert 'data.dir' in refused(folders.open_folder, '~nobody-here/x', 0.1)


@pytest.mark.skipif(os.getuid() == 0, reason='root may read everything')
def test_what_may_not_be_read(tmp_path):
  for name in ('a.png', 'b.png'):
    plant(tmp_path / name)
    (tmp_path / name).chmod(0)
  message = refused(lambda: load_dataset('folder', dir=str(tmp_path)))
  assert 'Permission denied' in message


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(image_size=10**9), 'data.image_size'),
    (dict(image_size='8'), 'data.image_size'),
    (dict(image_size=2.5), 'data.image_size'),
    (dict(channels=[]), 'data.channels'),
    (dict(name=3), 'data.name'),
    (dict(dir=3), 'data.dir'),
    (dict(fit=[]), 'data.fit'),
    (dict(test_fraction='a'), 'data.test_fraction'),
    (dict(test_fraction=float('nan')), 'data.test_fraction'),
    (dict(name='kubric:kubric'), 'data.name'),
    (dict(name='someone:mnist:1.0.0'), 'data.name'),
  ],
)
def test_keys_of_data(keys, says):
  message = refused(lambda: load_dataset(**(dict(name='digits') | keys)))
  assert message.startswith(says)


# --- Images in a dataset of TFDS ----------------------------------------------


class Planted(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Encoded images as they are given, which TFDS stores unseen."""

  VERSION = tfds.core.Version('1.0.0')
  images = ()

  def _info(self):
    features = {
      'image': tfds.features.Image(shape=(None, None, 1)),
      'mask': tfds.features.Image(shape=(None, None, 1)),
    }
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    for i, data in enumerate(self.images):
      yield i, {'image': io.BytesIO(data), 'mask': io.BytesIO(HUGE['png'][0])}


def prepare(tmp_path, *images):
  fields = dict(images=images, __module__=__name__)
  made = type('Planted', (Planted,), fields, skip_registration=True)
  builder = made(data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  return tfds_source.open_tfds('planted', str(tmp_path), 0.3)


@pytest.mark.parametrize('case', [*HUGE, 'JPEG 2000', 'TGA', 'text', 'empty'])
def test_encoded_images_of_tfds(case, tmp_path, traced):
  data, says = (HUGE | OTHER)[case]
  train = prepare(tmp_path, saved('PNG'), data, saved('PNG'), data).train
  messages = []
  for i in range(len(train)):
    try:
      assert train[i]['image'].shape == (8, 8, 1)
    except InputError as error:
      messages.append(str(error))
  assert messages
  for message in messages:
    assert message.isprintable()
    assert f'planted{os.sep}1.0.0' in message
    assert says in message
  assert refused(train.__getitems__, range(len(train))) == messages[0]
  assert traced() < 200 * 2**20


def test_images_of_tfds_have_the_channels_of_their_feature(tmp_path):
  colour = io.BytesIO()
  Image.new('RGB', (8, 8), (10, 200, 30)).save(colour, 'PNG')
  train = prepare(tmp_path, *[colour.getvalue(), saved('JPEG')] * 2).train
  for example in train.__getitems__(range(len(train))):
    assert example['image'].shape == (8, 8, 1)
    assert example['image'].dtype == np.uint8

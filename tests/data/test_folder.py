"""Folders and ZIPs of images: nothing is left out without a word."""

import concurrent.futures
import os
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import files as files_lib
from gan_jax.data import folder as folders
from gan_jax.data import images as image_files
from gan_jax.data import load_dataset
from gan_jax.data.sources import num_kept
from gan_jax.types import InputError


def plant(root, *names, suffix='.png'):
  """A grey image for each name: image i has the value 10 i, and no loss."""
  for i, name in enumerate(names):
    path = root / f'{name}{suffix}'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('L', (4, 4), 10 * i).save(path)


def open_folder(root, test_fraction=0.3, **keys):
  return folders.open_folder(str(root), test_fraction, **keys)


def values(*sources):
  """First pixels of all images."""
  return sorted(
    int(source[i]['image'].flat[0])
    for source in sources
    for i in range(len(source))
  )


def said(root, **keys):
  return '\n'.join(open_folder(root, **keys).summary)


def refusal(*arguments, **keys):
  with pytest.raises(InputError) as caught:
    open_folder(*arguments, **keys)
  assert str(caught.value).isprintable()
  return str(caught.value)


@pytest.mark.parametrize(
  ('mode', 'channels', 'remarks'),
  [('L', 3, 1), ('L', 1, 0), ('L', 0, 0), ('RGB', 3, 0)],
)
def test_grey_images_in_colour_are_remarked(mode, channels, remarks, tmp_path):
  for i in range(3):
    Image.new(mode, (4, 4)).save(tmp_path / f'{i}.png')
  data = load_dataset('folder', dir=str(tmp_path), channels=channels)
  grey = [line for line in data.summary if 'the images are grey' in line]
  assert len(grey) == remarks


# --- Kinds of files ---------------------------------------------------------


@pytest.mark.parametrize(
  'suffix', ['.png', '.webp', '.bmp', '.tif', '.TIFF', '.gif', '.pgm', '.pnm']
)
def test_every_kind_is_read(suffix, tmp_path):
  plant(tmp_path, 'a', 'b', 'c', suffix=suffix)
  options = {'lossless': True} if suffix == '.webp' else {}
  Image.new('L', (4, 4), 30).save(tmp_path / f'd{suffix}', **options)
  splits = open_folder(tmp_path)
  assert np.allclose(values(splits.train, splits.test), [0, 10, 20, 30], atol=1)


def test_greys_beside_colours_are_all_read(tmp_path):
  plant(tmp_path, *'abcdefgh', suffix='.pgm')
  for name in 'ij':
    Image.new('RGB', (4, 4), (9, 8, 7)).save(tmp_path / f'{name}.jpg')
  dataset = load_dataset('folder', dir=str(tmp_path))
  assert dataset.info.num_train + dataset.info.num_test == 10
  assert dataset.info.image_shape == (4, 4, 3)


@pytest.mark.parametrize(('name', 'format'), [('a.jpg', 'GIF'), ('b', 'PNG')])
def test_content_counts_and_not_the_name(name, format, tmp_path):
  for each in (name, f'2{name}'):
    Image.new('L', (4, 4), 50).save(tmp_path / each, format)
  splits = open_folder(tmp_path)
  assert values(splits.train, splits.test) == [50, 50]


def test_of_several_frames_the_first_is_read(tmp_path):
  first, *others = (Image.new('L', (4, 4), value) for value in (40, 80, 120))
  for name in ('x.gif', 'x.tiff', 'x.webp'):
    options = {'lossless': True} if name == 'x.webp' else {}
    path = tmp_path / name
    first.save(path, save_all=True, append_images=others, **options)
    assert abs(int(image_files.decode(path)[0, 0, 0]) - 40) <= 1


@pytest.mark.parametrize('compression', [None, 'tiff_lzw'])
@pytest.mark.parametrize('name', ['x.tiff', 'x.webp'])
def test_a_picture_is_turned_once(name, compression, tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6
  pixels = np.zeros((8, 16, 3), np.uint8)
  pixels[:, :8] = 255
  options = dict(lossless=True) if 'webp' in name else {}
  if 'tiff' in name:
    options['compression'] = compression
  Image.fromarray(pixels).save(tmp_path / name, exif=exif, **options)
  decoded = image_files.decode(tmp_path / name)
  assert decoded.shape == (16, 8, 3)
  assert decoded[0].min() == 255
  assert decoded[-1].max() == 0


def test_16_bits_are_scaled_and_32_are_refused(tmp_path):
  deep = np.full((2, 2), 257 * 200, np.uint16)
  for name in ('x.tiff', 'x.pgm'):
    Image.fromarray(deep).save(tmp_path / name)
    assert image_files.decode(tmp_path / name).max() == 200
  for kind in (np.float32, np.int32):
    Image.fromarray(deep.astype(kind)).save(tmp_path / 'y.tiff')
    with pytest.raises(InputError, match='32 bits a level'):
      image_files.decode(tmp_path / 'y.tiff')


# --- What is said -----------------------------------------------------------


def test_what_is_ignored_is_said_by_kind(tmp_path):
  plant(tmp_path, *'abcdef')
  for name in ('1.txt', '2.TXT', '3.svg', 'README', '.hidden', 'Thumbs.db'):
    (tmp_path / name).write_text('x')
  assert 'ignored: 2 .txt, 1 .db, 1 .svg, 1 without a suffix' in said(tmp_path)
  assert len(open_folder(tmp_path).summary) == 2


def test_classes_are_counted_and_many_are_shortened(tmp_path):
  plant(tmp_path / 'few' / 'train', 'a/1', 'a/2', 'b/1')
  plant(tmp_path / 'few' / 'test', 'a/1', 'c/1')
  assert '3 classes to train on: a (2), b (1), c (0)' in said(tmp_path / 'few')
  plant(tmp_path / 'many', *[f'{i:02}/{j}' for i in range(30) for j in 'xyz'])
  (line,) = open_folder(tmp_path / 'many').summary
  assert '30 classes to train on: 00 (' in line
  assert 'and so on, ' in line
  assert len(line) < 400


def test_a_loose_image_that_costs_the_classes_is_said(tmp_path):
  plant(tmp_path, 'a/1', 'a/2', 'b/1', 'loose')
  assert 'no classes, for 1 images lie in no folder' in said(tmp_path)


def test_plain_folders_say_one_line(tmp_path):
  plant(tmp_path, *'abcde')
  (line,) = open_folder(tmp_path).summary
  assert line.startswith(f'data: 5 images of {tmp_path}: ')
  assert '2 held out (chosen by a hash' in line
  assert line.endswith('no classes')
  assert num_kept(5, 0.3, '') == 3
  assert (
    load_dataset('folder', dir=str(tmp_path)).summary[0].endswith('classes')
  )


@pytest.mark.parametrize('suffix', ['heic', 'svg', 'npy'])
def test_mostly_unreadable_kinds_are_refused(suffix, tmp_path):
  plant(tmp_path, 'a', 'b')
  for i in range(2):
    (tmp_path / f'{i}.{suffix}').write_text('x')
    (tmp_path / f'{i}.json').write_text('x')
  assert f'2 .{suffix}' in said(tmp_path)
  (tmp_path / f'3.{suffix}').write_text('x')
  message = refusal(tmp_path)
  assert f'3 of 5 files in {tmp_path} are of kinds that are' in message
  assert f': 3 .{suffix};' in message


def test_sidecars_are_no_reason_to_refuse(tmp_path):
  plant(tmp_path, 'a', 'b')
  for i in range(50):
    (tmp_path / f'{i}.txt').write_text('a caption')
  assert 'ignored: 50 .txt' in said(tmp_path)


def test_no_images_at_all_says_what_there_is(tmp_path):
  (tmp_path / 'a.txt').write_text('x')
  assert 'only 1 .txt' in refusal(tmp_path)


# --- Splits -----------------------------------------------------------------


@pytest.mark.parametrize(
  ('train', 'held_out'),
  [
    ('Train', 'Test'),
    ('train', 'valid'),
    ('TRAINING', 'testing'),
    ('training', 'VAL'),
    ('train', 'dev'),
    ('train', 'eval'),
  ],
)
def test_usual_names_in_any_case_are_splits(train, held_out, tmp_path):
  plant(tmp_path, f'{train}/x/1', f'{train}/y/2', f'{held_out}/x/3')
  splits = open_folder(tmp_path)
  assert splits.class_names == ('x', 'y')
  assert (values(splits.train), values(splits.test)) == ([0, 10], [20])
  assert f'held out ({held_out})' in splits.summary[0]


def test_of_three_splits_test_is_held_out_and_the_rest_is_said(tmp_path):
  plant(tmp_path, 'train/1', 'val/2', 'val/3', 'test/4', 'more/5', '6')
  splits = open_folder(tmp_path)
  assert (values(splits.train), values(splits.test)) == ([0], [30])
  assert 'unused: 2 val, 1 loose, 1 more' in splits.summary[1]


def test_train_alone_is_no_class(tmp_path):
  plant(tmp_path, *[f'train/{kind}/{i}' for kind in 'ab' for i in range(5)])
  splits = open_folder(tmp_path)
  assert splits.class_names == ('a', 'b')
  assert len(splits.test) == 3


# --- Links ------------------------------------------------------------------


def test_links_to_class_folders_are_followed(tmp_path):
  plant(tmp_path / 'store', 'cats/1', 'cats/2', 'dogs/3')
  (tmp_path / 'mine').mkdir()
  for name in ('cats', 'dogs'):
    (tmp_path / 'mine' / name).symlink_to(tmp_path / 'store' / name)
  splits = open_folder(tmp_path / 'mine')
  assert splits.class_names == ('cats', 'dogs')
  assert values(splits.train, splits.test) == [0, 10, 20]


@pytest.mark.parametrize('target', ['.', '..', 'a', 'root'])
def test_links_do_not_run_in_circles(target, tmp_path):
  plant(tmp_path / 'outer', 'root/a/1', 'root/a/2', 'root/a/3', 'not mine')
  root = tmp_path / 'outer' / 'root'
  goal = {'.': root, '..': tmp_path, 'a': root / 'a', 'root': '../../root'}
  (root / 'a' / 'up').symlink_to(goal[target])
  splits = open_folder(root)
  assert len(splits.train) + len(splits.test) == 3


def test_two_folders_that_link_to_each_other(tmp_path):
  plant(tmp_path, 'a/1', 'b/2')
  (tmp_path / 'a' / 'to_b').symlink_to('../b')
  (tmp_path / 'b' / 'to_a').symlink_to('../a')
  splits = open_folder(tmp_path)
  assert values(splits.train, splits.test) == [0, 0, 10, 10]


def test_dead_links_are_said(tmp_path):
  plant(tmp_path, 'a', 'b')
  (tmp_path / 'c.png').symlink_to('nowhere')
  (tmp_path / 'd.png').symlink_to('d.png')
  assert 'ignored: 2 dead links' in said(tmp_path)


# --- ZIP --------------------------------------------------------------------


def pack(root, path, prefix='', **options):
  with zipfile.ZipFile(path, 'w', **options) as archive:
    for file in sorted(p for p in root.rglob('*') if p.is_file()):
      archive.write(file, prefix + file.relative_to(root).as_posix())
  return path


@pytest.mark.parametrize('prefix', ['', 'photos/', 'a/b/'])
def test_a_zip_is_read_like_its_folder(prefix, tmp_path):
  names = [f'{kind}/{i}' for kind in ('cat', 'dog') for i in range(5)]
  plant(tmp_path / 'x', *names)
  (tmp_path / 'x' / 'cat' / 'notes.txt').write_text('x')
  path = pack(tmp_path / 'x', tmp_path / 'x.zip', prefix)
  with zipfile.ZipFile(path, 'a') as archive:
    archive.writestr('__MACOSX/._1.png', 'x')
  packed, plain = open_folder(path), open_folder(tmp_path / 'x')
  assert packed.class_names == plain.class_names == ('cat', 'dog')
  for one, other in ((packed.train, plain.train), (packed.test, plain.test)):
    assert values(one) == values(other)
    assert [one[i]['label'] for i in range(len(one))] == [
      other[i]['label'] for i in range(len(other))
    ]
  assert 'ignored: 1 .txt' in packed.summary[1]


def test_a_zip_is_read_by_many_threads_and_after_a_fork(tmp_path):
  plant(tmp_path / 'x', *[f'{i:02}' for i in range(25)])
  source = open_folder(pack(tmp_path / 'x', tmp_path / 'x.zip')).train
  expected = [int(source[i]['image'][0, 0, 0]) for i in range(len(source))]

  def read(i):
    return int(source[i % len(source)]['image'][0, 0, 0])

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    found = list(pool.map(read, range(20 * len(source))))
  assert found == 20 * expected
  with zipfile.ZipFile(tmp_path / 'x.zip') as opened:
    mine = source._paths[0]._archive
    before = mine._zip()
    mine._owner = -1  # as it is in a forked process
    assert mine._zip() is not before
    assert read(0) == expected[0]
    assert opened.testzip() is None


def test_a_zip_is_whole_in_memory_and_kept_decoded(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setattr('gan_jax.data.decoded.WORTH', 0.0)
  plant(tmp_path / 'x', *'abcdef')
  path = pack(tmp_path / 'x', tmp_path / 'x.zip')
  first, second = (
    load_dataset('folder', dir=str(path)).train.whole() for _ in range(2)
  )
  np.testing.assert_array_equal(first['images'], second['images'])
  assert len(list((tmp_path / 'cache').rglob('*.npz'))) == 1


def test_members_beyond_the_limit_are_refused(tmp_path, monkeypatch):
  plant(tmp_path / 'x', 'a', 'b')
  path = pack(tmp_path / 'x', tmp_path / 'x.zip')
  monkeypatch.setattr(files_lib, 'MOST_BYTES', 20)
  with pytest.raises(InputError, match=r'x\.zip/a\.png: .* beyond the limit'):
    values(*open_folder(path)[:2])


@pytest.mark.parametrize('how', ['lzma', 'lies', 'cut', 'encrypted'])
def test_bad_archives_are_refused_in_one_line(how, tmp_path):
  plant(tmp_path / 'x', 'a', 'b')
  method = zipfile.ZIP_LZMA if how == 'lzma' else zipfile.ZIP_DEFLATED
  path = pack(tmp_path / 'x', tmp_path / 'x.zip', compression=method)
  data = bytearray(path.read_bytes())
  at = data.index(b'PK\x01\x02')
  if how == 'lies':  # a size that is smaller than what is packed
    data[at + 24 : at + 28] = (9).to_bytes(4, 'little')
  elif how == 'cut':
    data[45:60] = bytes(15)
  elif how == 'encrypted':
    data[at + 8] |= 1
    data[6] |= 1
  path.write_bytes(data)
  with pytest.raises(InputError) as caught:
    values(*open_folder(path)[:2])
  assert str(caught.value).isprintable()
  assert str(path) in str(caught.value)


def test_a_file_that_is_no_zip_is_refused(tmp_path):
  (tmp_path / 'x.zip').write_text('no archive')
  assert 'is not a folder, nor a ZIP' in refusal(tmp_path / 'x.zip')


# --- Broken files -----------------------------------------------------------


@pytest.fixture
def partly_broken(tmp_path):
  """Ten images, four of them broken."""
  root = tmp_path / 'images'
  plant(root, *[f'{i}' for i in range(10)])
  (root / '3.png').write_bytes((root / '3.png').read_bytes()[:40])
  for name in ('5.png', '6.png', '7.png'):
    (root / name).write_text('no image')
  return root


@pytest.mark.parametrize('packed', [False, True])
def test_broken_files_are_left_out_on_demand(partly_broken, packed, tmp_path):
  root = partly_broken
  if packed:
    root = pack(root, tmp_path / 'x.zip')
  splits = open_folder(root, skip_broken=True)
  assert values(splits.train, splits.test) == [0, 10, 20, 40, 80, 90]
  assert '6 images of' in splits.summary[0]
  assert 'left out, 4 broken: 3.png (' in splits.summary[-1]
  assert '5.png (it is none of PNG' in splits.summary[-1]
  assert splits.summary[-1].endswith('and 1 more')


def test_the_first_broken_file_names_the_key(partly_broken):
  splits = open_folder(partly_broken)
  with pytest.raises(InputError, match=r'data\.skip_broken=True') as caught:
    values(splits.train, splits.test)
  assert str(partly_broken) in str(caught.value)


def test_whole_files_are_the_same_data_with_the_key(tmp_path):
  plant(tmp_path, *'abcd')
  assert (
    open_folder(tmp_path)[2:] == open_folder(tmp_path, skip_broken=True)[2:]
  )


def test_nothing_but_broken_files(tmp_path):
  (tmp_path / 'a.png').write_text('x')
  assert '1 broken: a.png (' in refusal(tmp_path, skip_broken=True)


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(name='digits', skip_broken=True), 'is for data.name=folder'),
    (dict(name='folder', skip_broken='no'), 'neither True nor False'),
  ],
)
def test_the_key_is_checked(keys, says, tmp_path):
  with pytest.raises(InputError, match=rf'data\.skip_broken: .*{says}'):
    load_dataset(dir=str(tmp_path), **keys)


# --- Version ----------------------------------------------------------------


def test_other_pictures_of_the_same_names_are_other_data(tmp_path):
  plant(tmp_path, *'abcd', suffix='.bmp')
  before = open_folder(tmp_path).version
  size = (tmp_path / 'a.bmp').stat().st_size
  Image.new('L', (4, 4), 77).save(tmp_path / 'a.bmp')
  assert (tmp_path / 'a.bmp').stat().st_size == size
  after = open_folder(tmp_path).version
  names = before.split(', contents')[0]
  assert after.startswith(f'{names}, contents ')
  assert after != before


def test_a_copy_is_the_same_data(tmp_path):
  plant(tmp_path / 'x', 'train/a', 'train/b', 'test/a')
  shutil.copytree(tmp_path / 'x', tmp_path / 'y')
  for path in (tmp_path / 'y').rglob('*.png'):
    os.utime(path, ns=(1, 1))
  assert (
    open_folder(tmp_path / 'x').version == open_folder(tmp_path / 'y').version
  )


@pytest.mark.parametrize('size', [4096, 5000, 8192, 20_000])
@pytest.mark.parametrize('at', [0, 4095, -4096, -1])
def test_both_ends_of_a_file_count(at, size, tmp_path):
  data = bytearray(np.random.default_rng(0).bytes(size))
  paths = [tmp_path / name for name in 'ab']
  for path in paths:
    path.write_bytes(data)
    data[at] ^= 1
  one, other = (files_lib._ends(path) for path in paths)
  assert one != other
  assert len(one) == min(size, 8192)


def test_what_a_zip_holds_is_told_by_its_checksums(tmp_path):
  versions = []
  for value in (1, 2):
    plant(tmp_path / 'x', *'abc')
    Image.new('L', (4, 4), value).save(tmp_path / 'x' / 'b.png')
    path = pack(tmp_path / 'x', tmp_path / f'{value}.zip')
    versions.append(open_folder(path).version)
  assert versions[0] != versions[1]


def test_of_many_files_the_sizes_of_all_and_some_contents_count(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(files_lib, '_SAMPLE', 3)
  read = []
  original = files_lib._ends
  monkeypatch.setattr(
    files_lib, '_ends', lambda path: read.append(path) or original(path)
  )
  plant(tmp_path, *'abcdefgh')
  before = open_folder(tmp_path).version
  assert len(read) == 3
  with (tmp_path / 'b.png').open('ab') as file:  # not one of the three
    file.write(b'x')
  assert open_folder(tmp_path).version != before

"""One shape for all images, and `load_dataset`."""

import threading

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import Images, load_dataset
from gan_jax.data.shapes import FITS, convert, crop, stretch
from gan_jax.data.sources import Part
from gan_jax.types import InputError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def stripes(wide=40, high=20):
  """A red quarter, a green half and a blue quarter, along the longer side."""
  length = max(wide, high)
  line = np.array(
    [RED] * (length // 4) + [GREEN] * (length // 2) + [BLUE] * (length // 4),
    np.uint8,
  )
  picture = np.broadcast_to(line, (min(wide, high), length, 3))
  return np.ascontiguousarray(
    picture if wide > high else picture.swapaxes(0, 1)
  )


# --- convert ----------------------------------------------------------------


@pytest.mark.parametrize('upright', [False, True])
def test_crop_keeps_the_middle(upright):
  picture = stripes(20, 40) if upright else stripes(40, 20)
  out = convert(picture, (10, 10, 3), crop)
  # Lanczos looks past the edges of the crop.
  np.testing.assert_allclose(out, np.broadcast_to(GREEN, out.shape), atol=16)
  middle = out[3:7, 3:7]
  np.testing.assert_array_equal(middle, np.broadcast_to(GREEN, middle.shape))


@pytest.mark.parametrize('upright', [False, True])
def test_stretch_keeps_everything(upright):
  picture = stripes(20, 40) if upright else stripes(40, 20)
  out = convert(picture, (20, 20, 3), stretch)
  along = out[:, 10] if upright else out[10]
  across = out[10] if upright else out[:, 10]
  # Away from the edges of the stripes, where Lanczos rings.
  for place, colour in ((1, RED), (10, GREEN), (18, BLUE)):
    np.testing.assert_allclose(along[place], colour, atol=3)
  np.testing.assert_array_equal(across, np.broadcast_to(across[0], (20, 3)))


def test_crop_scales_the_shorter_side():
  picture = np.zeros((8, 12, 3), np.uint8)
  picture[:4] = 200  # the upper half stays the upper half
  out = convert(picture, (4, 4, 3), crop)
  np.testing.assert_allclose(out[0], 200, atol=20)
  np.testing.assert_allclose(out[3], 0, atol=20)


@pytest.mark.parametrize('fit', FITS)
@pytest.mark.parametrize('size', [2, 7, 32])
def test_constant_images_stay_constant(fit, size):
  if fit == 'centre' and size > 9:  # refused: see test_crops.py
    return
  shape = (size, size, 1)
  out = convert(np.full((9, 14, 1), 123, np.uint8), shape, FITS[fit])
  np.testing.assert_array_equal(out, np.full((size, size, 1), 123))
  assert out.dtype == np.uint8


def test_grey_becomes_rgb():
  grey = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
  np.testing.assert_array_equal(
    convert(grey, (3, 4, 3), crop), grey.repeat(3, axis=2)
  )


def test_rgb_becomes_grey_by_luma():
  colours = np.array([[RED, GREEN, BLUE, (255, 255, 255)]], np.uint8)
  # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B.
  np.testing.assert_array_equal(
    convert(colours, (1, 4, 1), crop)[..., 0], [[76, 150, 29, 255]]
  )


def test_alpha_is_dropped():
  pixels = np.array([[[1, 2, 3, 40], [5, 6, 7, 80]]], np.uint8)
  np.testing.assert_array_equal(
    convert(pixels, (1, 2, 3), crop), pixels[..., :3]
  )


def test_right_shapes_are_left_alone():
  pixels = stripes()
  assert convert(pixels, [20, 40, 3], None) is pixels


def test_size_and_channels_change_together():
  out = convert(stripes(), (10, 10, 1), crop)
  assert out.shape == (10, 10, 1)
  np.testing.assert_array_equal(out[3:7, 3:7], np.full((4, 4, 1), 150))


# --- Images -----------------------------------------------------------------


@pytest.fixture
def source():
  """Ten examples that tell their number."""
  return [
    {'image': np.full((4, 6, 3), i, np.uint8), 'label': 10 - i}
    for i in range(10)
  ]


@pytest.mark.parametrize('num_threads', [1, 3])
@pytest.mark.parametrize('indices', [[3, 0, 9, 3, 7], [5], []])
def test_read(source, indices, num_threads):
  images = Images(source, (2, 2, 3), fit='stretch', labelled=True)
  arrays = images.read(np.array(indices, int), num_threads=num_threads)
  assert arrays['images'].dtype == np.uint8
  assert arrays['labels'].dtype == np.int32
  expected = np.array(indices, np.uint8)[:, None, None, None]
  np.testing.assert_array_equal(
    arrays['images'], np.broadcast_to(expected, (len(indices), 2, 2, 3))
  )
  np.testing.assert_array_equal(arrays['labels'], [10 - i for i in indices])


def test_read_of_many_is_the_same_threaded_or_not(digits):
  indices = np.random.default_rng(0).integers(0, len(digits.train), 700)
  serial = digits.train.read(indices)
  threaded = digits.train.read(indices, num_threads=4)
  for name in ('images', 'labels'):
    np.testing.assert_array_equal(serial[name], threaded[name])
    assert len(np.unique(serial[name])) > 9
    for place in (0, 255, 256, 699):
      one = digits.train[int(indices[place])][name]
      np.testing.assert_array_equal(serial[name][place], one)


class Blocks(list):
  """A source that is read in blocks or not at all."""

  def __getitem__(self, index):
    raise NotImplementedError

  def __getitems__(self, indices):
    return [list.__getitem__(self, index) for index in indices]


def test_sources_are_read_in_blocks_if_they_can(source):
  images = Images(Blocks(source), (4, 6, 3), fit=None, labelled=True)
  arrays = images.read(np.array([4, 2, 8]), num_threads=2)
  np.testing.assert_array_equal(arrays['images'][:, 0, 0, 0], [4, 2, 8])
  np.testing.assert_array_equal(arrays['labels'], [6, 8, 2])


def test_unlabelled_images_have_no_labels(source):
  images = Images(source, (4, 6, 3), fit='crop', labelled=False)
  assert images[0].keys() == {'images'}
  assert images.read(np.arange(2)).keys() == {'images'}
  assert not images.labelled
  assert len(images) == 10


class Meeting:
  """A source whose examples are read two at a time or not at all."""

  def __init__(self):
    self._barrier = threading.Barrier(2, timeout=20)

  def __getitem__(self, index):
    self._barrier.wait()
    return {'image': np.zeros((2, 2, 1), np.uint8)}


def test_threads_read_at_the_same_time():
  images = Images(Meeting(), (2, 2, 1), fit='crop', labelled=False)
  assert len(images.read(np.arange(4), num_threads=2)['images']) == 4


class Broken:
  """A source with one example that cannot be read."""

  def __getitem__(self, index):
    if index == 7:
      raise InputError('data.dir: cannot read number 7')
    return {'image': np.zeros((2, 2, 1), np.uint8)}


@pytest.mark.parametrize('num_threads', [1, 4])
def test_errors_of_the_source_come_through(num_threads):
  images = Images(Broken(), (2, 2, 1), fit='crop', labelled=False)
  with pytest.raises(InputError, match='cannot read number 7'):
    images.read(np.arange(10), num_threads=num_threads)
  assert len(images.read(np.arange(7), num_threads=num_threads)['images']) == 7


# --- load_dataset -----------------------------------------------------------


def fill(folder, arrays, suffix='png'):
  for i, array in enumerate(arrays):
    array = np.asarray(array, np.uint8)
    Image.fromarray(array).save(folder / f'{i:03}.{suffix}')


def load(folder, **settings):
  return load_dataset('folder', dir=str(folder), **settings)


def test_info_of_digits(digits):
  info = digits.info
  assert info.name == 'digits'
  assert info.image_shape == (8, 8, 1)
  assert info.class_names == tuple('0123456789')
  assert (info.num_train, info.num_test) == (1438, 359)
  assert (len(digits.train), len(digits.test)) == (1438, 359)
  assert digits.train.image_shape == digits.test.image_shape == (8, 8, 1)
  assert digits.train.labelled
  assert digits.test.labelled


def test_info_of_a_folder(tmp_path):
  fill(tmp_path, [np.full((4, 6, 3), i) for i in range(10)])
  dataset = load(tmp_path, test_fraction=0.3)
  assert dataset.info[:5] == ('folder', (4, 6, 3), (), 7, 3)
  assert (len(dataset.train), len(dataset.test)) == (7, 3)
  seen = [
    int(split[i]['images'].flat[0])
    for split in (dataset.train, dataset.test)
    for i in range(len(split))
  ]
  assert sorted(seen) == list(range(10))


@pytest.mark.parametrize(
  ('depths', 'channels', 'expected'),
  [
    ('gg', 0, 1),
    ('cc', 0, 3),
    ('gc', 0, 3),
    ('gg', 3, 3),
    ('cc', 1, 1),
    ('gc', 1, 1),
  ],
)
def test_channels(depths, channels, expected, tmp_path):
  shapes = {'g': (4, 4), 'c': (4, 4, 3)}
  fill(tmp_path, [np.full(shapes[depth], 9) for depth in 2 * depths])
  dataset = load(tmp_path, channels=channels)
  assert dataset.info.image_shape == (4, 4, expected)
  np.testing.assert_array_equal(
    dataset.train.read(np.arange(3))['images'], np.full((3, 4, 4, expected), 9)
  )


def test_images_of_several_sizes_need_a_size(tmp_path):
  fill(tmp_path, [np.full((4 + i % 2, 6, 3), 9) for i in range(8)])
  with pytest.raises(InputError, match=r'data\.image_size: .* folder differ'):
    load(tmp_path)
  dataset = load(tmp_path, image_size=5)
  for split in (dataset.train, dataset.test):
    arrays = split.read(np.arange(len(split)))
    np.testing.assert_array_equal(
      arrays['images'], np.full((len(split), 5, 5, 3), 9)
    )


@pytest.mark.parametrize('size', [(8, 8), (6, 8), (8, 4)])
def test_one_image_of_another_size_among_many(size, tmp_path):
  fill(tmp_path, [np.full((4, 6, 3), i) for i in range(60)])
  dataset = load(tmp_path)
  number = int(dataset.train[1]['images'].flat[0])  # of 54, not measured
  Image.new('RGB', size).save(tmp_path / f'{number:03}.png')
  with pytest.raises(
    InputError, match=r'data\.image_size: image 1 .* one size'
  ):
    load(tmp_path).train.read(np.array([5, 3, 1]))


@pytest.mark.parametrize(('fit', 'corner'), [('crop', GREEN), ('stretch', RED)])
def test_fit_is_what_the_config_says(fit, corner, tmp_path):
  fill(tmp_path, [stripes()] * 2)
  image = load(tmp_path, image_size=20, fit=fit).train[0]['images']
  np.testing.assert_allclose(image[10, 1], corner, atol=3)


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    (dict(fit='pad'), r'data\.fit: .*pad.* crop, stretch'),
    (dict(channels=2), r'data\.channels: 2 is not 0 \(as is\), 1 or 3'),
    (dict(channels=4), r'data\.channels: 4 '),
    (dict(image_size=-1), r'data\.image_size: -1 is negative'),
    (dict(test_fraction=0.0), r'data\.test_fraction: 0\.0 '),
    (dict(test_fraction=1.0), r'data\.test_fraction: 1\.0 '),
    (dict(test_fraction=-0.5), r'data\.test_fraction: -0\.5 '),
    (dict(test_fraction=float('nan')), r'data\.test_fraction: nan '),
    (dict(name='folder'), r'data\.dir: data\.name=folder needs'),
  ],
)
def test_settings_are_refused(settings, message):
  with pytest.raises(InputError, match=message):
    load_dataset(**dict(name='digits') | settings)


# --- images held back -------------------------------------------------------


def test_validation_is_the_end_of_train_and_nothing_is_lost(tmp_path):
  plain = load_dataset('digits', dir=str(tmp_path))
  held = load_dataset('digits', dir=str(tmp_path), validation=100)
  num = len(plain.train) - 100
  assert plain.validation is None
  assert (len(held.train), len(held.validation)) == (num, 100)
  assert held.info.num_train == num
  whole = plain.train.whole()
  for part, rows in (
    (held.train, slice(num)),
    (held.validation, slice(num, None)),
  ):
    found = part.whole()
    for name in ('images', 'labels'):
      np.testing.assert_array_equal(found[name], whole[name][rows])
  for dataset in (plain, held):  # so that features are the same
    for name, rows in dataset.not_tested_on().items():
      np.testing.assert_array_equal(rows, whole[name])
  np.testing.assert_array_equal(
    held.validation.read(np.array([3, 0]))['images'],
    whole['images'][[num + 3, num]],
  )


def test_parts_are_kept_decoded_apart(tmp_path):
  """Else the one would be read back as the other."""
  source = load_dataset('digits', dir=str(tmp_path)).train._source
  parts = [Part(source, 0, 5), Part(source, 5, 9)]
  assert len({source.origin, *(part.origin for part in parts)}) == 3
  assert all(p.fingerprint() == source.fingerprint() for p in parts)
  assert not hasattr(Part([{}], 0, 1), 'origin')
  assert not hasattr(Part([{}], 0, 1), 'fingerprint')
  assert Part([0, 1, 2], 1, 3).__getitems__([1, 0]) == [2, 1]
  with pytest.raises(IndexError):
    parts[0][5]


@pytest.mark.parametrize('num', [-1, 1617, 5000])
def test_validation_that_leaves_nothing_to_train_on(num, tmp_path):
  with pytest.raises(InputError, match=rf'data\.validation: {num:,}'):
    load_dataset('digits', dir=str(tmp_path), validation=num)

"""What comes with an image: derived sources, pairs, images of elsewhere."""

import itertools
import json

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.data import decoded, derive, load_dataset, make_feed
from gan_jax.data.feeds import DeviceFeed, IndexStream, StreamFeed
from gan_jax.ensemble import Ensemble, Member
from gan_jax.pixels import from_uint8
from gan_jax.training.dispatch import take_draws
from gan_jax.types import InputError
from tests.helpers import assert_same_bits

KEY = jax.random.key(5)


def noise(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- Derived sources, against NumPy in float64 --------------------------------


def luma64(images):
  if images.shape[-1] == 1:
    return images.astype(np.float64)
  return np.floor(images @ np.array([0.299, 0.587, 0.114]) + 0.5)[..., None]


@pytest.mark.parametrize('channels', [1, 3])
def test_grey_is_the_luma_of_bt_601(channels):
  images = noise(3, 6, 5, channels)
  made = derive.make_derive('grey', 4, images.shape[1:])
  assert made.shape == (6, 5, 1)
  found = np.asarray(made(images))
  assert found.dtype == np.uint8
  # The float64 sum of halves may lie on either side.
  assert np.abs(found - luma64(images)).max() <= (channels == 3)
  assert (found == luma64(images)).mean() > 0.95
  pure = np.eye(3, dtype=np.uint8)[None, :, None] * 255
  levels = np.asarray(derive.grey(pure, 4)).ravel().tolist()
  assert levels == [76, 150, 29]  # 255 times .299, .587, .114


@pytest.mark.parametrize('channels', [1, 3])
def test_edges_are_sobel_magnitudes(channels):
  images = noise(2, 7, 6, channels)
  found = np.asarray(derive.edges(images, 4))[..., 0]
  x = np.asarray(derive.luma(images), np.float64)[..., 0]
  x = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode='edge')
  kernel = np.outer([1, 2, 1], [-1, 0, 1])
  expected = np.empty(found.shape)
  for i, j in np.ndindex(7, 6):
    window = x[:, i : i + 3, j : j + 3]
    across = (window * kernel).sum(axis=(1, 2))
    down = (window * kernel.T).sum(axis=(1, 2))
    expected[:, i, j] = np.minimum(np.rint(np.hypot(across, down) / 4), 255)
  np.testing.assert_array_equal(found, expected)


def test_a_step_is_a_white_edge_and_a_flat_image_has_none():
  step = np.zeros((1, 6, 6, 1), np.uint8)
  assert not np.asarray(derive.edges(step + 77, 4)).any()
  step[:, :, 3:] = 255
  row = np.asarray(derive.edges(step, 4))[0, 2, :, 0]
  assert row.tolist() == [0, 0, 255, 255, 0, 0]


def keys_weights(size, factor):
  """The antialiased cubic as ZOO-like texts have it, in float64."""
  weights = np.zeros((size // factor, size))
  for i, j in np.ndindex(*weights.shape):
    x = abs(j + 0.5 - (i + 0.5) * factor) / factor
    if x < 1:
      weights[i, j] = 1.5 * x**3 - 2.5 * x**2 + 1
    elif x < 2:
      weights[i, j] = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
  return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(('size', 'factor'), [(16, 2), (24, 3), (16, 4)])
@pytest.mark.parametrize('channels', [1, 3])
def test_low_res_is_keys_cubic_and_pillows(size, factor, channels):
  images = noise(2, size, size, channels)
  found = np.asarray(derive.low_res(images, factor))
  small = found[:, ::factor, ::factor]
  np.testing.assert_array_equal(
    found, small.repeat(factor, axis=1).repeat(factor, axis=2)
  )
  weights = keys_weights(size, factor)
  smooth = np.einsum('oh,bhwc->bowc', weights, images.astype(np.float64))
  smooth = np.einsum('ow,bhwc->bhoc', weights, smooth).clip(0, 255)
  assert np.abs(small - smooth).max() < 1.6  # rounded twice, clipped between
  for image, ours in zip(images, small, strict=True):
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    theirs = picture.resize(
      (size // factor, size // factor), Image.Resampling.BICUBIC
    )
    np.testing.assert_array_equal(ours, np.asarray(theirs).reshape(ours.shape))


def test_halving_has_the_known_taps():
  middle = derive.shrinking(32, 2)[8] / 2**22
  taps = middle[17:21]  # from the centre, 17, on
  np.testing.assert_allclose(
    taps, [0.4336, 0.1133, -0.0352, -0.0117], atol=5e-5
  )
  sums = derive.shrinking(32, 2).sum(axis=1) / 2**22
  np.testing.assert_allclose(sums, 1, atol=8 / 2**22)  # rounded one by one


@pytest.mark.parametrize('shape', [(8, 8), (7, 9)])
def test_the_mask_is_a_central_square_of_half_the_sides(shape):
  images = noise(2, *shape, 3)
  found = np.asarray(derive.masked(images, 4))
  height, width = shape
  inside = np.zeros(shape, bool)
  top, left = height // 4, width // 4
  inside[top : top + height // 2, left : left + width // 2] = True
  assert (found[:, inside] == 128).all()
  np.testing.assert_array_equal(found[:, ~inside], images[:, ~inside])
  assert abs(float(from_uint8(np.uint8(128)))) < 0.004


@pytest.mark.parametrize('name', derive.DERIVE)
def test_a_source_is_of_its_example_alone(name):
  images = noise(4, 8, 8, 3)
  made = derive.make_derive(name, 2, (8, 8, 3))
  whole = np.asarray(jax.jit(lambda x: made(x))(images))
  assert whole.shape[1:] == made.shape
  alone = [np.asarray(made(images[i : i + 1]))[0] for i in range(4)]
  np.testing.assert_array_equal(whole, alone)


# --- Folders ------------------------------------------------------------------


def write(folder, names, *shape, seed=0):
  for i, name in enumerate(names):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(*shape, seed=100 * seed + i)
    Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels).save(path)


NAMES = [f'{i:02}.png' for i in range(10)]


def open_pairs(root, layout='paired', **keys):
  return load_dataset(
    'folder', dir=str(root), layout=layout, decoded_cache=False, **keys
  )


@pytest.fixture
def paired(tmp_path):
  write(tmp_path / 'A', NAMES, 6, 6, 1, seed=1)
  write(tmp_path / 'B', NAMES, 6, 6, 3, seed=2)
  return tmp_path


def pixels_in(folder):
  """Images of a folder by their bytes -> their names."""
  found = {}
  for path in folder.rglob('*.png'):
    pixels = np.asarray(Image.open(path))
    found[pixels.tobytes()] = str(path.relative_to(folder))
  return found


def test_kept_arrays_are_of_one_kind_of_source(paired, monkeypatch):
  """Sources in one channel or in three beside the same images."""
  asked = []

  def read_once(what, fingerprint, read):
    asked.append(repr(what))
    return read()

  monkeypatch.setattr(decoded, 'read_once', read_once)
  for channels in (0, 3):
    keys = dict(layout='paired', channels=channels)
    train = load_dataset('folder', dir=str(paired), **keys).train
    assert train.whole()['source'].shape[-1] == (channels or 1)
  assert len(set(asked)) == 2


@pytest.mark.parametrize('direction', ['a2b', 'b2a'])
@pytest.mark.parametrize('splits', [False, True])
def test_pairs_are_of_one_name(paired, direction, splits):
  if splits:
    for side, test in itertools.product('AB', (False, True)):
      names = NAMES[:3] if test else NAMES[3:]
      folder = paired / side / ('test' if test else 'train')
      folder.mkdir()
      for name in names:
        (paired / side / name).rename(folder / name)
  dataset = open_pairs(paired, direction=direction)
  source, target = 'AB' if direction == 'a2b' else 'BA'
  sources, targets = pixels_in(paired / source), pixels_in(paired / target)
  shape = {'A': (6, 6, 1), 'B': (6, 6, 3)}
  assert dataset.info.image_shape == shape[target]
  assert dataset.info.columns == {'source': shape[source]}
  assert dataset.info.num_train == (7 if splits else 9)
  met = set()
  for images in dataset[:2]:
    arrays = images.read(np.arange(len(images)))
    for image, made in zip(arrays['images'], arrays['source'], strict=True):
      name = targets[image.tobytes()]
      assert sources[made.tobytes()] == name
      met.add(name)
  assert len(met) == 10


@pytest.mark.parametrize('direction', ['a2b', 'b2a'])
def test_halves_of_one_image(tmp_path, direction):
  write(tmp_path, NAMES, 4, 8, 3)
  dataset = open_pairs(tmp_path, 'halves', direction=direction)
  arrays = dataset.train.read(np.arange(9))
  halves = arrays['source'], arrays['images']
  left, right = halves if direction == 'a2b' else halves[::-1]
  wholes = np.concatenate([left, right], axis=2)
  known = {np.asarray(Image.open(tmp_path / n)).tobytes() for n in NAMES}
  assert {whole.tobytes() for whole in wholes} < known
  assert dataset.info.columns == {'source': (4, 4, 3)}


def test_sources_are_brought_to_the_size_of_the_images(paired):
  dataset = open_pairs(paired, image_size=4)
  assert dataset.train.read(np.arange(2))['source'].shape == (2, 4, 4, 1)


@pytest.mark.parametrize('skip_broken', [True, False])
def test_a_broken_file_takes_its_pair_with_it(paired, skip_broken):
  (paired / 'A' / '03.png').write_bytes(b'\x89PNG\r\n\x1a\n')
  if not skip_broken:
    with pytest.raises(InputError, match=r'A/03.png'):
      open_pairs(paired).train.whole()
    return
  info = open_pairs(paired, skip_broken=True).info
  assert info.num_train + info.num_test == 9


def test_a_change_on_either_side_is_other_data(paired):
  before = open_pairs(paired).info.version
  assert open_pairs(paired).info.version == before
  write(paired / 'A', ['04.png'], 6, 6, 1, seed=77)
  assert open_pairs(paired).info.version != before


@pytest.fixture
def unpaired(tmp_path):
  write(tmp_path / 'A', [f'a{i:02}.png' for i in range(16)], 6, 6, 1, seed=1)
  write(tmp_path / 'B', NAMES, 6, 6, 3, seed=2)
  return tmp_path


def odd_width(root):
  write(root, NAMES[:3], 4, 7, 3)
  return dict(layout='halves')


def no_b(root):
  write(root / 'A', NAMES[:3], 4, 4, 3)
  return dict(layout='paired')


def empty_a(root):
  write(root / 'B', NAMES[:3], 4, 4, 3)
  (root / 'A').mkdir()
  return dict(layout='unpaired')


def unmatched(root):
  write(root / 'A', NAMES[:4], 4, 4, 3)
  write(root / 'B', [NAMES[0], *NAMES[2:]], 4, 4, 3)
  return dict(layout='paired')


def other_sizes(root):
  write(root / 'A', NAMES[:3], 4, 4, 3)
  write(root / 'B', NAMES[:3], 4, 6, 3)
  return dict(layout='paired')


def keys_of(**keys):
  def make(root):
    write(root, NAMES[:3], 8, 8, 3)
    return keys

  return make


@pytest.mark.parametrize(
  ('make', 'says'),
  [
    (odd_width, ['data.layout', '7 x 4', 'even width']),
    (no_b, ['data.layout', 'B is missing or has none']),
    (empty_a, ['data.layout', 'A is missing or has none']),
    (unmatched, ['data.layout', 'A/01.png', 'B']),
    (other_sizes, ['data.layout', '4 x 4', '6 x 4', 'one size']),
    (keys_of(layout='pairs'), ['data.layout', "'pairs'", 'unpaired']),
    (keys_of(direction='ab'), ['data.direction', "'ab'", 'b2a']),
    (keys_of(derive='gray'), ['data.derive', "'gray'", 'low_res, masked']),
    (
      keys_of(derive='low_res', derive_factor=3),
      ['data.derive_factor', '3 does not divide', '8 x 8', '[2, 4]'],
    ),
    (keys_of(derive_factor='2'), ['data.derive_factor', 'no whole number']),
    (
      keys_of(layout='halves', derive='grey'),
      ['data.derive', 'data.layout=halves', 'one of the two'],
    ),
  ],
  ids=lambda x: getattr(x, '__name__', ''),
)
def test_bad_input_is_one_line(make, says, tmp_path):
  keys = make(tmp_path)
  with pytest.raises(InputError) as caught:
    load_dataset('folder', dir=str(tmp_path), decoded_cache=False, **keys)
  message = str(caught.value)
  assert '\n' not in message
  assert message.startswith(says[0])
  for part in says:
    assert part in message


def test_pairs_are_of_folders_alone():
  with pytest.raises(InputError, match=r'data.layout: paired.*data.derive'):
    load_dataset('digits', layout='paired')


# --- Feeds --------------------------------------------------------------------


def batches(feed, num, start=0):
  decode = jax.jit(feed.decode)
  draws = itertools.islice(feed.draws(start), num)
  return [
    decode(feed.resident, draw, jax.random.fold_in(KEY, start + i))
    for i, draw in enumerate(draws)
  ]


def levels(pictures):
  """As the file had them."""
  return np.rint((np.asarray(pictures) + 1) * 127.5).astype(np.uint8)


def feeds_of(images, **keys):
  keys = dict(batch_size=4, seed=3, flip=True) | keys
  return DeviceFeed(images, **keys), StreamFeed(images, **keys)


@pytest.mark.parametrize('name', derive.DERIVE)
def test_both_feeds_derive_the_same_bits(name, tmp_path):
  write(tmp_path, NAMES, 8, 8, 3)
  dataset = open_pairs(tmp_path, 'single', derive=name, derive_factor=2)
  device, stream = feeds_of(dataset.train, columns=['source'])
  found = batches(device, 3)
  assert_same_bits(found, batches(stream, 3))
  for batch in found:
    # The mirror of the source is the source of the mirror: even sides here.
    expected = dataset.train.derive(levels(batch.images))
    np.testing.assert_array_equal(levels(batch.given['source']), expected)


def test_pairs_are_mirrored_together(tmp_path):
  write(tmp_path / 'A', NAMES, 6, 6, 3)
  write(tmp_path / 'B', NAMES, 6, 6, 3)  # the same pixels
  dataset = open_pairs(tmp_path)
  device, stream = feeds_of(dataset.train, columns=['source'])
  plain = DeviceFeed(dataset.train, batch_size=4, seed=3)
  found = batches(device, 4)
  assert_same_bits(found, batches(stream, 4))
  mirrored = 0
  for batch, straight in zip(found, batches(plain, 4), strict=True):
    np.testing.assert_array_equal(batch.images, batch.given['source'])
    same = (batch.images == straight.images).all(axis=(1, 2, 3))
    mirrored += int((~same).sum())
  assert 0 < mirrored < 16


def test_columns_leave_images_and_labels_as_they_were(unpaired):
  dataset = open_pairs(unpaired, 'unpaired', derive='edges')
  plain, _ = feeds_of(dataset.train)
  full, _ = feeds_of(dataset.train, columns=['source', 'other'])
  for without, has in zip(batches(plain, 5), batches(full, 5), strict=True):
    assert not without.given
    assert set(has.given) == {'source', 'other'}
    assert_same_bits(without.images, has.images)


def numbers_of(pictures, all_pixels):
  """Which pictures of uint8 `[N, ...]` these are, mirrored or not."""
  table = {}
  for i, image in enumerate(all_pixels):
    table[image.tobytes()] = table[image[:, ::-1].tobytes()] = i
  return [table[image.tobytes()] for image in levels(pictures)]


def test_images_of_elsewhere_have_an_order_of_their_own(unpaired):
  dataset = open_pairs(unpaired, 'unpaired')
  assert dataset.info.columns == {'other': (6, 6, 1)}
  others = dataset.train.other
  assert (len(dataset.train), len(others)) == (9, 14)
  device, stream = feeds_of(dataset.train, columns=['other'], batch_size=7)
  found = batches(device, 4)
  assert_same_bits(found, batches(stream, 4))
  assert_same_bits(found[2:], batches(device, 2, start=2))
  pixels = others.whole()['images']
  numbers = [numbers_of(batch.given['other'], pixels) for batch in found]
  epochs = np.concatenate(numbers).reshape(2, 14)
  assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(14))
  assert epochs[0].tolist() != epochs[1].tolist()
  elsewhere = batches(device.reseeded(4), 2)
  of_seed = [numbers_of(b.given['other'], pixels) for b in elsewhere]
  assert np.concatenate(of_seed).tolist() != epochs[0].tolist()


def test_the_two_orders_are_unlike_also_of_equal_lengths(tmp_path):
  write(tmp_path / 'A', NAMES, 4, 4, 1)
  write(tmp_path / 'B', NAMES, 4, 4, 1)
  images = open_pairs(tmp_path, 'unpaired').train
  feed, _ = feeds_of(images, columns=['other'], batch_size=9)
  indices = next(feed.draws(0))['indices']
  assert indices['images'].tolist() == IndexStream(9, 3)(0, 9).tolist()
  assert sorted(indices['other']) == list(range(9))
  assert indices['other'].tolist() != indices['images'].tolist()
  # Mirrored by coins of their own, too.
  key, positions = jax.random.key(0), np.arange(9)
  rows = {'images': np.arange(36, dtype=np.uint8).reshape(9, 1, 4, 1)}
  rows['other'] = rows['images']
  batch = feed._batch(rows, key, positions)
  assert (batch.images != batch.given['other']).any()


def test_shares_of_two_orders_make_the_whole(unpaired):
  images = open_pairs(unpaired, 'unpaired').train
  for feed in feeds_of(images, columns=['other']):
    whole = batches(feed, 2)
    shares = [batches(feed.shared(i, 2), 2) for i in range(2)]
    for i, batch in enumerate(whole):
      joined = jax.tree.map(
        lambda *parts: np.concatenate(parts), *(s[i] for s in shares)
      )
      assert_same_bits(jax.tree.map(np.asarray, batch), joined)


def test_members_have_their_own_orders_of_both(unpaired):
  images = open_pairs(unpaired, 'unpaired').train
  feed, _ = feeds_of(images, columns=['other'])
  members = [
    Member(i, seed, {'x': x})
    for i, (x, seed) in enumerate(itertools.product((1.0, 2.0), (3, 4)))
  ]
  draws = take_draws(Ensemble(members).draws(feed, 0), 2, 1)
  for member in members:
    alone = take_draws(feed.reseeded(member.seed).draws(0), 2, 1)
    for name, indices in draws['indices'].items():
      assert indices.shape == (2, 1, 4, 4)
      np.testing.assert_array_equal(
        indices[..., member.number], alone['indices'][name]
      )


def test_what_is_on_the_device_counts_all_columns(unpaired):
  images = open_pairs(unpaired, 'unpaired').train
  # 9 images of 108 bytes fill no hundredth of a MiB; all of it is counted.
  wide = make_feed(images, cache_mb=1, batch_size=4, seed=0, columns=['other'])
  assert isinstance(wide, DeviceFeed)
  assert set(wide.resident) == {'images', 'other'}
  none = make_feed(images, cache_mb=0, batch_size=4, seed=0)
  assert isinstance(none, StreamFeed)


def test_examples_are_given_by_number(paired, unpaired):
  dataset = open_pairs(paired, 'unpaired', derive='grey')
  indices = np.array([8, 0, 3])
  given = dataset.train.given(['source', 'other'], indices)
  images = dataset.train.read(indices)['images']
  np.testing.assert_array_equal(given['source'], derive.grey(images, 4))
  assert given['other'].shape == (3, 6, 6, 1)
  assert json.dumps(dataset.info._asdict())

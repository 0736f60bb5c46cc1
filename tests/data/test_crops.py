"""Squares cut out of images: at random in training, else the middle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load_dataset, make_feed
from gan_jax.data.derive import low_res
from gan_jax.data.pictures import random_crops
from gan_jax.types import InputError

KEY = jax.random.key(3)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
  """Twenty images of 20 x 12 pixels, every pixel of which tells its place."""
  root = tmp_path_factory.mktemp('photos')
  rows, columns = np.mgrid[:12, :20]
  for number in range(20):
    pixels = np.stack(
      [rows, columns, np.full_like(rows, number)], axis=-1
    ).astype(np.uint8)
    Image.fromarray(pixels).save(root / f'{number:02}.png')
  return root


def opened(photos, **keys):
  keys = dict(image_size=12, fit='centre', crop=8) | keys
  return load_dataset('folder', dir=str(photos), **keys)


def test_the_centre_changes_no_pixel(photos):
  images = opened(photos, crop=0).train.read(np.arange(3))['images']
  assert images.shape == (3, 12, 12, 3)
  np.testing.assert_array_equal(images[0, :, :, 0], np.mgrid[:12, :12][0])
  np.testing.assert_array_equal(images[0, :, :, 1], np.mgrid[:12, 4:16][1])


def test_modes_see_the_middle(photos):
  dataset = opened(photos)
  assert dataset.info.image_shape == dataset.train.image_shape == (8, 8, 3)
  whole = opened(photos, crop=0).test
  some = np.arange(len(dataset.test))
  expected = whole.read(some)['images'][:, 2:10, 2:10]
  np.testing.assert_array_equal(dataset.test.read(some)['images'], expected)
  np.testing.assert_array_equal(dataset.test.whole()['images'], expected)
  np.testing.assert_array_equal(
    dataset.test.whole(uncut=True)['images'], whole.whole()['images']
  )


def test_every_place_is_as_likely():
  place = np.arange(5)[:, None] * 10 + np.arange(6)
  images = jnp.broadcast_to(
    jnp.asarray(place)[None, ..., None], (3000, 5, 6, 1)
  )
  crops = np.asarray(random_crops(images, KEY, jnp.arange(3000), 4))
  assert crops.shape == (3000, 4, 4, 1)
  corners, counts = np.unique(crops[:, 0, 0, 0], return_counts=True)
  np.testing.assert_array_equal(corners, [0, 1, 2, 10, 11, 12])
  assert np.abs(counts - 500).max() < 5 * np.sqrt(500)
  np.testing.assert_array_equal(
    crops[..., 0] - crops[:, :1, :1, 0],
    np.broadcast_to(place[:4, :4], (3000, 4, 4)),
  )
  again = random_crops(images[:7], KEY, jnp.arange(7), 4)
  np.testing.assert_array_equal(again, crops[:7])


@pytest.mark.parametrize('cache', ['device', 'stream'])
def test_a_source_is_made_of_the_square(photos, cache):
  dataset = opened(photos, derive='low_res', derive_factor=2)
  feed = make_feed(
    dataset.train, batch_size=6, seed=0, cache=cache, columns=['source']
  )
  batch = feed.decode(feed.resident, next(feed.draws(0)), KEY)
  assert batch.images.shape == batch.given['source'].shape == (6, 8, 8, 3)
  pixels = np.asarray((batch.images + 1) * 127.5).round().astype(np.uint8)
  # Rows and columns go on by one, from wherever they begin.
  assert (np.diff(pixels[..., 0].astype(int), axis=1) == 1).all()
  assert (np.diff(pixels[..., 1].astype(int), axis=2) == 1).all()
  assert len(np.unique(pixels[:, 0, 0, :2], axis=0)) > 1
  source = np.asarray((batch.given['source'] + 1) * 127.5).round()
  np.testing.assert_array_equal(source, low_res(pixels, 2))


def test_feeds_give_the_same_squares(photos):
  dataset = opened(photos)
  draws = []
  for cache in ('device', 'stream'):
    feed = make_feed(
      dataset.train, batch_size=6, seed=0, flip=True, cache=cache
    )
    draws.append(feed.decode(feed.resident, next(feed.draws(2)), KEY).images)
  np.testing.assert_array_equal(*draws)


def test_a_pair_is_cut_in_one_place(photos, tmp_path):
  for side in 'AB':
    (tmp_path / side).mkdir()
    for path in photos.iterdir():
      (tmp_path / side / path.name).write_bytes(path.read_bytes())
  dataset = opened(tmp_path, layout='paired')
  assert dataset.info.columns['source'] == (8, 8, 3)
  feed = make_feed(
    dataset.train, batch_size=6, seed=0, flip=True, columns=['source']
  )
  batch = feed.decode(feed.resident, next(feed.draws(0)), KEY)
  np.testing.assert_array_equal(batch.images, batch.given['source'])
  given = dataset.test.given(['source'], np.arange(2))
  np.testing.assert_array_equal(
    given['source'], dataset.test.read(np.arange(2))['images']
  )


@pytest.mark.parametrize(
  ('keys', 'line'),
  [
    (dict(crop=13), r'data.crop: 13 x 13 pixels .* images of 12 x 12'),
    (dict(crop=-1), r'data.crop: -1 is negative'),
    (dict(image_size=16), r'data.fit: centre takes 16 x 16 .* has 20 x 12'),
    (
      dict(crop=9, derive='low_res', derive_factor=2),
      r'derive_factor: 2 does not divide images of 9 x 9',
    ),
  ],
)
def test_bad_squares(photos, keys, line):
  with pytest.raises(InputError, match=line):
    opened(photos, **keys).train.read(np.arange(1))

"""Feeds: batch t is a function of (seed, t), whichever feed makes it."""

import functools
import itertools

import chex
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.data import Images, feeds, make_feed
from gan_jax.data.feeds import DeviceFeed, IndexStream, StreamFeed
from gan_jax.types import InputError

KEY = jax.random.key(3)

# --- The order --------------------------------------------------------------


@pytest.mark.parametrize('num_examples', [1, 2, 7, 100])
def test_every_epoch_is_a_permutation(num_examples):
  stream = IndexStream(num_examples, seed=1)
  for epoch in range(3):
    indices = stream(epoch * num_examples, (epoch + 1) * num_examples)
    assert indices.dtype == np.int32
    np.testing.assert_array_equal(np.sort(indices), np.arange(num_examples))


def test_epochs_and_seeds_differ():
  orders = [
    tuple(IndexStream(20, seed)(start, start + 20))
    for seed in (0, 1)
    for start in (0, 20, 40)
  ]
  assert len(set(orders)) == 6
  assert tuple(range(20)) not in orders


def test_a_seed_always_gives_the_same_order():
  first, second = IndexStream(50, seed=9), IndexStream(50, seed=9)
  np.testing.assert_array_equal(first(30, 260), second(30, 260))


@given(
  num_examples=st.integers(1, 9),
  seed=st.integers(0, 2**31),
  pieces=st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 25)), min_size=1, max_size=8
  ),
)
@settings(deadline=None)
def test_the_stream_does_not_depend_on_how_it_is_asked(
  num_examples, seed, pieces
):
  epochs = range(85 // num_examples + 1)
  whole = np.concatenate(
    [
      IndexStream(num_examples, seed)(e * num_examples, (e + 1) * num_examples)
      for e in epochs
    ]
  )
  stream = IndexStream(num_examples, seed)
  for start, length in pieces:
    np.testing.assert_array_equal(
      stream(start, start + length), whole[start : start + length]
    )


# --- Decoding ---------------------------------------------------------------


@pytest.mark.parametrize('jit', [False, True])
def test_decoded_range(jit):
  levels = np.arange(256, dtype=np.uint8)

  def decode(images):
    return feeds.decode_images(images, KEY, np.arange(1), flip=False)

  decoded = (jax.jit(decode) if jit else decode)(levels.reshape(1, 16, 16, 1))
  assert decoded.dtype == np.float32
  decoded = np.asarray(decoded).ravel()
  assert decoded[0] == -1.0
  assert decoded[255] == 1.0
  # A value near 1 less a value near 1: eps of the larger, not of the result.
  np.testing.assert_allclose(
    decoded, levels.astype(np.float64) / 127.5 - 1.0, rtol=0, atol=1.2e-7
  )


def numbered(count, shape=(2, 3, 1)):
  """Images that tell their number and which side is which."""
  images = np.zeros((count, *shape), np.uint8)
  images += (np.arange(count, dtype=np.uint8) % 50)[:, None, None, None]
  images[:, 0, 0] += 100
  images[:, 1, 1] += 200
  return images


def flips(images, key, positions):
  """bool `[B]`, after seeing that each image is mirrored or as it was."""
  decode = jax.jit(functools.partial(feeds.decode_images, flip=True))
  out = decode(images, key, positions)
  out = np.rint((np.asarray(out) + 1) * 127.5).astype(np.uint8)
  mirrored = (out == images[:, :, ::-1]).all(axis=(1, 2, 3))
  same = (out == images).all(axis=(1, 2, 3))
  assert (mirrored ^ same).all()
  return mirrored


def test_half_of_the_images_are_mirrored():
  images, positions = numbered(4096), np.arange(4096)
  mirrored = flips(images, KEY, positions)
  # Five standard deviations of Binomial(4096, 1/2).
  assert abs(mirrored.sum() - 2048) < 160
  again = flips(images, KEY, positions)
  np.testing.assert_array_equal(mirrored, again)
  other = flips(images, jax.random.key(4), positions)
  assert abs((mirrored ^ other).sum() - 2048) < 160


@pytest.mark.parametrize('num_shares', [2, 4])
def test_flips_do_not_depend_on_sharding(num_shares):
  images, positions = numbered(32), np.arange(32)
  shares = [
    flips(images[share], KEY, positions[share])
    for share in np.split(positions, num_shares)
  ]
  whole = flips(images, KEY, positions)
  assert 0 < whole.sum() < 32
  np.testing.assert_array_equal(np.concatenate(shares), whole)


# --- Both feeds -------------------------------------------------------------

COUNT, BATCH = 10, 4  # every third batch straddles two epochs


def as_images(arrays):
  examples = [
    {'image': image, 'label': i % 3} for i, image in enumerate(arrays)
  ]
  return Images(examples, arrays.shape[1:], fit='crop', labelled=True)


@pytest.fixture(scope='module')
def images():
  return as_images(numbered(COUNT))


def make(kind, images, **options):
  return kind(images, **dict(batch_size=BATCH, seed=5) | options)


def batches(feed, start, count):
  """The batches of draws start to start + count, as training makes them."""
  decode = jax.jit(feed.decode)
  draws = itertools.islice(feed.draws(start), count)
  return [
    decode(feed.resident, draw, jax.random.fold_in(KEY, start + i))
    for i, draw in enumerate(draws)
  ]


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('labels', [False, True])
def test_both_feeds_make_the_same_batches(images, flip, labels):
  options = dict(flip=flip, labels=labels)
  device = batches(make(DeviceFeed, images, **options), 2, 7)
  stream = batches(make(StreamFeed, images, **options), 2, 7)
  chex.assert_trees_all_equal(device, stream)
  for batch in device:
    chex.assert_shape(batch.images, (BATCH, 2, 3, 1))
    chex.assert_type([batch.images, batch.positions], [np.float32, np.int32])
    np.testing.assert_array_equal(batch.positions, np.arange(BATCH))
    assert list(batch.given) == ['labels'] * labels


@pytest.mark.parametrize('kind', [DeviceFeed, StreamFeed])
def test_batches_are_the_images_in_the_order_of_the_seed(images, kind):
  order = IndexStream(COUNT, seed=5)
  for t, batch in enumerate(batches(make(kind, images, labels=True), 0, 6)):
    indices = order(t * BATCH, (t + 1) * BATCH)
    np.testing.assert_array_equal(
      np.rint((batch.images + 1) * 127.5), numbered(COUNT)[indices]
    )
    np.testing.assert_array_equal(batch.given['labels'], indices % 3)
    assert batch.given['labels'].dtype == np.int32


@pytest.mark.parametrize('kind', [DeviceFeed, StreamFeed])
def test_draws_go_on_from_any_number(images, kind):
  feed = make(kind, images, flip=True, labels=True)
  for start in (1, 4):
    chex.assert_trees_all_equal(
      batches(feed, 0, 7)[start:6], batches(feed, start, 6 - start)
    )


@pytest.mark.parametrize('kind', [DeviceFeed, StreamFeed])
def test_decode_works_on_a_share_of_a_draw(images, kind):
  feed = make(kind, images, flip=True, labels=True)
  draw = next(iter(feed.draws(0)))
  whole = feed.decode(feed.resident, draw, KEY)
  parts = [
    feed.decode(feed.resident, {name: x[rows] for name, x in draw.items()}, KEY)
    for rows in (slice(0, 2), slice(2, 4))
  ]
  joined = jax.tree.map(lambda *xs: np.concatenate(xs), *parts)
  chex.assert_trees_all_equal(joined, whole)


@pytest.mark.parametrize('kind', [DeviceFeed, StreamFeed])
def test_labels_come_only_when_asked_for(images, kind):
  for labels in (False, True):
    feed = make(kind, images, labels=labels)
    held = feed.resident | next(iter(feed.draws(0)))
    assert ('labels' in held) == labels


@pytest.mark.parametrize('kind', [DeviceFeed, StreamFeed])
def test_seed_and_flip_reach_the_batches(images, kind):
  plain, mirrored, other = (
    np.stack([b.images for b in batches(make(kind, images, **o), 0, 5)])
    for o in ({}, {'flip': True}, {'seed': 6})
  )
  assert (plain != mirrored).any()
  assert (plain != other).any()
  # Mirroring leaves the sum of an image alone; another order does not.
  np.testing.assert_allclose(
    plain.sum(axis=(2, 3, 4)), mirrored.sum(axis=(2, 3, 4)), rtol=1e-5
  )


def test_only_the_stream_sends_pixels(images):
  device, stream = make(DeviceFeed, images), make(StreamFeed, images)
  assert device.resident['images'].dtype == np.uint8
  np.testing.assert_array_equal(device.resident['images'], numbered(COUNT))
  assert stream.resident == {}
  draws = [next(iter(feed.draws(0))) for feed in (device, stream)]
  assert draws[0].keys() == {'indices', 'positions'}
  assert draws[1].keys() == {'images', 'positions'}
  assert draws[1]['images'].dtype == np.uint8


class Broken(list):
  def __getitem__(self, index):
    raise InputError(f'data.dir: cannot read number {index}')


def test_errors_of_the_source_come_through():
  images = Images(Broken([None] * COUNT), (2, 3, 1), fit='crop', labelled=False)
  with pytest.raises(InputError, match='cannot read number'):
    make(DeviceFeed, images)
  feed = make(StreamFeed, images)
  with pytest.raises(InputError, match='cannot read number'):
    next(iter(feed.draws(0)))


# --- The choice -------------------------------------------------------------


@pytest.mark.parametrize(
  ('count', 'options', 'kind'),
  [
    (16, dict(cache_mb=1), DeviceFeed),  # exactly 1 MiB
    (17, dict(cache_mb=1), StreamFeed),
    (17, dict(cache_mb=2), DeviceFeed),
    (17, dict(), DeviceFeed),
    (1, dict(cache_mb=0), StreamFeed),
    (1, dict(cache='device', cache_mb=0), DeviceFeed),
    (1, dict(cache='stream'), StreamFeed),
  ],
)
def test_make_feed_chooses(count, options, kind):
  images = as_images(np.zeros((count, 256, 256, 1), np.uint8))
  feed = make_feed(images, batch_size=1, seed=0, **options)
  assert type(feed) is kind


def test_make_feed_passes_settings_on(images):
  options = dict(batch_size=3, seed=8, flip=True, labels=True)
  chex.assert_trees_all_equal(
    batches(make_feed(images, **options), 0, 3),
    batches(DeviceFeed(images, **options), 0, 3),
  )


def test_make_feed_refuses_unknown_names(images):
  with pytest.raises(InputError, match=r"data\.cache: .*'disk'.*auto, device"):
    make_feed(images, cache='disk', batch_size=1, seed=0)


@pytest.mark.parametrize('cache', ['device', 'stream'])
def test_a_batch_may_be_the_dataset_but_not_more(images, cache):
  feed = make_feed(images, cache=cache, batch_size=COUNT, seed=0)
  assert batches(feed, 0, 1)[0].images.shape[0] == COUNT
  with pytest.raises(InputError, match=r'batch_size: 11 is larger .* 10 '):
    make_feed(images, cache=cache, batch_size=COUNT + 1, seed=0)

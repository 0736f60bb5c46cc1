"""Sources: TFDS datasets, prepared here from a few arrays, and folders."""

import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from PIL import Image
from sklearn.datasets import load_digits
from tensorflow_datasets.core.download.resource import get_dl_fname

from gan_jax.data import folder as folders
from gan_jax.data import images as image_files
from gan_jax.data import (
  labelled_only,
  load_dataset,
  make_feed,
  tfds_source,
)
from gan_jax.types import InputError
from tests.helpers import ROOT, slow

# --- The embedded digits ----------------------------------------------------


@pytest.fixture(scope='module')
def new_digits(tmp_path_factory):
  """The digits as prepared now, not by whatever code was here before."""
  return tfds_source.open_tfds(
    'digits', str(tmp_path_factory.mktemp('tfds')), 0.1
  )


@pytest.mark.parametrize(
  ('split', 'held_out', 'count'), [('train', False, 1438), ('test', True, 359)]
)
def test_digits_are_those_of_scikit_learn(split, held_out, count, new_digits):
  source = getattr(new_digits, split)
  examples = [source[i] for i in range(len(source))]
  for example in examples[:3]:
    assert example['image'].shape == (8, 8, 1)
    assert example['image'].dtype == np.uint8
  levels = np.array([(255 * n + 8) // 16 for n in range(17)], np.uint8)
  digits = load_digits()
  expected = sorted(
    (levels[image.astype(int)].tobytes(), label)
    for i, (image, label) in enumerate(
      zip(digits.images, digits.target, strict=True)
    )
    if (i % 5 == 4) == held_out
  )
  assert len(expected) == count
  assert expected == sorted(
    (e['image'].tobytes(), e['label']) for e in examples
  )
  assert {e['label'] for e in examples} == set(range(10))


def test_digits_of_both_splits_differ(new_digits):
  train, test = (
    {source[i]['image'].tobytes() for i in range(len(source))}
    for source in (new_digits.train, new_digits.test)
  )
  assert not train & test
  assert new_digits.class_names == tuple('0123456789')


@pytest.mark.parametrize('fresh', [False, slow(True)])
def test_digits_do_not_need_tensorflow(fresh, tmp_path):
  folder = str(tmp_path) if fresh else ''
  program = (
    'import sys; from gan_jax.data import load_dataset; '
    f'load_dataset("digits", dir={folder!r}).train[0]; '
    'sys.exit("tensorflow" in sys.modules)'
  )
  done = subprocess.run(
    [sys.executable, '-c', program],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert (tmp_path / 'digits').exists() == fresh


# --- Other TFDS datasets ----------------------------------------------------


def pixels(value, shape=(4, 6, 3)):
  """An image of one colour, so that its value tells which one it is."""
  return np.full(shape, value, np.uint8)


IMAGE = tfds.features.Tensor(shape=(4, 6, 3), dtype=np.uint8)
NUMBER = tfds.features.Tensor(shape=(), dtype=np.int64)
KIND = tfds.features.ClassLabel(names=['wug', 'fep'])


FEATURES = {'image': IMAGE, 'label': KIND}
SPLITS = {'train': range(8), 'test': range(100, 103)}


class Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Example i of a split: images of value i, class i % 2."""

  VERSION = tfds.core.Version('1.0.0')
  features, splits = FEATURES, SPLITS

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(self.features)
    )

  def _split_generators(self, dl_manager):
    return {
      name: self._generate_examples(numbers)
      for name, numbers in self.splits.items()
    }

  def _generate_examples(self, numbers):
    values = {IMAGE: pixels, NUMBER: int, KIND: lambda i: i % 2}
    for i in numbers:
      yield i, {name: values[f](i) for name, f in self.features.items()}


def register(name, features=FEATURES, splits=SPLITS, **options):
  fields = dict(features=features, splits=splits, __module__=__name__)
  return type(name, (Toy,), fields, **options)


VALIDATED = {'train': range(8), 'validation': range(50, 52)}
register('ToyPlain')
register('ToyNamed', {'id': NUMBER, 'picture': IMAGE, 'kind': KIND})
register('ToyUnlabelled', {'picture': IMAGE, 'id': NUMBER})
register('ToyNumbers', {'id': NUMBER, 'kind': KIND})
register('ToyUnsplit', splits={'train': range(20)})
register('ToyTiny', splits={'train': range(4)})
register('ToySingle', splits={'train': range(1)})
register('ToyValidated', splits=VALIDATED)
register('ToyThreeSplits', splits=VALIDATED | {'test': range(100, 103)})
register('ToyUntrained', splits={'test': range(8)})


def open_toy(name, data_dir, test_fraction=0.1):
  return tfds_source.open_tfds(name, str(data_dir), test_fraction)


def values(source):
  """First pixel of every image, which is the example's number."""
  return [int(source[i]['image'].flat[0]) for i in range(len(source))]


@pytest.mark.parametrize('name', ['toy_plain', 'toy_named'])
def test_features_are_renamed(name, tmp_path):
  splits = open_toy(name, tmp_path)
  assert splits.class_names == ('wug', 'fep')
  for source, numbers in (
    (splits.train, range(8)),
    (splits.test, range(100, 103)),
  ):
    assert sorted(values(source)) == list(numbers)
    one_by_one = [source[i] for i in range(len(source))]
    together = source.__getitems__(list(range(len(source))))
    for example in one_by_one + together:
      assert example.keys() == {'image', 'label'}
      number = example['image'].flat[0]
      np.testing.assert_array_equal(example['image'], pixels(number))
      assert example['label'] == number % 2
    assert [e['image'].flat[0] for e in together] == values(source)


def test_usual_names_are_preferred(tmp_path):
  coarse = tfds.features.ClassLabel(num_classes=5)
  features = {'depth': IMAGE, 'coarse': coarse} | FEATURES | {'mask': IMAGE}
  crowded = register('ToyCrowded', features, skip_registration=True)
  keys = tfds_source._feature_keys(crowded(data_dir=tmp_path))
  assert keys == ('image', 'label')


def test_unlabelled_dataset(tmp_path):
  splits = open_toy('toy_unlabelled', tmp_path)
  assert splits.class_names == ()
  assert splits.train[0].keys() == {'image'}


class Secret(Toy, skip_registration=True):
  """Labels that are not known are -1: of a whole split, or of some."""

  hidden = ()
  features, splits = FEATURES, SPLITS

  def _generate_examples(self, numbers):
    for i in numbers:
      label = -1 if i in self.hidden else i % 2
      yield i, {'image': pixels(i), 'label': label}


def load_secret(tmp_path, *hidden):
  made = type(
    'Secret',
    (Secret,),
    dict(hidden=hidden, __module__=__name__),
    skip_registration=True,
  )
  builder = made(data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  return load_dataset('secret', dir=str(tmp_path))


def test_hidden_labels_of_test_are_known_as_missing(tmp_path):
  dataset = load_secret(tmp_path, 100, 101, 102)
  assert dataset.info.class_names == ('wug', 'fep')
  assert (dataset.train.labelled, dataset.test.labelled) == (True, False)
  assert set(dataset.test.whole()) == {'images'}
  assert dataset.summary == (
    'data: labels of test are hidden (-1) in secret, and not used',
  )


def test_hidden_labels_of_train_leave_no_classes(tmp_path):
  dataset = load_secret(tmp_path, *range(8))
  assert dataset.info.class_names == ()
  assert not dataset.train.labelled
  assert 'labels of train are hidden' in dataset.summary[0]


@pytest.mark.parametrize('cache', ['device', 'stream'])
def test_single_missing_labels_are_not_another_class(cache, tmp_path):
  dataset = load_secret(tmp_path, 3, 101)
  assert dataset.summary == ()
  arrays = dataset.train.whole()
  numbers = arrays['images'][:, 0, 0, 0].astype(int)
  expected = np.where(numbers == 3, -1, numbers % 2)
  np.testing.assert_array_equal(arrays['labels'], expected)
  keys = dict(batch_size=8, seed=0, cache=cache)
  next(make_feed(dataset.train, **keys).draws(0))
  with pytest.raises(InputError, match=r'conditional: 1 of 8 .* no label'):
    next(make_feed(dataset.train, labels=True, **keys).draws(0))
  known = labelled_only(dataset.test.whole())
  assert sorted(known['images'][:, 0, 0, 0].tolist()) == [100, 102]
  assert len(labelled_only({'images': arrays['images']})['labels']) == 0


def test_dataset_without_images_is_refused(tmp_path):
  with pytest.raises(InputError, match=r'data\.name: toy_numbers .*id, kind'):
    open_toy('toy_numbers', tmp_path)


@pytest.mark.parametrize(
  ('fraction', 'held_out'), [(0.1, 2), (0.25, 5), (0.5, 10)]
)
def test_dataset_without_test_split_is_sliced(fraction, held_out, tmp_path):
  train, test, _ = open_toy('toy_unsplit', tmp_path, fraction)[:3]
  assert len(test) == held_out
  assert sorted(values(train) + values(test)) == list(range(20))
  again = open_toy('toy_unsplit', tmp_path, fraction)
  assert values(again.test) == values(test)


def test_a_tiny_dataset_keeps_something_to_hold_out(tmp_path):
  train, test, _ = open_toy('toy_tiny', tmp_path)[:3]
  assert (len(train), len(test)) == (3, 1)


def test_a_single_example_is_refused(tmp_path):
  with pytest.raises(InputError, match=r'data\.name: toy_single has a single'):
    open_toy('toy_single', tmp_path)


@pytest.mark.parametrize(
  ('name', 'numbers'),
  [('toy_validated', [50, 51]), ('toy_three_splits', [100, 101, 102])],
)
def test_the_held_out_split_is_test_else_validation(name, numbers, tmp_path):
  assert sorted(values(open_toy(name, tmp_path).test)) == numbers


def test_dataset_without_train_split_is_refused(tmp_path):
  with pytest.raises(InputError, match=r'toy_untrained has no train .* test'):
    open_toy('toy_untrained', tmp_path)


def test_a_prepared_dataset_needs_no_builder_code(tmp_path):
  unknown = register('ToyElsewhere', skip_registration=True)
  builder = unknown(data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  splits = open_toy('toy_elsewhere', tmp_path)
  assert sorted(values(splits.train)) == list(range(8))
  assert splits.class_names == ('wug', 'fep')


def test_another_file_format_is_refused(tmp_path):
  open_toy('toy_plain', tmp_path)
  folder = tmp_path / 'toy_plain' / '1.0.0'
  info = json.loads((folder / 'dataset_info.json').read_text())
  info['fileFormat'] = 'tfrecord'
  (folder / 'dataset_info.json').write_text(json.dumps(info))
  for path in folder.glob('*array_record*'):
    path.rename(str(path).replace('array_record', 'tfrecord'))
  with pytest.raises(InputError, match='array_record') as caught:
    open_toy('toy_plain', tmp_path)
  assert str(folder) in str(caught.value)


@pytest.fixture
def asked(monkeypatch):
  """What was asked of the list of community datasets, which is remote."""
  calls = []
  monkeypatch.setattr(
    'tensorflow_datasets.core.community.registry.DatasetRegistry.list_builders',
    lambda self: calls.append(self) or [],
  )
  return calls


@pytest.mark.parametrize(
  ('name', 'near'),
  [
    ('nmist', 'mnist'),
    ('digit', 'digits'),
    ('fashon_mnist', 'fashion_mnist'),
    ('mnist/no_such_config', 'mnist'),
    ('mnist:9.9.9', 'mnist'),
    ('', 'cifar10'),
    ('no such thing at all', 'cifar10'),
  ],
)
def test_unknown_name_is_refused_with_near_ones(name, near, tmp_path, asked):
  with pytest.raises(InputError) as caught:
    open_toy(name, tmp_path)
  message = str(caught.value)
  assert message.startswith(f'data.name: no dataset {name!r}')
  assert near in message.split('such as ')[1].split(', ')
  assert not list(tmp_path.iterdir())


def test_unknown_name_is_refused_without_a_network(tmp_path, asked):
  with pytest.raises(InputError):
    open_toy('nmist', tmp_path)
  assert not asked


def test_community_dataset_is_refused(tmp_path, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
  with pytest.raises(InputError, match=r'data\.name'):
    open_toy('huggingface:mnist', tmp_path)


@pytest.fixture
def prepared(monkeypatch):
  """Lists what TFDS was told to prepare; nothing can be."""
  tried = []

  def fail(builder):
    tried.append(builder.name)
    raise RuntimeError('no route to host\nand a long story')

  monkeypatch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', fail)
  return tried


def refusal(name, data_dir):
  with pytest.raises(InputError) as caught:
    tfds_source.open_tfds(name, data_dir and str(data_dir), 0.1)
  return str(caught.value)


def test_failed_download_says_how_to_provide_the_data(tmp_path, prepared):
  message = refusal('toy_plain', tmp_path)
  assert message == (
    'data.name: cannot prepare toy_plain: no route to host. Without a network, '
    f'put the dataset prepared elsewhere (array_record) in {tmp_path}, or its '
    'files as downloaded in downloads/manual there'
  )
  assert ') in ~/tensorflow_datasets (or TFDS_DATA' in refusal('toy_plain', '')


@pytest.fixture
def silent(monkeypatch):
  """A server of CIFAR-10 that accepts and never answers."""
  server = socket.create_server(('127.0.0.1', 0))
  url = f'http://127.0.0.1:{server.getsockname()[1]}/cifar.tar.gz'
  info = tfds.download.checksums.UrlInfo(1, 'a' * 64, 'cifar.tar.gz')
  monkeypatch.setattr(tfds.core.DatasetBuilder, 'url_infos', {url: info})
  monkeypatch.setattr(tfds_source, '_ANSWER', 0.1)
  yield url, server
  server.close()


@pytest.mark.parametrize('why', ['no answer', 'refused', 'no end of a search'])
def test_a_network_that_is_not_there_is_known_at_once(
  why, tmp_path, silent, prepared, monkeypatch
):
  if why == 'refused':
    silent[1].close()
  elif why == 'no end of a search':
    monkeypatch.setattr('requests.get', lambda *_, **__: time.sleep(1.0))
  (tmp_path / 'downloads' / 'extracted').mkdir(parents=True)  # of other data
  started = time.monotonic()
  message = refusal('cifar10', tmp_path)
  assert time.monotonic() - started < 0.9
  assert not prepared
  assert message.startswith(
    'data.name: cannot prepare cifar10: 127.0.0.1 cannot be reached. Without a '
  )
  assert '(cifar.tar.gz) in downloads/manual there' in message


@pytest.mark.parametrize('place', ['cifar10', '', 'manual'])
def test_what_is_downloaded_needs_no_network(
  place, tmp_path, silent, prepared, monkeypatch
):
  monkeypatch.setattr('requests.get', None)
  name = get_dl_fname(silent[0], 'a' * 64)
  path = (
    tmp_path
    / 'downloads'
    / place
    / ('cifar.tar.gz' if place == 'manual' else name)
  )
  path.parent.mkdir(parents=True)
  path.touch()
  refusal('cifar10', tmp_path)
  assert prepared == ['cifar10']


@pytest.mark.parametrize(
  ('error', 'words'),
  [
    (OSError(28, 'No space left on device'), 'data.dir: cannot write in '),
    (
      requests.ConnectionError(
        'HTTPSConnectionPool(host=...',
        request=requests.Request('GET', 'https://example.org/x').prepare(),
      ),
      'cannot prepare toy_plain: example.org cannot be reached. Without a',
    ),
  ],
)
def test_why_it_cannot_be_prepared_is_said(error, words, tmp_path, monkeypatch):
  def fail(builder):
    raise error

  monkeypatch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', fail)
  assert words in refusal('toy_plain', tmp_path)


def test_without_a_home_the_folder_has_to_be_named(tmp_path, monkeypatch):
  monkeypatch.setattr(os.path, 'expanduser', str)
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  message = refusal('toy_plain', '')
  assert 'no home folder' in message
  assert 'data.dir or TFDS_DATA_DIR' in message


def test_a_prepared_dataset_is_not_downloaded_again(tmp_path, monkeypatch):
  open_toy('toy_plain', tmp_path)
  monkeypatch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', None)
  assert len(open_toy('toy_plain', tmp_path).train) == 8


@pytest.mark.parametrize(
  ('name', 'shape', 'counts'),
  [
    ('mnist', (28, 28, 1), (60_000, 10_000)),
    ('fashion_mnist', (28, 28, 1), (60_000, 10_000)),
    ('cifar10_jpeg', (32, 32, 3), (50_000, 10_000)),
  ],
)
def test_real_dataset(name, shape, counts):
  root = os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets')
  if not (pathlib.Path(root).expanduser() / name).exists():
    pytest.skip(f'{name} is not prepared in {root}')
  dataset = load_dataset(name)
  assert dataset.info.image_shape == shape
  assert (dataset.info.num_train, dataset.info.num_test) == counts
  assert (len(dataset.train), len(dataset.test)) == counts
  assert len(dataset.info.class_names) == 10
  arrays = dataset.test.read(np.arange(200))
  assert set(arrays['labels']) == set(range(10))
  assert arrays['images'].min() == 0
  assert arrays['images'].max() == 255


# --- Folders ----------------------------------------------------------------


def save(path, array, **kwargs):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.asarray(array)).save(path, **kwargs)


def plant(root, names):
  """Writes an image per name, all of one value, and returns {value: name}."""
  for i, name in enumerate(names):
    save(root / name, pixels(10 * i))
  return {10 * i: name for i, name in enumerate(names)}


def open_folder(root, test_fraction=0.3):
  return folders.open_folder(str(root), test_fraction)


def labels(source):
  """{value: label} of all images."""
  return {
    value: source[i].get('label') for i, value in enumerate(values(source))
  }


def test_subfolders_are_classes_in_alphabetical_order(tmp_path):
  classes = ('zebra', 'ant', 'moth')
  names = plant(tmp_path, [f'{name}/{i}.png' for name in classes for i in '12'])
  splits = open_folder(tmp_path)
  assert splits.class_names == ('ant', 'moth', 'zebra')
  found = labels(splits.train) | labels(splits.test)
  assert found == {
    value: splits.class_names.index(name.split('/')[0])
    for value, name in names.items()
  }


@pytest.mark.parametrize(
  'names',
  [
    ('a.png', 'b.png', 'c.png', 'd.png'),
    ('a.png', 'class/b.png', 'class/c.png', 'other/d.png'),
    ('train/a.png', 'train/b.png', 'test/c.png', 'test/kind/d.png'),
  ],
)
def test_without_subfolders_for_all_there_are_no_labels(names, tmp_path):
  plant(tmp_path, names)
  splits = open_folder(tmp_path)
  assert splits.class_names == ()
  for source in (splits.train, splits.test):
    assert source[0].keys() == {'image'}


def test_train_and_test_subfolders_are_the_splits(tmp_path):
  names = ('test/b/1.png', 'train/b/1.png', 'train/c/2.png', 'test/a/1.png')
  plant(tmp_path, names)
  splits = open_folder(tmp_path)
  assert splits.class_names == ('a', 'b', 'c')
  assert labels(splits.train) == {10: 1, 20: 2}
  assert labels(splits.test) == {0: 1, 30: 0}


def test_images_come_in_the_order_of_their_names(tmp_path):
  names = [f'{7 * i % 40:02}.png' for i in range(25)]
  found = plant(tmp_path / 'train', names)
  plant(tmp_path / 'test', ('1.png',))
  train = open_folder(tmp_path).train
  assert [found[value] for value in values(train)] == sorted(names)


@pytest.mark.parametrize('held_out', ['test', 'val', 'validation'])
def test_train_beside_what_is_held_out(held_out, tmp_path):
  plant(tmp_path, ('train/1.png', f'{held_out}/2.png', 'extra/3.png'))
  splits = open_folder(tmp_path)
  assert splits.class_names == ()
  assert (values(splits.train), values(splits.test)) == ([0], [10])


def test_version_tells_folders_apart(tmp_path):
  plant(tmp_path / 'cats', ('1.png', '2.png'))
  plant(tmp_path / 'dogs', ('3.png', '4.png'))
  cats, dogs = (
    open_folder(tmp_path / name).version for name in ('cats', 'dogs')
  )
  assert cats != dogs
  assert open_folder(tmp_path / 'cats').version == cats


def test_hidden_folder_beside_train_and_test(tmp_path):
  plant(tmp_path, ('train/1.png', 'train/2.png', 'test/1.png'))
  (tmp_path / '.ipynb_checkpoints').mkdir()
  splits = open_folder(tmp_path)
  assert splits.class_names == ()
  assert values(splits.test) == [20]


@pytest.mark.parametrize(
  ('count', 'fraction', 'held_out'),
  [(10, 0.1, 1), (10, 0.3, 3), (10, 0.01, 1), (10, 0.99, 9), (2, 0.9, 1)],
)
def test_held_out_share(count, fraction, held_out, tmp_path):
  plant(tmp_path, [f'{i}.png' for i in range(count)])
  train, test, _ = open_folder(tmp_path, fraction)[:3]
  assert len(test) == held_out
  assert sorted(values(train) + values(test)) == list(range(0, 10 * count, 10))


def test_what_is_held_out_follows_from_the_names(tmp_path):
  names = [f'{kind}/{i}.png' for kind in 'ab' for i in range(10)]
  held_out = []
  for place, here in (('x', names), ('y/z', names), ('w', names[::-1][:19])):
    found = plant(tmp_path / place, here)
    test = open_folder(tmp_path / place).test
    held_out.append({found[value] for value in values(test)})
  assert len(held_out[0]) == 6
  assert held_out[0] == held_out[1]
  # One image less changes one place at most, and no more.
  assert len(held_out[0] ^ held_out[2]) <= 2
  # A hash takes from both ends of the alphabet.
  assert {name[0] for name in held_out[0]} == {'a', 'b'}


def test_search_is_deep_and_takes_images_only(tmp_path):
  plant(tmp_path, ('a/b/c/1.png', 'a/2.PNG', 'b/3.Jpg', 'b/4.jpeg'))
  save(tmp_path / 'a' / '.5.png', pixels(200))
  (tmp_path / 'a' / 'notes.txt').write_text('not an image')
  splits = open_folder(tmp_path)
  found = labels(splits.train) | labels(splits.test)
  assert found == {0: 0, 10: 0, 20: 1, 30: 1}


def test_images_of_hidden_folders_are_skipped(tmp_path):
  plant(tmp_path, ('1.png', '2.png', '.cache/3.png'))
  train, test, _ = open_folder(tmp_path)[:3]
  assert sorted(values(train) + values(test)) == [0, 10]


def test_a_folder_may_be_named_like_an_image(tmp_path):
  plant(tmp_path, ('1.png', '2.png'))
  (tmp_path / '3.png').mkdir()
  train, test, _ = open_folder(tmp_path)[:3]
  assert sorted(values(train) + values(test)) == [0, 10]


def test_home_is_expanded(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  plant(tmp_path / 'mine', ('1.png', '2.png'))
  assert len(open_folder('~/mine').train) == 1


# --- One image --------------------------------------------------------------


def decode_one(path):
  return folders.Folder([path], None)[0]['image']


@pytest.mark.parametrize(
  ('array', 'options', 'expected'),
  [
    ([[7, 8]], {}, [[[7], [8]]]),
    ([[[1, 2, 3], [4, 5, 6]]], {}, [[[1, 2, 3], [4, 5, 6]]]),
    # Transparency is laid on black: grey and alpha, then RGBA.
    ([[[200, 255], [200, 0]]], {}, [[[200], [0]]]),
    ([[[200, 102]]], {}, [[[80]]]),
    ([[[200, 100, 0, 255]]], {}, [[[200, 100, 0]]]),
    ([[[200, 100, 50, 51]]], {}, [[[40, 20, 10]]]),
    ([[[200, 100, 0, 0]]], {}, [[[0, 0, 0]]]),
    # One grey or colour that stands for transparent.
    ([[7, 8]], {'transparency': 7}, [[[0], [8]]]),
    (
      [[[1, 2, 3], [4, 5, 6]]],
      {'transparency': (1, 2, 3)},
      [[[0, 0, 0], [4, 5, 6]]],
    ),
  ],
)
def test_png_decodes(array, options, expected, tmp_path):
  save(tmp_path / 'x.png', np.array(array, np.uint8), **options)
  decoded = decode_one(tmp_path / 'x.png')
  assert decoded.dtype == np.uint8
  np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize(
  ('array', 'expected'),
  [
    ([[[200, 255], [200, 0]]], [[[200], [255]]]),
    ([[[200, 100, 50, 51]]], [[[244, 224, 214]]]),
    ([[[1, 2, 3], [4, 5, 6]]], [[[1, 2, 3], [4, 5, 6]]]),
  ],
)
def test_transparency_is_laid_on_white_where_asked(array, expected, tmp_path):
  array = np.array(array, np.uint8)
  for name in ('one/a', 'one/b', 'two/A/a', 'two/A/b', 'two/B/a', 'two/B/b'):
    save(tmp_path / f'{name}.png', array)
  for name in 'ab':
    save(tmp_path / 'halves' / f'{name}.png', np.hstack([array, array]))
  for folder, layout in (
    ('one', 'single'),
    ('two', 'paired'),
    ('halves', 'halves'),
  ):
    splits = folders.open_folder(
      tmp_path / folder, 0.5, layout=layout, background='white'
    )
    example = splits.train[0]
    for kind in ('image', 'source') if layout != 'single' else ('image',):
      np.testing.assert_array_equal(example[kind], expected)
    black = folders.open_folder(tmp_path / folder, 0.5, layout=layout)
    assert splits.version == f'{black.version}, on white'
    assert splits.train.fingerprint() != black.train.fingerprint()


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(name='digits', background='white'), 'is for data.name=folder alone'),
    (dict(name='folder', background='red'), "unknown name 'red'; valid: black"),
    (dict(name='folder', background=0), '0 is no text'),
  ],
)
def test_the_background_is_checked(keys, says, tmp_path):
  with pytest.raises(InputError, match=rf'data\.background: .*{says}'):
    load_dataset(dir=str(tmp_path), **keys)


@pytest.mark.parametrize(
  ('options', 'third'),
  [
    ({}, [0, 0, 255]),
    ({'transparency': 2}, [0, 0, 0]),
    ({'transparency': bytes([255, 255, 51, 255])}, [0, 0, 51]),
  ],
)
def test_palette_png_decodes(options, third, tmp_path):
  colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]
  image = Image.new('P', (2, 2))
  image.putpalette(colours)
  for i in range(4):
    image.putpixel((i % 2, i // 2), i)
  image.save(tmp_path / 'x.png', **options)
  np.testing.assert_array_equal(
    decode_one(tmp_path / 'x.png').reshape(4, 3),
    [[255, 0, 0], [0, 255, 0], third, [9, 9, 9]],
  )


def test_bilevel_png_decodes(tmp_path):
  save(tmp_path / 'x.png', np.array([[False, True]]))
  np.testing.assert_array_equal(decode_one(tmp_path / 'x.png'), [[[0], [255]]])


def test_16_bit_grey_png_is_scaled(tmp_path):
  ramp = np.linspace(0, 65535, 1024).astype(np.uint16).reshape(16, 64)
  save(tmp_path / 'x.png', ramp)
  np.testing.assert_array_equal(
    decode_one(tmp_path / 'x.png'), (ramp.astype(int)[..., None] + 128) // 257
  )


@pytest.mark.parametrize(
  ('mode', 'colour', 'expected'),
  [
    ('L', 120, [120]),
    ('RGB', (200, 40, 90), [200, 40, 90]),
    ('CMYK', (0, 255, 255, 0), [255, 0, 0]),
  ],
)
def test_jpeg_decodes(mode, colour, expected, tmp_path):
  Image.new(mode, (8, 8), colour).save(tmp_path / 'x.jpg', quality=95)
  decoded = decode_one(tmp_path / 'x.jpg')
  assert decoded.shape == (8, 8, len(expected))
  # JPEG rounds twice, to whole DCT coefficients and to whole YCbCr values.
  np.testing.assert_allclose(decoded[3, 3], expected, atol=3)


def oriented(orientation, *entries):
  """EXIF: the orientation after other entries (tag, type, count, value)."""
  entries = [*entries, struct.pack('>HHIHH', 0x0112, 3, 1, orientation, 0)]
  count = struct.pack('>H', len(entries))
  return b'Exif\0\0MM\0*\0\0\0\x08' + count + b''.join(entries) + bytes(4)


def odd(name, *entry):
  """An entry of the wrong type for its tag."""
  return pytest.param(struct.pack(*entry), id=name)


@pytest.mark.parametrize(
  'entry',
  [
    pytest.param(None, id='alone'),
    odd('beside a width that is text', '>HHI4s', 0x0100, 2, 3, b'ab'),
    odd('beside a description that is a float', '>HHIf', 0x010E, 11, 1, 1.5),
  ],
)
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_exif_orientation_is_applied(suffix, entry, tmp_path):
  path = tmp_path / f'x.{suffix}'
  stored = np.zeros((8, 16), np.uint8)
  stored[:, :8] = 255
  save(path, stored, exif=oriented(6, *[entry] if entry else []))
  decoded = decode_one(path)
  assert decoded.shape == (16, 8, 1)
  assert decoded[2, 4] > 250
  assert decoded[13, 4] < 5


# How a picture is stored, by what its first row and first column are.
ORIENTATIONS = {
  1: lambda x: x,  # top, left
  2: lambda x: x[:, ::-1],  # top, right
  3: lambda x: x[::-1, ::-1],  # bottom, right
  4: lambda x: x[::-1],  # bottom, left
  5: lambda x: x.T,  # left, top
  6: lambda x: x[:, ::-1].T,  # right, top
  7: lambda x: x[::-1, ::-1].T,  # right, bottom
  8: lambda x: x[::-1].T,  # left, bottom
  9: lambda x: x,  # no such orientation
}


@pytest.mark.parametrize('orientation', ORIENTATIONS)
def test_every_exif_orientation(orientation, tmp_path):
  upright = np.arange(6, dtype=np.uint8).reshape(2, 3)
  stored = ORIENTATIONS[orientation](upright)
  save(tmp_path / 'x.png', stored, exif=oriented(orientation))
  np.testing.assert_array_equal(
    decode_one(tmp_path / 'x.png'), upright[..., None]
  )


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
@pytest.mark.parametrize('share', [0.0, 0.02, 0.5, 0.9])
def test_truncated_image_is_refused(suffix, share, tmp_path):
  path = tmp_path / f'broken.{suffix}'
  noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
  save(path, noise)
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * share)])
  with pytest.raises(InputError, match=r'data\.dir: .*broken') as caught:
    decode_one(path)
  assert str(path) in str(caught.value)


def test_text_named_png_is_refused(tmp_path):
  (tmp_path / 'text.png').write_text('this is no image')
  with pytest.raises(InputError, match=r'data\.dir: cannot read .*text\.png'):
    decode_one(tmp_path / 'text.png')


def test_image_beyond_the_limit_is_refused(tmp_path, monkeypatch):
  save(tmp_path / 'x.png', pixels(0))
  monkeypatch.setattr(image_files, 'MOST_PIXELS', 23)
  with pytest.raises(InputError, match=r'data\.dir: .*x\.png: 6 x 4 .* 23 in'):
    decode_one(tmp_path / 'x.png')


# --- Folders that cannot be trained on --------------------------------------


@pytest.mark.parametrize(
  ('names', 'where', 'reason'),
  [
    ((), '', 'no images in {}'),
    ((), 'missing', '{} is not a folder'),
    (('a.png', 'b.png'), 'a.png', '{} is not a folder'),
    (('a.png', 'b.png'), 'a.png/b', '{} is not a folder'),
    (('a.png',), '', '{} has a single image'),
    (('train/a.png', 'test/.a.png'), '', 'no images in {}/test'),
    (('train/.a.png', 'test/a.png'), '', 'no images in {}/train'),
  ],
)
def test_folder_is_refused(names, where, reason, tmp_path):
  plant(tmp_path, names)
  with pytest.raises(InputError) as caught:
    open_folder(tmp_path / where)
  message = 'data.dir: ' + reason.format(tmp_path / where)
  assert str(caught.value).startswith(message)


@pytest.mark.parametrize('folder', ['', None])
def test_folder_needs_a_path(folder):
  with pytest.raises(InputError, match=r'data\.dir: .* needs the path'):
    folders.open_folder(folder, 0.1)

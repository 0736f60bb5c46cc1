"""The classifier of the data at hand: training, cache, and its accuracy."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import load_dataset
from gan_jax.features import classifier, classifier_training
from gan_jax.features.classifier import classifier_network
from gan_jax.features.classifier_training import Recipe, shifted
from gan_jax.process.interruption import StopRequest, asked_to_stop
from gan_jax.types import InputError, Interrupted
from tests.helpers import ROOT, assert_same_bits, cli_environment

QUICK = Recipe(width=8, feature_dim=16, epochs=1, min_steps=200, batch_size=32)


@pytest.fixture(scope='module')
def splits(digits):
  return digits.train.whole(), digits.test.whole()


@pytest.fixture(scope='module')
def network(splits, digits, tmp_path_factory):
  return make(splits, digits, tmp_path_factory.mktemp('classifier'))


def make(splits, digits, directory, recipe=QUICK):
  return classifier_network(
    *splits,
    digits.info.class_names,
    recipe=recipe,
    directory=directory,
    progress=False,
  )


def test_trained_once_and_kept(splits, digits, tmp_path, monkeypatch):
  network = make(splits, digits, tmp_path)
  accuracy = network.notes['classifier_test_accuracy']
  assert accuracy > 0.6  # chance is .1, and this recipe is minute
  assert network.name == 'classifier'
  assert network.classes == digits.info.class_names

  def never(*unused, **keys):
    raise AssertionError('trained again')

  monkeypatch.setattr(classifier, 'train', never)
  kept = make(splits, digits, tmp_path)
  assert kept.digest == network.digest
  assert kept.notes == network.notes
  assert_same_bits(
    jax.tree.map(np.asarray, kept.variables),
    jax.tree.map(np.asarray, network.variables),
  )


def test_hidden_labels_give_no_accuracy(splits, digits, network, tmp_path):
  train, test = splits
  found = make((train, {'images': test['images']}), digits, tmp_path)
  assert found.digest == network.digest
  assert found.notes['classifier_test_accuracy'] is None
  assert found.notes['classifier_test_images'] == 0
  labels = np.where(np.arange(len(test['labels'])) % 2, test['labels'], -1)
  half = make((train, test | {'labels': labels}), digits, tmp_path)
  assert half.notes['classifier_test_accuracy'] > 0.5
  assert half.notes['classifier_test_images'] == (labels >= 0).sum()


def test_features_are_standardised_on_training_images(network, splits):
  train, test = splits
  for images, slack in ((train['images'], 1e-3), (test['images'], 0.5)):
    outputs = network.apply(network.variables, images)
    features = np.asarray(outputs['features'])
    assert features.shape == (len(images), 3 * 8 + 16)
    spread = features.std(axis=0)
    moves = spread > 0.1  # some units are dead
    assert moves.sum() > 30
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=slack)
    np.testing.assert_allclose(spread[moves], 1.0, atol=slack)


@pytest.mark.slow
def test_other_data_or_recipe_is_another_classifier(
  splits, digits, tmp_path, monkeypatch
):
  seen = []

  def note(images, labels, num_classes, *, recipe, progress):
    seen.append(recipe)
    module = classifier.make_module(recipe, num_classes)
    return module.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))

  monkeypatch.setattr(classifier, 'train', note)
  make(splits, digits, tmp_path)
  make(splits, digits, tmp_path, QUICK._replace(seed=1))
  train, test = splits
  changed = train['images'].copy()
  changed[0, 0, 0, 0] ^= 1
  make(({**train, 'images': changed}, test), digits, tmp_path)
  relabelled = train['labels'].copy()
  relabelled[0] = (relabelled[0] + 1) % 10
  make(({**train, 'labels': relabelled}, test), digits, tmp_path)
  assert len(seen) == 4
  assert len(list(tmp_path.glob('*.npz'))) == 4


def test_training_is_deterministic(splits):
  train, _ = splits
  keys = dict(recipe=QUICK._replace(min_steps=8, epochs=0), progress=False)
  runs = [
    classifier.train(train['images'], train['labels'], 10, **keys)
    for _ in range(2)
  ]
  assert_same_bits(*(jax.tree.map(np.asarray, r) for r in runs))


def test_few_images_are_not_gone_over_for_ever():
  """Six epochs, and a thousand steps for small data, of 40 epochs at most."""
  steps = {n: classifier_training.plan_of(Recipe(), n) for n in (5, 360, 5_000)}
  assert steps == {5: (5, 40, 40), 360: (128, 111, 37), 5_000: (128, 1_000, 50)}
  batch, total, length = classifier_training.plan_of(Recipe(), 60_000)
  assert 2_700 < total <= 6 * 60_000 / batch
  assert total % length == 0


def test_training_ends_where_nothing_is_left_to_learn(splits, capfd):
  train, _ = splits
  images, labels = train['images'][:64], train['labels'][:64]
  keys = dict(recipe=QUICK._replace(min_steps=400, max_epochs=200, enough=9.0))
  classifier.train(images, labels, 10, **keys)
  said = capfd.readouterr().err
  assert (
    'training a classifier for up to 400 steps of 32 images (about 200 '
    'epochs); kept for later runs'
  ) in said
  assert '150/400' in said


def test_training_ends_where_a_signal_has_asked_for_the_end(
  splits, monkeypatch
):
  """Within a dispatch, not after minutes; so a run that is scored ends."""
  images, labels = (splits[0][k][:64] for k in ('images', 'labels'))
  with StopRequest() as stop:
    assert not asked_to_stop()
    stop.requested = 'SIGTERM'
    with pytest.raises(Interrupted):
      classifier.train(images, labels, 10, recipe=QUICK)
  assert not asked_to_stop()


def test_shifts_move_whole_images():
  images = jnp.zeros((200, 7, 7, 1)).at[:, 3, 3].set(1.0)
  moved = np.asarray(shifted(jax.random.key(0), images, 2))
  np.testing.assert_allclose(moved.sum(axis=(1, 2, 3)), 1.0)
  places = np.array([np.argwhere(m[..., 0])[0] for m in moved])
  assert set(map(tuple, places - 3)) == {
    (i, j) for i in range(-2, 3) for j in range(-2, 3)
  }
  np.testing.assert_array_equal(shifted(jax.random.key(0), images, 0), images)


def test_large_images_are_shrunk():
  sizes = ((8, 8), (64, 90), (127, 300), (128, 128), (256, 200))
  factors = [classifier_training.shrink_factor((*size, 3)) for size in sizes]
  assert factors == [1, 1, 1, 2, 3]
  network = classifier.random_network((128, 128, 3))
  assert network.resize == 'means over 2 x 2 pixels'
  checks = np.indices((128, 128)).sum(axis=0) % 2 * 254
  images = np.stack([checks, np.full_like(checks, 127)]).astype(np.uint8)
  images = images[..., None].repeat(3, axis=-1)
  board, grey = network.apply(network.variables, images)['features']
  np.testing.assert_allclose(board, grey, atol=1e-5)


def test_no_labels_and_one_class_are_refused(splits, tmp_path):
  train, test = splits
  with pytest.raises(InputError, match='needs labels, and this data has none'):
    classifier_network(train, test, ())
  one = {name: array[train['labels'] == 3] for name, array in train.items()}
  with pytest.raises(InputError, match='2 classes at least'):
    classifier_network(one, test, ('0', '1', '2', '3'), directory=tmp_path)


# In a process of its own: its minutes of training are worth optimisation.
PRINT_ACCURACY = """
import sys
from gan_jax.data import load_dataset
from gan_jax.features.classifier import classifier_network

dataset = load_dataset(sys.argv[1])
network = classifier_network(
  dataset.train.whole(), dataset.test.whole(), dataset.info.class_names
)
print(network.notes['classifier_test_accuracy'])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'accuracy'),
  [('digits', 0.97), ('mnist', 0.993), ('fashion_mnist', 0.91)],
)
def test_accuracy_on_real_data(name, accuracy):
  try:
    load_dataset(name)
  except InputError as error:
    pytest.skip(f'{name} is not prepared: {error}')
  done = subprocess.run(
    [sys.executable, '-c', PRINT_ACCURACY, name],
    cwd=ROOT,
    env=cli_environment(optimised=True),
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  assert float(done.stdout) >= accuracy

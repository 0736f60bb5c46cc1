"""A small convolutional classifier of the labelled data at hand.

Where no published network fits (grey digits, icons, spectra), its features
and classes measure generated images; scores carry its name, `fid_classifier`,
because they are on a scale of their own. It is trained once for each content
of a training split, in a few minutes on two CPU cores, and kept.

A classifier is trained to see the class through noise and blur, and its last
layer hardly knows of them. So the features are those of three depths: the
means of the activations of both strided convolutions, and the last layer,
every one standardised on training images.
"""

import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import labelled_only
from gan_jax.features.classifier_training import (
  RECIPE,
  Classifier,
  Recipe,
  make_module,
  shrink_factor,
  train,
)
from gan_jax.features.network import (
  FeatureNetwork,
  digest_variables,
  extract,
  image_set,
)
from gan_jax.pixels import from_uint8
from gan_jax.storage.cache import (
  digest_arrays,
  digest_of,
  load_leaves,
  save_leaves,
)
from gan_jax.storage.files import cache_dir
from gan_jax.types import InputError

_FOR_SCALE = 10_000  # training images that features are standardised on


def as_network(
  name: str,
  module: Classifier,
  variables: chex.ArrayTree,
  image_shape: tuple[int, int, int],
  **fields,
) -> FeatureNetwork:
  """A classifier as a feature network.

  Args:
    name: of the network.
    module: the classifier.
    variables: its `params`, and `scale`: mean and deviation of its features.
    image_shape: (H, W, C).
    **fields: further ones of `FeatureNetwork`.
  """

  def apply(variables, images):
    params = {'params': variables['params']}
    features, logits = module.apply(params, from_uint8(images))
    scale = variables['scale']
    features = (features - scale['mean']) / scale['deviation']
    return {'features': features, 'logits': logits}

  factor = shrink_factor(image_shape)
  return FeatureNetwork(
    name,
    apply,
    variables,
    digest_variables(variables),
    resize='none' if factor == 1 else f'means over {factor} x {factor} pixels',
    channels=(image_shape[-1],),
    **fields,
  )


def random_network(
  image_shape: tuple[int, int, int], *, feature_dim: int = 64, seed: int = 0
) -> FeatureNetwork:
  """The same architecture with random weights: for tests and quick looks.

  Its logits stand for no classes.

  Args:
    image_shape: (H, W, C).
    feature_dim: D.
    seed: of the weights.
  """
  module = Classifier(10, 16, feature_dim)
  shape = (1, *image_shape)
  variables = jax.jit(module.init)(jax.random.key(seed), jnp.zeros(shape))
  variables = dict(variables, scale=_no_scale(module))
  network = as_network('random', module, variables, image_shape)

  def features_alone(variables, images):
    return {'features': network.apply(variables, images)['features']}

  return network._replace(apply=features_alone)


def _no_scale(module: Classifier) -> dict[str, np.ndarray]:
  """A mean of 0 and a deviation of 1 for every feature."""
  size = 3 * module.width + module.feature_dim
  one = np.ones(size, np.float32)
  return {'mean': 0 * one, 'deviation': one}


def _scale_of(
  module: Classifier, variables: chex.ArrayTree, images: np.ndarray
) -> dict[str, np.ndarray]:
  """Mean and standard deviation of each feature over some of the images.

  A feature that hardly moves is not blown up: deviations are at least a
  thousandth of the largest.
  """
  some = np.random.default_rng(0).permutation(len(images))[:_FOR_SCALE]
  images = images[np.sort(some)]
  raw = as_network(
    'raw', module, dict(variables, scale=_no_scale(module)), images.shape[1:]
  )
  outputs = extract(raw, image_set(images), batch_size=256)
  features = np.concatenate([out['features'] for _, out in outputs])
  deviation = features.std(axis=0, dtype=np.float64)
  least = max(1e-3 * deviation.max(), 1e-6)
  mean = features.mean(axis=0, dtype=np.float64)
  return {
    'mean': np.float32(mean),
    'deviation': np.float32(np.maximum(deviation, least)),
  }


def accuracy(
  network: FeatureNetwork, images: np.ndarray, labels: np.ndarray
) -> float:
  """Share of images `[N, H, W, C]` whose likeliest class is their label."""
  return float(np.mean(classes_of(network, images) == labels))


def classes_of(
  network: FeatureNetwork, images: np.ndarray, batch_size: int = 256
) -> np.ndarray:
  """The likeliest class of each image, `[N]`.

  Args:
    network: a classifier.
    images: uint8 `[N, H, W, C]`.
    batch_size: images at a time.
  """
  outputs = extract(network, image_set(images), batch_size=batch_size)
  found = [np.argmax(out['logits'], axis=1) for _, out in outputs]
  return np.concatenate(found)


def classifier_network(
  train_set: dict[str, np.ndarray],
  test_set: dict[str, np.ndarray],
  class_names: tuple[str, ...],
  *,
  recipe: Recipe = RECIPE,
  directory: pathlib.Path | None = None,
  progress: bool = True,
) -> FeatureNetwork:
  """The classifier of a training split, from the cache or freshly trained.

  Args:
    train_set: `images` uint8 `[N, H, W, C]` and `labels` `[N]`.
    test_set: likewise; the accuracy on it goes into the protocol record, or
      None if none of its labels is known.
    class_names: of the labels.
    recipe: how it is trained.
    directory: where classifiers are kept; None for the user's cache.
    progress: show a bar.

  Raises:
    InputError: there are no labels, or only one class.
  """
  if not class_names:
    raise InputError(
      'eval.network: a classifier needs labels, and this data has none; take '
      'eval.network=auto'
    )
  train_set, test_set = labelled_only(train_set), labelled_only(test_set)
  images, labels = train_set['images'], train_set['labels']
  content = digest_arrays([images, labels])
  tested_on = digest_arrays([test_set['images'], test_set['labels']])
  key = digest_of([recipe._asdict(), content, len(class_names)])
  path = (directory or cache_dir() / 'classifiers') / f'{key[:32]}.npz'
  module = make_module(recipe, len(class_names))
  abstract = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, *images.shape[1:]))
  )
  abstract = dict(abstract, scale=_no_scale(module))
  kept = load_leaves(path, abstract)
  if kept is None:
    variables = train(
      images, labels, len(class_names), recipe=recipe, progress=progress
    )
    variables = dict(variables, scale=_scale_of(module, variables, images))
    score = _accuracy_of(module, variables, images.shape[1:], test_set)
    save_leaves(path, variables, accuracy=score, tested_on=tested_on)
  else:
    variables, fields = kept
    score = float(fields['accuracy'])  # NaN: of no image
    if str(fields.get('tested_on')) != tested_on:  # other test images
      score = _accuracy_of(module, variables, images.shape[1:], test_set)
  return as_network(
    'classifier',
    module,
    variables,
    images.shape[1:],
    classes=class_names,
    notes={
      'classifier_test_accuracy': None if np.isnan(score) else score,
      'classifier_test_images': len(test_set['images']),
      'classifier_training_data': content,
    },
  )


def _accuracy_of(module, variables, image_shape, test_set) -> float:
  if not len(test_set['images']):
    return float('nan')
  network = as_network('classifier', module, variables, image_shape)
  return accuracy(network, test_set['images'], test_set['labels'])

"""Scores of two arrays of images, without a run."""

from collections.abc import Iterable

import numpy as np

from gan_jax.evaluation.entries import Entry, Inputs, Settings
from gan_jax.evaluation.scores import compute, needs_of
from gan_jax.evaluation.summary import summarise
from gan_jax.features import FeatureNetwork, image_set
from gan_jax.features.classifier import random_network
from gan_jax.features.published import PUBLISHED, published_network
from gan_jax.types import InputError, lookup

_DEFAULTS = Settings()


def score(
  generated: np.ndarray,
  real: np.ndarray,
  network: str | FeatureNetwork = 'random',
  scores: Iterable[str] = ('fid',),
  *,
  settings: Settings = _DEFAULTS,
  batch_size: int = 64,
) -> dict[str, Entry]:
  """Scores generated images against real ones.

  Args:
    generated: uint8 `[M, H, W, C]`.
    real: uint8 `[N, H, W, C]`.
    network: of features: random (quick looks), inception or mobilenet (from the
      file in the user's cache), or one of `gan_jax.features` or
      `gan_jax.features.published`.
    scores: their names; those that need train and test splits or D are for
      `--mode=evaluate`.
    settings: numbers of the protocols.
    batch_size: images through the network at a time.

  Returns:
    Entries by name, see `gan_jax.evaluation.scores.compute`.

  Raises:
    InputError: images of another kind or of two shapes, or too few; an
      unknown name.
  """
  scores = (scores,) if isinstance(scores, str) else tuple(scores)
  needs = needs_of(scores, 'scores')
  sets = real, fake = image_set(real), image_set(generated)
  if real.image_shape != fake.image_shape:
    raise InputError(
      f'images: real ones have shape {real.image_shape}, generated ones '
      f'{fake.image_shape}; bring them to one'
    )
  if isinstance(network, str):
    network = _named(network, real.image_shape)
  splits = min(settings.splits, fake.num)
  summaries = [
    summarise(
      network,
      images,
      keep_features='features' in needs,
      keep_images=images.num if 'images' in needs else 0,
      splits=splits if images is fake else 1,
      batch_size=batch_size,
    )
    for images in sets
  ]
  return compute(Inputs(network, *summaries, settings), scores)


def _named(name: str, image_shape: tuple[int, int, int]) -> FeatureNetwork:
  """A network by its name; a published one is read from the user's cache."""
  lookup({'random': None, **PUBLISHED}, name, 'network')
  if name == 'random':
    return random_network(image_shape)
  return published_network(name)

"""Scores of two arrays of images, without a run."""

from collections.abc import Iterable

import numpy as np

from gan_jax.evaluation.entries import Entry, Inputs, Settings
from gan_jax.evaluation.scores import compute, needs_of
from gan_jax.evaluation.summary import summarise
from gan_jax.features import FeatureNetwork, image_set
from gan_jax.types import InputError

_DEFAULTS = Settings()


def score_images(
  real: np.ndarray,
  fake: np.ndarray,
  network: FeatureNetwork,
  names: Iterable[str] = ('fid',),
  *,
  settings: Settings = _DEFAULTS,
  batch_size: int = 64,
) -> dict[str, Entry]:
  """Scores generated images against real ones.

  Args:
    real: uint8 `[N, H, W, C]`.
    fake: uint8 `[M, H, W, C]`.
    network: of features, such as
      `gan_jax.features.published.inception_network(path)`.
    names: of the scores; those that need train and test splits or D are for
      `--mode=evaluate`.
    settings: numbers of the protocols.
    batch_size: images through the network at a time.

  Returns:
    Entries by name, see `gan_jax.evaluation.scores.compute`.

  Raises:
    InputError: images of another kind or of two shapes, or too few.
  """
  names = tuple(names)
  needs = needs_of(names, 'names')
  if real.shape[1:] != fake.shape[1:]:
    raise InputError(
      f'images: real ones have shape {real.shape[1:]}, generated ones '
      f'{fake.shape[1:]}; bring them to one'
    )
  splits = min(settings.splits, len(fake))
  summaries = [
    summarise(
      network,
      image_set(images),
      keep_features='features' in needs,
      keep_images=len(images) if 'images' in needs else 0,
      splits=splits if images is fake else 1,
      batch_size=batch_size,
    )
    for images in (real, fake)
  ]
  return compute(Inputs(network, *summaries, settings), names)

"""One pass of a feature network over a set of images, and what is kept of it.

What a set of real images comes to is cached: it costs as much as the fakes
and never changes.
"""

import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.features import FeatureNetwork, ImageSet, extract
from gan_jax.metrics.frechet import Moments, MomentStream
from gan_jax.metrics.predictions import Predictions, PredictionStream
from gan_jax.storage.cache import (
  digest_arrays,
  digest_of,
  load_arrays,
  save_arrays,
)

_FORMAT = 1  # of cached summaries; raised when their meaning changes


class Summary(NamedTuple):
  """What scores need to know of a set of images.

  Attributes:
    num: images.
    moments: of the features.
    predictions: sums over the network's classes, None if it has no logits.
    features: float32 `[N, D]`, None unless asked for.
    images: uint8 `[n, H, W, C]`, those that were asked for, or None.
    seen: the likeliest class of each image, int `[N]`, None unless asked for.
    images_per_second: through reading and network; 0 if from the cache.
  """

  num: int
  moments: Moments
  predictions: Predictions | None
  features: np.ndarray | None
  images: np.ndarray | None
  images_per_second: float
  seen: np.ndarray | None = None


def summarise(
  network: FeatureNetwork,
  images: ImageSet,
  *,
  keep_features: bool = False,
  keep_images: int = 0,
  keep_seen: bool = False,
  splits: int = 1,
  devices: Sequence[jax.Device] | None = None,
  batch_size: int = 64,
  progress: str = '',
) -> Summary:
  """Runs the network over a set once.

  Memory is that of the moments, `[D, D]`, unless something is kept.

  Args:
    network: of features.
    images: the set.
    keep_features: for scores of neighbours and kernels.
    keep_images: the first so many, for scores of pixels.
    keep_seen: the class of each image, of a network that has classes.
    splits: of the Inception score.
    devices: see `extract`.
    batch_size: see `extract`.
    progress: title of the progress bar.

  Raises:
    InputError: see `extract`, or fewer than two images.
  """
  started = time.monotonic()
  moments, classes = MomentStream(), None
  features, pixels = [], [np.zeros((0, *images.image_shape), np.uint8)]
  seen = []
  for batch, outputs in extract(
    network, images, devices=devices, batch_size=batch_size, progress=progress
  ):
    moments.update(outputs['features'])
    if 'logits' in outputs:
      if classes is None:
        classes = PredictionStream(images.num, splits=splits)
      classes.update(outputs['logits'])
      if keep_seen:
        seen.append(outputs['logits'].argmax(axis=1))
    if keep_features:
      features.append(outputs['features'].astype(np.float32))
    pixels.append(batch[: keep_images - sum(map(len, pixels))])
  result = moments.result()
  return Summary(
    images.num,
    result,
    classes and classes.result(),
    np.concatenate(features) if keep_features else None,
    np.concatenate(pixels) if keep_images else None,
    images.num / (time.monotonic() - started),
    np.concatenate(seen) if seen else None,
  )


def digest_images(images: ImageSet, block: int = 4_096) -> str:
  """SHA-256 of a set's pixels, whatever they were read from."""
  starts = range(0, images.num, block)
  return digest_arrays(
    images.read(np.arange(start, min(start + block, images.num)))
    for start in starts
  )


def cached_summary(
  network: FeatureNetwork,
  images: ImageSet,
  *,
  directory: pathlib.Path,
  digest: str,
  keep_features: bool = False,
  **keys: Any,
) -> Summary:
  """`summarise` without images and splits, from the cache where it can be.

  The key is made of all that touches the statistics: the pixels, the
  network's weights, its resizing, the kind of device, the version of JAX.

  Args:
    network: of features.
    images: the set.
    directory: where summaries are kept.
    digest: of the images, see `digest_images`.
    keep_features: see `summarise`; a cached summary without them is made
      anew.
    **keys: of `summarise`.
  """
  key = digest_of(
    {
      'format': _FORMAT,
      'images': digest,
      'network': [network.name, network.digest, network.resize],
      'device': jax.default_backend(),
      'jax': jax.__version__,
    }
  )
  path = directory / f'{key[:32]}.npz'
  kept = load_arrays(path)
  whole = kept is not None and {'mean', 'covariance', 'num'} <= set(kept)
  if whole and ('features' in kept or not keep_features):
    return _from_arrays(kept, keep_features)
  summary = summarise(network, images, keep_features=keep_features, **keys)
  save_arrays(path, **_to_arrays(summary))
  return summary


def _to_arrays(summary: Summary) -> dict[str, np.ndarray]:
  arrays = {
    'mean': summary.moments.mean,
    'covariance': summary.moments.covariance,
    'num': np.array(summary.num),
  }
  if summary.predictions is not None:
    arrays |= summary.predictions._asdict()
  if summary.features is not None:
    arrays['features'] = summary.features
  return arrays


def _from_arrays(arrays: dict[str, np.ndarray], keep_features: bool) -> Summary:
  num = int(arrays['num'])
  predictions = None
  if 'counts' in arrays:
    predictions = Predictions(*(arrays[name] for name in Predictions._fields))
  return Summary(
    num,
    Moments(num, arrays['mean'], arrays['covariance']),
    predictions,
    arrays['features'] if keep_features else None,
    None,
    0.0,
  )

"""One score each: from summaries of two sets to entries by name.

An entry is a dict with `value`, its error if known, and the numbers of the
score's own protocol. What there is, by name: `gan_jax.evaluation.scores`.
"""

from typing import Any, NamedTuple

import numpy as np

from gan_jax.evaluation.paths import EPSILON
from gan_jax.evaluation.summary import Summary
from gan_jax.features import FeatureNetwork
from gan_jax.metrics import frechet
from gan_jax.metrics.colourfulness import colourfulness
from gan_jax.metrics.density_coverage import (
  density_coverage,
  expected_coverage,
)
from gan_jax.metrics.disc_accuracy import accuracy
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.kernel_distance import kernel_distance
from gan_jax.metrics.label_accuracy import label_accuracy
from gan_jax.metrics.mode_coverage import mode_coverage
from gan_jax.metrics.mode_score import mode_score
from gan_jax.metrics.ms_ssim import ms_ssim_diversity
from gan_jax.metrics.nearest_neighbours import nearest_distances
from gan_jax.metrics.neighbours import Neighbourhoods, Reference
from gan_jax.metrics.parzen import parzen_score
from gan_jax.metrics.perceptual_path_length import perceptual_path_length
from gan_jax.metrics.precision_recall import precision_recall
from gan_jax.metrics.psnr import psnr
from gan_jax.metrics.sliced_wasserstein import sliced_wasserstein_images
from gan_jax.metrics.ssim import ssim

Entry = dict[str, Any]  # value, its error if known, and how it was measured


class Settings(NamedTuple):
  """Numbers of the protocols, published ones but for pairs and projections.

  Attributes:
    splits: of the Inception score.
    kid_subsets: how many.
    kid_subset_size: images of each set in one; less where there are fewer.
    precision_k: neighbours of precision and recall.
    coverage_k: neighbours of density and coverage.
    ssim_pairs: pairs of images.
    projections: directions of the sliced Wasserstein distance.
    seed: of pairs, projections and subsets other than KID's.
    ppl_sampling: see gan_jax.evaluation.paths.
  """

  splits: int = 10
  kid_subsets: int = 100
  kid_subset_size: int = 1_000
  precision_k: int = 3
  coverage_k: int = 5
  ssim_pairs: int = 1_000
  projections: int = 512
  seed: int = 0
  ppl_sampling: str = 'end'


class Inputs(NamedTuple):
  """What scores are computed from.

  Attributes:
    network: that the summaries were made with.
    real: of the real set.
    fake: of the generated set.
    settings: numbers of the protocols.
    train: images of the training split, as many as of `test`, or None.
    test: held-out images, or None.
    logits: of D on (held-out images, fakes) with its boundary, or None.
    labels: that the fakes were drawn by, int `[N]`, or None.
    paths: see gan_jax.evaluation.paths, or None.
    targets: the real images that the fakes' sources belong to, or None.
    reference: the real features as neighbourhoods need them, or None.
    balls: neighbourhoods by k, made by `compute` for all scores at once.
    validation: images held back, or None.
  """

  network: FeatureNetwork
  real: Summary
  fake: Summary
  settings: Settings
  train: np.ndarray | None = None
  test: np.ndarray | None = None
  logits: tuple[np.ndarray, np.ndarray, float | None] | None = None
  labels: np.ndarray | None = None
  paths: dict[str, np.ndarray] | None = None
  targets: np.ndarray | None = None
  reference: Reference | None = None
  balls: dict[int, Neighbourhoods] = {}  # noqa: RUF012
  validation: np.ndarray | None = None


def of_fid(inputs: Inputs) -> dict[str, Entry]:
  """FID and the value a perfect generator would have."""
  real, fake = inputs.real.moments, inputs.fake.moments
  return {
    'fid': {
      'value': frechet.frechet_distance(real, fake),
      'expected_bias': frechet.expected_bias(real, real.num, fake.num),
    }
  }


def of_fid_infinity(inputs: Inputs) -> dict[str, Entry]:
  """FID extrapolated to infinitely many fakes."""
  result = frechet.frechet_infinity(
    inputs.real.moments, inputs.fake.features, seed=inputs.settings.seed
  )
  return {'fid_infinity': {'value': result.value, 'points': list(result.nums)}}


def of_kid(inputs: Inputs) -> dict[str, Entry]:
  """KID, on smaller subsets where there are fewer images."""
  keys = inputs.settings
  most = min(inputs.real.num, inputs.fake.num)
  result = kernel_distance(
    inputs.real.features,
    inputs.fake.features,
    num_subsets=keys.kid_subsets,
    subset_size=min(keys.kid_subset_size, most),
  )
  return {'kid': result._asdict()}


def of_inception_score(inputs: Inputs) -> dict[str, Entry]:
  """The Inception score over the splits of the fakes."""
  result = inception_score(inputs.fake.predictions)
  splits = len(inputs.fake.predictions.nums)
  return {'inception_score': result._asdict() | {'splits': splits}}


def of_mode_score(inputs: Inputs) -> dict[str, Entry]:
  """The mode score against the marginal of the real images."""
  reference = inputs.real.predictions.marginal
  return {
    'mode_score': {'value': mode_score(inputs.fake.predictions, reference)}
  }


def of_modes(inputs: Inputs) -> dict[str, Entry]:
  """Classes reached, and how evenly."""
  result = mode_coverage(inputs.fake.predictions.counts)
  return {
    'modes': {'value': result.captured, 'of': result.num_modes},
    'modes_kl': {
      'value': result.kl_to_uniform,
      'noise_floor': result.noise_floor,
    },
  }


def of_label_accuracy(inputs: Inputs) -> dict[str, Entry]:
  """The share of fakes that are of the class asked for, and of each class."""
  classes = inputs.network.classes
  result = label_accuracy(inputs.fake.seen, inputs.labels, len(classes))
  by_class = zip(classes, result.by_class.tolist(), strict=True)
  return {
    'label_accuracy': {
      'value': result.value,
      'standard_error': result.standard_error,
      'by_class': {name: v for name, v in by_class if not np.isnan(v)},
    }
  }


def of_precision_recall(inputs: Inputs) -> dict[str, Entry]:
  """Improved precision and recall."""
  k = inputs.settings.precision_k
  result = precision_recall(inputs.balls[k])
  return {
    name: {'value': value, 'k': k} for name, value in result._asdict().items()
  }


def of_density_coverage(inputs: Inputs) -> dict[str, Entry]:
  """Density and coverage beside what equal sets would have."""
  k = inputs.settings.coverage_k
  density, coverage = density_coverage(inputs.balls[k])
  expected = expected_coverage(inputs.real.num, inputs.fake.num, k)
  return {
    'density': {'value': density, 'k': k, 'expected': 1.0},
    'coverage': {'value': coverage, 'k': k, 'expected': expected},
  }


def of_ppl(inputs: Inputs) -> dict[str, Entry]:
  """The perceptual path length in each space that G has."""
  keys = {'epsilon': EPSILON, 'sampling': inputs.settings.ppl_sampling}
  return {
    f'ppl_{space}': perceptual_path_length(distances)._asdict() | keys
    for space, distances in inputs.paths.items()
  }


def of_ms_ssim(inputs: Inputs) -> dict[str, Entry]:
  """Similarity of pairs of fakes beside that of real pairs."""
  keys = dict(num_pairs=inputs.settings.ssim_pairs, seed=inputs.settings.seed)
  of_fake = ms_ssim_diversity(inputs.fake.images, **keys)
  of_real = ms_ssim_diversity(inputs.real.images, **keys)
  return {
    'ms_ssim': {
      'value': of_fake.mean,
      'standard_error': of_fake.standard_error,
      'of_real': of_real.mean,
      'pairs': of_fake.num_pairs,
      'scales': of_fake.scales,
    }
  }


def of_psnr(inputs: Inputs) -> dict[str, Entry]:
  """Mean PSNR of the fakes beside the images that they should be."""
  values = psnr(inputs.fake.images, inputs.targets)
  return {'psnr': {**_mean(values), 'unit': 'dB, on Y'}}


def of_ssim(inputs: Inputs) -> dict[str, Entry]:
  """Mean SSIM, likewise."""
  values = ssim(inputs.fake.images, inputs.targets)
  return {'ssim': {**_mean(values), 'on': 'Y'}}


def of_colourfulness(inputs: Inputs) -> dict[str, Entry]:
  """Mean colourfulness of fakes beside that of real images."""
  of_real = float(colourfulness(inputs.real.images).mean())
  values = colourfulness(inputs.fake.images)
  return {'colourfulness': {**_mean(values), 'of_real': of_real}}


def _mean(values: np.ndarray) -> Entry:
  """Of values of each image, with its standard error."""
  error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
  return {'value': float(values.mean()), 'standard_error': float(error)}


def of_sliced_wasserstein(inputs: Inputs) -> dict[str, Entry]:
  """Mean over levels of the pyramid, and each level."""
  projections = inputs.settings.projections
  result = sliced_wasserstein_images(
    inputs.real.images,
    inputs.fake.images,
    num_projections=projections,
    seed=inputs.settings.seed,
  )
  entry = {'value': result.pop('mean'), 'levels': result}
  return {'sliced_wasserstein': entry | {'projections': projections}}


def of_parzen(inputs: Inputs) -> dict[str, Entry]:
  """The Parzen window, sigma chosen on images held back, or on training ones.

  The published protocol: 1,000 images of the validation split.
  """
  held_back = inputs.validation is not None
  validation = (inputs.validation if held_back else inputs.train)[-1_000:]
  result = parzen_score(inputs.fake.images, validation, inputs.test)
  fields = result._asdict()
  fields['sigma_chosen_on'] = 'validation' if held_back else 'train'
  return {'parzen': {'value': fields.pop('mean'), 'unit': 'nats', **fields}}


def of_nearest_neighbours(inputs: Inputs) -> dict[str, Entry]:
  """Mean distances to the nearest image."""
  fake, train, test = inputs.fake.images, inputs.train, inputs.test
  unit = {'unit': 'Euclidean, pixels in [0, 1]', 'among': len(test)}
  pairs = {
    'nearest_train': (fake, train),
    'nearest_test': (fake, test),
    'nearest_train_of_test': (test, train),
  }
  return {
    name: {'value': float(nearest_distances(*pair).mean()), **unit}
    for name, pair in pairs.items()
  }


def of_disc_accuracy(inputs: Inputs) -> dict[str, Entry]:
  """Shares that D gets right."""
  return {
    name: {'value': share} for name, share in accuracy(*inputs.logits).items()
  }

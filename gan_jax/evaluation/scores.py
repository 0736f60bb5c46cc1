"""Scores by name: what each needs, and how it is computed.

`SCORES` is the one table of them. A score measured in a feature network other
than the FID Inception carries the network's name: `fid_classifier`.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import numpy as np

from gan_jax.evaluation.summary import Summary
from gan_jax.features import FeatureNetwork
from gan_jax.metrics import frechet
from gan_jax.metrics.density_coverage import (
  density_coverage,
  expected_coverage,
)
from gan_jax.metrics.disc_accuracy import accuracy
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.kernel_distance import kernel_distance
from gan_jax.metrics.mode_coverage import mode_coverage
from gan_jax.metrics.mode_score import mode_score
from gan_jax.metrics.ms_ssim import ms_ssim_diversity
from gan_jax.metrics.nearest_neighbours import nearest_distances
from gan_jax.metrics.neighbours import neighbourhoods
from gan_jax.metrics.parzen import parzen_score
from gan_jax.metrics.precision_recall import precision_recall
from gan_jax.metrics.sliced_wasserstein import sliced_wasserstein_images
from gan_jax.types import InputError, lookup

Entry = dict[str, Any]  # value, its error if known, and how it was measured


class Settings(NamedTuple):
  """Numbers of the protocols; the defaults are the published ones.

  Attributes:
    splits: of the Inception score.
    kid_subsets: how many.
    kid_subset_size: images of each set in one; less where there are fewer.
    precision_k: neighbours of precision and recall.
    coverage_k: neighbours of density and coverage.
    ssim_pairs: pairs of images.
    projections: directions of the sliced Wasserstein distance.
    seed: of pairs, projections and subsets other than KID's.
  """

  splits: int = 10
  kid_subsets: int = 100
  kid_subset_size: int = 1_000
  precision_k: int = 3
  coverage_k: int = 5
  ssim_pairs: int = 1_000
  projections: int = 512
  seed: int = 0


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
  """

  network: FeatureNetwork
  real: Summary
  fake: Summary
  settings: Settings
  train: np.ndarray | None = None
  test: np.ndarray | None = None
  logits: tuple[np.ndarray, np.ndarray, float | None] | None = None


def _fid(inputs: Inputs) -> dict[str, Entry]:
  real, fake = inputs.real.moments, inputs.fake.moments
  return {
    'fid': {
      'value': frechet.frechet_distance(real, fake),
      'expected_bias': frechet.expected_bias(real, real.num, fake.num),
    }
  }


def _fid_infinity(inputs: Inputs) -> dict[str, Entry]:
  result = frechet.frechet_infinity(
    inputs.real.moments, inputs.fake.features, seed=inputs.settings.seed
  )
  return {'fid_infinity': {'value': result.value, 'points': list(result.nums)}}


def _kid(inputs: Inputs) -> dict[str, Entry]:
  keys = inputs.settings
  most = min(inputs.real.num, inputs.fake.num)
  result = kernel_distance(
    inputs.real.features,
    inputs.fake.features,
    num_subsets=keys.kid_subsets,
    subset_size=min(keys.kid_subset_size, most),
  )
  return {'kid': result._asdict()}


def _inception_score(inputs: Inputs) -> dict[str, Entry]:
  result = inception_score(inputs.fake.predictions)
  splits = len(inputs.fake.predictions.nums)
  return {'inception_score': result._asdict() | {'splits': splits}}


def _mode_score(inputs: Inputs) -> dict[str, Entry]:
  reference = inputs.real.predictions.marginal
  return {
    'mode_score': {'value': mode_score(inputs.fake.predictions, reference)}
  }


def _modes(inputs: Inputs) -> dict[str, Entry]:
  result = mode_coverage(inputs.fake.predictions.counts)
  return {
    'modes': {'value': result.captured, 'of': result.num_modes},
    'modes_kl': {
      'value': result.kl_to_uniform,
      'noise_floor': result.noise_floor,
    },
  }


def _neighbourhoods(inputs: Inputs, k: int):
  return neighbourhoods(inputs.real.features, inputs.fake.features, [k])[k]


def _precision_recall(inputs: Inputs) -> dict[str, Entry]:
  k = inputs.settings.precision_k
  result = precision_recall(_neighbourhoods(inputs, k))
  return {
    name: {'value': value, 'k': k} for name, value in result._asdict().items()
  }


def _density_coverage(inputs: Inputs) -> dict[str, Entry]:
  k = inputs.settings.coverage_k
  density, coverage = density_coverage(_neighbourhoods(inputs, k))
  expected = expected_coverage(inputs.real.num, inputs.fake.num, k)
  return {
    'density': {'value': density, 'k': k, 'expected': 1.0},
    'coverage': {'value': coverage, 'k': k, 'expected': expected},
  }


def _ms_ssim(inputs: Inputs) -> dict[str, Entry]:
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


def _sliced_wasserstein(inputs: Inputs) -> dict[str, Entry]:
  projections = inputs.settings.projections
  result = sliced_wasserstein_images(
    inputs.real.images,
    inputs.fake.images,
    num_projections=projections,
    seed=inputs.settings.seed,
  )
  entry = {'value': result.pop('mean'), 'levels': result}
  return {'sliced_wasserstein': entry | {'projections': projections}}


def _parzen(inputs: Inputs) -> dict[str, Entry]:
  # The published protocol: 1,000 images of the end of the training split.
  validation = inputs.train[-1_000:]
  result = parzen_score(inputs.fake.images, validation, inputs.test)
  fields = result._asdict()
  return {'parzen': {'value': fields.pop('mean'), 'unit': 'nats', **fields}}


def _nearest_neighbours(inputs: Inputs) -> dict[str, Entry]:
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


def _disc_accuracy(inputs: Inputs) -> dict[str, Entry]:
  real, fake, _ = inputs.logits
  counts = {'disc_accuracy_real': len(real), 'disc_accuracy_fake': len(fake)}
  return {
    name: {'value': share, 'images': counts[name]}
    for name, share in accuracy(*inputs.logits).items()
  }


class Score(NamedTuple):
  """A row of `SCORES`.

  Attributes:
    compute: Inputs -> entries by name.
    gives: those names.
    needs: of features, logits (of K classes), classes (that are those of the
      data), images, splits (train and test images), disc.
    of_network: whether names carry the feature network's.
  """

  compute: Callable[[Inputs], dict[str, Entry]]
  gives: tuple[str, ...]
  needs: frozenset[str]
  of_network: bool = True


def _score(
  compute: Callable[[Inputs], dict[str, Entry]],
  gives: str,
  needs: str = '',
  of_network: bool = True,
) -> Score:
  return Score(
    compute, tuple(gives.split()), frozenset(needs.split()), of_network
  )


def _of_pixels(compute, gives: str, needs: str) -> Score:
  return _score(compute, gives, needs, of_network=False)


_NEAREST = 'nearest_train nearest_test nearest_train_of_test'
_ACCURACY = 'disc_accuracy_real disc_accuracy_fake'

SCORES: dict[str, Score] = {
  'fid': _score(_fid, 'fid'),
  'fid_infinity': _score(_fid_infinity, 'fid_infinity', 'features'),
  'kid': _score(_kid, 'kid', 'features'),
  'inception_score': _score(_inception_score, 'inception_score', 'logits'),
  'mode_score': _score(_mode_score, 'mode_score', 'logits'),
  'modes': _score(_modes, 'modes modes_kl', 'logits classes'),
  'precision_recall': _score(_precision_recall, 'precision recall', 'features'),
  'density_coverage': _score(_density_coverage, 'density coverage', 'features'),
  'ms_ssim': _of_pixels(_ms_ssim, 'ms_ssim', 'images'),
  'sliced_wasserstein': _of_pixels(
    _sliced_wasserstein, 'sliced_wasserstein', 'images'
  ),
  'parzen': _of_pixels(_parzen, 'parzen', 'images splits'),
  'nearest_neighbours': _of_pixels(
    _nearest_neighbours, _NEAREST, 'images splits'
  ),
  'disc_accuracy': _of_pixels(_disc_accuracy, _ACCURACY, 'images splits disc'),
}

# Which way a result is better; those not named here are read beside a
# yardstick, not ranked.
BETTER: dict[str, Literal['lower', 'higher']] = {
  'fid': 'lower',
  'fid_infinity': 'lower',
  'kid': 'lower',
  'modes_kl': 'lower',
  'sliced_wasserstein': 'lower',
  'inception_score': 'higher',
  'mode_score': 'higher',
  'modes': 'higher',
  'precision': 'higher',
  'recall': 'higher',
  'coverage': 'higher',
  'parzen': 'higher',
}


def needs_of(names: Iterable[str], key: str = 'eval.scores') -> frozenset[str]:
  """All that some scores need.

  Args:
    names: of the scores.
    key: that they came from, for the message.

  Raises:
    InputError: an unknown name.
  """
  rows = [lookup(SCORES, name, key) for name in names]
  return frozenset().union(*(row.needs for row in rows))


def result_name(name: str, score: Score, network: str) -> str:
  """As in fid -> fid_classifier; plain for `inception` and scores of pixels."""
  plain = network == 'inception' or not score.of_network
  return name if plain else f'{name}_{network}'


def compute(
  inputs: Inputs, names: Iterable[str], *, progress: bool = False
) -> dict[str, Entry]:
  """Computes scores.

  Args:
    inputs: with all that they need.
    names: keys of `SCORES`.
    progress: show a bar that names the score at work.

  Returns:
    Entries by name: `value`, its `standard_error` or `standard_deviation`
    where known, the numbers of its protocol, `num_real` and `num_fake`.

  Raises:
    InputError: an unknown name, something missing, or too few images.
  """
  from tqdm import tqdm

  results, names = {}, tuple(names)
  for name in names:  # before any work
    _check(name, lookup(SCORES, name, 'eval.scores'), inputs)
  bar = tqdm(names, desc='scores', disable=not progress)
  for name in bar:
    bar.set_postfix_str(name)
    score = SCORES[name]
    counts = {'num_real': inputs.real.num, 'num_fake': inputs.fake.num}
    for key, entry in score.compute(inputs).items():
      results[result_name(key, score, inputs.network.name)] = entry | counts
  return results


def _check(name: str, score: Score, inputs: Inputs) -> None:
  network = inputs.network.name
  if 'logits' in score.needs and inputs.fake.predictions is None:
    raise InputError(
      f'eval.scores: {name} needs a network with classes, and {network} has '
      'none; leave it out, or take eval.network=classifier or inception'
    )
  if 'classes' in score.needs and not inputs.network.classes:
    raise InputError(
      f'eval.scores: {name} counts the classes of the data, which {network} '
      'does not know; leave it out, or take eval.network=classifier'
    )
  for need, value in (
    ('splits', inputs.test),
    ('disc', inputs.logits),
    ('features', inputs.fake.features),
    ('images', inputs.fake.images),
  ):
    if need in score.needs and value is None:
      raise InputError(
        f'eval.scores: {name} needs {need}, which were not given'
      )

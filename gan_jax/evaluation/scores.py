"""Scores by name: what each needs, and how it is computed.

`SCORES` is the one table of them. A score measured in a feature network other
than the FID Inception carries the network's name: `fid_classifier`.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from gan_jax.evaluation import entries
from gan_jax.evaluation.entries import Entry, Inputs
from gan_jax.metrics.neighbours import neighbourhoods
from gan_jax.types import InputError, lookup


class Score(NamedTuple):
  """A row of `SCORES`.

  Attributes:
    compute: Inputs -> entries by name.
    gives: those names.
    needs: of features, balls (of neighbours among them), logits (of K
      classes), classes (that are those of the data), labels (of the
      fakes), paths (between latents), images, targets (that the fakes should
      be), splits (train and test images), disc.
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
  'fid': _score(entries.of_fid, 'fid'),
  'fid_infinity': _score(entries.of_fid_infinity, 'fid_infinity', 'features'),
  'kid': _score(entries.of_kid, 'kid', 'features'),
  'inception_score': _score(
    entries.of_inception_score, 'inception_score', 'logits'
  ),
  'mode_score': _score(entries.of_mode_score, 'mode_score', 'logits'),
  'modes': _score(entries.of_modes, 'modes modes_kl', 'logits classes'),
  'label_accuracy': _score(
    entries.of_label_accuracy, 'label_accuracy', 'logits classes labels'
  ),
  'precision_recall': _score(
    entries.of_precision_recall, 'precision recall', 'features balls'
  ),
  'density_coverage': _score(
    entries.of_density_coverage, 'density coverage', 'features balls'
  ),
  'ppl': _score(entries.of_ppl, 'ppl_w ppl_z', 'paths'),
  'ms_ssim': _of_pixels(entries.of_ms_ssim, 'ms_ssim', 'images'),
  'psnr': _of_pixels(entries.of_psnr, 'psnr', 'images targets'),
  'ssim': _of_pixels(entries.of_ssim, 'ssim', 'images targets'),
  'colourfulness': _of_pixels(
    entries.of_colourfulness, 'colourfulness', 'images'
  ),
  'sliced_wasserstein': _of_pixels(
    entries.of_sliced_wasserstein, 'sliced_wasserstein', 'images'
  ),
  'parzen': _of_pixels(entries.of_parzen, 'parzen', 'images splits'),
  'nearest_neighbours': _of_pixels(
    entries.of_nearest_neighbours, _NEAREST, 'images splits'
  ),
  'disc_accuracy': _of_pixels(
    entries.of_disc_accuracy, _ACCURACY, 'images splits disc'
  ),
}

# Which way a result is better; those not named here are read beside a
# yardstick, not ranked.
BETTER: dict[str, Literal['lower', 'higher']] = {
  'fid': 'lower',
  'fid_infinity': 'lower',
  'kid': 'lower',
  'ppl_w': 'lower',
  'ppl_z': 'lower',
  'modes_kl': 'lower',
  'sliced_wasserstein': 'lower',
  'inception_score': 'higher',
  'mode_score': 'higher',
  'modes': 'higher',
  'label_accuracy': 'higher',
  'precision': 'higher',
  'recall': 'higher',
  'coverage': 'higher',
  'parzen': 'higher',
  'psnr': 'higher',
  'ssim': 'higher',
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


def ranked_name(given: str, network: str) -> str:
  """As in fid -> fid_classifier, of what a score gives, such as `eval.best`."""
  score = next(score for score in SCORES.values() if given in score.gives)
  return result_name(given, score, network)


def directions(network: str) -> dict[str, Literal['lower', 'higher']]:
  """Results as they are named in a network -> which way is better."""
  return {ranked_name(name, network): way for name, way in BETTER.items()}


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
    InputError: an unknown name, something missing, images too few or small.
  """
  results, problems = compute_each(inputs, names, progress=progress)
  for problem in problems.values():
    raise problem
  return results


def compute_each(
  inputs: Inputs, names: Iterable[str], *, progress: bool = False
) -> tuple[dict[str, Entry], dict[str, InputError]]:
  """As `compute`, where a score that cannot be had costs no other.

  Returns:
    Entries by name; by the score's name, what is wrong with the others.
  """
  from tqdm import tqdm

  results, problems, names = {}, {}, tuple(names)
  inputs = _with_balls(inputs, names)
  bar = tqdm(names, desc='scores', disable=not progress)
  for name in bar:
    bar.set_postfix_str(name)
    try:
      score = lookup(SCORES, name, 'eval.scores')
      _check(name, score, inputs)
      entries = score.compute(inputs)
    except InputError as error:
      problems[name] = error
      continue
    real, fake = _counts(score, inputs)
    for key, entry in entries.items():
      entry |= {'num_real': real, 'num_fake': fake}
      results[result_name(key, score, inputs.network.name)] = entry
  return results, problems


def _counts(score: Score, inputs: Inputs) -> tuple[int, int]:
  """Real and generated images behind a score."""
  if score.of_network:
    return inputs.real.num, inputs.fake.num
  if 'disc' in score.needs:
    return len(inputs.logits[0]), len(inputs.logits[1])
  real = inputs.targets if 'targets' in score.needs else inputs.real.images
  real = inputs.test if 'splits' in score.needs else real
  return len(real), len(inputs.fake.images)


_NEIGHBOURS = {
  'precision_recall': 'precision_k',
  'density_coverage': 'coverage_k',
}


def _with_balls(inputs: Inputs, names: Iterable[str]) -> Inputs:
  """Adds the neighbourhoods that the scores need: one pass for every k."""
  ks = [
    getattr(inputs.settings, key)
    for name, key in _NEIGHBOURS.items()
    if name in names and inputs.fake.features is not None
  ]
  ks = [k for k in ks if k < min(inputs.real.num, inputs.fake.num)]
  if not ks:
    return inputs
  real = inputs.reference or inputs.real.features
  return inputs._replace(balls=neighbourhoods(real, inputs.fake.features, ks))


def _check(name: str, score: Score, inputs: Inputs) -> None:
  network = inputs.network.name
  if 'logits' in score.needs and inputs.fake.predictions is None:
    raise InputError(
      f'eval.scores: {name} needs a network with classes, and {network} has '
      'none; leave it out, or take eval.network=classifier, mobilenet or '
      'inception'
    )
  if 'classes' in score.needs and not inputs.network.classes:
    raise InputError(
      f'eval.scores: {name} is of the classes of the data, which {network} '
      'does not know; leave it out, or take eval.network=classifier'
    )
  if 'labels' in score.needs and inputs.labels is None:
    raise InputError(
      f'eval.scores: {name} is of the labels that G is told, and this G is '
      'told none; leave it out, or train with conditional=True'
    )
  for need, value in (
    ('splits', inputs.test),
    ('disc', inputs.logits),
    ('paths', inputs.paths),
    ('targets', inputs.targets),
    ('features', inputs.fake.features),
    ('images', inputs.fake.images),
  ):
    if need in score.needs and value is None:
      raise InputError(
        f'eval.scores: {name} needs {need}, which were not given'
      )
  key = _NEIGHBOURS.get(name)
  if key and getattr(inputs.settings, key) not in inputs.balls:
    k = getattr(inputs.settings, key)
    raise InputError(
      f'eval.{key}: {k} neighbours need {k + 1} images, and there are '
      f'{inputs.real.num} real and {inputs.fake.num} generated ones'
    )

"""What the `eval` section of a config may hold."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Collection

from gan_jax.data import DatasetInfo
from gan_jax.evaluation.paths import SAMPLINGS
from gan_jax.evaluation.scores import BETTER, SCORES, needs_of
from gan_jax.features.weights import mobilenet_path
from gan_jax.sampling.standing import BATCH_NORMS
from gan_jax.sampling.styles import check_psi
from gan_jax.types import InputError, lookup

NETWORKS = ('auto', 'classifier', 'inception', 'lpips', 'mobilenet', 'random')
SPLITS = ('train', 'test')
# What scores may need, and some networks do not have.
_LACKING = {'random': 'logits', 'lpips': 'logits'} | dict.fromkeys(
  ('inception', 'mobilenet'), 'classes'
)
# Not among those that are taken where no name is given.
_ON_REQUEST = ('fid_infinity', 'parzen', 'ppl', 'colourfulness')
# What G is told -> what scores then have.
_OF_TOLD = {'labels': 'labels', 'source': 'targets'}
_AT_LEAST_ONE = ('num_samples', 'batch_size', 'splits', 'kid_subsets')
_AT_LEAST_ONE += ('precision_k', 'coverage_k')
_AT_LEAST_ONE += ('ssim_pairs', 'projections')


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """The section `eval`; configs/base.py says what each key means."""

  scores: tuple[str, ...]
  num_samples: int
  split: str
  num_real: int
  network: str
  weights: str
  weights_sha256: str
  download: bool
  batch_size: int
  checkpoint: str
  ema: bool
  batch_norm: str
  truncation: float
  psi: float
  psi_cutoff: int
  seed: int
  splits: int
  kid_subsets: int
  kid_subset_size: int
  precision_k: int
  coverage_k: int
  ssim_pairs: int
  projections: int
  ppl_sampling: str
  every: int
  every_scores: tuple[str, ...]
  every_num_samples: int
  best: str

  def __post_init__(self):
    check_values(self)


def check_values(keys: Evaluation) -> None:
  """Checks what can be known without the data.

  Raises:
    InputError: the key at fault and what would be right.
  """
  for key in _AT_LEAST_ONE:
    if getattr(keys, key) < 1:
      raise InputError(f'eval.{key}: {getattr(keys, key)} is not at least 1')
  if not 0 <= keys.seed < 2**32:
    raise InputError(f'eval.seed: {keys.seed} is not between 0 and 2 ** 32 - 1')
  check_psi(keys.psi, keys.psi_cutoff, 'eval')
  if not 0.0 <= keys.truncation < math.inf:
    raise InputError(f'eval.truncation: {keys.truncation} is not from 0 on')
  for key in ('num_real', 'every'):
    if getattr(keys, key) < 0:
      raise InputError(f'eval.{key}: {getattr(keys, key)} is negative')
  lookup(dict.fromkeys(NETWORKS), keys.network, 'eval.network')
  lookup(dict.fromkeys(SPLITS), keys.split, 'eval.split')
  lookup(dict.fromkeys(BATCH_NORMS), keys.batch_norm, 'eval.batch_norm')
  lookup(dict.fromkeys(SAMPLINGS), keys.ppl_sampling, 'eval.ppl_sampling')
  if keys.kid_subset_size < 2:
    raise InputError(
      f'eval.kid_subset_size: {keys.kid_subset_size} is not at least 2'
    )
  _check_network(keys.network, 'eval.scores', score_names(keys.scores))
  if keys.every:
    _check_while_training(keys)


def _check_while_training(keys: Evaluation) -> None:
  """Raises InputError for scores that cannot be had, or ranked, meanwhile."""
  names = score_names(keys.every_scores)
  if not names:
    raise InputError('eval.every_scores: no score is named')
  if keys.every_num_samples < 1:
    raise InputError(
      f'eval.every_num_samples: {keys.every_num_samples} is not at least 1'
    )
  _check_network(keys.network, 'eval.every_scores', names)
  for name in names:
    if SCORES[name].needs & {'splits', 'disc'}:
      cheap = [n for n, s in SCORES.items() if not s.needs & {'splits', 'disc'}]
      raise InputError(
        f'eval.every_scores: {name} is for --mode=evaluate; during training: '
        f'{", ".join(cheap)}'
      )
  given = [n for name in names for n in SCORES[name].gives]
  ranked = [name for name in given if name in BETTER]
  if keys.best not in ranked:
    raise InputError(
      f'eval.best: {keys.best!r} is not among what eval.every_scores '
      f'gives and can be ranked: {", ".join(ranked) or "nothing"}'
    )


def network_of(
  keys: Evaluation, info: DatasetInfo, cache: pathlib.Path | None = None
) -> str:
  """The feature network that `eval.network` names, or that `auto` stands for.

  Args:
    keys: the section, see configs/base.py.
    info: of the data.
    cache: where weights are kept; None for the user's.

  Returns:
    Of `auto`: classifier where the data has labels; else mobilenet where
    weights are given or its own are in the cache; else random.
  """
  if keys.network != 'auto':
    return keys.network
  if len(info.class_names) > 1:
    return 'classifier'
  found = keys.weights or os.path.exists(mobilenet_path(cache_dir=cache))
  return 'mobilenet' if found else 'random'


def of_pixels(keys: Evaluation, names: Collection[str]) -> Evaluation:
  """The keys, with the cheapest network of `auto` where no score looks at one.

  A classifier may have to be trained first.
  """
  looked_at = any(SCORES[name].of_network for name in names)
  if keys.network != 'auto' or looked_at:
    return keys
  return dataclasses.replace(keys, network='random')


def check(
  keys: Evaluation,
  info: DatasetInfo,
  which: str = 'scores',
  *,
  told: Collection[str] = (),
  cache: pathlib.Path | None = None,
) -> tuple[str, ...]:
  """Checks what is asked for against the data, before any work.

  Args:
    keys: the section, see configs/base.py.
    info: of the data.
    which: the key whose scores are wanted, scores or every_scores.
    told: columns that G is told: what is scored if no name is given.
    cache: see `network_of`.

  Returns:
    Names of the scores.

  Raises:
    InputError: the key at fault and what would be right.
  """
  check_values(keys)
  names = score_names(getattr(keys, which))
  network = network_of(keys, info, cache)
  if names:
    _check_network(network, f'eval.{which}', names)
  elif which == 'scores':
    lacking = {_LACKING.get(network)}
    lacking |= {need for c, need in _OF_TOLD.items() if c not in told}
    names = tuple(
      name
      for name, score in SCORES.items()
      if name not in _ON_REQUEST and not lacking & score.needs
    )
  else:
    raise InputError(f'eval.{which}: no score is named')
  if network == 'classifier' and not info.class_names:
    raise InputError(
      f'eval.network: the classifier is trained on labels, and {info.name} has '
      'none; take eval.network=mobilenet or inception (with eval.weights), or '
      'auto'
    )
  return names


def _check_network(network: str, key: str, names: tuple[str, ...]) -> None:
  """Raises InputError for scores that a network cannot give."""
  needs_of(names, key)
  lacking = _LACKING.get(network)
  wrong = [name for name in names if lacking in SCORES[name].needs]
  if wrong:
    raise InputError(
      f'{key}: {wrong[0]} needs classes of the data, which the network '
      f'{network} does not have; leave it out, or take eval.network=classifier'
    )


def score_names(value: tuple[str, ...]) -> tuple[str, ...]:
  """Names of scores, also from a flag: `fid,kid` comes as one string."""
  parts = [name.strip() for part in value for name in part.split(',')]
  return tuple(filter(None, parts))

"""What the `eval` section of a config may hold."""

from typing import Any

from gan_jax.data import DatasetInfo
from gan_jax.evaluation.scores import needs_of
from gan_jax.sampling import BATCH_NORMS
from gan_jax.types import InputError, lookup

NETWORKS = ('classifier', 'inception', 'random')
SPLITS = ('train', 'test')
_AT_LEAST_ONE = ('num_samples', 'batch_size', 'splits', 'kid_subsets')
_AT_LEAST_ONE += ('precision_k', 'coverage_k', 'every_num_samples')
_AT_LEAST_ONE += ('ssim_pairs', 'projections')


def check(keys: Any, info: DatasetInfo) -> None:
  """Checks what can be known of an `eval` section before any work.

  Args:
    keys: the section, see configs/base.py.
    info: of the data.

  Raises:
    InputError: the key at fault and what would be right.
  """
  for key in _AT_LEAST_ONE:
    if getattr(keys, key) < 1:
      raise InputError(f'eval.{key}: {getattr(keys, key)} is not at least 1')
  for key in ('num_real', 'every'):
    if getattr(keys, key) < 0:
      raise InputError(f'eval.{key}: {getattr(keys, key)} is negative')
  lookup(dict.fromkeys(NETWORKS), keys.network, 'eval.network')
  lookup(dict.fromkeys(SPLITS), keys.split, 'eval.split')
  lookup(dict.fromkeys(BATCH_NORMS), keys.batch_norm, 'eval.batch_norm')
  if keys.kid_subset_size < 2:
    raise InputError(
      f'eval.kid_subset_size: {keys.kid_subset_size} is not at least 2'
    )
  for key in ('scores', 'every_scores'):
    names = score_names(getattr(keys, key))
    if not names:
      raise InputError(f'eval.{key}: no score is named')
    needs_of(names, f'eval.{key}')
  if keys.network == 'classifier' and not info.class_names:
    raise InputError(
      f'eval.network: the classifier is trained on labels, and {info.name} has '
      'none; take eval.network=inception (with eval.weights) or random'
    )


def score_names(value: tuple[str, ...]) -> tuple[str, ...]:
  """Names of scores, also from a flag: `fid,kid` comes as one string."""
  parts = [name.strip() for part in value for name in part.split(',')]
  return tuple(filter(None, parts))

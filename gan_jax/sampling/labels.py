"""Which class a label means; labels as often as the data has them."""

import re
from collections.abc import Sequence

import numpy as np

from gan_jax.types import InputError

_SHOWN = 12  # names in a message, at the most


def class_index(
  label: int | str, num_classes: int, class_names: Sequence[str] = ()
) -> int:
  """The class that a label means.

  Args:
    label: its number, or its name: in any case, with any signs between words,
      or a part of it that no other name has.
    num_classes: how many classes there are; 0 for an unconditional model.
    class_names: their names, where they are known.

  Raises:
    InputError: no class, or several; the message lists the valid ones.
  """
  if isinstance(label, str):
    found = _named(label, class_names)
  else:
    found = [label] if 0 <= label < num_classes else []
  if len(found) == 1 and num_classes:
    return int(found[0])
  if found and num_classes:
    names = ', '.join(class_names[i] for i in found[:_SHOWN])
    raise InputError(f'label: {label!r} may mean {names}; write one of them')
  if not num_classes:
    raise InputError(
      f'label: {label!r}: the model is not conditional; leave the label out'
    )
  valid = f'0 to {num_classes - 1}'
  if [*class_names] != [str(number) for number in range(num_classes)]:
    valid += shortened(class_names) and f', or {shortened(class_names)}'
  raise InputError(f'label: {label!r} is not valid; valid: {valid}')


def labels_like(labels: np.ndarray, num: int, seed: int = 0) -> np.ndarray:
  """Labels `[num]` int32 with each class as often as in the data, mixed.

  Classes in turn would be other data: a perfect generator of nine images of
  one class to one of another would be far from them by any score.

  Args:
    labels: `[N]` of the data; negative ones are not known and do not count.
    num: how many.
    seed: of their order.
  """
  known = np.sort(labels[labels >= 0])
  quantiles = (np.arange(num) + 0.5) / num
  chosen = known[(quantiles * len(known)).astype(int)]
  return np.random.default_rng(seed).permutation(chosen).astype(np.int32)


def shortened(names: Sequence[str]) -> str:
  """The first dozen of names, with commas between."""
  more = ', ...' if len(names) > _SHOWN else ''
  return ', '.join(names[:_SHOWN]) + more


def plain(name: str) -> str:
  """Words in lower case with _ between, such as `t_shirt_top`."""
  return re.sub(r'[\W_]+', '_', name.casefold()).strip('_')


def _named(label: str, names: Sequence[str]) -> list[int]:
  """Numbers of the names that a label fits best."""
  wanted = plain(label)
  for fits in (
    lambda name: name == label,
    lambda name: plain(name) == wanted,
    lambda name: plain(name).replace('_', '') == wanted.replace('_', ''),
    lambda name: wanted and wanted in plain(name),
  ):
    found = [i for i, name in enumerate(names) if fits(name)]
    if found:
      return found
  return []

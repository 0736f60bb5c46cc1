"""What the rows of a run say, as numbers; `verdict.py` says what they mean."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

Row = Mapping[str, float]

WINDOW = 1_000  # steps that are looked at


def column(rows: Sequence[Row], name: str) -> np.ndarray:
  """A metric in the rows that have it; JSON's null is NaN."""
  found = [row[name] for row in rows if name in row]
  return np.array([math.nan if x is None else x for x in found], float)


def _mean(rows: Sequence[Row], name: str) -> float:
  values = column(rows, name)
  return float(values.mean()) if len(values) else math.nan


def _deviation(values: np.ndarray) -> float:
  """Standard deviation about a linear trend; NaN of fewer than 5 values."""
  if len(values) < 5:
    return math.nan
  times = np.arange(len(values))
  rest = values - np.polyval(np.polyfit(times, values, 1), times)
  return float(rest.std())


def _swing(rows: Sequence[Row]) -> float:
  """Deviation of G's loss about its trend, in units of both players' losses.

  NaN of a game with one player: nobody goes round.
  """
  gen, disc = column(rows, 'gen_loss'), column(rows, 'disc_loss')
  if len(gen) and not len(disc):
    return math.nan
  scale = abs(gen.mean()) + abs(disc.mean()) if len(gen) else 0.0
  return _deviation(gen) / scale if scale else 0.0


def _unsteadiness(rows: Sequence[Row]) -> float:
  """Deviation of D's accuracy, over both halves of its batch, likewise."""
  real, fake = (column(rows, f'disc_accuracy_{s}') for s in ('real', 'fake'))
  if len(real) != len(fake):
    return math.nan
  return _deviation((real + fake) / 2)


# What has diverged is infinite, and means so.
@np.errstate(invalid='ignore', over='ignore')
def evidence_of(rows: Sequence[Row]) -> dict[str, float]:
  """What the rows of the window say; means, unless the name says else.

  Args:
    rows: of metrics.jsonl, of one run, in order.
  """
  gen, disc = column(rows, 'gen_loss'), column(rows, 'disc_loss')
  evidence = {
    'disc_accuracy': 0.5
    * (_mean(rows, 'disc_accuracy_real') + _mean(rows, 'disc_accuracy_fake')),
    'logit_gap': _mean(rows, 'logit_gap'),
    'disc_loss': _mean(rows, 'disc_loss'),
    'gen_loss': _mean(rows, 'gen_loss'),
    'gen_loss_variance': float(gen.var()) if len(gen) else math.nan,
    'loss_ratio': float(gen.mean() / disc.mean())
    if len(gen) and len(disc) and disc.mean()
    else math.nan,
    'swing': _swing(rows),
    'accuracy_swing': _unsteadiness(rows),
  }
  for name in (
    'diversity',
    'nearest_diversity',
    'sharpness',
    'disc_grad_norm',
    'gen_grad_norm',
  ) + ('disc_update_ratio', 'gen_update_ratio'):
    evidence[name] = _mean(rows, name)
  return evidence


def window_of(rows: Sequence[Row], steps: int = WINDOW) -> list[Row]:
  """The rows of the last `steps` steps; of a short run, of its second half."""
  if not rows:
    return []
  last = rows[-1]['step']
  start = max(last - steps, last // 2)
  return [row for row in rows if row['step'] > start]

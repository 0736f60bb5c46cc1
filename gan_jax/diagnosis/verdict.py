"""What is wrong with a training run, in words, with the number behind them.

`diagnose` reads the rows of metrics.jsonl over the last steps. Its thresholds
come from runs made to fail and healthy ones: docs/stability.md lists them with
their figures, and tests hold the verdicts.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

Row = Mapping[str, float]

WINDOW = 1_000  # steps that are looked at
HUGE = 1e4  # of a loss or a gradient norm: nothing sound gets there
WINNING = 0.97  # accuracy of D
REPEATING = 0.3  # share of the data's distances within a batch
FALLING = 0.6  # the same, if it was half as high again before
SWINGING = 0.3  # deviation of G's loss in units of both losses
UNSTEADY = 0.1  # deviation of a critic's accuracy; its losses have no level

HEALTHY = 'healthy'
STRONG = 'discriminator too strong'
COLLAPSED = 'generator collapsed'
COLLAPSING = 'generator collapsing'
OSCILLATING = 'oscillating'
DIVERGED = 'diverged'

# Those that brought a run back in docs/stability.md, the best score first; then
# what it did not measure on such a run. What did not help there is left out, so
# that clipped gradients are: they let a run diverge that has no lower bound.
REMEDIES: dict[str, tuple[str, ...]] = {
  HEALTHY: (),
  STRONG: (
    'network.disc_norm=spectral, penalty=r1',
    'tricks.disc_accuracy_limit=0.8',
    'tricks.augment=diffaugment or ada, above all where data are few',
    'a smaller disc_optimizer.learning_rate, or fewer disc_steps',
    'loss=non_saturating in place of minimax',
  ),
  COLLAPSED: (
    'network.disc_minibatch=discrimination, or more disc_steps',
    'solver=unrolled, tricks.feature_matching=1',
    'tricks.packing=4',
    'a smaller gen_optimizer.learning_rate',
  ),
  OSCILLATING: (
    'penalty=wgan_gp, r1 or r1_r2',
    'solver=extragradient',
    'tricks.lookahead_steps=5, ema_decay=0.999 for the samples',
    'solver=alternating in place of simultaneous',
    'smaller learning rates, b1=0 or .5 in place of .9',
  ),
  DIVERGED: (
    'penalty=wgan_gp and smaller learning rates',
    'weight_clip=0.01 with loss=wasserstein',
    'network.disc_norm=spectral',
  ),
}
REMEDIES[COLLAPSING] = REMEDIES[COLLAPSED]


class Diagnosis(NamedTuple):
  """A verdict on a run.

  Attributes:
    verdict: one of the names above.
    reason: the number that it rests on, and its threshold.
    step: the last one that was looked at.
    evidence: what was measured, by name; means over the window.
    warnings: what else stands out.
    remedies: config keys that may help.
  """

  verdict: str
  reason: str
  step: int
  evidence: dict[str, float]
  warnings: list[str]
  remedies: tuple[str, ...]


def _values(rows: Sequence[Row], name: str) -> np.ndarray:
  """A metric in the rows that have it; JSON's null is NaN."""
  found = [row[name] for row in rows if name in row]
  return np.array([math.nan if x is None else x for x in found], float)


def _mean(rows: Sequence[Row], name: str) -> float:
  values = _values(rows, name)
  return float(values.mean()) if len(values) else math.nan


def _deviation(values: np.ndarray) -> float:
  """Standard deviation about a linear trend; NaN of fewer than 5 values."""
  if len(values) < 5:
    return math.nan
  times = np.arange(len(values))
  rest = values - np.polyval(np.polyfit(times, values, 1), times)
  return float(rest.std())


def _swing(rows: Sequence[Row]) -> float:
  """Deviation of G's loss about its trend, in units of both players' losses."""
  gen, disc = _values(rows, 'gen_loss'), _values(rows, 'disc_loss')
  scale = abs(gen.mean()) + abs(disc.mean()) if len(gen) else 0.0
  return _deviation(gen) / scale if scale else 0.0


def _unsteadiness(rows: Sequence[Row]) -> float:
  """Deviation of D's accuracy, over both halves of its batch, likewise."""
  real, fake = (_values(rows, f'disc_accuracy_{s}') for s in ('real', 'fake'))
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
  gen, disc = _values(rows, 'gen_loss'), _values(rows, 'disc_loss')
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


def _diverged(rows: Sequence[Row]) -> str | None:
  """The first number that is not finite, or too large."""
  for row in rows:
    for name in ('disc_loss', 'gen_loss', 'disc_grad_norm', 'gen_grad_norm'):
      value = row.get(name, 0.0)
      value = math.nan if value is None else value
      if not math.isfinite(value):
        return f'{name} is {value} at step {row["step"]}'
      if abs(value) > HUGE:
        return (
          f'{name} is {value:.3g} at step {row["step"]}, beyond {HUGE:,.0f}'
        )
  return None


def _collapse(
  rows: Sequence[Row],
  window: int,
  evidence: dict[str, float],
  modes: tuple[int, int] | None,
) -> tuple[str, str] | None:
  """Whether samples repeat themselves: (verdict, reason)."""
  for name, which in (('diversity', ''), ('nearest_diversity', 'nearest ')):
    value = evidence[name]
    if value < REPEATING:
      return (
        COLLAPSED,
        f'{name} {value:.2f} < {REPEATING}: {which}fakes of a batch lie that '
        'many times as far apart as real images',
      )
  if modes is not None and modes[0] <= modes[1] / 2:
    return (
      COLLAPSED,
      f'samples are of {modes[0]} classes, as many real images of {modes[1]}, '
      'by the classifier',
    )
  for name in ('diversity', 'nearest_diversity'):
    before = _values(rows[: -len(window_of(rows, window)) or None], name)
    highest = float(before.max()) if len(before) else math.nan
    if evidence[name] < FALLING and highest > 1.5 * evidence[name]:
      return (
        COLLAPSING,
        f'{name} fell from {highest:.2f} to {evidence[name]:.2f}',
      )
  return None


def _oscillation(evidence: dict[str, float], critic: bool) -> str | None:
  """Why the players go round; None if they do not.

  What a critic adds to both its means is free and wanders, and G's loss with
  it. So its accuracy, from the midpoint of those means, has to swing too.
  """
  unsteady = evidence['accuracy_swing']
  if not evidence['swing'] > SWINGING or (critic and not unsteady > UNSTEADY):
    return None
  reason = (
    f'swing {evidence["swing"]:.2f} > {SWINGING}: the deviation of '
    "gen_loss, in units of both players' losses"
  )
  if critic:
    reason += (
      f'; accuracy_swing {unsteady:.3f} > {UNSTEADY}: that of D between rows'
    )
  return reason


def diagnose(
  rows: Sequence[Row],
  *,
  window: int = WINDOW,
  grad_norm: float = 100.0,
  critic: bool = False,
  modes: tuple[int, int] | None = None,
  measured: Mapping[str, float] = MappingProxyType({}),
) -> Diagnosis:
  """The verdict on a run, from its metrics.

  Args:
    rows: of metrics.jsonl, of one run, in order.
    window: steps from the end on that are looked at.
    grad_norm: a mean gradient norm above this is worth a warning.
    critic: whether D has no boundary between real and fake (a Wasserstein
      critic, a relativistic D), so that its accuracy says nothing.
    modes: classes that a classifier sees among (samples, as many real images);
      few examples are of few classes, whoever made them.
    measured: evidence that takes the place of the rows'.

  Returns:
    The first of these that holds: diverged, collapsed, D too strong,
    collapsing, oscillating; else healthy. Others that hold are warnings.
  """
  last = window_of(rows, window)
  evidence = evidence_of(last) | dict(measured)
  if modes is not None:
    evidence['modes'], evidence['real_modes'] = map(float, modes)
  found: list[tuple[str, str]] = []
  reason = _diverged(last)
  if reason:
    found.append((DIVERGED, reason))
  collapse = _collapse(rows, window, evidence, modes)
  if collapse and collapse[0] == COLLAPSED:
    found.append(collapse)
  if not critic and evidence['disc_accuracy'] > WINNING:
    found.append(
      (STRONG, f'disc_accuracy {evidence["disc_accuracy"]:.3f} > {WINNING}')
    )
  if collapse and collapse[0] == COLLAPSING:
    found.append(collapse)
  swinging = _oscillation(evidence, critic)
  if swinging:
    found.append((OSCILLATING, swinging))
  verdict, reason = found[0] if found else (HEALTHY, _healthy(evidence))
  warnings = [f'also {name}: {why}' for name, why in found[1:]]
  for player in ('disc', 'gen'):
    norm = evidence[f'{player}_grad_norm']
    if norm > grad_norm:
      warnings.append(
        f'{player}_grad_norm {norm:.3g} is above diagnose.grad_norm='
        f'{grad_norm:g}'
      )
  step = int(rows[-1]['step']) if rows else 0
  return Diagnosis(verdict, reason, step, evidence, warnings, REMEDIES[verdict])


def _healthy(evidence: dict[str, float]) -> str:
  names = ('disc_accuracy', 'diversity', 'nearest_diversity', 'swing')
  return ', '.join(
    f'{name} {evidence[name]:.2f}'
    for name in names
    if math.isfinite(evidence[name])
  )


def report(found: Diagnosis) -> str:
  """Lines for the terminal: verdict, reason, evidence, what may help."""
  lines = [f'verdict at step {found.step:,}: {found.verdict}']
  lines.append(f'  because  {found.reason}')
  lines += [f'  warning  {line}' for line in found.warnings]
  cells = [
    f'{name} {value:.3g}'
    for name, value in found.evidence.items()
    if not math.isnan(value)
  ]
  for start in range(0, len(cells), 4):
    label = 'measured' if not start else ''
    lines.append(f'  {label:8} {", ".join(cells[start : start + 4])}')
  for i, remedy in enumerate(found.remedies):
    lines.append(f'  {"may help" if not i else "":8} {remedy}')
  return '\n'.join(lines)

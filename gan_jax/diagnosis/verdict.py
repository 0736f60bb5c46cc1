"""What is wrong with a training run, in words, with the number behind them.

`diagnose` reads the rows of metrics.jsonl over the last steps. Its thresholds
come from runs made to fail and healthy ones: docs/stability.md lists them with
their figures, and tests hold the verdicts.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from gan_jax.diagnosis.evidence import (
  WINDOW,
  Row,
  column,
  evidence_of,
  window_of,
)

HUGE = 1e4  # of a loss or a gradient norm: nothing sound gets there
WINNING = 0.97  # accuracy of D
REPEATING = 0.3  # share of the data's distances within a batch
FALLING = 0.6  # the same, if it was half as high again before
SWINGING = 0.3  # deviation of G's loss in units of both losses
UNSTEADY = 0.1  # deviation of a critic's accuracy; its losses have no level
SHORT = 200  # steps; before, what a run looks like says little
UNMOVED = 0.1  # of G's weights, over all its updates
APART = 1.5  # distances of noise within a batch, in units of the data's
NEAREST_APART = 1.75  # the same, to the nearest
SHARP = 2.0  # differences between neighbouring pixels, in units of the data's
UNLIKE_DATA = 0.3  # Frechet distance of pixels, in units of the data's variance

HEALTHY = 'healthy'
DYNAMICS = 'dynamics healthy'
TOO_EARLY = 'too early to tell'
NOISE = 'generator draws noise'
UNLIKE = 'samples unlike the data'
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
REMEDIES[DYNAMICS] = ()
for _verdict in (TOO_EARLY, NOISE, UNLIKE):
  REMEDIES[_verdict] = ('a larger num_steps: the same command goes on',)
# Of games with one player; the others are about D.
REMEDIES_ALONE = {
  TOO_EARLY: REMEDIES[TOO_EARLY],
  UNLIKE: (
    *REMEDIES[UNLIKE],
    'game=vae in place of autoencoder, whose codes follow no prior',
  ),
}
REMEDIES_ALONE[NOISE] = REMEDIES_ALONE[UNLIKE]


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


def _collapsed(
  evidence: dict[str, float], modes: tuple[int, int] | None
) -> str | None:
  """Why samples repeat themselves; None if they do not."""
  for name, which in (('diversity', ''), ('nearest_diversity', 'nearest ')):
    value = evidence[name]
    if value < REPEATING:
      return (
        f'{name} {value:.2f} < {REPEATING}: {which}fakes of a batch lie that '
        'many times as far apart as real images'
      )
  if modes is not None and modes[0] <= modes[1] / 2:
    return (
      f'samples are of {modes[0]} classes, as many real images of {modes[1]}, '
      'by the classifier'
    )
  return None


def _collapsing(
  rows: Sequence[Row], window: int, evidence: dict[str, float]
) -> str | None:
  """Why samples begin to repeat themselves; None if they do not."""
  for name in ('diversity', 'nearest_diversity'):
    before = column(rows[: -len(window_of(rows, window)) or None], name)
    highest = float(before.max()) if len(before) else math.nan
    if evidence[name] < FALLING and highest > 1.5 * evidence[name]:
      return f'{name} fell from {highest:.2f} to {evidence[name]:.2f}'
  return None


def _strong(evidence: dict[str, float], critic: bool) -> str | None:
  """Why D is too strong; None if it is not, or a critic."""
  accuracy = evidence['disc_accuracy']
  if critic or not accuracy > WINNING:
    return None
  return f'disc_accuracy {accuracy:.3f} > {WINNING}'


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


def _noise(evidence: dict[str, float]) -> str | None:
  """Why fakes are noise: farther apart, or rougher, than real images are."""
  for name, most, what in (
    ('diversity', APART, 'fakes of a batch lie that many times as far apart'),
    (
      'nearest_diversity',
      NEAREST_APART,
      'nearest fakes of a batch lie that many times as far apart',
    ),
    ('sharpness', SHARP, 'neighbouring pixels differ that many times as much'),
  ):
    if evidence[name] > most:
      return f'{name} {evidence[name]:.2f} > {most}: {what} as in real images'
  return None


def _unlike(evidence: dict[str, float]) -> str | None:
  """Why samples are not like the data; None if they are, or none were drawn."""
  distance = evidence.get('pixel_distance', 0.0)
  if distance <= UNLIKE_DATA:
    return None
  return (
    f'pixel_distance {distance:.2f} > {UNLIKE_DATA}: the Frechet distance of '
    "samples and real images in their pixels, in units of the data's variance"
  )


def _short(step: int) -> str | None:
  """Why it is too early for a verdict."""
  if step >= SHORT:
    return None
  return f'step {step}: before {SHORT}, what a run looks like says little'


def _unmoved(evidence: dict[str, float], step: int) -> str | None:
  """Why G is as it was at first."""
  moved = evidence['gen_update_ratio'] * step
  if not moved < UNMOVED:
    return None
  return (
    f'gen_update_ratio {evidence["gen_update_ratio"]:.2g} in {step:,} steps: '
    'G has hardly moved'
  )


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
    The first of these that holds: diverged, too early (few steps), collapsed, D
    too strong, noise, collapsing, oscillating, samples unlike the data, too
    early (G has hardly moved); else healthy if `measured` says how far samples
    are from the data, and healthy dynamics if not. Others that hold are
    warnings.
  """
  step = int(rows[-1]['step']) if rows else 0
  last = window_of(rows, window)
  evidence = evidence_of(last) | dict(measured)
  if modes is not None:
    evidence['modes'], evidence['real_modes'] = map(float, modes)
  signs = [
    (DIVERGED, _diverged(last)),
    (TOO_EARLY, _short(step)),
    (COLLAPSED, _collapsed(evidence, modes)),
    (STRONG, _strong(evidence, critic)),
    (NOISE, _noise(evidence)),
    (COLLAPSING, _collapsing(rows, window, evidence)),
    (OSCILLATING, _oscillation(evidence, critic)),
    (UNLIKE, _unlike(evidence)),
    (TOO_EARLY, _unmoved(evidence, step)),
  ]
  found = [(name, reason) for name, reason in signs if reason]
  if step < SHORT:  # the others say little
    found = found[: 1 + (found[0][0] == DIVERGED)]
  sound = HEALTHY if 'pixel_distance' in evidence else DYNAMICS
  verdict, reason = found[0] if found else (sound, _sound(evidence))
  warnings = [f'also {name}: {why}' for name, why in found[1:]]
  for player in ('disc', 'gen'):
    norm = evidence[f'{player}_grad_norm']
    if norm > grad_norm:
      warnings.append(
        f'{player}_grad_norm {norm:.3g} is above diagnose.grad_norm='
        f'{grad_norm:g}'
      )
  two = not len(last) or len(column(last, 'disc_loss'))
  remedies = REMEDIES[verdict] if two else REMEDIES_ALONE.get(verdict, ())
  return Diagnosis(verdict, reason, step, evidence, warnings, remedies)


def _sound(evidence: dict[str, float]) -> str:
  """What healthy rests on, and what nobody has looked at."""
  names = ('disc_accuracy', 'diversity', 'nearest_diversity', 'swing')
  names += ('pixel_distance',) * ('pixel_distance' in evidence)
  parts = [
    f'{name} {evidence[name]:.2f}'
    for name in names
    if math.isfinite(evidence[name])
  ]
  if 'pixel_distance' not in evidence:
    parts.append('samples not compared with the data (--mode=diagnose does)')
  return ', '.join(parts)


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

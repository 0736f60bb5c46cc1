"""Sheets of samples that show one thing at a time: a row and a column each.

sheet = SHEETS[name](sampler, seeds, label, truncation)
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gan_jax.networks import growing
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.styles import WHOLE
from gan_jax.types import InputError

NUM_SEEDS = 8
TRUNCATIONS = (0.2, 0.36, 0.52, 0.68, 0.84, 1.0, 0.0)
PSIS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_ROWS = 20  # classes, or pairs of them
_STEPS = 9  # from one class to the next
_FURTHEST = 2.0  # of a code that is a number; it was trained to 1


class Sheet(NamedTuple):
  """Images in rows, and what rows and columns are.

  Attributes:
    images: uint8 `[R * C, H, W, channels]`, row by row.
    latents: `[R * C, Z]` that they were made of.
    labels: int32 `[R * C]`, or shares of classes `[R * C, K]`; None without.
    sides: names of the R rows.
    heads: names of the C columns.
  """

  images: np.ndarray
  latents: np.ndarray
  labels: np.ndarray | None
  sides: Sequence[str]
  heads: Sequence[str]


def classes(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """Each class in a row, each seed in a column."""
  del label
  names = _names(sampler)[:MOST_ROWS]
  latents = sampler.latents_of(seeds, truncation=truncation)
  return _sheet(
    sampler,
    np.tile(latents, (len(names), 1)),
    np.repeat(np.arange(len(names), dtype=np.int32), len(seeds)),
    names,
    _seeds(seeds),
  )


def truncations(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """Each threshold in a row, the last without any; each seed in a column.

  The classes go in turn over the columns, unless one is asked for.
  """
  del truncation
  _check(sampler)
  labels = sampler.labels(len(seeds), label)
  rows = [sampler.latents_of(seeds, truncation=t) for t in TRUNCATIONS]
  images = [
    sampler.at(t).generate(row, labels)
    for t, row in zip(TRUNCATIONS, rows, strict=True)
  ]
  if labels is not None:
    labels = np.tile(labels, len(rows))
  sides = tuple(f'{t:g}' if t else 'none' for t in TRUNCATIONS)
  images, latents = np.concatenate(images), np.concatenate(rows)
  return Sheet(images, latents, labels, sides, tuple(_seeds(seeds)))


def between(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """From each class to the next in a row, at one seed; the last to the first.

  What labels choose, embeddings and scales of norms, is mixed linearly, as in
  BigGAN (arXiv 1809.11096, figure 8, at one z).
  """
  del label
  names = _names(sampler)
  num = min(len(names), MOST_ROWS)
  shares = np.linspace(0.0, 1.0, _STEPS, dtype=np.float32)[:, None]
  one_hot = np.eye(len(names), dtype=np.float32)
  labels = [
    (1 - shares) * one_hot[i] + shares * one_hot[(i + 1) % len(names)]
    for i in range(num)
  ]
  latents = sampler.latents_of(seeds[:1], truncation=truncation)
  sides = [f'{names[i]}\n{names[(i + 1) % len(names)]}' for i in range(num)]
  return _sheet(
    sampler,
    np.repeat(latents, num * _STEPS, axis=0),
    np.concatenate(labels),
    sides,
    [f'{share:.0%}' for share in shares[:, 0]],
  )


def codes(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """Each code from its first value to its last in a row, all else as it is.

  A number goes from -2 to 2. Columns are as many as the largest code has
  values, five at least; a code of fewer goes through them again.

  Reference:
    Chen et al., InfoGAN, arXiv 1606.03657, figure 2.
  """
  if not sampler.codes:
    raise InputError(
      'sample.sheet: codes are what InfoGAN has, and this run has none; train '
      'with codes, such as (10, 1, 1)'
    )
  num = max(5, *sampler.codes)
  base = sampler.latents_of(seeds[:1], truncation=truncation)
  start, rows, sides = base.shape[1] - sum(sampler.codes), [], []
  for number, size in enumerate(sampler.codes):
    row = np.repeat(base, num, axis=0)
    if size == 1:
      row[:, start] = np.linspace(-_FURTHEST, _FURTHEST, num)
    else:
      row[:, start : start + size] = np.eye(size)[np.arange(num) % size]
    rows.append(row)
    sides.append(f'code {number}')
    start += size
  labels = sampler.labels(1, label)
  if labels is not None:
    labels = np.repeat(labels, num * len(rows))
  return _sheet(sampler, np.concatenate(rows), labels, sides, [''] * num)


def mixing(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """Coarse layers of each row's seed, fine ones of each column's.

  The first row and column show the seeds themselves. The first half of the
  layers that are played with is coarse; the noise is that of the first seed
  throughout. The latents are those of the rows' seeds.

  Reference:
    Karras et al., A Style-Based Generator Architecture, arXiv 1812.04948,
    figure 3.
  """
  _check_whole_styles(sampler)
  latents = sampler.latents_of(seeds, truncation=truncation)
  labels = sampler.labels(len(seeds), label)
  styles = sampler.styles(latents, labels)
  grown = growing.grown_of(sampler.variables)
  played = styles.shape[1] if grown is None else 2 * (math.ceil(grown) + 1)
  num, layer = len(seeds), played // 2
  coarse = np.repeat(styles, num, axis=0)
  mixed = sampler.mixed(coarse, np.tile(styles, (num, 1, 1)), layer)
  noise = latents[:1].repeat(num * (num + 1), axis=0)
  images = sampler.paint(np.concatenate([styles, mixed]), noise)
  own, grid = images[:num], images[num:].reshape(num, num, *images.shape[1:])
  corner = np.full_like(own[:1], 255)
  rows = np.concatenate([corner, own])[None]
  rows = np.concatenate(
    [rows, np.concatenate([own[:, None], grid], axis=1)], axis=0
  )
  every = np.concatenate([latents[:1], latents])
  return Sheet(
    rows.reshape(-1, *images.shape[1:]),
    np.repeat(every, num + 1, axis=0),
    None,
    ('fine', *_seeds(seeds)),
    ('coarse', *_seeds(seeds)),
  )


def psis(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """Styles ever farther from their mean: a psi in each row, from 0 to 1.

  The classes go in turn over the columns, unless one is asked for.
  """
  _check_whole_styles(sampler)
  latents = sampler.latents_of(seeds, truncation=truncation)
  labels = sampler.labels(len(seeds), label)
  styles, mean = sampler.styles(latents, labels), sampler.mean_style(labels)
  rows = [mean + psi * (styles - mean) for psi in PSIS]
  images = sampler.paint(np.concatenate(rows), np.tile(latents, (len(rows), 1)))
  if labels is not None:
    labels = np.tile(labels, len(rows))
  return Sheet(
    images,
    np.tile(latents, (len(rows), 1)),
    labels,
    [f'{psi:g}' for psi in PSIS],
    _seeds(seeds),
  )


def _check_whole_styles(sampler: Sampler) -> None:
  """Raises InputError where styles are truncated, which sheets do by row."""
  if sampler.truncation != WHOLE:
    raise InputError(
      f'sample.psi: {sampler.truncation.psi:g} would act on a sheet that shows '
      'styles as they are; leave it and sample.psi_cutoff out'
    )


def growth(sampler: Sampler, seeds, label, truncation) -> Sheet:
  """What the layers up to each size draw: a size in a row, a seed in a column.

  From 4 pixels to as many as the run has grown to. The layers of a size were
  last trained when it was new, but for those below it.

  Reference:
    Karras et al., Progressive Growing of GANs, arXiv 1710.10196, figure 2.
  """
  grown = growing.grown_of(sampler.variables)
  if grown is None:
    raise InputError(
      'sample.sheet: growth is of pairs that grow, progressive and stylegan, '
      'and this run has another; take another sheet'
    )
  levels = [*range(math.ceil(grown)), grown]
  latents = sampler.latents_of(seeds, truncation=truncation)
  labels = sampler.labels(len(seeds), label)
  rows = [
    sampler.with_variables(
      growing.set_grown(sampler.variables, jnp.float32(level))
    ).generate(latents, labels)
    for level in levels
  ]
  if labels is not None:
    labels = np.tile(labels, len(levels))
  return Sheet(
    np.concatenate(rows),
    np.tile(latents, (len(levels), 1)),
    labels,
    [f'{growing.BASE * 2 ** math.ceil(level)} pixels' for level in levels],
    _seeds(seeds),
  )


SHEETS: dict[str, Callable[..., Sheet]] = {
  'classes': classes,
  'truncation': truncations,
  'between': between,
  'codes': codes,
  'mixing': mixing,
  'psi': psis,
  'growth': growth,
}


def _check(sampler: Sampler) -> None:
  if sampler.columns:
    raise InputError(
      f'sample.sheet: this run is told {", ".join(sampler.columns)} too, which '
      'a sheet has none of; take sample.sheet=grid'
    )


def _sheet(sampler, latents, labels, sides, heads) -> Sheet:
  _check(sampler)
  images = sampler.generate(latents, labels)
  return Sheet(images, latents, labels, tuple(sides), tuple(heads))


def _names(sampler: Sampler) -> tuple[str, ...]:
  """Of the classes.

  Raises:
    InputError: there are none.
  """
  if not sampler.num_classes:
    raise InputError(
      'sample.sheet: it shows classes, and this run has none; take grid or '
      'truncation'
    )
  return sampler.class_names or tuple(map(str, range(sampler.num_classes)))


def _seeds(seeds) -> list[str]:
  return [f'seed {seed}' for seed in seeds]

"""`--mode=sample`: images of a finished run, as a grid, an array or files."""

import pathlib
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.modes import told
from gan_jax.reporting import pictures
from gan_jax.sampling import sheets
from gan_jax.sampling.labels import plain
from gan_jax.sampling.weights import WEIGHTS, weights_name
from gan_jax.storage.files import atomic
from gan_jax.workdir import layout, output
from gan_jax.workdir.trained import restore

_SHOWN = 400  # images in the grid, at the most
_FILES = ['samples.png', 'samples.npz']


def sample(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes samples.png and samples.npz (uint8 `[N, H, W, C]`, `images`).

  With `sample.files` it writes each image as a PNG instead, named by its
  number or seed and by its class: 00003.png, seed00003_ankle_boot.png. With
  `sample.sheet` it shows one thing at a time, see gan_jax.sampling.sheets.

  A run that is told more than labels is told that of the first held-out
  images, which samples.npz then has too; samples.png shows
  source | result | target where there is a source. `sample.text` is for all.

  Args:
    config: `member`, `data.dir`, and its `sample` section: num, seed, seeds,
      label, text, checkpoint, ema, batch_norm, truncation, psi, psi_cutoff,
      files, sheet.
    workdir: of the run.
    out: folder, or one of the two files by its suffix; None for the workdir.

  Returns:
    The paths written.

  Raises:
    InputError: there is no run, or what is asked for cannot be had.
  """
  asked = plan.read(config)
  keys, seeds = asked.sample, asked.sample.seed_list
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys)
  label = keys.class_label
  if keys.sheet != 'grid':
    seeds = seeds or range(keys.seed, keys.seed + sheets.NUM_SEEDS)
    made = sheets.SHEETS[keys.sheet](gan, seeds, label, keys.truncation)
    written = _write_sheet(output.places(workdir, out, _FILES), made)
    _tell(made.images, trained, keys.ema, ', '.join(map(str, written)))
    return written
  if seeds:
    latents = gan.latents_of(seeds, truncation=keys.truncation)
    label = 0 if label is None and gan.num_classes else label
  else:
    latents = gan.latents(keys.num, seed=keys.seed, truncation=keys.truncation)
  labels = gan.labels(len(latents), label)
  given, targets = told.by_text(trained, asked, workdir, len(latents))
  if keys.files:
    folder = output.folder(out, layout.absolute(workdir) / 'images')
    images = gan.generate(latents, labels, given)
    written = _write_files(folder, images, _stems(seeds, labels, images, gan))
    where = f'{folder}, {written[0].name} to {written[-1].name}'
  else:
    places = output.places(workdir, out, _FILES)
    images = gan.generate(latents, labels, given)
    columns = {k: x for k, x in given.items() if isinstance(x, np.ndarray)}
    pictured = (x for x in columns.values() if x.ndim == images.ndim)
    source = next(pictured, None)
    if source is None:
      in_turn = label is None
      sheet = _sheet(images, labels, gan, keys.text, in_turn=in_turn)
    else:
      sheet = _abreast(source, images, targets)
    arrays = columns if labels is None else {'labels': labels, **columns}
    written = _write(places, {'images': images, **arrays}, sheet)
    where = ', '.join(map(str, written))
  _tell(images, trained, keys.ema, where)
  return written


def _tell(images, trained, ema: bool, where: str) -> None:
  """Prints what was drawn, of which weights, and where it is."""
  weights = WEIGHTS[weights_name(trained.state, ema)]
  run = '' if trained.member is None else f' of run {trained.member}'
  print(
    f'{len(images)} images{run} at step {int(trained.state.step)} ({weights}): '
    f'{where}'
  )


def _write_sheet(places, sheet: sheets.Sheet) -> list[pathlib.Path]:
  """Writes a sheet with names, and its images."""
  picture = pictures.sheet(
    {'': sheet.images}, len(sheet.heads), heads=sheet.heads, sides=sheet.sides
  )
  arrays = {'images': sheet.images, 'latents': sheet.latents}
  if sheet.labels is not None:
    arrays['labels'] = sheet.labels
  return _write(places, arrays, picture)


def _sheet(images, labels, gan, text, in_turn) -> np.ndarray:
  """The first images under their text, or the names of their classes."""
  shown = images[:_SHOWN]
  names = gan.class_names or tuple(map(str, range(gan.num_classes)))
  num_classes = gan.num_classes if in_turn else 0
  title = text if in_turn or labels is None else names[labels[0]]
  columns = pictures.columns_of(len(shown), num_classes)
  heads = pictures.heads_of(names if in_turn else (), columns)
  return pictures.sheet({title: shown}, columns, heads=heads)


def _abreast(sources, images, targets) -> np.ndarray:
  """Source | result | target of the first examples."""
  rows = pictures.abreast(*(x[:_SHOWN] for x in (sources, images, targets)))
  heads = pictures.ABREAST * min(4, len(images))
  return pictures.sheet({'': rows}, len(heads), heads=heads)


def _write(places, arrays, sheet) -> list[pathlib.Path]:
  """Writes the grid and the archive, or the one that is asked for."""
  if 'samples.png' in places:
    pictures.save_image(places['samples.png'], sheet)
  if 'samples.npz' in places:
    with atomic(places['samples.npz']) as temporary:
      np.savez_compressed(temporary, **arrays)
  return list(places.values())


def _write_files(folder, images, stems) -> list[pathlib.Path]:
  """Writes each image as a PNG of its own."""
  written = [folder / f'{stem}.png' for stem in stems]
  for path, image in zip(written, images, strict=True):
    pictures.save_image(path, image)
  return written


def _stems(seeds, labels, images, gan) -> list[str]:
  """Names of files: by seed or number, and by class."""
  stems = [f'seed{seed:05d}' for seed in seeds]
  stems = stems or [f'{i:05d}' for i in range(len(images))]
  if labels is None:
    return stems
  names = gan.class_names or range(gan.num_classes)
  return [
    f'{stem}_{plain(str(names[label]))}'
    for stem, label in zip(stems, labels, strict=True)
  ]

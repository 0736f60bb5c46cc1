"""`--mode=sample`: images of a finished run, as a grid and as an array."""

import pathlib
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.reporting import pictures
from gan_jax.sampling.weights import weights_name
from gan_jax.storage.files import atomic
from gan_jax.workdir import layout
from gan_jax.workdir.trained import restore

_SHOWN = 400  # images in the grid, at the most


def sample(config: Any, workdir: str | pathlib.Path) -> pathlib.Path:
  """Writes samples.png and samples.npz (uint8 `[N, H, W, C]`, `images`).

  Args:
    config: `member`, and its `sample` section: num, seed, label, checkpoint,
      ema, truncation.
    workdir: of the run.

  Returns:
    The path of the PNG.
  """
  asked = plan.read(config)
  keys = asked.sample
  trained = restore(workdir, keys.checkpoint, asked.member)
  path = layout.prepare(workdir)
  sampler = trained.sampler(ema=keys.ema)
  label = None if keys.label == -1 else keys.label
  images = sampler.sample(
    keys.num, seed=keys.seed, label=label, truncation=keys.truncation
  )
  arrays = {'images': images}
  labels = sampler.labels(keys.num, label)
  if labels is not None:
    arrays['labels'] = labels
  with atomic(path / 'samples.npz') as temporary:
    np.savez_compressed(temporary, **arrays)
  shown = images[:_SHOWN]
  names = trained.info.class_names
  num_classes = sampler.num_classes if label is None else 0
  columns = pictures.columns_of(len(shown), num_classes)
  by_class = pictures.has_class_columns(num_classes)
  picture = pictures.sheet(
    {'' if label is None else names[label]: shown},
    columns,
    heads=names if by_class else (),
  )
  pictures.save_image(path / 'samples.png', picture)
  kinds = {'ema': 'moving average', 'raw': 'raw weights'}
  weights = kinds[weights_name(trained.state, keys.ema)]
  run = '' if trained.member is None else f' of run {trained.member}'
  print(
    f'{keys.num} images{run} at step {int(trained.state.step)} ({weights}): '
    f'{path / "samples.npz"}; the first {len(shown)}: {path / "samples.png"}'
  )
  return path / 'samples.png'

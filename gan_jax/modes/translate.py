"""`--mode=translate`: what a finished run makes of a folder of images."""

import pathlib
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.data import derive as derive_lib
from gan_jax.data.images import decode
from gan_jax.data.shapes import FITS, convert
from gan_jax.modes import folders
from gan_jax.networks import modules_of
from gan_jax.reporting import pictures
from gan_jax.sampling.given import picture_of
from gan_jax.sampling.weights import WEIGHTS, weights_name
from gan_jax.types import InputError
from gan_jax.workdir import layout, output
from gan_jax.workdir.trained import Trained, restore

_CHUNK = 64  # images in memory at once


def translate(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes an image for each of `translate.dir`, under its path, as PNG.

  Images are brought to the size and the channels of the run's sources as its
  own data were (`data.fit`). They are the sources themselves, or with
  `translate.derive` what sources are made of.

  Args:
    config: `member`, and its `translate` section: dir, derive, back,
      any_size, seed, label, checkpoint, ema, batch_norm, truncation, psi,
      psi_cutoff. With any_size images keep their sizes, and go in one by one.
    workdir: of the run.
    out: folder; None for `translated` in the workdir.

  Returns:
    The paths written, in the order of the images' paths.

  Raises:
    InputError: there is no run, or one that takes no source; no image, one that
      cannot be read, or two of one name.
  """
  asked = plan.read(config)
  keys = asked.translate
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys, back=keys.back)
  name = picture_of(gan.columns)
  files = folders.images(keys.dir, 'translate.dir')
  folder = output.folder(out, layout.absolute(workdir) / 'translated')
  written = folders.places(folder, files, 'translate.dir')
  multiple = _multiple(trained) if keys.any_size else 0
  read = _reader(trained, gan.columns[name].shape, keys)
  latents = gan.latents(len(files), seed=keys.seed, truncation=keys.truncation)
  labels = gan.labels(len(files), keys.class_label)
  for some in _chunks(len(files), 1 if multiple else _CHUNK):
    sources = np.stack([read(file) for file in files[some]])
    height, width = sources.shape[1:3]
    own, sources = gan, _padded(sources, multiple)
    if multiple:
      own = gan.at_size(*sources.shape[1:3])
    part = None if labels is None else labels[some]
    images = own.generate(latents[some], part, {name: sources})
    for path, image in zip(written[some], images, strict=True):
      pictures.save_image(path, image[:height, :width])
  weights = WEIGHTS[weights_name(trained.state, keys.ema)]
  print(
    f'{len(files)} images translated at step {int(trained.state.step)} '
    f'({weights}): {folder}, {files[0].relative} to {files[-1].relative}'
  )
  return written


def _chunks(num: int, size: int) -> list[slice]:
  """Parts of so many images, in order, under a bar."""
  from tqdm import tqdm

  starts = tqdm(range(0, num, size), desc='translating', disable=num <= size)
  return [slice(start, start + size) for start in starts]


def _multiple(trained: Trained) -> int:
  """What sides of images have to be multiples of.

  Raises:
    InputError: G makes images of the size that it was trained at alone.
  """
  network = next(iter(modules_of(trained.model.networks.gen).values()))
  multiple = getattr(network, 'multiple', 0)
  if not multiple:
    raise InputError(
      f'translate.any_size: {trained.plan.network} makes images of one size; '
      'set it to False, or take pix2pix or cyclegan'
    )
  return multiple


def _padded(images: np.ndarray, multiple: int) -> np.ndarray:
  """Sides made multiples by repeating the last row and column; 0: as it is."""
  if not multiple:
    return images
  below, beside = (-side % multiple for side in images.shape[1:3])
  return np.pad(images, ((0, 0), (0, below), (0, beside), (0, 0)), mode='edge')


def _reader(trained: Trained, shape: tuple[int, ...], asked: Any):
  """File -> source, uint8 `shape`, as the run's own data are read.

  With `any_size`, of the image's own height and width.
  """
  keys = trained.plan.dataset()
  fit = FITS[keys['fit']]

  def pixels(file, shape):
    found = decode(file.path, keys['background'], 'translate.dir')
    if asked.any_size:
      shape = (*found.shape[:2], shape[-1])
    return convert(found, shape, fit)

  if not asked.derive:
    return lambda file: pixels(file, shape)
  image_shape = trained.info.image_shape
  derive = derive_lib.make_derive(
    keys['derive'], keys['derive_factor'], image_shape
  )
  if derive is None:
    raise InputError(
      'translate.derive: the sources of this run are not derived from images; '
      'set translate.derive=False'
    )
  return lambda file: np.asarray(derive(pixels(file, image_shape)[None]))[0]

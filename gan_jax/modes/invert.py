"""`--mode=invert`: what a run has to be told to draw given images."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import data
from gan_jax.config import plan
from gan_jax.config.moved import PIXELS, Invert
from gan_jax.config.plan import Plan
from gan_jax.data.images import decode
from gan_jax.data.shapes import FITS, convert
from gan_jax.features import maps as maps_lib
from gan_jax.metrics.psnr import psnr
from gan_jax.modes import folders
from gan_jax.reporting import pictures
from gan_jax.sampling import inversion
from gan_jax.sampling.inversion import Distance, Inverted
from gan_jax.storage.files import atomic
from gan_jax.workdir import layout, output
from gan_jax.workdir.trained import Trained, restore

_PICTURE, _ARRAYS = 'invert.png', 'invert.npz'
_COLUMNS = 16  # images in a row of the picture


def invert(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes invert.png, images above what is drawn of them, and invert.npz.

  The archive has images, latents and psnr, of a conditional run labels, and of
  a style-based one styles and maps of noise, `noise_0` and on;
  --config.edit.start takes it.

  Args:
    config: `member`, `data.dir`, and its `invert` section: dir, num, space,
      network, weights, pixel_weight, steps, learning_rate, seed, label,
      checkpoint, ema, batch_norm.
    workdir: of the run.
    out: folder, or one of the two files by its suffix; None for the workdir.

  Returns:
    The paths written.

  Raises:
    InputError: there is no run, no image, no weights, or a run that cannot.
  """
  asked = plan.read(config)
  keys = asked.invert
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys)
  distance = _distance(keys)
  images, labels = _targets(trained, asked, workdir)
  if not gan.num_classes:
    labels = None
  elif keys.class_label is not None:
    labels = gan.labels(len(images), keys.class_label)
  found = inversion.invert(
    gan,
    images,
    space=keys.space,
    distance=distance,
    num_steps=keys.steps,
    learning_rate=keys.learning_rate,
    labels=labels,
    seed=keys.seed,
    progress='invert',
  )
  scores = psnr(found.images, images)
  places = output.places(workdir, out, [_PICTURE, _ARRAYS])
  _write(places, images, found, scores)
  print(
    f'{len(images)} images inverted: PSNR {scores.mean():.2f} dB '
    f'({scores.min():.2f} to {scores.max():.2f}): '
    f'{", ".join(map(str, places.values()))}'
  )
  return list(places.values())


def _distance(keys: Invert) -> Distance:
  """By pixels, or by a network with pixels beside it."""
  if keys.network == PIXELS:
    return inversion.pixel_distance
  maps = maps_lib.load(keys.network, keys.weights, 'invert.')
  kind = 'l2' if maps.distance is None else 'lpips'
  of_batch = maps_lib.make_distance(maps, '', kind, 'invert.')

  def distance(images, targets):
    each = jax.vmap(lambda a, b: of_batch(a[None], b[None]))(images, targets)
    pixels = inversion.pixel_distance(images, targets)
    return each + jnp.float32(keys.pixel_weight) * pixels

  return distance


def _targets(
  trained: Trained, asked: Plan, workdir: str | pathlib.Path
) -> tuple[np.ndarray, np.ndarray | None]:
  """Images uint8 `[N, H, W, C]`, and the labels that held-out ones have."""
  keys, shape = asked.invert, trained.info.image_shape
  if not keys.dir:
    dataset = data.load_dataset(**trained.plan.dataset(asked.data_dir))
    layout.check_data(layout.absolute(workdir), dataset.info)
    found = dataset.test.read(np.arange(min(keys.num, len(dataset.test))))
    labels = found.get('labels')
    known = labels is not None and (labels >= 0).all()
    return found['images'], labels if known else None
  own = trained.plan.dataset()
  files = folders.images(keys.dir, 'invert.dir')[: keys.num]
  read = [decode(f.path, own['background'], 'invert.dir') for f in files]
  others = sum(x.shape[:2] != tuple(shape[:2]) for x in read)
  if others:
    print(
      f'note: {others} of {len(read)} images are of another size, and are '
      f'brought to {shape[0]} x {shape[1]} pixels'
    )
  fit = FITS[own['fit']]
  return np.stack([convert(x, shape, fit) for x in read]), None


def _write(
  places: dict[str, pathlib.Path],
  images: np.ndarray,
  found: Inverted,
  scores: np.ndarray,
) -> None:
  """Writes the picture and the archive, or the one that is asked for."""
  if _PICTURE in places:
    blocks = {'image': images, 'inverted': found.images}
    columns = min(len(images), _COLUMNS)
    pictures.save_image(places[_PICTURE], pictures.sheet(blocks, columns))
  if _ARRAYS in places:
    arrays = dict(images=found.images, latents=found.latents, psnr=scores)
    if found.labels is not None:
      arrays['labels'] = found.labels
    if found.styles is not None:
      arrays['styles'] = found.styles
      arrays |= {f'noise_{n}': x for n, x in enumerate(found.noise)}
    with atomic(places[_ARRAYS]) as temporary:
      np.savez_compressed(temporary, **arrays)

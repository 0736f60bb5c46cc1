"""`--mode=upscale`: a folder of images enlarged by a super-resolution run."""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.config import plan
from gan_jax.data import derive
from gan_jax.data.files import File
from gan_jax.data.images import decode, shown
from gan_jax.data.shapes import convert
from gan_jax.features.lpips import SMALLEST
from gan_jax.features.maps import load as load_maps
from gan_jax.metrics.ms_ssim import WINDOW
from gan_jax.metrics.psnr import psnr
from gan_jax.metrics.ssim import ssim
from gan_jax.modes import folders
from gan_jax.pixels import from_uint8
from gan_jax.reporting import pictures
from gan_jax.sampling.weights import WEIGHTS, weights_name
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import layout, output
from gan_jax.workdir.trained import Trained, restore
from gan_jax.workdir.trained_gan import TrainedGAN

SCORES_FILE = 'scores.json'
_PLACES = {'psnr': 2, 'ssim': 4, 'lpips': 4, 'consistency': 2}  # decimal
BICUBIC, RUN = 'bicubic', 'this run'


def upscale(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes an enlarged image for each of `upscale.dir`, under its path.

  With `upscale.shrink` they are shrunk first, by an antialiased cubic as the
  field does, and what comes back is compared with them, and bicubic
  enlargement with it: PSNR and SSIM on Y without a border of `factor` pixels,
  LPIPS where its weights are named, and `consistency`, the PSNR of what is
  shrunk again against what was enlarged. The means are printed, and those of
  each image written in scores.json.

  Args:
    config: `member`, and its `upscale` section: dir, shrink, towards, share,
      weights, checkpoint, ema.
    workdir: of the run.
    out: folder; None for `upscaled` in the workdir.

  Returns:
    The paths written, in the order of the images' paths.

  Raises:
    InputError: there is no run, or one that enlarges nothing; no image, one
      that cannot be read, is too small, or has other channels; two of one name.
  """
  asked = plan.read(config)
  keys = asked.upscale
  trained = restore(workdir, keys.checkpoint, asked.member)
  gan = trained.sampler(ema=keys.ema)
  factor = gan.factor
  if keys.towards:
    gan = _mixed(gan, keys, asked.member)
  distance = _lpips(keys.weights)
  files = folders.images(keys.dir, 'upscale.dir')
  folder = output.folder(out, layout.absolute(workdir) / 'upscaled')
  written = folders.places(folder, files, 'upscale.dir')
  background = trained.plan.dataset()['background']
  scores: dict[str, dict[str, dict[str, float]]] = {}
  for file, path in zip(files, written, strict=True):
    image = decode(file.path, background, 'upscale.dir')
    channels = trained.info.image_shape[-1]
    image = convert(image, (*image.shape[:2], channels), None)
    if keys.shrink:
      image, small = _shrunk(image, factor, file)
      large = gan.enlarge(small)
      ways = {BICUBIC: bicubic(small, factor), RUN: large}
      scores[str(file.relative)] = {
        way: scored(one, image, small, factor, distance)
        for way, one in ways.items()
      }
    else:
      large = gan.enlarge(image)
    pictures.save_image(path, large)
  print(
    f'{len(files)} images enlarged {factor} times at step '
    f'{int(trained.state.step)} ({_weights(trained, keys)}): {folder}'
  )
  if scores:
    _report(folder, scores, factor)
  return written


def _weights(trained: Trained, keys: Any) -> str:
  """Which weights, in words."""
  own = WEIGHTS[weights_name(trained.state, keys.ema)]
  if not keys.towards:
    return own
  return f'{own}, {1 - keys.share:g} of them and {keys.share:g} of others'


def _mixed(gan: TrainedGAN, keys: Any, member: int) -> TrainedGAN:
  """The generator with its weights on the way to those of another run.

  Reference:
    Wang et al., ESRGAN, arXiv 1809.00219, section 3.4.
  """
  other = restore(keys.towards, keys.checkpoint, member).sampler(ema=keys.ema)
  shapes = [
    jax.tree.map(jnp.shape, variables)
    for variables in (gan.variables, other.variables)
  ]
  if shapes[0] != shapes[1]:
    raise InputError(
      f'upscale.towards: the generator of {keys.towards} has other layers than '
      'the one of this run; take two runs of one architecture'
    )
  return gan.with_variables(mixed(gan.variables, other.variables, keys.share))


def mixed(own: Any, other: Any, share: float) -> Any:
  """(1 - share) of one tree and `share` of another, leaf by leaf."""
  return jax.tree.map(lambda a, b: (1.0 - share) * a + share * b, own, other)


def _shrunk(
  image: np.ndarray, factor: int, file: File
) -> tuple[np.ndarray, np.ndarray]:
  """An image cut to a multiple of the factor, and the small one made of it.

  Raises:
    InputError: too little of it is left to be scored.
  """
  height, width = (side - side % factor for side in image.shape[:2])
  least = max(WINDOW + 2 * factor, SMALLEST)
  if min(height, width) < least:
    raise InputError(
      f'upscale.dir: {shown(file.relative)} has {image.shape[1]} x '
      f'{image.shape[0]} pixels, and {least} a side are needed to be shrunk '
      'and scored; take it out, or leave upscale.shrink'
    )
  image = image[:height, :width]
  repeated = np.asarray(derive.low_res(image[None], factor))[0]
  return image, repeated[::factor, ::factor]


def bicubic(image: np.ndarray, factor: int) -> np.ndarray:
  """Bicubic enlargement, uint8 `[h, w, C]` -> `[f h, f w, C]`, a = -.5."""
  from PIL import Image

  height, width, channels = image.shape
  pixels = image[..., 0] if channels == 1 else image
  large = Image.fromarray(pixels).resize(
    (width * factor, height * factor), Image.Resampling.BICUBIC
  )
  return np.asarray(large).reshape(height * factor, width * factor, channels)


def _lpips(weights: str) -> Callable[[np.ndarray, np.ndarray], float] | None:
  """(image, image `[H, W, C]`) -> LPIPS; None without weights."""
  if not weights:
    return None
  distance = jax.jit(load_maps('lpips', weights, 'upscale.').distance)

  def of_pair(one, other):
    pair = (from_uint8(image[None]) for image in (one, other))
    return float(distance(*pair)[0])

  return of_pair


def scored(
  large: np.ndarray,
  image: np.ndarray,
  small: np.ndarray,
  factor: int,
  distance: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> dict[str, float]:
  """How close an enlarged image comes to the one that it was shrunk from.

  Args:
    large: uint8 `[H, W, C]`.
    image: likewise, before it was shrunk.
    small: what was enlarged.
    factor: by which.
    distance: LPIPS of a pair; None to leave it out.

  Returns:
    psnr (dB) and ssim on Y without a border of `factor` pixels; lpips;
    consistency, the PSNR (dB) of `large` shrunk again against `small`.
  """
  pair = large[None], image[None]
  again = np.asarray(derive.low_res(large[None], factor))[:, ::factor, ::factor]
  found = {
    'psnr': float(psnr(*pair, border=factor)[0]),
    'ssim': float(ssim(*pair, border=factor)[0]),
  }
  if distance is not None:
    found['lpips'] = distance(large, image)
  return found | {'consistency': float(psnr(again, small[None])[0])}


def _report(
  folder: pathlib.Path,
  scores: Mapping[str, Mapping[str, Mapping[str, float]]],
  factor: int,
) -> None:
  """Means as a table, and all of it as a file."""
  first = next(iter(scores.values()))
  means = {
    way: {
      name: float(np.mean([of_file[way][name] for of_file in scores.values()]))
      for name in first[way]
    }
    for way in first
  }
  names = list(means[RUN])
  heads = ['psnr (dB)' if x == 'psnr' else x for x in names]
  print(''.join([f'{"":10}', *(f'{head:>13}' for head in heads)]))
  for way, row in means.items():
    cells = (f'{row[name]:13.{_PLACES[name]}f}' for name in names)
    print(''.join([f'{way:10}', *cells]))
  path = folder / SCORES_FILE
  with atomic(path) as temporary:
    temporary.write_text(
      json.dumps({'factor': factor, 'mean': means, 'images': scores}, indent=2)
      + '\n'
    )
  print(f'on Y, without a border of {factor} pixels; of each image: {path}')

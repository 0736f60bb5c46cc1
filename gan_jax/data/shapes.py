"""Images of one shape: which one, and how others are brought to it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gan_jax.data.sources import Source
from gan_jax.types import InputError


def crop(image, size: int):
  """Shorter side to `size`, then the central square."""
  from PIL import ImageOps

  return ImageOps.fit(image, (size, size), method=_lanczos())


def stretch(image, size: int):
  """Both sides to `size`, whatever becomes of the aspect."""
  return image.resize((size, size), _lanczos())


def centre(image, size: int):
  """The central square, no pixel of it changed."""
  width, height = image.size
  if min(width, height) < size:
    raise InputError(
      f'data.fit: centre takes {size} x {size} pixels out of an image, and one '
      f'has {width} x {height}; set a smaller data.image_size, or data.fit=crop'
    )
  left, top = (width - size) // 2, (height - size) // 2
  return image.crop((left, top, left + size, top + size))


FITS = {'crop': crop, 'stretch': stretch, 'centre': centre}


def cut_shape(shape: tuple[int, int, int], size: int) -> tuple[int, int, int]:
  """Of squares cut out of images of a shape; the shape for a size of 0.

  Raises:
    InputError: the images are smaller.
  """
  height, width, channels = shape
  if size > min(height, width):
    raise InputError(
      f'data.crop: {size} x {size} pixels cannot be cut out of images of '
      f'{height} x {width}; take less, or a larger data.image_size'
    )
  return (size, size, channels) if size else shape


def cut(images: np.ndarray, size: int) -> np.ndarray:
  """The central squares of images `[N, H, W, C]`."""
  top, left = ((side - size) // 2 for side in images.shape[1:3])
  return images[:, top : top + size, left : left + size]


def _lanczos():
  from PIL import Image

  return Image.Resampling.LANCZOS


def convert(
  pixels: np.ndarray, image_shape: tuple[int, int, int], fit: Callable | None
) -> np.ndarray:
  """Brings uint8 `[h, w, 1, 3 or 4]` to `image_shape`, grey to RGB or back."""
  if pixels.shape == tuple(image_shape):
    return pixels
  from PIL import Image

  grey = pixels.shape[-1] == 1
  image = Image.fromarray(pixels[..., 0] if grey else pixels[..., :3])
  image = image.convert('L' if image_shape[-1] == 1 else 'RGB')
  if pixels.shape[:2] != tuple(image_shape[:2]):
    image = fit(image, image_shape[0])
  return np.asarray(image).reshape(image_shape)


def _probes(source: Source) -> list[dict[str, Any]]:
  """Some raw examples, evenly spread."""
  indices = np.linspace(0, len(source) - 1, num=min(16, len(source)))
  return [source[int(i)] for i in indices]


def source_shape_of(
  source: Source, image_shape: tuple[int, int, int], channels: int
) -> tuple[int, int, int] | None:
  """(H, W, C') of the sources of pairs: the size of the images; or None."""
  probes = [example.get('source') for example in _probes(source)]
  if any(pixels is None for pixels in probes):
    return None
  found = 1 if all(pixels.shape[-1] == 1 for pixels in probes) else 3
  return (*image_shape[:2], channels or found)


def image_shape_of(source, image_size: int, channels: int, name: str):
  """(H, W, C) as the config says, or as the first images are; a line on it.

  Raises:
    InputError: images of several sizes and no size given.
  """
  shapes = {example['image'].shape for example in _probes(source)}
  grey, remark = all(shape[-1] == 1 for shape in shapes), ()
  if grey and channels == 3:
    remark = ('data: the images are grey; data.channels=1 trains on grey',)
  channels = channels or (1 if grey else 3)
  if image_size:
    return (image_size, image_size, channels), remark
  if len({shape[:2] for shape in shapes}) > 1:
    raise InputError(
      f'data.image_size: the images of {name} differ in size; give one '
      '(pixels), such as --config.data.image_size=64'
    )
  return (*shapes.pop()[:2], channels), remark


def other_shape_of(
  source: Source, image_shape: tuple[int, int, int], channels: int
) -> tuple[int, int, int]:
  """(H, W, C') of images of another domain: as large as the others.

  Raises:
    InputError: they are not, and no size is given.
  """
  shape = image_shape_of(source, image_shape[0], channels, 'the other folder')[
    0
  ]
  return (*image_shape[:2], shape[-1])

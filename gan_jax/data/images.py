"""Image files, decoded by what is in them; they are not trusted."""

import importlib
import pathlib
import re
from typing import Any, BinaryIO

import numpy as np

from gan_jax.types import InputError

# Of an image that is decoded: 8,192 x 8,192, which takes 256 MiB as RGBA. A
# side may have what a JPEG's can: to resize takes memory for each pixel of it.
MOST_PIXELS = 2**26
MOST_PIXELS_OF_SIDE = 2**16 - 1

BACKGROUNDS = ('black', 'white')  # of what is transparent
FORMATS = 'PNG, JPEG, WebP, BMP, TIFF, GIF, PGM and PPM'
SUFFIXES = frozenset(
  '.png .jpg .jpeg .jpe .jfif .webp .bmp .tif .tiff .gif .pbm .pgm .ppm '
  '.pnm'.split()
)
# What files of Pillow's plugins begin with.
_HEADS = {
  'Png': rb'\x89PNG\r\n\x1a\n',
  'Jpeg': rb'\xff\xd8\xff',
  'WebP': rb'(?s)RIFF.{4}WEBP',
  'Bmp': rb'BM',
  'Tiff': rb'II\*\0|MM\0\*|II\+\0|MM\0\+',
  'Gif': rb'GIF8[79]a',
  'Ppm': rb'P[1-6][\s#]',
}


def shown(name: pathlib.PurePath | str | Any) -> str:
  """A name on one line: control characters and odd bytes are escaped."""
  text = str(name)
  return text if text.isprintable() else ascii(text)


def format_of(head: bytes) -> str | None:
  """Pillow's plugin for a file with these first 16 bytes; None: not read."""
  return next((n for n, start in _HEADS.items() if re.match(start, head)), None)


def open_image(file: BinaryIO) -> Any:
  """An image file as Pillow's image; no pixel is decoded yet.

  The first bytes say which of `FORMATS` it is. Not `Image.open`: it tries
  other formats, follows a JPEG to the further pictures behind it, and warns of
  sizes that are refused here.

  Raises:
    ValueError: it is none of them, or larger than `MOST_PIXELS`.
    Exception: Pillow has exceptions of any kind for damage.
  """
  name = format_of(file.read(16))
  file.seek(0)
  if name is None:
    raise ValueError(f'it is none of {FORMATS}')
  plugin = importlib.import_module(f'PIL.{name}ImagePlugin')
  image = getattr(plugin, f'{name}ImageFile')(file)
  width, height = image.size
  if width * height > MOST_PIXELS or max(width, height) > MOST_PIXELS_OF_SIDE:
    raise ValueError(
      f'{width} x {height} pixels are beyond the limit, {MOST_PIXELS:,} in all '
      f'and {MOST_PIXELS_OF_SIDE:,} a side'
    )
  return image


def decode(
  path: Any, background: str = 'black', key: str = 'data.dir'
) -> np.ndarray:
  """uint8 `[H, W, 1 or 3]`.

  Args:
    path: a `pathlib.Path`, or what opens like one.
    background: that transparency is laid on, one of `BACKGROUNDS`.
    key: that names the images, for the message.

  Raises:
    InputError: the file is not a whole image, or too large.
  """
  try:
    return _pixels(path, background)
  except Exception as error:  # damage can show anywhere in a decoder
    skip = key == 'data.dir'
    raise InputError(
      f'{key}: cannot read image {shown(path)}: {reason_of(error)}; replace it'
      + ', or leave out all such with data.skip_broken=True' * skip
    ) from error


def fault_of(path: Any) -> str | None:
  """Why an image cannot be decoded; None if it can."""
  try:
    _pixels(path)
  except Exception as error:
    return reason_of(error)
  return None


def reason_of(error: Exception) -> str:
  """What an error says, on one line."""
  text = ' '.join(str(error).split()) or type(error).__name__
  return shown(text)


def _pixels(path: Any, background: str = 'black') -> np.ndarray:
  from PIL import Image

  with path.open('rb') as file:
    image = open_image(file)
    if image.mode == 'F' or (image.mode, image.format) == ('I', 'TIFF'):
      raise ValueError('32 bits a level are not read, only 8 and 16')
    image = _upright(image)
    deep = image.mode.startswith('I')
    grey = deep or image.mode in ('1', 'L', 'LA')
    if deep:  # 16 bits, which Pillow would clip
      levels = np.asarray(image).astype(np.float64) / 257
      image = Image.fromarray(np.round(levels).clip(0, 255).astype(np.uint8))
    elif 'A' in image.mode or 'transparency' in image.info:
      layer = image.convert('RGBA')
      image = Image.new('RGBA', image.size, background)
      image.alpha_composite(layer)
    pixels = np.asarray(image.convert('L' if grey else 'RGB'))
  return pixels.reshape(*pixels.shape[:2], -1)


def _upright(image: Any) -> Any:
  """Turns an image as its EXIF orientation says, if it has one.

  Not `ImageOps.exif_transpose`, which writes all other tags anew and fails on
  odd ones. Pillow itself turns a TIFF when it decodes it, and forgets the tag.
  """
  from PIL import Image

  image.load()
  turn = Image.Transpose
  turns = {
    2: turn.FLIP_LEFT_RIGHT,
    3: turn.ROTATE_180,
    4: turn.FLIP_TOP_BOTTOM,
    5: turn.TRANSPOSE,
    6: turn.ROTATE_270,
    7: turn.TRANSVERSE,
    8: turn.ROTATE_90,
  }
  orientation = image.getexif().get(0x0112)
  return image.transpose(turns[orientation]) if orientation in turns else image

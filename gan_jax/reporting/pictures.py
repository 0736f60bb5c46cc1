"""Grids of images, with names around them, and animations."""

import functools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from gan_jax.storage.files import atomic

GREY = 64  # between and around images
_GAP = 2  # pixels between images
_SMALLEST = 56  # height of an image, in pixels on the screen
_NARROWEST = 512  # width of a sheet
_TEXT, _SMALL_TEXT = 14, 10  # pixels; the larger is the usual one


def grid(
  images: np.ndarray, columns: int | None = None, smallest: int = _SMALLEST
) -> np.ndarray:
  """Tiles images into one, in reading order, with 2 grey pixels between.

  Args:
    images: uint8 `[N, H, W, C]`.
    columns: images in a row; by default the grid is about square.
    smallest: images of fewer pixels are enlarged by a whole factor.

  Returns:
    uint8 `[H', W', 3]`; a single channel is spread over three.
  """
  scale = max(1, smallest // images.shape[1])
  images = images.repeat(scale, axis=1).repeat(scale, axis=2)
  num, height, width, _ = images.shape
  columns = columns or math.ceil(math.sqrt(num))
  rows = -(-num // columns)
  gap = _GAP
  canvas = np.full(
    (rows * (height + gap) - gap, columns * (width + gap) - gap, 3),
    GREY,
    np.uint8,
  )
  for i, image in enumerate(images):
    top = i // columns * (height + gap)
    left = i % columns * (width + gap)
    canvas[top : top + height, left : left + width] = image
  return canvas


def has_class_columns(num_classes: int) -> bool:
  """Whether images whose labels go in turn are shown one class a column."""
  return 2 <= num_classes <= 20


def columns_of(num: int, num_classes: int = 0) -> int:
  """Images in a row: one class a column if they fit, else about square.

  Few classes come again and again in a row of about eight.
  """
  if has_class_columns(num_classes):
    return num_classes * max(1, 8 // num_classes)
  return math.ceil(math.sqrt(num))


def heads_of(names: Sequence[str], columns: int) -> tuple[str, ...]:
  """Names of classes over as many columns; none where they do not fit."""
  if not has_class_columns(len(names)):
    return ()
  return tuple(names) * (columns // len(names))


def sheet(
  blocks: Mapping[str, np.ndarray],
  columns: int,
  *,
  heads: Sequence[str] = (),
  sides: Sequence[str] = (),
) -> np.ndarray:
  """Grids one below the other, with names around them.

  Args:
    blocks: titles, empty for none -> images uint8 `[N, H, W, C]`.
    columns: images in a row.
    heads: names of the columns, one each; shortened where they do not fit.
    sides: names of the rows of the last block, of one line or several.

  Returns:
    uint8 `[H', W', 3]`, 512 pixels wide or more: all images are enlarged by
    one whole factor.
  """
  from PIL import Image, ImageDraw

  height, width = next(iter(blocks.values())).shape[1:3]
  room = _NARROWEST + _GAP - columns * _GAP
  scale = max(-(-room // (columns * width)), _SMALLEST // height, 1)
  height, width = height * scale, width * scale
  grids = {
    title: grid(images, columns, smallest=height)
    for title, images in blocks.items()
  }
  total = columns * (width + _GAP) - _GAP
  size = max(_TEXT, total // 60)
  line, left, top = 2 * size, 0, 0
  if sides:
    most = max(side.count('\n') + 1 for side in sides)
    font = _font(min(size, max(_SMALL_TEXT, height // most - 4)))
    words = '\n'.join(sides).split('\n')
    left = math.ceil(max(map(font.getlength, words))) + size
  tall = sum(len(part) + line * bool(title) for title, part in grids.items())
  tall += line * bool(heads)
  canvas = Image.new('RGB', (left + total, tall), (GREY,) * 3)
  draw = ImageDraw.Draw(canvas)
  if heads:
    _write_heads(draw, heads, (left, line // 2), width, size)
    top += line
  for title, part in grids.items():
    if title:
      place = (left + size // 2, top + line // 2)
      draw.text(place, title, 'white', _font(size), anchor='lm')
      top += line
    canvas.paste(Image.fromarray(part), (left, top))
    last, top = top, top + len(part)
  for i, side in enumerate(sides):
    middle = last + i * (height + _GAP) + height // 2
    place = (left - size // 2, middle)
    draw.text(place, side, 'white', font, anchor='rm', spacing=2, align='right')
  return np.asarray(canvas)


def _write_heads(draw, heads, start, width: int, size: int) -> None:
  """Names above columns: as small as needed, then shortened."""
  room = width - 2
  sizes = range(size, _SMALL_TEXT - 1, -1)
  fitting = (s for s in sizes if max(map(_font(s).getlength, heads)) <= room)
  font = _font(next(fitting, _SMALL_TEXT))
  for i, head in enumerate(heads):
    place = (start[0] + i * (width + _GAP) + width // 2, start[1])
    draw.text(place, _shortened(head, font, room), 'white', font, anchor='mm')


def _shortened(text: str, font, room: int) -> str:
  """The text, or as much of its start as fits, with an ellipsis."""
  if font.getlength(text) <= room:
    return text
  while text and font.getlength(f'{text}…') > room:
    text = text[:-1]
  return f'{text}…'


@functools.cache
def _font(size: int):
  """Matplotlib's DejaVu, which knows more letters than Pillow's own font."""
  import matplotlib
  from PIL import ImageFont

  file = pathlib.Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')
  # Of the two ways to lay out text, the one that every Pillow has.
  basic = ImageFont.Layout.BASIC
  return ImageFont.truetype(str(file), size, layout_engine=basic)


ABREAST = 'source', 'result', 'target'


def abreast(
  sources: np.ndarray, results: np.ndarray, targets: np.ndarray
) -> np.ndarray:
  """Source | result | target of each example, for `sheet` or `grid`.

  Args:
    sources: uint8 `[N, H, W, c]`.
    results: uint8 `[N, H, W, C]`.
    targets: uint8 `[N, H, W, C]`.

  Returns:
    uint8 `[3 N, H, W, 3]`.
  """
  shape = *results.shape[:-1], 3
  columns = [np.broadcast_to(x, shape) for x in (sources, results, targets)]
  return np.stack(columns, axis=1).reshape(-1, *shape[1:])


def save_image(path: pathlib.Path, image: np.ndarray) -> None:
  """Writes uint8 `[H, W, C]` of 1 or 3 channels as PNG, atomically."""
  from PIL import Image

  if image.shape[-1] == 1:
    image = image[..., 0]
  with atomic(path) as temporary:
    Image.fromarray(image).save(temporary)


def save_gif(
  path: pathlib.Path, frames: list[np.ndarray], milliseconds: int = 80
) -> None:
  """Writes frames uint8 `[H, W, 3]` as an endless GIF, atomically."""
  with atomic(path) as temporary:
    write_gif(temporary, frames, milliseconds)


def write_gif(
  target: pathlib.Path | BinaryIO,
  frames: list[np.ndarray],
  milliseconds: int,
) -> None:
  """As `save_gif`, to where it is told."""
  from PIL import Image

  first, *others = [Image.fromarray(frame) for frame in frames]
  first.save(
    target,
    format='GIF',
    save_all=True,
    append_images=others,
    duration=milliseconds,
    loop=0,
  )

"""Grids of images, and animations."""

import math
import pathlib

import numpy as np

from gan_jax.storage.files import atomic


def grid(
  images: np.ndarray, columns: int | None = None, smallest: int = 56
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
  gap = 2
  canvas = np.full(
    (rows * (height + gap) - gap, columns * (width + gap) - gap, 3),
    64,
    np.uint8,
  )
  for i, image in enumerate(images):
    top = i // columns * (height + gap)
    left = i % columns * (width + gap)
    canvas[top : top + height, left : left + width] = image
  return canvas


def labelled_grid(images: np.ndarray, num_classes: int) -> np.ndarray:
  """A grid of images whose labels go in turn, one class a column if it fits."""
  return grid(images, num_classes if 2 <= num_classes <= 20 else None)


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
  from PIL import Image

  first, *others = [Image.fromarray(frame) for frame in frames]
  with atomic(path) as temporary:
    first.save(
      temporary,
      save_all=True,
      append_images=others,
      duration=milliseconds,
      loop=0,
    )

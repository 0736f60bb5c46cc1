"""A folder of PNG and JPEG images, decoded on access."""

import pathlib
import zlib
from typing import Any

import numpy as np

from gan_jax.data.sources import Splits, num_kept
from gan_jax.types import InputError

_SUFFIXES = ('.png', '.jpg', '.jpeg')


class Folder:
  """Images of a folder, decoded on access."""

  def __init__(self, paths: list[pathlib.Path], labels: list[int] | None):
    self._paths, self._labels = paths, labels

  def __len__(self) -> int:
    return len(self._paths)

  def __getitem__(self, index: int) -> dict[str, Any]:
    example = {'image': _decode(self._paths[index])}
    if self._labels is not None:
      example['label'] = self._labels[index]
    return example


def _decode(path: pathlib.Path) -> np.ndarray:
  """uint8 `[H, W, 1 or 3]`; transparency is laid on black.

  Raises:
    InputError: the file is not a whole image.
  """
  from PIL import Image

  try:
    with Image.open(path) as file:
      image = _upright(file)
      grey = image.mode in ('1', 'L', 'LA') or image.mode.startswith('I')
      if image.mode.startswith('I'):  # 16 bits, which Pillow would clip
        levels = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(np.round(levels).clip(0, 255).astype(np.uint8))
      elif 'A' in image.mode or 'transparency' in image.info:
        layer = image.convert('RGBA')
        image = Image.new('RGBA', image.size, 'black')
        image.alpha_composite(layer)
      pixels = np.asarray(image.convert('L' if grey else 'RGB'))
  except (
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
  ) as error:
    raise InputError(
      f'data.dir: cannot read image {path}: {error}; replace or remove it'
    ) from error
  return pixels.reshape(*pixels.shape[:2], -1)


def _upright(image):
  """Turns an image as its EXIF orientation says, if it has one.

  Not `ImageOps.exif_transpose`, which writes all other tags anew and fails on
  odd ones.
  """
  from PIL import Image

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


def _find_images(root: pathlib.Path) -> list[pathlib.Path]:
  return sorted(
    path
    for path in root.rglob('*')
    if path.suffix.lower() in _SUFFIXES
    and not any(part.startswith('.') for part in path.relative_to(root).parts)
    and path.is_file()
  )


def open_folder(data_dir: str | None, test_fraction: float) -> Splits:
  """Opens a folder of PNG and JPEG images, searched in depth.

  If every image lies in a subfolder, the first level of subfolders are the
  classes, in alphabetical order. If the first level is `train` and `test`,
  those are the splits, and the classes lie below. Otherwise a share of the
  images is held out, chosen by a hash of the file's path.

  Args:
    data_dir: the folder.
    test_fraction: share of the images to hold out.

  Raises:
    InputError: no such folder, or no images in it.
  """
  if not data_dir:
    raise InputError('data.dir: data.name=folder needs the path of a folder')
  root = pathlib.Path(data_dir).expanduser()
  if not root.is_dir():
    raise InputError(f'data.dir: {root} is not a folder')
  if not _find_images(root):
    raise InputError(f'data.dir: no PNG or JPEG images in {root}')
  folders = {p.name for p in root.iterdir() if p.is_dir()}
  if {name for name in folders if name[0] != '.'} == {'train', 'test'}:
    roots = (root / 'train', root / 'test')
    found = [[(p, p.relative_to(r)) for p in _find_images(r)] for r in roots]
    for folder, paths in zip(roots, found, strict=True):
      if not paths:
        raise InputError(f'data.dir: no PNG or JPEG images in {folder}')
  else:
    found = _hold_out(
      [(p, p.relative_to(root)) for p in _find_images(root)], test_fraction
    )
  everything = [relative for split in found for _, relative in split]
  class_names = ()
  if all(len(relative.parts) > 1 for relative in everything):
    class_names = tuple(sorted({relative.parts[0] for relative in everything}))

  def source(split):
    labels = None
    if class_names:
      labels = [class_names.index(relative.parts[0]) for _, relative in split]
    return Folder([path for path, _ in split], labels)

  return Splits(source(found[0]), source(found[1]), class_names)


def _hold_out(paths, test_fraction):
  """Splits (path, relative path) pairs, at least one image on each side."""
  kept = num_kept(len(paths), test_fraction, f'data.dir: {paths[0][0].parent}')
  by_hash = sorted(
    paths, key=lambda pair: zlib.crc32(pair[1].as_posix().encode())
  )
  held_out = len(paths) - kept
  return sorted(by_hash[held_out:]), sorted(by_hash[:held_out])

"""A folder of PNG and JPEG images, decoded on access.

Images are not trusted: see `open_image`.
"""

import pathlib
import zlib
from typing import Any, BinaryIO

import numpy as np

from gan_jax.data.sources import Splits, file_facts, num_kept
from gan_jax.types import InputError

# Names of the folder beside `train` that is held out, the first one found.
_HELD_OUT = ('test', 'val', 'validation')
_SUFFIXES = ('.png', '.jpg', '.jpeg')
# Of an image that is decoded: 8,192 x 8,192, which takes 256 MiB as RGBA. A
# side may have what a JPEG's can: to resize takes memory for each pixel of it.
MOST_PIXELS = 2**26
MOST_PIXELS_OF_SIDE = 2**16 - 1


class Folder:
  """Images of a folder, decoded on access."""

  def __init__(
    self,
    paths: list[pathlib.Path],
    labels: list[int] | None,
    origin: str = '',
  ):
    self._paths, self._labels, self.origin = paths, labels, origin

  def __len__(self) -> int:
    return len(self._paths)

  def __getitem__(self, index: int) -> dict[str, Any]:
    example = {'image': _decode(self._paths[index])}
    if self._labels is not None:
      example['label'] = self._labels[index]
    return example

  def fingerprint(self) -> Any:
    """See `sources`."""
    return [file_facts(self._paths), self._labels]


def shown(path: pathlib.Path) -> str:
  """A path on one line: control characters and odd bytes are escaped."""
  text = str(path)
  return text if text.isprintable() else ascii(text)


def open_image(file: BinaryIO) -> Any:
  """A PNG or JPEG as Pillow's image; no pixel is decoded yet.

  The first bytes say which of the two it is. Not `Image.open`: it tries other
  formats, follows a JPEG to the further pictures behind it, and warns of sizes
  that are refused here.

  Raises:
    ValueError: it is neither, or larger than `MOST_PIXELS`.
    Exception: Pillow has exceptions of any kind for damage.
  """
  from PIL import JpegImagePlugin, PngImagePlugin

  head = file.read(8)
  file.seek(0)
  if head == b'\x89PNG\r\n\x1a\n':
    image = PngImagePlugin.PngImageFile(file)
  elif head.startswith(b'\xff\xd8\xff'):
    image = JpegImagePlugin.JpegImageFile(file)
  else:
    raise ValueError('it is neither PNG nor JPEG')
  width, height = image.size
  if width * height > MOST_PIXELS or max(width, height) > MOST_PIXELS_OF_SIDE:
    raise ValueError(
      f'{width} x {height} pixels are beyond the limit, {MOST_PIXELS:,} in all '
      f'and {MOST_PIXELS_OF_SIDE:,} a side'
    )
  return image


def _decode(path: pathlib.Path) -> np.ndarray:
  """uint8 `[H, W, 1 or 3]`; transparency is laid on black.

  Raises:
    InputError: the file is not a whole image, or too large.
  """
  from PIL import Image

  try:
    with path.open('rb') as file:
      image = _upright(open_image(file))
      grey = image.mode in ('1', 'L', 'LA') or image.mode.startswith('I')
      if image.mode.startswith('I'):  # 16 bits, which Pillow would clip
        levels = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(np.round(levels).clip(0, 255).astype(np.uint8))
      elif 'A' in image.mode or 'transparency' in image.info:
        layer = image.convert('RGBA')
        image = Image.new('RGBA', image.size, 'black')
        image.alpha_composite(layer)
      pixels = np.asarray(image.convert('L' if grey else 'RGB'))
  except Exception as error:  # damage can show anywhere in a decoder
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise InputError(
      f'data.dir: cannot read image {shown(path)}: {reason}; replace it'
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
  classes, in alphabetical order. If the first level has `train` and one of
  `test`, `val` and `validation`, those are the splits, the classes lie below,
  and nothing else is read. Otherwise a share of the images is held out, chosen
  by a hash of the file's path.

  Args:
    data_dir: the folder.
    test_fraction: share of the images to hold out.

  Raises:
    InputError: no such folder, or no images in it.
  """
  if not data_dir:
    raise InputError('data.dir: data.name=folder needs the path of a folder')
  try:
    root = pathlib.Path(data_dir).expanduser()
    if not root.is_dir():
      raise InputError(f'data.dir: {shown(root)} is not a folder')
    return _open(root, test_fraction)
  except (OSError, RuntimeError) as error:  # no permission; ~ of nobody
    raise InputError(f'data.dir: cannot read {data_dir!r}: {error}') from error


def _open(root: pathlib.Path, test_fraction: float) -> Splits:
  paths = _find_images(root)
  if not paths:
    raise InputError(f'data.dir: no PNG or JPEG images in {shown(root)}')
  images = [(path, path.relative_to(root)) for path in paths]
  folders = {path.name for path in root.iterdir() if path.is_dir()}
  held_out = next((name for name in _HELD_OUT if name in folders), None)
  if 'train' in folders and held_out:
    roots = (root / 'train', root / held_out)
    found = [[(p, p.relative_to(r)) for p in _find_images(r)] for r in roots]
    for folder, split in zip(roots, found, strict=True):
      if not split:
        raise InputError(f'data.dir: no PNG or JPEG images in {shown(folder)}')
  else:
    found = _hold_out(images, test_fraction)
  everything = [relative for split in found for _, relative in split]
  class_names = ()
  if all(len(relative.parts) > 1 for relative in everything):
    class_names = tuple(sorted({relative.parts[0] for relative in everything}))

  def source(name, split):
    labels = None
    if class_names:
      labels = [class_names.index(relative.parts[0]) for _, relative in split]
    origin = f'{name} of {root.absolute()}'
    return Folder([path for path, _ in split], labels, origin)

  names = '\n'.join(sorted(relative.as_posix() for relative in everything))
  version = f'{len(everything)} files, crc32 {_crc32(names):08x}'
  train, test = source('train', found[0]), source('test', found[1])
  return Splits(train, test, class_names, version)


def _crc32(name: str) -> int:
  """Of a file's name, which need not be text."""
  return zlib.crc32(name.encode(errors='surrogateescape'))


def _hold_out(paths, test_fraction):
  """Splits (path, relative path) pairs, at least one image on each side."""
  where = f'data.dir: {shown(paths[0][0].parent)}'
  kept = num_kept(len(paths), test_fraction, where)
  by_hash = sorted(paths, key=lambda pair: _crc32(pair[1].as_posix()))
  held_out = len(paths) - kept
  return sorted(by_hash[held_out:]), sorted(by_hash[:held_out])

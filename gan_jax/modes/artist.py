"""Pictures of an `Explorer` as files, for a page or a program that asks."""

import base64
import datetime
import io
import pathlib
import re
from typing import Any

import numpy as np

from gan_jax.config.serving import Explore
from gan_jax.modes.explorer import Explorer, Wish
from gan_jax.reporting import pictures
from gan_jax.sampling.inversion import Inverted
from gan_jax.sampling.labels import class_index
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import layout

_LARGEST = 20_000_000  # bytes of an upload
_SMALLEST = 96  # pixels of an image on the page
_FRAMES = 48


class Artist:
  """Pictures of an `Explorer` as files of PNG and GIF.

  Attributes:
    explorer: that draws.
    name: of the run.
  """

  def __init__(self, explorer: Explorer, path: pathlib.Path):
    """Takes what draws, and the workdir, where pictures are saved."""
    self.explorer, self.name = explorer, path.name
    self._folder = path / 'explore'

  def first(self, keys: Explore) -> Wish:
    """What the page begins with.

    Raises:
      InputError: a class that there is not.
    """
    label = keys.class_label
    return Wish(
      seed=keys.seed,
      label=None if label is None else self.label_of(str(label)),
      truncation=keys.truncation,
      psi=keys.psi,
    )

  def wish_of(self, query: dict[str, str]) -> Wish:
    """A wish as an address has it.

    Raises:
      InputError: a name or a value that there is not.
    """
    known = {name: value for name, value in query.items() if value != ''}
    fields: dict[str, Any] = {}
    kinds = dict(seed=int, truncation=float, psi=float, mix=int, layer=int)
    for name, kind in kinds.items():
      if name in known:
        text = known.pop(name)
        try:
          fields[name] = kind(text)
        except ValueError as error:
          raise InputError(f'{name}: {text[:40]!r} is no number') from error
    for name in ('seed', 'mix'):
      if not 0 <= fields.get(name, 0) < 2**32 - 1:
        raise InputError(f'{name}: {fields[name]} is no seed')
    for name in ('truncation', 'psi'):
      if not 0 <= fields.get(name, 0.0) <= 10:
        raise InputError(f'{name}: {fields[name]} is not from 0 to 10')
    fields['text'] = known.pop('text', '')
    if 'label' in known:
      fields['label'] = self.label_of(known.pop('label'))
    try:
      amounts = tuple((name, float(x)) for name, x in known.items())
    except ValueError as error:
      raise InputError(f'{error}') from error
    return Wish(**fields, amounts=amounts)

  def label_of(self, text: str) -> int:
    """A class by its number or name."""
    gan = self.explorer.gan
    label = int(text) if re.fullmatch('-?[0-9]{1,9}', text) else text
    return class_index(label, gan.num_classes, gan.class_names)

  def png(self, wish: Wish, inverted: Inverted | None = None) -> bytes:
    """A grid of images."""
    return as_png(self._grid(self.explorer.images(wish, inverted)))

  def gif(self, wish: Wish, frames: int = _FRAMES) -> bytes:
    """A walk from the wish's seed to the next, and back."""
    walk, data = self.explorer.walk(wish, frames), io.BytesIO()
    pictures.write_gif(data, list(map(self._grid, walk)), milliseconds=60)
    return data.getvalue()

  def _grid(self, images: np.ndarray) -> np.ndarray:
    gan = self.explorer.gan
    columns = pictures.columns_of(len(images), gan.num_classes)
    return pictures.grid(images, min(columns, len(images)), _SMALLEST)

  def save(self, wish: Wish, inverted: Inverted | None = None) -> pathlib.Path:
    """Writes what is shown: a picture, its images, and how to have it again.

    Raises:
      InputError: the folder cannot be written.
    """
    images = self.explorer.images(wish, inverted)
    now = datetime.datetime.now().strftime('%Y%m%d_%H%M%S_%f')
    path = layout.prepare(self._folder, 'workdir') / f'{now}.png'
    pictures.save_image(path, self._grid(images))
    with atomic(path.with_suffix('.npz')) as temporary:
      np.savez_compressed(temporary, images=images)
    fields = wish._asdict() | {'amounts': dict(wish.amounts)}
    layout.write_json(path.with_suffix('.json'), fields)
    return path

  def upload(self, data: bytes) -> tuple[str, bytes | Inverted]:
    """Inverts or translates an uploaded image.

    Returns:
      A line about it; and what was inverted, or a picture to show.

    Raises:
      InputError: it is no image, or the run takes none.
    """
    image = _decoded(data)
    if self.explorer.can_edit:
      found, decibels = self.explorer.invert(image)
      return f'drawn again at {decibels:.1f} dB; sliders move it', found
    both = self.explorer.translate(image)
    shown = [as_png(pictures.grid(x, 1, 2 * _SMALLEST)) for x in both]
    return 'translated', _abreast(shown)


def as_png(image: np.ndarray) -> bytes:
  """uint8 `[H, W, C]` as PNG."""
  from PIL import Image

  data = io.BytesIO()
  Image.fromarray(image).save(data, 'PNG', compress_level=1)
  return data.getvalue()


def address(data: bytes, kind: str = 'png') -> str:
  """A picture as an address that holds it."""
  return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def _decoded(data: bytes) -> np.ndarray:
  """Pixels uint8 `[h, w, C]` of an uploaded file.

  Raises:
    InputError: it is too large, or no image.
  """
  from PIL import Image

  if len(data) > _LARGEST:
    raise InputError(f'upload: more than {_LARGEST:,} bytes')
  try:
    with Image.open(io.BytesIO(data)) as image:
      if image.width * image.height > 2**24:
        raise InputError('upload: more than 16 million pixels')
      return np.asarray(image.convert('RGB'))
  except (OSError, ValueError, Image.DecompressionBombError) as error:
    raise InputError(f'upload: no image that can be read: {error}') from error


def _abreast(both: list[bytes]) -> bytes:
  from PIL import Image

  left, right = (Image.open(io.BytesIO(data)) for data in both)
  canvas = Image.new(
    'RGB', (left.width + right.width + 8, max(left.height, right.height))
  )
  canvas.paste(left, (0, 0))
  canvas.paste(right, (left.width + 8, 0))
  return as_png(np.asarray(canvas))

"""Random access to the raw examples of a dataset: TFDS, or a folder.

A source is a sequence of `{'image': uint8 [H, W, C], 'label': int}` (labels
only where there are any), the protocol of `tfds.data_source`.
"""

import contextlib
import difflib
import logging
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.types import InputError

Source = Sequence[dict[str, Any]]


class Splits(NamedTuple):
  """A dataset's sources and what its labels are called.

  Attributes:
    train: examples to train on.
    test: held-out examples, never trained on.
    class_names: names of the labels, empty if there are none.
  """

  train: Source
  test: Source
  class_names: tuple[str, ...]


# --- TFDS -------------------------------------------------------------------


class _Renamed:
  """A TFDS data source whose features are called image and label."""

  def __init__(self, source, image_key: str, label_key: str | None):
    self._source, self._keys = source, (image_key, label_key)

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict[str, Any]:
    example = self._source[index]
    image_key, label_key = self._keys
    renamed = {'image': example[image_key]}
    if label_key is not None:
      renamed['label'] = example[label_key]
    return renamed


@contextlib.contextmanager
def _quiet():
  """Keeps absl's advice (install OpenCV, ...) out of the terminal."""
  logger = logging.getLogger('absl')
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)


def _tfds_builder(name: str, data_dir: str | None):
  """Finds a builder, prepared or not.

  Raises:
    InputError: TFDS knows no such dataset and none is prepared.
  """
  import tensorflow_datasets as tfds

  from gan_jax.data import digits  # noqa: F401  registers the builder

  try:
    builder = tfds.builder(name, data_dir=data_dir)
    if builder.data_path.exists():
      return builder
    return tfds.builder(name, data_dir=data_dir, file_format='array_record')
  except (
    tfds.core.DatasetNotFoundError,
    ImportError,
    ValueError,
    AssertionError,
  ) as error:
    builders = tfds.list_builders(with_community_datasets=False)
    known = ['digits', 'folder', *builders]
    near = difflib.get_close_matches(name, known, 3) or ['mnist', 'cifar10']
    raise InputError(
      f'data.name: no dataset {name!r}; valid: digits, folder, or any image '
      f'dataset of TFDS such as {", ".join(near)}'
    ) from error


def _prepare(builder, data_dir: str | None) -> None:
  """Downloads and prepares a dataset on first use, with TFDS's progress.

  Raises:
    InputError: it cannot be had, most likely for want of a network.
  """
  if builder.data_path.exists():
    return
  try:
    _check_reachable(builder)
    builder.download_and_prepare()
  except Exception as error:  # every downloader has exceptions of its own
    where = data_dir or '~/tensorflow_datasets (or TFDS_DATA_DIR)'
    reason = str(error).strip().split('\n')[0] or type(error).__name__
    raise InputError(
      f'data.name: cannot prepare {builder.name}: {reason[:200]}. Without a '
      f'network, put the dataset prepared elsewhere (array_record) under '
      f'{where}, or its downloaded files where `tfds build --manual_dir` '
      'finds them'
    ) from error


def _check_reachable(builder) -> None:
  """Fails within seconds where TFDS would try again for minutes.

  Does nothing once anything has been downloaded: the rest may be there too.
  """
  import requests

  downloads = pathlib.Path(builder.data_dir_root) / 'downloads'
  if not downloads.exists():
    for url in list(builder.url_infos or ())[:1]:
      requests.head(url, timeout=10)


def _feature_keys(builder) -> tuple[str, str | None]:
  """Names of the image and label features.

  Raises:
    InputError: there is no image.
  """
  import tensorflow_datasets as tfds

  features = dict(builder.info.features)
  images = [
    key
    for key, feature in features.items()
    if isinstance(feature, tfds.features.Image)
    or (len(feature.shape or ()) == 3 and feature.np_dtype == np.uint8)
  ]
  labels = [
    key
    for key, feature in features.items()
    if isinstance(feature, tfds.features.ClassLabel)
  ]
  if not images:
    raise InputError(
      f'data.name: {builder.name} has no image feature, only '
      f'{", ".join(features)}'
    )

  def choose(keys, usual):
    return usual if usual in keys else keys[0]

  return choose(images, 'image'), choose(labels, 'label') if labels else None


def _num_kept(num: int, test_fraction: float, where: str) -> int:
  """How many of `num` images to train on, at least one left on either side."""
  if num < 2:
    raise InputError(
      f'{where} has a single image; training needs two at least, one of them '
      'held out'
    )
  return num - min(max(1, round(num * test_fraction)), num - 1)


def open_tfds(name: str, data_dir: str | None, test_fraction: float) -> Splits:
  """Opens a TFDS dataset, preparing it on first use.

  Args:
    name: of the dataset, with `/config` and `:version` if wanted.
    data_dir: where prepared datasets are; None for TFDS's default.
    test_fraction: share of train to hold out where there is no test split.

  Raises:
    InputError: unknown, without images, or not to be had.
  """
  with _quiet():
    builder = _tfds_builder(name, data_dir)
    _prepare(builder, data_dir)
    image_key, label_key = _feature_keys(builder)
    splits = builder.info.splits
    if 'train' not in splits:
      raise InputError(
        f'data.name: {name} has no train split, only {", ".join(splits)}'
      )
    held_out = [s for s in ('test', 'validation') if s in splits]
    if held_out:
      names = ('train', held_out[0])
    else:
      kept = _num_kept(
        splits['train'].num_examples, test_fraction, f'data.name: {name}'
      )
      names = (f'train[:{kept}]', f'train[{kept}:]')
    try:
      train, test = (builder.as_data_source(split=split) for split in names)
    except NotImplementedError as error:
      raise InputError(
        f'data.name: {builder.data_path} is not in array_record format; '
        "prepare it again in another data.dir with file_format='array_record'"
      ) from error
  class_names = ()
  if label_key is not None:
    class_names = tuple(builder.info.features[label_key].names)
  return Splits(
    _Renamed(train, image_key, label_key),
    _Renamed(test, image_key, label_key),
    class_names,
  )


# --- Folders ----------------------------------------------------------------

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
  from PIL import Image, ImageOps

  try:
    with Image.open(path) as file:
      image = ImageOps.exif_transpose(file)
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
  kept = _num_kept(len(paths), test_fraction, f'data.dir: {paths[0][0].parent}')
  by_hash = sorted(
    paths, key=lambda pair: zlib.crc32(pair[1].as_posix().encode())
  )
  held_out = len(paths) - kept
  return sorted(by_hash[held_out:]), sorted(by_hash[:held_out])

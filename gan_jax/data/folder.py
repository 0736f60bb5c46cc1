"""A folder or a ZIP of images: splits, classes, and what is said of them."""

import concurrent.futures
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import beside as beside_lib
from gan_jax.data import files as files_lib
from gan_jax.data import pairs
from gan_jax.data.division import Division, divide, divide_side
from gan_jax.data.files import File
from gan_jax.data.images import FORMATS, decode, fault_of, shown
from gan_jax.data.sources import Splits, file_facts
from gan_jax.storage.cache import digest_arrays
from gan_jax.types import InputError

# Kinds of files that nobody takes for images that should have been read.
_BESIDE = frozenset(
  '.txt .json .jsonl .csv .tsv .xml .yaml .yml .toml .ini .cfg .log .md .rst '
  '.html .htm .pdf .py .ipynb .sh .db .sqlite .url .nfo .xmp .aae .md5 .sha256 '
  '.caption'.split()
) | {'without a suffix', files_lib.NO_FILES}

NOTHING = beside_lib.Wanted()
_NO_COLUMNS = beside_lib.Columns()


class Folder:
  """Images of a folder or a ZIP, decoded on access."""

  def __init__(
    self,
    paths: list[Any],
    labels: list[int] | None,
    origin: str = '',
    *,
    partners: list[Any] | None = None,
    halves: str = '',
    beside: Mapping[str, np.ndarray] | None = None,
    background: str = 'black',
  ):
    """Names the files.

    Args:
      paths: of the images.
      labels: of each, or None.
      origin: see `sources`.
      partners: paths of their sources; None for none.
      halves: a direction of `pairs`, if each file holds a pair side by side.
      beside: further columns `[N, ...]`, see `beside.columns`.
      background: see `decode`.
    """
    self._paths, self._labels, self.origin = paths, labels, origin
    self._partners, self._halves = partners, halves
    self._beside = dict(beside or {})
    self._background = background

  def __len__(self) -> int:
    return len(self._paths)

  def __getitem__(self, index: int) -> dict[str, Any]:
    path, behind = self._paths[index], self._background
    if self._partners is not None:
      example = pairs.read_pair(path, self._partners[index], behind)
    elif self._halves:
      example = pairs.read_halves(path, self._halves, behind)
    else:
      example = {'image': decode(path, behind)}
    if self._labels is not None:
      example['label'] = self._labels[index]
    return example | {k: rows[index] for k, rows in self._beside.items()}

  def fingerprint(self) -> Any:
    """See `sources`."""
    facts = [file_facts(self._paths), self._labels]
    if self._partners is not None:
      facts.append(file_facts(self._partners))
    if self._beside:
      facts.append(digest_arrays(self._beside.values()))
    if self._background != 'black':
      facts.append(self._background)
    return facts + [self._halves] * bool(self._halves)


def open_folder(
  data_dir: str | None,
  test_fraction: float,
  *,
  skip_broken: bool = False,
  layout: str = 'single',
  direction: str = 'a2b',
  wanted: beside_lib.Wanted = NOTHING,
  background: str = 'black',
) -> Splits:
  """Opens a folder or a ZIP of images, searched in depth.

  If every image lies in a subfolder, the first level of subfolders are the
  classes, in alphabetical order. If the first level has `train` and one of
  `test`, `val` and the like, in any case, those are the splits, the classes
  lie below, and nothing else is read; a test split is preferred. Otherwise a
  share of the images is held out, chosen by a hash of the file's path.

  Args:
    data_dir: the folder or the ZIP.
    test_fraction: share of the images to hold out.
    skip_broken: decode every image once, and leave out those that cannot be.
    layout: one of `pairs.LAYOUTS`. Of `paired` and `unpaired`, all of the
      above lies in each of the folders `A` and `B`.
    direction: a2b or b2a, from the sources to the images.
    wanted: what else comes with each image, from files beside them.
    background: that transparency is laid on, see `decode`.

  Raises:
    InputError: no such folder, no images in it, more files of kinds that are
      not read, or images without their pair.
  """
  if not data_dir:
    raise InputError(
      'data.dir: data.name=folder needs the path of a folder, or of a ZIP'
    )
  try:
    root = pathlib.Path(data_dir).expanduser()
    layout = _Layout(layout, direction, wanted, background)
    return _open(root, test_fraction, skip_broken, layout)
  except (OSError, RuntimeError) as error:  # no permission; ~ of nobody
    raise InputError(f'data.dir: cannot read {data_dir!r}: {error}') from error


class _Layout(NamedTuple):
  """What comes with an image, see `open_folder`."""

  name: str
  direction: str
  wanted: beside_lib.Wanted
  background: str

  @property
  def halves(self) -> str:
    """See `Folder`."""
    return self.direction if self.name == 'halves' else ''


def _open(
  root: pathlib.Path, test_fraction: float, skip_broken: bool, layout: _Layout
) -> Splits:
  found = files_lib.find(root)
  _check_kinds(root, found)
  images, broken = found.files, []
  if skip_broken:
    images, broken = _decodable(images)
  if not images:
    raise InputError(_none_in(root, found.ignored, broken))
  partners = None
  if layout.name in ('single', 'halves'):
    parts = divide(root, found.folders, images, test_fraction)
  else:
    source, target = pairs.sides(layout.direction)
    if layout.name == 'paired':
      partners = pairs.matched(root, found.files, layout.direction)
      kept = {file.path for file in images}
      images = [x for x in images if partners.get(x.path, x.path) in kept]
    parts = divide_side(root, images, target, layout.name, test_fraction)
  beside = beside_lib.columns(root, found, layout.wanted, parts[:2])
  splits = _as_splits(parts, root.absolute(), layout, partners, beside)
  everything = parts.train + parts.test
  if partners is not None:
    everything += [x._replace(path=partners[x.path]) for x in everything]
  elif layout.name == 'unpaired':
    others = divide_side(root, images, source, layout.name, test_fraction)
    everything += others.train + others.test
    others = _as_splits(others, root.absolute() / source, layout)
    splits = splits._replace(others=(others.train, others.test))
  return splits._replace(
    version=', '.join(
      [
        files_lib.version(everything),
        *beside.versions,
        *[f'on {layout.background}'] * (layout.background != 'black'),
      ]
    ),
    summary=_summary(root, parts, splits.class_names, found.ignored, broken),
  )


def _as_splits(
  parts: Division,
  origin: pathlib.Path,
  layout: _Layout,
  partners: dict[Any, Any] | None = None,
  beside: beside_lib.Columns = _NO_COLUMNS,
) -> Splits:
  """Both splits with their classes; see `Folder`."""
  everything = parts.train + parts.test
  class_names = ()
  if all(len(file.relative.parts) > 1 for file in everything):
    class_names = tuple(sorted({file.relative.parts[0] for file in everything}))
  numbers = {name: i for i, name in enumerate(class_names)}

  def source(name, split):
    labels = None
    if class_names:
      labels = [numbers[file.relative.parts[0]] for file in split]
    paths = [file.path for file in split]
    return Folder(
      paths,
      labels,
      f'{name} of {origin}',
      partners=partners and [partners[path] for path in paths],
      halves=layout.halves,
      background=layout.background,
      beside=getattr(beside, name),
    )

  return Splits(
    source('train', parts.train),
    source('test', parts.test),
    class_names,
    vocabulary=beside.vocabulary,
    beside={name: rows[:1] for name, rows in beside.train.items()},
  )


def _check_kinds(root: pathlib.Path, found: files_lib.Found) -> None:
  """Raises InputError if most files may be images, and cannot be read."""
  kinds = {k: n for k, n in found.ignored.items() if k not in _BESIDE}
  unread = sum(kinds.values())
  if unread > len(found.files):
    raise InputError(
      f'data.dir: {unread:,} of {unread + len(found.files):,} files in '
      f'{shown(root)} are of kinds that are not read: {_listed(kinds)}; '
      f'convert them to one of {FORMATS}, or take them out'
    )


def _none_in(root, ignored: Counter, broken: list[str]) -> str:
  """Why there are no images."""
  line = f'data.dir: no images in {shown(root)} ({FORMATS} are read)'
  if ignored:
    line += f', only {_listed(ignored)}'
  return line + f'; {_broken_line(broken)}' * bool(broken)


def _decodable(images: list[File]) -> tuple[list[File], list[str]]:
  """Images that can be decoded, and 'NAME (reason)' of the others."""
  from tqdm import tqdm

  with concurrent.futures.ThreadPoolExecutor() as pool:
    faults = pool.map(fault_of, [file.path for file in images])
    bar = tqdm(faults, 'checking images', len(images), disable=None)
    pairs = list(zip(images, bar, strict=True))
  whole = [file for file, fault in pairs if fault is None]
  return whole, [f'{shown(x.relative)} ({why})' for x, why in pairs if why]


def _broken_line(broken: list[str], most: int = 3) -> str:
  """How many images are left out, and the first few of them."""
  more = f' and {len(broken) - most:,} more' * (len(broken) > most)
  return f'{len(broken):,} broken: {", ".join(broken[:most])}{more}'


# --- Words ------------------------------------------------------------------


def _listed(counts: dict[str, int], most: int = 6) -> str:
  """'38 .txt, 2 .svg', the most frequent kinds first."""
  ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
  parts = [f'{num:,} {shown(kind)}' for kind, num in ordered[:most]]
  rest = sum(num for _, num in ordered[most:])
  return ', '.join(parts + [f'{rest:,} others'] * bool(rest))


def _summary(
  root: pathlib.Path,
  parts: Division,
  class_names: Sequence[str],
  ignored: Counter[str],
  broken: list[str],
) -> tuple[str, ...]:
  """What is used and what is not, in a few lines."""
  train, test = len(parts.train), len(parts.test)
  lines = [
    f'data: {train + test:,} images of {shown(root)}: {train:,} to train on, '
    f'{test:,} held out ({parts.how}); {_classes(parts, class_names)}'
  ]
  left = [f'unused: {_listed(parts.unused)}'] * bool(parts.unused)
  left += [f'ignored: {_listed(ignored)}'] * bool(ignored)
  if left:
    lines.append(f'data: {"; ".join(left)}')
  if broken:
    lines.append(f'data: left out, {_broken_line(broken)}')
  return tuple(lines)


def _classes(parts: Division, class_names: Sequence[str], most: int = 8) -> str:
  """Classes and how many images to train on each has."""
  if not class_names:
    images = parts.train + parts.test
    loose = sum(len(file.relative.parts) == 1 for file in images)
    some = f', for {loose:,} images lie in no folder' * (loose < len(images))
    return f'no classes{some}'
  counts = Counter(file.relative.parts[0] for file in parts.train)
  named = [f'{shown(name)} ({counts[name]:,})' for name in class_names[:most]]
  more = ''
  if len(class_names) > most:
    sizes = [counts[name] for name in class_names]
    more = f' and so on, {min(sizes):,} to {max(sizes):,} images each'
  return f'{len(class_names)} classes to train on: {", ".join(named)}{more}'

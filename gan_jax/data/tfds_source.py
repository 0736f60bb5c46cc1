"""Any image dataset of TFDS, by name: random access, without TensorFlow."""

import contextlib
import difflib
import io
import os
import pathlib
import re
import textwrap
import threading
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_jax.data.images import open_image, shown
from gan_jax.data.sources import Splits, file_facts, num_kept
from gan_jax.process.quiet import absl_quiet
from gan_jax.types import InputError, UnknownNameError

_ANSWER = 5.0  # seconds in which a server has to answer
_PROBES = 64  # labels of a split that are looked at when it is opened


class _Renamed:
  """A TFDS data source whose features are called image and label.

  A label outside 0 to K-1 is not known, and becomes -1.
  """

  def __init__(
    self,
    source,
    image_key: str,
    label_key: str | None,
    num_classes: int,
    split: str,
    folder: pathlib.Path,
  ):
    self._source, self._keys = source, (image_key, label_key)
    self._num_classes = num_classes
    self._folder, self.origin = folder, f'{split} of {shown(folder)}'

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> dict[str, Any]:
    try:
      return self._rename(self._source[index])
    except Exception as error:  # damage can show anywhere below
      reason = ' '.join(str(error).split())[:200] or type(error).__name__
      raise InputError(
        f'data.dir: cannot read example {index} of {self.origin}: {reason}; '
        'prepare the dataset anew'
      ) from error

  def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Several at once, in a third of the time of one after the other."""
    try:
      return [self._rename(x) for x in self._source.__getitems__(indices)]
    except Exception:  # one by one, to say which
      return [self[index] for index in indices]

  def fingerprint(self) -> Any:
    """See `sources`."""
    return [file_facts(sorted(self._folder.iterdir())), self._keys]

  def _rename(self, example: dict[str, Any]) -> dict[str, Any]:
    image_key, label_key = self._keys
    renamed = {'image': example[image_key]}
    if label_key is not None:
      label = int(example[label_key])
      renamed['label'] = label if 0 <= label < self._num_classes else -1
    return renamed


def _decode(data: bytes, feature: Any) -> np.ndarray:
  """uint8 `[H, W, C]` of a stored PNG or JPEG, with the feature's channels.

  By Pillow alone, where TFDS takes whatever is installed, and only once the
  image's size is known to be within the limits.
  """
  image = open_image(io.BytesIO(data))
  mode = {1: 'L', 3: 'RGB', 4: 'RGBA'}.get(feature.shape[-1], image.mode)
  pixels = np.asarray(image if image.mode == mode else image.convert(mode))
  return pixels.reshape(*pixels.shape[:2], -1)


def _decoders(builder, image_key: str | None) -> dict[str, Any]:
  """How to decode the images of an example: one of them or none, no other."""
  import tensorflow_datasets as tfds

  return {
    key: tfds.decode.make_decoder()(_decode)()
    if key == image_key
    else tfds.decode.SkipDecoding()
    for key, feature in builder.info.features.items()
    if isinstance(feature, tfds.features.Image)
  }


def _tfds_builder(name: str, data_dir: str | None):
  """Finds a builder, prepared or not.

  Raises:
    UnknownNameError: TFDS knows no such dataset and none is prepared.
  """
  if not data_dir and 'TFDS_DATA_DIR' not in os.environ and _homeless():
    raise InputError(
      'data.dir: there is no home folder for prepared datasets; name one with '
      'data.dir or TFDS_DATA_DIR'
    )
  import tensorflow_datasets as tfds

  from gan_jax.data import digits  # noqa: F401  registers the builder

  if re.match(r'[\w-]*:(?![\d*]+\.)', name):
    raise InputError(
      f'data.name: {name!r} is of the community: TFDS would download and run '
      'its code; prepare it elsewhere, and name it without what is before ":"'
    )
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
    raise UnknownNameError(
      f'data.name: no dataset {name!r}; valid: digits, folder, or any image '
      f'dataset of TFDS such as {", ".join(near)}'
    ) from error


def _homeless() -> bool:
  """Whether neither $HOME nor the system's list of users names a home."""
  return os.path.expanduser('~') == '~'


def _prepare(builder, data_dir: str | None) -> None:
  """Downloads and prepares a dataset on first use, with TFDS's progress.

  Raises:
    InputError: it cannot be had, most likely for want of a network.
  """
  if builder.data_path.exists():
    return
  where = data_dir or '~/tensorflow_datasets (or TFDS_DATA_DIR)'
  try:
    _check_reachable(builder)
    builder.download_and_prepare()
  except Exception as error:  # every downloader has exceptions of its own
    if (
      isinstance(error, OSError) and error.errno
    ):  # those of a network have none
      raise InputError(
        f'data.dir: cannot write in {where}: {error.strerror}'
      ) from error
    files = [info.filename for info in (builder.url_infos or {}).values()]
    named = f' ({", ".join(map(str, files))})' if 1 <= len(files) <= 4 else ''
    raise InputError(
      f'data.name: cannot prepare {builder.name}: {_reason(error)}. Without a '
      f'network, put the dataset prepared elsewhere (array_record) in {where}, '
      f'or its files as downloaded{named} in downloads/manual there'
    ) from error


def _reason(error: Exception) -> str:
  """Why a dataset could not be prepared, in a few words."""
  request = getattr(error, 'request', None)  # of an error of `requests`
  if request is not None:
    return _unreachable(request.url)
  line = str(error).strip().partition('\n')[0] or type(error).__name__
  return textwrap.shorten(line, 200, placeholder=' ...')


def _check_reachable(builder) -> None:
  """Fails within seconds where TFDS would try again for minutes.

  Does nothing once any file of the dataset is there: the rest may be too.

  Raises:
    ConnectionError: the server of the first file does not answer.
  """
  import requests

  urls = [url for url in builder.url_infos or () if url.startswith('http')]
  if not urls or _any_downloaded(builder):
    return
  answers = []

  def ask():
    with contextlib.suppress(Exception):  # whatever comes is no answer
      requests.get(urls[0], stream=True, timeout=_ANSWER).close()
      answers.append(urls[0])

  # A thread, because no timeout ends the search for an address.
  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(_ANSWER)
  if not answers:
    raise ConnectionError(_unreachable(urls[0]))


def _any_downloaded(builder) -> bool:
  """Whether TFDS would find one of the dataset's files on this machine."""
  from tensorflow_datasets.core.download import resource

  folder = pathlib.Path(builder.data_dir_root) / 'downloads'
  names = [
    name
    for url, info in builder.url_infos.items()
    for file in map(resource.get_dl_fname, [url] * 2, [info.checksum, None])
    for name in (f'{builder.name}/{file}', file, f'manual/{info.filename}')
  ]
  return any((folder / name).is_file() for name in names)


def _unreachable(url: str) -> str:
  return f'{urllib.parse.urlsplit(url).hostname} cannot be reached'


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
    if feature.np_dtype == np.uint8
    and (
      isinstance(feature, tfds.features.Image) or len(feature.shape or ()) == 3
    )
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


def _hidden(builder, split: str, label_key: str, num_classes: int) -> bool:
  """Whether labels of a split are withheld, as of some test splits: all -1.

  Some, evenly spread, are looked at, without decoding an image: to read all
  would be to read the whole split.
  """
  source = builder.as_data_source(split, decoders=_decoders(builder, None))
  some = np.linspace(0, len(source) - 1, num=min(_PROBES, len(source)))
  examples = source.__getitems__([int(i) for i in some])
  return not any(0 <= example[label_key] < num_classes for example in examples)


def open_tfds(name: str, data_dir: str | None, test_fraction: float) -> Splits:
  """Opens a TFDS dataset, preparing it on first use.

  Args:
    name: of the dataset, with `/config` and `:version` if wanted.
    data_dir: where prepared datasets are; None for TFDS's default.
    test_fraction: share of train to hold out where there is no test split.

  Raises:
    InputError: unknown, without images, or not to be had.
  """
  with absl_quiet():
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
      kept = num_kept(
        splits['train'].num_examples, test_fraction, f'data.name: {name}'
      )
      names = (f'train[:{kept}]', f'train[{kept}:]')
    try:
      decoders = _decoders(builder, image_key)
      sources = [builder.as_data_source(s, decoders=decoders) for s in names]
    except NotImplementedError as error:
      raise InputError(
        f'data.name: {builder.data_path} is not in array_record format; '
        "prepare it again in another data.dir with file_format='array_record'"
      ) from error
  class_names = ()
  if label_key is not None:
    class_names = tuple(builder.info.features[label_key].names)
  hidden = [
    bool(class_names) and _hidden(builder, split, label_key, len(class_names))
    for split in names
  ]
  folder = pathlib.Path(builder.data_path)
  train, test = (
    _Renamed(source, image_key, label_key, len(class_names), split, folder)
    for source, split in zip(sources, names, strict=True)
  )
  lines = tuple(
    f'data: labels of {split} are hidden (-1) in {name}, and not used'
    for split, is_hidden in zip(names, hidden, strict=True)
    if is_hidden
  )
  if hidden[0]:  # without labels to train on, those of test are of no use
    class_names = ()
  version = str(builder.version)
  return Splits(train, test, class_names, version, lines, hidden[1])

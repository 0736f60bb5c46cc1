"""Reads files of `torch.save` without PyTorch, and without running code.

Such a file is a pickle of tensors that refer to storages, which follow it: as
members of a zip archive since PyTorch 1.6, as raw bytes in one stream before
that. A pickle may call anything; this reader knows only the names and the
instructions that a dict of tensors needs.
"""

import collections
import io
import math
import pathlib
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from gan_jax.types import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
  'FloatStorage': '<f4',
  'DoubleStorage': '<f8',
  'HalfStorage': '<f2',
  'LongStorage': '<i8',
  'IntStorage': '<i4',
  'ShortStorage': '<i2',
  'CharStorage': '<i1',
  'ByteStorage': '<u1',
  'BoolStorage': '<?',
}


_INSTRUCTIONS = frozenset(
  'PROTO FRAME STOP MARK GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID NONE '
  'NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINUNICODE SHORT_BINUNICODE '
  'TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_TUPLE EMPTY_LIST APPEND APPENDS EMPTY_DICT '
  'SETITEM SETITEMS BINPUT LONG_BINPUT BINGET LONG_BINGET MEMOIZE'.split()
)


class _Storage(NamedTuple):
  """A one-dimensional array of the file; `first` is where a view starts."""

  key: str
  dtype: str
  numel: int
  first: int


class _Tensor(NamedTuple):
  """A tensor whose storage is yet to be read."""

  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
  """Builds ordered dicts and `_Tensor`s, and nothing else."""

  def __init__(self, file: BinaryIO):
    super().__init__(file, encoding='utf-8')
    self.storages: dict[str, _Storage] = {}
    # Made anew for each file: a pickle can set attributes of what it is given.
    self._known = {
      'collections.OrderedDict': collections.OrderedDict,
      'torch._utils._rebuild_tensor': lambda *fields: _Tensor(*fields),
      'torch._utils._rebuild_tensor_v2': lambda *fields: _Tensor(*fields[:4]),
      'torch._utils._rebuild_parameter': lambda tensor, *_: tensor,
    } | {f'torch.{name}': name for name in _DTYPES}

  def find_class(self, module: str, name: str) -> Any:
    full = f'{module}.{name}'
    if full not in self._known:
      raise ValueError(f'it asks for {full}, which is not part of a state dict')
    return self._known[full]

  def persistent_load(self, pid: Any) -> _Storage:
    kind, type_name, key, _, numel, *view = pid
    if kind != 'storage' or not isinstance(key, str):
      raise ValueError(f'it refers to a {kind!r}, which is no storage')
    storage = _Storage(key, _DTYPES[type_name], int(numel), 0)
    storage = self.storages.setdefault(key, storage)
    if view and view[0] is not None:
      _, first, _ = view[0]
      storage = storage._replace(first=int(first))
    return storage


def _unpickle(file: BinaryIO) -> tuple[Any, dict[str, _Storage]]:
  """The next pickle of a stream, and the storages that it refers to."""
  start = file.tell()
  for count, (code, value, _) in enumerate(pickletools.genops(file)):
    if code.name not in _INSTRUCTIONS:
      raise ValueError(f'{code.name} is no part of a state dict')
    # Python would reserve memory for as many notes as the number says.
    if code.name.endswith('BINPUT') and value > count:
      raise ValueError(f'note {value} after {count} instructions')
  file.seek(start)
  unpickler = _Unpickler(file)
  return unpickler.load(), unpickler.storages


def _take(tensor: _Tensor, flat: np.ndarray) -> np.ndarray:
  """A tensor's own copy out of its storage, in the machine's byte order."""
  storage, offset, shape, strides = tensor
  offset += storage.first
  if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
    raise ValueError(f'shape {shape} and strides {strides} do not fit')
  last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
  size = math.prod(shape)
  if size > len(flat) or (size and offset + last >= len(flat)):
    raise ValueError(f'a tensor {shape} reaches beyond its {len(flat)} numbers')
  if not size:
    return np.zeros(shape, flat.dtype.newbyteorder('='))
  view = np.lib.stride_tricks.as_strided(
    flat[offset:], shape, [step * flat.itemsize for step in strides]
  )
  return np.array(view, flat.dtype.newbyteorder('='))


def _resolve(
  state: Any, read: Callable[[_Storage], np.ndarray]
) -> dict[str, np.ndarray]:
  """The tensors of a dict as arrays, each storage read once."""
  if not isinstance(state, dict):
    raise ValueError(f'it holds a {type(state).__name__}, not a dict')
  arrays, flats = {}, {}
  for name, tensor in state.items():
    if not isinstance(name, str) or not isinstance(tensor, _Tensor):
      raise ValueError(f'its entry {name!r} is no tensor')
    key = tensor.storage.key
    if key not in flats:
      flats[key] = read(tensor.storage)
    arrays[name] = _take(tensor, flats[key])
  return arrays


def _from_bytes(data: bytes, storage: _Storage) -> np.ndarray:
  flat = np.frombuffer(data, storage.dtype)
  if len(flat) != storage.numel:
    raise ValueError(
      f'storage {storage.key} has {len(flat)} numbers, not {storage.numel}'
    )
  return flat


def _read_zip(file: BinaryIO) -> dict[str, np.ndarray]:
  """The format since PyTorch 1.6."""
  with zipfile.ZipFile(file) as archive:
    names = archive.namelist()
    root = next(
      (name.removesuffix('data.pkl') for name in names if _is_index(name)), None
    )
    if root is None:
      raise ValueError('it is a zip archive without data.pkl')
    order = f'{root}byteorder'
    if order in names and archive.read(order) != b'little':
      raise ValueError('its numbers are big-endian')
    state, _ = _unpickle(io.BytesIO(archive.read(f'{root}data.pkl')))

    def read(storage):
      return _from_bytes(archive.read(f'{root}data/{storage.key}'), storage)

    return _resolve(state, read)


def _is_index(name: str) -> bool:
  return name.count('/') == 1 and name.endswith('/data.pkl')


def _read_stream(file: BinaryIO) -> dict[str, np.ndarray]:
  """The format before PyTorch 1.6."""
  head = [_unpickle(file)[0] for _ in range(3)]
  if head[:2] != [_MAGIC, _PROTOCOL]:
    raise ValueError('it does not begin as such a file does')
  if not head[2]['little_endian']:
    raise ValueError('its numbers are big-endian')
  state, storages = _unpickle(file)
  flats = {}
  for key in _unpickle(file)[0]:
    storage = storages[key]
    (numel,) = struct.unpack('<q', file.read(8))
    if numel != storage.numel:
      raise ValueError(
        f'storage {key} has {numel} numbers, not {storage.numel}'
      )
    size = numel * np.dtype(storage.dtype).itemsize
    flats[key] = _from_bytes(file.read(size), storage)
  return _resolve(state, lambda storage: flats[storage.key])


def read_state_dict(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Arrays of a file that `torch.save(module.state_dict(), path)` wrote.

  Args:
    path: of a file in the zip format or the older one.

  Returns:
    Arrays by name, each with memory of its own.

  Raises:
    InputError: the file cannot be read, is damaged, is no such file, or holds
      anything but a dict of tensors.
  """
  try:
    with open(path, 'rb') as file:
      zipped = file.read(4) == b'PK\x03\x04'
      file.seek(0)
      return _read_zip(file) if zipped else _read_stream(file)
  except Exception as error:  # damage can show anywhere in the pickle machine
    what = ' '.join(str(error).split()) or 'it ends too early'
    raise InputError(
      f'weights: cannot read {path}: {type(error).__name__}: {what}; a '
      'state_dict saved by torch.save is expected'
    ) from error

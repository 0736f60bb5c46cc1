"""Reads files of `torch.save` without PyTorch, and without running code.

Such a file is a pickle of tensors that refer to storages, which follow it: as
members of a zip archive since PyTorch 1.6, as raw bytes in one stream before
that. A pickle may call anything; `torch_pickle` reads it without calling.

No size is believed: no more is read than the file has, and all tensors
together may be as large as a file may be.
"""

import io
import math
import os
import pathlib
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from gan_jax.features.torch_pickle import Storage, Tensor, unpickle
from gan_jax.types import InputError

# Bytes of a file, and of all tensors in it, which may share storages and so be
# larger: three times those of the FID Inception.
MOST_BYTES = 2**28
_SHOWN = 200  # characters of what a file has in it, in a message

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def _take(tensor: Tensor, flat: np.ndarray) -> np.ndarray:
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
  state: Any, read: Callable[[Storage], np.ndarray]
) -> dict[str, np.ndarray]:
  """The tensors of a dict as arrays, each storage read once."""
  if not isinstance(state, dict):
    raise ValueError(f'it holds a {type(state).__name__}, not a dict')
  arrays, flats, total = {}, {}, 0
  for name, tensor in state.items():
    if not isinstance(name, str) or not isinstance(tensor, Tensor):
      raise ValueError(f'its entry {name!r} is no tensor')
    key = tensor.storage.key
    if key not in flats:
      flats[key] = read(tensor.storage)
    # One that reaches beyond its storage is refused by `_take`.
    size = min(abs(math.prod(tensor.shape)), len(flats[key]))
    total += size * flats[key].itemsize
    if total > MOST_BYTES:
      raise ValueError(f'its tensors have more than {MOST_BYTES:,} bytes')
    arrays[name] = _take(tensor, flats[key])
  return arrays


def _from_bytes(data: bytes, storage: Storage) -> np.ndarray:
  flat = np.frombuffer(data, storage.dtype)
  if len(flat) != storage.numel:
    raise ValueError(
      f'storage {storage.key} has {len(flat)} numbers, not {storage.numel}'
    )
  return flat


def _read_zip(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
  """The format since PyTorch 1.6, of a file of `size` bytes."""
  with zipfile.ZipFile(file) as archive:
    left = size

    def member(name):
      nonlocal left
      info = archive.getinfo(name)
      left -= info.file_size
      # torch.save compresses nothing, and members lie beside each other.
      if info.compress_type != zipfile.ZIP_STORED or left < 0:
        raise ValueError(f'its members are larger than its {size:,} bytes')
      return archive.read(info)

    names = archive.namelist()
    root = next(
      (name.removesuffix('data.pkl') for name in names if _is_index(name)), None
    )
    if root is None:
      raise ValueError('it is a zip archive without data.pkl')
    order = f'{root}byteorder'
    if order in names and member(order) != b'little':
      raise ValueError('its numbers are big-endian')
    state, _ = unpickle(io.BytesIO(member(f'{root}data.pkl')))

    def read(storage):
      return _from_bytes(member(f'{root}data/{storage.key}'), storage)

    return _resolve(state, read)


def _is_index(name: str) -> bool:
  return name.count('/') == 1 and name.endswith('/data.pkl')


def _read_stream(file: BinaryIO) -> dict[str, np.ndarray]:
  """The format before PyTorch 1.6."""
  head = [unpickle(file)[0] for _ in range(3)]
  if head[:2] != [_MAGIC, _PROTOCOL]:
    raise ValueError('it does not begin as such a file does')
  if not head[2]['little_endian']:
    raise ValueError('its numbers are big-endian')
  state, storages = unpickle(file)
  flats = {}
  keys = unpickle(file)[0]
  if type(keys) is not list or not all(type(key) is str for key in keys):
    raise ValueError('it does not list its storages')
  flats = {}
  for key in keys:
    storage = storages[key]
    (numel,) = struct.unpack('<q', file.read(8))
    if numel != storage.numel or numel < 0:
      raise ValueError(
        f'storage {key} has {numel} numbers, not {storage.numel}'
      )
    size = numel * np.dtype(storage.dtype).itemsize
    flats[key] = _from_bytes(file.read(size), storage)
  return _resolve(state, lambda storage: flats[storage.key])


def _read(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  found = os.stat(path)
  # A folder is refused by `open`; a pipe would be waited for.
  if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
    raise ValueError('it is no regular file')
  with open(path, 'rb') as file:
    if found.st_size > MOST_BYTES:
      raise ValueError(f'it has more than {MOST_BYTES:,} bytes')
    if file.read(4) == b'PK\x03\x04':
      return _read_zip(file, found.st_size)
    file.seek(0)
    # In memory, where no more can be read than there is.
    return _read_stream(io.BytesIO(file.read(found.st_size)))


def read_state_dict(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Arrays of a file that `torch.save(module.state_dict(), path)` wrote.

  Args:
    path: of a file in the zip format or the older one.

  Returns:
    Arrays by name, each with memory of its own.

  Raises:
    InputError: the file cannot be read, is damaged or too large, is no such
      file, or holds anything but a dict of tensors.
  """
  try:
    return _read(path)
  except Exception as error:  # damage can show anywhere
    what = ' '.join(str(error).split()) or 'it ends too early'
    what = ''.join(x if x.isprintable() else '?' for x in what[:_SHOWN])
    raise InputError(
      f'weights: cannot read {path}: {type(error).__name__}: {what}; a '
      'state_dict saved by torch.save is expected'
    ) from error

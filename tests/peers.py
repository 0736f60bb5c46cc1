"""Other libraries that tests compare with, and files as they write them."""

import io
import pickle
import struct
import sys
import types
import warnings
import zipfile
from typing import NamedTuple

_TORCHVISION = (
  'torchvision',
  'torchvision.datasets',
  'torchvision.transforms',
  'torchvision.transforms.functional',
)


class _Stub(types.ModuleType):
  """Any name that is asked for is an empty class, or a stub inside it."""

  def __getattr__(self, name):
    if name.startswith('__'):
      raise AttributeError(name)
    inner = sys.modules.get(f'{self.__name__}.{name}')
    return type(name, (), {}) if inner is None else inner


def import_torch_fidelity():
  """torch_fidelity, whether or not the installed torchvision can be imported.

  It needs torchvision for its datasets only. The stub is taken away again, so
  that others see what is really installed.
  """
  saved = {name: sys.modules.pop(name, None) for name in _TORCHVISION}
  sys.modules.update({name: _Stub(name) for name in _TORCHVISION})
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      import torch_fidelity
  finally:
    for name, module in saved.items():
      del sys.modules[name]
      if module is not None:
        sys.modules[name] = module
  return torch_fidelity


def inception_extractor(path):
  """torch-fidelity's Inception: (features, logits without bias, and with)."""
  names = ['2048', 'logits_unbiased', 'logits']
  return import_torch_fidelity().FeatureExtractorInceptionV3(
    'inception', names, feature_extractor_weights_path=str(path)
  )


class Name(NamedTuple):
  """A global in a pickle."""

  module: str
  name: str


class Call(NamedTuple):
  """A call in a pickle."""

  function: Name
  arguments: tuple


class Persistent(NamedTuple):
  """A reference in a pickle to what lies outside it."""

  value: tuple


def opcodes(value):
  """A value in the pickle language, without the need to import its names."""
  match value:
    case None | bool():
      return {None: b'N', True: b'\x88', False: b'\x89'}[value]
    case int():
      return pickle.dumps(value, 2)[2:-1]
    case str():
      data = value.encode()
      return b'X' + struct.pack('<I', len(data)) + data
    case Name():
      return f'c{value.module}\n{value.name}\n'.encode()
    case Call():
      return opcodes(value.function) + opcodes(value.arguments) + b'R'
    case Persistent():
      return opcodes(value.value) + b'Q'
    case dict():
      items = (opcodes(x) for item in value.items() for x in item)
      return b'}(' + b''.join(items) + b'u'
    case tuple() | list():
      start, end = (b'(', b't') if isinstance(value, tuple) else (b'](', b'e')
      return start + b''.join(map(opcodes, value)) + end
  raise TypeError(value)


def pickled(value):
  """A whole pickle of a value of `opcodes`."""
  return b'\x80\x02' + opcodes(value) + b'.'


def tensor(key, numel, offset, shape, strides, kind='FloatStorage', *view):
  """A tensor as `torch.save` writes it down; `view` is of the old format."""
  storage = ('storage', Name('torch', kind), key, 'cpu', numel, *view)
  hooks = Call(Name('collections', 'OrderedDict'), ())
  return Call(
    Name('torch._utils', '_rebuild_tensor_v2'),
    (Persistent(storage), offset, shape, strides, False, hooks),
  )


def zip_file(value, storages, *, order=b'little', root='archive'):
  """Bytes of the zip format: a value of `opcodes`, and arrays."""
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    archive.writestr(f'{root}/data.pkl', pickled(value))
    archive.writestr(f'{root}/byteorder', order)
    for key, array in storages.items():
      archive.writestr(f'{root}/data/{key}', array.tobytes())
  return stream.getvalue()


def legacy_file(value, storages, *, little_endian=True):
  """Bytes of the older format."""
  head = [0x1950A86A20F9469CFC6C, 1001, {'little_endian': little_endian}]
  parts = [pickled(x) for x in (*head, value, [*storages])]
  for array in storages.values():
    parts += [struct.pack('<q', array.size), array.tobytes()]
  return b''.join(parts)

"""Weight files from elsewhere: they run nothing, and no size is believed."""

import io
import os
import pathlib
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from gan_jax.features import torch_file, torch_pickle
from gan_jax.features.torch_file import read_state_dict
from gan_jax.features.weights import load_inception
from tests.peers import legacy_file, tensor, zip_file
from tests.workdir.test_untrusted import refused, traced  # noqa: F401  a fixture

WEIGHT = tensor('a', 6, 0, (6,), (1,))
SIX = np.arange(6, dtype='<f4')


def weights(tmp_path, *code, storages=None):
  """A zip file of PyTorch with a pickle put together by hand."""
  path = tmp_path / 'weights.pth'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', b'\x80\x02' + b''.join(code) + b'.')
    for key, array in (storages or {}).items():
      archive.writestr(f'archive/data/{key}', array.tobytes())
  return path


def pair_of_pairs(depth):
  """(x, x) with x = (y, y) and so on: to hash it takes 2 ** depth steps."""
  return b')' + b''.join(
    b'q' + bytes([i]) + b'h' + bytes([i]) + b'\x86' for i in range(depth)
  )


@pytest.mark.parametrize(
  ('code', 'says'),
  [
    ((b'}', pair_of_pairs(60), b'Ns'), "tuple is no tensor's name"),
    ((pair_of_pairs(60),), 'tuple, not a dict'),
    ((b'}X\x01\0\0\0w', pair_of_pairs(60), b's'), "'w' is no tensor"),
    ((pair_of_pairs(60), b'Q'), 'no storage'),
    ((b'(', pair_of_pairs(60), b'NNNNtQ'), 'a tuple, which is no storage'),
    ((b'}r\xff\xff\xff\xff',), 'note 4294967295'),
    ((b'}cos\nsystem\nX\x02\0\0\0id\x85Rs',), 'os.system'),
    ((b'cbuiltins\neval\nX\x01\0\0\x001\x85R',), 'builtins.eval'),
    ((b'cbuiltins\ngetattr\n',), 'builtins.getattr'),
    ((b'\x8c\x02os\x8c\x06system\x93',), 'os.system'),
    ((b'}}\x93',), 'it asks for , which'),
    ((b'(ios\nsystem\n',), 'INST'),
    ((b'(cos\nsystem\no',), 'os.system'),
    ((b'\x82\x01',), 'EXT1'),
    ((b'}X\x01\0\0\0wX\x01\0\0\0x\x85R',), 'it calls what is not part'),
    ((b'\x81',), 'NEWOBJ'),
    ((b'\x85',), 'too little'),
    ((b't',), 'IndexError'),
    ((b'h\x05',), 'KeyError'),
    ((b']NNs',), 'adds to what is no dict'),
    ((b'X\xff\xff\xff\xff',), 'expected 4294967295 bytes'),
    ((b'\x95' + b'\xff' * 7 + b'\x7f', b'}X\x01\0\0\0a'), 'adds|dict|str'),
  ],
)
def test_hostile_pickles_do_nothing(code, says, tmp_path):
  start = time.thread_time()
  message = refused(read_state_dict, weights(tmp_path, *code))
  assert any(part in message for part in says.split('|')), message
  assert time.thread_time() - start < 1.0


def test_long_pickles_are_given_up(tmp_path, monkeypatch):
  monkeypatch.setattr(torch_pickle, 'MOST_INSTRUCTIONS', 1000)
  path = weights(tmp_path, b'N' * 2000)
  assert 'more than 1,000 instructions' in refused(read_state_dict, path)
  # One list of 500 pairs is the argument of many calls.
  pairs = b'](' + b'X\x01\0\0\0aN\x86' * 150 + b'eq\0'
  calls = b'ccollections\nOrderedDict\nq\1' + b'h\1h\0\x85R' * 50
  path = weights(tmp_path, pairs, calls)
  assert 'more than 1,000 instructions' in refused(read_state_dict, path)


@pytest.mark.parametrize(
  ('shape', 'strides'),
  [((2**70,), (1,)), ((1,) * 40, (1,) * 40), ((6.0,), (1,)), (('a',), (1,))],
)
def test_shapes_that_are_none(shape, strides, tmp_path):
  shape = tuple(str(n) if isinstance(n, float) else n for n in shape)
  value = {'w': tensor('a', 6, 0, shape, strides)}
  path = tmp_path / 'weights.pth'
  path.write_bytes(zip_file(value, {'a': SIX}))
  assert 'no shape' in refused(read_state_dict, path)


def test_tensors_together_are_bounded(tmp_path, monkeypatch):
  """A thousand names for one storage would be a thousand copies of it."""
  monkeypatch.setattr(torch_file, 'MOST_BYTES', 10_000)
  value = {str(i): tensor('a', 1000, 0, (1000,), (1,)) for i in range(3)}
  path = tmp_path / 'weights.pth'
  data = zip_file(value, {'a': np.zeros(1000, '<f4')})
  path.write_bytes(data)
  assert len(data) < 10_000
  assert 'more than 10,000 bytes' in refused(read_state_dict, path)
  path.write_bytes(bytes(10_001))
  assert 'more than 10,000 bytes' in refused(read_state_dict, path)


def test_compressed_weights_are_refused_unread(tmp_path, traced):  # noqa: F811
  path = tmp_path / 'weights.pth'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('archive/data.pkl', bytes(2**26))
  tracemalloc.reset_peak()
  assert 'its members are larger' in refused(read_state_dict, path)
  assert traced() < 2**22


@pytest.mark.parametrize('size', [2**32 - 2, 2**31, 5000])
def test_declared_sizes_are_not_believed(size, tmp_path):
  path = tmp_path / 'weights.pth'
  data = bytearray(zip_file({'w': WEIGHT}, {'a': SIX}))
  entry = data.rindex(b'PK\x01\x02')
  data[entry + 20 : entry + 28] = struct.pack('<II', size, size)
  path.write_bytes(data)
  assert 'its members are larger' in refused(read_state_dict, path)


def test_one_member_under_many_names(tmp_path):
  """Each of the storages is the same part of the file."""
  path = tmp_path / 'weights.pth'
  names = [f'{i:03d}' for i in range(200)]
  value = {name: tensor(name, 600, 0, (1,), (1,)) for name in names}
  storages = {name: np.zeros(600, '<f4') for name in names}
  data = bytearray(zip_file(value, storages))
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    first = archive.getinfo('archive/data/000').header_offset
    end = archive.getinfo('archive/data/001').header_offset
    last = archive.start_dir
  whole = data[:end] + data[last:]
  for at in range(len(whole) - 46):
    if whole[at : at + 4] == b'PK\x01\x02' and whole[at + 46 :].startswith(
      b'archive/data/'
    ):
      whole[at + 42 : at + 46] = struct.pack('<I', first)
  whole[-6:-2] = struct.pack('<I', end)
  path.write_bytes(whole)
  assert len(whole) < 60_000
  refused(read_state_dict, path)


@pytest.mark.parametrize('numel', [2**60, 2**31, -1])
def test_legacy_sizes_are_not_believed(numel, tmp_path, traced):  # noqa: F811
  path = tmp_path / 'weights.pth'
  data = legacy_file({'w': tensor('a', numel, 0, (6,), (1,))}, {'a': SIX})
  assert data.endswith(struct.pack('<q', 6) + SIX.tobytes())
  path.write_bytes(data[:-32] + struct.pack('<q', numel) + SIX.tobytes())
  refused(read_state_dict, path)
  assert traced() < 2**22


def test_names_in_a_message_stay_on_its_line(tmp_path):
  path = tmp_path / 'weights.pth'
  name = 'a\x1b[31m\n' + 'x' * 10_000
  path.write_bytes(zip_file({'w': tensor(name, 7, 0, (6,), (1,))}, {name: SIX}))
  assert len(refused(read_state_dict, path)) < 600


@pytest.mark.parametrize('kind', ['pipe', 'device'])
def test_weights_that_are_no_file(kind, tmp_path):
  path = tmp_path / 'weights.pth'
  os.mkfifo(path)
  path = path if kind == 'pipe' else pathlib.Path('/dev/zero')
  assert 'no regular file' in refused(read_state_dict, path)
  assert 'no regular file' in refused(load_inception, str(path))


def test_weights_of_nobody(tmp_path):
  assert 'nobody-of-this-name' in refused(
    load_inception, '~nobody-of-this-name/weights.pth'
  )

"""Files of torch.save: by hand without torch, and (slow) as torch has them."""

import zipfile

import numpy as np
import pytest

from gan_jax.features.torch_file import read_state_dict
from gan_jax.types import InputError
from tests.peers import Call, Name, Persistent, legacy_file, tensor, zip_file

WRITERS = {'zip': zip_file, 'legacy': legacy_file}
SIX = np.arange(6, dtype='<f4') / 3


def small_state():
  """A value and its storages, and the arrays that they stand for."""
  counts = np.array([7, 2**40], '<i8')
  weight = tensor('a', 6, 0, (2, 3), (3, 1))
  value = {
    'weight': Call(
      Name('torch._utils', '_rebuild_parameter'), (weight, True, None)
    ),
    'transposed': tensor('a', 6, 0, (3, 2), (1, 3)),
    'tail': tensor('a', 6, 3, (3,), (1,)),
    'every second': tensor('a', 6, 1, (3,), (2,)),
    'expanded': tensor('a', 6, 5, (2, 2), (0, 0)),
    'empty': tensor('a', 6, 0, (0, 4), (4, 1)),
    'old': Call(
      Name('torch._utils', '_rebuild_tensor'),
      weight.arguments[:4],
    ),
    'num_batches_tracked': tensor('b', 2, 1, (), (), 'LongStorage'),
    'half': tensor('c', 2, 0, (2,), (1,), 'HalfStorage'),
    'flags': tensor('d', 3, 0, (3,), (1,), 'BoolStorage'),
  }
  storages = {
    'a': SIX,
    'b': counts,
    'c': np.array([0.5, -2], '<f2'),
    'd': np.array([True, False, True]),
  }
  expected = {
    'weight': SIX.reshape(2, 3),
    'transposed': SIX.reshape(2, 3).T,
    'tail': SIX[3:],
    'every second': SIX[1::2],
    'expanded': np.full((2, 2), SIX[5]),
    'empty': np.zeros((0, 4), np.float32),
    'old': SIX.reshape(2, 3),
    'num_batches_tracked': np.array(2**40),
    'half': storages['c'],
    'flags': storages['d'],
  }
  return value, storages, expected


def check_equal(found, expected):
  assert list(found) == list(expected)
  for name, array in expected.items():
    assert found[name].dtype == array.dtype, name
    assert found[name].flags.owndata, name
    np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


def refused(path):
  """The message of the one kind of error there may be, a single line."""
  with pytest.raises(InputError) as caught:
    read_state_dict(path)
  message = str(caught.value)
  assert str(path) in message
  assert 'a state_dict saved by torch.save is expected' in message
  assert '\n' not in message
  return message


@pytest.fixture
def path(tmp_path):
  return tmp_path / 'weights.pth'


@pytest.mark.parametrize('writer', WRITERS)
def test_reads(writer, path):
  value, storages, expected = small_state()
  path.write_bytes(WRITERS[writer](value, storages))
  check_equal(read_state_dict(path), expected)
  check_equal(read_state_dict(str(path)), expected)


def test_storage_views_of_the_legacy_format(path):
  value = {
    'whole': tensor('a', 6, 0, (6,), (1,), 'FloatStorage', None),
    'view': tensor('a', 6, 1, (2,), (1,), 'FloatStorage', ('v', 2, 4)),
  }
  path.write_bytes(legacy_file(value, {'a': SIX}))
  check_equal(read_state_dict(path), {'whole': SIX, 'view': SIX[3:5]})


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize(
  ('module', 'name', 'argument'),
  [
    ('os', 'system', 'touch {}'),
    ('posix', 'system', 'touch {}'),
    ('builtins', 'eval', "open('{}', 'w')"),
    ('builtins', 'getattr', '{}'),
    ('torch', 'load', '{}'),
    ('torch', 'BFloat16Storage', '{}'),
    ('collections', 'OrderedDict.fromkeys', '{}'),
  ],
)
def test_runs_no_code(writer, module, name, argument, path, tmp_path):
  target = tmp_path / 'touched'
  call = Call(Name(module, name), (argument.format(target),))
  path.write_bytes(WRITERS[writer]({'weight': call}, {}))
  assert f'{module}.{name}' in refused(path)
  assert not target.exists()


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize(
  ('value', 'says'),
  [
    ([1, 2], 'list, not a dict'),
    ({'epoch': 3}, "'epoch' is no tensor"),
    ({'net': {'w': tensor('a', 6, 0, (6,), (1,))}}, "'net' is no tensor"),
    ({3: tensor('a', 6, 0, (6,), (1,))}, '3 is no tensor'),
    ({'w': tensor('a', 6, 4, (3,), (1,))}, 'beyond its 6'),
    ({'w': tensor('a', 6, 0, (2, 2), (4, 2))}, 'beyond its 6'),
    ({'w': tensor('a', 6, -1, (3,), (1,))}, 'do not fit'),
    ({'w': tensor('a', 6, 0, (3,), (-1,))}, 'do not fit'),
    ({'w': tensor('a', 6, 0, (2, 3), (1,))}, 'do not fit'),
    ({'w': tensor('a', 7, 0, (6,), (1,))}, 'has 6 numbers, not 7'),
    ({'w': tensor('other', 6, 0, (6,), (1,))}, 'KeyError'),
    ({'w': Persistent(('module', None, 'a', 'cpu', 1))}, "'module'"),
    ({'w': Call(Name('torch._utils', '_rebuild_tensor'), ())}, 'TypeError'),
  ],
)
def test_refuses(writer, value, says, path):
  storages = {'a': SIX} if 'Persistent' in repr(value) else {}
  path.write_bytes(WRITERS[writer](value, storages))
  assert says in refused(path)


@pytest.mark.parametrize('writer', WRITERS)
def test_damage_is_an_input_error(writer, path):
  """Cut anywhere, or with a byte changed: refused or read, no crash."""
  value, storages, _ = small_state()
  data = WRITERS[writer](value, storages)
  for end in range(0, len(data), 9):
    path.write_bytes(data[:end])
    refused(path)
  rng = np.random.default_rng(0)
  for place in range(0, len(data), 3):
    damaged = bytearray(data)
    damaged[place] ^= int(rng.integers(1, 256))
    path.write_bytes(damaged)
    try:
      read_state_dict(path)
    except InputError as error:
      assert str(path) in str(error)  # noqa: PT017


def test_reserves_no_memory_on_demand(path):
  """An instruction of five bytes would make Python take 64 GB."""
  pickle = b'\x80\x02}r\xff\xff\xff\xff.'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', pickle)
  assert 'note 4294967295' in refused(path)
  value = {'w': tensor('a', 6, 0, (2**40,), (0,))}
  path.write_bytes(zip_file(value, {'a': SIX}))
  assert 'beyond its 6' in refused(path)


def test_foreign_files(path, tmp_path):
  assert 'FileNotFoundError' in refused(path)
  assert 'IsADirectoryError' in refused(tmp_path)
  for data in (b'', b'weights\n', b'\x89PNG\r\n\x1a\n', bytes(200)):
    path.write_bytes(data)
    refused(path)
  np.savez(path.with_suffix('.npz'), a=SIX)
  assert 'without data.pkl' in refused(path.with_suffix('.npz'))


def test_big_endian_is_refused(path):
  value = {'w': tensor('a', 6, 0, (6,), (1,))}
  path.write_bytes(zip_file(value, {'a': SIX}, order=b'big'))
  assert 'big-endian' in refused(path)
  path.write_bytes(legacy_file(value, {'a': SIX}, little_endian=False))
  assert 'big-endian' in refused(path)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('zipped', [True, False])
def test_files_of_torch(zipped, path):
  torch = pytest.importorskip('torch')
  torch.manual_seed(0)
  module = torch.nn.Sequential(
    torch.nn.Conv2d(3, 5, (1, 7)), torch.nn.BatchNorm2d(5)
  )
  base = torch.randn(4, 6)
  state = module.state_dict(keep_vars=True)
  state |= {
    'columns': base[:, ::2],
    'transposed': base.T,
    'last': base[3],
    'scalar': torch.tensor(-3),
    'empty': torch.zeros(0, 2),
  }
  types = ['float64', 'float16', 'int32', 'int16', 'int8', 'uint8', 'bool']
  state |= {name: base[:2].to(getattr(torch, name)) for name in types}
  torch.save(state, path, _use_new_zipfile_serialization=zipped)
  assert path.read_bytes().startswith(b'PK') == zipped
  expected = {name: x.detach().numpy() for name, x in state.items()}
  check_equal(read_state_dict(path), expected)

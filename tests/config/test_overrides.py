"""Dotted keys of the command line."""

import hashlib
import re

import pytest
from ml_collections import ConfigDict

from configs import base
from gan_jax.config.history import ADDED
from gan_jax.config.overrides import (
  config_file,
  dotted,
  forget_replaced,
  may_change,
  unknown_key,
  workdir,
)

CONFIG = {'seed': 0, 'data': {'name': 'digits', 'dir': ''}, 'eval': {'num': 1}}


@pytest.mark.parametrize(
  'key',
  [
    'num_steps',
    'num_devices',
    'checkpoint_every',
    'data.dir',
    'data.cache_mb',
    'sample.num',
    'interpolate.steps',
    'eval.num_samples',
  ],
)
def test_keys_that_may_change(key):
  assert may_change(key)


@pytest.mark.parametrize(
  'key',
  [
    'seed',
    'num_steps_more',
    'data.name',
    'data.dir.more',
    'data.cached',
    'sample',
    'sampler.num',
    'network.eval.num',
    'gen_optimizer.learning_rate',
  ],
)
def test_keys_that_may_not_change(key):
  assert not may_change(key)


@pytest.mark.parametrize(
  ('overrides', 'expected'),
  [
    ({}, 'runs/mlp_mnist'),
    ({'num_steps': 5, 'sample.num': 3}, 'runs/mlp_mnist'),
    ({'loss': 'hinge'}, 'runs/mlp_mnist,loss=hinge'),
    (
      {'seed': 1, 'num_steps': 5, 'data.flip': True},
      'runs/mlp_mnist,data.flip=True,seed=1',
    ),
    ({'learning_rate': -1e-05}, 'runs/mlp_mnist,learning_rate=-1e-05'),
    (
      {'network.gen_widths': (8, 16), 'data.name': 'a/b:1'},
      'runs/mlp_mnist,data.name=a_b_1,network.gen_widths=_8,_16_',
    ),
  ],
)
def test_default_workdir(overrides, expected):
  assert workdir('configs/sub/mlp_mnist.py', overrides) == expected


def test_a_default_workdir_fits_a_file_system():
  """Long names end in a digest; each run keeps its own."""
  few = {f'section.key_{i}': 'слово' for i in range(5)}
  many = {f'section.key_{i}': 'слово' for i in range(50)}
  names = [
    workdir('x.py', keys).removeprefix('runs/')
    for keys in (few, many, many | {'section.key_49': 'другое'}, many)
  ]
  assert names[0].endswith('key_4=слово')
  assert all(len(name.encode()) <= 200 for name in names)
  assert names[1].startswith('x,section.key_0=слово,section.key_10=слово')
  assert re.search(',[0-9a-f]{16}$', names[1])
  assert names[1] == names[3] != names[2]
  workdir('x.py', {'data.dir': '\udcff' * 300})  # is no UTF-8


def test_default_workdir_does_not_depend_on_the_order():
  overrides = {'seed': 1, 'loss': 'hinge', 'data.flip': True}
  turned = dict(reversed(overrides.items()))
  assert workdir('x.py', overrides) == workdir('x.py', turned)


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """Config files of a project; we are somewhere else."""
  (tmp_path / 'here').mkdir()
  monkeypatch.chdir(tmp_path / 'here')
  (tmp_path / 'configs').mkdir()
  for name in ('base', 'mlp_digits', 'mlp_mnist', 'dcgan_cifar', 'wgan_cifar'):
    (tmp_path / 'configs' / f'{name}.py').touch()
  return tmp_path / 'configs'


@pytest.mark.parametrize(
  ('arguments', 'name', 'others'),
  [
    ([], 'mlp_digits.py', []),
    (['--mode=train', '--config.x=1'], 'mlp_digits.py', None),
    (['--config=mlp_mnist'], 'mlp_mnist.py', []),
    (['-config', 'mlp_mnist:a:b'], 'mlp_mnist.py:a:b', []),
    # What must stand first does so wherever it stood.
    (['--config.x=1', '--config=mlp_mnist'], 'mlp_mnist.py', ['--config.x=1']),
    (['--x', '--config', 'mlp_mnist', 'y'], 'mlp_mnist.py', ['--x', 'y']),
    (['--config=mlp_digits', '--config=mlp_mnist'], 'mlp_mnist.py', []),
    (['--config=configs/dcgan_cifar.py'], 'dcgan_cifar.py', []),
  ],
)
def test_config_file_is_found_and_put_first(folder, arguments, name, others):
  found, ordered = config_file(arguments, folder)
  assert found == f'{folder / name}'
  others = arguments if others is None else others
  assert ordered == [f'--config={found}', *others]


def test_a_config_file_elsewhere_is_itself(folder, tmp_path):
  mine = tmp_path / 'mlp_mnist.py'
  mine.touch()
  found, _ = config_file([f'--config={mine}:arg'], folder)
  assert found == f'{mine}:arg'


@pytest.mark.parametrize(
  'arguments',
  [
    ['--config=dcgan_cifr'],
    ['--config.x=1', '--config', 'configs/dcgan_cifr.py'],
    ['--config=elsewhere/dcgan_cifar.py'],  # not ours of the same name
  ],
)
def test_the_file_that_is_missing_is_named(folder, arguments, capsys):
  with pytest.raises(SystemExit) as ended:
    config_file(arguments, folder)
  assert ended.value.code == 2
  asked = arguments[-1].removeprefix('--config=')
  line = capsys.readouterr().err
  assert line.startswith(
    f'error: config: cannot load {asked}: there is no such file; nearest in '
    'configs/: dcgan_cifar, wgan_cifar, mlp_'
  )
  assert line.count(',') == 2


@pytest.mark.parametrize('argument', ['--config', '--config=', '--config=.'])
def test_no_config_file_at_all(folder, argument, capsys):
  with pytest.raises(SystemExit):
    config_file([argument], folder)
  assert 'there is no such file; nearest' in capsys.readouterr().err


@pytest.mark.parametrize('make', [dict, ConfigDict])
@pytest.mark.parametrize(
  ('arguments', 'key', 'close'),
  [
    (['--config.sed=1'], 'sed', 'seed, '),
    (['-noconfig.fip'], 'fip', ''),
    (['--config.seed=1', '--config.data.nam=a=b'], 'data.nam', 'data.name, '),
    (['--config.num=1'], 'num', 'eval.num, '),  # without its section
    (['--config.seed.deep.er=1'], 'seed.deep.er', ''),
    (['--config.seed.none=1'], 'seed.none', ''),
  ],
)
def test_unknown_key(make, arguments, key, close):
  message = unknown_key(make(CONFIG), arguments)
  assert message.startswith(f'unknown config key {key!r}; nearest: {close}')
  assert message.endswith('; all: --helpkeys')
  assert message.count(',') == 2


@pytest.mark.parametrize('make', [dict, ConfigDict])
@pytest.mark.parametrize(
  'arguments',
  [
    [],
    ['--config=configs/x.py', '--mode=train', 'config.nothing'],
    ['--config.seed=1', '-config.data.name=mnist'],
    ['--config.data.name', 'mnist'],
    ['--config.data={}'],
  ],
)
def test_known_keys(make, arguments):
  assert unknown_key(make(CONFIG), arguments) is None


def test_a_replaced_name_takes_its_keys_along():
  base = {
    'seed': 0,
    'network': {'name': 'mlp', 'gen_widths': None, 'depth': None},
  }
  config = {
    'seed': 0,
    'network': {'name': 'dcgan', 'gen_widths': (8,), 'depth': 2},
  }
  original = {'seed': 0, 'network.name': 'mlp', 'network.depth': None}
  for unchanged in ({'seed': 1}, {'network.name': 'mlp'}):
    forget_replaced(config, base, original, unchanged)
    assert config['network']['gen_widths'] == (8,)
  changed = {'network.name': 'dcgan', 'network.depth': 2}
  forget_replaced(config, base, original, changed)
  assert config['network'] == {'name': 'dcgan', 'gen_widths': None, 'depth': 2}


def test_a_key_called_by_its_initials():
  message = unknown_key(base.get_config(), ['--config.lr=1'])
  assert 'gen_optimizer.learning_rate' in message
  assert 'disc_optimizer.learning_rate' in message


def test_a_key_that_came_later_says_what_runs_without_it_did():
  """A new key has its row in ADDED, else runs of before are refused."""
  config = base.get_config()
  before = sorted(set(dotted(config)) - set(ADDED))
  assert len(before) == 164
  digest = hashlib.sha256('\n'.join(before).encode()).hexdigest()
  assert digest[:16] == 'ebfc5163cbe9faa1'

"""Dotted keys of the command line."""

import pytest
from ml_collections import ConfigDict

from gan_jax.config.overrides import (
  default_workdir,
  forget_replaced,
  may_change,
  unknown_key,
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
  assert default_workdir('configs/sub/mlp_mnist.py', overrides) == expected


def test_default_workdir_does_not_depend_on_the_order():
  overrides = {'seed': 1, 'loss': 'hinge', 'data.flip': True}
  turned = dict(reversed(overrides.items()))
  assert default_workdir('x.py', overrides) == default_workdir('x.py', turned)


@pytest.mark.parametrize('make', [dict, ConfigDict])
@pytest.mark.parametrize(
  ('arguments', 'expected'),
  [
    ([], None),
    (['--config=configs/x.py', '--mode=train', 'config.nothing'], None),
    (['--config.seed=1', '-config.data.name=mnist'], None),
    (['--config.data.name', 'mnist'], None),
    (
      ['--config.sed=1'],
      "unknown config key 'sed'; valid here: data, eval, seed",
    ),
    (
      ['-noconfig.flip'],
      "unknown config key 'flip'; valid here: data, eval, seed",
    ),
    (
      ['--config.seed=1', '--config.data.nam=a=b', '--config.x=1'],
      "unknown config key 'data.nam'; valid here: dir, name",
    ),
    (
      ['--config.seed.deep.er=1'],
      "unknown config key 'seed.deep'; valid here: none",
    ),
  ],
)
def test_unknown_key(make, arguments, expected):
  assert unknown_key(make(CONFIG), arguments) == expected


def test_a_key_named_none_below_a_value_is_unknown():
  message = unknown_key(CONFIG, ['--config.seed.none=1'])
  assert message.startswith("unknown config key 'seed.none'")


def test_a_replaced_name_takes_its_keys_along():
  base = {
    'seed': 0,
    'network': {'name': 'mlp', 'gen_widths': None, 'depth': None},
  }
  config = {
    'seed': 0,
    'network': {'name': 'dcgan', 'gen_widths': (8,), 'depth': 2},
  }
  original = {'seed': 0, 'network': {'name': 'mlp'}}
  for unchanged in ({'seed': 1}, {'network.name': 'mlp'}):
    forget_replaced(config, base, original, unchanged)
    assert config['network']['gen_widths'] == (8,)
  changed = {'network.name': 'dcgan', 'network.depth': 2}
  forget_replaced(config, base, original, changed)
  assert config['network'] == {'name': 'dcgan', 'gen_widths': None, 'depth': 2}

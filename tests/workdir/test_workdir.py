"""A run's folder: made, opened again, read, or refused."""

import copy
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import pytest

from gan_jax.data import DatasetInfo
from gan_jax.process import environment
from gan_jax.types import InputError
from gan_jax.workdir import layout as lib

INFO = DatasetInfo('toy', (8, 8, 1), ('wug', 'fep'), 100, 20)


def open_run(workdir, config, info):
  """Starts a run or takes it up, as training does, up to a checkpoint."""
  lib.check_resumable(workdir, config)
  lib.describe_run(workdir, config, info)
  (workdir / 'checkpoints' / '1').mkdir(parents=True, exist_ok=True)


def make_config(**changes):
  """A nested config; changes are dotted keys, with __ for the dots."""
  player = dict(name='adam', learning_rate=2e-4, schedule='constant')
  config = dict(
    seed=0,
    num_steps=100,
    log_every=10,
    network=dict(name='mlp', gen_widths=(32, 64), depth=None),
    data=dict(name='toy', dir='', cache='auto', flip=False),
    eval=dict(num_samples=10),
    tricks={},
    gen_optimizer=player | dict(decay_steps=0),
    disc_optimizer=player | dict(decay_steps=0),
  )
  for key, value in changes.items():
    *sections, last = key.split('__')
    section = config
    for name in sections:
      section = section[name]
    section[last] = value
  return config


def files(folder):
  return sorted(path.name for path in folder.iterdir())


# --- Parts ------------------------------------------------------------------


def test_flatten():
  nested = {'a': 1, 'b': {'c': None, 'd': {'e': (1, 2), 'f': [3]}}, 'g': {}}
  assert lib.flatten(nested) == {
    'a': 1,
    'b.c': None,
    'b.d.e': [1, 2],
    'b.d.f': [3],
  }


def test_write_json_reads_back(tmp_path):
  value = {'a': [1, 2.5, None], 'b': {'c': 'text'}}
  lib.write_json(tmp_path / 'x.json', value)
  text = (tmp_path / 'x.json').read_text()
  assert json.loads(text) == value
  assert len(text.splitlines()) > 3
  assert text.endswith('}\n')


def test_write_json_keeps_the_old_file_if_it_fails(tmp_path):
  lib.write_json(tmp_path / 'x.json', 1)
  with pytest.raises(TypeError):
    lib.write_json(tmp_path / 'x.json', object())
  assert (tmp_path / 'x.json').read_text() == '1\n'
  assert files(tmp_path) == ['x.json']


# --- prepare ----------------------------------------------------------------


def test_prepare_makes_the_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  path = lib.prepare('runs/deep/er')
  assert path == tmp_path / 'runs' / 'deep' / 'er'
  assert files(path) == []
  (path / 'kept').touch()
  assert lib.prepare(path) == path
  assert files(path) == ['kept']


def test_prepare_expands_home(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert lib.prepare('~/run') == tmp_path / 'run'


def test_prepare_refuses_a_file(tmp_path):
  (tmp_path / 'x').touch()
  with pytest.raises(InputError, match=r'workdir: .*/x is a file'):
    lib.prepare(tmp_path / 'x')
  with pytest.raises(InputError, match=r'workdir: .*/x is a file; name the fo'):
    lib.read_config(tmp_path / 'x')


def test_prepare_refuses_names_that_cannot_be(tmp_path):
  """Too long for a file system; not in UTF-8, as the checkpoints need it."""
  with pytest.raises(
    InputError, match=r'cannot write in .*: File name too long'
  ):
    lib.prepare(tmp_path / ('x' * 300))
  with pytest.raises(InputError, match=r'workdir: .*a.udcff. is not in UTF-8'):
    lib.prepare(tmp_path / 'a\udcff')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('place', ['/proc/no/such', '/proc', 'file/below'])
def test_prepare_refuses_what_cannot_be_written(place, tmp_path):
  (tmp_path / 'file').touch()
  path = tmp_path / place
  if place.startswith('/proc') and not pathlib.Path('/proc').is_dir():
    pytest.skip('no /proc here')
  with pytest.raises(InputError) as caught:
    lib.prepare(path)
  assert str(caught.value).startswith(f'workdir: cannot write in {path}: ')
  assert 'None' not in str(caught.value)


# --- open_run ---------------------------------------------------------------


def test_a_new_run_writes_its_files(tmp_path):
  config = make_config()
  open_run(tmp_path, copy.deepcopy(config), INFO)
  expected = ['checkpoints', 'config.json', 'dataset.json', 'environment.json']
  assert files(tmp_path) == expected
  assert json.loads((tmp_path / 'config.json').read_text()) == json.loads(
    json.dumps(config)
  )
  assert lib.read_info(tmp_path) == INFO
  started = json.loads((tmp_path / 'environment.json').read_text())
  (environment,) = started['starts']
  assert environment == json.loads(json.dumps(lib.environment()))


def open_twice(tmp_path, before, after, info=INFO):
  open_run(tmp_path, make_config(**before), INFO)
  open_run(tmp_path, make_config(**after), info)


CONSTANT = {}
COSINE = {'gen_optimizer__schedule': 'cosine'}
BOTH = COSINE | {'disc_optimizer__schedule': 'linear'}
FIXED_COSINE = COSINE | {'gen_optimizer__decay_steps': 500}
NOISE = {'tricks__noise_std': 0.1, 'tricks__noise_schedule': 'linear'}
TOP_K = {'tricks__top_k_share': 0.5}


@pytest.mark.parametrize(
  ('common', 'changes'),
  [
    (CONSTANT, {}),
    (COSINE, {}),
    (CONSTANT, {'num_steps': 200}),
    (FIXED_COSINE, {'num_steps': 200}),
    (NOISE | {'tricks__noise_steps': 500}, {'num_steps': 200}),
    (NOISE | {'tricks__noise_std': 0.0}, {'num_steps': 200}),
    (NOISE | {'tricks__noise_schedule': 'constant'}, {'num_steps': 200}),
    (TOP_K | {'tricks__top_k_steps': 500}, {'num_steps': 200}),
    ({'tricks__top_k_share': 1.0}, {'num_steps': 200}),
    (COSINE, {'log_every': 7, 'eval__num_samples': 3, 'eval__new': 1}),
    (CONSTANT, {'data__dir': '/elsewhere', 'data__cache': 'stream'}),
    (CONSTANT, {'network__gen_widths': [32, 64]}),  # as JSON has it
  ],
)
def test_a_run_is_taken_up_again(common, changes, tmp_path):
  open_twice(tmp_path, common, common | changes)
  # The new values are those that count from now on.
  assert lib.flatten(
    json.loads((tmp_path / 'config.json').read_text())
  ) == lib.flatten(make_config(**common | changes))


@pytest.mark.parametrize(
  ('before', 'after', 'message'),
  [
    ({}, {'seed': 1}, 'seed was 0, now 1'),
    ({}, {'data__flip': True}, 'data.flip was False, now True'),
    (
      {},
      {'network__gen_widths': (32, 65)},
      'network.gen_widths was [32, 64], now [32, 65]',
    ),
    (
      {},
      {'seed': 1, 'network__name': 'conv'},
      "network.name was 'mlp', now 'conv', seed was 0, now 1",
    ),
    ({}, {'network__new': 1}, "network.new was 'absent', now 1"),
    ({}, {'network__new': None}, "network.new was 'absent', now None"),
    ({'loss': 'hinge'}, {}, "loss was 'hinge', now 'absent'"),
    ({'network__depth': 0}, {'network__depth': None}, 'depth was 0, now None'),
    (COSINE, COSINE | {'num_steps': 200}, 'num_steps was 100, now 200'),
    (BOTH, BOTH | {'num_steps': 200}, 'num_steps was 100, now 200'),
    (NOISE, NOISE | {'num_steps': 200}, 'num_steps was 100, now 200'),
    (TOP_K, TOP_K | {'num_steps': 50}, 'num_steps was 100, now 50'),
    (
      {'disc_optimizer__schedule': 'linear'},
      {'disc_optimizer__schedule': 'linear', 'num_steps': 50},
      'num_steps was 100, now 50',
    ),
  ],
)
def test_another_config_is_refused(before, after, message, tmp_path):
  with pytest.raises(InputError) as caught:
    open_twice(tmp_path, before, after)
  prefix = f'workdir: {tmp_path} holds a run with another config: '
  assert str(caught.value).startswith(prefix)
  listed = str(caught.value).removeprefix(prefix).split(';')[0]
  assert listed.endswith(message)
  assert listed.count(' was ') == message.count(' was ')
  # What is refused changes nothing.
  assert lib.flatten(
    json.loads((tmp_path / 'config.json').read_text())
  ) == lib.flatten(make_config(**before))


def test_a_run_of_before_broken_files_could_be_left_out(tmp_path):
  """Whether any were is seen by the data's version, as that it moved."""
  for after in (False, True):
    open_twice(tmp_path, {}, {'data__skip_broken': after})


@pytest.mark.parametrize(
  ('before', 'now', 'same'),
  [
    ('9 files, crc32 0a', '9 files, crc32 0a, contents 0b', True),
    ('9 files, crc32 0a, contents 0b', '9 files, crc32 0a, contents 0b', True),
    ('9 files, crc32 0a, contents 0c', '9 files, crc32 0a, contents 0b', False),
    ('9 files, crc32 0c', '9 files, crc32 0a, contents 0b', False),
    ('9 files, crc32 0', '9 files, crc32 0a, contents 0b', False),
    ('', '9 files, crc32 0a, contents 0b', False),
    ('1.0.0', '1.0.1', False),
  ],
)
def test_versions_of_before_contents_were_known(before, now, same, tmp_path):
  open_run(tmp_path, make_config(), INFO._replace(version=before))
  found = INFO._replace(version=now)
  if same:
    open_run(tmp_path, make_config(), found)
    assert lib.read_info(tmp_path).version == now  # the next start knows more
    return
  with pytest.raises(InputError, match=r'the data of .* version was'):
    lib.check_data(tmp_path, found)  # as evaluate does
  with pytest.raises(InputError, match='name another --workdir'):
    open_run(tmp_path, make_config(), found)


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('name', 'other'),
    ('image_shape', (8, 8, 3)),
    ('class_names', ('wug', 'wib')),
    ('num_train', 99),
    ('num_test', 21),
  ],
)
def test_other_data_is_refused(field, value, tmp_path):
  with pytest.raises(InputError) as caught:
    open_twice(tmp_path, {}, {}, INFO._replace(**{field: value}))
  message = str(caught.value)
  assert f'{field} was {getattr(INFO, field)!r}, now {value!r};' in message
  assert str(tmp_path) in message
  assert lib.read_info(tmp_path) == INFO


# --- Reading a run ----------------------------------------------------------


def test_read_config_has_attributes(tmp_path):
  open_run(tmp_path, make_config(), INFO)
  config = lib.read_config(tmp_path)
  assert config.seed == 0
  assert config.network.gen_widths == [32, 64]
  assert config.network.depth is None
  assert config.gen_optimizer.learning_rate == 2e-4
  assert config.data.flip is False


def test_read_info_gives_what_was_written(tmp_path):
  open_run(tmp_path, make_config(), INFO)
  info = lib.read_info(tmp_path)
  assert info == INFO
  assert isinstance(info.image_shape, tuple)
  assert isinstance(info.class_names, tuple)


READERS = {'config.json': lib.read_config, 'dataset.json': lib.read_info}


@pytest.mark.parametrize(
  ('name', 'contents'),
  [
    ('config.json', b''),
    ('config.json', b'{"seed": 0, "netw'),
    ('config.json', b'\xff\xfe\x00'),
    ('dataset.json', b'{'),
    ('dataset.json', b'[1, 2]'),
    ('dataset.json', b'{"name": "toy"}'),
    ('dataset.json', b'{"surprise": 1}'),
    ('config.json', b'[]'),
    (
      'dataset.json',
      json.dumps(INFO._replace(image_shape=8)._asdict()).encode(),
    ),
  ],
)
def test_damaged_files_are_named(name, contents, tmp_path):
  open_run(tmp_path, make_config(), INFO)
  (tmp_path / name).write_bytes(contents)
  with pytest.raises(InputError, match='workdir: ') as caught:
    READERS[name](tmp_path)
  assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize('name', READERS)
def test_missing_files_are_named(name, tmp_path):
  with pytest.raises(InputError) as caught:
    READERS[name](tmp_path)
  message = f'workdir: {tmp_path / name} is missing, so {tmp_path} holds no run'
  assert str(caught.value).startswith(message)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
  (tmp_path / 'config.json').mkdir()
  with pytest.raises(InputError, match=r'cannot read .*config\.json'):
    lib.read_config(tmp_path)


# --- check_overrides --------------------------------------------------------


@pytest.mark.parametrize(
  'overrides',
  [
    {},
    {'eval.num_samples': 5, 'num_steps': 3, 'sample.new': True},
    {'seed': 0, 'network.name': 'mlp'},
    {'network.gen_widths': (32, 64)},
  ],
)
def test_overrides_that_a_run_can_take(overrides, tmp_path):
  open_run(tmp_path, make_config(), INFO)
  assert lib.check_overrides(str(tmp_path), overrides) is None


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'eval.num_samples': 5, 'seed': 1}, 'seed: .* has 0, not 1;'),
    ({'network.gen_widths': (32,)}, r'network\.gen_widths: .*64\], not \[32\]'),
    ({'network.new': 1}, r'network\.new: .* has None, not 1'),
  ],
)
def test_overrides_that_a_run_cannot_take(overrides, message, tmp_path):
  open_run(tmp_path, make_config(), INFO)
  with pytest.raises(InputError, match=message) as caught:
    lib.check_overrides(tmp_path, overrides)
  assert str(tmp_path) in str(caught.value)


def test_overrides_of_no_run(tmp_path):
  assert lib.check_overrides(tmp_path, {}) is None
  with pytest.raises(InputError, match='holds no run'):
    lib.check_overrides(tmp_path, {'sample.num': 1})


# --- environment ------------------------------------------------------------


def test_environment():
  found = lib.environment()
  assert found['command'] == sys.argv
  assert found['python'] == '.'.join(map(str, sys.version_info[:3]))
  assert found['devices'] == [str(device) for device in jax.devices()]
  assert found['packages']['jax'] == jax.__version__
  for package, version in found['packages'].items():
    assert version == importlib.metadata.version(package)
  assert {'flax', 'optax', 'numpy', 'orbax-checkpoint'} <= set(
    found['packages']
  )


def test_environment_without_git(monkeypatch):
  monkeypatch.setenv('PATH', '')
  found = lib.environment()
  assert found['git_commit'] is None
  assert found['git_changes'] is False


@pytest.mark.skipif(shutil.which('git') is None, reason='git is not here')
def test_environment_names_the_commit(tmp_path, monkeypatch):
  def git(*arguments):
    settings = ('-c', 'user.name=x', '-c', 'user.email=x@example.org')
    return subprocess.run(
      ['git', *settings, *arguments],
      cwd=tmp_path,
      check=True,
      capture_output=True,
      text=True,
    ).stdout.strip()

  for name in [name for name in os.environ if name.startswith('GIT_')]:
    monkeypatch.delenv(name)
  monkeypatch.setattr(environment, '__file__', str(tmp_path / 'x.py'))
  assert lib.environment()['git_commit'] is None
  git('init')
  git('commit', '--allow-empty', '-m', 'first')
  found = lib.environment()
  assert found['git_commit'] == git('rev-parse', 'HEAD')
  assert found['git_changes'] is False
  (tmp_path / 'new').touch()
  assert lib.environment()['git_changes'] is True


def test_environment_keeps_an_entry_for_each_start(tmp_path):
  for _ in range(3):
    open_run(tmp_path, make_config(), INFO)
  started = json.loads((tmp_path / 'environment.json').read_text())
  assert len(started['starts']) == 3


def test_a_run_without_a_checkpoint_does_not_bind(tmp_path):
  lib.describe_run(tmp_path, make_config(), INFO)
  changed = make_config()
  changed['seed'] = 7
  lib.check_resumable(tmp_path, changed)
  open_run(tmp_path, changed, INFO)
  with pytest.raises(InputError, match='seed was 7'):
    lib.check_resumable(tmp_path, make_config())

"""Plugins by call: run once, known again by their bytes, refused in a line."""

import hashlib
import importlib
import json
import sys

import pytest

from gan_jax.config import plan
from gan_jax.losses import LOSSES
from gan_jax.modes.train import train
from gan_jax.process import plugins
from gan_jax.training.runs import open_run
from gan_jax.types import InputError, UnknownNameError
from gan_jax.workdir import origins
from gan_jax.workdir.trained import load, read_plan
from tests.helpers import tiny_digits

# A plugin that writes down each of its runs.
TEXT = """
from gan_jax.losses import LOSSES

with open({log!r}, 'a') as log:
  log.write('x')
LOSSES['mine'] = LOSSES['hinge']
"""


class Process:
  """What one process has run: `anew` is another of the same user."""

  def __init__(self, folder):
    self.folder, self.log = folder, folder / 'log'
    self._losses, self._path = dict(LOSSES), list(sys.path)
    self.anew()

  def anew(self):
    plugins._RUN.clear()
    for name, module in list(sys.modules.items()):
      file = getattr(module, '__dict__', {}).get('__file__') or ''
      if isinstance(file, str) and file.startswith(str(self.folder)):
        del sys.modules[name]
    LOSSES.clear()
    LOSSES.update(self._losses)
    sys.path[:] = self._path
    importlib.invalidate_caches()
    origins._note.cache_clear()

  def write(self, name='mine.py', extra=''):
    path = self.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEXT.format(log=str(self.log)) + extra)
    return path

  @property
  def times(self):
    return len(self.log.read_text()) if self.log.exists() else 0


@pytest.fixture
def process(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setattr(sys, 'dont_write_bytecode', True)
  monkeypatch.chdir(tmp_path)
  made = Process(tmp_path)
  yield made
  made.anew()


def start(workdir, **overrides):
  """As far as a training gets before anything is compiled."""
  with origins.recalled(workdir):
    return open_run(plan.read(tiny_digits(**overrides)), workdir)


@pytest.fixture
def trained(process):
  """A run with the loss of mine.py, as the next process finds it."""
  process.write()
  plugins.run(['mine.py'])
  start(process.folder / 'runs' / 'one', loss='mine')
  process.anew()
  return process.folder / 'runs' / 'one'


# --- Running ------------------------------------------------------------------


def test_once_by_whatever_name(process):
  path = process.write()
  plugins.run(['mine.py'])
  plugins.run([str(path), 'mine', './mine.py,mine'])
  assert process.times == 1
  (plugin,) = plugins.all_run()
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  assert plugin == (str(path), str(path), digest)


def test_a_module_of_a_package_in_the_current_directory(process):
  process.write('parts/mine.py')
  plugins.run(['parts.mine'])
  (plugin,) = plugins.all_run()
  assert plugin.name == 'parts.mine'
  assert sys.modules['parts.mine']
  process.anew()
  assert plugins.again(plugin) == ''
  assert process.times == 2


def test_what_is_imported_anyhow_is_not_run_again(process):
  """A script of the user's, or the config file of this command."""
  process.write()
  sys.path.append(str(process.folder))
  importlib.import_module('mine')
  plugins.run(['mine.py'])
  assert process.times == 1
  assert len(plugins.all_run()) == 1


@pytest.mark.parametrize(
  ('content', 'says'),
  [
    ('1 / 0', 'plugin: bad.py: ZeroDivisionError: division by zero'),
    ('raise ValueError("a\\n\\n b")', 'plugin: bad.py: ValueError: a b'),
    ('def f(:', 'plugin: bad.py: SyntaxError: '),
    ('\x00\x01', 'plugin: bad.py: '),
    ('raise SystemExit(0)', 'plugin: bad.py: SystemExit: 0'),
    ('import gone', "plugin: bad.py: ModuleNotFoundError: No module named 'go"),
  ],
)
def test_files_that_fail(process, content, says):
  (process.folder / 'bad.py').write_text(content)
  before = set(sys.modules)
  with pytest.raises(InputError) as error:
    plugins.run(['bad.py'])
  assert str(error.value).startswith(says)
  assert '\n' not in str(error.value)
  assert set(sys.modules) == before
  assert not plugins.all_run()
  assert not (process.folder / 'cache').exists()


@pytest.mark.parametrize(
  ('name', 'says'),
  [
    ('nope.py', 'plugin: nope.py: there is no such file'),
    ('./cache', 'plugin: ./cache: there is no such file'),
    ('nope', 'plugin: nope: there is no such module; a file is named by'),
    (
      'nope.mine',
      "plugin: nope.mine: ModuleNotFoundError: No module named 'no",
    ),
    ('sys', 'plugin: sys: there is no such module'),
    ('', 'plugin: : ValueError: '),
  ],
)
def test_names_of_nothing(process, name, says):
  with pytest.raises(InputError) as error:
    plugins.run([name])
  assert str(error.value).startswith(says)


@pytest.mark.parametrize(
  ('first_line', 'counts'),
  [
    ('from configs import base', False),
    ('import ml_collections, configs.base', False),
    ('from gan_jax.losses import LOSSES', True),
    ('import my_parts', True),
    ('from . import parts', True),
  ],
)
def test_config_files_that_may_register_something(process, first_line, counts):
  """It has run by then; whatever imports no more than ours is no plugin."""
  path = process.folder / 'my_config.py'
  path.write_text(f'{first_line}\n')
  module = type(sys)('config_config')
  module.__file__ = 'my_config.py'
  sys.modules['config_config'] = module
  try:
    plugins.run_config('my_config.py:argument')
  finally:
    del sys.modules['config_config']
  assert [x.path for x in plugins.all_run()] == [str(path)] * counts


# --- A run's memory -----------------------------------------------------------


def test_a_run_finds_its_plugin(process, trained):
  (plugin,) = origins.read(trained)
  assert plugin.name == str(process.folder / 'mine.py')
  assert read_plan(trained)[0].fields['loss'] == 'mine'
  assert read_plan(trained)
  assert process.times == 2  # once in each process


def test_a_run_without_plugins_writes_none(process):
  start(process.folder / 'run')
  assert not (process.folder / 'run' / 'plugins.json').exists()


def change(process, trained):
  process.write(extra='# other\n')


def remove(process, trained):
  (process.folder / 'mine.py').unlink()


def be_another_user(process, trained):
  """Or another machine: nothing says that this plugin was ever wanted."""
  (process.folder / 'cache').rename(process.folder / 'cache of another')


def be_another_machine(process, trained):
  be_another_user(process, trained)
  remove(process, trained)


def lose_its_data(process, trained):
  """The same bytes, and yet it fails; it is not itself what is gone."""
  process.log.unlink()
  process.log.symlink_to(process.folder / 'nowhere' / 'log')


@pytest.mark.parametrize(
  ('happens', 'says'),
  [
    (change, 'which has changed since; to take it as it is: --plugin={}'),
    (remove, 'which is gone; name it where it is now: --plugin={}'),
    (be_another_user, 'which you have not run here yet; if you trust it, name'),
    (be_another_machine, 'which is gone; if you have it: --plugin={}'),
    (lose_its_data, 'which cannot be run any more: FileNotFoundError: '),
  ],
)
def test_what_cannot_be_run_again_is_named(process, trained, happens, says):
  happens(process, trained)
  path = process.folder / 'mine.py'
  (plugin,) = origins.read(trained)
  with pytest.raises(InputError) as error, origins.recalled(trained):
    read_plan(trained)
  line = str(error.value)
  assert line.startswith("loss: unknown name 'mine'; valid: f_gan, ")
  told = f'; the run was trained with {path} (sha256 {plugin.sha256[:12]}), '
  assert line.count(told + says.format(path)) == 1
  assert '\n' not in line
  assert 'mine' not in LOSSES


def test_a_workdir_without_a_checkpoint_is_taken_over(process, trained):
  be_another_user(process, trained)
  start(trained, loss='hinge')
  assert not (trained / 'plugins.json').exists()


def test_it_is_not_missed_where_it_is_not_needed(process):
  process.write()
  plugins.run(['mine.py'])
  start(process.folder / 'run', loss='hinge')
  process.anew()
  remove(process, None)
  assert read_plan(process.folder / 'run')[0].fields['loss'] == 'hinge'


def test_named_again_it_works_and_a_change_is_noted(process, trained, capsys):
  """Sampled or resumed; the resumed run remembers the new one."""
  before = origins.read(trained)[0].sha256
  change(process, trained)
  plugins.run(['mine.py'])
  (trained / 'checkpoints' / '4').mkdir(parents=True)
  read_plan(trained)
  start(trained, loss='mine')
  (plugin,) = origins.read(trained)
  assert plugin.sha256 != before
  assert capsys.readouterr().err == (
    f'note: {process.folder / "mine.py"} has changed since the run in '
    f'{trained} was trained with it: sha256 {before[:12]}, now '
    f'{plugin.sha256[:12]}\n'
  )


def test_resumed_it_remembers_what_it_recalled_and_what_is_new(
  process, trained
):
  (trained / 'checkpoints' / '4').mkdir(parents=True)
  process.write('more.py', extra='# more\n')
  plugins.run(['more.py'])
  start(trained, loss='mine')
  names = [plugin.name for plugin in origins.read(trained)]
  assert sorted(names) == [
    str(process.folder / f'{n}.py') for n in 'mine more'.split()
  ]
  process.anew()
  remove(process, trained)
  plugins.run(['more.py'])
  start(trained, loss='mine')
  names = [plugin.name for plugin in origins.read(trained)]
  assert names == [str(process.folder / f'{n}.py') for n in ('mine', 'more')]


def test_moved_and_run_again_it_is_found(process, trained):
  (process.folder / 'elsewhere').mkdir()
  (process.folder / 'mine.py').rename(process.folder / 'elsewhere' / 'mine.py')
  plugins.run(['elsewhere/mine.py'])
  process.anew()
  read_plan(trained)
  assert plugins.all_run()[0].name == str(
    process.folder / 'elsewhere' / 'mine.py'
  )


@pytest.mark.slow
def test_from_python(process):
  """Named to train, and named again where nothing else vouches for it.

  Four seconds: a training and a sampler are compiled.
  """
  process.write()
  workdir = process.folder / 'run'
  config = tiny_digits(loss='mine', num_steps=4)
  train(config, workdir, plugins=['mine.py'])
  process.anew()
  be_another_user(process, workdir)
  with pytest.raises(InputError, match='not run here yet'):
    load(workdir)
  assert load(workdir, plugins=['mine.py']).sample(2).shape == (2, 8, 8, 1)
  process.anew()
  assert load(workdir)


# --- Workdirs from elsewhere --------------------------------------------------


def forge(workdir, path):
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  plugin = dict(name=str(path), path=str(path), sha256=digest)
  (workdir / 'plugins.json').write_text(json.dumps({'plugins': [plugin]}))


@pytest.mark.parametrize('where', ['runs/one', 'runs', '.'])
def test_a_workdir_runs_nothing_that_the_user_has_not(process, trained, where):
  """Not even a file in the current directory, with its right hash."""
  forge(trained, process.write(f'{where}/evil.py', extra='# evil\n'))
  times = process.times
  with pytest.raises(InputError, match='not run here yet'):
    read_plan(trained)
  assert process.times == times
  assert not plugins.all_run()


def test_a_copy_of_what_the_user_has_run_is_not_what_is_run(process, trained):
  """What is imported beside a copy may be another's: the user's own is run."""
  copy = process.write('runs/one/mine.py')
  forge(trained, copy)
  read_plan(trained)
  assert [x.path for x in plugins.all_run()] == [
    str(process.folder / 'mine.py')
  ]


@pytest.mark.parametrize(
  'value',
  [
    {},
    {'plugins': 3},
    {'plugins': ['x']},
    {'plugins': [{'name': 'x'}]},
    {'plugins': [dict(name='x', path='x', sha256='../../../x')]},
    {'plugins': [dict(name='x\n', path='x', sha256='0' * 64)]},
    {'plugins': [dict(name=1, path='x', sha256='0' * 64)]},
    [],
  ],
)
def test_files_that_no_run_has_written(process, trained, value):
  (trained / 'plugins.json').write_text(json.dumps(value))
  with pytest.raises(InputError, match=r'plugins\.json is not what a run wri'):
    read_plan(trained)


def test_unknown_names_without_plugins_stay_as_they_are(process):
  start(process.folder / 'run')
  with (
    pytest.raises(UnknownNameError, match=r'vanilla$'),
    origins.recalled(process.folder / 'run'),
  ):
    raise UnknownNameError('loss: vanilla')

"""--mode=search as a whole: trials, workers, what is left and said."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest

from gan_jax.config.plan import read
from gan_jax.config.sweep import SWEPT
from gan_jax.modes.search import search
from gan_jax.search import fresh as fresh_lib
from gan_jax.search import trials as trials_lib
from gan_jax.types import InputError, InUseError
from gan_jax.workdir import layout
from tests.helpers import ROOT, cli_environment, tiny_digits, tiny_flags

RATES = '{"gen_optimizer.learning_rate": [1e-4, 1e-2, "log"]}'
MIXED = '{"gen_optimizer.learning_rate": [1e-4, 1e-2], "latent_dim": [4, 8]}'
KEYS = {
  'num_steps': 8,
  'log_every': 2,
  'eval.every_num_samples': 20,
  'eval.network': 'random',
  'search.fresh_seeds': 0,
  'search.trials': 3,
  'search.heartbeat': 1,
  'search.pruner': 'none',
}


def config_of(space=RATES, **keys):
  return tiny_digits(**{'search.space': space}, **KEYS | keys)


def complete(workdir, study='search'):
  found = optuna.load_study(
    study_name=study, storage=f'sqlite:///{workdir / "search.db"}'
  )
  return [t for t in found.trials if t.state.name == 'COMPLETE']


@pytest.fixture(scope='module')
def searched(tmp_path_factory):
  """A search of three trials in one program, and what it said."""
  workdir = tmp_path_factory.mktemp('search')
  keys = {'search.together': 3, 'search.fresh_seeds': 2}
  return workdir, search(config_of(**keys), workdir)


@pytest.mark.slow
def test_each_trial_is_the_run_that_its_values_give(searched):
  workdir, found = searched
  assert [trial.state for trial in found.tried] == ['complete'] * 3
  (folder,) = (workdir / 'trials').iterdir()
  assert folder.name == '00000-00002'
  rows = (folder / 'evaluations.jsonl').read_text().splitlines()
  last = [row for row in map(json.loads, rows) if row['step'] == 8]
  for trial, row in zip(found.tried, last, strict=True):
    (rate,) = trial.values.values()
    assert row['gen_learning_rate'] == rate
    assert row['scores']['fid_random']['value'] == trial.score
  assert found.name == 'fid_random'
  assert found.ranked[0].score == min(trial.score for trial in found.tried)
  assert (folder / 'log.txt').read_text().startswith('training')


@pytest.mark.slow
def test_the_best_are_configs_to_run(searched):
  workdir, found = searched
  path = workdir / 'best_1.py'
  sys.path.insert(0, str(ROOT))
  try:
    scope = {}
    exec(path.read_text(), scope)
  finally:
    sys.path.remove(str(ROOT))
  config = scope['get_config']()
  fields = layout.flatten(read(config).fields)
  wanted = layout.flatten(read(config_of()).fields) | found.ranked[0].values
  for key, value in wanted.items():
    if not key.startswith('search.'):
      assert fields[key] == value, key


@pytest.mark.slow
def test_the_winner_is_tried_on_seeds_of_its_own(searched):
  workdir, found = searched
  assert found.fresh.seeds == [1, 2]
  for name in (fresh_lib.WINNER, fresh_lib.DEFAULT):
    (folder,) = (workdir / 'fresh').glob(f'{name}_*')
    config = layout.read_json(folder / 'config.json')
    assert (config['seed'], config['num_seeds']) == (1, 2)
    rate = config['gen_optimizer']['learning_rate']
    best = found.ranked[0].values['gen_optimizer.learning_rate']
    own = tiny_digits().gen_optimizer.learning_rate
    assert rate == (best if name == fresh_lib.WINNER else own)
  told = layout.read_json(workdir / 'search.json')
  assert told['fresh']['winner'] == found.fresh.winner
  difference = np.mean(found.fresh.winner) - np.mean(found.fresh.default)
  assert told['fresh']['difference'] == pytest.approx(difference)


@pytest.mark.slow
def test_the_page_has_it_all(searched):
  workdir, found = searched
  text = (workdir / 'search.html').read_text()
  for heading in ('Found', 'What mattered', 'Trials', 'All trials at once'):
    assert f'<h2>{heading}' in text
  assert f'{found.ranked[0].score:.4g}' in text
  assert 'best_1.py' in text
  assert 'http' not in text.replace('http-equiv', '')


@pytest.mark.slow
def test_the_same_search_again_is_done_at_once(searched, capsys):
  workdir, found = searched
  before = sorted((workdir / 'trials').iterdir())
  keys = {'search.together': 3, 'search.fresh_seeds': 2}
  again = search(config_of(**keys), workdir)
  assert again.tried == found.tried
  assert again.fresh == found.fresh
  assert sorted((workdir / 'trials').iterdir()) == before
  with pytest.raises(InputError, match=r'latent_dim, search\.space'):
    search(config_of(MIXED, latent_dim=5, **keys), workdir)


@pytest.mark.slow
def test_what_differs_in_shape_is_a_program_of_its_own(tmp_path):
  keys = {'search.together': 3, 'search.sampler': 'grid', 'search.trials': 100}
  found = search(config_of(MIXED, **keys), tmp_path)
  assert len(found.tried) == 4
  assert len(list((tmp_path / 'trials').iterdir())) >= 2


@pytest.mark.slow
def test_what_cannot_be_run_is_told_and_counts(tmp_path):
  """A batch of one has no batch norm; the other trials go on."""
  space = '{"batch_size": [1, 8, 16]}'
  keys = {
    'search.sampler': 'grid',
    'network.name': 'mlp_bn',
    'network.gen_widths': (8,),
  }
  found = search(config_of(space, **keys), tmp_path)
  states = sorted(trial.state for trial in found.tried)
  assert states == ['complete', 'complete', 'failed']
  (failed,) = (trial for trial in found.tried if trial.state == 'failed')
  assert failed.values == {'batch_size': 1}
  assert 'one example' in failed.problem


@pytest.mark.slow
def test_a_run_that_scores_worse_than_others_is_given_up(tmp_path):
  """G does not move with a rate of next to nothing."""
  space = '{"gen_optimizer.learning_rate": {"choices": [%s, 1e-12]}}'
  space %= ', '.join(f'{1e-3 + i * 1e-5}' for i in range(6))
  keys = {
    'search.sampler': 'grid',
    'search.pruner': 'median',
    'search.trials': 7,
    'num_steps': 600,
    'eval.every': 100,
    'eval.every_num_samples': 100,
    'log_every': 50,
  }
  found = search(config_of(space, **keys), tmp_path)
  last = found.tried[-1]
  assert last.values == {'gen_optimizer.learning_rate': 1e-12}
  assert last.state == 'pruned'
  rows = (tmp_path / 'trials' / last.folder / 'evaluations.jsonl').read_text()
  assert json.loads(rows.splitlines()[-1])['step'] < 600


@pytest.mark.parametrize(
  ('space', 'keys', 'words'),
  [
    ('{"loss": ["hinge", "hinges"]}', {}, "loss='hinges'.*unknown name"),
    ('{"batch_size": [0, 8]}', {}, 'batch_size=0'),
    ('{"batch_size": [0.5, 8]}', {}, r'batch_size=0\.5'),
    ('{"batch_size": ["a", "b"]}', {}, "batch_size='a'"),
    (RATES, {'num_seeds': 2}, 'one run after the other'),
    (RATES, {'eval.every': 3}, 'eval.every: 3 does not divide'),
    (RATES, {'search.sampler': 'best'}, 'search.sampler: unknown name'),
    (RATES, {'search.trials': 0}, 'search.trials: 0'),
    (RATES, {'search.workers': 2}, 'from Python there is no command'),
    ('{"nothing": [1, 2]}', {}, "no key 'nothing'"),
  ],
)
def test_bad_input_is_one_line_before_any_work(tmp_path, space, keys, words):
  with pytest.raises(InputError, match=words) as error:
    search(config_of(space, **keys), tmp_path / 'new')
  assert '\n' not in str(error.value)
  assert not (tmp_path / 'new' / 'trials').exists()


@pytest.mark.slow
@pytest.mark.parametrize('error', ['in use', 'memory', 'taken up'])
def test_trouble_of_one_trial_ends_no_worker(tmp_path, monkeypatch, error):
  """A run that somebody has, one that does not fit, one that was taken up."""
  train, calls = trials_lib.loop.train, []

  def troubled(plan, folder, callbacks=()):
    calls.append(folder)
    if len(calls) > 1:
      return train(plan, folder, callbacks)
    if error == 'in use':
      raise InUseError(f'workdir: {folder} is in use by process 1')
    if error == 'memory':
      raise RuntimeError('RESOURCE_EXHAUSTED: out of memory')
    raise optuna.exceptions.UpdateFinishedTrialError

  monkeypatch.setattr(trials_lib.loop, 'train', troubled)
  monkeypatch.setattr(trials_lib, '_PATIENCE', 0.1)
  keys = {'search.trials': 2}
  if error == 'taken up':  # its trial stays with whoever has it
    keys['search.trials'] = 1
    monkeypatch.setattr('gan_jax.modes.search.time.sleep', _raise)
    with pytest.raises(TimeoutError):
      search(config_of(**keys), tmp_path)
    return
  found = search(config_of(**keys), tmp_path)
  states = [trial.state for trial in found.tried]
  if error == 'in use':
    assert states == ['complete', 'complete']
    assert calls.count(calls[0]) == 2  # gone on with in its own folder
  else:
    assert sorted(states) == ['complete', 'failed']
    assert 'memory' in found.tried[0].problem


def _raise(seconds):
  raise TimeoutError


def test_runs_of_a_study_that_is_gone_are_not_taken_for_its(tmp_path):
  (tmp_path / 'trials' / '00000').mkdir(parents=True)
  with pytest.raises(InputError, match='whose study is gone'):
    search(config_of(), tmp_path)


# --- Several processes --------------------------------------------------------


def start(workdir, *flags, **keys):
  keys = {k.replace('__', '.'): v for k, v in KEYS.items()} | keys
  command = [
    *(sys.executable, str(ROOT / 'run.py'), '--mode=search'),
    *tiny_flags(workdir, **{'search.space': RATES} | keys),
    *flags,
  ]
  return subprocess.Popen(
    command,
    env=cli_environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def wait_for(condition, seconds=90):
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    if condition():
      return
    time.sleep(0.05)
  raise AssertionError('it did not come')


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_trial(tmp_path):
  """What it was at is gone on with by the next one, from its checkpoint."""
  keys = {'num_steps': 4_000, 'eval.every': 1_000, 'search.trials': 2}
  worker = start(tmp_path, **keys)
  wait_for((tmp_path / 'trials' / '00000' / 'checkpoints' / '1000').exists)
  worker.send_signal(signal.SIGKILL)
  worker.communicate()
  assert complete(tmp_path) == []
  time.sleep(4)
  again = start(tmp_path, **keys)
  out, err = again.communicate(timeout=200)
  assert again.returncode == 0, err
  assert '2 trials: 2 complete' in out
  done = complete(tmp_path)
  assert len(done) == 2
  assert (
    len({trial.params['gen_optimizer.learning_rate'] for trial in done}) == 2
  )
  assert sorted(p.name for p in (tmp_path / 'trials').iterdir())[0] == '00000'
  assert 'resuming' in (tmp_path / 'trials' / '00000' / 'log.txt').read_text()


@pytest.mark.slow
def test_a_signal_puts_the_trial_back(tmp_path):
  keys = {'num_steps': 4_000, 'eval.every': 1_000, 'search.trials': 1}
  worker = start(tmp_path, **keys)
  first = tmp_path / 'trials' / '00000' / 'evaluations.jsonl'
  wait_for(lambda: first.exists() and '"step": 1000' in first.read_text())
  worker.send_signal(signal.SIGTERM)
  _, err = worker.communicate(timeout=60)
  assert worker.returncode == 75, err
  again = start(tmp_path, **keys)
  out, err = again.communicate(timeout=200)
  assert again.returncode == 0, err
  assert '1 trials: 1 complete' in out
  assert 'resuming' in (tmp_path / 'trials' / '00000' / 'log.txt').read_text()


@pytest.mark.slow
def test_two_workers_on_one_storage(tmp_path):
  worker = start(tmp_path, **{'search.trials': 6, 'search.workers': 2})
  out, err = worker.communicate(timeout=300)
  assert worker.returncode == 0, err
  assert '6 trials: 6 complete' in out
  assert len(complete(tmp_path)) == 6
  helper = (tmp_path / 'worker_1.log').read_text()
  ours = sum(line.startswith('trial ') for line in out.splitlines())
  theirs = sum(line.startswith('trial ') for line in helper.splitlines())
  assert ours + theirs == 6
  assert ours
  assert theirs
  assert 'Traceback' not in helper + err


@pytest.fixture
def postgres(tmp_path):
  """The address of a PostgreSQL server of our own, on loopback."""
  pytest.importorskip('psycopg')
  path = os.pathsep.join([os.environ['PATH'], *map(str, _postgres_folders())])
  initdb, server = (shutil.which(x, path=path) for x in ('initdb', 'postgres'))
  if not (initdb and server):
    pytest.skip('there is no PostgreSQL server')
  own = []
  if os.getuid() == 0:  # it refuses to be root
    if shutil.which('setpriv') is None or os.system('id postgres >/dev/null'):
      pytest.skip('a PostgreSQL server wants a user who is not root')
    own = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups']
  folder = tmp_path / 'postgres'
  folder.mkdir()
  for parent in [folder, *folder.parents]:
    if parent.name and parent.owner() == 'root' and str(parent) != '/tmp':
      parent.chmod(0o755)
  if own:
    shutil.chown(folder, 'postgres', 'postgres')
  subprocess.run(
    [*own, initdb, '-D', str(folder), '-A', 'trust', '-U', 'me'],
    check=True,
    capture_output=True,
  )
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    port = probe.getsockname()[1]
  running = subprocess.Popen(
    [
      *(*own, server, '-D', str(folder), '-p', str(port)),
      *('-c', 'listen_addresses=127.0.0.1', '-k', str(folder)),
    ],
    stderr=subprocess.PIPE,
    text=True,
  )
  for line in running.stderr:
    if 'ready to accept connections' in line:
      break
  yield f'postgresql+psycopg://me@127.0.0.1:{port}/postgres'
  running.send_signal(signal.SIGINT)  # whoever is still there
  running.communicate(timeout=30)


def _postgres_folders():
  import pathlib

  return sorted(pathlib.Path('/usr/lib/postgresql').glob('*/bin'))


@pytest.mark.slow
def test_a_postgresql_server_keeps_the_trials(postgres, tmp_path):
  """Of two machines, each with a workdir of its own."""
  keys = {'search.storage': postgres, 'search.trials': 4}
  workers = [start(tmp_path / name, **keys) for name in ('one', 'two')]
  for worker in workers:
    out, err = worker.communicate(timeout=200)
    assert worker.returncode == 0, err
    assert 'complete' in out
  study = optuna.load_study(study_name='search', storage=postgres)
  done = [t for t in study.trials if t.state.name == 'COMPLETE']
  # Without a folder that both can lock, one more may have begun.
  assert len(done) in (4, 5)
  assert {'gen_learning_rate'} <= set(SWEPT)

"""Several processes: the run of one, checkpoints by all, and who is lost."""

import functools
import json
import os
import signal
import sys
import time

import jax
import numpy as np
import pytest

from gan_jax.data import load_dataset, make_feed
from gan_jax.process import hosts
from gan_jax.types import InputError
from gan_jax.workdir.logs import read_metrics
from gan_jax.workdir.trained import restore
from tests.helpers import SGD, assert_close, run_cli, slow, tiny_flags
from tests.multihost import child_of, end_all, start_all

pytestmark = pytest.mark.skipif(
  sys.platform != 'linux', reason='looks for child processes in /proc'
)

KEYS = {k: v for k, v in SGD.items() if v is not None} | dict(
  num_steps=6,
  checkpoint_every=3,
  sample_every=3,
  log_every=3,
  steps_per_dispatch=3,
  disc_steps=2,
  ema_decay=0.5,
  conditional=True,
  network__gen_norm='batch',
  network__disc_norm='batch',
  num_devices=0,
)


def assert_equals_one_process(workdir, alone):
  """State and rows, to a share of 1e-5 of their size."""
  states = [restore(path).state for path in (workdir, alone)]
  assert_close(*(jax.device_get(state) for state in states), 1e-5)
  rows = [read_metrics(path) for path in (workdir, alone)]
  assert [row['step'] for row in rows[0]] == [3, 6]
  for ours, theirs in zip(*rows, strict=True):
    for name in ours.keys() - {'images_per_second'}:
      np.testing.assert_allclose(
        ours[name], theirs[name], rtol=1e-4, atol=1e-6, err_msg=name
      )


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
  """The same run by one process: of images kept, or of streamed ones."""

  @functools.cache
  def run(cache):
    workdir = tmp_path_factory.mktemp('alone') / cache
    keys = KEYS | dict(data__cache=cache, num_devices=1)
    done = run_cli(*tiny_flags(workdir, **keys))
    assert done.returncode == 0, done.stderr
    return workdir

  return run


@pytest.mark.slow  # `make test-multihost`
@pytest.mark.parametrize(
  ('count', 'devices', 'cache'),
  [
    (2, 1, 'stream'),
    slow(2, 2, 'device'),
    slow(4, 1, 'device'),
  ],
)
@pytest.mark.multihost
def test_many_processes_equal_one(count, devices, cache, tmp_path, alone):
  workdir = tmp_path / 'run'
  flags = tiny_flags(workdir, **KEYS, data__cache=cache)
  ended = end_all(start_all(count, *flags, devices=devices))
  assert [code for code, _, _ in ended] == [0] * count, ended
  for _, out, error in ended[1:]:  # the first alone speaks and writes
    assert 'step' not in out + error
  assert f'{count * devices} cpu device(s) of {count} processes' in ended[0][1]
  assert (workdir / 'samples' / 'final.png').exists()
  assert_equals_one_process(workdir, alone(cache))


@pytest.mark.multihost
@pytest.mark.slow
@pytest.mark.parametrize('count', [1, 2])
def test_a_run_of_two_processes_goes_on_with(count, tmp_path, alone):
  """Scored while training, by the first process alone."""
  workdir = tmp_path / 'run'
  scores = dict(
    eval__every=3, eval__network='random', eval__every_num_samples=20
  )
  first = tiny_flags(workdir, **KEYS | scores | dict(num_steps=3))
  ended = end_all(start_all(2, *first))
  assert [code for code, _, _ in ended] == [0, 0], ended
  second = tiny_flags(workdir, **KEYS | scores)
  if count == 1:
    done = run_cli(*second, '--config.num_devices=1')
    assert done.returncode == 0, done.stderr
    out = done.stdout
  else:
    ended = end_all(start_all(2, *second))
    assert [code for code, _, _ in ended] == [0, 0], ended
    out = ended[0][1]
  assert 'resuming' in out
  assert 'no scores' not in out
  assert list((workdir / 'best').glob('[0-9]'))
  assert_equals_one_process(workdir, alone('device'))


LONG = KEYS | dict(num_steps=1_000_000, checkpoint_every=30, log_every=30)


def start_long(workdir, count=2):
  """Processes in mid-training, with a checkpoint behind them."""
  processes = start_all(count, *tiny_flags(workdir, **LONG))
  deadline = time.monotonic() + 150
  while not list((workdir / 'checkpoints').glob('[0-9]*0')):
    assert time.monotonic() < deadline, 'no checkpoint came'
    assert all(process.poll() is None for process in processes)
    time.sleep(0.05)
  return processes


@pytest.mark.multihost
@pytest.mark.slow  # to be sure that one is lost takes half a minute
@pytest.mark.parametrize('killed', [0, 1])
def test_a_lost_process_ends_the_others(killed, tmp_path):
  """Within the stated time, with one line at the end and exit code 5."""
  processes = start_long(tmp_path)
  start = time.monotonic()
  os.kill(child_of(processes[killed]), signal.SIGKILL)
  ended = end_all(processes, seconds=hosts.LOST_AFTER)
  assert time.monotonic() - start < hosts.LOST_AFTER
  code, _, error = ended[1 - killed]
  assert code == 5, ended
  last = error.strip().splitlines()[-1]
  assert last.startswith('error: another ')
  assert 'go on from the newest checkpoint' in last
  # It does: by one process, from what the two have written.
  step = max(int(p.name) for p in (tmp_path / 'checkpoints').glob('[0-9]*0'))
  keys = LONG | dict(num_devices=1, num_steps=step + 3)
  done = run_cli(*tiny_flags(tmp_path, **keys))
  assert done.returncode == 0, done.stderr
  assert f'at step {step} of' in done.stdout


@pytest.mark.multihost
@pytest.mark.slow
def test_a_process_that_hangs_ends_the_others(tmp_path):
  processes = start_long(tmp_path)
  child, start = child_of(processes[1]), time.monotonic()
  os.kill(child, signal.SIGSTOP)
  try:
    ended = end_all(processes[:1], seconds=hosts.LOST_AFTER)
    assert time.monotonic() - start < hosts.LOST_AFTER
    assert ended[0][0] == 5, ended
  finally:
    os.kill(child, signal.SIGKILL)
    end_all(processes[1:])


@pytest.mark.multihost
@pytest.mark.slow
def test_a_signal_to_one_stops_all_in_good_order(tmp_path):
  processes = start_long(tmp_path)
  processes[1].send_signal(signal.SIGTERM)
  ended = end_all(processes)
  assert [code for code, _, _ in ended] == [75, 75], ended
  lines = [error.strip().splitlines()[-1] for _, _, error in ended]
  steps = {line.split('step ')[1].split()[0] for line in lines}
  assert len(steps) == 1
  assert (tmp_path / 'checkpoints' / steps.pop()).is_dir()


@pytest.mark.multihost
@pytest.mark.slow
def test_all_refuse_what_the_first_refuses(tmp_path):
  """A run with another config is in the workdir."""
  done = run_cli(*tiny_flags(tmp_path, **KEYS | dict(num_devices=1)))
  assert done.returncode == 0
  ended = end_all(start_all(2, *tiny_flags(tmp_path, **KEYS, loss='hinge')))
  for code, _, error in ended:
    assert code == 2
    assert "loss was 'non_saturating', now 'hinge'" in error


# --- Flags --------------------------------------------------------------------


@pytest.mark.parametrize(
  ('flags', 'words'),
  [
    (('host', 2, 0), "'host' is not HOST:PORT"),
    (('host:1', None, 0), 'needs --num_processes=N'),
    (('host:1', 2, None), '--process_id=I'),
    (('host:1', 2, 2), '--process_id: 2 is not between 0 and'),
    (('host:1', 2, -1), '--process_id: -1 is not'),
    (('auto', 2, None), 'finds num_processes and process_id by itself'),
  ],
)
def test_flags_that_name_no_place(flags, words):
  with pytest.raises(InputError) as caught:
    hosts.check(*flags)
  assert words in str(caught.value)


def test_auto_without_a_cluster(tmp_path):
  done = run_cli(*tiny_flags(tmp_path), '--coordinator=auto')
  assert done.returncode == 2
  last = done.stderr.strip().splitlines()[-1]
  assert last.startswith('error: --coordinator=auto: no cluster was found')


def test_one_process_is_the_first_and_agrees_with_itself():
  assert (hosts.is_first(), hosts.index(), hosts.count()) == (True, 0, 1)
  assert hosts.agree(lambda: 3) == 3
  assert hosts.broadcast({'a': 1}) == {'a': 1}
  assert hosts.lost(RuntimeError('Gloo: closed')) is None


# --- Shares of a batch --------------------------------------------------------


@pytest.mark.parametrize('cache', ['device', 'stream'])
def test_each_process_reads_its_share_of_every_batch(cache):
  keys = dict(batch_size=12, seed=3, labels=True, cache=cache)
  feed = make_feed(load_dataset('digits').train, **keys)
  whole = next(feed.draws(2))
  shares = [next(feed.shared(i, 3).draws(2)) for i in range(3)]
  for name, value in whole.items():
    assert all(len(share[name]) == 4 for share in shares)
    joined = np.concatenate([share[name] for share in shares])
    np.testing.assert_array_equal(joined, value)
  np.testing.assert_array_equal(feed.indices(2), feed.shared(1, 3).indices(2))
  assert json.dumps(feed.indices(2).tolist())

"""Signals: once ends a run in good order, twice at once; locks; kills."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from gan_jax.process.interruption import StopRequest
from gan_jax.storage import files
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import (
  ROOT,
  assert_same_bits,
  cli_environment,
  run_cli,
  sampled,
  start_cli,
  timeless_rows,
  tiny_flags,
)

LONG = dict(
  num_steps=6_000,
  checkpoint_every=50,
  log_every=10,
  sample_every=2_000,
  steps_per_dispatch=10,
  network__gen_norm='batch',
)


def wait_for(condition, seconds=120):
  deadline = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < deadline, 'nothing came'
    time.sleep(0.01)


# --- In this process --------------------------------------------------------


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_handlers_come_back(number, capfd):
  before = signal.getsignal(number)
  with StopRequest() as stop:
    stop.begun = True
    assert stop.requested is None
    os.kill(os.getpid(), number)
    wait_for(lambda: stop.requested, 10)
    assert stop.requested == signal.Signals(number).name
  assert signal.getsignal(number) is before
  assert 'a second signal ends the run at once' in capfd.readouterr().err


def test_before_the_first_step_a_signal_ends_at_once(capfd, monkeypatch):
  """There is nothing to save, and a compilation may take minutes."""
  codes = []
  monkeypatch.setattr(os, '_exit', codes.append)
  with StopRequest():
    os.kill(os.getpid(), signal.SIGINT)
    wait_for(lambda: codes, 10)
  assert codes == [130]
  assert (
    'error: SIGINT: ended before a step was made; nothing was lost'
    in capfd.readouterr().err
  )


def test_other_threads_are_left_alone():
  before, seen = signal.getsignal(signal.SIGTERM), []

  def work():
    with StopRequest() as stop:
      seen.append((stop.requested, signal.getsignal(signal.SIGTERM)))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [(None, before)]


BUSY = """
import os, signal, sys, time
from gan_jax.process.interruption import StopRequest
with StopRequest() as stop:
  stop.begun = True
  print('ready', flush=True)
  for _ in range(600):  # one instruction of Python takes as long as it likes
    time.sleep(0.1)
"""


def test_the_second_signal_ends_at_once():
  process = subprocess.Popen(
    [sys.executable, '-c', BUSY],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'ready\n'
  process.send_signal(signal.SIGINT)
  assert 'SIGINT: a checkpoint' in process.stderr.readline() + (
    process.stderr.readline()
  )
  process.send_signal(signal.SIGINT)  # as to a group: counts once
  time.sleep(1.2)
  process.send_signal(signal.SIGTERM)
  _, error = process.communicate(timeout=10)
  assert process.returncode == 128 + signal.SIGTERM
  assert 'ended at once' in error


# --- The lock ---------------------------------------------------------------


def test_a_folder_is_held_by_one_process(tmp_path):
  code = (
    'import sys, pathlib, time\n'
    'from gan_jax.storage.files import locked\n'
    'with locked(pathlib.Path(sys.argv[1])):\n'
    '  print("held", flush=True)\n'
    '  time.sleep(60)'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', code, str(tmp_path)],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'held\n'
  with (
    pytest.raises(InputError, match=f'in use by process {process.pid} on '),
    files.locked(tmp_path),
  ):
    pass
  process.kill()
  process.communicate()
  with files.locked(tmp_path):  # it died with its owner
    pass


def test_a_file_system_without_locks_is_warned_of(
  tmp_path, monkeypatch, capsys
):
  def none(handle, how):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(fcntl, 'flock', none)
  with files.locked(tmp_path):
    pass
  assert 'cannot be locked (No locks available)' in capsys.readouterr().err


@pytest.mark.slow
def test_a_screen_that_is_gone_stops_nothing(tmp_path):
  """As of `| tee log` after Ctrl-C, or a log file on a full disk."""
  if not os.path.exists('/dev/full'):
    pytest.skip('no /dev/full here')
  with open('/dev/full', 'w') as full:
    done = subprocess.run(
      [sys.executable, str(ROOT / 'run.py'), *tiny_flags(tmp_path / 'run')],
      env=cli_environment(),
      stdout=full,
      stderr=full,
      check=False,
    )
  assert done.returncode == 0
  assert (tmp_path / 'run' / 'checkpoints' / '4').is_dir()


def test_what_a_kill_had_begun_is_swept(tmp_path):
  (tmp_path / 'mine.tmp.json').touch()
  (tmp_path / '.tmp.999999999.a.x.json').touch()  # of no process that lives
  (tmp_path / '.tmp.b.y.json').touch()
  with files.atomic(tmp_path / 'a.json'):
    files.sweep_temporary(tmp_path)  # its own is being written
  names = sorted(path.name for path in tmp_path.iterdir())
  assert names == ['a.json', 'mine.tmp.json']


# --- Whole runs -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('killed', sampled([False, True], False))
def test_a_stopped_run_goes_on(tmp_path, killed):
  """SIGTERM in mid-training; if killed, the bits of the whole run too.

  That a run goes on bit for bit is tested by call in tests/training.
  """
  workdir = tmp_path / 'stopped'
  keys = LONG | dict(num_steps=1_500, sample_every=700)
  process = start_cli(*tiny_flags(workdir, **keys | dict(num_steps=100_000)))
  wait_for(lambda: (workdir / 'checkpoints' / '100').exists())
  if killed:
    second = run_cli(*tiny_flags(workdir, **keys))
    assert second.returncode == 2
    assert f'in use by process {process.pid}' in second.stderr
  process.send_signal(signal.SIGTERM)
  out, error = process.communicate(timeout=60)
  assert process.returncode == 75, (out, error)
  last = error.splitlines()[-1]
  assert last.startswith('error: SIGTERM: stopped at step ')
  assert 'the same command goes on' in last
  step = int(last.split('step ')[1].split()[0])
  assert (workdir / 'checkpoints' / str(step)).is_dir()
  assert timeless_rows(workdir)[-1]['step'] == step
  if killed:
    process = start_cli(*tiny_flags(workdir, **keys | dict(num_steps=100_000)))
    saved = step // 50 * 50 + 50
    wait_for(lambda: (workdir / 'checkpoints' / str(saved)).exists())
    process.kill()
    out, _ = process.communicate()
    assert f'at step {step} of 100000' in out
    step = max(int(p.name) for p in (workdir / 'checkpoints').glob('[0-9]*'))
  keys |= dict(num_steps=step + 105)
  done = run_cli(*tiny_flags(workdir, **keys))
  assert done.returncode == 0, done.stderr
  assert f'at step {step} of {step + 105}' in done.stdout
  if not killed:
    return
  whole = run_cli(*tiny_flags(tmp_path / 'whole', **keys))
  assert whole.returncode == 0, whole.stderr
  states = [restore(tmp_path / n).state for n in ('stopped', 'whole')]
  assert_same_bits(*states)
  assert timeless_rows(workdir) == timeless_rows(tmp_path / 'whole')

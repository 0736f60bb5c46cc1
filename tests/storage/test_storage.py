"""Full disks, read-only folders and damage, on a real small file system."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time

import pytest

from gan_jax.modes.diagnose import diagnose
from gan_jax.modes.sample import sample
from gan_jax.workdir.trained import restore
from tests.helpers import (
  assert_same_bits,
  run_cli,
  start_cli,
  timeless_rows,
  tiny_digits,
  tiny_flags,
)

KEYS = dict(
  num_steps=4_000,
  checkpoint_every=100,
  log_every=20,
  sample_every=500,
  steps_per_dispatch=20,
  network__gen_widths='64,64',
)


SHORT = KEYS | dict(num_steps=400)


@contextlib.contextmanager
def mounted(folder, *options):
  """A tmpfs; the test is skipped where none may be mounted."""
  folder.mkdir()
  command = ['mount', '-t', 'tmpfs', '-o', ','.join(options), 'tmpfs', folder]
  if (
    shutil.which('mount') is None
    or subprocess.run(command, capture_output=True, check=False).returncode
  ):
    pytest.skip('no file system can be mounted here')
  try:
    yield folder
  finally:
    subprocess.run(['umount', '-l', folder], check=True)


def fill(folder):
  """Takes all the room there is."""
  with (folder / 'filler').open('wb', buffering=0) as file:
    for size in (2**16, 2**10, 1):
      with contextlib.suppress(OSError):
        while file.write(bytes(size)):
          pass


def started(workdir, **keys):
  """A run with a checkpoint behind it."""
  process = start_cli(*tiny_flags(workdir, **KEYS | keys))
  deadline = time.monotonic() + 120
  while not (workdir / 'checkpoints' / '100').exists():
    assert process.poll() is None, process.communicate()
    assert time.monotonic() < deadline, 'no checkpoint came'
    time.sleep(0.01)
  return process


def undisturbed(folder, keys):
  """A run without trouble."""
  workdir = folder / 'run'
  done = run_cli(*tiny_flags(workdir, **keys))
  assert done.returncode == 0, done.stderr
  return workdir


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  return undisturbed(tmp_path_factory.mktemp('whole'), KEYS)


@pytest.fixture(scope='module')
def short(tmp_path_factory):
  return undisturbed(tmp_path_factory.mktemp('short'), SHORT)


def assert_is_the_whole_run(workdir, whole):
  states = [restore(path).state for path in (workdir, whole)]
  assert_same_bits(*states)
  assert timeless_rows(workdir) == timeless_rows(whole)


@pytest.mark.slow  # needs a mount, and six starts of run.py
def test_a_disk_that_fills_up_stops_a_run_in_good_order(tmp_path, whole):
  """Then there is room again, and the same command goes on."""
  with mounted(tmp_path / 'small', 'size=8m') as folder:
    workdir = folder / 'run'
    process = started(workdir)
    fill(folder)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 4, (out, error)
    assert 'Traceback' not in out + error, error
    last = error.strip().splitlines()[-1]
    # Which write is the first to fail depends on what fits where.
    begins = ('no checkpoint at', 'checkpoints: that of', 'training is done')
    assert last.removeprefix('error: ').startswith(begins)
    assert 'No space left on device' in last
    assert 'run the same command again' in last
    assert error.count('No space left on device') > 1  # was said at once
    # The earlier checkpoint is whole.
    assert 100 <= restore(workdir).state.step <= 4_000
    (folder / 'filler').unlink()
    done = run_cli(*tiny_flags(workdir, **KEYS))
    assert done.returncode == 0, done.stderr
    assert_is_the_whole_run(workdir, whole)


@pytest.mark.slow
def test_a_disk_with_room_again_costs_nothing(tmp_path, whole):
  with mounted(tmp_path / 'small', 'size=8m') as folder:
    workdir = folder / 'run'
    process = started(workdir, steps_per_dispatch=1)
    fill(folder)
    time.sleep(1.0)
    (folder / 'filler').unlink()
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, (out, error)
    assert 'No space left on device' in error
    assert ('tried again' in error) == ('no row was lost' in error)
    assert_is_the_whole_run(workdir, whole)


def test_a_folder_that_cannot_be_written(tmp_path):
  with mounted(tmp_path / 'small', 'size=1m', 'ro') as folder:
    done = run_cli(*tiny_flags(folder / 'run'))
    assert done.returncode == 2
    assert done.stderr.startswith(f'error: workdir: cannot write in {folder}')
    assert 'Read-only file system' in done.stderr


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start(tmp_path):
  with mounted(tmp_path / 'small', 'size=64k') as folder:
    (folder / 'run').mkdir()
    fill(folder)
    done = run_cli(*tiny_flags(folder / 'run'))
    assert done.returncode in (2, 4)
    assert 'No space left on device' in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr


@pytest.mark.slow  # five starts of run.py
def test_a_quota_is_a_full_disk_too(tmp_path):
  """Needs no rights: no file of the process may grow beyond 16 KiB."""
  limit = 2**14

  workdir = tmp_path / 'run'
  keys = dict(num_steps=40, checkpoint_every=20, network__gen_widths='256,256')
  # The compiled program must be there: it is larger, and could not be kept.
  assert run_cli(*tiny_flags(tmp_path / 'warm', **keys)).returncode == 0
  process = start_cli(*tiny_flags(workdir, **keys))
  resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
  out, error = process.communicate(timeout=120)
  assert process.returncode == 4, (out, error)
  assert 'Traceback' not in out + error, error
  last = error.strip().splitlines()[-1]
  assert last.startswith('error: checkpoints: that of step 40 cannot be')
  assert [row['step'] for row in timeless_rows(workdir)][-1] == 40
  assert not list((workdir / 'checkpoints').glob('*tmp*'))
  done = run_cli(*tiny_flags(workdir, **keys))
  assert done.returncode == 0, done.stderr


@pytest.mark.slow  # see test_checkpoint.py
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
  tmp_path, short
):
  workdir = tmp_path / 'run'
  shutil.copytree(short, workdir)
  newest = workdir / 'checkpoints' / '400'
  path = max(newest.rglob('d/*'), key=lambda path: path.stat().st_size)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 4
  path.write_bytes(content)
  done = run_cli(*tiny_flags(workdir, **SHORT))
  assert done.returncode == 0, done.stderr
  assert f'checkpoint {newest} is damaged' in done.stderr
  assert 'at step 300 of 400' in done.stdout
  assert_is_the_whole_run(workdir, short)
  assert len(os.listdir(workdir / 'damaged')) == 1


@pytest.mark.slow  # starts of run.py
def test_a_lost_config_is_in_the_checkpoint(tmp_path, short, capsys):
  workdir = tmp_path / 'run'
  shutil.copytree(short, workdir)
  (workdir / 'config.json').unlink()
  (workdir / 'dataset.json').write_text('{')
  found = 'the newest checkpoint has what was in it'
  for mode in (sample, diagnose):
    mode(tiny_digits(diagnose__samples=0), workdir)
    assert found in capsys.readouterr().err
  # And it goes on.
  done = run_cli(*tiny_flags(workdir, **SHORT | dict(num_steps=500)))
  assert done.returncode == 0, done.stderr
  assert found in done.stderr
  assert 'at step 400 of 500' in done.stdout
  assert (workdir / 'config.json').exists()


@pytest.mark.slow  # tests/modes/test_cli.py has a kill among the fast ones
def test_a_kill_leaves_nothing_that_stands_in_the_way(tmp_path, whole):
  """kill -9 three times; what was being written is swept at the next start."""
  workdir = tmp_path / 'run'
  for step in (100, 1_000, 2_000):
    process = start_cli(*tiny_flags(workdir, **KEYS))
    deadline = time.monotonic() + 120
    while not (workdir / 'checkpoints' / str(step)).exists():
      assert time.monotonic() < deadline
      time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
  (workdir / '.tmp.config.x.json').touch()
  done = run_cli(*tiny_flags(workdir, **KEYS))
  assert done.returncode == 0, done.stderr
  assert_is_the_whole_run(workdir, whole)
  left = [path.name for path in workdir.rglob('*') if 'tmp' in path.name]
  assert not left

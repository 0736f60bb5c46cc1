"""What `make gpu` does, as far as a machine without a GPU can tell."""

import argparse
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import gpu, gpu_tasks
from tests.helpers import ROOT


@pytest.fixture
def run(tmp_path, monkeypatch):
  """Runs the command with its tasks in this process; status and page."""
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  monkeypatch.setattr(
    gpu, 'run_task', lambda task, flags, limit: gpu.do(task, flags)
  )

  def run(*arguments):
    status = gpu.main(
      ['--cpu', '--configs=mlp_digits', f'--out={tmp_path}', *arguments]
    )
    return status, (tmp_path / 'performance-gpu.md').read_text()

  tmp_path.mkdir(exist_ok=True)
  return run


def flags_of(folder):
  return argparse.Namespace(out=folder, cpu=True)


@pytest.mark.slow  # a process for each part
def test_the_first_parts_on_a_cpu(run):
  status, page = run()
  assert status == 0, page
  for line in (
    '| mlp_digits | passed |',
    '| mlp_digits, float32 | passed | 0.0e+00 | 1e-04 |',
    '| mlp_digits, bfloat16 | passed |',
    '- compare, mlp_digits, tensorfloat32: precision: this cpu has no',
    '- resume, tests, speed: not run',
  ):
    assert line in page


@pytest.mark.parametrize(
  ('planted', 'result'),
  [(0.9e-4, 'passed'), (1.1e-4, 'FAILED'), (np.nan, 'FAILED')],
)
def test_a_difference_from_the_cpu_is_a_failure(
  run, monkeypatch, planted, result
):
  calls = []

  def arrays_of(config):
    calls.append(config.precision)
    end = np.array([1.0, 2.0 * (1 + planted if len(calls) == 2 else 1)])
    same = np.ones(3)
    return {"['0'].w": np.ones(2), "['1'].w": end} | {
      f"['{i}'].same": same for i in range(2)
    }

  monkeypatch.setattr(gpu_tasks, 'arrays_of', arrays_of)
  status, page = run('--parts=compare')
  assert calls == ['float32', 'float32', 'tensorfloat32', 'bfloat16']
  failed = result == 'FAILED'
  assert status == failed
  assert f'| mlp_digits, float32 | {result} |' in page
  assert ("the largest is in ['1'].w" in page) == failed
  assert '| mlp_digits, bfloat16 | passed |' in page


def test_a_loss_that_is_not_finite_is_a_failure(run, monkeypatch):
  metrics = {'disc_loss': np.float32(np.nan), 'gen_loss': np.float32(1)}
  monkeypatch.setattr(
    gpu_tasks, 'take_steps', lambda config: (0.0, 1.0, metrics)
  )
  status, page = run('--parts=steps')
  assert status == 1
  assert "not finite: [1]['disc_loss']" in page


def test_what_lacks_a_package_is_left_out(run, monkeypatch):
  def lacking(name, flags):
    import no_such_package  # noqa: F401

  monkeypatch.setitem(gpu.TASKS, 'steps', lacking)
  status, page = run('--parts=steps')
  assert status == 1  # nothing has passed
  assert '- steps, mlp_digits: needs no_such_package, which' in page


def test_what_is_wrong_here_is_no_missing_package(run, monkeypatch):
  def broken(name, flags):
    import gan_jax.no_such_module  # noqa: F401

  monkeypatch.setitem(gpu.TASKS, 'steps', broken)
  _, page = run('--parts=steps')
  assert '| mlp_digits | FAILED |' in page


@pytest.mark.slow
def test_a_resumed_run(tmp_path):
  (row,) = gpu_tasks.resume('plain', flags_of(tmp_path))
  assert (row['result'], row['with other bits']) == ('passed', '0')
  assert int(row['arrays']) > 20


def test_figures_beside_pytorch(tmp_path, monkeypatch):
  from benchmarks import training_speed

  found = {
    'rates': {'ours float32': [1.0, 2.0, 4.0]},
    'mib': {'ours float32': 1234.0},
    'flops': 10**12,
  }
  monkeypatch.setattr(training_speed, 'measure', lambda *a, **k: found)
  monkeypatch.setattr(training_speed, '_existing', None)
  monkeypatch.setattr(gpu_tasks, 'peak_of', lambda kind: 8e12)
  ours, theirs = gpu_tasks.speed('dcgan64_128:float32', flags_of(tmp_path))
  assert list(ours.values()) == [
    'DCGAN, 64x64, batch 128, float32: ours float32',
    'passed',
    '256 (128 to 512)',
    '2.0',
    '25%',
    '1,234',
    '1.00',
    '',
  ]
  assert theirs['result'] == 'left out'


def test_a_task_that_takes_too_long_is_ended(tmp_path):
  flags = flags_of(tmp_path)
  (row,) = gpu.run_task('look', flags, 0.01)
  assert (row['result'], row['why']) == ('FAILED', 'not done after 0 s')


def test_without_a_gpu_it_says_so(tmp_path):
  done = subprocess.run(
    [sys.executable, 'benchmarks/gpu.py', f'--out={tmp_path}'],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2
  (line,) = done.stderr.splitlines()
  assert line.startswith('make gpu: jax sees no GPU here: ')
  assert ' x cpu (cpu), Python ' in line

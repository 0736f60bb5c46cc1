"""The speed benchmark compares like with like, and says what it measured."""

import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from benchmarks import around, ours
from benchmarks.training_speed import row
from benchmarks.works import WORKS, Work
from gan_jax.config import build
from gan_jax.games import mixture
from tests.helpers import ROOT, sampled


def run(*arguments):
  return subprocess.run(
    [sys.executable, 'benchmarks/training_speed.py', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


@pytest.mark.slow
@pytest.mark.parametrize('name', WORKS)
def test_both_sides_train_the_same_networks(name):
  pytest.importorskip('torch')
  from benchmarks import theirs

  work = WORKS[name]
  game = (
    build.build(ours.config_of(work), ours.info_of(work)).game
    if work.config
    else ours.ring_game(mixture.ring())
  )
  params, _ = jax.eval_shape(game.init, jax.random.key(0))
  for mine, network in zip(params, theirs.networks(name), strict=True):
    expected = sorted(x.numel() for x in network.parameters())
    assert sorted(x.size for x in jax.tree.leaves(mine)) == expected


TINY = Work('tiny', 8, 2, 1.0, (8, 8, 1), ('mlp_digits', {'batch_size': 8}))


@pytest.mark.slow  # compiled with XLA's optimisation
@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_our_side_is_timed_as_users_run_it(precision):
  run = ours.image_steps(TINY, precision=precision)
  run(4)
  assert len(run.programs) == 1
  (program,) = run.programs.values()
  assert ('bf16' in program.as_text()) == (precision == 'bfloat16')


def test_the_critic_alone_has_fewer_operations():
  flops = []
  for critic_only in (True, False):
    run = ours.image_steps(TINY, critic_only=critic_only)
    run(2)
    (program,) = run.programs.values()
    flops.append(program.cost_analysis()['flops'])
  critic, both = flops
  assert 0.1 * both < critic < 0.7 * both


def test_a_row_is_what_was_measured():
  result = {
    'rates': {
      'ours float32': [3.0, 4.0, 8.0],
      'theirs contiguous': [1.0, 1.0, 1.0],
      'theirs channels_last': [2.0, 2.0, 2.0],
    },
    'mib': {
      'ours float32': 300.4,
      'theirs contiguous': 100,
      'theirs channels_last': 200,
    },
    'flops': 10**9,
  }
  line = row('dcgan32', 'float32', result, peak=16e9)
  for words in (
    '256 (192 to 512) images/s',
    '128 (128 to 128) (channels_last)',
    '**2.00** (1.50 to 4.00) | 1.3 |',
    '4 GFLOP/s, 25%',
    '300, 200 MiB',
  ):
    assert words in line


def test_ratios_are_of_time():
  times = iter([0.0, 2.0, 2.0, 3.0])
  original, around.time = around.time, type('', (), {})
  around.time.perf_counter = lambda: next(times)
  try:
    ratios = around._ratios(lambda: None, lambda: None, 1)
  finally:
    around.time = original
  np.testing.assert_allclose(ratios, [0.5])


@pytest.mark.slow
def test_the_command_prints_its_tables():
  pytest.importorskip('torch')
  done = run('--works=ring', '--seconds=0.2', '--repeats=2')
  assert done.returncode == 0, done.stderr
  assert re.search(r'8 Gaussians.* steps/s .*\*\*[\d.]+\*\*', done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
  'flag',
  sampled(['--works=nonsense', '--precisions=int3'], '--works=nonsense'),
)
def test_an_unknown_name_is_refused(flag):
  done = run(flag)
  assert done.returncode == 2
  assert f"unknown name '{flag.split('=')[1]}'; valid: " in done.stderr

"""What it costs to be safe: the check of numbers, checkpoints, a resumed start.

  python benchmarks/reliability_costs.py

Times are medians of runs in turn, in one process or one after the other.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from benchmarks.pixels import Pixels
from configs import dcgan_64, mlp_mnist
from gan_jax.config import build
from gan_jax.data import DatasetInfo
from gan_jax.data.feeds import DeviceFeed
from gan_jax.devices import parallel
from gan_jax.training import dispatch as dispatch_lib
from gan_jax.workdir import checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[1]
STEPS, TURNS = 50, 60


def check_of_numbers() -> float:
  """Share of the MLP's step that the check takes, by dispatches in turn."""
  config, info = mlp_mnist.get_config(), DatasetInfo('x', (28, 28, 1), (), 9, 9)
  model, devices = build.build(config, info), parallel.select_devices(1)
  pixels = Pixels((28, 28, 1), 1_000)
  feed = DeviceFeed(pixels, batch_size=config.batch_size, seed=0)
  draws = dispatch_lib.take_draws(feed.draws(0), STEPS, 1)
  watched, programs, states = dispatch_lib.WATCHED, [], []
  for names in (watched, ('_none',)):
    dispatch_lib.WATCHED = names
    dispatch = parallel.parallelize(
      dispatch_lib.make_dispatch(model, feed.decode), devices
    )
    state = parallel.replicate(jax.jit(model.init)(jax.random.key(0)), devices)
    constants = parallel.replicate((feed.resident, jax.random.key(1)), devices)
    inputs = parallel.shard(draws, devices)
    states.append(dispatch(state, constants, inputs)[0])  # compiles
    programs.append(dispatch)
  dispatch_lib.WATCHED = watched
  times = np.zeros((TURNS, 2))
  for turn in range(TURNS):
    for i in (0, 1) if turn % 2 else (1, 0):
      dispatch = programs[i]
      start = time.perf_counter()
      states[i], metrics = dispatch(states[i], constants, inputs)
      jax.block_until_ready((states[i], metrics))
      times[turn, i] = time.perf_counter() - start
  return float(np.median(times[:, 0]) / np.median(times[:, 1]) - 1)


def blocking_of_a_checkpoint(folder: str) -> tuple[float, float, float]:
  """MiB of DCGAN 64x64's state; seconds that `save` blocks, and until whole."""
  config = dcgan_64.get_config()
  model = build.build(config, DatasetInfo('x', (64, 64, 3), (), 9, 9))
  state = jax.block_until_ready(jax.jit(model.init)(jax.random.key(0)))
  # Every value another, so that nothing compresses as zeros would.
  keys = iter(jax.random.split(jax.random.key(1), 1_000))
  state = jax.tree.map(
    lambda x: (
      jax.random.normal(next(keys), x.shape) if x.dtype == np.float32 else x
    ),
    state,
  )
  size = sum(x.nbytes for x in jax.tree.leaves(state)) / 2**20
  blocked, whole = [], []
  with checkpoint.Checkpoints(folder) as checkpoints:
    for step in range(1, 16):
      start = time.perf_counter()
      checkpoints.save(step, state)
      blocked.append(time.perf_counter() - start)
      checkpoints.finish()
      whole.append(time.perf_counter() - start)
  return size, float(np.median(blocked)), float(np.median(whole))


def first_dispatch(workdir: pathlib.Path, steps: int) -> float:
  """Seconds from the start of the program to the end of its first dispatch."""
  done = subprocess.run(
    [
      sys.executable,
      str(ROOT / 'run.py'),
      f'--workdir={workdir}',
      f'--config.num_steps={steps}',
      '--config.checkpoint_every=50',
      '--config.diagnose.samples=0',
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  return float(re.search(r'first steps done ([\d.]+) s', done.stdout)[1])


def starts(folder: str, turns: int = 5) -> tuple[float, float]:
  """Median seconds to the first dispatch, fresh and resumed, warm caches."""
  fresh, resumed = [], []
  first_dispatch(pathlib.Path(folder) / 'warm', 50)
  for turn in range(turns):
    workdir = pathlib.Path(folder) / str(turn)
    fresh.append(first_dispatch(workdir, 50))
    resumed.append(first_dispatch(workdir, 100))
  return float(np.median(fresh)), float(np.median(resumed))


def main() -> None:
  """Prints a table."""
  print('| what | measured |\n|---|---|')
  print(
    f'| check of numbers, MLP 28x28 | {check_of_numbers():+.2%} of a step |'
  )
  with tempfile.TemporaryDirectory() as folder:
    size, blocked, whole = blocking_of_a_checkpoint(folder)
  print(
    f'| checkpoint of DCGAN 64x64, {size:.0f} MiB | blocks {1e3 * blocked:.0f} '
    f'ms; whole and hashed after {1e3 * whole:.0f} ms |'
  )
  with tempfile.TemporaryDirectory() as folder:
    fresh, resumed = starts(folder)
  print(
    f'| first dispatch, mlp_digits | fresh {fresh:.1f} s, resumed '
    f'{resumed:.1f} s |'
  )


if __name__ == '__main__':
  main()

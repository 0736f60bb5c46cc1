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

from gan_jax.training import dispatch as dispatch_lib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from configs import dcgan_64, mlp_mnist
from gan_jax.config import build
from gan_jax.data import DatasetInfo
from gan_jax.devices import parallel
from gan_jax.workdir import checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[1]
STEPS, TURNS = 50, 60


class _Pixels:
  """A feed of random images, kept on the device."""

  def __init__(self, shape: tuple[int, ...], batch_size: int):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1_000, *shape), dtype=np.uint8)
    self.resident = {'images': pixels}
    self._batch_size, self._rng = batch_size, rng

  def draw(self, steps: int) -> dict[str, np.ndarray]:
    """Draws `[S, 1, B]`."""
    size = (steps, 1, self._batch_size)
    positions = np.broadcast_to(np.arange(self._batch_size), size)
    return {
      'indices': self._rng.integers(0, 1_000, size).astype(np.int32),
      'positions': positions.astype(np.int32),
    }


def check_of_numbers() -> float:
  """Share of the MLP's step that the check takes, by dispatches in turn."""
  from gan_jax.data.feeds import DeviceFeed

  config, info = mlp_mnist.get_config(), DatasetInfo('x', (28, 28, 1), (), 9, 9)
  model, devices = build.build(config, info), parallel.select_devices(1)
  pixels = _Pixels((28, 28, 1), config.batch_size)
  decode = DeviceFeed.decode
  feed = type('Feed', (), {'_flip': False})()
  watched, programs, states = dispatch_lib.WATCHED, [], []
  for names in (watched, ('_none',)):
    dispatch_lib.WATCHED = names
    dispatch = parallel.parallelize(
      dispatch_lib.make_dispatch(model, lambda *given: decode(feed, *given)),
      devices,
    )
    state = parallel.replicate(jax.jit(model.init)(jax.random.key(0)), devices)
    constants = parallel.replicate(
      (pixels.resident, jax.random.key(1)), devices
    )
    inputs = parallel.shard(pixels.draw(STEPS), devices)
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
  return float(re.search(r'first dispatch done ([\d.]+) s', done.stdout)[1])


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

"""What lies around the step: data and logs, dispatches, start-up.

Part of `training_speed.py`; each function measures one row of its second
table.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from gan_jax.modes.train import train

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = '| what | measured | at least |\n|---|---|---|'
_PIPELINE_STEPS = 2_000


def _ratios(first, second, repeats: int) -> np.ndarray:
  """Seconds of the second over those of the first, run in turn."""
  first(), second()
  ratios = []
  for _ in range(repeats):
    times = []
    for function in (first, second):
      start = time.perf_counter()
      function()
      times.append(time.perf_counter() - start)
    ratios.append(times[1] / times[0])
  return np.array(ratios)


def _line(what: str, ratios: np.ndarray, bound: str) -> str:
  middle, low, high = np.median(ratios), ratios.min(), ratios.max()
  return f'| {what} | {middle:.2f} ({low:.2f} to {high:.2f}) | {bound} |'


def scan(repeats: int) -> str:
  """Fifty steps in one dispatch against fifty dispatches, DCGAN 32x32."""
  from benchmarks import ours
  from benchmarks.works import WORKS

  one, many = (
    ours.image_steps(WORKS['dcgan32'], chunk=chunk) for chunk in (50, 1)
  )
  ratios = _ratios(lambda: one(50), lambda: many(50), repeats)
  what = 'speed of a scan of 50 DCGAN steps, over 50 calls'
  return _line(what, ratios, '1.0')


def _prepared(names: list[str]) -> str | None:
  """The first of these datasets that is here already; nothing is fetched."""
  folder = os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  folder = pathlib.Path(folder).expanduser()
  return next((name for name in names if any(folder.glob(f'{name}/*'))), None)


def _bare_dispatches(run) -> Callable[[int], float]:
  """Takes so many steps with inputs at hand; gives the seconds of one."""
  import jax

  from gan_jax.training.dispatch import compile_dispatch, take_draws

  init_key, _ = run.ensemble.keys()
  dispatch = compile_dispatch(run)
  state = run.ensemble.put(jax.jit(run.model.init)(init_key), run.devices)
  schedule = run.plan.schedule
  length = schedule.dispatch_length
  draws = run.feed.draws(0)

  def bare(steps):
    nonlocal state
    inputs = [
      take_draws(draws, length, schedule.disc_steps)
      for _ in range(steps // length)
    ]
    start = time.perf_counter()
    for batch in inputs:
      state, _ = dispatch(state, batch)
    jax.block_until_ready(state)
    return (time.perf_counter() - start) / (len(inputs) * length)

  return bare


def pipeline(repeats: int) -> str:
  """A run as users run it, over the bare dispatches of the same program."""
  from configs import mlp_mnist
  from gan_jax.config.plan import read
  from gan_jax.devices import compiling
  from gan_jax.training import runs
  from gan_jax.workdir import logs

  config = mlp_mnist.get_config()
  config.data.name = _prepared(['mnist']) or 'digits'
  config.num_steps = _PIPELINE_STEPS
  compiling.enable_compilation_cache()
  with tempfile.TemporaryDirectory() as folder:
    bare = _bare_dispatches(runs.open_run(read(config), folder))
  bare(_PIPELINE_STEPS // 10)
  ratios = []
  for _ in range(repeats):
    before = bare(_PIPELINE_STEPS // 2)
    with (
      tempfile.TemporaryDirectory() as folder,
      contextlib.redirect_stdout(sys.stderr),
    ):
      train(config, folder)
      rows = logs.read_metrics(pathlib.Path(folder))
    steps = np.diff([row['step'] for row in rows])
    images = steps * config.batch_size
    full = sum(images / [row['images_per_second'] for row in rows[1:]])
    after = bare(_PIPELINE_STEPS // 2)
    ratios.append((before + after) / 2 / (full / steps.sum()))
  what = (
    f'speed of mlp_mnist on {config.data.name} with logs, grids and '
    'checkpoints, over the bare step'
  )
  return _line(what, np.array(ratios), '0.97')


def startup(repeats: int) -> str:
  """Process start to the first dispatch of DCGAN 32x32, all caches warm."""
  name = _prepared(['cifar10', 'cifar10_jpeg'])
  seconds = []
  with tempfile.TemporaryDirectory() as folder:
    flags = [f'--config.data.name={name}']
    if name is None:
      flags = ['--config.data.name=folder', f'--config.data.dir={folder}/data']
      _write_images(pathlib.Path(folder) / 'data')
    environment = os.environ | {'XDG_CACHE_HOME': folder}
    environment.pop('JAX_COMPILATION_CACHE_DIR', None)
    for i in range(1 + repeats):
      done = subprocess.run(
        [sys.executable, 'run.py', '--config=configs/dcgan_cifar.py', *flags]
        + ['--config.num_steps=10', f'--workdir={folder}/run{i}'],
        cwd=ROOT,
        env=environment,
        text=True,
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        check=True,
      )
      (found,) = re.findall(r'first dispatch done ([\d.]+) s', done.stdout)
      seconds.append(float(found))
  cold, warm = seconds[0], seconds[1:]
  return (
    f'| seconds from process start to the first 10 DCGAN 32x32 steps, on '
    f'{name or "a folder"}, second run | {np.median(warm):.1f} '
    f'({min(warm):.1f} to {max(warm):.1f}); first run {cold:.1f} | 5 at most |'
  )


def _write_images(folder: pathlib.Path, num: int = 5_000) -> None:
  """Random 32x32 pictures."""
  from PIL import Image

  folder.mkdir()
  draw = np.random.default_rng(0).integers
  for i in range(num):
    pixels = draw(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f'{i:05d}.png')


ROWS = {'scan': scan, 'pipeline': pipeline, 'startup': startup}

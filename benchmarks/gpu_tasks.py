"""What `make gpu` tries, a task each: a name -> rows of the page.

Modules that a machine may lack are imported where they are needed; see
gpu.py, which runs each task in a process of its own.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from importlib import import_module, metadata, util
from typing import Any

with contextlib.suppress(ImportError):  # said in one line by gpu.py
  import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
Row = dict[str, str]
# Against the CPU's float32: of any parameter, and of all movement together, see
# `difference`. Another order of sums on a CPU gave 1e-5 and 6e-4, bfloat16
# there 2e-3 and 1e-1.
BOUNDS = {
  'float32': (1e-4, 1e-2),
  'tensorfloat32': (2e-2, 1e-1),
  'bfloat16': (1e-1, 3e-1),
}
TESTS = (
  'tests/devices tests/networks/test_convolution.py '
  'tests/networks/test_fast_layers.py tests/solvers/test_micro_batch.py'
).split()
# Words of names in tests/devices: about the CPU's compiler, or several devices.
ABOUT_CPU = (
  'compiled_once or multithreaded_path or average_over or small_products '
  'or float32_products_on or command_line or platform_that_is_not_there'
)
VERSIONS = (
  'jax jaxlib jax-cuda12-plugin jax-cuda13-plugin flax optax torch'
).split()


def row(result: str, what: str, why: str = '', **cells: str) -> Row:
  """A row: passed, FAILED or left out; and what was measured."""
  return dict(what=what, result=result, **cells, why=why)


def look(name: str, flags: argparse.Namespace) -> list[Row]:
  """What jax sees, and the versions of what matters."""
  import jax

  device, versions = jax.devices()[0], []
  for package in VERSIONS:
    with contextlib.suppress(metadata.PackageNotFoundError):
      versions.append(f'{package} {metadata.version(package)}')
  smi = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
  with contextlib.suppress(OSError):
    driver = subprocess.run(smi, capture_output=True, text=True).stdout
    versions += [f'driver {line}' for line in driver.split('\n')[:1] if line]
  seen = f'{jax.device_count()} x {device.device_kind} ({device.platform})'
  python = f'Python {sys.version.split()[0]} at {sys.executable}'
  why = ', '.join([seen, python, *versions])
  return [row('passed', name, why, platform=device.platform)]


def config_of(name: str, sgd: bool = False) -> Any:
  """A config; with plain SGD on few images, or as it is.

  Adam divides by the size of a gradient, which may be rounding alone. With a
  rate of 0.1 the second step of a DCGAN is chaos.
  """
  config = import_module(f'configs.{name}').get_config()
  config.num_devices = 1
  if sgd:
    config.batch_size = 16
    for keys in (config.gen_optimizer, config.disc_optimizer):
      none = dict.fromkeys('b1 b2 eps momentum decay weight_decay'.split())
      keys.update(name='sgd', learning_rate=1e-3, **none)
  return config


def take_steps(config: Any, num: int = 2) -> tuple[Any, Any, dict]:
  """The parameters before and after so many steps, and the last metrics."""
  import jax

  from benchmarks.pixels import Pixels, shape_of
  from gan_jax import data
  from gan_jax.config import plan as plan_lib
  from gan_jax.devices import parallel, precision
  from gan_jax.training import dispatch as dispatch_lib

  images = Pixels(
    shape_of(config),
    max(500, config.batch_size),
    classes=10,
    given=tuple(config.given),
  )
  plan = plan_lib.read(config)
  classes = tuple('0123456789')
  info = data.DatasetInfo('x', images.image_shape, classes, len(images), 0)
  info = info._replace(columns=images.columns)
  devices = parallel.select_devices(1)
  model, feed = plan.build(info), data.make_feed(images, **plan.feed)
  draws = dispatch_lib.take_draws(feed.draws(0), num, config.disc_steps)
  with precision.check_on(plan.precision, devices):
    dispatch = parallel.parallelize(
      dispatch_lib.make_dispatch(model, feed.decode), devices
    )
    state = jax.jit(model.init)(jax.random.key(0))
    before = jax.device_get(state.params)
    state, constants = parallel.replicate(
      (state, (feed.resident, jax.random.key(1))), devices
    )
    state, metrics = dispatch(state, constants, parallel.shard(draws, devices))
    return before, *jax.device_get((state.params, metrics))


def two_steps(name: str, flags: argparse.Namespace) -> list[Row]:
  """Two steps of a config as it is, on random images of its shape."""
  import jax

  start = time.perf_counter()
  _, params, metrics = take_steps(config_of(name))
  seconds = time.perf_counter() - start
  leaves = jax.tree_util.tree_leaves_with_path((params, metrics))
  bad = [k for k, x in leaves if not np.isfinite(np.asarray(x)).all()]
  why = f'not finite: {jax.tree_util.keystr(bad[0])}' if bad else ''
  peak = (jax.devices()[0].memory_stats() or {}).get('peak_bytes_in_use')
  cells = {
    'seconds, with compiling': f'{seconds:.1f}',
    'peak MiB': f'{peak / 2**20:,.0f}' if peak else '-',
    'loss of D': '-',
    'loss of G': f'{metrics["gen_loss"]:.4f}',
  }
  if 'disc_loss' in metrics:  # not in a game of one player
    cells['loss of D'] = f'{metrics["disc_loss"]:.4f}'
  return [row('FAILED' if bad else 'passed', name, why, **cells)]


def arrays_of(config: Any) -> dict[str, np.ndarray]:
  """All parameters before and after two steps, by name."""
  import jax

  before, after, _ = take_steps(config)
  leaves = jax.tree_util.tree_leaves_with_path({'0': before, '1': after})
  return {jax.tree_util.keystr(k): np.asarray(x) for k, x in leaves}


def reference(name: str, flags: argparse.Namespace) -> list[Row]:
  """Writes what the CPU makes of two steps."""
  os.environ['JAX_PLATFORMS'] = 'cpu'  # before jax is imported
  (flags.out / 'reference').mkdir(parents=True, exist_ok=True)
  arrays = arrays_of(config_of(name, sgd=True))
  np.savez(flags.out / 'reference' / f'{name}.npz', **arrays)
  return [row('passed', f'{name}, float32, on the CPU')]


def compare(name: str, flags: argparse.Namespace) -> list[Row]:
  """Two steps in each precision against those of the CPU in float32."""
  from gan_jax.types import InputError

  rows = []
  with np.load(flags.out / 'reference' / f'{name}.npz') as saved:
    expected = dict(saved)
  for kind, (bound, bound_moved) in BOUNDS.items():
    config, what = config_of(name, sgd=True), f'{name}, {kind}'
    config.precision = kind
    try:
      found = arrays_of(config)
    except InputError as error:  # not on this device
      rows.append(row('left out', what, str(error)))
      continue
    worst, where, moved = difference(found, expected)
    cells = {
      'largest difference': f'{worst:.1e}',
      'at most': f'{bound:.0e}',
      'of all movement': f'{moved:.1e}',
      'not above': f'{bound_moved:.0e}',
    }
    good = worst <= bound and moved <= bound_moved  # and no NaN
    why = '' if good else f'the largest is in {where}'
    rows.append(row('passed' if good else 'FAILED', what, why, **cells))
  return rows


def difference(
  found: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> tuple[float, str, float]:
  """How far parameters are apart.

  Returns:
    The largest difference, as a share of its array's largest value; the name
    of that array; the size of the difference between the two ways that all
    parameters have gone, as a share of the way.
  """
  assert found.keys() == expected.keys()
  shares, apart, way = {}, 0.0, 0.0
  for name, y in expected.items():
    x, y = np.float64(found[name]), np.float64(y)
    # A bias before batch norm has no gradient but rounding: this is its floor.
    shares[name] = np.abs(x - y).max() / max(np.abs(y).max(), 1e-2)
    if name.startswith("['1']"):
      start = name.replace("['1']", "['0']", 1)
      moved = y - expected[start]
      apart += np.sum((x - found[start] - moved) ** 2)
      way += np.sum(moved**2)
  where = max(shares, key=lambda name: np.nan_to_num(shares[name], nan=np.inf))
  return float(shares[where]), where, float(np.sqrt(apart / way))


def resume(name: str, flags: argparse.Namespace) -> list[Row]:
  """Twenty steps in one go, and with an end and a new start after ten."""
  if name == 'deterministic':  # before jax is imported
    os.environ['XLA_FLAGS'] = (
      os.environ.get('XLA_FLAGS', '') + ' --xla_gpu_deterministic_ops=true'
    )
  import jax
  import tensorflow_datasets  # noqa: F401  the data comes through it

  from gan_jax.devices import compiling
  from gan_jax.modes.train import train
  from gan_jax.workdir.trained import restore

  compiling.enable_compilation_cache()  # as run.py does
  folder, config = flags.out / 'resume' / name, config_of('mlp_digits')
  shutil.rmtree(folder, ignore_errors=True)
  config.steps_per_dispatch = config.log_every = config.checkpoint_every = 10
  with contextlib.redirect_stdout(sys.stderr):
    for num, run in ((20, 'whole'), (10, 'parts'), (20, 'parts')):
      config.num_steps = num
      train(config, folder / run)
  states = [restore(folder / run).state for run in ('whole', 'parts')]
  whole, parts = (jax.tree_util.tree_leaves_with_path(s) for s in states)
  assert int(states[0].step) == int(states[1].step) == 20
  other = [
    jax.tree_util.keystr(path)
    for (path, x), (_, y) in zip(whole, parts, strict=True)
    if np.asarray(x).tobytes() != np.asarray(y).tobytes()
  ]
  what = 'as users run it' if name == 'plain' else 'xla_gpu_deterministic_ops'
  why = f'other bits: {", ".join(other[:3])}' if other else ''
  cells = {'arrays': f'{len(whole)}', 'with other bits': f'{len(other)}'}
  return [row('FAILED' if other else 'passed', what, why, **cells)]


def tests(name: str, flags: argparse.Namespace) -> list[Row]:
  """Tests about devices: those that a GPU can run, and those about CPUs."""
  for module in ('pytest', 'tensorflow_datasets', 'sklearn'):
    import_module(module)  # tests/conftest.py prepares the digits
  # tests/conftest.py takes the CPU unless it is told otherwise.
  environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
  chosen = ['tests/devices', '-k', ABOUT_CPU]
  if name == 'gpu':
    chosen = [*TESTS, '-k', f'not ({ABOUT_CPU})']
    environment |= {
      'JAX_PLATFORMS': 'cuda,cpu',
      'JAX_DEFAULT_MATMUL_PRECISION': 'highest',
    }
  # Warnings of another jax are no failures.
  options = ['-q', '-p', 'no:cacheprovider', '-o', 'filterwarnings=default']
  done = subprocess.run(
    [sys.executable, '-m', 'pytest', *options, *chosen],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    text=True,
  )
  print(done.stdout, file=sys.stderr)
  failed = re.findall(r'^(?:FAILED|ERROR) (\S+)', done.stdout, re.M)
  last = (done.stdout.strip().split('\n') or [''])[-1].strip('= ')
  result = 'FAILED' if done.returncode else 'passed'
  what = 'on the GPU' if name == 'gpu' else 'about the CPU, there'
  return [row(result, what, ', '.join(failed), outcome=last)]


def peak_of(kind: str, size: int = 8192) -> float:
  """FLOP/s of a product in this precision, the best of twelve."""
  import jax

  a = jax.random.normal(jax.random.key(0), (size, size), kind)
  with jax.default_matmul_precision('highest'):
    product = jax.jit(lambda a: a @ a).lower(a).compile()
  times = []
  for _ in range(13):
    start = time.perf_counter()
    product(a).block_until_ready()
    times.append(time.perf_counter() - start)
  return 2 * size**3 / min(times)


def speed(name: str, flags: argparse.Namespace) -> list[Row]:
  """A work of training_speed.py in one precision: ours and PyTorch's ways."""
  from benchmarks import training_speed
  from benchmarks.works import WORKS

  name, kind = name.split(':')
  peak = peak_of(kind)  # before torch brings its own CUDA libraries
  work, why = WORKS[name], 'needs a torch that sees the GPU'
  wanted = [f'ours {kind}']
  if util.find_spec('torch') and import_module('torch').cuda.is_available():
    known = import_module('benchmarks.theirs').variants(name)
    ways = training_speed.PRECISIONS[kind][1]
    wanted += [f'theirs {way}' for way in ways if way in known]
    why = 'did not start; see benchmarks/worker.py'
  else:  # ours alone
    training_speed._existing = lambda *unused: []
  found = training_speed.measure(name, kind, seconds=3.0, repeats=3)
  flops, rows = found['flops'], []
  for way in wanted if len(wanted) > 1 else [*wanted, 'theirs']:
    theirs = 'PyTorch AMP' if kind == 'bfloat16' else 'PyTorch'
    side = way.replace('theirs', theirs)
    what = f'{work.title}, batch {work.batch}, {kind}: {side}'
    if way not in found['rates']:
      ours = way.startswith('ours')
      rows.append(row('FAILED' if ours else 'left out', what, why))
      continue
    rates = np.array(found['rates'][way])
    each, ours = np.median(rates), np.array(found['rates'].get(wanted[0], 0))
    low, high = (f'{x * work.batch:,.0f}' for x in (rates.min(), rates.max()))
    cells = {
      'images/s (least to most)': f'{each * work.batch:,.0f} ({low} to {high})',
      'TFLOP/s': f'{each * flops / 1e12:.1f}' if flops else '-',
      'of the peak': f'{each * flops / peak:.0%}' if flops else '-',
      'MiB': f'{found["mib"].get(way, 0):,.0f}',
      'ours by this': f'{np.median(ours / rates):.2f}',
    }
    rows.append(row('passed', what, **cells))
  return rows


TASKS = {
  'look': look,
  'steps': two_steps,
  'reference': reference,
  'compare': compare,
  'resume': resume,
  'tests': tests,
  'speed': speed,
}

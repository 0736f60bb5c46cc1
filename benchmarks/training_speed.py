"""Training speed beside PyTorch, as a Markdown table: `make bench`.

  python benchmarks/training_speed.py --works=mlp,dcgan32 --seconds=5

Each side of each work has a process of its own; they are run in turn, the
other side asleep, so that what else the machine does hits both. PyTorch runs
in several ways (channels_last or not, torch.compile); the fastest one in the
same precision counts. Compiling is not timed. FLOP/s count matrix products
and convolutions; their peak is a large product on this machine in this run.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import around
from benchmarks.works import GPU_WORKS, WORKS

WORKER = pathlib.Path(__file__).with_name('worker.py')
PRECISIONS = {
  'float32': ('float32', ('channels_last', 'contiguous', 'compiled')),
  'bfloat16': ('bfloat16', ('bfloat16',)),
}


class Process:
  """A worker, see worker.py; a context manager."""

  def __init__(self, side: str, work: str, variant: str):
    self.name = f'{side} {variant}'
    self._process = subprocess.Popen(
      [sys.executable, str(WORKER), side, work, variant],
      # Several processes share a GPU.
      env=os.environ | {'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      text=True,
    )

  def __enter__(self) -> 'Process':
    return self

  def __exit__(self, *unused: Any) -> None:
    self._process.stdin.close()
    self._process.wait()

  def ask(self, command: str) -> dict[str, float] | None:
    """Sends a line and waits for the answer; None if the worker has died."""
    try:
      self._process.stdin.write(command + '\n')
      self._process.stdin.flush()
      return json.loads(self._process.stdout.readline())
    except (BrokenPipeError, ValueError):
      return None


def matmul_peak(size: int = 2048) -> float:
  """FLOP/s of a float32 product of two square matrices, the best of twelve."""
  import jax

  a = jax.random.normal(jax.random.key(0), (size, size))
  product = jax.jit(lambda a: a @ a)
  product(a).block_until_ready()
  best = np.inf
  for _ in range(12):
    start = time.perf_counter()
    product(a).block_until_ready()
    best = min(best, time.perf_counter() - start)
  return 2 * size**3 / best


def measure(name: str, precision: str, seconds: float, repeats: int) -> dict:
  """Rates of both sides of a work, in turn.

  Returns:
    `rates`: variant -> steps a second `[repeats]`, ours first; `mib`: variant
    -> peak resident memory; `flops` of a step.
  """
  our_variant, their_variants = PRECISIONS[precision]
  rates, mib, flops = {}, {}, 0
  processes = [Process('ours', name, our_variant)]
  processes += [
    Process('theirs', name, v) for v in _existing(name, their_variants)
  ]
  try:
    # All are made ready before anything is timed; one that fails is left out.
    processes = [p for p in processes if p.ask(f'run {seconds / 2}')]
    for _ in range(repeats):
      for process in processes:
        answer = process.ask(f'run {seconds}')
        rate = answer['steps'] * WORKS[name].seeds_of(process.name)
        rates.setdefault(process.name, []).append(rate / answer['seconds'])
    for process in processes[1:]:
      mib[process.name] = process.ask('memory')['mib']
      flops = flops or process.ask('flops')['flops']
  finally:
    for process in processes:
      process.__exit__()
  # Of ours, a run that finds its programs in the cache: what compiling takes
  # would hide the rest.
  with Process('ours', name, our_variant) as process:
    process.ask(f'run {seconds / 2}')
    mib[process.name] = process.ask('memory')['mib']
  return {'rates': rates, 'mib': mib, 'flops': flops}


def _existing(name: str, variants: tuple[str, ...]) -> list[str]:
  """Of these ways to run PyTorch, those that the work has."""
  from benchmarks import theirs

  return [v for v in variants if v in theirs.variants(name)]


def row(name: str, precision: str, result: dict, peak: float) -> str:
  """A line of the table."""
  work, rates = WORKS[name], result['rates']
  ours = np.array(rates.pop(f'ours {PRECISIONS[precision][0]}'))
  best = max(rates, key=lambda variant: np.median(rates[variant]))
  theirs = np.array(rates[best])
  ratios = ours / theirs
  factor = work.batch if work.unit == 'images' else 1
  mib = result['mib']
  our_mib = next(v for k, v in mib.items() if k.startswith('ours'))
  achieved = np.median(ours) * result['flops']
  bound = f'{work.bound}' if precision == 'float32' else ''
  return (
    f'| {work.title}, batch {work.batch}, {precision} '
    f'| {_spread(ours * factor)} {work.unit}/s '
    f'| {_spread(theirs * factor)} ({best.split()[1]}) '
    f'| **{np.median(ratios):.2f}** ({ratios.min():.2f} to {ratios.max():.2f}) '
    f'| {bound} | {achieved / 1e9:.0f} GFLOP/s, {achieved / peak:.0%} '
    f'| {our_mib:.0f}, {mib[best]:.0f} MiB |'
  )


def _spread(values: np.ndarray) -> str:
  digits = 0 if np.median(values) > 20 else 2
  low, middle, high = (
    f'{v:,.{digits}f}' for v in (values.min(), np.median(values), values.max())
  )
  return f'{middle} ({low} to {high})'


HEADER = (
  '| work | gan_jax: median (least to most) | PyTorch | ratio | at least '
  '| ours, of the peak | memory |\n|---|---|---|---|---|---|---|'
)


def _list_of(known: Callable[[], Any]) -> Callable[[str], list[str]]:
  """A flag's type: names from a table, separated by commas."""

  def parse(text):
    names = text.split(',')
    for name in names:
      if name not in known():
        raise argparse.ArgumentTypeError(
          f'unknown name {name!r}; valid: {", ".join(known())}'
        )
    return names

  return parse


def main() -> None:
  """Measures and prints the tables."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  works, extras = list(WORKS), list(around.ROWS)
  on_gpu = shutil.which('nvidia-smi') is not None
  usual = GPU_WORKS if on_gpu else [w for w in works if w not in GPU_WORKS[:1]]
  parser.add_argument(
    '--works',
    type=_list_of(lambda: works + extras),
    default=[*usual, *extras],
    help=f'of {", ".join(works + extras)}; default: %(default)s',
  )
  parser.add_argument(
    '--precisions',
    type=_list_of(lambda: PRECISIONS),
    default=list(PRECISIONS) if on_gpu else ['float32'],
    help=f'of {", ".join(PRECISIONS)}; default: %(default)s',
  )
  parser.add_argument('--seconds', type=float, default=6.0)
  parser.add_argument('--repeats', type=int, default=5)
  flags = parser.parse_args()
  try:
    import torch
  except ImportError:
    sys.exit(
      'error: PyTorch is missing; this benchmark compares with it: '
      'pip install -r requirements-dev.txt'
    )
  import jax

  device = jax.devices()[0]
  peak = matmul_peak()
  print(
    f'{time.strftime("%Y-%m-%d")}, {platform.machine()}, '
    f'{torch.get_num_threads()} threads, {device.device_kind}; jax '
    f'{jax.__version__}, torch {torch.__version__}; float32 products at '
    f'{peak / 1e9:.0f} GFLOP/s\n\n{HEADER}',
    flush=True,
  )
  for name in flags.works:
    for precision in flags.precisions if name in WORKS else ():
      if precision == 'float32' or WORKS[name].config:
        result = measure(name, precision, flags.seconds, flags.repeats)
        print(row(name, precision, result, peak), flush=True)
  print(f'\n{around.HEADER}', flush=True)
  for name in flags.works:
    if name in around.ROWS:
      print(around.ROWS[name](flags.repeats), flush=True)


if __name__ == '__main__':
  main()

"""What scores cost in seconds and memory, against SciPy and prdc.

  python benchmarks/metric_costs.py
  python benchmarks/metric_costs.py --images=10000 --features=1000

Frechet distance of 2,048 features against scipy.linalg.sqrtm; the stream of
moments; neighbourhoods (precision, recall, density, coverage) of --images
against --images features, with the peak of memory that they needed. Each part
runs in a process of its own, so that peaks are its own.
"""

import argparse
import multiprocessing
import pathlib
import resource
import sys
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np


def _frechet(features: int) -> dict[str, float]:
  """Seconds of ours and of SciPy's square root, alternating; medians of 3."""
  import scipy.linalg

  from gan_jax.metrics.frechet import frechet_distance, moments

  rng = np.random.default_rng(0)
  a, b = (moments(rng.normal(size=(2 * features, features))) for _ in range(2))
  ours, theirs, ratios = [], [], []
  for _ in range(3):
    start = time.perf_counter()
    value = frechet_distance(a, b)
    middle = time.perf_counter()
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    end = time.perf_counter()
    ours.append(middle - start)
    theirs.append(end - middle)
    ratios.append(theirs[-1] / ours[-1])
    gap = a.mean - b.mean
    traces = np.trace(a.covariance) + np.trace(b.covariance)
    expected = gap @ gap + traces - 2.0 * np.trace(root).real
    assert abs(value - expected) < 1e-6 * expected, (value, expected)
  return {
    'Frechet distance, s': np.median(ours),
    'scipy sqrtm, s': np.median(theirs),
    'ratio': np.median(ratios),
  }


def _stream(images: int, features: int) -> dict[str, float]:
  """Seconds to take the moments of all images, batches of 64."""
  from gan_jax.metrics.frechet import MomentStream

  rng = np.random.default_rng(0)
  batch = rng.normal(size=(64, features)).astype(np.float32)
  stream = MomentStream()
  start = time.perf_counter()
  for _ in range(images // 64):
    stream.update(batch)
  stream.result()
  return {'moments, s': time.perf_counter() - start}


def _neighbourhoods(images: int, features: int) -> dict[str, float]:
  """Seconds of one pass for k = 3 and 5."""
  from gan_jax.metrics.neighbours import neighbourhoods

  rng = np.random.default_rng(0)
  real, fake = (
    rng.standard_normal((images, features), dtype=np.float32) for _ in range(2)
  )
  start = time.perf_counter()
  neighbourhoods(real, fake, (3, 5))
  return {'neighbourhoods, s': time.perf_counter() - start}


def _prdc(images: int, features: int) -> dict[str, float]:
  """Seconds of prdc for one k."""
  from prdc import compute_prdc

  rng = np.random.default_rng(0)
  real, fake = (
    rng.standard_normal((images, features), dtype=np.float32) for _ in range(2)
  )
  start = time.perf_counter()
  compute_prdc(real, fake, 5)
  return {'prdc, s': time.perf_counter() - start}


def _measure(function: Callable, arguments: tuple, queue) -> None:
  """Runs a part and sends its figures with its peak of memory."""
  figures = function(*arguments)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  queue.put(figures | {'peak memory, GiB': peak})


def in_a_process(function: Callable, *arguments: int) -> dict[str, float]:
  """The figures of a part, measured in a fresh process."""
  context = multiprocessing.get_context('spawn')
  queue = context.Queue()
  process = context.Process(target=_measure, args=(function, arguments, queue))
  process.start()
  figures = queue.get()
  process.join()
  return figures


def main() -> None:
  """Measures and prints a Markdown table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--images', type=int, default=50_000)
  parser.add_argument('--features', type=int, default=2_048)
  parser.add_argument(
    '--prdc_images', type=int, default=10_000, help='prdc keeps [N, N]'
  )
  flags = parser.parse_args()
  n, d, few = flags.images, flags.features, flags.prdc_images
  print('| what | figures |\n|---|---|', flush=True)
  for title, function, arguments in (
    (f'Frechet distance, {d} features', _frechet, (d,)),
    (f'moments of {n} x {d}', _stream, (n, d)),
    (f'neighbourhoods, {few} x {few} x {d}', _neighbourhoods, (few, d)),
    (f'prdc, {few} x {few} x {d}', _prdc, (few, d)),
    (f'neighbourhoods, {n} x {n} x {d}', _neighbourhoods, (n, d)),
  ):
    figures = in_a_process(function, *arguments)
    shown = ', '.join(f'{name} {value:.3g}' for name, value in figures.items())
    print(f'| {title} | {shown} |', flush=True)


if __name__ == '__main__':
  main()

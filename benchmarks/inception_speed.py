"""Images per second of our Inception and of torch-fidelity's, alternating.

  python benchmarks/inception_speed.py --batch_size=32 --repeats=5

Both have the same random weights and the same uint8 32x32 images, resize them
and hand back NumPy arrays; compiling is not counted. Each repeat runs one
right after the other, so that what else the machine does hits both.
"""

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from gan_jax.features import inception
from tests.peers import inception_extractor


def positive_number(text: str) -> int:
  """A flag's type: a whole number from 1 on."""
  value = int(text)
  if value < 1:
    raise ValueError
  return value


def _theirs(
  state: dict[str, np.ndarray], images: np.ndarray
) -> Callable[[], list[np.ndarray]]:
  """torch-fidelity's network on images, ready to be called."""
  import torch

  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'weights.pth'
    torch.save({name: torch.from_numpy(x) for name, x in state.items()}, path)
    extractor = inception_extractor(path)
  batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())

  def call():
    with torch.inference_mode():
      return [output.numpy() for output in extractor(batch)]

  return call


def _ours(
  state: dict[str, np.ndarray], images: np.ndarray
) -> Callable[[], list[np.ndarray]]:
  """Our network on images, ready to be called."""
  options = inception.COMPILER_OPTIONS.get(jax.default_backend())
  apply = jax.jit(inception.apply, compiler_options=options)
  variables = jax.device_put(inception.convert(state))
  return lambda: jax.device_get([*apply(variables, images).values()])


def measure(
  calls: dict[str, Callable[[], object]], repeats: int
) -> dict[str, np.ndarray]:
  """Seconds `[repeats]` of each call, in turn, after one that is not timed."""
  for call in calls.values():
    call()
  seconds = {name: [] for name in calls}
  for _ in range(repeats):
    for name, call in calls.items():
      start = time.perf_counter()
      call()
      seconds[name].append(time.perf_counter() - start)
  return {name: np.array(values) for name, values in seconds.items()}


def main() -> None:
  """Measures and prints a Markdown table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--batch_size', type=positive_number, default=32)
  parser.add_argument('--repeats', type=positive_number, default=5)
  flags = parser.parse_args()
  images = np.random.default_rng(0).integers(
    0, 256, (flags.batch_size, 32, 32, 3), dtype=np.uint8
  )
  state = inception.random_state(0)
  try:
    theirs = _theirs(state, images)
  except ImportError as error:
    sys.exit(
      f'error: {error}; this benchmark compares with torch-fidelity: '
      'pip install -r requirements-dev.txt'
    )
  calls = {'torch-fidelity': theirs, 'gan_jax': _ours(state, images)}
  seconds = measure(calls, flags.repeats)
  print(
    f'| Inception, batch {flags.batch_size} | images/s | ratio | min, max |'
  )
  print('|---|---|---|---|')
  for name, values in seconds.items():
    ratios = seconds['torch-fidelity'] / values
    print(
      f'| {name} | {flags.batch_size / np.median(values):.2f} '
      f'| {np.median(ratios):.2f} | {ratios.min():.2f}, {ratios.max():.2f} |'
    )


if __name__ == '__main__':
  main()

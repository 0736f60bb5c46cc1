"""Where the time of a training step goes, by kind of operation: `make profile`.

  python benchmarks/profile_step.py --work=dcgan64 --top=30

Runs a dispatch under JAX's profiler and adds up what it recorded of each
operation of the compiled program. Independent operations run side by side on
a CPU, so that the sum may exceed the time of the step.
"""

import argparse
import collections
import gzip
import json
import pathlib
import re
import sys
import tempfile
import time
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax

from benchmarks import ours
from benchmarks.works import WORKS
from gan_jax.devices import compiling

# Kind of operation: what the compiler's name or the source's name contains.
KINDS = {
  'convolutions': r'conv_general_dilated',
  'matrix products': r'dot_general|/dot$',
  'layout changes': r'transpose|copy|reverse|concatenate|pad|slice',
  'sums and means': r'reduce',
  'random numbers': r'threefry|_normal|_uniform|random|shift|gumbel',
}


class Operation(NamedTuple):
  """An instruction of a compiled program.

  Attributes:
    shape: of its result.
    opcode: of XLA.
    source: the operation and the modules of the program it came from.
  """

  shape: str
  opcode: str
  source: str


def operations(program: str) -> dict[str, Operation]:
  """The instructions of a program's text, by name."""
  found = {}
  for line in program.splitlines():
    match = re.match(r'\s*(?:ROOT )?%?([\w.\-]+) = (\S+) ([\w\-]+)\(', line)
    if match:
      source = re.search(r'op_name="([^"]*)"', line)
      found[match[1]] = Operation(
        match[2], match[3], source[1] if source else ''
      )
  return found


def kind_of(name: str, operation: Operation) -> str:
  """The kind that a recorded operation counts to."""
  last = operation.source.rsplit('/', 1)[-1]
  if operation.opcode in ('dot', 'convolution') or name.startswith('ynn_'):
    for kind in ('convolutions', 'sums and means'):
      if re.search(KINDS[kind], last):
        return kind
    return 'matrix products'
  for kind, pattern in KINDS.items():
    if re.search(pattern, name) or re.search(pattern, operation.source):
      if kind in ('convolutions', 'matrix products'):
        continue
      return kind
  return 'elementwise'


def record(run: ours.Run, steps: int) -> list[dict]:
  """The profiler's events of so many steps."""
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      run(steps)
    (path,) = pathlib.Path(folder).rglob('*.trace.json.gz')
    with gzip.open(path) as file:
      return json.load(file)['traceEvents']


def main() -> None:
  """Measures and prints two tables."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  works = [name for name, work in WORKS.items() if work.config]
  parser.add_argument('--work', choices=works, default='dcgan32')
  parser.add_argument('--top', type=int, default=20, help='operations listed')
  parser.add_argument(
    '--precision', choices=ours.VARIANTS, default=ours.VARIANTS[0]
  )
  flags = parser.parse_args()
  compiling.enable_compilation_cache()
  chunk = min(WORKS[flags.work].chunk, 10)  # the recorder's space is limited
  run = ours.make(flags.work, flags.precision, chunk)
  steps = 2 * chunk
  run(steps)
  start = time.perf_counter()
  run(steps)
  milliseconds = (time.perf_counter() - start) / steps * 1e3
  (program,) = run.programs.values()
  known = operations(program.as_text())
  times, counts = collections.Counter(), collections.Counter()
  for event in record(run, steps):
    name = event.get('name')
    if event.get('ph') == 'X' and known.get(name, ('', 'while'))[1] != 'while':
      times[name] += event['dur'] / 1e3 / steps
      counts[name] += 1
  kinds = collections.Counter()
  for name, spent in times.items():
    kinds[kind_of(name, known[name])] += spent
  total = sum(kinds.values())
  print(f'{WORKS[flags.work].title}: {milliseconds:.1f} ms a step\n')
  print('| kind | ms a step, summed over cores | share |\n|---|---|---|')
  for kind, spent in kinds.most_common():
    print(f'| {kind} | {spent:.2f} | {spent / total:.0%} |')
  print('\n| ms | times | result | from |\n|---|---|---|---|')
  for name, spent in times.most_common(flags.top):
    shape, _, source = known[name]
    origin = '/'.join(source.split('/')[-3:])
    print(
      f'| {spent:.2f} | {counts[name] / steps:g} | {shape.split("{")[0]} '
      f'| {origin} |'
    )


if __name__ == '__main__':
  main()

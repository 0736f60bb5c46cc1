"""One side of one work in a process of its own, told what to do by lines.

  python benchmarks/worker.py SIDE WORK VARIANT

Reads `run SECONDS` and answers with a JSON line: steps taken and the seconds
they took. `memory` answers with the peak resident set in MiB (on a GPU, of its
memory), `flops` with the floating-point operations of a step (PyTorch's side
only), `compile` with the seconds of the first run. The end of the input ends
the process.
"""

import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.works import WORKS


def main() -> None:
  """Answers until nobody asks."""
  side, name, variant = sys.argv[1:]
  started = time.perf_counter()
  if side == 'ours':
    from benchmarks import ours as module
    from gan_jax.devices import compiling

    compiling.enable_compilation_cache()
  else:
    from benchmarks import theirs as module
  chunk = WORKS[name].chunk if side == 'ours' else 1
  run = module.make(name, variant)
  run(chunk if side == 'ours' else 3)
  first = time.perf_counter() - started
  rate = None
  for line in sys.stdin:
    command, *arguments = line.split()
    if command == 'run':
      answer = timed(run, float(arguments[0]), chunk, rate)
      rate = answer['steps'] / answer['seconds']
    elif command == 'memory':
      answer = {'mib': module.device_mib() or peak_mib()}
    elif command == 'flops':
      answer = {'flops': module.flops(name)}
    else:
      answer = {'seconds': first}
    print(json.dumps(answer), flush=True)


def peak_mib() -> float:
  """The most memory that this process has held, in MiB.

  Not `getrusage`, which also counts what a parent held before it forked.
  """
  status = pathlib.Path('/proc/self/status').read_text()
  return int(re.search(r'VmHWM:\s+(\d+) kB', status).group(1)) / 1024


def timed(run, seconds: float, chunk: int, rate: float | None) -> dict:
  """Takes steps for about so long, in one go if the rate is known."""
  steps = chunk
  if rate:
    steps = max(1, round(seconds * rate / chunk)) * chunk
  start, taken = time.perf_counter(), 0
  while taken == 0 or (rate is None and time.perf_counter() - start < seconds):
    run(steps)
    taken += steps
  return {'steps': taken, 'seconds': time.perf_counter() - start}


if __name__ == '__main__':
  main()

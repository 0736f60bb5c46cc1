"""A soak in short form: kills at random moments, and many dispatches.

  python benchmarks/soak.py                     # 200 kills, 20,000 dispatches
  python benchmarks/soak.py --kills=10 --dispatches=2000

Kills: one tiny run is started again and again, ended by SIGKILL after a random
time (while it starts, trains or writes), and at last left alone. Every start
has to go on, and the final parameters and metric rows must be those of a run
that nobody has disturbed, bit for bit.

Dispatches: one process makes them; its resident memory and open files are read
from /proc as it goes, and must not grow after a warm-up.

The exit code is 1 if anything of this does not hold. Linux only.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from gan_jax.workdir.layout import saved_steps
from gan_jax.workdir.logs import read_metrics

ROOT = pathlib.Path(__file__).resolve().parents[1]
TINY = dict(
  batch_size=8,
  latent_dim=4,
  network__gen_widths='8,8',
  network__disc_widths='8,8',
  ema_decay=0.99,
)


def flags(workdir: pathlib.Path, **keys) -> list[str]:
  """The command line of a tiny run."""
  given = [
    f'--config.{key.replace("__", ".")}={value}'
    for key, value in (TINY | keys).items()
  ]
  return [sys.executable, str(ROOT / 'run.py'), f'--workdir={workdir}', *given]


def step_of(workdir: pathlib.Path) -> int:
  """Step of the newest checkpoint, 0 without one."""
  return max(saved_steps(workdir), default=0)


def same_run(one: pathlib.Path, other: pathlib.Path) -> bool:
  """Whether parameters, optimizers, averages and rows agree bit for bit."""
  import jax

  from gan_jax.workdir.trained import restore

  states = [restore(path).state for path in (one, other)]
  leaves = [[np.asarray(x) for x in jax.tree.leaves(s)] for s in states]
  rows = [read_metrics(path) for path in (one, other)]
  for row in rows[0] + rows[1]:
    row.pop('images_per_second', None)
  bits = all(x.tobytes() == y.tobytes() for x, y in zip(*leaves, strict=True))
  return bits and rows[0] == rows[1]


def kills(folder: pathlib.Path, num: int, seed: int) -> dict[str, float]:
  """Kills a run `num` times, and lets it end.

  Args:
    folder: to work in.
    num: kills.
    seed: of the moments.

  Returns:
    What was counted.
  """
  rng, workdir = random.Random(seed), folder / 'killed'
  keys = dict(
    num_steps=10_000_000,  # which no life reaches
    checkpoint_every=40,
    log_every=20,
    sample_every=400,
    steps_per_dispatch=20,
  )
  # Time to the first checkpoint; the moments lie around it.
  start = time.monotonic()
  process = subprocess.Popen(
    flags(workdir, **keys), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  while step_of(workdir) == 0:
    time.sleep(0.01)
  ready = time.monotonic() - start
  process.kill()
  process.wait()
  advanced, lost, worst = 0, 0, 0
  for _ in range(num):
    before = step_of(workdir)
    process = subprocess.Popen(
      flags(workdir, **keys),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.PIPE,
      text=True,
    )
    time.sleep(rng.uniform(0.2, 1.0) * 1.3 * ready)
    ended = process.poll()
    process.send_signal(signal.SIGKILL)
    _, error = process.communicate()
    if ended is not None and ended != 0:
      raise SystemExit(f'a start failed with {ended}: {error[-2000:]}')
    after = step_of(workdir)
    lost += after < before
    advanced += after > before
    rows = read_metrics(workdir)
    worst = max(worst, (rows[-1]['step'] if rows else 0) - after)
  last = subprocess.run(
    flags(workdir, **keys | dict(num_steps=step_of(workdir) + 100)),
    capture_output=True,
    text=True,
    check=False,
  )
  if last.returncode:
    raise SystemExit(f'the last start failed: {last.stderr[-2000:]}')
  steps = step_of(workdir)
  whole = folder / 'whole'
  subprocess.run(
    flags(whole, **keys | dict(num_steps=steps)),
    check=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  remains = [p for p in workdir.rglob('*') if 'tmp' in p.name]
  return dict(
    kills=num,
    lives_that_got_further=advanced,
    checkpoints_lost=lost,
    most_logged_steps_lost=worst,
    steps=steps,
    remains=len(remains),
    equal_bit_for_bit=same_run(workdir, whole),
  )


def resident(pid: int) -> tuple[float, int]:
  """Resident memory in MiB, and open files, of a process."""
  with open(f'/proc/{pid}/statm') as file:
    pages = int(file.read().split()[1])
  files = len(os.listdir(f'/proc/{pid}/fd'))
  return pages * os.sysconf('SC_PAGE_SIZE') / 2**20, files


def dispatches(folder: pathlib.Path, num: int) -> dict[str, float]:
  """One process, one step a dispatch, logs, grids and checkpoints included.

  Args:
    folder: to work in.
    num: dispatches.

  Returns:
    Memory after the first fifth and in the last one, in MiB, their growth in
    percent, and open files at the same times.
  """
  workdir = folder / 'long'
  keys = dict(
    num_steps=num,
    steps_per_dispatch=1,
    log_every=10,
    sample_every=max(1, num // 100),
    checkpoint_every=max(1, num // 100),
  )
  process = subprocess.Popen(
    flags(workdir, **keys),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  seen = []
  while process.poll() is None:
    try:
      rows = (workdir / 'metrics.jsonl').read_bytes().splitlines()
      step = json.loads(rows[-1])['step'] if rows else 0
      seen.append((step, *resident(process.pid)))
    except (OSError, ValueError, IndexError):
      pass
    time.sleep(0.25)
  if process.returncode:
    raise SystemExit(f'the long run ended with {process.returncode}')
  seen = np.array(seen)

  def between(low, high):
    part = seen[(seen[:, 0] >= low * num) & (seen[:, 0] < high * num)]
    return np.median(part[:, 1]), np.median(part[:, 2])

  early, late = between(0.2, 0.4), between(0.8, 1.0)
  return dict(
    dispatches=num,
    mib_after_warm_up=round(early[0], 1),
    mib_at_the_end=round(late[0], 1),
    growth_percent=round(100 * (late[0] / early[0] - 1), 2),
    files_after_warm_up=early[1],
    files_at_the_end=late[1],
  )


def main() -> None:
  """Parses flags, runs both parts, and says whether they hold."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--kills', type=int, default=200)
  parser.add_argument('--dispatches', type=int, default=20_000)
  parser.add_argument('--seed', type=int, default=0)
  arguments = parser.parse_args()
  start, good = time.monotonic(), True
  with tempfile.TemporaryDirectory() as folder:
    if arguments.kills:
      found = kills(pathlib.Path(folder), arguments.kills, arguments.seed)
      print(json.dumps(found, indent=2), flush=True)
      good &= found['equal_bit_for_bit'] and not found['checkpoints_lost']
    if arguments.dispatches:
      found = dispatches(pathlib.Path(folder), arguments.dispatches)
      print(json.dumps(found, indent=2), flush=True)
      good &= found['growth_percent'] < 1
      good &= found['files_at_the_end'] <= found['files_after_warm_up']
  print(f'{time.monotonic() - start:.0f} s: {"holds" if good else "FAILS"}')
  sys.exit(0 if good else 1)


if __name__ == '__main__':
  main()

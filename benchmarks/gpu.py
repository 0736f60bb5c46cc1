"""Checks and figures of an NVIDIA GPU, as a Markdown page: `make gpu`.

  python benchmarks/gpu.py --out=runs/gpu --parts=steps,compare

Five parts with 25 minutes between them; what one leaves of its time is the
next one's. Each task has a process of its own: its peak of memory is its own,
and one that hangs or dies costs its own rows alone. The page is written after
each of them. Installs nothing; what lacks a package is left out, and said.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.gpu_tasks import ROOT, TASKS, Row, row

CONFIGS = sorted(
  p.stem for p in ROOT.glob('configs/[a-z]*.py') if p.stem != 'base'
)
# One of each network, and the penalty with its second derivatives.
COMPARED = (
  'mlp_digits mlp_bn_mnist conv_mnist dcgan_cifar wgan_gp_cifar '
  'biggan_mnist stylegan2_mnist'
)
SPEEDS = [
  f'{work}:{kind}'
  for kind in ('float32', 'bfloat16')
  for work in ('dcgan64_128', 'wgan_gp')
]
SPEEDS += ['biggan32:float32', 'stylegan2:float32']
AT_ONCE = {'steps': 4}  # tasks of a part; of others, one after another
# What a run imports; with --no-deps, also what those import.
MODULES = (
  'absl array_record chex etils flax grain humanize immutabledict '
  'importlib_resources matplotlib ml_collections msgpack optax orbax PIL '
  'promise pytest rich scipy simplejson six sklearn tensorboardX '
  'tensorflow_datasets tensorflow_metadata tensorstore termcolor toml toolz '
  'tqdm tree wrapt yaml'
).split()
# Where pip has another name for it.
PIP = dict(
  absl='absl-py',
  orbax='orbax-checkpoint',
  PIL='pillow',
  sklearn='scikit-learn',
  tree='dm-tree',
  yaml='pyyaml',
)


class Part(NamedTuple):
  """A title, the seconds that it may take, and the names of its tasks."""

  title: str
  seconds: float
  names: list[str]


PARTS = {
  'steps': Part('Two steps of each config, four configs at once', 400, CONFIGS),
  'compare': Part('A step here and on the CPU', 400, COMPARED.split()),
  'resume': Part('A resumed run, bit for bit', 100, ['plain', 'deterministic']),
  'tests': Part('Tests about devices', 200, ['gpu', 'cpu']),
  'speed': Part('Beside PyTorch', 370, SPEEDS),
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
  """The flags."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  names = {'type': lambda text: text.split(',')}
  parser.add_argument('--out', type=pathlib.Path, default='runs/gpu')
  parser.add_argument('--parts', default=list(PARTS), **names)
  parser.add_argument('--configs', help='of the first two parts', **names)
  parser.add_argument('--no-docs', action='store_true', help='no copy in docs/')
  parser.add_argument('--cpu', action='store_true', help='for want of a GPU')
  parser.add_argument('--task', help=argparse.SUPPRESS)
  flags = parser.parse_args(arguments)
  flags.out = flags.out.absolute()
  for given, known in ((flags.parts, PARTS), (flags.configs or [], CONFIGS)):
    for name in given:
      if name not in known:
        parser.error(f'unknown name {name!r}; valid: {", ".join(known)}')
  if flags.cpu:  # the other parts are about GPUs
    flags.parts = [p for p in flags.parts if p in ('steps', 'compare')]
  return flags


def main(arguments: list[str] | None = None) -> int:
  """Runs the parts; 0 if all is well, 1 if not, 2 without a GPU."""
  flags = parse(arguments)
  if flags.task:
    print(json.dumps(do(flags.task, flags)))
    return 0
  shutil.rmtree(flags.out / 'reference', ignore_errors=True)
  (found,) = run_task('look', flags, 120)
  if found.get('platform') != ('cpu' if flags.cpu else 'gpu'):
    print(f'make gpu: jax sees no GPU here: {found["why"]}', file=sys.stderr)
    return 2
  intro, results = introduction(found), {}
  print(intro, flush=True)
  deadline = time.monotonic()
  for name in flags.parts:
    deadline += PARTS[name].seconds
    run_part(name, deadline, flags, results, intro)
  if not (flags.no_docs or flags.cpu):
    shutil.copy(flags.out / 'performance-gpu.md', ROOT / 'docs')
  said = [row['result'] for rows, _ in results.values() for row in rows]
  good = 'passed' in said and 'FAILED' not in said
  counts = ', '.join(f'{said.count(x)} {x}' for x in sorted(set(said)))
  print(f'{counts}; see {flags.out / "performance-gpu.md"}')
  return 0 if good else 1


def run_part(
  name: str,
  deadline: float,
  flags: argparse.Namespace,
  results: dict[str, tuple[list[Row], float]],
  intro: str,
) -> None:
  """Runs the tasks of a part, and writes the page after each."""
  started, rows = time.monotonic(), []
  given = flags.configs if name in ('steps', 'compare') else None
  tasks = [f'{name}:{task}' for task in given or PARTS[name].names]
  if name == 'compare':  # each with what the CPU makes of it before it
    tasks = [
      task.replace(name, kind) for task in tasks for kind in ('reference', name)
    ]
  run = functools.partial(_run_before, deadline, flags)
  with ThreadPoolExecutor(AT_ONCE.get(name, 1)) as pool:
    for new in pool.map(run, tasks):
      rows += new
      for line in new:
        print(f'{name}: ' + ', '.join(filter(None, line.values())), flush=True)
      results[name] = rows, time.monotonic() - started
      (flags.out / 'performance-gpu.md').write_text(page(intro, results))


def _run_before(
  deadline: float, flags: argparse.Namespace, task: str
) -> list[Row]:
  left = deadline - time.monotonic()
  if left <= 1:
    return [row('FAILED', task, 'no time was left for it')]
  return run_task(task, flags, left)


# --- The page ----------------------------------------------------------------


def introduction(found: Row) -> str:
  """Device, versions, and what is missing."""
  missing = [name for name in MODULES if util.find_spec(name) is None]
  lines = [f'{time.strftime("%Y-%m-%d")}, {found["why"]}.']
  if missing:
    pip = ' '.join(PIP.get(name, name) for name in missing)
    lines.append(
      f'Missing: {", ".join(missing)}; `pip install --no-deps {pip}`'
    )
  return '\n\n'.join(lines)


def page(intro: str, results: dict[str, tuple[list[Row], float]]) -> str:
  """The results as Markdown."""
  text = ['# Performance on a GPU', f'Written by `make gpu`: {intro}']
  out = []
  for name, (rows, seconds) in results.items():
    failed = sum(row['result'] == 'FAILED' for row in rows)
    passed = sum(row['result'] == 'passed' for row in rows)
    text.append(f'## {PARTS[name].title}')
    text.append(f'{passed} passed, {failed} failed, in {seconds:.0f} s.')
    text.append(table(rows))
    skipped = [row for row in rows if row['result'] == 'left out']
    out += [f'- {name}, {row["what"]}: {row["why"]}' for row in skipped]
  left = [p for p in PARTS if p not in results]
  out += [f'- {", ".join(left)}: not run, or not yet'] if left else []
  if out:
    text += ['## Left out', '\n'.join(out)]
  return '\n\n'.join(text) + '\n'


def table(rows: list[Row]) -> str:
  """Rows under the names of all their cells."""
  names = list(dict.fromkeys(name for row in rows for name in row))
  names.remove('why')
  if any(row['why'] for row in rows):
    names.append('why')
  lines = [names, ['---'] * len(names)]
  lines += [[row.get(name, '') for name in names] for row in rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


# --- Processes ---------------------------------------------------------------


def run_task(task: str, flags: argparse.Namespace, limit: float) -> list[Row]:
  """The rows of PART:NAME from a process of its own, killed after `limit` s."""
  log = flags.out / 'logs' / f'{task.replace(":", "_")}.txt'
  log.parent.mkdir(parents=True, exist_ok=True)
  given = [f'--task={task}', f'--out={flags.out}', *['--cpu'] * flags.cpu]
  # Several processes share the GPU.
  environment = os.environ | {'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'}
  with (
    log.open('w') as errors,
    subprocess.Popen(
      [sys.executable, __file__, *given],
      cwd=ROOT,
      env=environment | ({'JAX_PLATFORMS': 'cpu'} if flags.cpu else {}),
      stdout=subprocess.PIPE,
      stderr=errors,
      text=True,
      start_new_session=True,
    ) as process,
  ):
    try:
      printed, _ = process.communicate(timeout=limit)
      return json.loads(printed.splitlines()[-1])
    except subprocess.TimeoutExpired:
      why = f'not done after {limit:.0f} s'
    except (ValueError, IndexError):
      why = f'died with status {process.returncode}, see {log}'
    finally:  # and all that it has started
      with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
  return [row('FAILED', task, why)]


def do(task: str, flags: argparse.Namespace) -> list[Row]:
  """The rows of PART:NAME, whatever goes wrong."""
  part, _, name = task.partition(':')
  try:
    return TASKS[part](name, flags)
  except ModuleNotFoundError as error:
    traceback.print_exc()
    module = (error.name or '').split('.')[0]
    own = (ROOT / module).is_dir()
    what = f'needs {module}, which {sys.executable} lacks'
    return [row('FAILED' if own else 'left out', name, what)]
  except Exception as error:
    traceback.print_exc()
    line = f'{type(error).__name__}: {error}'.split('\n')[0][:300]
    return [row('FAILED', name, line.replace('|', '/'))]


if __name__ == '__main__':
  sys.exit(main())

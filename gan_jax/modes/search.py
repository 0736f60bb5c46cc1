"""`--mode=search`: the keys of a better run, found by trying.

Every process that is started with the same command on the same workdir or
storage is a worker of the same search. The last of them writes the report.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import ml_collections

from gan_jax.config import plan as plan_lib
from gan_jax.config.searching import Search
from gan_jax.config.space import Space, read_space
from gan_jax.config.variations import Variations
from gan_jax.evaluation.scores import BETTER
from gan_jax.process.exits import program
from gan_jax.reporting import search_page
from gan_jax.search import fresh, results, study, trials
from gan_jax.storage import files
from gan_jax.types import InputError, InUseError
from gan_jax.workdir import layout

_WORKER = 'GAN_JAX_SEARCH_WORKER'  # in the environment of one who only works
_PAGE, _SUMMARY = 'search.html', 'search.json'


def search(
  config: ml_collections.ConfigDict,
  workdir: str | pathlib.Path,
  *,
  started: float | None = None,
) -> results.Results | None:
  """Tries configs, and writes search.html, search.json and best_1.py, ...

  Args:
    config: what trials change, and its sections `search` and `eval`: trials
      are ranked by `eval.best` at their last step.
    workdir: where everything of the search is written.
    started: `time.monotonic()` when the program began, to say how long it took.

  Returns:
    What was found; None where another worker writes the report.

  Raises:
    InputError: a key at fault, a storage that is not this search's, or no
      trial that could be scored.
    Interrupted: a signal asked for the end; the same command goes on.
  """
  started = time.monotonic() if started is None else started
  asked = plan_lib.read(config)
  keys, configs = asked.search, Variations(config)
  space = read_space(keys.space, configs.fields)
  configs.plan({})  # before what is tried, the config itself
  configs.check(space)
  if keys.sampler == 'grid':
    space.grid()
  path = layout.prepare(workdir)
  better = BETTER[asked.eval.best]
  found = study.Study(
    keys, space, path, better=better, identity=configs.identity(space)
  )
  print(
    f'search: {keys.trials} trials of {len(space.keys)} keys by '
    f'{keys.sampler}, ranked by {asked.eval.best} ({better} is better); '
    f'{found.url}'
  )
  folder = path / _folder(keys)
  if not found.optuna.trials and folder.is_dir() and any(folder.iterdir()):
    raise InputError(
      f'workdir: {folder} holds runs of a search whose study is gone; move it '
      'away, or name another --workdir'
    )
  prune = keys.pruner != 'none'
  runner = trials.Runner(found, configs.plan, folder, prune=prune)
  with _helpers(keys.workers, path):
    _work(found, runner, keys.together, better)
  if os.environ.get(_WORKER):
    return None
  try:
    with files.locked(path):
      done = _finish(asked, configs, found, space, path)
  except InUseError:
    print('another worker writes the report')
    return None
  print(f'{time.monotonic() - started:.0f} s in all')
  return done


def _folder(keys: Search) -> str:
  """Where the runs of a study lie in the workdir."""
  if (keys.storage, keys.study) == ('', 'search'):
    return 'trials'
  text = json.dumps([keys.storage, keys.study])
  return f'trials_{hashlib.sha256(text.encode()).hexdigest()[:8]}'


def _work(
  found: study.Study, runner: trials.Runner, together: int, better: str
) -> None:
  """Runs trials until all that were asked for are over."""
  told = False
  while True:
    claimed = found.claim(together)
    for outcome in runner(claimed) if claimed else ():
      print(_line(outcome, found, better))
    if not claimed:
      if not found.running():
        return
      if not told:
        print('waiting for trials of other workers')
      told = True
      time.sleep(1)


def _line(outcome: trials.Outcome, found: study.Study, better: str) -> str:
  """What a trial came to."""
  score = '' if outcome.score is None else f' {outcome.score:.4g}'
  why = f' ({outcome.problem})' if outcome.problem else ''
  best = ''
  with contextlib.suppress(ValueError):  # none is complete yet
    best = f'; best {found.optuna.best_value:.4g}'
  return (
    f'trial {outcome.number}: {outcome.state}{score}{why}, '
    f'{outcome.seconds:.0f} s: {results.listed(outcome.values)}{best}'
  )


@contextlib.contextmanager
def _helpers(workers: int, path: pathlib.Path) -> Iterator[None]:
  """Other processes that work too, each with its share of the cores.

  Raises:
    InputError: there is no command to start them with.
  """
  if workers == 1 or os.environ.get(_WORKER):
    yield
    return
  if not os.path.basename(sys.argv[0]).startswith(('run.py', 'gan-jax')):
    raise InputError(
      'search.workers: from Python there is no command to start more workers '
      'with; start them yourself, on the same workdir'
    )
  pinned = hasattr(os, 'sched_setaffinity')  # not on macOS
  cores = sorted(os.sched_getaffinity(0)) if pinned else []
  share = max(1, len(cores) // workers)
  parts = [cores[i * share : (i + 1) * share] for i in range(workers)]
  helpers = []
  for number, part in enumerate(parts[1:], 1):
    log = open(path / f'worker_{number}.log', 'ab')  # noqa: SIM115
    helpers.append(
      subprocess.Popen(
        [sys.executable, *sys.argv],
        env=os.environ | {_WORKER: str(number)},
        stdout=log,
        stderr=log,
      )
    )
    log.close()
    if part:
      os.sched_setaffinity(helpers[-1].pid, part)
  if parts[0]:
    os.sched_setaffinity(0, parts[0])
  try:
    yield
  except BaseException:
    for helper in helpers:
      helper.terminate()
    raise
  finally:
    for helper in helpers:
      helper.wait()
    if cores:
      os.sched_setaffinity(0, cores)


def _write(
  done: results.Results, found: study.Study, path: pathlib.Path
) -> None:
  layout.write_json(path / _SUMMARY, done.as_json())
  search_page.write(done, found.optuna, path / _PAGE)


def _finish(
  asked: plan_lib.Plan,
  configs: Variations,
  found: study.Study,
  space: Space,
  path: pathlib.Path,
) -> results.Results:
  """Tries the winner on fresh seeds, and writes what is known."""
  tried = results.tried(found.optuna, space)
  done = results.Results(
    results.score_name(found.optuna, asked.eval.best),
    BETTER[asked.eval.best],
    tried,
    results.importances(found.optuna),
    None,
    found.url,
    space,
  )
  if not done.ranked:
    problems = [trial.problem for trial in tried if trial.problem]
    raise InputError(
      f'search: no trial of {len(tried)} was scored; the first says: '
      f'{problems[0] if problems else "it was pruned"}'
    )
  results.write_configs(done, configs.fields, path)
  _write(done, found, path)
  if asked.search.fresh_seeds:
    seeds = [asked.seed + 1 + i for i in range(asked.search.fresh_seeds)]
    print(f'the best and the config as it is, on {len(seeds)} fresh seeds')
    best = done.ranked[0].values
    told = fresh.scores(configs.plan, best, path / 'fresh', seeds=seeds)
    done = done._replace(fresh=told)
    _write(done, found, path)
  print(*done.words(), sep='\n')
  print(
    f'written to {path / _PAGE}, {_SUMMARY} and best_1.py: '
    f'{program()} --config={path / "best_1.py"}'
  )
  return done

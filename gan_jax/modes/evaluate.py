"""`--mode=evaluate`: a finished run scored, with how it was measured."""

import contextlib
import pathlib
from typing import Any

from gan_jax import data
from gan_jax.config import plan
from gan_jax.devices import parallel
from gan_jax.ensemble import Ensemble
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation import report
from gan_jax.evaluation.evaluator import Discriminator, Evaluator, Result
from gan_jax.reporting import run_page, tables
from gan_jax.sampling.weights import weights_name
from gan_jax.types import InputError
from gan_jax.workdir import layout, scored
from gan_jax.workdir.trained import Trained, TrainedRuns
from gan_jax.workdir.trained_gan import TrainedGAN


def evaluate(
  config: Any, workdir: str | pathlib.Path
) -> Result | dict[int, Result]:
  """Scores a run and writes metrics.json.

  Args:
    config: `member`, `data.dir`, and its `eval` section, see configs/base.py.
    workdir: of the run.

  Returns:
    Scores with the protocol they were measured by; of several runs at once
    those of each by its number, unless `member` names one.

  Raises:
    InputError: a key that makes no sense, data that has changed, too few
      images, or something not finite; of several runs, in all of them.
  """
  asked = plan.read(config)
  keys = asked.eval
  runs = TrainedRuns(workdir, keys.checkpoint, asked.denoise)
  names = keys_lib.check(keys, runs.info, told=runs.plan.told)
  keys = keys_lib.of_pixels(keys, names)
  path = layout.prepare(workdir)
  dataset = data.load_dataset(**runs.plan.dataset(asked.data_dir))
  layout.check_data(path, dataset.info)
  devices = parallel.select_devices(asked.num_devices)
  scorer = _Scorer(Evaluator(keys, dataset, devices=devices), names)
  if runs.ensemble.several and not asked.names_member:
    found = _each(scorer, runs)
    _show_all(found, runs.ensemble, keys.best)
    _write(path, found)
  else:
    trained = runs.member(asked.member)
    found = scorer(trained)
    for line in report.report(found):
      print(line)
    _write(path, {trained.member: found}, runs.ensemble)
  run_page.refresh(path)
  print(f'written to {path / scored.FILE} and {run_page.FILE}')
  return found


class _Scorer:
  """Scores runs of one shape: what is compiled is compiled once."""

  def __init__(self, evaluator: Evaluator, names: tuple[str, ...]):
    self.evaluator, self._names = evaluator, names
    self._gan: TrainedGAN | None = None

  def __call__(self, trained: Trained) -> Result:
    keys, step = self.evaluator.keys, int(trained.state.step)
    if self._gan is None:
      self._gan = trained.sampler_of(keys)
    else:
      self._gan = self._gan.with_state(trained.state)
    gan = self._gan
    whose = {} if trained.member is None else {'member': trained.member}
    disc = Discriminator(
      gan.discriminate,
      trained.plan.criterion_at(step).boundary,
      trained.plan.conditional,
    )
    return self.evaluator.score(
      gan,
      self._names,
      keys.num_samples,
      disc=disc if gan.has_disc else None,
      step=step,
      checkpoint=keys.checkpoint,
      images_seen=trained.plan.images_seen(step),
      weights=weights_name(trained.state, keys.ema),
      batch_norm=keys.batch_norm,
      psi=keys.psi,
      psi_cutoff=keys.psi_cutoff,
      **whose,
    )


def _each(scorer: _Scorer, runs: TrainedRuns) -> dict[int, Result]:
  """Scores every member; one that cannot be scored costs a line.

  Raises:
    InputError: none of them can be.
  """
  from tqdm import tqdm

  found, problems = {}, {}
  bar = tqdm(runs.ensemble.members, desc='runs', unit='run')
  for member in bar:
    try:
      found[member.number] = scorer(runs.member(member.number))
      scorer.evaluator.progress = False  # bars of one of them are enough
    except InputError as error:
      problems[member.number] = error
  if not found:
    raise next(iter(problems.values()))
  for number, error in problems.items():
    print(f'warning: no scores of run {number}: {error}')
  return found


def _write(
  path: pathlib.Path,
  found: dict[int | None, Result],
  ensemble: Ensemble | None = None,
) -> None:
  """Leaves scores in metrics.json.

  Args:
    path: of the workdir.
    found: by number of the member; None for a single run.
    ensemble: whose other members keep the scores that they have; None for no
      others.
  """
  kept = {}
  if ensemble is not None and ensemble.several:
    with contextlib.suppress(InputError):  # no file, or none of this version
      kept = scored.read(path)
    kept = {n: r for n, r in kept.items() if n in range(ensemble.num_members)}
  fields = ('scores', 'protocol', 'warnings')
  records = {
    number: {name: getattr(result, name) for name in fields}
    for number, result in found.items()
  }
  scored.write(path, kept | records)


def _show_all(found: dict[int, Result], ensemble: Ensemble, best: str) -> None:
  """Prints a table of all members, and how they were measured."""
  results = list(found.values())
  values = tables.values_of({n: result.scores for n, result in found.items()})
  network = results[0].protocol['network']
  print(report.heading(results))
  print(tables.ranked_tables(values, ensemble, network, best))
  for line in report.measured(results):
    print(line)

"""`--mode=diagnose`: what became of a run, from its rows and its samples."""

import pathlib
from typing import Any

import numpy as np

from gan_jax import data
from gan_jax.config import plan
from gan_jax.diagnosis import checkup
from gan_jax.diagnosis.verdict import Diagnosis, report
from gan_jax.reporting import run_page
from gan_jax.types import InputError
from gan_jax.workdir import layout, logs
from gan_jax.workdir.trained import read_plan, restore


def diagnose(config: Any, workdir: str | pathlib.Path) -> Diagnosis:
  """Prints the verdict on a run, and writes it to diagnosis.json.

  Where a checkpoint and the data are at hand, fresh samples are compared with
  real images, and classified where there are labels; else the rows have to do.

  Args:
    config: `member`, `data.dir`, and its section `diagnose`: window,
      grad_norm, samples, classifier.
    workdir: of the run.

  Raises:
    InputError: there is no run, or it has written no metrics yet.
  """
  asked = plan.read(config)
  keys, path = asked.diagnose, layout.absolute(workdir)
  run, ensemble = read_plan(path)
  member = ensemble.member(asked.member).number if ensemble.several else None
  rows = logs.rows_by_member(logs.read_metrics(path))[member]
  if not rows:
    raise InputError(
      f'workdir: {path / "metrics.jsonl"} has no rows to diagnose; train first'
    )
  evidence = {}
  if keys.samples:
    try:
      trained = restore(path, member=asked.member)
      dataset = data.load_dataset(**trained.plan.dataset(asked.data_dir))
      sampler = trained.sampler(ema=False)
      evidence = checkup.of_samples(sampler, dataset, keys)
    except InputError as error:
      print(f'note: from the metrics alone, without samples: {error}')
  critic = run.criterion_at(int(rows[-1]['step'])).boundary is None
  found = checkup.of_rows(rows, keys, critic=critic, **evidence)
  if ensemble.several:
    print(f'run {member} of {ensemble.num_members}')
  print(report(found))
  layout.write_json(path / 'diagnosis.json', _as_json(found))
  run_page.refresh(path)
  print(f'written to {path / "diagnosis.json"} and {run_page.FILE}')
  return found


def _as_json(found: Diagnosis) -> dict[str, Any]:
  """As JSON takes it: what is not finite is null."""
  evidence = {
    name: value if np.isfinite(value) else None
    for name, value in found.evidence.items()
  }
  return found._asdict() | {'evidence': evidence}

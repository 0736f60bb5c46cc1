"""`--mode=diagnose`: what became of a run, from its rows and its samples."""

import pathlib
from typing import Any

import numpy as np

from gan_jax import build as build_lib
from gan_jax import data, logs, reporting
from gan_jax import workdir as workdir_lib
from gan_jax.diagnosis import Diagnosis, diagnose, report
from gan_jax.diversity import diversity
from gan_jax.ensemble import Ensemble
from gan_jax.features import FeatureNetwork, extract, image_set
from gan_jax.features.classifier import classifier_network
from gan_jax.trained import Trained, read_config, restore
from gan_jax.types import InputError


def of_rows(
  config: Any,
  rows: list[dict[str, Any]],
  keys: Any,
  **evidence: Any,
) -> Diagnosis:
  """The verdict on one run's rows.

  Args:
    config: of the run.
    rows: of metrics.jsonl, its own alone.
    keys: the section `diagnose`.
    **evidence: what else `diagnose` takes.
  """
  tricks = getattr(config, 'tricks', None)  # older runs have none
  relativistic = getattr(tricks, 'relativistic', 'none') != 'none'
  return diagnose(
    rows,
    window=keys.window,
    grad_norm=keys.grad_norm,
    critic=relativistic or build_lib.loss_of(config).boundary is None,
    **evidence,
  )


def of_run(config: Any, workdir: pathlib.Path, keys: Any) -> list[str]:
  """Reports on a run, or a line for each of several, from the rows alone.

  Args:
    config: of the run.
    workdir: where it lies.
    keys: the section `diagnose`.
  """
  ensemble = Ensemble(config)
  by_member = reporting.rows_by_member(logs.read_metrics(workdir))
  if not ensemble.several:
    return [report(of_rows(config, by_member[None], keys))]
  lines = []
  for member in ensemble.members:
    found = of_rows(config, by_member[member.number], keys)
    label = member.label.replace('/', ', ')
    lines.append(
      f'run {member.number} ({label}): {found.verdict}; {found.reason}'
    )
  return lines


def diagnose_run(config: Any, workdir: str | pathlib.Path) -> Diagnosis:
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
  keys = config.diagnose
  check(keys)
  path = workdir_lib.absolute(workdir)
  run_config, ensemble = read_config(path)
  member = ensemble.member(config.member).number if ensemble.several else None
  rows = reporting.rows_by_member(logs.read_metrics(path))[member]
  if not rows:
    raise InputError(
      f'workdir: {path / "metrics.jsonl"} has no rows to diagnose; train first'
    )
  evidence = {}
  if keys.samples:
    try:
      trained = restore(path, member=config.member)
      evidence = of_samples(trained, config.data.dir, keys)
    except InputError as error:
      print(f'note: from the metrics alone, without samples: {error}')
  found = of_rows(run_config, rows, keys, **evidence)
  if ensemble.several:
    print(f'run {member} of {ensemble.num_members}')
  print(report(found))
  workdir_lib.write_json(path / 'diagnosis.json', _as_json(found))
  print(f'written to {path / "diagnosis.json"}')
  return found


def check(keys: Any) -> None:
  """Raises InputError for a value of `diagnose` out of its range."""
  if keys.window < 1:
    raise InputError(f'diagnose.window: {keys.window} is not at least 1')
  if keys.samples < 0 or keys.samples == 1:
    raise InputError(
      f'diagnose.samples: {keys.samples} is neither 0 nor at least 2'
    )
  if not keys.grad_norm > 0:
    raise InputError(f'diagnose.grad_norm: {keys.grad_norm} is not above 0')


def _as_json(found: Diagnosis) -> dict[str, Any]:
  """As JSON takes it: what is not finite is null."""
  evidence = {
    name: value if np.isfinite(value) else None
    for name, value in found.evidence.items()
  }
  return found._asdict() | {'evidence': evidence}


def of_samples(trained: Trained, data_dir: str, keys: Any) -> dict[str, Any]:
  """What fresh samples say, as arguments of `diagnose`.

  Args:
    trained: the run.
    data_dir: where its data lies now; '' for where it lay.
    keys: the section `diagnose`.

  Raises:
    InputError: the data cannot be read.
  """
  data_keys = build_lib.dataset_keys(trained.config, data_dir)
  dataset = data.load_dataset(**data_keys)
  num = min(keys.samples, len(dataset.train))
  chosen = np.random.default_rng(0).permutation(len(dataset.train))[:num]
  real = dataset.train.read(np.sort(chosen), num_threads=4)['images']
  fake = trained.sampler(ema=False).sample(num, seed=0)
  found = diversity(fake.astype(np.float32), real.astype(np.float32))
  evidence = {'measured': {name: float(x) for name, x in found.items()}}
  classes = dataset.info.class_names
  if keys.classifier and len(classes) > 1:
    splits = dataset.train.whole(), dataset.test.whole()
    network = classifier_network(*splits, classes)
    evidence['modes'] = classes_met(network, fake), classes_met(network, real)
  return evidence


def classes_met(network: FeatureNetwork, images: np.ndarray) -> int:
  """Classes that a classifier sees among images uint8 `[N, H, W, C]`."""
  outputs = extract(network, image_set(images), batch_size=64)
  labels = [np.argmax(out['logits'], axis=1) for _, out in outputs]
  return len(np.unique(np.concatenate(labels)))

"""The verdict on a run, or on each of several, from what they have left."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.data import Dataset
from gan_jax.diagnosis.keys import Checkup
from gan_jax.diagnosis.verdict import Diagnosis, Row, diagnose, report
from gan_jax.ensemble import Ensemble
from gan_jax.features import FeatureNetwork
from gan_jax.features.classifier import classes_of, classifier_network
from gan_jax.metrics.diversity import diversity
from gan_jax.metrics.pixel_distance import pixel_distance
from gan_jax.sampling.labels import labels_like
from gan_jax.sampling.sampler import Sampler

LEAST = 100  # images, to say how far samples are from the data


def of_rows(
  rows: Sequence[Row],
  keys: Checkup,
  *,
  critic: bool,
  **evidence: Any,
) -> Diagnosis:
  """The verdict on one run's rows.

  Args:
    rows: of metrics.jsonl, its own alone.
    keys: the section `diagnose`.
    critic: whether D's logits have no level, see `diagnose`.
    **evidence: what else `diagnose` takes.
  """
  return diagnose(
    rows,
    window=keys.window,
    grad_norm=keys.grad_norm,
    critic=critic,
    **evidence,
  )


def of_all(
  by_member: Mapping[int | None, Sequence[Row]],
  ensemble: Ensemble,
  keys: Checkup,
  *,
  critic: bool,
) -> list[str]:
  """Reports on a run, or a line for each of several, from the rows alone.

  Args:
    by_member: rows by the number of their run, None for a single one.
    ensemble: whose rows they are.
    keys: the section `diagnose`.
    critic: see `of_rows`.
  """
  if not ensemble.several:
    return [report(of_rows(by_member[None], keys, critic=critic))]
  lines = []
  for member in ensemble.members:
    found = of_rows(by_member[member.number], keys, critic=critic)
    label = member.label.replace('/', ', ')
    lines.append(
      f'run {member.number} ({label}): {found.verdict}; {found.reason}'
    )
  return lines


def of_samples(
  sampler: Sampler, dataset: Dataset, keys: Checkup
) -> dict[str, Any]:
  """What fresh samples say, as arguments of `diagnose`.

  Args:
    sampler: of the run, over its raw weights.
    dataset: that it was trained on.
    keys: the section `diagnose`.

  Raises:
    InputError: the data cannot be read.
  """
  num = min(keys.samples, len(dataset.train))
  chosen = np.random.default_rng(0).permutation(len(dataset.train))[:num]
  chosen = np.sort(chosen)
  examples = dataset.train.read(chosen, num_threads=4)
  real, labels, told = examples['images'], None, {}
  if sampler.columns:
    told['given'] = dataset.train.given(sampler.columns, chosen)
    labels = examples['labels'] if sampler.num_classes else None
  elif sampler.num_classes and (examples['labels'] >= 0).any():
    labels = labels_like(examples['labels'], num)
  fake = sampler.stream(num, labels=labels, **told)(np.arange(num))
  evidence = {'measured': beside(fake, real)}
  classes = dataset.info.class_names
  if keys.classifier and len(classes) > 1:
    splits = dataset.not_tested_on(), dataset.test.whole()
    network = classifier_network(*splits, classes)
    evidence['modes'] = classes_met(network, fake), classes_met(network, real)
  return evidence


def beside(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
  """What samples measure beside as many real images, uint8 `[N, H, W, C]`."""
  found = diversity(fake.astype(np.float32), real.astype(np.float32))
  measured = {name: float(x) for name, x in found.items()}
  if len(real) >= LEAST:
    measured['pixel_distance'] = pixel_distance(fake, real)
  return measured


def classes_met(network: FeatureNetwork, images: np.ndarray) -> int:
  """Classes that a classifier sees among images uint8 `[N, H, W, C]`."""
  return len(np.unique(classes_of(network, images, batch_size=64)))

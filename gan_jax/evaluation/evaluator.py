"""Scores a generator against a dataset: the real side is prepared once."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.data import Dataset, labelled_only
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation import protocol, remarks
from gan_jax.evaluation.entries import Entry, Inputs, Settings
from gan_jax.evaluation.paths import squared_distances
from gan_jax.evaluation.real_images import RealImages
from gan_jax.evaluation.scores import compute_each, needs_of
from gan_jax.evaluation.summary import Summary, cached_summary, summarise
from gan_jax.features import FeatureNetwork, ImageSet, published
from gan_jax.features.classifier import classifier_network, random_network
from gan_jax.features.network import UNKNOWN, check_channels
from gan_jax.features.published import PUBLISHED
from gan_jax.metrics.neighbours import Reference
from gan_jax.sampling.labels import labels_like
from gan_jax.sampling.sampler import Sampler
from gan_jax.storage.files import cache_dir
from gan_jax.types import InputError


class Result(NamedTuple):
  """One evaluation.

  Attributes:
    scores: entries by name, see `compute`.
    protocol: see `protocol.record`.
    warnings: lines that a reader of the scores should see.
    images_per_second: of the fakes, from latents to features.
  """

  scores: dict[str, Entry]
  protocol: dict[str, Any]
  warnings: list[str]
  images_per_second: float


class Discriminator(NamedTuple):
  """D as its accuracy needs it.

  Attributes:
    logits: (images uint8 `[N, H, W, C]`, labels or None) -> `[N]`.
    boundary: see gan_jax.losses.
    conditional: whether it sees labels.
  """

  logits: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
  boundary: float | None
  conditional: bool


class Evaluator:
  """Scores generators of one dataset in one feature network.

  The network, the real statistics and the real images are made when they are
  first needed, and kept.

  Attributes:
    network_name: of the feature network; never `auto`.
    progress: whether bars are shown.
  """

  def __init__(
    self,
    keys: Any,
    dataset: Dataset,
    *,
    network: FeatureNetwork | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: bool = True,
    cache: pathlib.Path | None = None,
  ):
    """Checks the keys; does no work yet.

    Args:
      keys: the `eval` section of a config, see configs/base.py.
      dataset: real images.
      network: one of your own instead of the one that `eval.network` names,
        see `gan_jax.features.from_callable`.
      devices: to share batches among; None for one.
      progress: show bars.
      cache: where weights and statistics are kept; None for the user's.

    Raises:
      InputError: see `gan_jax.evaluation.keys.check`.
    """
    keys_lib.check(keys, dataset.info, cache=cache)
    self.keys, self._info = keys, dataset.info
    self.network_name = keys_lib.network_of(keys, dataset.info, cache)
    self._images = RealImages(
      dataset, split=keys.split, num=keys.num_real, seed=keys.seed
    )
    self._devices, self.progress = devices, progress
    self._cache = cache or cache_dir()
    self._summaries: dict[bool, Summary] = {}
    if network is not None:
      self.network, self.network_name = network, network.name

  @functools.cached_property
  def network(self) -> FeatureNetwork:
    """The feature network that `eval.network` names, or stands for."""
    if self.network_name == 'random':
      network = random_network(self._info.image_shape)
    elif self.network_name in PUBLISHED:
      network = published_network(self.network_name, self.keys, self._cache)
    else:
      network = classifier_network(
        self._images.not_tested_on(),
        self._images.whole('test'),
        self._info.class_names,
        directory=self._cache / 'classifiers',
        progress=self.progress,
      )
    check_channels(network, self._info.image_shape)
    return network

  def _extraction(self, title: str) -> dict[str, Any]:
    return dict(
      devices=self._devices,
      batch_size=self.keys.batch_size,
      progress=title if self.progress else '',
    )

  def _real_summary(self, keep_features: bool) -> Summary:
    for kept in {keep_features, True}:  # features too many do no harm
      if kept in self._summaries:
        return self._summaries[kept]
    if self.network.digest == UNKNOWN:
      return summarise(
        self.network,
        self._images.reference,
        keep_features=keep_features,
        **self._extraction('real images'),
      )
    self._summaries[keep_features] = cached_summary(
      self.network,
      self._images.reference,
      directory=self._cache / 'statistics',
      digest=self._images.digest,
      keep_features=keep_features,
      **self._extraction('real images'),
    )
    return self._summaries[keep_features]

  @functools.cached_property
  def _reference(self) -> Reference:
    """Kept features; their radii serve every generator."""
    return Reference(self._summaries[True].features)

  def score(
    self,
    sampler: Sampler,
    names: Iterable[str],
    num: int,
    *,
    disc: Discriminator | None = None,
    **fields: Any,
  ) -> Result:
    """Draws fakes and scores them.

    Args:
      sampler: of the generator.
      names: of the scores.
      num: fakes.
      disc: for `disc_accuracy`.
      **fields: of the run, for the protocol.

    Raises:
      InputError: something is not finite, or none of the scores can be had;
        one that cannot is left out, with a line in the warnings.
    """
    keys, names, left_out = self.keys, tuple(names), []
    lacking = remarks.lacking(
      sampler, disc, self._images.labelled('test'), keys
    )
    for need, reason in lacking.items():
      names, lines = remarks.without(need, names, reason)
      left_out += lines
    disc = None if 'disc' in lacking else disc
    labels = self._labels_of_fakes(sampler, num)
    inputs = self._inputs(sampler, needs_of(names), num, labels, disc)
    scores, problems = compute_each(inputs, names, progress=self.progress)
    reasons = [f'{name}: {problem}' for name, problem in problems.items()]
    if not scores:
      raise InputError(f'eval.scores: none can be had; {"; ".join(reasons)}')
    left_out += [f'eval.scores: left out is {reason}' for reason in reasons]
    record = protocol.record(
      self.network,
      num_real=inputs.real.num,
      num_fake=num,
      split=keys.split,
      data=f'{self._info.name} {self._info.version}'.strip(),
      image_shape=self._info.image_shape,
      real_digest=self._images.digest,
      truncation=keys.truncation,
      seed=keys.seed,
      batch_size=keys.batch_size,
      **self._how_labelled(labels),
      **({'fake_given': list(sampler.columns)} if sampler.columns else {}),
      **(sampler.denoising.record if sampler.denoising else {}),
      **fields,
    )
    lines = left_out + remarks.warnings(inputs, scores) + self._unread_weights()
    return Result(scores, record, lines, inputs.fake.images_per_second)

  def _inputs(
    self,
    sampler: Sampler,
    needs: frozenset[str],
    num: int,
    labels: np.ndarray | None,
    disc: Discriminator | None,
  ) -> Inputs:
    """What the scores are computed from: the one pass over the fakes."""
    real = self._real_summary('features' in needs)
    keys = self.keys
    told = {}
    if sampler.columns:
      told['given'] = self._images.given_in_order(tuple(sampler.columns))
    read = sampler.stream(
      num, seed=keys.seed, truncation=keys.truncation, labels=labels, **told
    )
    fake = summarise(
      self.network,
      ImageSet(num, self._info.image_shape, read),
      keep_features='features' in needs,
      keep_images=self._images_to_keep(num) if 'images' in needs else 0,
      keep_seen='labels' in needs,
      splits=min(keys.splits, num),
      **self._extraction('generated images'),
    )
    settings = Settings(*(getattr(keys, name) for name in Settings._fields))
    inputs = Inputs(self.network, real, fake, settings, labels=labels)
    if real is self._summaries.get(True):
      inputs = inputs._replace(reference=self._reference)
    if 'images' in needs:
      images = self._images.sample_of_reference(len(fake.images))
      inputs = inputs._replace(real=real._replace(images=images))
    if 'targets' in needs:
      targets = self._images.in_order(np.arange(len(fake.images)))
      inputs = inputs._replace(targets=targets)
    if 'paths' in needs:
      keys = dict(sampling=keys.ppl_sampling, seed=keys.seed, labels=labels)
      with jax.default_matmul_precision('highest'):  # steps are of 1e-4
        paths = squared_distances(self.network, sampler, num, **keys)
      inputs = inputs._replace(paths=paths)
    if 'splits' in needs:
      inputs = self._with_splits(inputs, labels, disc)
    return inputs

  def _labels_of_fakes(self, sampler: Sampler, num: int) -> np.ndarray | None:
    """Each class as often as among the real images, if G takes labels.

    Where G is told more of a real image, its own label.
    """
    if not sampler.num_classes:
      return None
    if sampler.columns:
      labels = None
      if self._images.labelled(self.keys.split):
        read = self._images.given_in_order(('labels',))
        labels = read(np.arange(num))['labels']
      if labels is None or (labels < 0).any():
        raise InputError(
          f'eval.split: images of {self.keys.split} have no label, which G is '
          'told with the rest; take the other split'
        )
      return labels
    real = self._images.labels
    if real is None:
      return sampler.labels(num)
    return labels_like(real, num, self.keys.seed)

  def _how_labelled(self, labels: np.ndarray | None) -> dict[str, str]:
    """What labels the fakes had, for the protocol of a conditional model."""
    if labels is None:
      return {}
    as_data = self._images.labels is not None
    return {'fake_labels': 'as of real images' if as_data else 'all in turn'}

  def _unread_weights(self) -> list[str]:
    """A line about a file that is given and not read."""
    if not self.keys.weights or self.network_name in PUBLISHED:
      return []
    return [
      f'eval.weights: the network {self.network_name} reads no file; take '
      f'eval.network={" or ".join(PUBLISHED)}, or leave it out'
    ]

  def _images_to_keep(self, num: int) -> int:
    """Up to `num`, as many as fit into a GiB."""
    return min(num, max(1, 2**30 // int(np.prod(self._info.image_shape))))

  def _with_splits(
    self, inputs: Inputs, labels: np.ndarray | None, disc: Discriminator | None
  ) -> Inputs:
    """Adds train and test images, equally many, and D's logits."""
    fake = inputs.fake.images
    size = self._images.smaller_split(len(fake))
    train, test = (self._images.subset(s, size) for s in keys_lib.SPLITS)
    logits = None
    if disc is not None:
      seen = labelled_only(test) if disc.conditional else test
      logits = (
        disc.logits(
          seen['images'], seen['labels'] if disc.conditional else None
        ),
        disc.logits(fake, labels if labels is None else labels[: len(fake)]),
        disc.boundary,
      )
    images = dict(train=train['images'], test=test['images'])
    images['validation'] = self._images.validation()
    return inputs._replace(logits=logits, **images)


def published_network(
  name: str, keys: Any, cache: pathlib.Path | None = None
) -> FeatureNetwork:
  """A network from the file that `eval.weights` names, or from the cache.

  Args:
    name: of `PUBLISHED`.
    keys: the `eval` section of a config.
    cache: see `Evaluator`.

  Raises:
    InputError: no file, another hash, or another shape.
  """
  return published.published_network(
    name,
    keys.weights,
    sha256=keys.weights_sha256,
    download=keys.download,
    cache=cache,
  )

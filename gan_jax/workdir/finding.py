"""Directions of a run by their names: found when they are first asked for."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_jax import data
from gan_jax.config.plan import Plan
from gan_jax.features.classifier import classes_of, classifier_network
from gan_jax.metrics.attributes import ATTRIBUTES
from gan_jax.sampling import editing, spaces
from gan_jax.sampling.editing import Direction
from gan_jax.types import InputError
from gan_jax.workdir import directions
from gan_jax.workdir.trained import Trained
from gan_jax.workdir.trained_gan import TrainedGAN

_SAMPLES_SEED = 2**31 - 2  # of the images that directions are found on
_LABEL = 'label_'


class _Drawn(NamedTuple):
  """What directions are found on.

  Attributes:
    points: `[N, D]`, see `editing.points_of`.
    labels: classes that were asked for, or None.
    images: uint8 `[N, H, W, C]`.
  """

  points: np.ndarray
  labels: np.ndarray | None
  images: np.ndarray


class Finder:
  """Finds directions by name, or reads them where they are kept."""

  def __init__(
    self, gan: TrainedGAN, trained: Trained, asked: Plan, path: pathlib.Path
  ):
    self.gan, self.trained, self.asked, self.path = gan, trained, asked, path
    self.keys = asked.edit
    self.space = self.keys.space
    if self.space == spaces.AUTO:
      self.space = 'w' if gan.has_styles else 'z'
    spaces.space_of(gan, self.space, 'edit.space')
    self._drawn: _Drawn | None = None

  @property
  def drawn(self) -> np.ndarray:
    """Images that directions are found on."""
    return self._samples().images

  def _samples(self) -> _Drawn:
    if self._drawn is None:
      gan, keys = self.gan, self.keys
      latents = gan.latents(keys.samples, seed=_SAMPLES_SEED)
      labels = gan.labels(keys.samples, keys.class_label)
      self._drawn = _Drawn(
        editing.points_of(gan, latents, labels, self.space),
        labels,
        gan.generate(latents, labels),
      )
    return self._drawn

  def direction(self) -> Direction:
    """The one that is asked for, across those that are to stay.

    Raises:
      InputError: it is not known, or nothing of it is left.
    """
    name, others = self.keys.direction, self.keys.others
    if not name:
      raise InputError(f'edit.direction: name one; {self._known()}')
    found = self.of(name)
    if not others:
      return found
    across = [self.of(other).vector for other in others]
    vector = editing.orthogonal(found.vector, across)
    return found._replace(vector=vector, spread=self._spread(vector))

  def of(self, name: str) -> Direction:
    """A direction by its name, or its file."""
    if name.endswith(directions.SUFFIX):
      return self._of_file(name)
    step = int(self.trained.state.step)
    about = dict(
      network=self.trained.plan.network,
      step=step,
      samples=self.keys.samples,
      label=str(self.keys.label),
      member=self.trained.member,
      weights='ema' if self.keys.ema else 'raw',
    )
    place = directions.place(self.path, name, self.space)
    found = directions.read(place, **about)
    if found is None:
      vector = editing.unit(self._vector(name))
      found = Direction(name, self.space, vector, self._spread(vector))
      directions.save(place, found, **about)
    return found

  def _of_file(self, name: str) -> Direction:
    path = pathlib.Path(name).expanduser()
    path = path if path.is_file() else self.path / directions.FOLDER / name
    found = directions.read(path)
    if found is None:
      raise InputError(f'edit.direction: there is no {name}; {self._known()}')
    if found.space != self.space and self.keys.space != spaces.AUTO:
      raise InputError(
        f'edit.direction: {name} is in {found.space}; set edit.space='
        f'{found.space}'
      )
    self.space = found.space
    spaces.space_of(self.gan, self.space, 'edit.direction')
    return found

  def _known(self) -> str:
    """What may be asked for."""
    kept = directions.kept(self.path)
    of_run = f'; this run has {", ".join(kept)}' if kept else ''
    return (
      f'found by name are {", ".join(ATTRIBUTES)}, label_NAME, pca_0, sefa_0 '
      f'and on{of_run}'
    )

  def _spread(self, vector: np.ndarray) -> float:
    """Standard deviation of what is drawn along a direction."""
    return float((self._samples().points @ vector).std())

  def _vector(self, name: str) -> np.ndarray:
    points, labels, images = self._samples()
    if name in ATTRIBUTES:
      scores = ATTRIBUTES[name](images)
      return editing.of_scores(points, editing.within_classes(scores, labels))
    if name.startswith(_LABEL):
      return editing.of_labels(points, self._is_of(name[len(_LABEL) :]))
    numbered = re.fullmatch(r'(pca|sefa)_([0-9]+)', name)
    if not numbered:
      raise InputError(
        f'edit.direction: this run has no {name!r}; {self._known()}'
      )
    kind, number = numbered[1], int(numbered[2])
    rows = (
      editing.principal(points)[0]
      if kind == 'pca'
      else editing.sefa(editing.layer_weights(self.gan, self.space))
    )
    if number >= len(rows):
      raise InputError(
        f'edit.direction: {name} is beyond {kind}_{len(rows) - 1}, the last'
      )
    return rows[number]

  def _is_of(self, name: str) -> np.ndarray:
    """Whether images are of a class, by the classifier of the run's data."""
    names = self.trained.info.class_names
    if name not in names:
      raise InputError(
        f'edit.direction: there is no class {name!r}; the data has '
        f'{", ".join(names) or "none"}'
      )
    dataset = data.load_dataset(
      **self.trained.plan.dataset(self.asked.data_dir)
    )
    splits: Mapping[str, Any] = {
      split: getattr(dataset, split).whole() for split in ('train', 'test')
    }
    network = classifier_network(splits['train'], splits['test'], names)
    return classes_of(network, self.drawn) == names.index(name)

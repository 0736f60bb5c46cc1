"""The grid of samples: what a run generates, beside real images."""

import math
from collections.abc import Sequence

import jax
import numpy as np

from gan_jax import data
from gan_jax.devices import parallel
from gan_jax.reporting import pictures
from gan_jax.sampling.weights import generator_variables
from gan_jax.training import runs
from gan_jax.types import TrainState

GRID_IMAGES = 64
# Of several runs at once, a row each; of more, every n-th.
GRID_COLUMNS, GRID_ROWS = 16, 32
# Examples with a source, of three pictures each; so many abreast.
GRID_TOLD, TOLD_ABREAST = 32, 4
_MOST_READ = 1024  # images that are looked through for those of each class


class Painter:
  """Draws what a run generates, below real images of the same classes.

  A run that is told more than labels is told that of its first real images,
  whose targets they are: source | result | target, where there is a source.

  Attributes:
    real: uint8 `[N, H, W, C]`, chosen once, by the seed.
    heads: names of the columns, if each is of one class.
  """

  def __init__(self, run: runs.Run):
    """Reads the real images."""
    self._run, self._sampler = run, None
    self._picture, self._told = '', {}
    if run.plan.given:
      self._take_examples(run)
      return
    names = run.info.class_names if run.plan.conditional else ()
    self._num_classes = len(names)
    by_class = pictures.has_class_columns(len(names))
    several = run.ensemble.several
    # Whole rows, so that a class has as many as another.
    num = GRID_IMAGES - GRID_IMAGES % max(1, len(names)) or GRID_IMAGES
    self._num = num
    self._columns = pictures.columns_of(num, len(names))
    if several and not by_class:
      self._columns = GRID_COLUMNS
    self.heads = pictures.heads_of(names, self._columns)
    num_real = self._columns * (1 if several else 2)
    labels = np.arange(num_real) % len(names) if by_class else None
    self.real = real_images(run.dataset.train, num_real, run.plan.seed, labels)

  def _take_examples(self, run: runs.Run) -> None:
    """Real images, chosen by the seed, and what is given with each."""
    pictures_given = [n for n in ('source', 'other') if n in run.plan.given]
    self._picture = ''.join(pictures_given[:1])
    several, self.heads = run.ensemble.several, ()
    self._num = GRID_TOLD if self._picture else GRID_IMAGES
    self._columns = pictures.columns_of(self._num)
    if several:
      self._num = self._columns = GRID_COLUMNS
    elif self._picture:
      self._columns = len(pictures.ABREAST) * TOLD_ABREAST
      self.heads = pictures.ABREAST * TOLD_ABREAST
    images = run.dataset.train
    order = np.random.default_rng(run.plan.seed).permutation(len(images))
    chosen = np.resize(order, self._num)
    names = ('labels',) * run.plan.conditional + run.plan.given
    self._told = images.given(names, chosen)
    self.real = images.read(chosen)['images']

  def __call__(self, state: TrainState) -> np.ndarray:
    """The grid `[H', W', 3]` of a state, always of the same latents.

    The moving average is shown if there is one. Conditional runs show one
    class a column. Of several runs each has a row.
    """
    ensemble = self._run.ensemble
    if self._sampler is None:
      self._sampler = self._run.model.sampler(state, ema=True)
    variables = generator_variables(state, ema=True)
    device = parallel.own(self._run.devices)[0]
    variables = jax.device_put(parallel.local(variables), device)

    def sample(number, num):
      one = self._sampler.with_variables(ensemble.select(variables, number))
      if not self._told:
        return one.sample(num, seed=self._run.plan.seed)
      told = {name: x[:num] for name, x in self._told.items()}
      labels = told.pop('labels', None)
      latents = one.latents(num, seed=self._run.plan.seed)
      return one.generate(latents, labels, told)

    if not ensemble.several:
      return self.draw({'generated': sample(0, self._num)})
    every = math.ceil(ensemble.num_members / GRID_ROWS)
    shown = ensemble.members[::every]
    rows = [sample(member.number, self._columns) for member in shown]
    sides = [
      '\n'.join(f'{name} {value:g}' for name, value in whose.items())
      for whose in ({**m.values, 'seed': m.seed} for m in shown)
    ]
    return self.draw({'generated': np.concatenate(rows)}, sides)

  def draw(
    self, blocks: dict[str, np.ndarray], sides: Sequence[str] = ()
  ) -> np.ndarray:
    """The real images, with blocks of others below them."""
    if self._picture and 'generated' in blocks and not sides:
      source = self._told[self._picture]
      rows = pictures.abreast(source, blocks['generated'], self.real)
      return pictures.sheet({'': rows}, self._columns, heads=self.heads)
    real = {'real': self.real}
    if self._picture:
      real = {'source': self._told[self._picture], 'target': self.real}
    blocks = real | blocks
    heads = () if self._picture else self.heads
    return pictures.sheet(blocks, self._columns, heads=heads, sides=sides)


def real_images(
  images: data.Images, num: int, seed: int, labels: np.ndarray | None = None
) -> np.ndarray:
  """Images of a dataset that depend on the seed alone.

  Args:
    images: to choose from.
    num: how many.
    seed: of the choice.
    labels: `[num]` of them; None for any. One that is not found among the
      first 1,024 is left grey.

  Returns:
    uint8 `[num, H, W, C]`; no image comes twice, unless there are too few.
  """
  order = np.random.default_rng(seed).permutation(len(images))
  if labels is None:
    return images.read(np.resize(order, num))['images']
  chosen = np.full((num, *images.image_shape), pictures.GREY, np.uint8)
  missing = list(range(num))
  for start in range(0, min(len(order), _MOST_READ), 64):
    part = images.read(order[start : start + 64])
    for image, label in zip(part['images'], part['labels'], strict=True):
      place = next((i for i in missing if labels[i] == label), None)
      if place is not None:
        chosen[place] = image
        missing.remove(place)
    if not missing:
      break
  return chosen

"""The real images that scores compare with, read as little as possible."""

import functools
from collections.abc import Callable

import numpy as np

from gan_jax.data import Dataset
from gan_jax.evaluation.summary import digest_images
from gan_jax.features import ImageSet
from gan_jax.types import Given

_HELD = 2**30  # bytes of pixels of a split that are read once and held
_THREADS = 4  # of decoding
_COUNTED = 20_000  # labels, to know how often each class comes


class RealImages:
  """A dataset as scores see it.

  Attributes:
    info: of the dataset.
  """

  def __init__(
    self, dataset: Dataset, *, split: str = 'train', num: int = 0, seed: int = 0
  ):
    """Reads nothing yet.

    Args:
      dataset: train and test images.
      split: that statistics are of, train or test.
      num: so many of the split, at random; 0 for all.
      seed: of what is chosen.
    """
    self.info, self._dataset = dataset.info, dataset
    self._split, self._num, self._seed = split, num, seed
    self._whole: dict[str, dict[str, np.ndarray]] = {}

  def whole(self, split: str) -> dict[str, np.ndarray]:
    """A whole split in memory: images and, if there are any, labels."""
    if split not in self._whole:
      self._whole[split] = getattr(self._dataset, split).whole()
    return self._whole[split]

  def labelled(self, split: str) -> bool:
    """Whether the images of a split have labels."""
    return getattr(self._dataset, split).labelled

  def read(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Some examples; splits that fit in memory are read once."""
    images = getattr(self._dataset, split)
    if len(images) * np.prod(self.info.image_shape) > _HELD:
      return images.read(indices, num_threads=_THREADS)
    return {name: array[indices] for name, array in self.whole(split).items()}

  def subset(self, split: str, num: int) -> dict[str, np.ndarray]:
    """Up to `num` examples of a split at random, in their own order."""
    size = len(getattr(self._dataset, split))
    return self.read(split, self._choose(size, num))

  def not_tested_on(self) -> dict[str, np.ndarray]:
    """What a classifier learns from, see `Dataset`."""
    if self._dataset.validation is None:
      return self.whole('train')
    return self._dataset.not_tested_on()

  def validation(self) -> np.ndarray | None:
    """Images held back, uint8 `[N, H, W, C]`; None if there are none."""
    if self._dataset.validation is None:
      return None
    return self.whole('validation')['images']

  def _choose(self, size: int, num: int) -> np.ndarray:
    order = np.random.default_rng(self._seed).permutation(size)
    return np.sort(order[:num])

  @functools.cached_property
  def reference(self) -> ImageSet:
    """The images that statistics are of."""
    size = len(getattr(self._dataset, self._split))
    indices = self._choose(size, self._num or size)
    return ImageSet(
      len(indices),
      self.info.image_shape,
      lambda i: self.read(self._split, indices[i])['images'],
    )

  def in_order(self, indices: np.ndarray) -> np.ndarray:
    """Reference images as `given_in_order` has what belongs to them."""
    reference = self.reference
    return reference.read(indices % reference.num)

  def given_in_order(
    self, names: tuple[str, ...]
  ) -> Callable[[np.ndarray], Given]:
    """Columns of the reference images in their order, from the start again.

    Args:
      names: of columns, see `Images.given`.

    Returns:
      Indices `[n]` of fakes -> columns `[n, ...]`.
    """
    images = getattr(self._dataset, self._split)
    chosen = self._choose(len(images), self._num or len(images))
    return lambda i: images.given(names, chosen[np.asarray(i) % len(chosen)])

  @functools.cached_property
  def labels(self) -> np.ndarray | None:
    """Labels `[n]` of some of the reference images; None if none is known."""
    if not self.labelled(self._split):
      return None
    size = len(getattr(self._dataset, self._split))
    indices = self._choose(size, self._num or size)
    some = indices[:: -(-len(indices) // _COUNTED)]
    labels = self.read(self._split, some)['labels']
    return labels if (labels >= 0).any() else None

  @functools.cached_property
  def digest(self) -> str:
    """SHA-256 of the reference images."""
    return digest_images(self.reference)

  def sample_of_reference(self, num: int) -> np.ndarray:
    """Up to `num` of the reference images at random."""
    reference = self.reference
    return reference.read(self._choose(reference.num, num))

  def smaller_split(self, most: int) -> int:
    """The largest number up to `most` that both splits have."""
    return min(most, self.info.num_train, self.info.num_test)

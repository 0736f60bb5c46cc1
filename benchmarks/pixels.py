"""Random images with the interface of a dataset's split."""

from typing import Any

import numpy as np

# (H, W, C) of a dataset by `data.name`; a folder's are as it is read.
SHAPES = {
  'digits': (8, 8, 1),
  'mnist': (28, 28, 1),
  'fashion_mnist': (28, 28, 1),
  'cifar10': (32, 32, 3),
  'folder': (64, 64, 3),
}


def shape_of(config: Any) -> tuple[int, int, int]:
  """(H, W, C) of a config's images, without its data.

  Raises:
    KeyError: a dataset that is not in `SHAPES`.
  """
  height, width, channels = SHAPES[config.data.name]
  if size := config.data.crop or config.data.image_size:
    height = width = size
  return height, width, config.data.channels or channels


class Pixels:
  """What feeds and training read of `gan_jax.data.examples.Images`.

  Attributes:
    image_shape: (H, W, C).
    whole_shape: the same: nothing is cut out.
    columns: shapes of what is given beside labels.
    other: itself, if another domain is given.
  """

  derive, crop = None, 0

  def __init__(
    self,
    shape: tuple[int, int, int],
    num: int,
    *,
    classes: int = 0,
    given: tuple[str, ...] = (),
  ):
    """Draws the images.

    Args:
      shape: (H, W, C).
      num: how many.
      classes: of random labels; 0 for none.
      given: source or other, of the images' shape.
    """
    rng = np.random.default_rng(0)
    self.image_shape = self.whole_shape = shape
    self._arrays = {'images': self._draw(rng, num)}
    if classes:
      self._arrays['labels'] = rng.integers(0, classes, num, dtype=np.int32)
    if 'source' in given:
      self._arrays['source'] = self._draw(rng, num)
    self.columns = dict.fromkeys(given, shape)
    self.other = self if 'other' in given else None

  def _draw(self, rng: np.random.Generator, num: int) -> np.ndarray:
    return rng.integers(0, 256, (num, *self.image_shape), dtype=np.uint8)

  def __len__(self) -> int:
    return len(self._arrays['images'])

  def whole(self, *, uncut: bool = False) -> dict[str, np.ndarray]:
    """All of them."""
    del uncut
    return self._arrays

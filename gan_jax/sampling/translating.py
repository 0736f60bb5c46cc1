"""Images made of images, by a generator that is told a source."""

import copy
from collections.abc import Callable, Mapping
from typing import Self

import numpy as np

from gan_jax.sampling import given as given_lib
from gan_jax.types import Column


class Translating:
  """What a `Sampler` can do whose generator is told one picture."""

  columns: Mapping[str, Column]
  sample: Callable[..., np.ndarray]

  def translate(
    self, images: np.ndarray, *, seed: int = 0, label: int | str | None = None
  ) -> np.ndarray:
    """What G makes of sources: uint8 `[N, h, w, c]` -> `[N, H, W, C]`.

    Args:
      images: the sources themselves, as the run was told them; nothing is
        derived from them (`dataset.train.derive` does that).
      seed: of the latents.
      label: see `sample`.

    Raises:
      InputError: the run is told no source, or more than that; images of
        another shape.
    """
    given = given_lib.sources(images, self.columns)
    return self.sample(len(images), seed=seed, label=label, given=given)

  def at_size(self, height: int, width: int) -> Self:
    """The same sampler, told of pictures of other sides: G must take them."""
    other = copy.copy(self)
    other.columns = {
      name: column._replace(shape=(height, width, column.shape[-1]))
      if len(column.shape) == 3
      else column
      for name, column in self.columns.items()
    }
    return other

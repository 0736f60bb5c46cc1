"""What compares images with texts, by name."""

from collections.abc import Callable

from gan_jax.features import clip, towers
from gan_jax.features.text_image import TextImage
from gan_jax.types import lookup

GUIDES: dict[str, Callable[[str], TextImage]] = {
  'towers': towers.load,
  'clip': clip.load,
}


def load(name: str, weights: str) -> TextImage:
  """A model by its name.

  Args:
    name: one of `GUIDES`.
    weights: path of its file or folder.

  Raises:
    InputError: an unknown name, or files that are not there.
  """
  return lookup(GUIDES, name, 'guide.network')(weights)

"""How colourful images are: a G that only guesses averages makes them dull."""

import numpy as np

from gan_jax.types import InputError


def colourfulness(images: np.ndarray) -> np.ndarray:
  """Colourfulness of each image, float64 `[N]`; 0 of grey, about 60 of vivid.

  sqrt(var rg + var yb) + .3 sqrt(mean(rg)^2 + mean(yb)^2) over pixels, with
  rg = R - G and yb = (R + G) / 2 - B.

  Args:
    images: uint8 `[N, H, W, 3]`.

  Raises:
    InputError: no colours.

  Reference:
    Hasler and Suesstrunk, Measuring Colorfulness in Natural Images, Human
    Vision and Electronic Imaging VIII (2003), eqs. 6 and 7 (table 2).
  """
  if images.ndim != 4 or images.shape[-1] != 3:
    raise InputError(
      f'images: {np.shape(images)} have no colours; give RGB, [N, H, W, 3]'
    )
  red, green, blue = np.moveaxis(np.asarray(images, np.float64), -1, 0)
  opponents = np.stack([red - green, (red + green) / 2 - blue])
  spread = opponents.var(axis=(2, 3)).sum(axis=0)
  mean = (opponents.mean(axis=(2, 3)) ** 2).sum(axis=0)
  return np.sqrt(spread) + 0.3 * np.sqrt(mean)

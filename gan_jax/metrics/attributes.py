"""What can be measured on an image without a network: stroke, slant, ...

What is drawn is taken to be what differs from the border's median; of grey and
coloured images alike. By central moments of that, weighted by the difference.

Reference:
  Hu, Visual Pattern Recognition by Moment Invariants, IRE Transactions on
  Information Theory 8 (1962), section II (central moments); the measures of
  digits as in Castro et al., Morpho-MNIST, arXiv 1809.10780, section 2, without
  skeletons.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def drawn_of(images: np.ndarray) -> np.ndarray:
  """How far pixels are from the background, float64 `[N, H, W]` in [0, 1].

  Args:
    images: uint8 `[N, H, W, C]`.
  """
  pixels = np.asarray(images, np.float64) / 255.0
  edges = (pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1])
  background = np.median(np.concatenate(edges, axis=1), axis=1)
  return np.abs(pixels - background[:, None, None]).mean(axis=-1)


class Moments(NamedTuple):
  """Of what is drawn; `[N]` each. x grows to the right, y downwards."""

  mass: np.ndarray
  xx: np.ndarray
  yy: np.ndarray
  xy: np.ndarray


def moments(drawn: np.ndarray) -> Moments:
  """Central second moments of maps `[N, H, W]`, in pixels squared."""
  height, width = drawn.shape[1:]
  y, x = np.mgrid[:height, :width]
  mass = drawn.sum(axis=(1, 2))
  weights = drawn / np.maximum(mass, 1e-9)[:, None, None]

  def mean(values):
    return (weights * values).sum(axis=(1, 2))

  dx = x - mean(x)[:, None, None]
  dy = y - mean(y)[:, None, None]
  return Moments(mass, mean(dx**2), mean(dy**2), mean(dx * dy))


def brightness(images: np.ndarray) -> np.ndarray:
  """Mean of all pixels, in [0, 1]."""
  return np.asarray(images, np.float64).mean(axis=(1, 2, 3)) / 255.0


def ink(images: np.ndarray) -> np.ndarray:
  """Share of the image that is drawn, in [0, 1]."""
  return drawn_of(images).mean(axis=(1, 2))


def thickness(images: np.ndarray) -> np.ndarray:
  """Width of the stroke in pixels: twice its area over its outline's length.

  The length is the sum of the sizes of gradients; of a bar of width w it is
  twice the bar's length, but for its ends.
  """
  drawn = drawn_of(images)
  dy, dx = np.gradient(drawn, axis=(1, 2))
  outline = np.hypot(dx, dy).sum(axis=(1, 2))
  return 2.0 * drawn.sum(axis=(1, 2)) / np.maximum(outline, 1e-9)


def slant(images: np.ndarray) -> np.ndarray:
  """How far what is drawn leans to the right, in degrees: the shear's angle."""
  found = moments(drawn_of(images))
  shear = -found.xy / np.maximum(found.yy, 1e-9)
  return np.arctan(shear) * 180.0 / math.pi


def width(images: np.ndarray) -> np.ndarray:
  """Deviation of what is drawn from side to side, in pixels."""
  return np.sqrt(moments(drawn_of(images)).xx)


def height(images: np.ndarray) -> np.ndarray:
  """Deviation of what is drawn from top to bottom, in pixels."""
  return np.sqrt(moments(drawn_of(images)).yy)


# Images uint8 `[N, H, W, C]` -> a number of each, float64 `[N]`.
ATTRIBUTES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'brightness': brightness,
  'ink': ink,
  'thickness': thickness,
  'slant': slant,
  'width': width,
  'height': height,
}

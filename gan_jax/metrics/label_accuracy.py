"""How often a generated image is of the class that was asked for."""

from typing import NamedTuple

import numpy as np


class LabelAccuracy(NamedTuple):
  """Shares of images in which a classifier sees the label they were drawn by.

  Attributes:
    value: of all images.
    by_class: of those of each class, float `[K]`; NaN of a class not asked for.
    standard_error: of `value`, sqrt(p (1 - p) / N).
  """

  value: float
  by_class: np.ndarray
  standard_error: float


def label_accuracy(
  seen: np.ndarray, asked: np.ndarray, num_classes: int
) -> LabelAccuracy:
  """Accuracy of a classifier of real images on generated ones: GAN-test.

  It does not fall when each class is one image.

  Args:
    seen: the likeliest class of each image, int `[N]`.
    asked: the label each was drawn by, int `[N]`.
    num_classes: K.

  Reference:
    Shmelkov et al., How good is my GAN?, arXiv 1807.09499, section 3.2.
  """
  right = seen == asked
  nums = np.bincount(asked, minlength=num_classes)
  hits = np.bincount(asked[right], minlength=num_classes)
  by_class = np.where(nums > 0, hits / np.maximum(nums, 1), np.nan)
  value = float(right.mean())
  return LabelAccuracy(
    value, by_class, float(np.sqrt(value * (1 - value) / len(right)))
  )

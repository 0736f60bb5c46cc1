"""Colourfulness: grey is 0, and the formula by hand."""

import numpy as np
import pytest

from gan_jax.metrics.colourfulness import colourfulness
from gan_jax.types import InputError


def test_grey_has_none():
  grey = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 1), dtype=np.uint8)
  np.testing.assert_array_equal(colourfulness(grey.repeat(3, axis=-1)), 0)


def test_one_colour_has_its_mean_alone():
  """Red: rg = 255, yb = 127.5, no spread."""
  red = np.zeros((1, 4, 4, 3), np.uint8)
  red[..., 0] = 255
  np.testing.assert_allclose(
    colourfulness(red), 0.3 * np.sqrt(255**2 + 127.5**2)
  )


def test_two_colours_by_hand():
  """Half red, half green: rg = +-255, yb = 127.5 everywhere."""
  image = np.zeros((1, 2, 2, 3), np.uint8)
  image[0, 0, :, 0] = image[0, 1, :, 1] = 255
  np.testing.assert_allclose(colourfulness(image), 255 + 0.3 * 127.5)


def test_colours_drawn_to_grey_are_duller():
  vivid = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3))
  dull = (vivid + vivid.mean(axis=-1, keepdims=True)) / 2
  vivid, dull = colourfulness(np.uint8(vivid)), colourfulness(np.uint8(dull))
  assert (dull < 0.6 * vivid).all()


def test_no_colours_are_named():
  with pytest.raises(InputError, match=r'have no colours; give RGB'):
    colourfulness(np.zeros((1, 4, 4, 1), np.uint8))

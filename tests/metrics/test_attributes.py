"""What is measured on images, of shapes whose measures are known."""

import numpy as np
import pytest

from gan_jax.metrics import attributes
from gan_jax.metrics.attributes import ATTRIBUTES


def bar(rows=slice(10, 16), columns=slice(4, 28), size=32, channels=1):
  image = np.zeros((1, size, size, channels), np.uint8)
  image[:, rows, columns] = 255
  return image


def leaning(shear, size=64):
  """A column of dots whose x falls by `shear` with every row further down."""
  image = np.zeros((1, size, size, 1), np.uint8)
  for y in range(12, 52):
    x = 32 - shear * (y - 32)
    low = int(np.floor(x))
    image[0, y, low, 0] = 255 * (1 - (x - low))
    image[0, y, low + 1, 0] = 255 * (x - low)
  return image


@pytest.mark.parametrize('width', [2, 4, 6])
def test_the_thickness_of_a_long_bar_is_its_width(width):
  long = bar(slice(10, 10 + width), slice(2, 62), size=64)
  found = attributes.thickness(long)[0]
  assert found == pytest.approx(width, rel=0.12)  # its ends count too
  turned = attributes.thickness(long.swapaxes(1, 2))[0]
  assert turned == pytest.approx(found)


@pytest.mark.parametrize('shear', [-0.5, 0.0, 0.3])
def test_the_slant_is_the_angle_of_the_shear(shear):
  found = attributes.slant(leaning(shear))[0]
  assert found == pytest.approx(np.degrees(np.arctan(shear)), abs=0.6)


def test_sides_and_shares_of_a_bar():
  image = bar()
  assert attributes.ink(image)[0] == pytest.approx(6 * 24 / 32**2)
  assert attributes.brightness(image)[0] == pytest.approx(6 * 24 / 32**2)
  spread = np.sqrt((24**2 - 1) / 12)  # of a row of 24
  assert attributes.width(image)[0] == pytest.approx(spread)
  assert attributes.height(image)[0] == pytest.approx(np.sqrt(35 / 12))


@pytest.mark.parametrize('name', sorted(set(ATTRIBUTES) - {'brightness'}))
def test_what_is_drawn_is_what_differs_from_the_border(name):
  """Black on white, in colours, and elsewhere: the same."""
  image = bar()
  of = ATTRIBUTES[name]
  np.testing.assert_allclose(of(255 - image), of(image))
  np.testing.assert_allclose(of(bar(channels=3)), of(image))
  np.testing.assert_allclose(of(np.roll(image, 2, axis=1)), of(image))


@pytest.mark.parametrize('name', ATTRIBUTES)
def test_an_empty_image_has_numbers(name):
  found = ATTRIBUTES[name](np.zeros((2, 8, 8, 1), np.uint8))
  assert found.shape == (2,)
  assert np.isfinite(found).all()

"""MS-SSIM against a float64 reference in SciPy, and by hand."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from gan_jax.metrics.ms_ssim import ms_ssim, ms_ssim_diversity, num_scales
from gan_jax.types import InputError
from tests.helpers import sampled

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def smooth_images(seed, num, shape):
  """A bright ramp, waves and noise: similar to each other, not flat."""
  rng = np.random.default_rng(seed)
  rows, columns = np.mgrid[: shape[0], : shape[1]][..., None]
  phases = rng.uniform(0, 1.5, (num, 1, 1, shape[2]))
  waves = 50 * np.sin(0.3 * rows + 0.2 * columns + phases)
  noise = rng.normal(0, 10, (num, *shape))
  return np.clip(150 + rows / 4 + waves + noise, 0, 255).astype(np.uint8)


def reference_scale(x, y, window):
  """Mean SSIM and mean contrast-structure of one channel at one scale."""

  def local(image):
    return convolve2d(image, window, mode='valid')

  mean_x, mean_y = local(x), local(y)
  var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
  cov = local(x * y) - mean_x * mean_y
  c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
  structure = (2 * cov + c2) / (var_x + var_y + c2)
  luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
  return (luminance * structure).mean(), structure.mean()


def reference_channel(x, y, scales, size):
  at = np.arange(size) - (size - 1) / 2
  line = np.exp(-(at**2) / (2 * (1.5 * size / 11) ** 2))
  window = np.outer(line, line) / np.outer(line, line).sum()
  weights = WEIGHTS[:scales] / WEIGHTS[:scales].sum()
  product = 1.0
  for scale in range(scales):
    whole, structure = reference_scale(x, y, window)
    value = whole if scale == scales - 1 else structure
    product *= max(value, 0) ** weights[scale]
    x, y = halved(x), halved(y)
  return product


def halved(image):
  """2x2 means; the last of an odd number of rows or columns counts twice."""
  rows, columns = (list(range(side)) for side in image.shape)
  rows, columns = rows + rows[-1:], columns + columns[-1:]
  even = image[np.ix_(*(x[: len(x) // 2 * 2] for x in (rows, columns)))]
  height, width = even.shape
  return even.reshape(height // 2, 2, width // 2, 2).mean((1, 3))


def reference(a, b, scales, size):
  return [
    np.mean(
      [
        reference_channel(x[..., c], y[..., c], scales, size)
        for c in range(a.shape[-1])
      ]
    )
    for x, y in zip(a.astype(np.float64), b.astype(np.float64), strict=True)
  ]


@pytest.mark.parametrize(
  ('side', 'scales', 'size'),
  sampled(
    [
      *[(8, 1, 7), (28, 2, 11), (45, 3, 11), (64, 3, 11), (81, 4, 11)],
      *[(100, 4, 11), (192, 5, 11)],
    ],
    *[(8, 1, 7), (28, 2, 11), (45, 3, 11), (81, 4, 11)],
  ),
)
def test_reference(side, scales, size):
  """Grey and RGB; 45, 81 and 100 pixels meet odd sides on their way."""
  for channels in (1, 3):
    shape = side, side, channels
    a, b = (smooth_images(seed, 3, shape) for seed in (0, 1))
    b[2] = np.clip(a[2] * 0.6 + 30, 0, 255)
    assert num_scales(side, side) == scales
    values = ms_ssim(a, b)
    assert values.shape == (3,)
    expected = reference(a, b, scales, size)
    assert 0.2 < min(expected) < max(expected) < 0.98
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize(
  ('shape', 'size'), [((10, 14, 1), 9), ((12, 11, 1), 11)]
)
def test_window_is_the_largest_odd_one_that_fits(shape, size):
  a, b = (smooth_images(seed, 2, shape) for seed in (0, 1))
  np.testing.assert_allclose(ms_ssim(a, b), reference(a, b, 1, size), rtol=1e-5)


def test_scales():
  sides = (20, 21, 40, 41, 80, 81, 160, 161, 1024)
  expected = [1, 2, 2, 3, 3, 4, 4, 5, 5]
  assert [num_scales(side, 2000) for side in sides] == expected
  assert [num_scales(2000, side) for side in sides] == expected


def odd_pair():
  """Two images of 45 pixels, whose sides become 23 and 12."""
  rows, columns = np.mgrid[:45, :45]
  a = (3 * rows + 2 * columns) % 97 * 2 + 20
  b = np.where(columns >= 30, a // 2, a)
  return [x.astype(np.uint8)[None, ..., None] for x in (a, b)]


def test_an_odd_side_is_halved_as_tensorflow_does_it():
  """The number is tf.image.ssim_multiscale's, by the three finest weights."""
  value = ms_ssim(*odd_pair())
  np.testing.assert_allclose(value, 0.8686057, rtol=1e-5)


@pytest.mark.slow  # TensorFlow takes seconds to import
def test_tensorflow():
  tensorflow = pytest.importorskip('tensorflow')
  for pair in (odd_pair(), [smooth_images(s, 3, (81, 100, 3)) for s in (0, 1)]):
    scales = num_scales(*pair[0].shape[1:3])
    weights = WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    theirs = tensorflow.image.ssim_multiscale(*pair, 255, list(weights))
    np.testing.assert_allclose(ms_ssim(*pair), theirs, rtol=2e-5)


def test_flat_bright_images():
  """Where E[x^2] - E[x]^2 would lose the little variance there is."""
  rng = np.random.default_rng(0)
  a, b = rng.integers(252, 256, (2, 4, 28, 28, 1)).astype(np.uint8)
  np.testing.assert_allclose(ms_ssim(a, b), reference(a, b, 2, 11), rtol=1e-5)


@pytest.mark.parametrize('shape', [(8, 8, 1), (28, 28, 1), (28, 28, 3)])
def test_equal_images_give_one(shape):
  images = smooth_images(0, 3, shape)
  images[1] = 0
  np.testing.assert_allclose(ms_ssim(images, images), 1, rtol=1e-6)


def test_negative_terms_are_clamped():
  images = smooth_images(0, 2, (28, 28, 1))
  np.testing.assert_array_equal(ms_ssim(images, 255 - images), 0)


def test_symmetric_and_batches():
  """More pairs than a batch of 256 give what each pair gives alone."""
  a, b = (smooth_images(seed, 300, (28, 28, 1)) for seed in (0, 1))
  values = ms_ssim(a, b)
  np.testing.assert_allclose(values, ms_ssim(b, a), rtol=1e-6)
  few = [0, 255, 256, 299]
  np.testing.assert_allclose(values[few], ms_ssim(a[few], b[few]), rtol=1e-6)


def test_diversity():
  """One pair of two images, in either order, has but one value."""
  images = smooth_images(0, 2, (28, 28, 1))
  result = ms_ssim_diversity(images, num_pairs=20, seed=0)
  value = ms_ssim(images[:1], images[1:])[0]
  np.testing.assert_allclose(result.mean, value, rtol=1e-6)
  assert result.standard_error < 1e-7
  assert result[2:] == (20, 2)


def test_diversity_orders_sets():
  """Copies with a little noise are less diverse than different images."""
  varied = smooth_images(0, 50, (28, 28, 1))
  noise = np.random.default_rng(1).integers(0, 20, varied.shape)
  copies = np.clip(varied[:1] + noise, 0, 255).astype(np.uint8)
  few = ms_ssim_diversity(varied, num_pairs=100, seed=0)
  assert few == ms_ssim_diversity(varied, num_pairs=100, seed=0)
  assert few.mean != ms_ssim_diversity(varied, num_pairs=100, seed=1).mean
  same = ms_ssim_diversity(copies, num_pairs=100, seed=0)
  assert same.mean > few.mean + 5 * few.standard_error
  many = ms_ssim_diversity(varied, num_pairs=1600, seed=0)
  assert 2 < few.standard_error / many.standard_error < 8  # 4 = sqrt(16)


def test_no_image_meets_itself():
  """Black, white and grey images: every pair but a meeting is below .5."""
  images = np.stack(
    [np.full((8, 8, 1), level, np.uint8) for level in (0, 40, 255)]
  )
  result = ms_ssim_diversity(images, num_pairs=200, seed=0)
  pairs = ms_ssim(images, np.roll(images, 1, axis=0)).astype(np.float64)
  error = abs(result.mean - pairs.mean())
  assert error < 4 * result.standard_error < 0.1


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda x: ms_ssim(x, x[:, :6]), 'differ in shape: a .8, 8, 1., b .6, 8'),
    (lambda x: ms_ssim(x, x[:1]), '2 images a and 1 images b'),
    (lambda x: ms_ssim(x, x / 255), 'b: float64 .* give uint8'),
    (lambda x: ms_ssim(x[..., 0], x), r'a: uint8 \(2, 8, 8\) are no images'),
    (lambda x: ms_ssim(x[:0], x[:0]), 'a: 0 images; at least 1 are'),
    (
      lambda x: ms_ssim_diversity(x[:1], num_pairs=9, seed=0),
      'images: 1 images; at least 2',
    ),
    (lambda x: ms_ssim_diversity(x, num_pairs=1, seed=0), 'num_pairs: 1'),
  ],
)
def test_refusals(call, message):
  with pytest.raises(InputError, match=message):
    call(np.zeros((2, 8, 8, 1), np.uint8))

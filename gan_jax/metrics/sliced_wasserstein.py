"""Sliced Wasserstein distance, of vectors and of image patches."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy  # whose parts are read when they are used

from gan_jax.metrics.ms_ssim import check_images
from gan_jax.metrics.parzen import check_vectors
from gan_jax.types import InputError

_PATCH = 7  # pixels
_COARSEST = 16  # pixels, of the last level
_NUM_IMAGES = 2**14  # of each set at most
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_BATCH = 256  # images whose pyramid is held at once
# Numbers projected at once: XLA on a CPU sorts 50 times slower than NumPy.
_CHUNK_SIZE = 2**26


def _quantiles(
  num_real: int, num_fake: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Where the quantile functions of two sorted sets are constant.

  Returns:
    For each interval of probability: the element of the first set, the one of
    the second, and the length; `[num_real + num_fake - gcd]` each.
  """
  ends = np.union1d(
    np.arange(1, num_real + 1) * num_fake, np.arange(1, num_fake + 1) * num_real
  )  # times num_real * num_fake, so that they are whole numbers
  lengths = np.diff(ends, prepend=0) / (num_real * num_fake)
  return (ends - 1) // num_fake, (ends - 1) // num_real, lengths


def directions(num: int, dimension: int, seed: int) -> np.ndarray:
  """Uniform random unit vectors, float32 `[num, dimension]`."""
  if num < 1:
    raise InputError(f'num_projections: {num}; at least 1 is needed')
  rng = np.random.default_rng(seed)
  normals = rng.standard_normal((num, dimension))
  lengths = np.linalg.norm(normals, axis=1, keepdims=True)
  return (normals / lengths).astype(np.float32)


def _mean_distance(x, y, units, chunk_size=_CHUNK_SIZE) -> float:
  """The mean of W1 along each of `units`, float32 `[P, D]`."""
  of_x, of_y, lengths = _quantiles(len(x), len(y))

  def distance(p, q):
    p.sort()
    q.sort()
    if len(p) == len(q):
      return np.abs(np.subtract(p, q, out=p), out=p).mean(dtype=np.float64)
    # No product by BLAS, whose own threads would compete with these.
    return (np.abs(p[of_x] - q[of_y]) * lengths).sum()

  at_once = max(chunk_size // (len(x) + len(y)), 1)
  total = 0.0
  with ThreadPoolExecutor() as pool:  # sorting takes most of the time
    for start in range(0, len(units), at_once):
      rows = units[start : start + at_once]
      total += sum(pool.map(distance, rows @ x.T, rows @ y.T))
  return float(total) / len(units)


def sliced_wasserstein(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  num_projections: int = 1024,
  seed: int,
  chunk_size: int = _CHUNK_SIZE,
) -> float:
  """Mean 1-D Wasserstein-1 distance over random directions.

  Projections are float32; each distance is the integral over probability of
  the difference of both quantile functions, summed in float64.

  Args:
    real: features `[N, D]`.
    fake: features `[M, D]`; both sets may differ in size.
    num_projections: how many directions.
    seed: of the directions.
    chunk_size: numbers held at once; changes nothing but memory.

  Returns:
    The distance, in the unit of the features; no root is taken.

  Raises:
    InputError: sets that are empty, not finite or differ in dimension; no
      projections.

  Reference:
    Rabin, Peyre, Delon and Bernot, Wasserstein Barycenter and Its Application
    to Texture Mixing, SSVM 2011, section 3: there with squared distances.
  """
  check_vectors(real=real, fake=fake)
  units = directions(num_projections, real.shape[1], seed)
  centre = real.mean(axis=0, dtype=np.float64)  # projections are exacter there
  x, y = ((f - centre).astype(np.float32) for f in (real, fake))
  return _mean_distance(x, y, units, chunk_size)


# --- Patches of a Laplacian pyramid -----------------------------------------


def _smooth(images: np.ndarray) -> np.ndarray:
  for axis in (1, 2):
    images = scipy.ndimage.correlate1d(
      images, _BINOMIAL, axis=axis, mode='mirror'
    )
  return images


def _enlarged(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Twice the size, up to the given shape, zeros between smoothed away."""
  spread = np.zeros(shape, np.float32)
  spread[:, ::2, ::2] = images
  return _smooth(4 * spread)


def num_levels(height: int, width: int) -> int:
  """Levels of the pyramid: halved while 16 pixels are left, at least one."""
  levels, side = 1, min(height, width)
  while (side := (side + 1) // 2) >= _COARSEST:
    levels += 1
  return levels


def laplacian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
  """Differences between scales, finest first; the coarsest image is last.

  Each level is what the next one, enlarged, lacks of the image at its scale.

  Args:
    images: `[N, H, W, C]`, in any unit.
    levels: how many.

  Returns:
    float32 `[N, H / 2^l, W / 2^l, C]` for level l, rounded up.

  Reference:
    Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, 1983, with
    their a = 3/8: the 5-tap binomial filter.
  """
  pyramid = [np.asarray(images, np.float32)]
  for _ in range(levels - 1):
    pyramid.append(_smooth(pyramid[-1])[:, ::2, ::2])
    pyramid[-2] = pyramid[-2] - _enlarged(pyramid[-1], pyramid[-2].shape)
  return pyramid


def _descriptors(images, level, levels, num_patches, rng) -> np.ndarray:
  """Normalised patches of one level, `[N * num_patches, C * 49]`."""
  parts = []
  for start in range(0, len(images), _BATCH):
    batch = images[start : start + _BATCH]
    # The levels coarser than the next one are not needed.
    difference = laplacian_pyramid(batch, min(level + 2, levels))[level]
    windows = np.lib.stride_tricks.sliding_window_view(
      difference, (_PATCH, _PATCH), axis=(1, 2)
    )  # [B, H - 6, W - 6, C, 7, 7]
    size = len(batch), num_patches
    rows, columns = (rng.integers(n, size=size) for n in windows.shape[1:3])
    chosen = windows[np.arange(len(batch))[:, None], rows, columns]
    parts.append(chosen.reshape(-1, *windows.shape[3:]))
  patches = np.concatenate(parts)
  mean = patches.mean((0, 2, 3), np.float64, keepdims=True)
  patches -= mean.astype(np.float32)
  squares = np.einsum('nchw,nchw->c', patches, patches, dtype=np.float64)
  scale = np.sqrt(squares / patches[:, 0].size)[:, None, None]
  patches /= np.where(scale > 0, scale, 1).astype(np.float32)
  return patches.reshape(len(patches), -1)


def sliced_wasserstein_images(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  num_patches: int = 128,
  num_projections: int = 2048,
  seed: int,
) -> dict[str, float]:
  """Sliced Wasserstein distances of patches, per scale, times 1,000.

  Each image gives random 7x7 patches of each level of its Laplacian pyramid;
  the levels halve down to 16 pixels, and smaller images have one. The patches
  of a level are normalised, each set by its own mean and standard deviation
  per channel (a channel of standard deviation 0 stays 0), so contrast and
  colour balance of a whole level do not count. As in the paper at most 16,384
  random images of each set are used.

  Deviations from the paper: the mean over 2,048 directions is what its mean
  over 4 repeats of 512 amounts to, and all levels share them; both sets draw
  patches at the same places, so that equal sets give 0; odd sizes are allowed.

  Args:
    real: uint8 `[N, H, W, C]` of at least 7 pixels.
    fake: uint8 `[M, H, W, C]`.
    num_patches: of each image at each level, with replacement.
    num_projections: how many directions.
    seed: of images, patches and directions.

  Returns:
    A value by the height of its level in pixels, as '32', finest first, and
    their 'mean'. Finite sets of equal distribution do not give 0.

  Raises:
    InputError: no images, or sets that differ in shape; images that are too
      small; no patches or projections.

  Reference:
    Karras et al., Progressive Growing of GANs for Improved Quality, Stability,
    and Variation, arXiv 1710.10196, section 5.
  """
  check_images(real=real, fake=fake)
  height, width, channels = real.shape[1:]
  if min(height, width) < _PATCH:
    raise InputError(f'images: {height}x{width}; patches need 7 pixels')
  if num_patches < 1:
    raise InputError(f'num_patches: {num_patches}; at least 1 is needed')
  units = directions(num_projections, channels * _PATCH**2, seed)
  # Two entries, because one would repeat the numbers of the directions.
  rngs = [np.random.default_rng((seed, 1)) for _ in range(2)]
  sets = [
    x if len(x) <= _NUM_IMAGES else x[rng.permutation(len(x))[:_NUM_IMAGES]]
    for x, rng in zip((real, fake), rngs, strict=True)
  ]
  levels, result = num_levels(height, width), {}
  for level in range(levels):
    patches = [
      _descriptors(x, level, levels, num_patches, rng)
      for x, rng in zip(sets, rngs, strict=True)
    ]
    size = -(-height // 2**level)  # rounded up
    result[str(size)] = 1e3 * _mean_distance(*patches, units)
  return result | {'mean': float(np.mean(list(result.values())))}

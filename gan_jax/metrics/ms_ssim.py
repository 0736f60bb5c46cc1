"""Multi-scale structural similarity (MS-SSIM), and diversity by it."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.types import InputError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest scale first
WINDOW, _SIGMA = 11, 1.5
C1, C2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
_BATCH_PIXELS = 2**18  # pixels, times channels, of one side of a batch


class MsSsim(NamedTuple):
  """MS-SSIM over pairs of a set; lower is more diverse.

  Attributes:
    mean: over pairs, in [0, 1].
    standard_error: of `mean`, as if pairs that share an image were
      independent: over the draw of pairs, not of the set.
    num_pairs: how many.
    scales: how many were used, see `num_scales`.
  """

  mean: float
  standard_error: float
  num_pairs: int
  scales: int


def check_images(at_least: int = 1, **sets: np.ndarray) -> None:
  """Raises InputError unless all are images of one shape.

  Args:
    at_least: images in each set.
    **sets: uint8 `[N, H, W, C]`, by the name that a message shall give them.
  """
  shapes = {np.shape(images)[1:] for images in sets.values()}
  for name, images in sets.items():
    if np.ndim(images) != 4 or images.dtype != np.uint8:
      raise InputError(
        f'{name}: {images.dtype} {np.shape(images)} are no images; give uint8 '
        '[N, H, W, C]'
      )
    if len(images) < at_least:
      raise InputError(
        f'{name}: {len(images)} images; at least {at_least} are needed'
      )
  if len(shapes) > 1:
    listed = ', '.join(f'{n} {np.shape(x)[1:]}' for n, x in sets.items())
    raise InputError(f'images differ in shape: {listed}; give all one shape')


def num_scales(height: int, width: int) -> int:
  """How many scales, of at most 5, images of this size have.

  As many as still hold the window of 11 pixels at the coarsest: 5 from 161
  pixels on, 4 from 81, 3 from 41, 2 from 21, else 1. Odd sides are halved up.
  """
  side = min(height, width)
  sides = (-(-side // 2**scale) for scale in range(len(WEIGHTS)))
  fitting = sum(side >= WINDOW for side in sides)
  return max(fitting, 1)


def window(side: int) -> np.ndarray:
  """The 1-D Gaussian window for a shortest side, summing to one."""
  size = min(WINDOW, side - 1 + side % 2)
  at = np.arange(size) - size // 2
  weights = np.exp(-0.5 * (at / (_SIGMA * size / WINDOW)) ** 2)
  return weights / weights.sum()


def _windowed(taps, axis, pair, spread, shared):
  """One pass of the separable window along an axis, valid positions only.

  Second moments are taken around the local means and grow by the law of total
  covariance: E[x^2] - E[x]^2 would cancel in float32 where an image is flat.

  Args:
    taps: of the window, `[K]`.
    axis: from the end.
    pair: means so far, `[2, B, H, W]`.
    spread: sum of both variances so far, `[B, H, W]`.
    shared: covariance so far, `[B, H, W]`.
  """
  weights = jnp.asarray(taps, jnp.float32)
  size = pair.shape[axis] - len(taps) + 1

  def tap(x, k):
    return jax.lax.dynamic_slice_in_dim(x, k, size, x.ndim + axis)

  def average(k, sums):
    return jax.tree.map(
      lambda total, x: total + weights[k] * tap(x, k),
      sums,
      (pair, spread, shared),
    )

  def add_between(k, sums):
    spread, shared = sums
    a, b = tap(pair, k) - means
    return spread + weights[k] * (a**2 + b**2), shared + weights[k] * (a * b)

  # Loops, because such sums take seconds to compile when they are unrolled.
  zeros = jax.tree.map(
    lambda x: jnp.zeros_like(tap(x, 0)), (pair, spread, shared)
  )
  means, *within = jax.lax.fori_loop(0, len(taps), average, zeros)
  return means, *jax.lax.fori_loop(0, len(taps), add_between, tuple(within))


def _similarities(pair):
  """Mean SSIM and mean contrast-structure, `[B]` each, of one scale."""
  weights = window(min(pair.shape[-2:]))
  moments = pair, jnp.zeros_like(pair[0]), jnp.zeros_like(pair[0])
  for axis in (-2, -1):
    moments = _windowed(weights, axis, *moments)
  (a, b), spread, shared = moments
  structure = (2.0 * shared + C2) / (spread + C2)
  luminance = (2.0 * a * b + C1) / (a**2 + b**2 + C1)
  axes = (-2, -1)
  return jnp.mean(luminance * structure, axes), jnp.mean(structure, axes)


def _halved(images):
  """2x2 average pooling; an odd last row or column counts twice."""
  height, width = images.shape[-2:]
  more = [(0, 0), (0, 0), (0, height % 2), (0, width % 2)]
  images = jnp.pad(images, more, mode='symmetric')
  rows = images[..., 0::2, :] + images[..., 1::2, :]
  return 0.25 * (rows[..., 0::2] + rows[..., 1::2])


@functools.partial(jax.jit, static_argnames='scales')
def _ms_ssim(pair, scales):
  """MS-SSIM `[B]` of channels, uint8 `[2, B, H, W]`."""
  pair = pair.astype(jnp.float32)
  weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
  product = 1.0
  for scale, weight in enumerate(weights.tolist()):
    whole, structure = _similarities(pair)
    coarsest = scale == scales - 1
    product *= jax.nn.relu(whole if coarsest else structure) ** weight
    pair = _halved(pair)
  return product


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """MS-SSIM of pairs of images.

  The Gaussian window has 11 pixels and sigma 1.5, K1 = .01, K2 = .03, the
  dynamic range is 255; only windows inside the image count, and 2x2 averages
  lead to the next scale, where an odd last row or column counts twice. The mean
  is over positions, then the product over scales, then the mean over channels,
  all as in tf.image.ssim_multiscale.

  Deviations from the paper, for small images: there are only as many scales
  as `num_scales` says, with the weights of the finest renormalised to sum to
  one; under 11 pixels the window is the largest odd one that fits and sigma
  shrinks with it. So numbers compare at one image size only. Mean terms below
  zero, which have no real power, are clamped at zero.

  Args:
    a: uint8 `[N, H, W, C]`.
    b: uint8 `[N, H, W, C]`.

  Returns:
    float32 `[N]` in [0, 1]; 1 for equal images.

  Raises:
    InputError: no images, or sets that differ in shape or number.

  Reference:
    Wang, Simoncelli and Bovik, Multi-Scale Structural Similarity for Image
    Quality Assessment, Asilomar 2003, equation 7.
  """
  check_images(a=a, b=b)
  if len(a) != len(b):
    raise InputError(f'pairs: {len(a)} images a and {len(b)} images b')
  num, height, width, channels = a.shape
  batch = int(np.clip(_BATCH_PIXELS // (height * width), 1, 256))
  planes = [x.transpose(0, 3, 1, 2).reshape(-1, height, width) for x in (a, b)]
  parts = []
  for start in range(0, num * channels, batch):
    rows = np.minimum(np.arange(start, start + batch), num * channels - 1)
    pair = np.stack([x[rows] for x in planes])
    parts.append(np.asarray(_ms_ssim(pair, num_scales(height, width))))
  values = np.concatenate(parts)[: num * channels]
  return values.reshape(num, channels).mean(axis=1)


def ms_ssim_diversity(
  images: np.ndarray, *, num_pairs: int, seed: int
) -> MsSsim:
  """Mean MS-SSIM of random pairs of different images of a set.

  Deviation from the paper: it draws 100 pairs within each class; give the
  images of one class for that.

  Args:
    images: uint8 `[N, H, W, C]`; an image that is there twice may meet its
      copy.
    num_pairs: how many, at least 2; drawn with replacement.
    seed: of the pairs.

  Raises:
    InputError: fewer than two images or pairs.

  Reference:
    Odena, Olah and Shlens, Conditional Image Synthesis with Auxiliary
    Classifier GANs, arXiv 1610.09585, section 4.2.
  """
  check_images(at_least=2, images=images)
  if num_pairs < 2:
    raise InputError(f'num_pairs: {num_pairs}; at least 2 are needed')
  rng, num = np.random.default_rng(seed), len(images)
  first = rng.integers(num, size=num_pairs)
  second = (first + rng.integers(1, num, size=num_pairs)) % num
  values = ms_ssim(images[first], images[second]).astype(np.float64)
  error = values.std(ddof=1) / np.sqrt(num_pairs)
  scales = num_scales(*images.shape[1:3])
  return MsSsim(float(values.mean()), float(error), num_pairs, scales)

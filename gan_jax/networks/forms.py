"""How a convolution, its transpose and its kernel's gradient are computed.

Each map has several forms, of which XLA makes programs of very different speed
on the CPU. Which is taken goes by the shapes alone, so that the same layer has
the same bits everywhere; docs/performance.md has the measurements.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_NHWC = ('NHWC', 'HWIO', 'NHWC')
FEW = 16  # channels; with fewer, the products of a phase are too small


class Geometry(NamedTuple):
  """Static shape of a convolution: `pads` are (low, high) per axis."""

  strides: tuple[int, int]
  pads: tuple[tuple[int, int], tuple[int, int]]
  in_size: tuple[int, int]
  kernel_size: tuple[int, int]

  @property
  def whole(self) -> bool:
    """Whether the kernel meets all pixels once, and nothing else."""
    return self.kernel_size == self.in_size and not any(map(any, self.pads))

  @property
  def tiled(self) -> bool:
    """Whether there is a stride, and the kernel is made of its squares."""
    both = zip(self.kernel_size, self.strides, strict=True)
    return max(self.strides) > 1 and not any(k % s for k, s in both)

  @property
  def tiles(self) -> tuple[int, int]:
    """How many such squares, along each axis."""
    both = zip(self.kernel_size, self.strides, strict=True)
    return tuple(k // s for k, s in both)

  def transpose_pads(self, out_size) -> list[tuple[int, int]]:
    """Padding of the dilated output from which `transpose` yields x."""
    pads = []
    for axis, stride in enumerate(self.strides):
      low = self.kernel_size[axis] - 1 - self.pads[axis][0]
      dilated = (out_size[axis] - 1) * stride + 1
      missing = self.in_size[axis] + self.kernel_size[axis] - 1 - dilated
      pads.append((low, missing - low))
    return pads

  def correlate_pads(self, out_size) -> list[tuple[int, int]]:
    """Padding of x with which `correlate` yields exactly the kernel."""
    pads = []
    for axis, stride in enumerate(self.strides):
      low = self.pads[axis][0]
      reach = self.kernel_size[axis] + (out_size[axis] - 1) * stride
      pads.append((low, reach - self.in_size[axis] - low))
    return pads

  def row_phases(self, out_size: int) -> list['_Phase']:
    """The convolutions that yield every n-th row of `transpose`, each."""
    stride, low = self.strides[0], self.pads[0][0]
    length = -(-self.in_size[0] // stride)
    phases = []
    for offset in range(stride):
      shift, first = divmod(offset + low, stride)
      taps = slice(first, self.kernel_size[0], stride)
      count = len(range(self.kernel_size[0])[taps])
      pads = (count - 1 - shift, length - out_size + shift)
      phases.append(_Phase(taps, count, pads, length))
    return phases


class _Phase(NamedTuple):
  """`length` rows that meet the weights `taps`, `count` many, and no others.

  They are a plain convolution with these, turned round, on images padded by
  `pads`.
  """

  taps: slice
  count: int
  pads: tuple[int, int]
  length: int


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
  """Images `[B, H, W, C]`, kernel `[kh, kw, C, O]` -> `[B, H', W', O]`."""
  if geometry.whole:
    y = x.reshape(len(x), -1) @ w.reshape(-1, w.shape[-1])
    return y[:, None, None]
  return lax.conv_general_dilated(
    x, w, geometry.strides, geometry.pads, dimension_numbers=_NHWC
  )


def transpose(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
  """The transpose of `convolve` in x: `[B, H', W', O]` -> `[B, H, W, C]`."""
  if geometry.whole:
    x = y.reshape(len(y), -1) @ w.reshape(-1, w.shape[-1]).T
    return x.reshape(len(y), *w.shape[:3])
  if max(geometry.strides) > 1 and w.shape[2] >= FEW:
    return _transpose_in_phases(y, w, geometry)
  if geometry.tiled:
    return _transpose_product(y, w, geometry)
  return _transpose_dilated(y, w, geometry)


def correlate(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
  """The transpose of `convolve` in w: a kernel of images and what it made."""
  if geometry.whole:
    w = x.reshape(len(x), -1).T @ y.reshape(len(y), -1)
    return w.reshape(*x.shape[1:], -1)
  return _correlate_patches(x, y, geometry)


# --- Transposes ---------------------------------------------------------------


def _transpose_product(y, w, geometry):
  """One product of all pixels with the whole kernel, shifted and added.

  Squares of stride x stride pixels are channels here, and the kernel consists
  of `geometry.tiles` of them.
  """
  (sh, sw), (th, tw) = geometry.strides, geometry.tiles
  kernel = w.reshape(th, sh, tw, sw, *w.shape[2:]).swapaxes(1, 2)
  made = y.reshape(-1, y.shape[-1]) @ kernel.reshape(-1, y.shape[-1]).T
  made = made.reshape(*y.shape[:3], th, tw, -1)
  zero, none = jnp.zeros((), y.dtype), (0, 0, 0)
  total = 0.0
  for i, j in np.ndindex(th, tw):
    shifted = ((i, th - 1 - i, 0), (j, tw - 1 - j, 0))
    total += lax.pad(made[:, :, :, i, j], zero, (none, *shifted, none))
  batch, height, width, _ = total.shape
  x = total.reshape(batch, height, width, sh, sw, -1).swapaxes(2, 3)
  x = x.reshape(batch, height * sh, width * sw, -1)
  crop = [
    (-low, low + size - length, 0)
    for (low, _), size, length in zip(
      geometry.pads, geometry.in_size, x.shape[1:3], strict=True
    )
  ]
  return lax.pad(x, zero, (none, *crop, none))


def _transpose_in_phases(y, w, geometry):
  """Convolutions that meet no zeros between the pixels, unlike the next one.

  Row s i + a of the output meets the weights k = a, a + s, ... alone, and so do
  columns. Rows are taken apart by this. Of the columns, the s neighbours are
  channels of one convolution, which lie one after the other in memory as the
  columns do.
  """
  stride = geometry.strides[1]
  batch, out_height, out_width, features = y.shape
  height, channels = w.shape[0], w.shape[2]
  taps = -(-w.shape[1] // stride)
  missing = taps * stride - w.shape[1]
  kernel = jnp.pad(w, ((0, 0), (0, missing), (0, 0), (0, 0)))
  kernel = kernel.reshape(height, taps, stride * channels, features)
  kernel = jnp.flip(kernel, 1).swapaxes(2, 3)
  width = (out_width + taps - 1) * stride
  low = geometry.pads[1][0]
  crop = (-low, low + geometry.in_size[1] - width, 0)
  phases = []
  for rows in geometry.row_phases(out_height):
    if rows.count:
      x = lax.conv_general_dilated(
        y,
        jnp.flip(kernel[rows.taps], 0),
        (1, 1),
        (rows.pads, (taps - 1, taps - 1)),
        dimension_numbers=_NHWC,
      )
    else:  # a stride beyond the kernel: these rows meet no weight
      x = jnp.zeros((batch, rows.length, width * channels), y.dtype)
    x = x.reshape(batch, rows.length, width, channels)
    none = (0, 0, 0)
    zero = jnp.zeros((), x.dtype)
    phases.append(lax.pad(x, zero, (none, none, crop, none)))
  x = jnp.stack(phases, axis=2)
  x = x.reshape(batch, -1, *x.shape[3:])
  return x[:, : geometry.in_size[0]]


def _transpose_dilated(y, w, geometry):
  return lax.conv_general_dilated(
    y,
    jnp.flip(w, (0, 1)).swapaxes(2, 3),
    (1, 1),
    geometry.transpose_pads(y.shape[1:3]),
    lhs_dilation=geometry.strides,
    dimension_numbers=_NHWC,
  )


# --- Kernels as convolutions --------------------------------------------------


def _batch_last(x):
  """[B, H, W, C] -> [H, W, C, B], by a product with the identity.

  As a transposition, XLA would fuse it with what computes x and read along the
  batch, missing the cache at every step: up to ten times as slow.
  """
  identity = jnp.eye(len(x), dtype=x.dtype)
  return lax.dot_general(x, identity, (((0,), (0,)), ((), ())))


def _correlate_patches(x, y, geometry):
  """The patches are those of the one with fewer channels: fewer to be packed.

  With a stride, y's would have to be taken apart.
  """
  pads, strides = geometry.correlate_pads(y.shape[1:3]), geometry.strides
  if max(strides) == 1 and y.shape[-1] < x.shape[-1]:
    # What a weight k meets of y for x is what K - 1 - k meets of x for y.
    size = geometry.kernel_size
    lows = [k - 1 - low for k, (low, _) in zip(size, pads, strict=True)]
    reach = [k - 1 + n for k, n in zip(size, x.shape[1:3], strict=True)]
    pads = [
      (low, r - n - low)
      for low, r, n in zip(lows, reach, y.shape[1:3], strict=True)
    ]
    if x.shape[1] > y.shape[1] or x.shape[2] > y.shape[2]:
      # XLA is ten times as slow where the one that slides is the larger one
      # before padding; so y is padded by itself.
      sides = ((0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0))
      y, pads = lax.pad(y, jnp.zeros((), y.dtype), sides), [(0, 0)] * 2
    w = _products_of_patches(y, x, pads, strides)
    return jnp.flip(w, (1, 2)).transpose(1, 2, 3, 0)
  return _products_of_patches(x, y, pads, strides).transpose(1, 2, 0, 3)


def _products_of_patches(x, y, pads, strides):
  """Patches of x, padded, with all of y: `[C of x, kh, kw, C of y]`."""
  return lax.conv_general_dilated(
    _batch_last(x).transpose(2, 0, 1, 3),
    y.transpose(1, 2, 0, 3),
    (1, 1),
    pads,
    rhs_dilation=strides,
    dimension_numbers=_NHWC,
  )

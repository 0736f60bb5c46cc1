"""Convolutions whose gradients are fast wherever XLA compiles them.

On the CPU, XLA's backward convolutions fall to a path some ten times slower
inside `lax.scan` (openxla canonicalises only the entry computation) and, for
transposed convolutions, everywhere. Here each gradient is written as a plain
NHWC/HWIO convolution, which is fast in both places. Three bilinear maps,

    convolve(x, w) -> y,   transpose(y, w) -> x,   correlate(x, y) -> w,

are each other's gradients, so second derivatives (gradient penalties) stay in
the family. Elsewhere than on the CPU, lax's own gradients are used.

They are reverse-mode only: `jax.jvp` through them is an error on the CPU.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_NHWC = ('NHWC', 'HWIO', 'NHWC')


class _Geometry(NamedTuple):
  """Static shape of a convolution: `pads` are (low, high) per axis."""

  strides: tuple[int, int]
  pads: tuple[tuple[int, int], tuple[int, int]]
  in_size: tuple[int, int]
  kernel_size: tuple[int, int]

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


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x, w, geometry):
  return lax.conv_general_dilated(
    x, w, geometry.strides, geometry.pads, dimension_numbers=_NHWC
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transpose(y, w, geometry):
  strided = max(geometry.strides) > 1
  if strided and w.shape[2] >= _PHASE_CHANNELS:
    return _transpose_in_phases(y, w, geometry)
  return _transpose_dilated(y, w, geometry)


# With fewer output channels, the products of a phase are too small.
_PHASE_CHANNELS = 16


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


def _batch_last(x):
  """[B, H, W, C] -> [H, W, C, B], by a product with the identity.

  As a transposition, XLA would fuse it with what computes x and read along the
  batch, missing the cache at every step: up to ten times as slow.
  """
  identity = jnp.eye(len(x), dtype=x.dtype)
  return lax.dot_general(x, identity, (((0,), (0,)), ((), ())))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _correlate(x, y, geometry):
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


# For each map: the gradients with respect to its two arguments, as maps of
# (cotangent, arguments).
def _define(function, first, second):
  def forward(a, b, geometry):
    return function(a, b, geometry), (a, b)

  def backward(geometry, saved, cotangent):
    a, b = saved
    return first(cotangent, a, b, geometry), second(cotangent, a, b, geometry)

  function.defvjp(forward, backward)


_define(
  _convolve,
  lambda dy, x, w, geometry: _transpose(dy, w, geometry),
  lambda dy, x, w, geometry: _correlate(x, dy, geometry),
)
_define(
  _transpose,
  lambda dx, y, w, geometry: _convolve(dx, w, geometry),
  lambda dx, y, w, geometry: _correlate(dx, y, geometry),
)
_define(
  _correlate,
  lambda dw, x, y, geometry: _transpose(y, dw, geometry),
  lambda dw, x, y, geometry: _convolve(x, dw, geometry),
)


def own_gradients() -> bool:
  """Whether this module's gradients are used, or lax's."""
  return jax.default_backend() == 'cpu'


def conv_general_dilated(
  x: jax.Array,
  kernel: jax.Array,
  strides: Sequence[int],
  padding: str | Sequence[tuple[int, int]],
  **others,
) -> jax.Array:
  """Stands in for `lax.conv_general_dilated` in a 2-D `nn.Conv`.

  Args:
    x: `[B, H, W, C]`.
    kernel: `[kh, kw, C, O]`.
    strides: per spatial axis.
    padding: 'SAME', 'VALID' or (low, high) per spatial axis.
    **others: what else `nn.Conv` passes; dilated convolutions go to lax.

  Returns:
    `[B, H', W', O]`.
  """
  plain = all(
    d in (None, 1) or set(d) == {1}
    for d in (others.get('lhs_dilation'), others.get('rhs_dilation'))
  )
  if not (own_gradients() and plain and x.ndim == 4):
    return lax.conv_general_dilated(x, kernel, strides, padding, **others)
  size, kernel_size = x.shape[1:3], kernel.shape[:2]
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(size, kernel_size, strides, padding)
  pads = tuple((int(low), int(high)) for low, high in padding)
  geometry = _Geometry(tuple(strides), pads, size, kernel_size)
  groups = others.get('feature_group_count', 1)
  if groups == 1:
    return _convolve(x, kernel, geometry)
  if groups == x.shape[-1] == kernel.shape[-1]:
    return _depthwise(x, kernel, geometry)
  return _grouped(x, kernel, geometry, groups)


def _grouped(x, kernel, geometry, groups):
  """A loop over groups: XLA's gradients of groups are 50 times as slow."""

  def apart(a):
    return jnp.moveaxis(a.reshape(*a.shape[:3], groups, -1), 3, 0)

  pairs = apart(x), apart(kernel)
  y = lax.map(lambda pair: _convolve(*pair, geometry), pairs)
  y = jnp.moveaxis(y, 0, 3)
  return y.reshape(*y.shape[:3], -1)


def _depthwise(x, kernel, geometry):
  """A sum over the weights: with one channel each, products are no matrices."""
  none = (0, 0, 0)
  pads = [none, *((*pad, 0) for pad in geometry.pads), none]
  x = lax.pad(x, jnp.zeros((), x.dtype), pads)
  last = [n - k for n, k in zip(x.shape[1:3], kernel.shape[:2], strict=True)]
  steps = geometry.strides
  y = 0.0
  for i, j in np.ndindex(*kernel.shape[:2]):
    rows = slice(i, i + last[0] + 1, steps[0])
    columns = slice(j, j + last[1] + 1, steps[1])
    y += x[:, rows, columns] * kernel[i, j, 0]
  return y


def conv_transpose(
  y: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: str
) -> jax.Array:
  """Equal to `lax.conv_transpose(y, kernel, strides, padding)`.

  Args:
    y: `[B, H, W, C]`.
    kernel: `[kh, kw, C, O]`.
    strides: per spatial axis.
    padding: 'SAME' (output = input * stride) or 'VALID'.

  Returns:
    `[B, H', W', O]`.
  """
  if not own_gradients():
    return lax.conv_transpose(y, kernel, strides, padding)
  kernel_size = kernel.shape[:2]
  sizes, pads = [], []
  for size, k, stride in zip(y.shape[1:3], kernel_size, strides, strict=True):
    if padding == 'SAME':
      total = k + stride - 2
      low = k - 1 if stride > k - 1 else -(-total // 2)
    else:
      total, low = k + stride - 2 + max(k - stride, 0), k - 1
    sizes.append((size - 1) * stride + 2 + total - k)
    pads.append((k - 1 - low, k - 1 - (total - low)))
  geometry = _Geometry(tuple(strides), tuple(pads), tuple(sizes), kernel_size)
  flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  return _transpose(y, flipped, geometry)

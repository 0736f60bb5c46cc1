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


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x, w, geometry):
  return lax.conv_general_dilated(
    x, w, geometry.strides, geometry.pads, dimension_numbers=_NHWC
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transpose(y, w, geometry):
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
  w = lax.conv_general_dilated(
    _batch_last(x).transpose(2, 0, 1, 3),
    y.transpose(1, 2, 0, 3),
    (1, 1),
    geometry.correlate_pads(y.shape[1:3]),
    rhs_dilation=geometry.strides,
    dimension_numbers=_NHWC,
  )
  return w.transpose(1, 2, 0, 3)


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


def _own_gradients() -> bool:
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
    **others: what else `nn.Conv` passes; dilated or grouped convolutions go
      to lax.

  Returns:
    `[B, H', W', O]`.
  """
  plain = all(
    d in (None, 1) or set(d) == {1}
    for d in (others.get('lhs_dilation'), others.get('rhs_dilation'))
  )
  if not (_own_gradients() and plain and x.ndim == 4) or (
    others.get('feature_group_count', 1) != 1
  ):
    return lax.conv_general_dilated(x, kernel, strides, padding, **others)
  size, kernel_size = x.shape[1:3], kernel.shape[:2]
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(size, kernel_size, strides, padding)
  pads = tuple((int(low), int(high)) for low, high in padding)
  geometry = _Geometry(tuple(strides), pads, size, kernel_size)
  return _convolve(x, kernel, geometry)


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
  if not _own_gradients():
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

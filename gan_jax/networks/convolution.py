"""Convolutions whose gradients are fast wherever XLA compiles them.

On the CPU, XLA's backward convolutions fall to a path some ten times slower
inside `lax.scan` (openxla canonicalises only the entry computation) and, for
transposed convolutions, everywhere. Here each gradient is written as plain
NHWC/HWIO convolutions or products, fast in both places. Three bilinear maps,

    convolve(x, w) -> y,   transpose(y, w) -> x,   correlate(x, y) -> w,

are each other's gradients, so second derivatives (gradient penalties) stay in
the family; forms.py says how each is computed. Elsewhere than on the CPU, lax's
own gradients are used.

They are reverse-mode only: `jax.jvp` through them is an error on the CPU.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gan_jax.networks import forms
from gan_jax.networks.forms import Geometry


def _bilinear(function):
  """A map of forms.py, whose gradients `_define` sets."""
  return functools.partial(jax.custom_vjp, nondiff_argnums=(2,))(function)


_convolve = _bilinear(forms.convolve)
_transpose = _bilinear(forms.transpose)
_correlate = _bilinear(forms.correlate)


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
  geometry = Geometry(tuple(strides), pads, size, kernel_size)
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
  geometry = Geometry(tuple(strides), tuple(pads), tuple(sizes), kernel_size)
  flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
  return _transpose(y, flipped, geometry)

"""Transformers with given weights: what frozen text and image encoders share.

Functions of plain arrays, whose names and shapes are those of published files:
PyTorch's, kernels `[out, in]`.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

Arrays = Mapping[str, jax.Array]


def linear(x: jax.Array, arrays: Arrays, name: str) -> jax.Array:
  """X W^T + b, `[..., in]` -> `[..., out]`; without b where there is none."""
  y = x @ arrays[f'{name}.weight'].T
  bias = arrays.get(f'{name}.bias')
  return y if bias is None else y + bias


def layer_norm(
  x: jax.Array, arrays: Arrays, name: str, epsilon: float
) -> jax.Array:
  """Over the last axis, with scales and biases; biased variance."""
  centred = x - x.mean(axis=-1, keepdims=True)
  variance = (centred**2).mean(axis=-1, keepdims=True)
  normed = centred * jax.lax.rsqrt(variance + epsilon)
  return normed * arrays[f'{name}.weight'] + arrays[f'{name}.bias']


def attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  heads: int,
  mask: jax.Array | None = None,
) -> jax.Array:
  """Scaled dot-product attention, `[B, Q, C]` and `[B, L, C]` -> `[B, Q, C]`.

  Args:
    query: `[B, Q, C]`.
    key: `[B, L, C]`.
    value: `[B, L, C]`.
    heads: that divide C.
    mask: whether a query may look at a key, broadcast to `[B, heads, Q, L]`;
      None for all.

  Reference:
    Vaswani et al., Attention Is All You Need, arXiv 1706.03762, eq. 1.
  """

  def split(x):
    return x.reshape(*x.shape[:2], heads, -1)

  query, key, value = map(split, (query, key, value))
  logits = jnp.einsum('bqhd,blhd->bhql', query, key)
  logits /= query.shape[-1] ** 0.5
  if mask is not None:
    logits = jnp.where(mask, logits, -jnp.inf)
  weights = jax.nn.softmax(logits, axis=-1)
  mixed = jnp.einsum('bhql,blhd->bqhd', weights, value)
  return mixed.reshape(*mixed.shape[:2], -1)


def quick_gelu(x: jax.Array) -> jax.Array:
  """X sigmoid(1.702 x), as CLIP's authors have it."""
  return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: jax.Array) -> jax.Array:
  """X times the normal distribution function of x."""
  return jax.nn.gelu(x, approximate=False)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'gelu': gelu,
  'quick_gelu': quick_gelu,
  'relu': jax.nn.relu,
}

"""Style and content of an image, as a fixed network sees them.

Maps are `[B, h, w, C]`; losses are means over the batch.

References:
  Gatys et al., A Neural Algorithm of Artistic Style, arXiv 1508.06576.
  Huang and Belongie, Arbitrary Style Transfer in Real-time with Adaptive
  Instance Normalization, arXiv 1703.06868.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

_EPSILON = 1e-5  # added to variances


def gram(maps: jax.Array) -> jax.Array:
  """Inner products of channels over all places, `[B, C, C]`, no mean.

  Where a channel is does not matter: it is the same for any order of places.
  """
  flat = maps.reshape(len(maps), -1, maps.shape[-1])
  return jnp.einsum('bpc,bpd->bcd', flat, flat)


def gatys_style(
  maps: Sequence[jax.Array], styles: Sequence[jax.Array]
) -> jax.Array:
  """Mean over layers of sum (G - A)^2 / (4 N^2 M^2), N channels, M places.

  Each Gram matrix is over its own number of places, so that both images may be
  of any size.

  Args:
    maps: of the image, by layer.
    styles: of the image whose style it is to have.

  Reference:
    arXiv 1508.06576, eq. 4 and 5 with equal weights of layers; theirs is of
    two images of one size.
  """
  total = 0.0
  for one, other in zip(maps, styles, strict=True):
    per_place = [
      gram(x) / (x.shape[1] * x.shape[2] * x.shape[3]) for x in (one, other)
    ]
    squares = jnp.sum((per_place[0] - per_place[1]) ** 2, axis=(1, 2))
    total += jnp.mean(squares) / 4.0
  return total / len(maps)


def gatys_content(maps: jax.Array, content: jax.Array) -> jax.Array:
  """Half the sum of squared differences (arXiv 1508.06576, eq. 1)."""
  return 0.5 * jnp.mean(jnp.sum((maps - content) ** 2, axis=(1, 2, 3)))


def moments(maps: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean and standard deviation over places, `[B, 1, 1, C]` each."""
  mean = maps.mean(axis=(1, 2), keepdims=True)
  variance = ((maps - mean) ** 2).mean(axis=(1, 2), keepdims=True)
  return mean, jnp.sqrt(variance + _EPSILON)


def adain(content: jax.Array, style: jax.Array) -> jax.Array:
  """Maps of one image with the moments of another's (arXiv 1703.06868, eq. 8).

  Args:
    content: `[B, h, w, C]`.
    style: `[B, h', w', C]`, of any size.
  """
  (mean, deviation), (to_mean, to_deviation) = moments(content), moments(style)
  return to_deviation * (content - mean) / deviation + to_mean


def adain_style(
  maps: Sequence[jax.Array], styles: Sequence[jax.Array]
) -> jax.Array:
  """Squared differences of means and of deviations, summed over layers.

  A mean over channels of each (arXiv 1703.06868, eq. 13, where it is a sum).
  """
  total = 0.0
  for one, other in zip(maps, styles, strict=True):
    for own, wanted in zip(moments(one), moments(other), strict=True):
      total += jnp.mean((own - wanted) ** 2)
  return total

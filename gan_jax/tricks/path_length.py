"""Path-length regularisation: a step in w moves the image by a fixed length."""

import jax
import jax.numpy as jnp

from gan_jax.networks.seeds import split
from gan_jax.tricks.terms import Scene, Term

_EACH = 2  # every second example of the batch: it takes memory
_RATE = 0.01  # of the mean of lengths


def path_length_term(weight: float, every: int = 4) -> Term:
  """G's term (|J^T y| - a)^2 of a style-based generator.

  J is the derivative of an image with respect to its styles `[L, W]`, y is
  normal noise over pixels and channels, divided by the root of the number of
  pixels. A length is the root of the mean over layers of squared sums over W.
  a is the running mean of lengths; the gradient flows through its newest part,
  as in the authors' code.

  Args:
    weight: of the term; 2 in the authors' code. The latents are those of G's
      loss, where that code draws others.
    every: see `Term`.

  Reference:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    arXiv 1912.04958, section 3.2 and appendix B.
  """
  return Term('path_penalty', weight, _value, every, first=jnp.zeros(()))


def _value(scene: Scene, mean: jax.Array) -> tuple[jax.Array, jax.Array]:
  latents, given, keys = jax.tree.map(
    lambda x: x[::_EACH],
    (scene.latents, scene.batch.given, scene.batch.positions),
  )
  keys = jax.vmap(lambda i: jax.random.fold_in(scene.keys.penalty, i))(keys)
  styles = scene.gen('styles', latents, given)
  seeds, _ = split(latents)
  images, pull = jax.vjp(lambda w: scene.gen('paint', w, seeds), styles)
  pixels = images.shape[1] * images.shape[2]
  noise = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)
  lengths = path_lengths(pull(noise.astype(images.dtype) / pixels**0.5)[0])
  newest = lengths.mean()
  if scene.axis_name is not None:
    newest = jax.lax.pmean(newest, scene.axis_name)
  mean = mean + _RATE * (newest - mean)
  return jnp.mean((lengths - mean) ** 2), mean


def path_lengths(gradients: jax.Array) -> jax.Array:
  """`[B]` of gradients `[B, L, W]`, in float32."""
  squares = gradients.astype(jnp.float32) ** 2
  return jnp.sqrt(squares.sum(axis=2).mean(axis=1) + 1e-12)

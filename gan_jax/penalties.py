"""Gradient penalties on the discriminator.

A gradient penalty is `penalty(critic, real, fake, keys, axis_name) -> scalar`:

    critic:     images [B, H, W, C] -> logits [B], or maps of them [B, ...],
                whose mean counts; parameters closed over
    real, fake: images [B, H, W, C] in [-1, 1], or points [B, d]
    keys:       one PRNG key per example, [B]
    axis_name:  the mapped device axis that shares the batch, or None

The mean is over the batch. Gradients are taken per example, through the sum
of the logits, which is the per-example gradient only when no layer mixes
examples: batch norm in D is therefore refused with every gradient penalty.
Maths in float32 at least. D's loss adds `penalty_weight * factor * penalty`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Critic = Callable[[jax.Array], jax.Array]


def _gradients(critic: Critic, images: jax.Array) -> jax.Array:
  """D critic(x_i) / d x_i for each example, flattened to `[B, H * W * C]`."""

  def total(x):
    logits = critic(x)
    if logits.ndim > 1:
      logits = logits.mean(tuple(range(1, logits.ndim)))
    return jnp.sum(logits)

  gradients = jax.grad(total)(images)
  gradients = gradients.reshape(len(images), -1)
  return gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))


def _squared_norms(critic: Critic, images: jax.Array) -> jax.Array:
  return jnp.sum(_gradients(critic, images) ** 2, axis=-1)


def _safe_norms(critic: Critic, images: jax.Array) -> jax.Array:
  """Gradient norms `[B]`, whose own gradient at a zero gradient is 0.

  The square root alone has an infinite slope there, and one such example
  would turn every parameter into NaN.
  """
  squares = _squared_norms(critic, images)
  positive = squares > 0.0
  return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def _uniform(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  return jax.vmap(lambda key: jax.random.uniform(key, shape))(keys)


def wgan_gp(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  keys: jax.Array,
  axis_name: str | None = None,
) -> jax.Array:
  """E (||grad D(x_hat)|| - 1)^2, x_hat uniform between a real and a fake.

  Two-sided, one interpolation coefficient per pair, as in the paper.

  Reference:
    Gulrajani et al., Improved Training of Wasserstein GANs,
    arXiv 1704.00028, eq. 3 and Algorithm 1 (lambda = 10).
  """
  del axis_name
  epsilon = _uniform(keys, (1,) * (real.ndim - 1))
  interpolated = epsilon * real + (1.0 - epsilon) * fake
  return jnp.mean((_safe_norms(critic, interpolated) - 1.0) ** 2)


def r1(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  keys: jax.Array,
  axis_name: str | None = None,
) -> jax.Array:
  """E ||grad D(x)||^2 on real data. The paper's gamma / 2 stands outside.

  Reference:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    arXiv 1801.04406, eq. 9.
  """
  del fake, keys, axis_name
  return jnp.mean(_squared_norms(critic, real))


def r2(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  keys: jax.Array,
  axis_name: str | None = None,
) -> jax.Array:
  """E ||grad D(G(z))||^2 on fakes. The paper's gamma / 2 stands outside.

  Reference:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    arXiv 1801.04406, eq. 10.
  """
  del real, keys, axis_name
  return jnp.mean(_squared_norms(critic, fake))


def r1_r2(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  keys: jax.Array,
  axis_name: str | None = None,
) -> jax.Array:
  """The sum of `r1` and `r2`; the paper's gamma / 2 stands outside both.

  Reference:
    Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
    arXiv 2501.05441, section 2.2 (R3GAN, with the relativistic pairing loss).
  """
  return r1(critic, real, fake, keys, axis_name) + r2(
    critic, real, fake, keys, axis_name
  )


def dragan(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  keys: jax.Array,
  axis_name: str | None = None,
) -> jax.Array:
  """E (||grad D(x + delta)|| - 1)^2 around real data.

  delta = 0.5 * std(batch) * u with u ~ U(0, 1) per pixel, one standard
  deviation over the whole global batch, as in the authors' published code; the
  paper writes delta ~ N(0, cI) and leaves c open. Deviation from that code: no
  further interpolation between x and x + delta.

  Reference:
    Kodali et al., On Convergence and Stability of GANs, arXiv 1705.07215,
    eq. 2 and Algorithm 1 (lambda = 10, k = 1).
  """
  del fake
  mean, mean_square = jnp.mean(real), jnp.mean(real**2)
  if axis_name is not None:
    mean, mean_square = jax.lax.pmean((mean, mean_square), axis_name)
  std = jnp.sqrt(jnp.maximum(mean_square - mean**2, 0.0))
  perturbed = real + 0.5 * std * _uniform(keys, real.shape[1:])
  return jnp.mean((_safe_norms(critic, perturbed) - 1.0) ** 2)


class Penalty(NamedTuple):
  """A penalty and the constant its paper puts before it.

  Attributes:
    value: see above.
    factor: that constant.
    at: of one that is the sum of E ||grad D||^2 at examples themselves, which:
      real, fake; () of another.
  """

  value: Callable[..., jax.Array]
  factor: float
  at: tuple[str, ...] = ()


PENALTIES: dict[str, Penalty | None] = {
  'none': None,
  'wgan_gp': Penalty(wgan_gp, 1.0),
  'r1': Penalty(r1, 0.5, ('real',)),
  'r2': Penalty(r2, 0.5, ('fake',)),
  'r1_r2': Penalty(r1_r2, 0.5, ('real', 'fake')),
  'dragan': Penalty(dragan, 1.0),
}

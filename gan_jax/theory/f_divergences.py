"""The f-divergences of f-GAN: what each measures, and how a critic bounds it.

For densities p and q and a convex f with f(1) = 0 (up to a constant),

    D_f(p || q) = E_q f(p / q) >= E_p T - E_q f*(T),

for any critic T, with equality at T = f'(p / q); f* is the convex conjugate.
A network's output v, any real number, becomes a critic with values in the
domain of f* through the output activation, T = g_f(v).

Everything here works elementwise. `log_ratio` is log p - log q. In nats.

Reference:
  Nowozin, Cseke and Tomioka, f-GAN: Training Generative Neural Samplers using
  Variational Divergence Minimization, arXiv 1606.00709, eq. 4 and Table 2.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

_LOG2 = 0.6931471805599453

Elementwise = Callable[[jax.Array], jax.Array]


def relative_entropy(p: jax.Array, q: jax.Array) -> jax.Array:
  """P log(p / q): 0 where p is 0, infinite where q alone is.

  Like everything here, it has a finite gradient (0) where a density is 0.
  """
  both = (p > 0) & (q > 0)
  p_, q_ = jnp.where(both, p, 1.0), jnp.where(both, q, 1.0)
  only_p = jnp.where(p > 0, jnp.inf, 0.0)
  return jnp.where(both, p_ * (jnp.log(p_) - jnp.log(q_)), only_p)


def quotient(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
  """Of two non-negative numbers, with 0 / 0 = 0."""
  positive = denominator > 0
  safe = jnp.where(positive, denominator, 1.0)
  otherwise = jnp.where(numerator > 0, jnp.inf, 0.0)
  return jnp.where(positive, numerator / safe, otherwise)


def _root(x: jax.Array) -> jax.Array:
  return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


@jax.custom_jvp
def log_lambert_w_of_exp(y: jax.Array) -> jax.Array:
  """Log W(e^y) for Lambert's W: the s with e^s + s = y; no overflow.

  Newton's method; the residual e^s + s - y is convex and rising in s, so from
  a start above the root it comes down without overshooting.
  """
  finite = jnp.isfinite(y)
  y_ = jnp.where(finite, y, 0.0)
  s = jnp.where(y_ > 1.0, jnp.log(jnp.maximum(y_, 1.0)), y_)
  for _ in range(8):
    s = s - (jnp.exp(s) + s - y_) / (jnp.exp(s) + 1.0)
  return jnp.where(finite, s, y)


@log_lambert_w_of_exp.defjvp
def _log_lambert_w_of_exp_jvp(primals, tangents):
  s = log_lambert_w_of_exp(*primals)
  return s, tangents[0] / (1.0 + jnp.exp(s))


def _jeffreys_conjugate(t: jax.Array) -> jax.Array:
  """W + 1/W + t - 2 with W = W(e^(1 - t)), less the terms that cancel."""
  s = log_lambert_w_of_exp(1.0 - t)
  return jnp.exp(-s) - 1.0 - s


class FDivergence(NamedTuple):
  """One row of the paper's Table 2, and the divergence that it bounds.

  Attributes:
    integrand: (p, q) -> q f(p / q), extended by its limits where one density
      is 0; homogeneous of degree one.
    activation: v -> T = g_f(v), rising in v, onto the domain of f*.
    conjugate: T -> f*(T).
    conjugate_of_output: v -> f*(g_f(v)), without overflow on the way.
    optimal_output: log_ratio -> the v at which T = f'(p / q).
    boundary: the v at which T = f'(1), the critic's verdict for p = q.
  """

  integrand: Callable[[jax.Array, jax.Array], jax.Array]
  activation: Elementwise
  conjugate: Elementwise
  conjugate_of_output: Elementwise
  optimal_output: Elementwise
  boundary: float = 0.0


def _js_integrand(p: jax.Array, q: jax.Array) -> jax.Array:
  middle = 0.5 * (p + q)
  return relative_entropy(p, middle) + relative_entropy(q, middle)


F_DIVERGENCES: dict[str, FDivergence] = {
  'kl': FDivergence(
    integrand=relative_entropy,
    activation=lambda v: v,
    conjugate=lambda t: jnp.exp(t - 1.0),
    conjugate_of_output=lambda v: jnp.exp(v - 1.0),
    optimal_output=lambda log_ratio: log_ratio + 1.0,
    boundary=1.0,
  ),
  'reverse_kl': FDivergence(
    integrand=lambda p, q: relative_entropy(q, p),
    activation=lambda v: -jnp.exp(-v),
    conjugate=lambda t: -1.0 - jnp.log(-t),
    conjugate_of_output=lambda v: v - 1.0,
    optimal_output=lambda log_ratio: log_ratio,
  ),
  # KL + reverse KL.
  'jeffreys': FDivergence(
    integrand=lambda p, q: relative_entropy(p, q) + relative_entropy(q, p),
    activation=lambda v: v,
    conjugate=_jeffreys_conjugate,
    conjugate_of_output=_jeffreys_conjugate,
    optimal_output=lambda log_ratio: log_ratio + 1.0 - jnp.exp(-log_ratio),
  ),
  # chi^2 as usually defined, E_q (p / q - 1)^2, which is what the paper's
  # f(u) = (u - 1)^2 gives; the integrals of its Table 1 have p and q swapped.
  'pearson': FDivergence(
    integrand=lambda p, q: quotient((p - q) ** 2, q),
    activation=lambda v: v,
    conjugate=lambda t: 0.25 * t**2 + t,
    conjugate_of_output=lambda v: 0.25 * v**2 + v,
    optimal_output=lambda log_ratio: 2.0 * jnp.expm1(log_ratio),
  ),
  'neyman': FDivergence(
    integrand=lambda p, q: quotient((p - q) ** 2, p),
    activation=lambda v: -jnp.expm1(-v),
    conjugate=lambda t: 2.0 - 2.0 * jnp.sqrt(1.0 - t),
    conjugate_of_output=lambda v: -2.0 * jnp.expm1(-0.5 * v),
    optimal_output=lambda log_ratio: 2.0 * log_ratio,
  ),
  # Without the factor 1/2 that some authors put before it.
  'squared_hellinger': FDivergence(
    integrand=lambda p, q: (_root(p) - _root(q)) ** 2,
    activation=lambda v: -jnp.expm1(-v),
    conjugate=lambda t: t / (1.0 - t),
    conjugate_of_output=jnp.expm1,
    optimal_output=lambda log_ratio: 0.5 * log_ratio,
  ),
  # The paper's f has no factor 1/2: this is 2 JSD.
  'js': FDivergence(
    integrand=_js_integrand,
    activation=lambda v: _LOG2 - jax.nn.softplus(-v),
    conjugate=lambda t: -jnp.log(2.0 - jnp.exp(t)),
    conjugate_of_output=lambda v: jax.nn.softplus(v) - _LOG2,
    optimal_output=lambda log_ratio: log_ratio,
  ),
  # 2 JSD - log 4: the criterion C(G) of the original GAN.
  'gan': FDivergence(
    integrand=lambda p, q: _js_integrand(p, q) - _LOG2 * (p + q),
    activation=lambda v: -jax.nn.softplus(-v),
    conjugate=lambda t: -jnp.log1p(-jnp.exp(t)),
    conjugate_of_output=jax.nn.softplus,
    optimal_output=lambda log_ratio: log_ratio,
  ),
}

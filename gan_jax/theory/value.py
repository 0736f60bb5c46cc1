"""Goodfellow's theory on densities that are known: V, D*, C(G), and beyond.

Densities are arrays `[..., N]` over a grid, as in gan_jax.theory.divergences: p
of the data, q of the generator. A discriminator that says "real" is high where
p is.

Reference:
  Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661,
  section 4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.theory.divergences import (
  check_densities,
  check_lengths,
  check_positions,
  f_gan_divergence,
  jsd,
  total_variation,
  triangular,
)
from gan_jax.theory.f_divergences import F_DIVERGENCES
from gan_jax.types import InputError, lookup


def value(
  disc: jax.Array, p: jax.Array, q: jax.Array, dx: float = 1.0
) -> jax.Array:
  """V(D, G) = E_p log D + E_q log(1 - D), of Goodfellow's eq. 1.

  Args:
    disc: probabilities `[..., N]` of "real", in [0, 1].
    p: density of the data, `[..., N]`.
    q: density of the generator, `[..., N]`.
    dx: width of a cell.

  Returns:
    `[...]`; -inf where D is certain and wrong. 0 log 0 = 0, and so is its
    slope.
  """
  check_densities(dx, p=p, q=q)
  check_lengths(disc=disc, p=p)

  seen, faked = p > 0, q > 0
  log_real = jnp.log(jnp.where(seen, disc, 1.0))
  log_fake = jnp.log1p(-jnp.where(faked, disc, 0.0))
  terms = (
    jnp.where(seen, p, 0.0) * log_real + jnp.where(faked, q, 0.0) * log_fake
  )
  return jnp.sum(terms, axis=-1) * dx


def value_of_samples(disc_real: jax.Array, disc_fake: jax.Array) -> jax.Array:
  """The estimate of V(D, G) from D(x) `[N]` and D(G(z)) `[M]`, a scalar."""
  return jnp.mean(jnp.log(disc_real)) + jnp.mean(jnp.log1p(-disc_fake))


def optimal_discriminator(p: jax.Array, q: jax.Array) -> jax.Array:
  """D* = p / (p + q), which maximises V(D, G); 1/2 where both are 0.

  Args:
    p: density of the data, `[..., N]`; any common factor cancels.
    q: density of the generator, `[..., N]`.

  Reference:
    Goodfellow et al., arXiv 1406.2661, Proposition 1.
  """
  total = p + q
  somewhere = total > 0
  return jnp.where(somewhere, p / jnp.where(somewhere, total, 1.0), 0.5)


def training_criterion(
  p: jax.Array, q: jax.Array, dx: float = 1.0
) -> jax.Array:
  """C(G) = max_D V(D, G), computed as V at the optimal discriminator.

  It equals -log 4 + 2 JSD(p || q), and its least value, -log 4, is taken
  where p = q alone.

  Reference:
    Goodfellow et al., arXiv 1406.2661, eq. 4 and Theorem 1.
  """
  return value(optimal_discriminator(p, q), p, q, dx)


def _log_ratio(p, q):
  """Log p - log q, with 0 where both are 0."""
  nowhere = (p <= 0) & (q <= 0)
  return jnp.where(
    nowhere, 0.0, jnp.log(jnp.where(nowhere, 1.0, p))
  ) - jnp.where(nowhere, 0.0, jnp.log(jnp.where(nowhere, 1.0, q)))


def optimal_logits(
  loss: str, p: jax.Array, q: jax.Array, *, f_divergence: str | None = None
) -> jax.Array:
  """The discriminator's output that minimises its loss at every point.

  Args:
    loss: a name of gan_jax.losses.LOSSES whose optimum is one of points;
      `wasserstein` is not, see `optimal_critic_1d`.
    p: density of the data, `[..., N]`.
    q: density of the generator, `[..., N]`.
    f_divergence: which one, for the f-GAN losses.

  Returns:
    `[..., N]`: log p / q (minimax, non-saturating); p / (p + q) (least
    squares with targets 1 and 0); the sign of p - q (hinge); and what makes
    T = f'(p / q) (f-GAN). Infinite where D can be certain.
  """
  if loss in ('minimax', 'non_saturating'):
    return _log_ratio(p, q)
  if loss == 'least_squares':
    return optimal_discriminator(p, q)
  if loss == 'hinge':
    return jnp.sign(p - q)
  if loss in ('f_gan', 'f_gan_non_saturating'):
    row = lookup(F_DIVERGENCES, f_divergence, 'f_divergence')
    return row.optimal_output(_log_ratio(p, q))
  raise InputError(
    f'loss: {loss!r} has no optimal output point by point; take '
    'optimal_critic_1d for wasserstein, or another loss'
  )


def optimal_critic_1d(
  p: jax.Array, q: jax.Array, positions: jax.Array, dx: float = 1.0
) -> jax.Array:
  """The 1-Lipschitz critic that maximises E_p D - E_q D on a line.

  Its slope is the sign of F_q - F_p, the difference of the two distribution
  functions; it is 0 at the first position.

  Args:
    p: density of the data, `[..., N]`.
    q: density of the generator, `[..., N]`.
    positions: of the cells, `[N]`, increasing.
    dx: width of a cell.

  Returns:
    `[..., N]`.
  """
  check_densities(dx, p=p, q=q)
  check_positions(positions, p)
  slopes = jnp.sign(jnp.cumsum(q - p, axis=-1)[..., :-1] * dx)
  steps = jnp.cumsum(slopes * jnp.diff(positions), axis=-1)
  return jnp.concatenate([jnp.zeros_like(steps[..., :1]), steps], axis=-1)


def expected_loss(
  part: Callable[[jax.Array], jax.Array],
  logits: jax.Array,
  density: jax.Array,
  dx: float = 1.0,
) -> jax.Array:
  """The expectation of one part of an adversarial loss under a density.

  Args:
    part: `disc_real`, `disc_fake` or `gen` of an AdversarialLoss.
    logits: the discriminator's output, `[..., N]`.
    density: where its argument comes from, `[..., N]`.
    dx: width of a cell.

  Returns:
    `[...]`; points of density 0 count nothing, whatever the loss is there.
  """
  pointwise = jnp.vectorize(lambda logit: part(logit[None]))(logits)
  somewhere = density > 0
  weighted = jnp.where(
    somewhere, density * jnp.where(somewhere, pointwise, 0.0), 0.0
  )
  return jnp.sum(weighted, axis=-1) * dx


def optimal_disc_loss(
  loss: str,
  p: jax.Array,
  q: jax.Array,
  dx: float = 1.0,
  *,
  f_divergence: str | None = None,
) -> jax.Array:
  """The least loss of any discriminator, in closed form by a divergence.

  Args:
    loss: as in `optimal_logits`.
    p: density of the data, `[..., N]`.
    q: density of the generator, `[..., N]`.
    dx: width of a cell.
    f_divergence: which one, for the f-GAN losses.

  Returns:
    `[...]`: log 4 - 2 JSD (minimax, non-saturating); (1 - T / 2) / 4 with the
    triangular discrimination T (least squares with the factor 1/2 of
    gan_jax.losses); 2 - 2 TV (hinge); minus the divergence (f-GAN).
  """
  if loss in ('minimax', 'non_saturating'):
    return 2.0 * jnp.log(2.0) - 2.0 * jsd(p, q, dx)
  if loss == 'least_squares':
    return 0.25 - 0.125 * triangular(p, q, dx)
  if loss == 'hinge':
    return 2.0 - 2.0 * total_variation(p, q, dx)
  if loss in ('f_gan', 'f_gan_non_saturating'):
    return -f_gan_divergence(f_divergence, p, q, dx)
  raise InputError(
    f'loss: {loss!r} bounds no divergence of densities; see wasserstein_1d'
  )

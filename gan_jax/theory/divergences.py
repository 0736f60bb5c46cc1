"""Divergences and the 1-D Wasserstein distance, of densities that are known.

Densities are arrays `[..., N]` over the cells of a grid, of width `dx`, that
sum to 1 / dx: probability masses with the default `dx = 1`. Leading axes are
kept, so one call handles many pairs. Everything is in nats, differentiable,
and can be jitted; values are checked outside of jit only, shapes always.

The first argument p is the data, the second one q the generator.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.theory.f_divergences import F_DIVERGENCES, quotient
from gan_jax.types import InputError, lookup

# How far the sum of a density may be from one.
TOLERANCE = 1e-3


def check_lengths(**arrays: jax.Array) -> None:
  """Raises InputError unless all arrays, by name, lie over one grid."""
  lengths = {jnp.shape(array)[-1:] for array in arrays.values()}
  if len(lengths) > 1 or () in lengths:
    shapes = ', '.join(f'{n} {jnp.shape(a)}' for n, a in arrays.items())
    raise InputError(
      f'supports differ in length: {shapes}; give all the same grid, [..., N]'
    )


def check_densities(dx: float | jax.Array, **densities: jax.Array) -> None:
  """Checks densities on one grid.

  Args:
    dx: width of a cell.
    **densities: `[..., N]`, by the name that a message shall give them.

  Raises:
    InputError: lengths that differ; and, outside of jit, a negative or
      non-finite value, or a sum that is not one within `TOLERANCE`.
  """
  check_lengths(**densities)
  for name, density in densities.items():
    if isinstance(jnp.multiply(density, dx), jax.core.Tracer):
      continue
    if not bool(jnp.all(density >= 0)):
      raise InputError(
        f'{name}: a density is negative or not a number (smallest value '
        f'{jnp.min(density):g}); give values from 0 on'
      )
    sums = jnp.sum(density, axis=-1) * dx
    worst = jnp.ravel(sums)[jnp.argmax(jnp.abs(sums - 1.0))]
    if not abs(worst - 1.0) <= TOLERANCE:
      raise InputError(
        f'{name}: sums to {worst:g} with dx={dx:g}, not to 1 within '
        f'{TOLERANCE:g}; divide it by its sum times dx'
      )


def check_positions(positions: jax.Array, density: jax.Array) -> None:
  """Raises InputError unless there is one position a cell, increasing."""
  if jnp.shape(positions) != jnp.shape(density)[-1:]:
    raise InputError(
      f'positions: shape {jnp.shape(positions)} for densities over '
      f'{jnp.shape(density)[-1]} cells; give one position a cell'
    )
  steps = jnp.diff(positions)
  if not isinstance(steps, jax.core.Tracer) and not bool(jnp.all(steps > 0)):
    raise InputError('positions: they do not increase; sort the cells by them')


# (p, q) -> integrand, all homogeneous of degree one: each is its own
# importance-weighted integrand too, see `divergence_from_samples`.
DIVERGENCES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
  **{
    name: F_DIVERGENCES[name].integrand
    for name in ('kl', 'reverse_kl', 'jeffreys', 'pearson', 'neyman')
  },
  'squared_hellinger': F_DIVERGENCES['squared_hellinger'].integrand,
  'jsd': lambda p, q: 0.5 * F_DIVERGENCES['js'].integrand(p, q),
  'total_variation': lambda p, q: 0.5 * jnp.abs(p - q),
  'triangular': lambda p, q: quotient((p - q) ** 2, p + q),
}


def _integrate(integrand, p, q, dx) -> jax.Array:
  p, q = jnp.asarray(p), jnp.asarray(q)
  check_densities(dx, p=p, q=q)
  return jnp.sum(integrand(p, q), axis=-1) * dx


def divergence(
  name: str, p: jax.Array, q: jax.Array, dx: float = 1.0
) -> jax.Array:
  """A divergence by name.

  Args:
    name: one of `DIVERGENCES`.
    p: density `[..., N]`.
    q: density `[..., N]`.
    dx: width of a cell.

  Returns:
    `[...]` in nats; infinite where the definition says so.

  Raises:
    InputError: an unknown name, or no densities; see `check_densities`.
  """
  return _integrate(lookup(DIVERGENCES, name, 'divergence'), p, q, dx)


def kl(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """KL(p || q) = E_p log(p / q), the forward one: it covers modes of p."""
  return divergence('kl', p, q, dx)


def reverse_kl(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """KL(q || p): it seeks modes of p."""
  return divergence('reverse_kl', p, q, dx)


def jeffreys(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """KL(p || q) + KL(q || p), the symmetric KL (not its half)."""
  return divergence('jeffreys', p, q, dx)


def jsd(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2; in [0, log 2]."""
  return divergence('jsd', p, q, dx)


def total_variation(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """Half the L1 distance; in [0, 1]."""
  return divergence('total_variation', p, q, dx)


def pearson(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """chi^2(p || q) = E_q (p / q - 1)^2."""
  return divergence('pearson', p, q, dx)


def neyman(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """chi^2(q || p) = E_p (q / p - 1)^2."""
  return divergence('neyman', p, q, dx)


def squared_hellinger(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """The integral of (sqrt p - sqrt q)^2; in [0, 2]."""
  return divergence('squared_hellinger', p, q, dx)


def triangular(p: jax.Array, q: jax.Array, dx: float = 1.0) -> jax.Array:
  """The integral of (p - q)^2 / (p + q); in [0, 2].

  It is the Pearson chi^2 between p + q and 2 q, which least squares minimises
  with the codings b - c = 1, b - a = 2.

  Reference:
    Mao et al., Least Squares GANs, arXiv 1611.04076, section 3.2.
  """
  return divergence('triangular', p, q, dx)


def f_gan_divergence(
  name: str, p: jax.Array, q: jax.Array, dx: float = 1.0
) -> jax.Array:
  """D_f of f-GAN: as above, but `js` is 2 JSD and `gan` is 2 JSD - log 4.

  Args:
    name: one of gan_jax.theory.f_divergences.F_DIVERGENCES.
    p: density of the data, `[..., N]`.
    q: density of the generator, `[..., N]`.
    dx: width of a cell.
  """
  row = lookup(F_DIVERGENCES, name, 'f_divergence')
  return _integrate(row.integrand, p, q, dx)


def divergence_from_samples(
  name: str, log_ratio_at_p: jax.Array, log_ratio_at_q: jax.Array
) -> jax.Array:
  """Estimates a divergence from samples whose two densities are known.

  Both sets together are a sample of m = (p + q) / 2, under which the integrand
  becomes a function of p / m = 2 sigmoid(log p / q) and q / m: bounded for
  the bounded divergences, and no log of a density that may be 0.

  Args:
    name: one of `DIVERGENCES`.
    log_ratio_at_p: log p(x) - log q(x) at samples x of p, `[N]`.
    log_ratio_at_q: the same at samples of q, `[M]`.

  Returns:
    A scalar, unbiased.
  """
  integrand = lookup(DIVERGENCES, name, 'divergence')

  def mean(log_ratio):
    p, q = 2 * jax.nn.sigmoid(log_ratio), 2 * jax.nn.sigmoid(-log_ratio)
    return jnp.mean(integrand(p, q))

  return 0.5 * (mean(log_ratio_at_p) + mean(log_ratio_at_q))


# --- The 1-D Wasserstein distance -------------------------------------------


def wasserstein_1d(
  p: jax.Array, q: jax.Array, positions: jax.Array, dx: float = 1.0
) -> jax.Array:
  """W1(p, q) on a line: the area between the two distribution functions.

  Args:
    p: density `[..., N]`.
    q: density `[..., N]`.
    positions: of the cells, `[N]`, increasing.
    dx: width of a cell; with positions that are no even grid, p and q are
      masses and dx is 1.

  Returns:
    `[...]`, in the unit of the positions.
  """
  check_densities(dx, p=p, q=q)
  check_positions(positions, p)
  between = jnp.cumsum(p - q, axis=-1)[..., :-1] * dx
  return jnp.sum(jnp.abs(between) * jnp.diff(positions), axis=-1)


def wasserstein_1d_of_samples(x: jax.Array, y: jax.Array) -> jax.Array:
  """W1 between two samples on a line, `[N]` and `[M]`, of any two sizes."""
  order = jnp.argsort(jnp.concatenate([x, y]))
  positions = jnp.concatenate([x, y])[order]
  of_x = jnp.arange(len(x) + len(y)) < len(x)
  weights = jnp.where(of_x, 1.0 / len(x), -1.0 / len(y))
  between = jnp.cumsum(weights[order])[:-1]
  return jnp.sum(jnp.abs(between) * jnp.diff(positions))

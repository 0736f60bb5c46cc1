"""Adversarial losses, as functions of the discriminator's logits.

Every loss is a mean over the batch and comes in three parts, so that the part
on real data and the part on fakes can be logged apart:

    disc loss = disc_real(D(x)) + disc_fake(D(G(z)))      D minimises
    gen loss  = gen(D(G(z)))                              G minimises

`D(x)` is a logit here: sigmoid(logit) is the probability of "real" in the
losses that have one. Nothing below takes the log of a sigmoid.

To add a loss: write a function that returns an `AdversarialLoss`, add it to
`LOSSES`, and test it against NumPy in tests/test_losses.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.theory.f_divergences import F_DIVERGENCES
from gan_jax.types import InputError, lookup

LogitsToScalar = Callable[[jax.Array], jax.Array]


class AdversarialLoss(NamedTuple):
  """The two players' losses, and how to read the discriminator's output.

  Attributes:
    disc_real: logits `[B]` on real images -> scalar, mean over B.
    disc_fake: logits `[B]` on fakes -> scalar, mean over B.
    gen: logits `[B]` on fakes -> scalar, mean over B.
    score: logits -> what is reported as D(x): the probability of "real" where
      the loss defines one, else the raw output.
    boundary: the logit above which D says "real"; None where the loss fixes
      no such value (a Wasserstein critic is defined up to a constant), and
      the midpoint between the mean real and the mean fake logit serves.
  """

  disc_real: LogitsToScalar
  disc_fake: LogitsToScalar
  gen: LogitsToScalar
  score: LogitsToScalar = lambda logits: logits
  boundary: float | None = 0.0


def _real_cross_entropy(logits: jax.Array, smoothing: float) -> jax.Array:
  """-t log D - (1 - t) log(1 - D) with target t = 1 - smoothing, mean."""
  loss = (1.0 - smoothing) * jax.nn.softplus(-logits)
  if smoothing:  # 0 times infinity, at an infinite logit, is not 0
    loss += smoothing * jax.nn.softplus(logits)
  return jnp.mean(loss)


def minimax(label_smoothing: float = 0.0) -> AdversarialLoss:
  """The original zero-sum game: G minimises E log(1 - D(G(z))), saturating.

  Its generator gradient vanishes where D rejects fakes with confidence.

  Args:
    label_smoothing: s >= 0 makes the target of real images 1 - s, one-sided
      (Salimans et al. 2016, arXiv 1606.03498, section 3.4).

  Reference:
    Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661, eq. 1.
  """
  return AdversarialLoss(
    disc_real=lambda real: _real_cross_entropy(real, label_smoothing),
    disc_fake=lambda fake: jnp.mean(jax.nn.softplus(fake)),
    gen=lambda fake: -jnp.mean(jax.nn.softplus(fake)),
    score=jax.nn.sigmoid,
  )


def non_saturating(label_smoothing: float = 0.0) -> AdversarialLoss:
  """D as in `minimax`; G maximises E log D(G(z)) instead.

  Args:
    label_smoothing: as in `minimax`.

  Reference:
    Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661,
    section 3, last paragraph.
  """
  return minimax(label_smoothing)._replace(
    gen=lambda fake: jnp.mean(jax.nn.softplus(-fake))
  )


def least_squares(label_smoothing: float = 0.0) -> AdversarialLoss:
  """Least squares with the 0-1 coding: a = 0 fake, b = 1 real, c = 1 for G.

  Each term carries the paper's factor 1/2. With label smoothing s, b = 1 - s.

  Reference:
    Mao et al., Least Squares Generative Adversarial Networks,
    arXiv 1611.04076, eq. 2 with the coding of eq. 9.
  """
  return AdversarialLoss(
    disc_real=lambda real: 0.5 * jnp.mean((real - (1 - label_smoothing)) ** 2),
    disc_fake=lambda fake: 0.5 * jnp.mean(fake**2),
    gen=lambda fake: 0.5 * jnp.mean((fake - 1.0) ** 2),
    boundary=0.5,
  )


def wasserstein() -> AdversarialLoss:
  """The critic's dual of the Wasserstein-1 distance, negated for descent.

  It is that distance only for a 1-Lipschitz critic: pair it with
  `weight_clip`, a gradient penalty or spectral norm.

  Reference:
    Arjovsky et al., Wasserstein GAN, arXiv 1701.07875, eq. 2 and Algorithm 1.
  """
  return AdversarialLoss(
    disc_real=lambda real: -jnp.mean(real),
    disc_fake=jnp.mean,
    gen=lambda fake: -jnp.mean(fake),
    boundary=None,
  )


def hinge() -> AdversarialLoss:
  """Hinge loss for D with margin 1; G maximises the mean logit.

  Reference:
    Lim and Ye, Geometric GAN, arXiv 1705.02894; Miyato et al., Spectral
    Normalization for GANs, arXiv 1802.05957, eq. 16 and 17.
  """
  return AdversarialLoss(
    disc_real=lambda real: jnp.mean(jax.nn.relu(1.0 - real)),
    disc_fake=lambda fake: jnp.mean(jax.nn.relu(1.0 + fake)),
    gen=lambda fake: -jnp.mean(fake),
  )


def f_gan(f_divergence: str = 'js') -> AdversarialLoss:
  """The variational bound E_p T - E_q f*(T): D raises it, G lowers it.

  At the optimal D the bound is the divergence, see
  gan_jax.theory.f_divergences. The logit is the network's raw output v; the
  reported score is T = g_f(v). G's loss is the part of the bound that depends
  on it, -E_q f*(T), which, like the original GAN's, can saturate.

  Args:
    f_divergence: one of F_DIVERGENCES.

  Reference:
    Nowozin et al., f-GAN, arXiv 1606.00709, eq. 6, Table 2, Algorithm 1.
  """
  row = lookup(F_DIVERGENCES, f_divergence, 'f_divergence')
  return AdversarialLoss(
    disc_real=lambda real: -jnp.mean(row.activation(real)),
    disc_fake=lambda fake: jnp.mean(row.conjugate_of_output(fake)),
    gen=lambda fake: -jnp.mean(row.conjugate_of_output(fake)),
    score=row.activation,
    boundary=row.boundary,
  )


def f_gan_non_saturating(f_divergence: str = 'js') -> AdversarialLoss:
  """D as in `f_gan`; G raises E_q T instead, the paper's practical variant.

  Args:
    f_divergence: one of F_DIVERGENCES.

  Reference:
    Nowozin et al., f-GAN, arXiv 1606.00709, section 3.2.
  """
  loss = f_gan(f_divergence)
  return loss._replace(gen=loss.disc_real)


def per_example(logits: jax.Array) -> jax.Array:
  """`[B, ...]` -> `[B]`: of a map of logits, as a patch D gives, the mean."""
  if logits.ndim == 1:
    return logits
  return logits.mean(tuple(range(1, logits.ndim)))


def accuracies(
  boundary: float | None,
  real_logits: jax.Array,
  fake_logits: jax.Array,
  axis_name: str | None = None,
) -> dict[str, jax.Array]:
  """Shares of real and of fake examples that D puts on the right side.

  Args:
    boundary: of the loss, see `AdversarialLoss`.
    real_logits: `[B, ...]`; of a map of logits the mean counts.
    fake_logits: `[B', ...]`; one on the boundary is called fake.
    axis_name: mapped device axis that shares the batch, or None.
  """
  real_logits, fake_logits = map(per_example, (real_logits, fake_logits))
  if boundary is None:
    boundary = 0.5 * (jnp.mean(real_logits) + jnp.mean(fake_logits))
    if axis_name is not None:
      boundary = jax.lax.pmean(boundary, axis_name)
  return {
    'disc_accuracy_real': jnp.mean(real_logits > boundary),
    'disc_accuracy_fake': jnp.mean(fake_logits <= boundary),
  }


LOSSES: dict[str, Callable[..., AdversarialLoss]] = {
  'minimax': minimax,
  'non_saturating': non_saturating,
  'least_squares': least_squares,
  'wasserstein': wasserstein,
  'hinge': hinge,
  'f_gan': f_gan,
  'f_gan_non_saturating': f_gan_non_saturating,
}

SMOOTHABLE = ('minimax', 'non_saturating', 'least_squares')
WITH_DIVERGENCE = ('f_gan', 'f_gan_non_saturating')


def make_loss(
  name: str, label_smoothing: float = 0.0, f_divergence: str | None = None
) -> AdversarialLoss:
  """Builds a loss by name.

  Args:
    name: one of `LOSSES`.
    label_smoothing: in [0, 1); only losses whose D has a target for real
      images know it.
    f_divergence: for the f-GAN losses, which take `js` for None.

  Raises:
    InputError: an unknown loss or divergence, a smoothing out of range, or
      either for a loss that cannot use it.
  """
  if not 0.0 <= label_smoothing < 1.0:
    raise InputError(f'label_smoothing: {label_smoothing} is not in [0, 1)')
  options = {}
  if label_smoothing:
    options['label_smoothing'] = label_smoothing
    if name not in SMOOTHABLE:
      raise InputError(
        f'label_smoothing: loss {name!r} has no target to smooth; use 0, or '
        f'one of {", ".join(SMOOTHABLE)}'
      )
  if f_divergence is not None:
    options['f_divergence'] = f_divergence
    lookup(F_DIVERGENCES, f_divergence, 'f_divergence')
    if name not in WITH_DIVERGENCE:
      raise InputError(
        f'f_divergence: loss {name!r} has none to choose; leave it out, or '
        f'take one of {", ".join(WITH_DIVERGENCE)}'
      )
  return lookup(LOSSES, name, 'loss')(**options)

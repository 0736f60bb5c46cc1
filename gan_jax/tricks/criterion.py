"""What the players minimise, as functions of all of D's logits.

An `AdversarialLoss` treats every logit alone. A criterion may also compare real
with fake (relativistic losses), exchange some labels, or let G learn from some
fakes only. Without any of these it is the loss, operation by operation.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.losses import AdversarialLoss, per_example
from gan_jax.types import InputError, lookup

RELATIVISTIC = ('none', 'paired', 'average')
# Losses whose part on real logits, f, says something of a difference of logits.
COMPARING = ('non_saturating', 'least_squares', 'hinge')


class Criterion(NamedTuple):
  """Both players' losses.

  Attributes:
    disc: (real logits `[B, ...]`, fake logits `[B, ...]`, keys `[B]`) -> the
      parts of D's loss on real and on fake, whose sum D minimises.
    gen: (real logits or None, fake logits `[B, ...]`, step) -> G's loss.
    sees_real: whether `gen` needs the real logits.
    score: as in `AdversarialLoss`; raw where only differences have a meaning.
    boundary: as in `AdversarialLoss`; None likewise.
  """

  disc: Callable[..., tuple[jax.Array, jax.Array]]
  gen: Callable[..., jax.Array]
  sees_real: bool
  score: Callable[[jax.Array], jax.Array] = lambda logits: logits
  boundary: float | None = None


def _each(mean_loss: Callable) -> Callable[[jax.Array], jax.Array]:
  """A mean over the batch as one of every example, `[B, ...]` -> `[B]`."""
  return jax.vmap(lambda logit: mean_loss(logit[None]))


def relativistic_pairing(loss: AdversarialLoss) -> Criterion:
  """D says how much more real x is than G(z), pair by pair: RpGAN.

      L_D = E f(D(x) - D(G(z)))      L_G = E f(D(G(z)) - D(x))

  f is the loss of a real logit. x and z are paired as they lie in the batch.

  Reference:
    Jolicoeur-Martineau, The relativistic discriminator, arXiv 1807.00734,
    section 4.2 (RpGAN: arXiv 1901.02474, eq. 4); Huang et al., The GAN is
    dead; long live the GAN!, arXiv 2501.05441, eq. 1.
  """

  def disc(real, fake, keys):
    del keys
    return loss.disc_real(real - fake), jnp.zeros(())

  return Criterion(
    disc,
    gen=lambda real, fake, step: loss.disc_real(fake - real),
    sees_real=True,
  )


def relativistic_average(
  loss: AdversarialLoss, axis_name: str | None = None
) -> Criterion:
  """Each logit against the mean of the other side: RaGAN.

      L_D = E f(D(x) - E D(G(z))) + E f(E D(x) - D(G(z))),  L_G with x, G(z)
      exchanged

  f is the loss of a real logit; inner means are of the batch over all devices.
  The paper's loss of a fake's difference y is f(-y): for the cross-entropy and
  the hinge that is the loss of a fake logit, and for least squares (y + 1)^2,
  where a fake logit in the 0-1 coding has y^2.

  Both parts are added up, as in the paper. The author's code takes half of the
  sum: its losses are half of these for the cross-entropy and the hinge, and the
  same for least squares, which have a factor 1/2 here.

  Reference:
    Jolicoeur-Martineau, The relativistic discriminator, arXiv 1807.00734,
    eq. 9, Algorithm 2 and the appendix's RaLSGAN and RaHingeGAN.
  """

  def mean(logits):
    value = jnp.mean(logits)
    return value if axis_name is None else jax.lax.pmean(value, axis_name)

  def disc(real, fake, keys):
    del keys
    return (
      loss.disc_real(real - mean(fake)),
      loss.disc_real(mean(real) - fake),
    )

  return Criterion(
    disc,
    gen=lambda real, fake, step: sum(disc(fake, real, None)),
    sees_real=True,
  )


def flipped(loss: AdversarialLoss, rate: float) -> Callable:
  """D's loss where each label is exchanged with probability `rate`.

  Both real and fake examples, each by a draw of its own; G's loss is as it was.

  Reference:
    Chintala et al., How to train a GAN? Tips and tricks (2016), item 6.
  """
  as_real, as_fake = _each(loss.disc_real), _each(loss.disc_fake)

  def disc(real, fake, keys):
    flips = jax.vmap(lambda key: jax.random.bernoulli(key, rate, (2,)))(keys)
    return (
      jnp.mean(jnp.where(flips[:, 0], as_fake(real), as_real(real))),
      jnp.mean(jnp.where(flips[:, 1], as_real(fake), as_fake(fake))),
    )

  return disc


def top_share(
  loss: AdversarialLoss,
  share: Callable[[jax.Array], jax.Array],
  axis_name: str | None = None,
) -> Callable:
  """G's loss over the fakes with the highest logits, or means of them, alone.

  Args:
    loss: of all fakes.
    share: step -> share of the global batch that is kept; one at least is.
    axis_name: mapped device axis that shares the batch, or None.

  Reference:
    Sinha et al., Top-k Training of GANs, arXiv 2002.06224, Algorithm 1.
  """
  each = _each(loss.gen)

  def gen(real, fake, step):
    del real
    every, index, devices = jax.lax.stop_gradient(per_example(fake)), 0, 1
    if axis_name is not None:
      every = jax.lax.all_gather(every, axis_name, tiled=True)
      index = jax.lax.axis_index(axis_name) * len(fake)
      devices = len(every) // len(fake)
    # Rank in the global batch, equal logits by their places.
    order = jnp.argsort(-every, stable=True)
    ranks = (
      jnp.zeros(len(every), jnp.int32)
      .at[order]
      .set(jnp.arange(len(every), dtype=jnp.int32))
    )
    own = jax.lax.dynamic_slice_in_dim(ranks, index, len(fake))
    kept = jnp.maximum(jnp.ceil(share(step) * len(every)), 1.0)
    return devices * jnp.sum(jnp.where(own < kept, each(fake), 0.0)) / kept

  return gen


def falling_share(final: float, steps: int) -> Callable:
  """Step -> max(final, final ** (step / steps)): from all fakes to a share.

  Args:
    final: share that is kept in the end, nu in the paper.
    steps: of training until then, at least 1.
  """
  return lambda step: jnp.maximum(final, final ** (step / steps))


def make_criterion(
  loss: AdversarialLoss,
  *,
  relativistic: str = 'none',
  label_flip: float = 0.0,
  top_k: Callable[[jax.Array], jax.Array] | None = None,
  axis_name: str | None = None,
) -> Criterion:
  """The criterion of a loss and the tricks that change it.

  Args:
    loss: of gan_jax.losses.
    relativistic: one of `RELATIVISTIC`.
    label_flip: probability that D is told the wrong label.
    top_k: see `top_share`; None for all fakes.
    axis_name: mapped device axis that shares the batch, or None.
  """
  if relativistic == 'paired':
    return relativistic_pairing(loss)
  if relativistic == 'average':
    return relativistic_average(loss, axis_name)
  plain = Criterion(
    disc=lambda real, fake, keys: (loss.disc_real(real), loss.disc_fake(fake)),
    gen=lambda real, fake, step: loss.gen(fake),
    sees_real=False,
    score=loss.score,
    boundary=loss.boundary,
  )
  if label_flip:
    plain = plain._replace(disc=flipped(loss, label_flip))
  if top_k is not None:
    plain = plain._replace(gen=top_share(loss, top_k, axis_name))
  return plain


def check(
  loss: str,
  relativistic: str,
  label_flip: float,
  top_k_share: float,
  label_smoothing: float = 0.0,
) -> None:
  """Refuses values out of range, and what makes no sense together.

  Args:
    loss: its name.
    relativistic: its name.
    label_flip: key tricks.label_flip.
    top_k_share: key tricks.top_k_share.
    label_smoothing: key label_smoothing.

  Raises:
    InputError: the key and the reason.
  """
  lookup(dict.fromkeys(RELATIVISTIC), relativistic, 'tricks.relativistic')
  if not 0.0 <= label_flip < 0.5:
    raise InputError(
      f'tricks.label_flip: {label_flip} is not in [0, .5); at one half D '
      'learns nothing'
    )
  if not 0.0 < top_k_share <= 1.0:
    raise InputError(f'tricks.top_k_share: {top_k_share} is not in (0, 1]')
  if label_flip and loss == 'wasserstein':
    raise InputError(
      f'tricks.label_flip: under loss=wasserstein it only scales the loss by '
      f'1 - 2 * {label_flip}; set it to 0, or take another loss'
    )
  if relativistic == 'none':
    return
  if loss not in COMPARING:
    raise InputError(
      f'tricks.relativistic: {relativistic} compares logits by a loss of one '
      f'real logit, which {loss!r} does not have or is not changed by; take '
      f'loss={", ".join(COMPARING)}'
    )
  if label_smoothing:
    raise InputError(
      f'label_smoothing: {label_smoothing} is one-sided, of real examples in '
      f'the loss of D; under tricks.relativistic={relativistic} both players '
      'have both sides in theirs, and G would be smoothed too; set it to 0, or '
      'tricks.relativistic=none'
    )
  for key, on in (('label_flip', label_flip), ('top_k_share', top_k_share < 1)):
    if on:
      raise InputError(
        f'tricks.{key}: a relativistic loss is of pairs, not of single '
        'examples; set tricks.relativistic=none or leave it out'
      )

"""Terms of a pair that draws what a text says: StackGAN's."""

import jax.numpy as jnp

from gan_jax.losses import AdversarialLoss
from gan_jax.networks.gaussian import kl_to_prior
from gan_jax.tricks.terms import Scene, Side, Term
from gan_jax.types import Players


def conditioning_term(weight: float) -> Term:
  """G's term KL(N(mean, sigma^2) || N(0, I)) of what a text becomes.

  The mean over the dimensions of the vector, and over the batch, in nats.

  Args:
    weight: of the term; 2 in the authors' codes.

  Reference:
    Zhang et al., StackGAN, arXiv 1612.03242, eq. 2, whose sum over dimensions
    is a mean in the authors' codes.
  """

  def value(scene: Scene):
    mean, log_var = scene.gen('conditioning', scene.batch.given)
    return jnp.mean(kl_to_prior(mean, log_var)) / mean.shape[-1]

  return Term('conditioning_kl', weight, value)


def alone_terms(loss: AdversarialLoss) -> Players[tuple[Term, ...]]:
  """The adversarial loss on D's guess `alone`, of images by themselves.

  Args:
    loss: of both players, as on the verdict itself.

  Reference:
    The second stage of the StackGAN authors' PyTorch code; AttnGAN,
    arXiv 1711.10485, eq. 4 and 6.
  """

  def of(side: Side):
    return side.verdict.guesses['alone']

  def of_disc(scene: Scene):
    return loss.disc_real(of(scene.real)) + loss.disc_fake(of(scene.fake))

  return Players(
    gen=(Term('gen_alone_loss', 1.0, lambda s: loss.gen(of(s.fake))),),
    disc=(Term('disc_alone_loss', 1.0, of_disc),),
  )

"""Terms on what D guesses of an image: its class, the codes it was made of."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from gan_jax.tricks.terms import Scene, Side, Term
from gan_jax.types import Players


def class_terms(
  weight: float = 1.0, *, classify_fakes: bool = True
) -> Players[tuple[Term, ...]]:
  """ACGAN: D learns the classes, G draws what D takes for the one asked for.

  Both minimise the mean cross-entropy in nats, -log p(y | x): D of real images
  and of fakes, G of its fakes. At the start it is ln K of K classes. Where
  classes overlap, G shuns what might be of another one (Gong et al., Twin
  Auxiliary Classifiers GAN, arXiv 1907.02690, section 3).

  Args:
    weight: on each cross-entropy.
    classify_fakes: whether D's classifier learns from fakes too, as in the
      paper; without, it is a classifier of real images alone.

  Reference:
    Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs,
    arXiv 1610.09585, eq. 1 and 2 (L_C in both, of real and fake).
  """

  def of(side: Side, scene: Scene) -> jax.Array:
    return jnp.mean(
      optax.softmax_cross_entropy_with_integer_labels(
        side.verdict.guesses['labels'], scene.batch.given['labels']
      )
    )

  of_real = Term('disc_class_loss_real', weight, lambda s: of(s.real, s))
  of_fake = Term('disc_class_loss_fake', weight, lambda s: of(s.fake, s))
  return Players(
    gen=(Term('gen_class_loss', weight, lambda s: of(s.fake, s)),),
    disc=(of_real, of_fake) if classify_fakes else (of_real,),
  )


def code_terms(
  codes: Sequence[int], weight: float = 1.0
) -> Players[tuple[Term, ...]]:
  """InfoGAN: both players minimise -E log q(c | G(z, c)), q being D's guess.

  That is a bound on the mutual information of codes and images, up to a
  constant. q of a code of k values is categorical; of a number it is normal
  about D's guess, with variance 1: (c - guess)^2 / 2.

  Args:
    codes: see gan_jax.sampling.priors.
    weight: lambda of the paper.

  Reference:
    Chen et al., InfoGAN: Interpretable Representation Learning by Information
    Maximizing Generative Adversarial Nets, arXiv 1606.03657, eq. 5 and 6.
  """

  def value(scene: Scene) -> jax.Array:
    guesses = scene.fake.verdict.guesses['codes']
    return code_loss(guesses, scene.latents[:, -sum(codes) :], codes)

  return Players(
    gen=(Term('gen_code_loss', weight, value),),
    disc=(Term('disc_code_loss', weight, value),),
  )


def code_loss(
  guesses: jax.Array, values: jax.Array, codes: Sequence[int]
) -> jax.Array:
  """-log q of each code, summed over codes, the mean over the batch, in nats.

  Of a number without the constant, log(2 pi) / 2.

  Args:
    guesses: logits of the values of a code, or a number, `[B, sum(codes)]`.
    values: of the codes themselves, one-hot or a number, `[B, sum(codes)]`.
    codes: see gan_jax.sampling.priors.
  """
  total, start = 0.0, 0
  for size in codes:
    part = slice(start, start + size)
    guess, value = guesses[:, part], values[:, part]
    if size == 1:
      total += jnp.mean(0.5 * (guess - value) ** 2)
    else:
      total += jnp.mean(optax.softmax_cross_entropy(guess, value))
    start += size
  return total

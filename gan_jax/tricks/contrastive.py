"""InfoNCE: which of a batch's vectors belong to each other."""

import jax
import jax.numpy as jnp
import optax

from gan_jax.tricks.terms import Scene, Side, Term
from gan_jax.types import Players

VECTOR = 128  # numbers of the vectors that D compares
_SCALE = 10.0  # of cosines: a temperature of .1, as in XMC-GAN


def contrastive_terms(weight: float) -> Players[tuple[Term, ...]]:
  """InfoNCE between images and what they are told with, by D's own vectors.

  D learns it of real images; G draws what D finds by it.

  Args:
    weight: of each.

  Reference:
    Zhang et al., Cross-Modal Contrastive Learning for Text-to-Image Generation
    (XMC-GAN), arXiv 2101.04702, eq. 5 and 8: images and sentences alone.
  """

  def of(side: Side, scene: Scene) -> jax.Array:
    guesses = side.verdict.guesses
    vectors = guesses['seen'], guesses['told']
    return contrast(*vectors, _SCALE, scene.axis_name)

  of_real = Term('disc_contrastive_loss', weight, lambda s: of(s.real, s))
  of_fake = Term('gen_contrastive_loss', weight, lambda s: of(s.fake, s))
  return Players(gen=(of_fake,), disc=(of_real,))


def unit(x: jax.Array) -> jax.Array:
  """Vectors `[..., E]` of length 1; one of zeros stays, with a gradient."""
  squared = (x**2).sum(axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(squared + 1e-12)


def info_nce(similarities: jax.Array, axis_name: str | None = None):
  """Mean cross-entropy, in nats, of finding the partner, both ways halved.

  ln N where all of N are alike, 0 where each knows its own without a doubt.

  Args:
    similarities: float32 `[B, N]`, logits of B images and N texts; the i-th
      image belongs to the i-th text of its device.
    axis_name: mapped device axis that shares the batch; then N is that of the
      whole batch, and `similarities` is of this device's images.

  Returns:
    A scalar, the mean over this device's images and texts.

  Reference:
    van den Oord et al., Representation Learning with Contrastive Predictive
    Coding, arXiv 1807.03748, eq. 4; both ways: Radford et al., Learning
    Transferable Visual Models From Natural Language Supervision,
    arXiv 2103.00020, figure 3.
  """
  first, everything = 0, similarities
  if axis_name is not None:
    first = jax.lax.axis_index(axis_name) * len(similarities)
    everything = jax.lax.all_gather(similarities, axis_name, tiled=True)
  own = first + jnp.arange(len(similarities))
  cross_entropy = optax.softmax_cross_entropy_with_integer_labels
  of_images = cross_entropy(similarities, own)
  of_texts = cross_entropy(everything.T[own], own)
  return 0.5 * (of_images.mean() + of_texts.mean())


def contrast(
  images: jax.Array,
  texts: jax.Array,
  scale: jax.Array | float,
  axis_name: str | None = None,
) -> jax.Array:
  """InfoNCE of vectors by their cosines.

  Args:
    images: `[B, E]`.
    texts: `[B, E]`, the i-th of the i-th image.
    scale: of the cosines, 1 / temperature.
    axis_name: see `info_nce`; vectors come together from all devices.
  """
  images, texts = unit(images), unit(texts)
  if axis_name is not None:
    texts = jax.lax.all_gather(texts, axis_name, tiled=True)
  return info_nce(scale * images @ texts.T, axis_name)

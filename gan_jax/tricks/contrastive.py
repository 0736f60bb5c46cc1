"""InfoNCE: which of a batch's vectors belong to each other."""

import jax
import jax.numpy as jnp
import optax


def unit(x: jax.Array) -> jax.Array:
  """Vectors `[..., E]` of length 1; one of zeros stays."""
  lengths = jnp.linalg.norm(x, axis=-1, keepdims=True)
  return x / jnp.maximum(lengths, 1e-12)


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

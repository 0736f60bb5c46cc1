"""How well the discriminator tells real from fake."""

from collections.abc import Callable

import jax
import numpy as np

from gan_jax.losses import accuracies
from gan_jax.pixels import from_uint8
from gan_jax.sampling.batches import batched


def disc_logits(
  discriminate: Callable[[jax.Array, jax.Array | None], jax.Array],
  images: np.ndarray,
  labels: np.ndarray | None = None,
) -> np.ndarray:
  """Logits `[N]` of uint8 images `[N, H, W, C]`, with running statistics."""
  step = jax.jit(
    lambda images, labels: discriminate(from_uint8(images), labels)
  )
  return batched(step, images, labels)


def accuracy(
  real_logits: np.ndarray, fake_logits: np.ndarray, boundary: float | None
) -> dict[str, float]:
  """Shares of real and of fake images that D puts on the right side.

  Args:
    real_logits: `[N]`.
    fake_logits: `[M]`.
    boundary: the logit above which D says "real"; None for the midpoint of
      the two means, see gan_jax.losses.
  """
  shares = accuracies(boundary, real_logits, fake_logits)
  return {name: float(share) for name, share in shares.items()}

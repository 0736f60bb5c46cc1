"""How well the discriminator tells real from fake."""

import numpy as np

from gan_jax.losses import accuracies


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

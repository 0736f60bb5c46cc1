"""What D judges: a list of pairs, of images and what is given with them."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from gan_jax.games.passes import next_in_batch
from gan_jax.types import Given


class Pair(NamedTuple):
  """Something that D judges, and what it is to say of it.

  Attributes:
    make: (real, fake, given, axis_name) -> (images, given), with both as D sees
      them.
    real: whether D is to call it real.
    weight: on D's loss of it.
  """

  make: Callable[..., tuple[jax.Array, Given]]
  real: bool
  weight: float = 1.0


def own_real(real, fake, given, axis_name):
  """A real example and what it was given with."""
  del fake, axis_name
  return real, given


def own_fake(real, fake, given, axis_name):
  """A fake and what G was given."""
  del real, axis_name
  return fake, given


def mismatched(real, fake, given, axis_name):
  """A real example and what its neighbour in the global batch was given."""
  del fake
  return real, next_in_batch(given, axis_name)


def pairs_of(mismatch_weight: float = 0.0) -> tuple[Pair, ...]:
  """What D judges: the real pair, the fake pair, and a wrong one if wanted.

  Args:
    mismatch_weight: m in [0, 1): D's loss is that of the real pair, plus 1 - m
      of the fake pair, plus m of real images with what belongs to another.

  Reference:
    Reed et al., Generative Adversarial Text to Image Synthesis,
    arXiv 1605.05396, Algorithm 1 (GAN-CLS: m = 1/2).
  """
  if not mismatch_weight:
    return Pair(own_real, True), Pair(own_fake, False)
  return (
    Pair(own_real, True),
    Pair(own_fake, False, 1.0 - mismatch_weight),
    Pair(mismatched, False, mismatch_weight),
  )


def weighted(loss: jax.Array, pair: Pair) -> jax.Array:
  """A loss of it, as it is where the weight is 1."""
  return loss if pair.weight == 1.0 else pair.weight * loss

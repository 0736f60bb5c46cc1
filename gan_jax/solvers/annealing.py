"""Values that go from one to another by the step: half a cosine, or a line.

Reference:
  Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
  arXiv 2501.05441, appendix A: gamma, beta2, the half-life of the average and
  the probability of augmentation, all along one.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

Course = Callable[[jax.Array], jax.Array]  # steps made -> value


def cosine(
  start: float | jax.Array, end: float | jax.Array, steps: int
) -> Course:
  """From `start` at step 0 to `end` at `steps`, and from there on."""

  def at(step):
    share = jnp.clip(step / steps, 0.0, 1.0)
    return end + 0.5 * (start - end) * (1.0 + jnp.cos(jnp.pi * share))

  return at


def linear(
  start: float | jax.Array, end: float | jax.Array, steps: int
) -> Course:
  """As `cosine`, along a straight line."""

  def at(step):
    return start + (end - start) * jnp.clip(step / steps, 0.0, 1.0)

  return at


SHAPES: dict[str, Callable[..., Course]] = {'cosine': cosine, 'linear': linear}


def by_half_life(
  start: float, end: float, steps: int, shape: Callable[..., Course] = cosine
) -> Course:
  """The decay of a moving average, whose half-life goes along a course.

  Args:
    start: decay at step 0, in [0, 1); 0 is a half-life of 0: no average.
    end: decay at `steps`.
    steps: of the course.
    shape: of it, one of `SHAPES`.
  """
  life = shape(half_life(start), half_life(end), steps)

  def at(step):
    steps = life(step)
    return jnp.where(steps > 0, 0.5 ** (1.0 / jnp.maximum(steps, 1e-6)), 0.0)

  return at


def half_life(decay: float) -> float:
  """Steps in which an average with this decay forgets a half."""
  return -math.log(2.0) / math.log(decay) if decay > 0 else 0.0

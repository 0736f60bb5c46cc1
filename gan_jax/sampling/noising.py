"""Noise schedules of diffusion models: how an image drowns, step by step.

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise,  t = 0 to T,  abar_0 = 1

Numbers of a schedule are float64 on the host; a compiled program takes them as
constants.

References:
  Ho et al., Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
  Nichol and Dhariwal, Improved Denoising Diffusion Probabilistic Models,
  arXiv 2102.09672.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.types import InputError, lookup

_PUBLISHED = 1_000  # steps that the linear schedule's ends are for
_LARGEST = 0.999  # beta, as both have it
MOST_STEPS = 100_000


def linear(num_steps: int) -> np.ndarray:
  """Betas `[T]` from 1e-4 to .02 in 1,000 steps; the same course in others.

  Reference:
    arXiv 2006.11239, section 4; other T as in the code of arXiv 2102.09672.
  """
  scale = _PUBLISHED / num_steps
  return np.linspace(1e-4 * scale, 0.02 * scale, num_steps)


def cosine(num_steps: int) -> np.ndarray:
  """Betas `[T]` of abar_t = f(t) / f(0), f = cos^2((t/T + s) / (1 + s) pi/2).

  Reference:
    arXiv 2102.09672, eq. 17, s = .008.
  """
  t = np.arange(num_steps + 1) / num_steps
  f = np.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
  return 1.0 - f[1:] / f[:-1]


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {
  'linear': linear,
  'cosine': cosine,
}


class Noising(NamedTuple):
  """A noise schedule.

  Attributes:
    alpha_bars: share of the image's variance after each step, float64
      `[T + 1]`, falling from 1.
  """

  alpha_bars: np.ndarray

  @property
  def num_steps(self) -> int:
    """T."""
    return len(self.alpha_bars) - 1

  def noisy(
    self, images: jax.Array, noise: jax.Array, times: jax.Array
  ) -> jax.Array:
    """x_t `[B, ...]` in one go.

    Args:
      images: x_0 `[B, ...]`.
      noise: N(0, 1), of the same shape.
      times: t int32 `[B]`, from 0 to T.

    Reference:
      arXiv 2006.11239, eq. 4.
    """
    kept, added = (
      jnp.asarray(np.sqrt(x), images.dtype)[times].reshape(
        -1, *[1] * (images.ndim - 1)
      )
      for x in (self.alpha_bars, 1.0 - self.alpha_bars)
    )
    return kept * images + added * noise


def make_noising(schedule: str, num_steps: int) -> Noising:
  """A schedule by name.

  Args:
    schedule: one of `SCHEDULES`.
    num_steps: T.

  Raises:
    InputError: an unknown name, or too few or too many steps.
  """
  make = lookup(SCHEDULES, schedule, 'diffusion.noise_schedule')
  if not isinstance(num_steps, int) or not 2 <= num_steps <= MOST_STEPS:
    raise InputError(
      f'diffusion.noise_steps: {num_steps} is not in 2 to {MOST_STEPS:,}'
    )
  betas = np.minimum(make(num_steps), _LARGEST)
  return Noising(np.concatenate([[1.0], np.cumprod(1.0 - betas)]))


class Posterior(NamedTuple):
  """q(x_s | x_t, x_0) = N(of_clean x_0 + of_noisy x_t, variance), s < t."""

  of_clean: np.ndarray
  of_noisy: np.ndarray
  variance: np.ndarray


def posterior(now: np.ndarray, before: np.ndarray) -> Posterior:
  """What is known of an earlier step from a later one and the image.

  Of steps that are left out too: beta is then that of all between them.

  Args:
    now: abar_t, float64.
    before: abar_s, of the same shape.

  Reference:
    arXiv 2006.11239, eq. 6 and 7; skipped steps: arXiv 2102.09672, eq. 19.
  """
  alpha = now / before
  beta = 1.0 - alpha
  rest = (1.0 - before) / (1.0 - now)
  return Posterior(
    np.sqrt(before) * beta / (1.0 - now), np.sqrt(alpha) * rest, beta * rest
  )

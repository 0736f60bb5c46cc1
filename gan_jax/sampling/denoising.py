"""Samplers of diffusion models: from noise to an image, step by step.

The network says what noise is in x_t, `predict(x, times) -> noise`, and so what
the image is, x_0. Every sampler's step is then the same,

    x_s = of_clean x_0 + of_noisy x_t + deviation N(0, 1),  s < t

with numbers of its own: `SAMPLERS` holds a function of each. It knows neither
the network nor the schedule, which is abar alone.

References:
  Ho et al., Denoising Diffusion Probabilistic Models, arXiv 2006.11239,
  algorithm 2.
  Song et al., Denoising Diffusion Implicit Models, arXiv 2010.02502.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.rng import fold_each
from gan_jax.sampling.noising import Noising, posterior
from gan_jax.types import InputError, lookup

# (x `[B, ...]`, times int32 `[B]`) -> the noise in x.
Predict = Callable[[jax.Array, jax.Array], jax.Array]
ROUNDS = 3  # by which a step back is made exact, see `encode`


class Denoising(NamedTuple):
  """How images are drawn.

  Attributes:
    sampler: one of `SAMPLERS`.
    steps: evaluations of the network for an image, S, T at the most.
    eta: of ddim: 0 adds no noise, 1 as much as the posterior has.
    clip: whether x_0 is kept in [-1, 1], before anything is made of it.
  """

  sampler: str = 'ddim'
  steps: int = 50
  eta: float = 0.0
  clip: bool = True

  @property
  def record(self) -> dict[str, Any]:
    """What a protocol says of it."""
    found = {'sampler': self.sampler, 'sampler_steps': self.steps}
    return found | ({'eta': self.eta} if self.sampler == 'ddim' else {})


class Moves(NamedTuple):
  """The steps of a sampler in order, from t = T on; float64 `[S]` but times.

  Attributes:
    times: t, int32.
    alpha_bars: abar_t.
    of_clean: see above.
    of_noisy: see above.
    deviations: see above; 0 in the last step.
  """

  times: np.ndarray
  alpha_bars: np.ndarray
  of_clean: np.ndarray
  of_noisy: np.ndarray
  deviations: np.ndarray


def ddpm(
  now: np.ndarray, before: np.ndarray, eta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The posterior's mean, and beta as its variance (the authors' fixedlarge).

  Reference:
    arXiv 2006.11239, algorithm 2 and section 3.2.
  """
  del eta
  of_clean, of_noisy, _ = posterior(now, before)
  deviation = np.sqrt(1.0 - now / before)
  return of_clean, of_noisy, np.where(before == 1.0, 0.0, deviation)


def ddim(
  now: np.ndarray, before: np.ndarray, eta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """x_0 and the noise that is there, in the shares of s; and eta's own.

  Reference:
    arXiv 2010.02502, eq. 12 and 16.
  """
  deviation = eta * np.sqrt(posterior(now, before).variance)
  share = np.sqrt((1.0 - before - deviation**2) / (1.0 - now))
  return np.sqrt(before) - share * np.sqrt(now), share, deviation


SAMPLERS = {'ddpm': ddpm, 'ddim': ddim}


def check(denoising: Denoising, num_steps: int) -> Denoising:
  """A way to draw that a schedule of T steps allows.

  Args:
    denoising: asked for.
    num_steps: T.

  Raises:
    InputError: an unknown sampler, more steps than T, or an eta that cannot be.
  """
  sampler, steps, eta, _ = denoising
  lookup(SAMPLERS, sampler, 'denoise.sampler')
  if not isinstance(steps, int) or not 1 <= steps <= num_steps:
    raise InputError(
      f'denoise.steps: {steps} is not in 1 to {num_steps:,}, the steps by '
      'which this run adds noise (diffusion.noise_steps)'
    )
  if not 0.0 <= eta <= 1.0:
    raise InputError(f'denoise.eta: {eta} is not in [0, 1]')
  if eta and sampler != 'ddim':
    raise InputError(
      f'denoise.eta: {eta} is of denoise.sampler=ddim, and {sampler} has its '
      'own noise; leave it out'
    )
  return denoising


def moves(noising: Noising, denoising: Denoising) -> Moves:
  """The steps of a sampler, evenly spaced from T to 1, and from there to 0."""
  spaced = np.linspace(1, noising.num_steps, denoising.steps)
  if denoising.steps == 1:
    spaced = np.array([noising.num_steps])
  times = np.round(spaced).astype(np.int32)[::-1]
  now = noising.alpha_bars[times]
  before = noising.alpha_bars[np.append(times[1:], 0)]
  numbers = SAMPLERS[denoising.sampler](now, before, denoising.eta)
  return Moves(times, now, *numbers)


def denoise(
  predict: Predict,
  noise: jax.Array,
  keys: jax.Array,
  noising: Noising,
  denoising: Denoising,
) -> jax.Array:
  """Images of noise.

  Args:
    predict: the network.
    noise: x_T `[B, H, W, C]`.
    keys: `[B]`, of the noise that each step of an image adds.
    noising: what the network was trained with.
    denoising: how.

  Returns:
    x_0 `[B, H, W, C]`.
  """
  steps = moves(noising, denoising)
  shape = noise.shape[1:]

  def step(x, move: Moves):
    found = predict(x, jnp.full(len(x), move.times, jnp.int32))
    kept, added = jnp.sqrt(move.alpha_bars), jnp.sqrt(1.0 - move.alpha_bars)
    clean = (x - added * found) / kept
    if denoising.clip:
      clean = jnp.clip(clean, -1.0, 1.0)
    x = move.of_clean * clean + move.of_noisy * x
    if steps.deviations.any():
      own = fold_each(keys, move.times)
      drawn = jax.vmap(lambda key: jax.random.normal(key, shape))(own)
      x = x + move.deviations * drawn
    return x, None

  return jax.lax.scan(step, noise, _on_device(steps, noise))[0]


def encode(
  predict: Predict, images: jax.Array, noising: Noising, num_steps: int
) -> jax.Array:
  """The noise x_T of which `ddim` with eta 0 draws these images.

  Each step of the sampler is undone. What it needs is the network's answer at
  where it comes out; the answer at where it starts from is a first guess, and
  is asked for again `ROUNDS` times in all.

  Args:
    predict: the network.
    images: x_0 `[B, H, W, C]`.
    noising: what the network was trained with.
    num_steps: S, of the sampler.

  Reference:
    arXiv 2010.02502, section 4.3, where the first guess is all.
  """
  down = moves(noising, Denoising('ddim', num_steps, clip=False))
  up = Moves(*(x[::-1] for x in down))
  low = np.append(1.0, up.alpha_bars[:-1])

  def step(x, inputs):
    move, before = inputs
    scale = jnp.sqrt(move.alpha_bars / before)
    change = jnp.sqrt(1.0 - move.alpha_bars) - scale * jnp.sqrt(1.0 - before)
    times = jnp.full(len(x), move.times, jnp.int32)

    def closer(_, higher):
      return scale * x + change * predict(higher, times)

    return jax.lax.fori_loop(0, ROUNDS, closer, x), None

  inputs = _on_device(up, images), jnp.asarray(low, images.dtype)
  return jax.lax.scan(step, images, inputs)[0]


def _on_device(steps: Moves, like: jax.Array) -> Moves:
  times, *others = steps
  return Moves(times, *(jnp.asarray(x, like.dtype) for x in others))

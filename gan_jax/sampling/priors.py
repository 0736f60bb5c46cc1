"""What a generator draws its latents from.

Codes are what InfoGAN has beside the noise: a list of sizes. A size k > 1 is a
code of k equally likely values, one-hot; 1 is a number, uniform in [-1, 1].
They are the last sum(codes) of the latents.

A generator that adds noise of its own has the seed of it at the start of the
latents, two whole numbers below 2^24, so that an image is a function of its
latents; see gan_jax.networks.stylegan.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp


def normal(key: jax.Array, latent_dim: int) -> jax.Array:
  """Z ~ N(0, I), `[Z]`."""
  return jax.random.normal(key, (latent_dim,))


def uniform(key: jax.Array, latent_dim: int) -> jax.Array:
  """Z ~ U[-1, 1] in each component, `[Z]`."""
  return jax.random.uniform(key, (latent_dim,), minval=-1.0, maxval=1.0)


_OF_SEEDS = 2**30  # beyond the number of any code
PRIORS: dict[str, Callable[[jax.Array, int], jax.Array]] = {
  'normal': normal,
  'uniform': uniform,
}


def draw_latents(
  keys: jax.Array,
  *,
  prior: str,
  latent_dim: int,
  codes: Sequence[int] = (),
  num_seeds: int = 0,
) -> jax.Array:
  """Latents `[B, Z]`, one for each key `[B]`.

  Args:
    keys: of the examples.
    prior: of the noise, one of `PRIORS`.
    latent_dim: of the noise.
    codes: that come after it; Z is `latent_dim` and all their sizes.
    num_seeds: numbers of a seed, that come before it and count too.
  """
  noise = jax.vmap(lambda key: PRIORS[prior](key, latent_dim))(keys)
  return with_seeds(with_codes(noise, keys, codes), keys, num_seeds)


def with_seeds(latents: jax.Array, keys: jax.Array, num: int) -> jax.Array:
  """`num` numbers drawn by keys `[B]`, before latents `[B, Z]`."""
  if not num:
    return latents

  def draw(key):
    own = jax.random.fold_in(key, _OF_SEEDS)
    return jax.random.randint(own, (num,), 0, 2**24).astype(latents.dtype)

  return jnp.concatenate([jax.vmap(draw)(keys), latents], axis=-1)


def with_codes(
  noise: jax.Array, keys: jax.Array, codes: Sequence[int]
) -> jax.Array:
  """Noise `[B, Z]` and codes drawn by keys `[B]`, `[B, Z + sum(codes)]`."""
  parts = [noise]
  for number, size in enumerate(codes, 1):
    own = jax.vmap(functools.partial(jax.random.fold_in, data=number))(keys)
    if size == 1:
      parts.append(jax.vmap(lambda key: uniform(key, 1))(own))
    else:
      draw = functools.partial(jax.random.randint, shape=(), minval=0)
      values = jax.vmap(functools.partial(draw, maxval=size))(own)
      parts.append(jax.nn.one_hot(values, size))
  return jnp.concatenate(parts, axis=-1) if codes else noise


def truncated_normal(
  keys: jax.Array, *, latent_dim: int, truncation: float
) -> jax.Array:
  """Latents `[B, Z]` ~ N(0, 1) restricted to [-truncation, truncation].

  Values beyond it are drawn again, not moved to it: their variance is 1 - 2 t
  phi(t) / erf(t / sqrt 2), t the truncation and phi the normal density.

  Reference:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, arXiv 1809.11096, section 3.1 (the truncation trick).
  """
  return jax.vmap(
    lambda key: jax.random.truncated_normal(
      key, -truncation, truncation, (latent_dim,)
    )
  )(keys)

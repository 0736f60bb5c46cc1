"""What a generator draws its latents from."""

from collections.abc import Callable

import jax


def normal(key: jax.Array, latent_dim: int) -> jax.Array:
  """Z ~ N(0, I), `[Z]`."""
  return jax.random.normal(key, (latent_dim,))


def uniform(key: jax.Array, latent_dim: int) -> jax.Array:
  """Z ~ U[-1, 1] in each component, `[Z]`."""
  return jax.random.uniform(key, (latent_dim,), minval=-1.0, maxval=1.0)


PRIORS: dict[str, Callable[[jax.Array, int], jax.Array]] = {
  'normal': normal,
  'uniform': uniform,
}


def draw_latents(keys: jax.Array, *, prior: str, latent_dim: int) -> jax.Array:
  """Latents `[B, Z]`, one for each key `[B]`."""
  return jax.vmap(lambda key: PRIORS[prior](key, latent_dim))(keys)


def truncated_normal(
  keys: jax.Array, *, latent_dim: int, truncation: float
) -> jax.Array:
  """Latents `[B, Z]` ~ N(0, 1) restricted to [-truncation, truncation].

  Reference:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, arXiv 1809.11096, section 3.1 (the truncation trick).
  """
  return jax.vmap(
    lambda key: jax.random.truncated_normal(
      key, -truncation, truncation, (latent_dim,)
    )
  )(keys)

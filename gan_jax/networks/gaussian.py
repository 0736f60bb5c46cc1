"""Normal vectors whose mean and variance a network makes."""

import jax
import jax.numpy as jnp


def kl_to_prior(mean: jax.Array, log_var: jax.Array) -> jax.Array:
  """KL(N(mean, e^log_var) || N(0, I)) in nats: `[B, Z]` -> `[B]`, a sum.

  Reference:
    Kingma and Welling, Auto-Encoding Variational Bayes, arXiv 1312.6114,
    appendix B.
  """
  return 0.5 * jnp.sum(mean**2 + jnp.expm1(log_var) - log_var, axis=-1)


def reparameterise(
  mean: jax.Array, log_var: jax.Array, keys: jax.Array
) -> jax.Array:
  """Latents `[B, Z]` of N(mean, e^log_var), differentiable in both.

  Args:
    mean: `[B, Z]`.
    log_var: `[B, Z]`.
    keys: of the examples, `[B]`.

  Reference:
    arXiv 1312.6114, section 2.4.
  """
  noise = jax.vmap(
    lambda key: jax.random.normal(key, mean.shape[1:], mean.dtype)
  )(keys)
  return mean + jnp.exp(0.5 * log_var) * noise

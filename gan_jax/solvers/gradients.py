"""Changes to a player's gradient before its optimizer sees it.

Each is an `optax.GradientTransformation` over the player's own parameters, so
it cannot touch its opponent; put them first in a chain. What they add is the
gradient of a term that no logged loss contains.
"""

import jax
import jax.numpy as jnp
import optax


def historical_averaging(weight: float) -> optax.GradientTransformation:
  """Descends weight * ||theta - mean of theta up to now||^2 as well.

  The mean is over the parameters before every update so far, this one's
  included, and is held fixed.

  Args:
    weight: >= 0.

  Reference:
    Salimans et al., Improved Techniques for Training GANs, arXiv 1606.03498,
    section 3.3.
  """

  def init(params):
    return {
      'mean': jax.tree.map(jnp.zeros_like, params),
      'count': jnp.zeros(()),
    }

  def update(updates, state, params):
    count = state['count'] + 1.0
    mean = jax.tree.map(lambda m, p: m + (p - m) / count, state['mean'], params)
    updates = jax.tree.map(
      lambda u, p, m: u + 2.0 * weight * (p - m), updates, params, mean
    )
    return updates, {'mean': mean, 'count': count}

  return optax.GradientTransformation(init, update)


def orthogonality(kernel: jax.Array) -> jax.Array:
  """||W^T W * (1 - I)||_F^2: squared inner products of different filters.

  Args:
    kernel: `[..., out]`; each filter is one column of W `[N, out]`.
  """
  filters = kernel.reshape(-1, kernel.shape[-1])
  products = filters.T @ filters
  return jnp.sum((products - jnp.diag(jnp.diag(products))) ** 2)


def orthogonal(weight: float) -> optax.GradientTransformation:
  """Descends weight * `orthogonality` of every kernel as well.

  Kernels are those of dense layers and convolutions; tables of embeddings and
  of norms are none. The authors' code adds half of this gradient, so that its
  1e-4 is 5e-5 here.

  Args:
    weight: >= 0; the paper's beta, 1e-4.

  Reference:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, arXiv 1809.11096, eq. 3.
  """

  def update(updates, state, params):
    def add(path, gradient, param):
      if jax.tree_util.keystr(path[-1:]) != "['kernel']":
        return gradient
      return gradient + weight * jax.grad(orthogonality)(param)

    added = jax.tree_util.tree_map_with_path(add, updates, params)
    return added, state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def with_changes(
  optimizer: optax.GradientTransformation,
  *,
  historical_weight: float = 0.0,
  orthogonal_weight: float = 0.0,
  clip_norm: float = 0.0,
) -> optax.GradientTransformation:
  """An optimizer behind those of these changes that are not 0.

  Args:
    optimizer: of one player.
    historical_weight: see `historical_averaging`.
    orthogonal_weight: see `orthogonal`.
    clip_norm: largest norm of the whole gradient, terms above included; longer
      ones are scaled down (Pascanu et al., arXiv 1211.5063, Algorithm 1).
  """
  chain = []
  if historical_weight:
    chain.append(historical_averaging(historical_weight))
  if orthogonal_weight:
    chain.append(orthogonal(orthogonal_weight))
  if clip_norm:
    chain.append(optax.clip_by_global_norm(clip_norm))
  return optax.chain(*chain, optimizer) if chain else optimizer


def for_each(
  optimizer: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """The optimizer of several players at once, each by itself.

  Leaves of parameters, gradients and state lead with an axis of players.
  """

  def update(updates, state, params):
    return jax.vmap(optimizer.update)(updates, state, params)

  return optax.GradientTransformation(jax.vmap(optimizer.init), update)

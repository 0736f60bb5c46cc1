"""Changes to a gradient before its optimizer, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.solvers import gradients
from gan_jax.solvers.optimizers import make_optimizer
from gan_jax.types import InputError
from tests.helpers import assert_close

RNG = np.random.default_rng(0)
PARAMS = {
  'kernel': np.float32(RNG.normal(size=(3, 2, 4))),
  'bias': np.float32(RNG.normal(size=4)),
}
GRADS = jax.tree.map(lambda x: np.float32(RNG.normal(size=x.shape)), PARAMS)


def test_historical_averaging_against_numpy():
  """Three steps of SGD, with the mean kept as a list."""
  weight, rate = 0.3, 0.1
  chain = gradients.with_changes(optax.sgd(rate), historical_weight=weight)
  params, state = PARAMS, chain.init(PARAMS)
  theta = jax.tree.map(np.float64, PARAMS)
  past = []
  for t in range(3):
    grads = jax.tree.map(lambda g, t=t: g * (t + 1), GRADS)
    updates, state = chain.update(grads, state, params)
    params = optax.apply_updates(params, updates)
    past.append(theta)
    mean = jax.tree.map(lambda *x: sum(x) / len(x), *past)
    theta = jax.tree.map(
      lambda p, m, g: p - rate * (g + 2 * weight * (p - m)), theta, mean, grads
    )
    assert_close(params, jax.tree.map(np.float32, theta), 1e-6)


def test_historical_averaging_pulls_back_to_the_mean():
  """Without a gradient, the distance to a fixed past shrinks."""
  chain = gradients.with_changes(optax.sgd(0.1), historical_weight=0.5)
  params, state = jnp.array(0.0), chain.init(jnp.array(0.0))
  _, state = chain.update(jnp.array(0.0), state, params)  # it has been at 0
  updates, _ = chain.update(jnp.array(0.0), state, jnp.array(4.0))
  # mean of (0, 4) is 2: a step of -.1 * 2 * .5 * (4 - 2)
  np.testing.assert_allclose(updates, -0.2, rtol=1e-6)


def test_orthogonal_gradient_is_four_w_times_the_products():
  flat = np.float64(PARAMS['kernel']).reshape(6, 4)
  products = flat.T @ flat
  off = products - np.diag(np.diag(products))
  np.testing.assert_allclose(
    gradients.orthogonality(PARAMS['kernel']), (off**2).sum(), rtol=1e-5
  )
  chain = gradients.orthogonal(0.7)
  updates, _ = chain.update(GRADS, chain.init(PARAMS), PARAMS)
  expected = GRADS['kernel'] + 0.7 * 4 * (flat @ off).reshape(3, 2, 4)
  np.testing.assert_allclose(updates['kernel'], expected, rtol=1e-4)
  np.testing.assert_array_equal(updates['bias'], GRADS['bias'])
  # Tables of embeddings and of norms are no kernels.
  table = {'embedding': PARAMS['kernel'], 'scale': PARAMS['kernel']}
  updates, _ = chain.update(table, chain.init(table), table)
  assert_close(updates, table, 0.0)
  # Filters at right angles pay nothing, whatever their lengths.
  lengths = np.float32(np.eye(6)[:, :4] * [1, 2, 3, 4])
  assert gradients.orthogonality(lengths) == 0


def test_long_gradients_are_cut_to_the_norm():
  norm = np.sqrt(sum((np.float64(g) ** 2).sum() for g in GRADS.values()))
  for limit in (norm / 2, 2 * norm):
    chain = gradients.with_changes(optax.sgd(1.0), clip_norm=limit)
    updates, _ = chain.update(GRADS, chain.init(PARAMS), PARAMS)
    factor = min(1.0, limit / norm)
    expected = jax.tree.map(lambda g, f=factor: -np.float32(f * g), GRADS)
    assert_close(updates, expected, 1e-6)


def test_the_cut_comes_after_the_terms():
  chain = gradients.with_changes(
    optax.sgd(1.0), orthogonal_weight=100.0, clip_norm=0.1
  )
  updates, _ = chain.update(GRADS, chain.init(PARAMS), PARAMS)
  np.testing.assert_allclose(optax.tree.norm(updates), 0.1, rtol=1e-5)


def test_without_changes_an_optimizer_is_itself():
  sgd = optax.sgd(0.1)
  assert gradients.with_changes(sgd) is sgd


def test_several_players_move_each_by_itself():
  """Clipping too is of each one's own norm."""
  chain = gradients.with_changes(optax.adam(0.1), clip_norm=0.5)
  every = gradients.for_each(chain)
  scales = np.float32([0.01, 1.0, 5.0])

  def stacked(tree):
    return jax.tree.map(lambda x: np.stack([s * x for s in scales]), tree)

  params, grads = stacked(PARAMS), stacked(GRADS)
  updates, state = every.update(grads, every.init(params), params)
  updates, _ = every.update(grads, state, params)
  for i in range(3):
    own, own_grads = (
      jax.tree.map(lambda x, i=i: x[i], tree) for tree in (params, grads)
    )
    expected, state = chain.update(own_grads, chain.init(own), own)
    expected, _ = chain.update(own_grads, state, own)
    assert_close(jax.tree.map(lambda x, i=i: x[i], updates), expected, 1e-5)


@pytest.mark.parametrize(
  'name', ['historical_weight', 'orthogonal_weight', 'clip_norm']
)
@pytest.mark.parametrize('value', [-1.0, float('nan'), float('inf')])
def test_weights_out_of_range_are_refused(name, value):
  with pytest.raises(InputError, match=f'gen_optimizer.{name}: '):
    make_optimizer(
      'adam', key='gen_optimizer', learning_rate=1e-3, **{name: value}
    )

"""What a player keeps and nobody averages: pools of images, running styles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.games import Game, Outcome
from gan_jax.solvers import init_state, make_train_step
from gan_jax.types import Players

SGD = Players(optax.sgd(0.1), optax.sgd(0.1))


def pooled_game(axis_name=None):
  """G's pool holds the last batch of all devices; `mean` is a statistic."""

  def init(key):
    del key
    state = {
      'buffers': {'pool': jnp.zeros(4), 'count': jnp.zeros((), jnp.int32)},
      'batch_stats': {'mean': jnp.zeros(())},
    }
    return Players(jnp.ones(()), jnp.ones(())), Players(state, {})

  def gen(params, model_state, batch, key, step):
    del key, step
    pool = batch
    if axis_name is not None:
      pool = jax.lax.all_gather(batch, axis_name, tiled=True)
    state = {
      'buffers': {
        'pool': pool,
        'count': model_state.gen['buffers']['count'] + 1,
      },
      'batch_stats': {'mean': batch.mean()},
    }
    return params.gen * batch.mean(), Outcome(state, {'gen_loss': params.gen})

  def disc(params, model_state, batch, key, step):
    del batch, key, step
    return params.disc, Outcome(model_state.disc, {'disc_loss': params.disc})

  return Game(init, Players(gen=gen, disc=disc))


def steps(axis_name, batch, num=3):
  """States of a training run with a moving average."""
  game = pooled_game(axis_name)
  state = init_state(game, SGD, jax.random.key(0), ema=True)
  step = make_train_step(game, SGD, ema_decay=0.5, axis_name=axis_name)
  for _ in range(num):
    state, _ = step(state, batch[None], jax.random.key(1))
  return state


def test_devices_hold_the_pool_of_one():
  batch = jnp.array([1.0, 2.0, 3.0, 6.0])
  one = steps(None, batch)
  shares = batch.reshape(2, 2)
  two = jax.vmap(functools.partial(steps, 'batch'), axis_name='batch')(shares)
  for state in (one, jax.tree.map(lambda x: x[0], two)):
    own = state.model_state.gen
    np.testing.assert_array_equal(own['buffers']['pool'], batch)
    assert own['buffers']['count'] == 3
    assert own['buffers']['count'].dtype == jnp.int32
    np.testing.assert_allclose(own['batch_stats']['mean'], 3.0)


def test_the_moving_average_has_them_as_they_are():
  ema = steps(None, jnp.array([1.0, 2.0, 3.0, 6.0])).ema['model_state']
  np.testing.assert_array_equal(ema['buffers']['pool'], [1, 2, 3, 6])
  assert ema['buffers']['count'] == 3
  # A statistic is averaged: half of 3, three times, from 0.
  np.testing.assert_allclose(ema['batch_stats']['mean'], 3 * (1 - 0.5**3))

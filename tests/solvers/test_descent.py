"""Games with one player: a coalition of networks, and nobody against it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import solvers
from gan_jax.games import Game, Outcome
from gan_jax.types import Players
from tests.helpers import assert_close

KEY = jax.random.key(0)
CURVATURE = np.array([1.0, 3.0])


def quadratic(noise: float = 0.0) -> Game:
  """sum of c (theta - mean of the batch)^2 / 2, of two players in coalition."""

  def objective(params, model_state, batch, key, step):
    del step
    found = jnp.stack([params.gen['one'], params.gen['other']])
    found += noise * jax.random.normal(key, (2,))
    value = 0.5 * jnp.mean(CURVATURE * (found - batch[:, None]) ** 2) * 2
    seen = {'seen': model_state.gen['seen'] + 1.0}
    return value, Outcome(seen, {'gen_loss': value})

  def init(key):
    del key
    gen = {'one': jnp.asarray(2.0, float), 'other': jnp.asarray(-1.0, float)}
    state = {'seen': jnp.zeros((), float)}
    return Players(gen, {}), Players(state, {})

  return Game(init, Players(objective, None))


def alone(optimizer):
  return Players(gen=optimizer, disc=None)


def steps_of(game, optimizer, num_steps, batch=(0.0,), init=None, **keys):
  """The last state, and (one, other) after each step."""
  step = solvers.make_train_step(
    game, alone(optimizer), solver=solvers.make_solver('descent'), **keys
  )
  state = solvers.init_state(game, alone(optimizer), KEY, **(init or {}))
  play = jax.jit(
    functools.partial(
      solvers.play,
      step,
      num_steps=num_steps,
      draw_batches=lambda key: jnp.asarray(batch, float)[None],
    )
  )
  state, params = play(state, KEY)
  return state, np.stack([params.gen['one'], params.gen['other']], axis=-1)


def test_descent_follows_its_recurrence():
  """Momentum .9 on a quadratic, in float64: theta and velocity by hand."""
  rate, momentum, mean = 0.1, 0.9, 0.5
  theta, velocity, expected = np.array([2.0, -1.0]), np.zeros(2), []
  for _ in range(30):
    velocity = momentum * velocity + CURVATURE * (theta - mean)
    theta = theta - rate * velocity
    expected.append(theta)
  with jax.enable_x64(True):
    game, optimizer = quadratic(), optax.sgd(rate, momentum=momentum)
    state, points = steps_of(game, optimizer, 30, batch=(mean, mean))
  np.testing.assert_allclose(points, expected, rtol=1e-12)
  assert state.step == 30
  assert float(state.model_state.gen['seen']) == 30


def test_nothing_of_a_discriminator_is_there():
  game, optimizer = quadratic(), optax.adam(0.1)
  state, _ = steps_of(game, optimizer, 1, init=dict(ema=True, lookahead=True))
  for field in (state.params, state.opt_state, state.model_state, state.slow):
    assert field.disc == {}
  step = solvers.make_train_step(
    game, alone(optimizer), solver=solvers.make_solver('descent')
  )
  _, metrics = step(state, jnp.zeros((1, 1)), KEY)
  assert set(metrics) == {'gen_loss', 'gen_grad_norm', 'gen_update_ratio'}


def test_the_step_has_its_key_and_the_probe_the_same():
  """No key of D is split off, and the probe sees the step's noise."""
  game, rate = quadratic(noise=1.0), 0.1
  order = dict(fresh_latents=True)
  step = solvers.make_train_step(
    game, alone(optax.sgd(rate)), solver=solvers.make_solver('descent'), **order
  )
  before = solvers.init_state(game, alone(optax.sgd(rate)), KEY)
  after, metrics = step(before, jnp.zeros((1, 1)), KEY)
  noise = np.asarray(jax.random.normal(KEY, (2,)))
  start = np.array([2.0, -1.0])
  there = start - rate * CURVATURE * (start + noise)

  def loss(theta):
    return 0.5 * np.sum(CURVATURE * (theta + noise) ** 2)

  np.testing.assert_allclose(metrics['gen_loss'], loss(start), rtol=1e-6)
  probe = solvers.make_probe(game, **order)(after, jnp.zeros((1, 1)), KEY)
  np.testing.assert_allclose(probe['gen_loss_after'], loss(there), rtol=1e-5)


def test_averages_and_lookahead_are_of_the_one_player():
  rate = 0.1
  _, plain = steps_of(quadratic(), optax.sgd(rate), 2)
  state, _ = steps_of(
    quadratic(), optax.sgd(rate), 2, init=dict(ema=True), ema_decay=0.75
  )
  start = np.array([2.0, -1.0])
  once = 0.75 * start + 0.25 * plain[0]
  expected = 0.75 * once + 0.25 * plain[1]
  average = state.ema['params']
  np.testing.assert_allclose(
    [average['one'], average['other']], expected, rtol=1e-6
  )
  _, points = steps_of(
    quadratic(),
    optax.sgd(rate),
    2,
    init=dict(lookahead=True),
    lookahead=solvers.Lookahead(2, 0.5),
  )
  np.testing.assert_allclose(points[1], (start + plain[1]) / 2, rtol=1e-6)


@pytest.mark.parametrize('part', [1, 2])
def test_parts_of_a_batch_make_the_step_of_the_whole(part):
  batch = (0.1, 0.4, -0.3, 0.2)
  whole, _ = steps_of(quadratic(), optax.sgd(0.1), 3, batch)
  parts, _ = steps_of(quadratic(), optax.sgd(0.1), 3, batch, micro_batch=part)
  assert_close(parts.params, whole.params, 1e-6)
  # Each part leaves its mark on the model state, one after the other.
  assert parts.model_state.gen['seen'] == 3 * 4 / part

"""Optimizers and schedules by name, against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.solvers.optimizers import (
  OPTIMIZERS,
  SCHEDULES,
  make_optimizer,
  weight_clipping,
)
from gan_jax.types import InputError

PARAMS = np.array([1.0, -0.5, 2.0], np.float32)


def path(optimizer, num, gradient=lambda params: 2 * params, start=PARAMS):
  """Parameters after each of `num` updates, `[num, P]`; descends |x|^2."""

  def update(carry, _):
    params, state = carry
    updates, state = optimizer.update(gradient(params), state, params)
    params = optax.apply_updates(params, updates)
    return (params, state), params

  @jax.jit
  def run(start):
    carry = (start, optimizer.init(start))
    return jax.lax.scan(update, carry, length=num)[1]

  return np.asarray(run(jnp.asarray(start)))


def rates(num, **schedule):
  """The first `num` learning rates of sgd: its steps up a slope of -1."""
  optimizer = make_optimizer('sgd', **schedule)
  points = path(optimizer, num, jnp.negative, np.ones(1, np.float32))[:, 0]
  points = np.concatenate([[1.0], points.astype(np.float64)])
  return points[1:] / points[:-1] - 1.0


@pytest.mark.parametrize('name', sorted(OPTIMIZERS))
def test_names_are_those_of_optax(name):
  ours = path(make_optimizer(name, learning_rate=0.05), 10)
  theirs = path(getattr(optax, name)(0.05), 10)
  np.testing.assert_allclose(ours, theirs, rtol=1e-5)
  assert (ours[-1] ** 2).sum() < (PARAMS**2).sum()


def test_the_usual_names_are_there():
  assert {'adam', 'adamw', 'rmsprop', 'sgd'} <= set(OPTIMIZERS)
  names = {'constant', 'linear', 'linear_late', 'exponential', 'cosine'}
  assert set(SCHEDULES) == names


@pytest.mark.parametrize('player', ['gen_optimizer', 'disc_optimizer'])
def test_unknown_names(player):
  with pytest.raises(InputError, match=f'{player}.name: .*adm.*adam') as error:
    make_optimizer('adm', learning_rate=0.1, key=player)
  assert all(name in str(error.value) for name in OPTIMIZERS)
  with pytest.raises(InputError, match=f'{player}.schedule: .*step') as error:
    make_optimizer('adam', learning_rate=0.1, schedule='step', key=player)
  assert all(name in str(error.value) for name in SCHEDULES)


@pytest.mark.parametrize(
  'rate',
  [
    0.0,
    -1e-3,
    float('nan'),
  ],
)
def test_learning_rate_is_above_zero(rate):
  with pytest.raises(InputError, match=f'learning_rate: {rate} .*above 0'):
    make_optimizer('adam', learning_rate=rate, key='gen_optimizer')


@pytest.mark.parametrize('steps', [0, -1])
def test_schedules_take_a_step_at_least(steps):
  with pytest.raises(InputError, match=rf'decay_steps: {steps} .*at least 1'):
    make_optimizer('adam', learning_rate=0.1, decay_steps=steps)


@pytest.mark.parametrize('decay_rate', [0.0, -1.0])
def test_exponential_decay_needs_a_rate_above_zero(decay_rate):
  with pytest.raises(InputError, match='decay_rate'):
    make_optimizer(
      'sgd', learning_rate=1.0, schedule='exponential', decay_rate=decay_rate
    )


def test_unknown_hyperparameter():
  keys = dict(learning_rate=0.1, key='gen_optimizer', momentum=None)
  with pytest.raises(InputError, match=r'optimizer\.b1: sgd .* momentum$'):
    make_optimizer('sgd', b1=0.5, **keys)
  with pytest.raises(InputError, match=r'b1: adadelta .* none of them$'):
    make_optimizer('adadelta', b1=0.5, learning_rate=0.1)


def numpy_adam(rate, b1, b2, num, eps=1e-8):
  """Kingma and Ba, arXiv 1412.6980, Algorithm 1, in float64."""
  x = PARAMS.astype(np.float64)
  m, v, points = 0.0, 0.0, []
  for t in range(1, num + 1):
    g = 2 * x
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    x = x - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    points.append(x)
  return np.array(points)


@pytest.mark.parametrize(
  ('given', 'used'),
  [
    ({}, (0.9, 0.999)),
    ({'b1': None, 'b2': None, 'eps': None}, (0.9, 0.999)),
    ({'b1': 0.5}, (0.5, 0.999)),
    ({'b1': 0.0, 'b2': 0.9}, (0.0, 0.9)),
  ],
)
def test_adam(given, used):
  b1, b2 = used
  ours = path(make_optimizer('adam', learning_rate=0.1, **given), 3)
  np.testing.assert_array_equal(ours, path(optax.adam(0.1, b1=b1, b2=b2), 3))
  # Bias correction divides by 1 - b2 ** t, known to 6e-8 / 1e-3 in float32.
  np.testing.assert_allclose(ours, numpy_adam(0.1, b1, b2, 3), rtol=1e-4)


def fraction(schedule, progress, decay_rate):
  """The share of the initial rate at `progress` = step / decay_steps."""
  done = np.minimum(progress, 1.0)
  late = np.maximum(0.0, (done - 0.4) / 0.6)  # 5 steps, of which 2 are half
  return {
    'constant': np.ones_like(progress),
    'linear': 1 - (1 - decay_rate) * done,
    'linear_late': 1 - (1 - decay_rate) * late,
    'exponential': decay_rate**progress,
    'cosine': decay_rate + (1 - decay_rate) * (1 + np.cos(np.pi * done)) / 2,
  }[schedule]


@pytest.mark.parametrize('updates_per_step', [1, 3])
@pytest.mark.parametrize('schedule', sorted(SCHEDULES))
def test_schedules(schedule, updates_per_step):
  """D moves more often than G, and both rates fall over the same time."""
  steps, decay_steps, decay_rate = 7, 5, 0.25
  seen = rates(
    steps * updates_per_step,
    learning_rate=0.5,
    schedule=schedule,
    decay_steps=decay_steps,
    decay_rate=decay_rate,
    updates_per_step=updates_per_step,
  )
  time = np.arange(steps * updates_per_step) / updates_per_step
  expected = 0.5 * fraction(schedule, time / decay_steps, decay_rate)
  np.testing.assert_allclose(seen, expected, rtol=1e-5)
  reached = seen[decay_steps * updates_per_step]
  goal = 0.5 if schedule == 'constant' else 0.125
  np.testing.assert_allclose(reached, goal, rtol=1e-5)


def clipped(name, limit, **keys):
  return optax.chain(make_optimizer(name, **keys), weight_clipping(limit))


def test_weight_clip():
  """The last thing done to an update, whatever the optimizer."""
  sgd = clipped('sgd', 0.75, learning_rate=1.0)
  [after] = path(sgd, 1, lambda params: -jnp.ones_like(params))
  np.testing.assert_allclose(after, [0.75, 0.5, 0.75], rtol=1e-6)
  adam = clipped('adam', 0.75, learning_rate=0.3, b1=0.5)
  points = path(adam, 6)
  np.testing.assert_allclose(points[0], [0.7, -0.2, 0.75], rtol=1e-5)
  assert np.abs(points).max() <= 0.75 * (1 + 1e-6)


@pytest.mark.parametrize('updates_per_step', [1, 2])
def test_a_rate_warms_up_to_its_schedule(updates_per_step):
  """By (t + 1) / 4 of it in training step t, then as without."""
  optimizer = make_optimizer(
    'sgd',
    learning_rate=0.5,
    schedule='linear',
    decay_steps=10,
    warmup_steps=4,
    updates_per_step=updates_per_step,
  )
  state, seen = optimizer.init(jnp.zeros(())), []
  for _ in range(6 * updates_per_step):
    update, state = optimizer.update(jnp.ones(()), state)
    seen.append(-float(update))
  times = np.arange(6 * updates_per_step) / updates_per_step
  shares = np.minimum(1.0, (times + 1) / 4)
  np.testing.assert_allclose(seen, 0.5 * (1 - times / 10) * shares, rtol=1e-5)


def test_a_warm_up_backwards_is_refused():
  with pytest.raises(InputError, match='warmup_steps: -1 is negative'):
    make_optimizer('adam', learning_rate=0.1, warmup_steps=-1)

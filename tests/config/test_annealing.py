"""Values along one cosine: of the penalty, the average, b2, augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.config import annealing
from gan_jax.config import plan as plans
from gan_jax.config.build import build
from gan_jax.solvers.annealing import by_half_life, cosine, half_life, linear
from gan_jax.solvers.optimizers import make_optimizer
from gan_jax.types import InputError
from tests.helpers import (
  assert_close,
  fake_batch,
  fake_info,
  stack_draws,
  tiny_digits,
)

KEY = jax.random.key(0)


def test_half_a_cosine_and_from_there_on():
  course = cosine(2.0, 0.5, 8)
  found = [float(course(jnp.int32(step))) for step in (0, 2, 4, 8, 20)]
  quarter = 0.5 + 1.5 * (1 + np.cos(np.pi / 4)) / 2
  np.testing.assert_allclose(found, [2, quarter, 1.25, 0.5, 0.5], rtol=1e-6)


def test_half_lives_go_along_it_and_not_decays():
  """From none to .99, half-life 68.97; in the middle half of that."""
  course = by_half_life(0.0, 0.99, 10)
  assert course(jnp.int32(0)) == 0.0
  middle = 0.5 ** (2 / half_life(0.99))
  np.testing.assert_allclose(course(jnp.int32(5)), middle, rtol=1e-5)
  np.testing.assert_allclose(course(jnp.int32(10)), 0.99, rtol=1e-6)
  np.testing.assert_allclose(half_life(0.5), 1.0)


def test_b2_of_adam_follows_it():
  """Against Adam by hand, whose bias correction goes by the b2 of now."""
  course = cosine(0.9, 0.99, 6)
  optimizer = make_optimizer(
    'adam', learning_rate=0.1, b1=0.0, b2=0.9, eps=1e-8, courses={'b2': course}
  )
  params = jnp.array([1.0, -2.0])
  state, second = optimizer.init(params), np.zeros(2)
  for step in range(8):
    gradient = jnp.array([0.3 + step, -0.1 * step])
    update, state = optimizer.update(gradient, state, params)
    b2 = float(course(step))
    second = b2 * second + (1 - b2) * np.float64(gradient) ** 2
    unbiased = second / (1 - b2 ** (step + 1))
    expected = -0.1 * np.float64(gradient) / (np.sqrt(unbiased) + 1e-8)
    np.testing.assert_allclose(update, expected, rtol=2e-4, err_msg=step)


def test_momentum_of_sgd_follows_a_line():
  """Against the sum by hand: half of the way in the middle, then the end."""
  course = linear(0.5, 0.7, 4)
  found = [float(course(jnp.int32(step))) for step in (0, 1, 2, 4, 9)]
  np.testing.assert_allclose(found, [0.5, 0.55, 0.6, 0.7, 0.7], rtol=1e-6)
  optimizer = make_optimizer(
    *('sgd',), learning_rate=0.1, momentum=0.5, courses={'momentum': course}
  )
  params = jnp.array([1.0, -2.0])
  state, velocity = optimizer.init(params), np.zeros(2)
  for step in range(6):
    gradient = jnp.array([0.3 + step, -0.1 * step])
    update, state = optimizer.update(gradient, state, params)
    velocity = float(course(step)) * velocity + np.float64(gradient)
    np.testing.assert_allclose(update, -0.1 * velocity, rtol=1e-5)


def test_the_shape_is_that_of_all_courses():
  keys = dict(penalty='r1', penalty_weight=4.0, penalty_weight_end=2.0)
  keys |= dict(ema_decay_end=0.99, anneal_steps=8, anneal_shape='linear')
  config = tiny_digits(**keys)
  assert annealing.penalty_weight(config)(2) == 3.5
  quarter = 0.5 ** (4 / half_life(0.99))
  np.testing.assert_allclose(annealing.ema_decay(config)(2), quarter, rtol=1e-5)


def state_after(steps, **keys):
  """Of a tiny run by hand, with what its last step logged."""
  model = build(tiny_digits(**keys), fake_info())
  step, state = jax.jit(model.train_step), model.init(KEY)
  for t in range(steps):
    batches = stack_draws(fake_batch(seed=t))
    state, metrics = step(state, batches, jax.random.key(t))
  return state, metrics


@pytest.mark.slow
def test_the_penalty_weighs_as_much_as_the_step_says():
  """One step from the same state is that of a constant weight."""
  keys = dict(penalty='r1', penalty_weight=2.0, num_steps=8)
  config = tiny_digits(**keys, penalty_weight_end=0.5)
  weight = annealing.penalty_weight(config)
  models = {
    step: build(
      tiny_digits(**keys | dict(penalty_weight=float(weight(step)))),
      fake_info(),
    )
    for step in (0, 5)
  }
  annealed = build(config, fake_info())
  state, batches = annealed.init(KEY), stack_draws(fake_batch())
  for step, model in models.items():
    at = state._replace(step=jnp.int32(step))
    ours, theirs = (
      jax.jit(m.train_step)(at, batches, KEY)[0] for m in (annealed, model)
    )
    assert_close(ours.params, theirs.params, 1e-6)


@pytest.mark.slow
def test_an_average_from_none_is_g_at_first():
  keys = dict(num_steps=40, ema_decay_end=0.9)
  state, _ = state_after(1, **keys)
  assert_close(state.ema['params'], state.params.gen, 1e-7)
  state, _ = state_after(3, **keys)
  gap = optax.tree.norm(optax.tree.sub(state.ema['params'], state.params.gen))
  assert gap > 0


@pytest.mark.slow
def test_adas_probability_is_the_courses():
  """Of two updates of D a step, each of which counts a half."""
  keys = dict(tricks__augment='ada', tricks__augment_end=0.6, anneal_steps=4)
  model = build(tiny_digits(**keys, disc_steps=2), fake_info())
  step, state = jax.jit(model.train_step), model.init(KEY)
  course, found = cosine(0.0, 0.6, 4), []
  for t in range(6):
    batches = stack_draws(fake_batch(seed=t), fake_batch(seed=t + 9))
    state, _ = step(state, batches, jax.random.key(t))
    memory = state.model_state.disc['memory']['adaptive']
    found.append(float(memory['probability']))
  expected = [float(course(t + 1)) for t in range(6)]
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_course_needs_no_sign_of_d():
  """R3GAN's: the logits of real and fake are compared, not told apart."""
  keys = dict(tricks__augment='ada', tricks__relativistic='paired')
  with pytest.raises(InputError, match=r'or set tricks\.augment_end'):
    plans.read(tiny_digits(**keys))
  plans.read(tiny_digits(**keys, tricks__augment_end=0.5))


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(anneal_steps=-1), 'anneal_steps: -1 is negative'),
    (dict(anneal_steps=5), r'anneal_steps: 5 takes nothing .*b2_end'),
    (dict(penalty_weight_end=1.0), 'penalty_weight_end: 1.0 is of a penalty'),
    (
      dict(penalty='r1', penalty_weight_end=-1.0),
      r'penalty_weight_end: -1.0 is not in \[0, inf\)',
    ),
    (dict(ema_decay_end=1.0), r'ema_decay_end: 1.0 is not in \[0, 1\)'),
    (dict(b2_end=0.99, gen_optimizer__b2=None), 'b2_end: .*gen_optimizer.b2'),
    (dict(b2_end=1.5), r'b2_end: 1.5 is not in \[0, 1\)'),
    (dict(momentum_end=0.7), r'momentum_end: 0.7 .*gen_optimizer\.momentum'),
    (dict(anneal_shape='step'), "anneal_shape: unknown name 'step'.*linear"),
    (dict(tricks__augment_end=0.5), 'tricks.augment_end: .*augment=none'),
  ],
)
def test_an_end_that_nothing_goes_to_is_one_line(keys, says):
  with pytest.raises(InputError, match=says) as caught:
    plans.read(tiny_digits(**keys))
  assert '\n' not in str(caught.value)

"""Gradients added up over parts of a batch are those of the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config import build as build_lib
from gan_jax.devices import shares
from gan_jax.modes.train import train
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  TWO_PLAYERS,
  assert_close,
  fake_batch,
  fake_info,
  run_cli,
  sampled,
  stack_draws,
  tiny_digits,
  tiny_flags,
)


def model_of(**keys):
  return build_lib.build(tiny_digits(**SGD | keys), fake_info())


def step_and_look(model, num_draws=1):
  """One step from the same start, and the probe behind it."""
  state = jax.jit(model.init)(jax.random.key(0))
  batches = stack_draws(*[fake_batch(12, seed=i) for i in range(num_draws)])
  key = jax.random.key(1)
  state, metrics = jax.jit(model.train_step)(state, batches, key)
  return state, metrics | jax.jit(model.probe)(state, batches, key)


# Parts are made in one place for all solvers.
@pytest.mark.parametrize('solver', sampled(TWO_PLAYERS, 'alternating'))
def test_parts_make_the_step_of_the_whole(solver):
  keys = dict(
    solver=solver,
    disc_steps=2,
    penalty='r1' if solver == 'alternating' else 'none',
    network__disc_norm='layer',
    unroll_steps=1 if solver == 'unrolled' else None,
  )
  whole = step_and_look(model_of(**keys), 2)
  parts = step_and_look(model_of(**keys, micro_batch=4), 2)
  assert_close(parts, whole, 1e-5)


@pytest.mark.slow
def test_batch_statistics_are_of_each_part():
  """As where parts are all there is, one after the other."""
  keys = dict(network__gen_norm='batch', network__disc_norm='batch')
  model = model_of(**keys, micro_batch=4)
  state = jax.jit(model.init)(jax.random.key(0))
  batch, key = fake_batch(12), jax.random.key(1)
  gradient = jax.jit(
    lambda state: training_moves(model, 4).gradient('disc', state, batch, key)
  )(state)

  expected, own = [], state
  for i in range(3):
    part = jax.tree.map(lambda x, i=i: x[4 * i : 4 * i + 4], batch)
    one = training_moves(model, 0).gradient('disc', own, part, key)
    expected.append((one.grads, one.metrics))
    own = own._replace(
      model_state=own.model_state._replace(disc=one.model_state)
    )
  mean = jax.tree.map(lambda *x: jnp.mean(jnp.stack(x), 0), *expected)
  assert_close((gradient.grads, gradient.metrics), mean, 1e-4)
  assert_close(gradient.model_state, own.model_state.disc, 1e-5)


def training_moves(model, micro_batch):
  from gan_jax.solvers.moves import Moves

  return Moves(model.game, model.optimizers, micro_batch=micro_batch)


def test_all_at_once_is_the_program_it_was():
  programs = []
  for micro_batch in (0, 12):
    model = model_of(micro_batch=micro_batch)
    state = jax.eval_shape(model.init, jax.random.key(0))
    given = state, stack_draws(fake_batch(12)), jax.random.key(1)
    programs.append(str(jax.make_jaxpr(model.train_step)(*given)))
  assert programs[0] == programs[1]


def test_parts_take_less_memory():
  plans = []
  for micro_batch in (0, 16):
    model = model_of(
      micro_batch=micro_batch,
      network__name='dcgan',
      network__gen_widths=None,
      network__disc_widths=None,
      network__gen_width=16,
      network__disc_width=16,
      network__depth=1,
    )
    state = jax.eval_shape(model.init, jax.random.key(0))
    batches = stack_draws(fake_batch(256))
    lowered = jax.jit(model.train_step).lower(state, batches, jax.random.key(1))
    plans.append(lowered.compile().memory_analysis().temp_size_in_bytes)
  assert plans[1] < plans[0] / 4


@pytest.mark.slow  # two whole runs
def test_two_devices_take_parts_of_their_shares(tmp_path):
  states = []
  for num_devices, micro_batch in ((1, 0), (2, 2)):
    workdir = tmp_path / str(num_devices)
    train(
      tiny_digits(
        **SGD,
        num_steps=8,
        num_devices=num_devices,
        micro_batch=micro_batch,
      ),
      workdir,
    )
    states.append(restore(workdir).state)
  assert_close(states[0], states[1], 1e-5)


@pytest.mark.parametrize(
  ('micro_batch', 'share', 'words'),
  [
    (24, 64, 'micro_batch: 24 does not divide the 64 images .* 16 or 32'),
    (128, 64, 'micro_batch: 128 .* take 64 or 32'),
    (2, 1, 'micro_batch: 2 is more than the 1 image'),
    (-1, 64, 'micro_batch: -1 is not at least 0'),
  ],
)
def test_parts_that_do_not_divide_are_refused(micro_batch, share, words):
  with pytest.raises(InputError, match=words):
    shares.check_micro_batch(micro_batch, share)


def test_parts_that_divide_are_taken():
  for micro_batch in (0, 1, 32, 64):
    shares.check_micro_batch(micro_batch, 64)


@pytest.mark.slow
def test_the_command_line_says_so_in_one_line(tmp_path):
  done = run_cli(*tiny_flags(tmp_path / 'run', batch_size=8, micro_batch=3))
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert line.startswith('error: micro_batch: 3 does not divide the 8 images')
  np.testing.assert_equal((tmp_path / 'run' / 'checkpoints').exists(), False)

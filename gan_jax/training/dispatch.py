"""Several training steps as one compiled program."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.config.build import Model
from gan_jax.data.feeds import Draw
from gan_jax.rng import unrolled
from gan_jax.training.runs import Run
from gan_jax.types import TrainState

WATCHED = ('_loss', '_grad_norm')  # metrics that have to be finite


def make_dispatch(
  model: Model, decode: Callable[..., Any]
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Several training steps as one pure function.

  Args:
    model: whose `train_step` to repeat.
    decode: `(resident, draw, key) -> Batch`, of a feed.

  Returns:
    dispatch(state, (resident, root_key), draws) -> (state, metrics): draws
    lead with [S, K] for S steps of K D updates; metrics are the last step's,
    or those of the first one in which a loss or a gradient was not finite:
    `bad_step` is the number of that step, from 1 on, and 0 without one. What
    costs much is worked out of the last step alone, see
    `gan_jax.solvers.make_train_step`. Step t takes its randomness from
    fold_in(root_key, t) alone.
  """

  def dispatch(state, constants, draws):
    resident, root_key = constants
    root_key = unrolled(root_key)

    def inputs_of(step, draw):
      data_key, step_key = jax.random.split(jax.random.fold_in(root_key, step))
      data_keys = jax.random.split(data_key, len(draw['positions']))
      batches = jax.vmap(decode, in_axes=(None, 0, 0))(
        resident, draw, data_keys
      )
      return batches, step_key

    def one_step(state, inputs):
      draw, last = inputs
      given = inputs_of(state.step, draw)
      return model.train_step(state, *given, report=last)

    num = len(jax.tree.leaves(draws)[0])
    last = jnp.arange(num) == num - 1
    state, metrics = jax.lax.scan(one_step, state, (draws, last))
    last_draw = jax.tree.map(lambda x: x[-1], draws)
    after = model.probe(state, *inputs_of(state.step - 1, last_draw))
    # Losses and norms are there anyhow, so this costs a few additions.
    watched = [x for name, x in metrics.items() if name.endswith(WATCHED)]
    bad = ~jnp.isfinite(sum(watched, jnp.zeros(num)))
    first = jnp.where(bad.any(), jnp.argmax(bad), num - 1)
    metrics = jax.tree.map(lambda x: x[first], metrics) | after
    number = state.step - num + 1 + first
    return state, metrics | {'bad_step': jnp.where(bad.any(), number, 0)}

  return dispatch


def compile_dispatch(
  run: Run,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """The dispatch of a run, on its devices; all members at once.

  Returns:
    dispatch(state, draws) -> (state, metrics); the state is donated.
  """

  def make(swept):
    model = run.model
    if swept:
      axis = run.ensemble.axis_name(run.devices)
      model = run.plan.build(run.info, axis_name=axis, swept=swept)
    return make_dispatch(model, run.feed.decode)

  dispatch = run.ensemble.compile(make, run.devices)
  _, root_key = run.ensemble.keys()
  constants = run.ensemble.constants(run.feed.resident, root_key, run.devices)
  return lambda state, draws: dispatch(state, constants, draws)


def take_draws(draws: Iterator[Draw], steps: int, disc_steps: int) -> Draw:
  """The next `steps * disc_steps` draws, leaves `[S, K, B, ...]`."""
  taken = [next(draws) for _ in range(steps * disc_steps)]
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *taken)
  return jax.tree.map(
    lambda x: x.reshape(steps, disc_steps, *x.shape[1:]), stacked
  )

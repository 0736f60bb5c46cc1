"""A whole game in one compiled program, for games that need no data feed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.solvers.step import Step
from gan_jax.types import TrainState


def play(
  train_step: Step,
  state: TrainState,
  key: jax.Array,
  num_steps: int,
  *,
  draw_batches: Callable[[jax.Array], Any] = lambda key: jnp.zeros(1),
  record: Callable[[TrainState, Any], Any] = lambda state, metrics: (
    state.params
  ),
  record_every: int = 1,
) -> tuple[TrainState, Any]:
  """Makes `num_steps` training steps under `lax.scan`; can be jitted, vmapped.

  Args:
    train_step: see `make_train_step`.
    state: to begin with.
    key: step t takes its randomness from fold_in(key, t), t = state.step.
    num_steps: a multiple of `record_every`.
    draw_batches: key -> batches of one step, with the leading axis
      `disc_steps`; by default the zero that a game without data ignores.
    record: (state, metrics of its last step) -> what to keep.
    record_every: steps from one record to the next.

  Returns:
    The last state, and the records on a new leading axis
    `[num_steps / record_every]`.
  """
  if num_steps % record_every:
    raise ValueError(
      f'num_steps: {num_steps} is no multiple of record_every={record_every}'
    )

  def one_step(state, _):
    data_key, step_key = jax.random.split(jax.random.fold_in(key, state.step))
    return train_step(state, draw_batches(data_key), step_key)

  def until_record(state, _):
    state, metrics = jax.lax.scan(one_step, state, length=record_every)
    return state, record(state, jax.tree.map(lambda x: x[-1], metrics))

  return jax.lax.scan(until_record, state, length=num_steps // record_every)

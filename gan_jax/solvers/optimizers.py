"""Optimizers and learning-rate schedules by name, all of them optax's.

Where these differ from PyTorch's of the same name:

- rmsprop has eps inside the root, PyTorch beside it: with the default 1e-8 the
  root is 1e-4 at least. eps=1e-16 acts about as PyTorch's 1e-8. The default
  decay is .9, PyTorch's alpha .99.
- adagrad's sum of squares starts at .1, PyTorch's at 0; its eps, 1e-7, is
  inside the root, PyTorch's 1e-10 beside it.
- amsgrad takes the largest second moment after bias correction, PyTorch before
  it.
"""

import inspect
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from gan_jax.solvers.annealing import Course
from gan_jax.solvers.gradients import with_changes
from gan_jax.types import InputError, lookup

_NAMES = (
  ('adabelief', 'adadelta', 'adagrad', 'adam', 'adamax', 'adamw', 'amsgrad')
  + ('lamb', 'lion', 'nadam', 'novograd', 'optimistic_adam_v2', 'radam')
  + ('rmsprop', 'sgd', 'yogi')
)
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
  name: getattr(optax, name) for name in _NAMES
}


def constant(learning_rate: float, decay_steps: int, decay_rate: float):
  """The same rate throughout."""
  del decay_steps, decay_rate
  return optax.constant_schedule(learning_rate)


def exponential(learning_rate: float, decay_steps: int, decay_rate: float):
  """learning_rate * decay_rate ** (step / decay_steps), continuous."""
  return optax.exponential_decay(learning_rate, decay_steps, decay_rate)


def cosine(learning_rate: float, decay_steps: int, decay_rate: float):
  """Half a cosine down to `decay_rate` * learning_rate at `decay_steps`."""
  return optax.cosine_decay_schedule(learning_rate, decay_steps, decay_rate)


def linear(learning_rate: float, decay_steps: int, decay_rate: float):
  """A straight line down to `decay_rate` * learning_rate at `decay_steps`."""
  end = decay_rate * learning_rate
  return optax.linear_schedule(learning_rate, end, decay_steps)


def linear_late(learning_rate: float, decay_steps: int, decay_rate: float):
  """The same rate up to half of `decay_steps`, then `linear` in the other."""
  half = decay_steps // 2
  late = linear(learning_rate, max(1, decay_steps - half), decay_rate)
  return optax.join_schedules(
    [optax.constant_schedule(learning_rate), late], [half]
  )


SCHEDULES = {
  'constant': constant,
  'exponential': exponential,
  'cosine': cosine,
  'linear': linear,
  'linear_late': linear_late,
}


def weight_clipping(limit: float) -> optax.GradientTransformation:
  """Keeps every parameter in [-limit, limit] after its update.

  Put it last in a chain: it shortens the update so that parameters end inside
  the box, up to the rounding of one float32 addition.

  Reference:
    Arjovsky et al., Wasserstein GAN, arXiv 1701.07875, Algorithm 1 (c = .01).
  """

  def update(updates, state, params):
    def clip(update, param):
      inside = jnp.clip(param + update, -limit, limit) - param
      # An infinity inside the box would look sound.
      return jnp.where(jnp.isfinite(update), inside, update)

    return jax.tree.map(clip, updates, params), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def make_optimizer(
  name: str,
  *,
  learning_rate: float | jax.Array,
  schedule: str = 'constant',
  decay_steps: int = 1,
  decay_rate: float = 0.0,
  warmup_steps: int = 0,
  updates_per_step: int = 1,
  historical_weight: float = 0.0,
  orthogonal_weight: float = 0.0,
  clip_norm: float = 0.0,
  courses: Mapping[str, Course] | None = None,
  key: str = 'optimizer',
  **hyperparameters,
) -> optax.GradientTransformation:
  """Builds one player's optimizer.

  Args:
    name: one of `OPTIMIZERS`.
    learning_rate: the initial rate, > 0; that of an array is not checked.
    schedule: one of `SCHEDULES`.
    decay_steps: length of the schedule in training steps (generator updates).
    decay_rate: factor reached at `decay_steps`.
    warmup_steps: training steps in which the rate rises to that of the
      schedule, along a straight line from 0; 0 for none.
    updates_per_step: how often this player moves in a training step, so that
      both players' schedules take the same time.
    historical_weight: see gan_jax.solvers.gradients, as the next two; 0: off.
    orthogonal_weight: see there.
    clip_norm: see there.
    courses: by hyperparameter, such as b2: training steps made -> its value, in
      place of one that stays.
    key: the config key of this optimizer, for messages.
    **hyperparameters: passed to optax; those that are None are left to optax,
      and arrays are not checked.

  Raises:
    InputError: an unknown name, or a hyperparameter the optimizer lacks.
  """
  factory = lookup(OPTIMIZERS, name, f'{key}.name')
  make_schedule = lookup(SCHEDULES, schedule, f'{key}.schedule')
  _check_schedule(key, learning_rate, schedule, decay_steps, decay_rate)
  if warmup_steps < 0:
    raise InputError(f'{key}.warmup_steps: {warmup_steps} is negative')
  changes = dict(
    historical_weight=historical_weight,
    orthogonal_weight=orthogonal_weight,
    clip_norm=clip_norm,
  )
  for name_of, value in changes.items():
    if not 0 <= value < math.inf:
      raise InputError(
        f'{key}.{name_of}: {value} is not a finite number from 0 on'
      )
  given = {k: v for k, v in hyperparameters.items() if v is not None}
  known = set(inspect.signature(factory).parameters)
  _check_given(key, name, given, known & set(hyperparameters))
  in_steps = make_schedule(learning_rate, decay_steps, decay_rate)

  def rate(count):
    step = count / updates_per_step
    if not warmup_steps:
      return in_steps(step)
    return in_steps(step) * jnp.minimum(1.0, (step + 1.0) / warmup_steps)

  if courses:
    factory = optax.inject_hyperparams(factory)
    given |= {
      name: lambda count, at=course: at(count / updates_per_step)
      for name, course in courses.items()
    }
  return with_changes(factory(rate, **given), **changes)


def _check_schedule(key, learning_rate, schedule, decay_steps, decay_rate):
  """Raises InputError for a rate or a course of it that cannot be."""
  traced = isinstance(learning_rate, jax.Array)  # and checked beforehand
  if not traced and not 0 < learning_rate < math.inf:
    raise InputError(
      f'{key}.learning_rate: {learning_rate} is not a finite number above 0'
    )
  if decay_steps < 1:
    raise InputError(f'{key}.decay_steps: {decay_steps} is not at least 1')
  if not decay_rate >= 0 or (schedule == 'exponential' and not decay_rate):
    raise InputError(
      f'{key}.decay_rate: {decay_rate} must be at least 0, and above 0 for an '
      'exponential schedule'
    )


def _check_given(
  key: str, name: str, given: dict[str, float], valid: set[str]
) -> None:
  """Raises InputError for a hyperparameter out of range, or unknown."""
  for parameter, value in given.items():
    top = 1 if parameter in ('b1', 'b2', 'decay', 'momentum') else math.inf
    if not isinstance(value, jax.Array) and not 0 <= value < top:
      raise InputError(f'{key}.{parameter}: {value} is not in [0, {top})')
  for unknown in sorted(set(given) - valid):
    takes = ', '.join(sorted(valid)) or 'none of them'
    raise InputError(
      f'{key}.{unknown}: {name} has no such parameter; of these keys it takes '
      f'{takes}'
    )

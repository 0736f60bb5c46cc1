"""The stages of a run, each as a run of its own that goes on with the state."""

import functools
from collections.abc import Iterator

import jax

from gan_jax import solvers
from gan_jax.config.stages import Stage
from gan_jax.ensemble import AXES
from gan_jax.training import failures
from gan_jax.training.runs import Run
from gan_jax.types import Players, TrainState


def after(run: Run, step: int, factor: float) -> Iterator[tuple[Stage, Run]]:
  """The stages that are not over after so many steps, as runs.

  Args:
    run: the whole of it.
    step: steps made.
    factor: on the learning rates of all of them.
  """
  for stage in run.plan.stages:
    if stage.end > max(step, stage.start):
      yield stage, failures.slowed(of_stage(run, stage), factor)


def of_stage(run: Run, stage: Stage) -> Run:
  """A run with the keys of one of its stages, and nothing else."""
  if stage.plain:
    return run
  plan = run.plan.of_stage(stage)
  axis = run.ensemble.axis_name(run.devices)
  model = plan.build(run.info, axis_name=axis)
  return run._replace(
    plan=plan,
    model=model._replace(init=run.model.init),
    feed=stage.of_feed(run.feed),
  )


def begin(stage: Stage, run: Run, state: TrainState) -> TrainState:
  """The state that a stage begins with; where it has begun, the state itself.

  A checkpoint of this very step is of before: whoever resumes from it does the
  same once more.
  """
  if not stage.reset or int(state.step) != stage.start:
    return state
  one = functools.partial(_reset, run.model.optimizers)
  every = jax.vmap(one, (AXES,), AXES) if run.ensemble.several else one
  return run.ensemble.put(jax.jit(every)(state), run.devices)


def _reset(optimizers: Players, state: TrainState) -> TrainState:
  """Both optimizers as they were before the first step."""
  return state._replace(
    opt_state=solvers.first_moments(optimizers, state.params)
  )

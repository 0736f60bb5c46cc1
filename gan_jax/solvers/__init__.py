"""Solvers: how the two players of a game move, for any game."""

from gan_jax.solvers.algorithms import (
  ALONE,
  ALTERNATING,
  SOLVERS,
  UNROLL_STEPS,
  Solver,
  adapt_optimizers,
  make_solver,
  updates_per_step,
)
from gan_jax.solvers.play import play
from gan_jax.solvers.step import (
  Lookahead,
  Step,
  first_moments,
  init_state,
  make_probe,
  make_train_step,
  with_first_averages,
)

__all__ = [
  'ALONE',
  'ALTERNATING',
  'SOLVERS',
  'UNROLL_STEPS',
  'Lookahead',
  'Solver',
  'Step',
  'adapt_optimizers',
  'first_moments',
  'init_state',
  'make_probe',
  'make_solver',
  'make_train_step',
  'play',
  'updates_per_step',
  'with_first_averages',
]

"""The solvers: in which order, and along what, the two players move.

A solver is `solver(moves, state, batches, keys) -> (state, metrics)`, one
training step, with `disc_steps` batches and as many keys of D; `keys.gen` is
G's. Where both players move at once, D makes its first `disc_steps - 1`
updates alone.

To add a solver: write it here and add it to `SOLVERS`; check it on the
bilinear game in tests/test_games.py.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax

from gan_jax.solvers.moves import Metrics, Moves
from gan_jax.types import InputError, Players, TrainState, lookup

Solver = Callable[
  [Moves, TrainState, Any, Players[jax.Array]], tuple[TrainState, Metrics]
]

# Those in which G moves after D, and so may move more than once.
ALTERNATING = ('alternating', 'unrolled', 'two_time_scale')
# Those of games with one player; the others move two.
ALONE = ('descent',)
UNROLL_STEPS = 5  # unless told


def _last(batches: Any) -> Any:
  return jax.tree.map(lambda x: x[-1], batches)


def _up_to_last(moves, state, batches, keys):
  """Makes all of D's updates but the last.

  Returns:
    The state, the last batch, and both players' keys for it.
  """
  if len(keys.disc) > 1:
    before = jax.tree.map(lambda x: x[:-1], batches)
    state, _ = moves.disc_moves(state, before, keys.disc[:-1])
  return state, _last(batches), Players(gen=keys.gen, disc=keys.disc[-1])


def alternating(
  moves: Moves, state: TrainState, batches: Any, keys: Players[jax.Array]
) -> tuple[TrainState, Metrics]:
  """K updates of D, each on its own batch and noise, then one of G.

  G moves against the new D; its batch (labels, and data where an objective
  uses it) is D's last one. `gen_steps` of more than 1 are more updates of G.

  Reference:
    Goodfellow et al., arXiv 1406.2661, Algorithm 1.
  """
  state, disc_metrics = moves.disc_moves(state, batches, keys.disc)
  state, gen_metrics = moves.gen_moves(state, _last(batches), keys.gen)
  return state, disc_metrics | gen_metrics


def simultaneous(
  moves: Moves, state: TrainState, batches: Any, keys: Players[jax.Array]
) -> tuple[TrainState, Metrics]:
  """Both players move at once, each against the other's old parameters.

  Reference:
    Mescheder et al., The Numerics of GANs, arXiv 1705.10461, Algorithm 1.
  """
  state, batch, keys = _up_to_last(moves, state, batches, keys)
  return moves.update_both(state, moves.gradients(state, batch, keys))


def unrolled(
  moves: Moves,
  state: TrainState,
  batches: Any,
  keys: Players[jax.Array],
  *,
  unroll_steps: int = UNROLL_STEPS,
) -> tuple[TrainState, Metrics]:
  """As `alternating`, but G moves against the D that its move will bring.

  D looks `unroll_steps` updates ahead by its own optimizer, from the state of
  that optimizer on; G's gradient goes through these updates, and afterwards D
  is put back. Without look-ahead it is `alternating`.

  The look-ahead replays one minibatch: the real examples of D's last update,
  and the noise of G's own objective, as in the authors' published notebook. G
  then sees how D answers to these very fakes. With fresh noise each time its
  gradient was three times as large on `mlp_digits`, mostly noise, and D won.

  Reference:
    Metz et al., Unrolled Generative Adversarial Networks, arXiv 1611.02163,
    eq. 8 to 10.
  """
  state, disc_metrics = moves.disc_moves(state, batches, keys.disc)
  batch = _last(batches)

  def foresee(params, model_state, key):
    if not unroll_steps:
      return params, model_state
    ahead, _ = jax.lax.scan(
      lambda ahead, _: moves.move('disc', ahead, batch, key),
      state._replace(params=params, model_state=model_state),
      length=unroll_steps,
    )
    return ahead.params, ahead.model_state

  state, gen_metrics = moves.gen_moves(state, batch, keys.gen, foresee)
  return state, disc_metrics | gen_metrics


def extragradient(
  moves: Moves, state: TrainState, batches: Any, keys: Players[jax.Array]
) -> tuple[TrainState, Metrics]:
  """Both players step ahead, look at the gradients there, and take those.

  Both gradients use the same batch and noise (Mishchenko et al., Revisiting
  Stochastic Extragradient, arXiv 1905.11373, Algorithm 1). The optimizer sees
  both, as in ExtraAdam, so it counts two updates a step. Model states are the
  second look's, from the step's first ones on.

  Reference:
    Gidel et al., A Variational Inequality Perspective on GANs,
    arXiv 1802.10551, Algorithms 2 and 4.
  """
  state, batch, keys = _up_to_last(moves, state, batches, keys)
  ahead, _ = moves.update_both(state, moves.gradients(state, batch, keys))
  there = ahead._replace(model_state=state.model_state)
  gradients = moves.gradients(there, batch, keys)
  return moves.update_both(state._replace(opt_state=ahead.opt_state), gradients)


def consensus(
  moves: Moves,
  state: TrainState,
  batches: Any,
  keys: Players[jax.Array],
  *,
  consensus_weight: float = 1.0,
) -> tuple[TrainState, Metrics]:
  """Both players also descend ||v||^2 / 2, with v both their gradients.

  v is of the batch at hand, so its squared norm estimates that of the
  expected gradient with a bias.

  Reference:
    Mescheder et al., The Numerics of GANs, arXiv 1705.10461, Algorithm 2
    (consensus_weight is gamma).
  """
  state, batch, keys = _up_to_last(moves, state, batches, keys)

  def energy(params):
    gradients = moves.gradients(state._replace(params=params), batch, keys)
    field = (gradients.gen.grads, gradients.disc.grads)
    return 0.5 * optax.tree.norm(field, squared=True), gradients

  pull, gradients = jax.grad(energy, has_aux=True)(state.params)
  pull = moves.average(pull)
  return moves.update_both(
    state,
    Players(
      *(
        gradient._replace(
          grads=jax.tree.map(
            lambda g, p: g + consensus_weight * p, gradient.grads, own_pull
          )
        )
        for gradient, own_pull in zip(gradients, pull, strict=True)
      )
    ),
  )


def descent(
  moves: Moves, state: TrainState, batches: Any, keys: Players[jax.Array]
) -> tuple[TrainState, Metrics]:
  """G moves alone, in a game without D: plain minimisation."""
  return moves.move('gen', state, _last(batches), keys.gen)


SOLVERS: dict[str, Solver] = {
  'alternating': alternating,
  'simultaneous': simultaneous,
  'unrolled': unrolled,
  'extragradient': extragradient,
  'optimistic': simultaneous,  # with the optimizers of `adapt_optimizers`
  'consensus': consensus,
  'two_time_scale': alternating,  # likewise
  'descent': descent,  # of games with one player
}


def make_solver(
  name: str,
  *,
  unroll_steps: int | None = None,
  consensus_weight: float = 1.0,
) -> Solver:
  """A solver by name, with the keys that it knows.

  Args:
    name: one of `SOLVERS`.
    unroll_steps: of `unrolled`, at least 1, since none would be `alternating`;
      None: 5.
    consensus_weight: of `consensus`, at least 0.

  Raises:
    InputError: an unknown name, or a value out of range.
  """
  solver = lookup(SOLVERS, name, 'solver')
  unroll_steps = UNROLL_STEPS if unroll_steps is None else unroll_steps
  if unroll_steps < 1:
    raise InputError(
      f'unroll_steps: {unroll_steps} is not at least 1; without look-ahead '
      'take solver=alternating'
    )
  own = {
    'unrolled': dict(unroll_steps=unroll_steps),
    'consensus': dict(consensus_weight=consensus_weight),
  }
  return functools.partial(solver, **own.get(name, {}))


def adapt_optimizers(
  name: str,
  optimizers: Players[optax.GradientTransformation],
  *,
  time_scale_ratio: float = 1.0,
) -> Players[optax.GradientTransformation]:
  """Gives the players the optimizers that a solver needs.

  Args:
    name: of the solver.
    optimizers: of both players; clip weights after, not in them.
    time_scale_ratio: of `two_time_scale`: D's updates are so many times its
      optimizer's.

  Returns:
    `optimistic`: twice an update minus the one before (the first as it is;
    Daskalakis et al., Training GANs with Optimism, arXiv 1711.00141,
    eq. 5 and Algorithm 1). `two_time_scale`: D's scaled (Heusel et al., GANs
    Trained by a Two Time-Scale Update Rule, arXiv 1706.08500, eq. 1). Else
    the optimizers as they are.
  """
  if name == 'optimistic':
    return Players(
      *(
        optax.chain(optimizer, optax.scale_by_optimistic_gradient())
        for optimizer in optimizers
      )
    )
  if name == 'two_time_scale':
    return optimizers._replace(
      disc=optax.chain(optimizers.disc, optax.scale(time_scale_ratio))
    )
  return optimizers


def updates_per_step(
  name: str, disc_steps: int, gen_steps: int = 1
) -> Players[int]:
  """How often each player's optimizer is called in one training step."""
  extra = int(name == 'extragradient')
  return Players(gen=gen_steps + extra, disc=disc_steps + extra)

"""How much of a device's memory several runs at once need, by estimate."""

import math

import chex
import jax

from gan_jax.games import Game
from gan_jax.types import Batch, InputError, TrainState


def bytes_of(tree: chex.ArrayTree) -> int:
  """Bytes of a tree of arrays or of their shapes; keys count as nothing."""
  return sum(
    math.prod(x.shape) * x.dtype.itemsize
    for x in jax.tree.leaves(tree)
    if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
  )


def bytes_of_run(
  game: Game, state: TrainState, batch: Batch, unroll_steps: int = 0
) -> int:
  """Estimates what one run takes of the device's memory.

  Its state twice, since a checkpoint begins with a copy, and what the
  backward passes keep of one update of each player: activations, and
  gradients about as large as the parameters among them. Both are shapes
  alone. `unrolled` keeps a state and a backward pass for every update that it
  looks ahead. For MLPs this is close to what XLA plans; the CPU's
  convolutions take more.

  Args:
    game: without a device axis.
    state: abstract.
    batch: abstract, a device's share of one batch.
    unroll_steps: of the solver `unrolled`, else 0.
  """

  def residuals(params, model_state, batch, key, step):
    def pullback(player):
      objective = getattr(game.objectives, player)

      def loss(own_params):
        players = params._replace(**{player: own_params})
        return objective(players, model_state, batch, key, step)[0]

      # The transposed function is a tree whose leaves are what it has kept.
      return jax.vjp(loss, getattr(params, player))[1]

    return {player: pullback(player) for player in game.players}

  kept = jax.eval_shape(
    residuals,
    state.params,
    state.model_state,
    batch,
    jax.random.key(0),
    state.step,
  )
  looks = 1 + unroll_steps
  return (1 + looks) * bytes_of(state) + looks * bytes_of(kept)


def check_fits(num_runs: int, bytes_each: int, limit: int, device: str) -> None:
  """Refuses more runs at once than there is memory for.

  Args:
    num_runs: seeds times combinations of swept values.
    bytes_each: see `bytes_of_run`.
    limit: bytes of the device.
    device: its name, for the message.

  Raises:
    InputError: the estimate, the limit, and how many runs would fit.
  """
  if num_runs * bytes_each > limit:
    raise InputError(
      f'num_seeds: {num_runs} runs at once (num_seeds times the combinations '
      f'of sweep) need about {num_runs * bytes_each / 2**30:,.1f} GiB '
      f'({bytes_each / 2**20:.3g} MiB each), and {device} has '
      f'{limit / 2**30:,.1f} GiB; take at most {limit // bytes_each}'
    )

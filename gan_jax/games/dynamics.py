"""A game as a vector field, and its linearisation at an equilibrium."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gan_jax.games import Game
from gan_jax.types import Players


def vector_field(
  game: Game,
  params: Players,
  *,
  model_state: Players | None = None,
  batch: Any = None,
  key: jax.Array | None = None,
) -> tuple[Callable[[jax.Array], jax.Array], jax.Array]:
  """The direction in which both players move at once, as a flat function.

  Args:
    game: whose objectives the players descend.
    params: gives the structure, and the point that is returned flat.
    model_state: held fixed; empty if None.
    batch: held fixed.
    key: held fixed; that of seed 0 if None.

  Returns:
    (v, w): v maps flat parameters `[P]`, G's before D's, to minus the two
    players' gradients `[P]`; w is `params`, flat.

  Reference:
    Mescheder et al., arXiv 1801.04406, eq. 3.
  """
  key = jax.random.key(0) if key is None else key
  model_state = Players(gen={}, disc={}) if model_state is None else model_state
  flat, unravel = ravel_pytree(params)

  def field(flat):
    params = unravel(flat)

    def gradient(player):
      def loss(own):
        return getattr(game.objectives, player)(
          params._replace(**{player: own}), model_state, batch, key, 0
        )[0]

      return jax.grad(loss)(getattr(params, player))

    gradients = Players(gen=gradient('gen'), disc=gradient('disc'))
    return -ravel_pytree(gradients)[0]

  return field, flat


def eigenvalues(game: Game, params: Players, **fixed) -> np.ndarray:
  """Eigenvalues of the Jacobian of the vector field, complex `[P]`.

  Continuous training converges locally where all real parts are negative.
  Sorted by real, then imaginary part.

  Args:
    game: to linearise.
    params: the point, an equilibrium.
    **fixed: as in `vector_field`.

  Reference:
    Mescheder et al., arXiv 1801.04406, section 2 and Lemma 2.3.
  """
  field, flat = vector_field(game, params, **fixed)
  return np.sort_complex(np.linalg.eigvals(jax.jacobian(field)(flat)))

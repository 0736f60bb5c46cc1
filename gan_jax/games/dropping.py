"""A game in which what is told is now and then left out, column by column.

So G learns to draw from less, and any of it may be missing when it is asked.
What is missing is all zeros: a text without words, a picture of middle grey.

Reference:
  Ho and Salimans, Classifier-Free Diffusion Guidance, arXiv 2207.12598,
  Algorithm 1 (conditions left out at random).
"""

import jax
import jax.numpy as jnp

from gan_jax.games import Game
from gan_jax.rng import example_keys, fold_each
from gan_jax.types import Batch, Given, Players

DROPPED = ('text', 'source')  # columns that can be missing
_FOLD = 64  # of an objective's key; no other draw of a game has it


def dropped(given: Given, keys: jax.Array, rate: float) -> Given:
  """Columns with some examples' values missing.

  Args:
    given: leaves `[B, ...]`.
    keys: of the examples, `[B]`.
    rate: the share that is missing, each column's own.
  """
  found = dict(given)
  for number, name in enumerate(DROPPED):
    if name in given:
      own = fold_each(keys, number)
      kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - rate))(own)
      column = given[name]
      shape = (len(kept), *[1] * (column.ndim - 1))
      zero = jnp.zeros((), column.dtype)
      found[name] = jnp.where(kept.reshape(shape), column, zero)
  return found


def dropping_game(game: Game, rate: float) -> Game:
  """The game with a share of `DROPPED` missing, drawn anew in each objective.

  Real images and fakes of one objective are told the same.
  """

  def at(objective):
    def evaluate(params, model_state, batch: Batch, key, step):
      keys = example_keys(jax.random.fold_in(key, _FOLD), batch.positions)
      batch = batch._replace(given=dropped(batch.given, keys, rate))
      return objective(params, model_state, batch, key, step)

    return evaluate

  return game._replace(objectives=Players(*map(at, game.objectives)))

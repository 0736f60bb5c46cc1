"""A game whose networks grow: at which level they play, and what is real there.

Reference:
  Karras et al., Progressive Growing of GANs, arXiv 1710.10196, section 2 and
  appendix A.1; real images fade in as the layers do, as in the authors' code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.games import Game
from gan_jax.networks import growing
from gan_jax.networks.layers import mean_pool, upsample
from gan_jax.networks.resampling import enlarged, reduced
from gan_jax.types import Batch, Players


class Growth(NamedTuple):
  """How far the networks have grown, as a function of the step.

  Attributes:
    size: pixels at which they play.
    fade: steps made when the layers of that size begin to fade in, and when
      they are in; () if they are.
  """

  size: int
  fade: tuple[int, ...] = ()

  def share(self, step: jax.Array) -> jax.Array:
    """Of the newest layers, in [0, 1], after so many steps."""
    if not self.fade:
      return jnp.ones(())
    first, last = self.fade
    return jnp.clip((step - first) / (last - first), 0.0, 1.0)

  def grown(self, step: jax.Array) -> jax.Array:
    """See gan_jax.networks.growing."""
    return growing.level_of(self.size) - 1 + self.share(step)

  def real(self, images: jax.Array, step: jax.Array) -> jax.Array:
    """Real images as the level has them: their means, enlarged again."""
    size = images.shape[1]
    new = reduced(images, self.size)
    if self.fade:
      new = growing.faded(upsample(mean_pool(new)), new, self.share(step))
    return enlarged(new, size)


def growing_game(game: Game, growth: Growth) -> Game:
  """The game as it is played at a level.

  Both players' states say how far they have grown in each objective, and
  keep it.
  """

  def at(objective):
    def evaluate(params, model_state, batch: Batch, key, step):
      grown = growth.grown(step)
      model_state = Players(
        *(growing.set_grown(own, grown) for own in model_state)
      )
      batch = batch._replace(images=growth.real(batch.images, step))
      return objective(params, model_state, batch, key, step)

    return evaluate

  objectives = Players(*map(at, game.objectives))
  return game._replace(objectives=objectives, seen=growth.real)

"""What every solver is made of: a player's gradient, and a player's update."""

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from gan_jax.games import Game, buffers_of
from gan_jax.types import Players, TrainState

Metrics = dict[str, jax.Array]
# (params, model_state) -> (params, model_state), as they will be; see
# `Moves.gradient`.
Foresight = Callable[[Players, Players], tuple[Players, Players]]


def update_ratio(updates: chex.ArrayTree, params: chex.ArrayTree) -> jax.Array:
  """How far an update moves a player: the norm of a change over the weight's.

  The median over kernels, arrays of two or more dimensions, or over all arrays
  where none has as many: each layer counts alike, whatever scale it began at (a
  StyleGAN keeps the weights of its mapping a hundred times those of the rest).
  A kernel of zeros counts as moved by 1.
  """

  def of_one(update, weight):
    moved, size = optax.tree.norm(update), optax.tree.norm(weight)
    return jnp.where(size > 0, moved / size, 1.0)

  weights = jax.tree.leaves(params)
  ratios = list(map(of_one, jax.tree.leaves(updates), weights))
  kernels = [r for r, x in zip(ratios, weights, strict=True) if jnp.ndim(x) > 1]
  return jnp.median(jnp.stack(kernels or ratios))


class Gradient(NamedTuple):
  """A player's gradient, and what else its objective gave.

  Attributes:
    grads: with respect to the player's own parameters.
    model_state: the player's new model state.
    metrics: named scalars.
  """

  grads: chex.ArrayTree
  model_state: chex.ArrayTree
  metrics: Metrics


@jax.custom_vjp
def _still_where_zero(x: jax.Array) -> jax.Array:
  """The identity; its gradient is 0 where x is exactly 0 and it is not finite.

  An optimizer that divides by the root of a second moment has no derivative
  where that moment is 0, as it is for a weight behind a dead unit. The update
  there is 0 and stays 0 nearby, so 0 is its derivative.
  """
  return x


_still_where_zero.defvjp(
  lambda x: (x, x == 0),
  lambda zero, g: (jnp.where(zero & ~jnp.isfinite(g), 0.0, g),),
)


def _differentiable(tree: chex.ArrayTree) -> chex.ArrayTree:
  """Makes gradients through an optimizer's input finite, see above."""
  return jax.tree.map(
    lambda x: (
      _still_where_zero(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x
    ),
    tree,
  )


def in_parts(batch: Any, micro_batch: int) -> Any | None:
  """Leaves `[B, ...]` -> `[B / micro_batch, micro_batch, ...]`.

  None where that is one part, or `micro_batch` is 0.
  """
  leaves = jax.tree.leaves(batch)
  if not micro_batch or len(leaves[0]) == micro_batch:
    return None
  return jax.tree.map(lambda x: x.reshape(-1, micro_batch, *x.shape[1:]), batch)


class Moves:
  """Gradients and updates of a game's players, averaged over devices.

  A player's gradient is with respect to its own parameters alone, and its
  update touches nothing of its opponent.
  """

  def __init__(
    self,
    game: Game,
    optimizers: Players[optax.GradientTransformation],
    axis_name: str | None = None,
    micro_batch: int = 0,
    gen_steps: int = 1,
    disc_accuracy_limit: float = 1.0,
    moving: Sequence[str] = Players._fields,
  ):
    """Binds a game to how its players move.

    Args:
      game: what they minimise.
      optimizers: how each turns its gradient into an update.
      axis_name: mapped device axis to average over, or None.
      micro_batch: examples that an objective sees at once, a divisor of the
        local batch; gradients and metrics are means over these parts, and
        the player's model state goes from one to the next. 0: all at once.
      gen_steps: updates of G where it moves after D.
      disc_accuracy_limit: D keeps its parameters and its optimizer's state
        where its accuracy on the batch is above this (Wu et al., Learning a
        Probabilistic Latent Space of Object Shapes, arXiv 1610.07584, section
        3.2: .8); 1: it always moves. Of several Ds the accuracy is their mean:
        all rest, or all move.
      moving: the players that move; another one keeps all that it has, and its
        gradient is taken for the metrics alone.
    """
    self.game = game
    self.micro_batch = micro_batch
    self.optimizers = optimizers
    self.axis_name = axis_name
    self.gen_steps = gen_steps
    self.disc_accuracy_limit = disc_accuracy_limit
    self.moving = moving
    self._report: bool | jax.Array = True

  def reporting(self, report: bool | jax.Array) -> 'Moves':
    """The same, saying how far updates go only where that is asked for.

    Norms of updates and parameters read as much memory as a third of Adam.

    Args:
      report: whether to say it, which may be traced; else it is NaN.
    """
    other = copy.copy(self)
    other._report = report
    return other

  def average(self, tree: chex.ArrayTree) -> chex.ArrayTree:
    """The mean over devices."""
    return (
      tree if self.axis_name is None else jax.lax.pmean(tree, self.axis_name)
    )

  def _shared(self, gradient: Gradient) -> Gradient:
    """A gradient's mean over devices, with the player's buffers as they are."""
    averaged, buffers = self.average(gradient), buffers_of(gradient.model_state)
    if not buffers:
      return averaged
    return averaged._replace(model_state={**averaged.model_state, **buffers})

  def gradient(
    self,
    player: str,
    state: TrainState,
    batch: Any,
    key: jax.Array,
    foresee: Foresight = lambda params, model_state: (params, model_state),
  ) -> Gradient:
    """The gradient of one player's objective.

    Args:
      player: 'gen' or 'disc'.
      state: where to take it.
      batch: of the game.
      key: of the objective's randomness.
      foresee: what becomes of both players' parameters before the objective
        is taken; differentiated through.
    """
    objective = getattr(self.game.objectives, player)
    own_params = getattr(state.params, player)

    def gradient_of(own_state, batch):
      def loss(own_params):
        params = state.params._replace(**{player: own_params})
        model_state = state.model_state._replace(**{player: own_state})
        params, model_state = foresee(params, model_state)
        return objective(params, model_state, batch, key, state.step)

      grads, outcome = jax.grad(loss, has_aux=True)(own_params)
      return Gradient(grads, *outcome)

    own_state = getattr(state.model_state, player)
    parts = in_parts(batch, self.micro_batch)
    if parts is None:
      return self._shared(gradient_of(own_state, batch))

    def add(carry, part):
      own_state, total = carry
      gradient = gradient_of(own_state, part)
      added = gradient.grads, gradient.metrics
      return (gradient.model_state, jax.tree.map(jnp.add, total, added)), None

    first = jax.tree.map(lambda x: x[0], parts)
    shapes = jax.eval_shape(gradient_of, own_state, first)
    zeros = jax.tree.map(
      lambda x: jnp.zeros(x.shape, x.dtype), (shapes.grads, shapes.metrics)
    )
    (own_state, total), _ = jax.lax.scan(add, (own_state, zeros), parts)
    num = len(jax.tree.leaves(parts)[0])
    grads, metrics = jax.tree.map(lambda x: x / num, total)
    return self._shared(Gradient(grads, own_state, metrics))

  def update(
    self, player: str, state: TrainState, gradient: Gradient
  ) -> tuple[TrainState, Metrics]:
    """Moves one player along a gradient, by its optimizer."""
    own_params = getattr(state.params, player)
    own_state = getattr(state.opt_state, player)
    update = functools.partial(
      getattr(self.optimizers, player).update,
      _differentiable(gradient.grads),
      _differentiable(own_state),
      own_params,
    )
    updates, opt_state = update()
    metrics, share = gradient.metrics, 1.0
    if player == 'disc' and self.disc_accuracy_limit < 1.0:
      accuracy = 0.5 * (
        metrics['disc_accuracy_real'] + metrics['disc_accuracy_fake']
      )
      moves = accuracy <= self.disc_accuracy_limit
      share = moves.astype(jnp.float32)
      updates = jax.tree.map(lambda u: jnp.where(moves, u, 0.0), updates)
      opt_state = jax.tree.map(
        lambda new, old: jnp.where(moves, new, old), opt_state, own_state
      )
      metrics = metrics | {'disc_moves': share}

    def ratio():  # from what was there before, so that no update is kept for it
      return share * update_ratio(update()[0], own_params)

    norms = {
      f'{player}_grad_norm': optax.tree.norm(gradient.grads),
      f'{player}_update_ratio': self._where_reported(ratio),
    }
    if player not in self.moving:
      return state, metrics | norms
    own_params = optax.apply_updates(own_params, updates)
    state = state._replace(
      params=state.params._replace(**{player: own_params}),
      opt_state=state.opt_state._replace(**{player: opt_state}),
      model_state=state.model_state._replace(**{player: gradient.model_state}),
    )
    return state, metrics | norms

  def _where_reported(self, metric: Callable[[], jax.Array]) -> jax.Array:
    """A metric, or NaN where none is to be reported."""
    if self._report is True:
      return metric()
    dtype = jax.eval_shape(metric).dtype
    return jax.lax.cond(self._report, metric, lambda: jnp.array(jnp.nan, dtype))

  def move(
    self, player: str, state: TrainState, batch: Any, key: jax.Array
  ) -> tuple[TrainState, Metrics]:
    """One update of one player where it stands."""
    return self.update(player, state, self.gradient(player, state, batch, key))

  def disc_moves(
    self, state: TrainState, batches: Any, keys: jax.Array
  ) -> tuple[TrainState, Metrics]:
    """Updates of D alone, one per batch and key; metrics are the last one's."""
    if len(keys) == 1:  # no loop, so that the compiler sees across it
      batch = jax.tree.map(lambda x: x[0], batches)
      return self.move('disc', state, batch, keys[0])
    state, metrics = jax.lax.scan(
      lambda state, inputs: self.move('disc', state, *inputs),
      state,
      (batches, keys),
    )
    return state, jax.tree.map(lambda x: x[-1], metrics)

  def gen_moves(
    self,
    state: TrainState,
    batch: Any,
    key: jax.Array,
    foresee: Callable[..., Any] = lambda *players, key: players,
  ) -> tuple[TrainState, Metrics]:
    """`gen_steps` updates of G alone, the last by `key`; metrics are its own.

    All use the same batch, each its own noise; `foresee` as in `gradient`, and
    it is told the update's `key`.
    """

    def move(state, key):
      ahead = functools.partial(foresee, key=key)
      gradient = self.gradient('gen', state, batch, key, ahead)
      return self.update('gen', state, gradient)

    if self.gen_steps > 1:
      # From 1,000 on: split(key) is fold_in(key, 0) and fold_in(key, 1), and an
      # objective folds small numbers into its key for noise of other kinds.
      numbers = 1_000 + jnp.arange(self.gen_steps - 1)
      keys = jax.vmap(functools.partial(jax.random.fold_in, key))(numbers)
      state, _ = jax.lax.scan(lambda s, k: (move(s, k)[0], None), state, keys)
    return move(state, key)

  def gradients(
    self, state: TrainState, batch: Any, keys: Players[jax.Array]
  ) -> Players[Gradient]:
    """Both players' gradients at the same point, on the same batch."""
    return Players(
      gen=self.gradient('gen', state, batch, keys.gen),
      disc=self.gradient('disc', state, batch, keys.disc),
    )

  def update_both(
    self, state: TrainState, gradients: Players[Gradient]
  ) -> tuple[TrainState, Metrics]:
    """Moves both players along gradients that were taken before."""
    state, disc_metrics = self.update('disc', state, gradients.disc)
    state, gen_metrics = self.update('gen', state, gradients.gen)
    return state, disc_metrics | gen_metrics

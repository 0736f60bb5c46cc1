"""One training step of a game by a solver, as one pure function.

`make_train_step(game, optimizers, ...)` returns the whole algorithm as
`train_step(state, batches, key) -> (state, metrics)`, for any game; it needs
no device axis. Who moves when is the solver's: algorithms.py. The moving
average and lookahead, once a step, are here.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from gan_jax.games import Game, buffers_of
from gan_jax.metrics.diversity import diversity
from gan_jax.solvers.algorithms import Solver, alternating
from gan_jax.solvers.annealing import Course
from gan_jax.solvers.moves import Metrics, Moves, in_parts
from gan_jax.types import Players, TrainState


class Lookahead(NamedTuple):
  """Going back some way, every few steps.

  Attributes:
    steps: of training from one time to the next, k in the paper.
    rate: share of the way that is kept, alpha in the paper, in (0, 1].
  """

  steps: int
  rate: float


# (state, batches, key, report=True), see `make_train_step`.
Step = Callable[..., tuple[TrainState, Metrics]]


def init_state(
  game: Game,
  optimizers: Players[optax.GradientTransformation],
  key: jax.Array,
  *,
  ema: bool = False,
  lookahead: bool = False,
) -> TrainState:
  """The state before the first step; averages start at the players."""
  params, model_state = game.init(key)
  state = TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=first_moments(optimizers, params),
    model_state=model_state,
    ema=None,
  )
  return with_first_averages(state, ema=ema, lookahead=lookahead)


def first_moments(
  optimizers: Players[optax.GradientTransformation | None], params: Players
) -> Players[chex.ArrayTree]:
  """States of both optimizers before the first update; {} of who has none."""
  return Players(
    *(
      {} if optimizer is None else optimizer.init(own)
      for optimizer, own in zip(optimizers, params, strict=True)
    )
  )


def with_first_averages(
  state: TrainState, *, ema: bool, lookahead: bool
) -> TrainState:
  """The state with averages that start at its players, where they are kept."""

  def copied(tree):  # the state is donated, and no buffer can be donated twice
    return jax.tree.map(jnp.copy, tree)

  averaged = _averaged(state.params, state.model_state)
  return state._replace(
    ema=copied(averaged) if ema else None,
    slow=copied(state.params) if lookahead else None,
  )


def _averaged(params: Players, model_state: Players) -> dict[str, Any]:
  """What the moving average is taken of: all that G needs to sample."""
  return {'params': params.gen, 'model_state': model_state.gen}


def _follow(ema: Any, now: Any, decay: float | jax.Array) -> Any:
  """The moving average one step on; buffers are those of now."""
  ema = optax.incremental_update(now, ema, 1.0 - decay)
  if buffers := buffers_of(now['model_state']):
    copies = jax.tree.map(jnp.copy, buffers)  # no buffer is donated twice
    ema['model_state'] = {**ema['model_state'], **copies}
  return ema


def _keys(
  game: Game, key: jax.Array, disc_steps: int, fresh_latents: bool
) -> Players[jax.Array | None]:
  """D's keys `[disc_steps]` and G's: a new one, or D's last one again.

  Where G moves alone it has the step's.
  """
  if 'disc' not in game.players:
    return Players(gen=key, disc=None)
  keys = jax.random.split(key, disc_steps + 1)
  return Players(gen=keys[-1] if fresh_latents else keys[-2], disc=keys[:-1])


def _look_back(
  state: TrainState, lookahead: Lookahead, moving: Sequence[str]
) -> TrainState:
  """Both players go back towards where they were `steps` ago, if it is time.

  Reference:
    Chavdarova et al., Taming GANs with Lookahead-Minmax, arXiv 2006.14567,
    Algorithm 1. Optimizers keep their moments.
  """

  def go_back(params, slow):
    met = optax.incremental_update(params, slow, lookahead.rate)
    resting = [player for player in Players._fields if player not in moving]
    return tuple(
      met._replace(**{player: getattr(own, player) for player in resting})
      for own in (params, slow)
    )

  params, slow = jax.lax.cond(
    (state.step + 1) % lookahead.steps == 0,
    go_back,
    lambda params, slow: (params, slow),
    state.params,
    state.slow,
  )
  return state._replace(params=params, slow=slow)


def make_train_step(
  game: Game,
  optimizers: Players[optax.GradientTransformation],
  *,
  solver: Solver = alternating,
  disc_steps: int = 1,
  gen_steps: int = 1,
  fresh_latents: bool = True,
  ema_decay: float | Course = 0.0,
  ema_start: int = 0,
  lookahead: Lookahead | None = None,
  disc_accuracy_limit: float = 1.0,
  moving: Sequence[str] = Players._fields,
  axis_name: str | None = None,
  micro_batch: int = 0,
) -> Step:
  """Builds one training step: `disc_steps` updates of D, `gen_steps` of G.

  Args:
    game: what the players minimise.
    optimizers: how each turns its gradient into an update; D's is None if it
      does not move.
    solver: see gan_jax.solvers.algorithms.
    disc_steps: D updates per step, k in Algorithm 1.
    gen_steps: G updates per step; more than 1 for `ALTERNATING` solvers.
    fresh_latents: whether G draws its own noise (Algorithm 1) or reuses the
      noise, and so the fakes, of D's last update (the PyTorch DCGAN recipe).
    ema_decay: share of the old value in G's moving average, over parameters
      and batch statistics, once a step, or its course by the step; used if
      the state has an average.
    ema_start: so many steps long the average is G itself, as in BigGAN
      (arXiv 1809.11096, appendix C).
    lookahead: None for none; else the state has `slow` parameters.
    disc_accuracy_limit: see `Moves`.
    moving: the players that move, see `Moves`.
    axis_name: mapped device axis over which gradients, model states and
      metrics are averaged, or None.
    micro_batch: examples that an objective sees at once, see `Moves`.

  Returns:
    train_step(state, batches, key, report=True) -> (state, metrics). Every
    leaf of `batches` leads with an axis of length `disc_steps`. Metrics are
    scalars, D's from its last update; without `report`, which may be traced,
    those that cost much are NaN.
  """
  moves = Moves(
    game,
    optimizers,
    axis_name,
    micro_batch,
    gen_steps,
    disc_accuracy_limit,
    moving,
  )

  def train_step(state, batches, key, report=True):
    keys = _keys(game, key, disc_steps, fresh_latents)
    state, metrics = solver(moves.reporting(report), state, batches, keys)
    if lookahead is not None:
      state = _look_back(state, lookahead, moving)
    ema = state.ema
    if ema is not None:
      decay = ema_decay(state.step) if callable(ema_decay) else ema_decay
      if ema_start:
        decay = jnp.where(state.step < ema_start, 0.0, decay)
      ema = _follow(ema, _averaged(state.params, state.model_state), decay)
    return state._replace(step=state.step + 1, ema=ema), metrics

  return train_step


def make_probe(
  game: Game,
  *,
  disc_steps: int = 1,
  fresh_latents: bool = True,
  axis_name: str | None = None,
  micro_batch: int = 0,
) -> Callable[[TrainState, Any, jax.Array], Metrics]:
  """Builds the look back at what a step's G update has changed.

  Arguments as in `make_train_step`.

  Returns:
    probe(state, batches, key): the metrics of G's objective, each under its
    name with `_after`, on the batch and noise of the step that led to `state`
    and was given the same `batches` and `key`; and how far its fakes lie apart,
    see gan_jax.metrics.diversity.
  """

  def probe(state, batches, key):
    gen_key = _keys(game, key, disc_steps, fresh_latents).gen
    batch = jax.tree.map(lambda x: x[-1], batches)
    players = state.params, state.model_state

    def look(batch):
      _, outcome = game.objectives.gen(*players, batch, gen_key, state.step - 1)
      if game.fakes is None:
        return outcome.metrics, None
      return outcome.metrics, game.fakes(*players, batch, gen_key)

    parts = in_parts(batch, micro_batch)
    if parts is None:
      metrics, fake = look(batch)
    else:
      metrics, fake = jax.lax.map(look, parts)
      metrics = jax.tree.map(jnp.mean, metrics)
      fake = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), fake)
    if axis_name is not None:
      metrics = jax.lax.pmean(metrics, axis_name)
    metrics = {f'{name}_after': value for name, value in metrics.items()}
    if fake is None:
      return metrics
    real = batch.images
    if game.seen is not None:
      real = game.seen(real, state.step - 1)
    return metrics | diversity(fake, real, axis_name)

  return probe

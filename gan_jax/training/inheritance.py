"""A run that begins with the parameters of another one."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import solvers
from gan_jax.training.runs import Run
from gan_jax.types import InputError, Players, TrainState
from gan_jax.workdir.trained import restore


def begun_from(run: Run, state: TrainState) -> TrainState:
  """The first state of a run, with the players of `init_from` in it.

  Parameters and statistics of every player that both runs have are the other
  run's newest raw ones; of several at once, those of the first member. Moments
  of the optimizers, averages and the step begin anew.

  Args:
    run: which names the other one.
    state: of its seed, all members.

  Raises:
    InputError: there is no such run, or it has other players: the message
      names the first leaf that differs.
  """
  source = run.plan.init_from
  try:
    other = restore(source).state
  except InputError as error:
    raise InputError(f'init_from: {error}') from error
  for player in Players._fields:
    here, there = (
      {'params': getattr(s.params, player), **getattr(s.model_state, player)}
      for s in (state, other)
    )
    taken = {
      name: _taken(here[name], there[name], f'{player}.{name}', run)
      for name in here.keys() & there.keys() - {'memory'}
    }
    taken = here | taken
    state = state._replace(
      params=state.params._replace(**{player: taken.pop('params')}),
      model_state=state.model_state._replace(**{player: taken}),
    )
  return solvers.with_first_averages(
    state, ema=state.ema is not None, lookahead=state.slow is not None
  )


def _taken(own, new, where: str, run: Run):
  """A tree of the other run in the place of our own, for all members."""
  if not jax.tree.leaves(new) or not jax.tree.leaves(own):
    return own  # a player that one of the runs lacks
  mine, theirs = (
    dict(jax.tree_util.tree_leaves_with_path(t)) for t in (own, new)
  )
  lead = (run.ensemble.num_members,) if run.ensemble.several else ()
  for path in [*mine, *(path for path in theirs if path not in mine)]:
    shapes = [
      tree[path].shape if path in tree else None for tree in (mine, theirs)
    ]
    expected = shapes[1] if shapes[1] is None else (*lead, *shapes[1])
    if shapes[0] != expected:
      name = where + jax.tree_util.keystr(path)
      ours = shapes[0] if shapes[0] is None else shapes[0][len(lead) :]
      raise InputError(
        f'init_from: {run.plan.init_from} is of another architecture: {name} '
        f'is {shapes[1] or "absent"} there and {ours or "absent"} here; give '
        'both runs the same network, latent_dim and data'
      )
  return jax.tree.map(
    lambda x: jnp.asarray(np.broadcast_to(x, (*lead, *np.shape(x)))), new
  )

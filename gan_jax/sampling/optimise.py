"""Moving an input of a fixed network until a loss of it is small.

Neural style moves an image, inversion a latent or a style, guidance either.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.types import InputError

_DISPATCH = 25  # steps in one call of the compiled program


class Optimised(NamedTuple):
  """What came of it.

  Attributes:
    best: the input with the smallest loss, of all steps; of a batch each
      example's own.
    losses: before each step, float64 `[num_steps]`, or `[num_steps, B]`.
  """

  best: chex.ArrayTree
  losses: np.ndarray


def optimise_input(
  loss: Callable[[chex.ArrayTree, jax.Array, jax.Array], jax.Array],
  start: chex.ArrayTree,
  *,
  num_steps: int,
  learning_rate: float | Callable[[Any], Any],
  project: Callable[[chex.ArrayTree], chex.ArrayTree] = lambda x: x,
  seed: int = 0,
  progress: str = '',
) -> Optimised:
  """Adam on an input.

  Args:
    loss: (input, key, step) -> scalar, or `[B]` where all leaves of the input
      lead with B: examples that are moved side by side. The key is of what is
      random in this step; steps are counted from 0 on.
    start: the input, a tree of float arrays.
    num_steps: updates.
    learning_rate: of Adam, or a schedule of it (optax).
    project: what is done to the input after each update, such as clipping.
    seed: of the keys.
    progress: title of a bar; '' for none.

  Raises:
    InputError: no step, or a loss that is not finite.
  """
  from tqdm import tqdm

  if num_steps < 1:
    raise InputError(f'num_steps: {num_steps} is not at least 1')
  optimizer, root = optax.adam(learning_rate), jax.random.key(seed)

  def step(carry, number):
    x, state, best, lowest = carry
    key = jax.random.fold_in(root, number)

    def total(x):
      each = loss(x, key, number)
      return jnp.sum(each), each

    grads, value = jax.grad(total, has_aux=True)(x)
    better = value < lowest
    best = jax.tree.map(lambda a, b: _chosen(better, a, b), x, best)
    lowest = jnp.minimum(value, lowest)
    updates, state = optimizer.update(grads, state, x)
    x = project(optax.apply_updates(x, updates))
    return (x, state, best, lowest), value

  scan = jax.jit(functools.partial(jax.lax.scan, step))
  x = jax.tree.map(jnp.asarray, start)
  shape = jax.eval_shape(loss, x, root, np.int32(0)).shape
  carry = x, optimizer.init(x), x, jnp.full(shape, np.inf)
  losses: list[np.ndarray] = []
  with tqdm(total=num_steps, desc=progress, disable=not progress) as bar:
    for first in range(0, num_steps, _DISPATCH):
      numbers = np.arange(first, min(first + _DISPATCH, num_steps))
      carry, values = scan(carry, numbers)
      losses.append(np.asarray(values, np.float64))
      _check_finite(losses[-1], first)
      bar.update(len(numbers))
      bar.set_postfix(loss=f'{losses[-1][-1].mean():.4g}')
  return Optimised(carry[2], np.concatenate(losses))


def _chosen(better: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
  """New values where they are better: of all, or of some examples."""
  shape = (*better.shape, *[1] * (new.ndim - better.ndim))
  return jnp.where(better.reshape(shape), new, old)


def _check_finite(losses: np.ndarray, first: int) -> None:
  """Raises InputError for losses of steps from `first` on that are not."""
  finite = np.isfinite(losses).reshape(len(losses), -1).all(axis=1)
  if not finite.all():
    wrong = first + int(np.argmin(finite))
    raise InputError(
      f'learning_rate: the loss of step {wrong} is not finite; take less'
    )

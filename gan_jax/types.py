"""The few types that every part of gan_jax shares.

A GAN is a game between two players, so whatever belongs to a player comes as
a pair: parameters, optimizer states and model states are each a `Players`.
"""

from typing import Generic, NamedTuple, TypeVar

import chex
import jax

T = TypeVar('T')


class InputError(ValueError):
  """Something the user gave is wrong: one line that names it and the cure.

  `run.py` prints the message and exits with code 2; a program that calls
  gan_jax can catch it as the ValueError it is.
  """

  exit_code = 2


class UnknownNameError(InputError):
  """A name is in no table, or not yet: a plugin may know it."""


class Stopped(RuntimeError):
  """Training could not go on, or was told not to: one line that says why.

  `run.py` prints the message and exits with `exit_code`; docs/reliability.md
  lists them.
  """

  exit_code = 1


class NonFiniteError(Stopped):
  """A loss or a gradient is not finite.

  Attributes:
    step: number of the first step in which it was so, from 1 on.
    metrics: of that step.
  """

  exit_code = 3

  def __init__(
    self,
    message: str,
    *,
    step: int = 0,
    metrics: dict[str, float] | None = None,
  ):
    super().__init__(message)
    self.step, self.metrics = step, metrics or {}


class StorageError(Stopped):
  """What had to be written could not be."""

  exit_code = 4


class LostProcessError(Stopped):
  """Another process of a run on several is gone."""

  exit_code = 5


class Interrupted(Stopped):
  """A signal asked for the end; a checkpoint has been written.

  The code is sysexits' EX_TEMPFAIL: the same command may go on.
  """

  exit_code = 75


class Players(NamedTuple, Generic[T]):
  """One value for the generator and one for the discriminator."""

  gen: T
  disc: T


class Batch(NamedTuple):
  """One batch of real examples.

  Attributes:
    images: float32 `[B, H, W, C]` in [-1, 1].
    labels: int32 `[B]` class indices, or None where the data has none.
    positions: int32 `[B]`, each example's place in the *global* batch. Noise
      is drawn per position, so that it does not depend on how many devices
      share the batch.
  """

  images: jax.Array
  labels: jax.Array | None
  positions: jax.Array


class TrainState(NamedTuple):
  """Everything that training carries from one step to the next.

  Attributes:
    step: int32 scalar, training steps made so far.
    params: parameters of both players.
    opt_state: optax states of both players.
    model_state: non-trained variables of both players (batch statistics,
      spectral-norm vectors), each a flax collection dict, possibly empty.
    ema: exponential moving average of the generator, `{'params': ...,
      'model_state': ...}`, or None when `ema_decay` is 0.
    slow: parameters of both players that lookahead goes back towards, or None
      without it.
  """

  step: jax.Array
  params: Players[chex.ArrayTree]
  opt_state: Players[chex.ArrayTree]
  model_state: Players[chex.ArrayTree]
  ema: chex.ArrayTree | None
  slow: Players[chex.ArrayTree] | None = None


def lookup(table: dict[str, T], name: str, key: str) -> T:
  """Returns `table[name]`.

  Args:
    table: the valid names.
    name: the name asked for.
    key: the config key that the name came from, for the message.

  Raises:
    UnknownNameError: the message lists the valid ones.
  """
  if name not in table:
    raise UnknownNameError(
      f'{key}: unknown name {name!r}; valid: {", ".join(sorted(table))}'
    )
  return table[name]

"""The few types that every part of gan_jax shares.

A GAN is a game between two players, so whatever belongs to a player comes as
a pair: parameters, optimizer states and model states are each a `Players`.
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import chex
import jax
import jax.numpy as jnp

T = TypeVar('T')


class InputError(ValueError):
  """Something the user gave is wrong: one line that names it and the cure.

  `run.py` prints the message and exits with code 2; a program that calls
  gan_jax can catch it as the ValueError it is.
  """

  exit_code = 2


class UnknownNameError(InputError):
  """A name is in no table, or not yet: a plugin may know it."""


class InUseError(InputError):
  """Another process has the workdir."""


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
  """One value for the generator and one for the discriminator.

  A player may be a coalition of several networks: its value is then a dict by
  their names, or of a game with one player, `disc={}`, of none.
  """

  gen: T
  disc: T


# What a player is told beside its input: columns by name, leaves `[B, ...]`.
Given = dict[str, jax.Array]


class Batch(NamedTuple):
  """One batch of real examples.

  Attributes:
    images: float32 `[B, H, W, C]` in [-1, 1]: what D calls real.
    given: columns that G is told, and D too: `labels` int32 `[B]`, ...; empty
      where both are told nothing.
    positions: int32 `[B]`, each example's place in the *global* batch. Noise
      is drawn per position, so that it does not depend on how many devices
      share the batch.
  """

  images: jax.Array
  given: Given
  positions: jax.Array


class Verdict(NamedTuple):
  """What a discriminator says of a batch.

  Attributes:
    logits: float32 `[B]`, or a map of them `[B, ...]`; high for real.
    guesses: what else it reads off the images, by name, leaves `[B, ...]`.
  """

  logits: jax.Array
  guesses: dict[str, jax.Array]


class Column(NamedTuple):
  """What one column of `Batch.given` holds for each example.

  Attributes:
    shape: of one example; () for a class.
    dtype: of its numbers.
    size: how many classes or words there are; 0 where nothing is counted.
    optional: whether it may be missing, which is all zeros.
  """

  shape: tuple[int, ...]
  dtype: str = 'float32'
  size: int = 0
  optional: bool = False


class Task(NamedTuple):
  """What both networks are built for.

  Attributes:
    image_shape: (H, W, C), or (d,) for points.
    given: the columns that the players are told.
    draw: what nature draws: keys `[B]` -> latents `[B, Z]`, or a tree of
      leaves `[B, ...]` for a generator that takes more.
    codes: those at the end of the latents, which D guesses; see
      gan_jax.sampling.priors.
    num_seeds: numbers at their start, of a generator's own noise; see there.
    contrast: size of the vectors that D makes of images and of what is given,
      to be compared; 0 for none.
  """

  image_shape: tuple[int, ...]
  given: dict[str, Column]
  draw: Callable[[jax.Array], Any]
  codes: tuple[int, ...] = ()
  num_seeds: int = 0
  contrast: int = 0

  def dummies(self, num: int) -> Given:
    """Columns of `num` examples, all zeros."""
    return {
      name: jnp.zeros((num, *column.shape), column.dtype)
      for name, column in self.given.items()
    }


class TrainState(NamedTuple):
  """Everything that training carries from one step to the next.

  Attributes:
    step: int32 scalar, training steps made so far.
    params: parameters of both players.
    opt_state: optax states of both players.
    model_state: non-trained variables of both players (batch statistics,
      spectral-norm vectors), each a flax collection dict, possibly empty.
    ema: exponential moving average of the generator, `{'params': ...,
      'model_state': ...}`, or None if none is kept.
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

"""Many runs in one program: seeds, and scalars such as learning rates.

A *member* is one run: a seed and a value of each swept key. All members take
their steps at once, by `vmap` over a leading axis `[M]` of the state, of the
keys and of what the host draws; the images are on the device once. A member
is the run that its seed and values would give alone, up to rounding: it has
that run's initial weights, noise and order of data. What differs in more than
scalars (a loss, a width) is another program, and so another run.

An `Ensemble` of a single member does everything as if it were not there: no
axis, no `vmap`, the same program.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.feeds import Draw, Feed
from gan_jax.devices import parallel
from gan_jax.types import InputError, TrainState

# Axes of vmap. The members are at one step; they see other examples of the
# same data, at the same places of a batch.
AXES = TrainState(
  step=None, params=0, opt_state=0, model_state=0, ema=0, slow=0
)
# Of [S, K, B, M], also where there are two indices by name, and [S, K, B].
_DRAW_AXES = {'indices': 3, 'positions': None}
_CONSTANT_AXES = (None, 0, 0)  # images, keys, swept values


class Member(NamedTuple):
  """One run among several.

  Attributes:
    number: from 0 on; all seeds of the first combination come first.
    seed: of this run.
    values: of the swept keys, by their names in the section `sweep`.
  """

  number: int
  seed: int
  values: dict[str, float]

  @property
  def columns(self) -> dict[str, float]:
    """What a row of metrics.jsonl says of whose it is."""
    return {'member': self.number, 'seed': self.seed, **self.values}

  @property
  def label(self) -> str:
    """Swept values and seed as TensorBoard's tags take them.

    Such as `gen_learning_rate-0.0001/seed-3`.
    """
    named = {**self.values, 'seed': self.seed}
    return '/'.join(f'{name}-{value}' for name, value in named.items())


class Ensemble:
  """Members, and what is done for all of them at once.

  Attributes:
    members: all runs; the seeds of one combination lie together.
    num_members: M.
    several: whether there is more than one, and so an axis of members.
  """

  def __init__(self, members: Sequence[Member]):
    """Takes one member or more, see `Plan.members`."""
    self.members = list(members)
    self.num_members = len(self.members)
    self.several = self.num_members > 1

  @property
  def groups(self) -> dict[str, list[int | None]]:
    """What sets runs apart beside the seed -> numbers of these members.

    A single run has no number, but None.
    """
    if not self.several:
      return {'': [None]}
    groups = {}
    for member in self.members:
      label = ', '.join(f'{k}={v}' for k, v in member.values.items())
      groups.setdefault(label, []).append(member.number)
    return groups

  @property
  def by_number(self) -> dict[int | None, Member | None]:
    """Members by number; a single run has no number, and is no member."""
    if not self.several:
      return {None: None}
    return {member.number: member for member in self.members}

  def member(self, number: int) -> Member:
    """A member by its number.

    Raises:
      InputError: there is none of this number.
    """
    if not 0 <= number < self.num_members:
      raise InputError(
        f'member: {number} is not between 0 and {self.num_members - 1}; the '
        f'workdir holds {self.num_members} run(s)'
      )
    return self.members[number]

  # --- What is compiled -----------------------------------------------------

  def _over(self, function: Callable, in_axes: Any, out_axes: Any) -> Callable:
    return jax.vmap(function, in_axes, out_axes) if self.several else function

  def keys(self) -> tuple[jax.Array, jax.Array]:
    """Keys `[M]` of the initial weights and of all steps; scalars for one."""
    pairs = [jax.random.split(jax.random.key(m.seed)) for m in self.members]
    if not self.several:
      return pairs[0][0], pairs[0][1]
    stacked = jnp.stack(pairs)
    return stacked[:, 0], stacked[:, 1]

  def swept(self) -> dict[str, jax.Array]:
    """Swept values float32 `[M]` by name; empty without any."""
    return {
      name: np.array([m.values[name] for m in self.members], np.float32)
      for name in self.members[0].values
    }

  def init(
    self, init: Callable[[jax.Array], TrainState]
  ) -> Callable[[jax.Array], TrainState]:
    """The initial state of all members, leaves `[M, ...]` but for `step`.

    Args:
      init: key -> state of one.
    """
    return self._over(init, 0, AXES)

  def abstract(self, state: TrainState) -> TrainState:
    """Shapes of all members' state, from those of one."""
    if not self.several:
      return state
    stacked = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct((self.num_members, *x.shape), x.dtype),
      state,
    )
    return stacked._replace(step=state.step)

  def spread(self, devices: Sequence[jax.Device]) -> bool:
    """Whether each device takes whole members, not a share of every batch."""
    return self.several and self.num_members % len(devices) == 0

  def axis_name(self, devices: Sequence[jax.Device]) -> str | None:
    """The device axis that shares the batches, see `parallel.axis_name`."""
    return None if self.spread(devices) else parallel.axis_name(devices)

  def put(self, state: TrainState, devices: Sequence[jax.Device]) -> TrainState:
    """Puts a state where `compile` wants it."""
    if self.spread(devices):
      return parallel.share_members(state, AXES, devices)
    return parallel.replicate(state, devices)

  def constants(
    self,
    resident: chex.ArrayTree,
    root_key: jax.Array,
    devices: Sequence[jax.Device],
  ) -> chex.ArrayTree:
    """The constants of a dispatch, on the devices.

    Args:
      resident: of the feed.
      root_key: from `keys`.
      devices: of the run.
    """
    constants = resident, root_key, self.swept()
    if self.spread(devices):
      return parallel.share_members(constants, _CONSTANT_AXES, devices)
    return parallel.replicate(constants, devices)

  def dispatch(
    self, make: Callable[[Mapping[str, jax.Array]], Callable]
  ) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """A dispatch of all members.

    Args:
      make: swept values, scalars by name -> `dispatch(state, (resident,
        root_key), draws)` of one member, see `make_dispatch`.

    Returns:
      dispatch(state, (resident, root_keys, swept), draws) -> (state, metrics)
      with `keys`, `swept` and `draws` from here; metrics are `[M]`.
    """

    def dispatch(state, constants, draws):
      resident, root_keys, swept = constants

      def one(state, root_key, swept, draws):
        return make(swept)(state, (resident, root_key), draws)

      every = self._over(one, (AXES, 0, 0, _DRAW_AXES), (AXES, 0))
      return every(state, root_keys, swept, draws)

    return dispatch

  def compile(
    self,
    make: Callable[[Mapping[str, jax.Array]], Callable],
    devices: Sequence[jax.Device],
  ) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """Compiles `dispatch(make)`; its state is donated.

    Where the devices divide the members, each takes its share of them and
    nothing is sent; else they share every batch.
    """
    dispatch = self.dispatch(make)
    if self.spread(devices):
      return parallel.parallelize_members(
        dispatch, (AXES, _CONSTANT_AXES, _DRAW_AXES), (AXES, 0), devices
      )
    compiled = parallel.parallelize(dispatch, devices)

    def call(state, constants, draws):
      return compiled(state, constants, parallel.shard(draws, devices))

    return call

  # --- What the host does ---------------------------------------------------

  def check_feed(self, feed: Feed) -> None:
    """Raises InputError if images would have to be sent M times over."""
    if self.several and not feed.resident:
      raise InputError(
        f'data.cache: {self.num_members} runs at once share images that are '
        'kept on the device; set data.cache=device, or raise data.cache_mb'
      )

  def draws(self, feed: Feed, start: int) -> Iterator[Draw]:
    """Draws of all members, each in the order of its own seed.

    Args:
      feed: with the images on the device; of the first member's seed.
      start: number of the first draw.

    Returns:
      Draws without end: indices `[B, M]`, positions `[B]`; of one member, the
      feed's own.
    """
    if not self.several:
      return feed.draws(start)
    seeds = dict.fromkeys(m.seed for m in self.members)
    orders = [feed.reseeded(seed).draws(start) for seed in seeds]
    repeats = self.num_members // len(seeds)

    def stacked():
      for draws in zip(*orders, strict=True):
        indices = jax.tree.map(
          lambda *orders: np.tile(np.stack(orders, axis=-1), repeats),
          *(draw['indices'] for draw in draws),
        )
        yield draws[0] | {'indices': indices}

    return stacked()

  def rows(
    self, metrics: dict[str, jax.Array]
  ) -> list[tuple[Member | None, dict[str, float]]]:
    """Metrics by member; of a single one, under None."""
    if not self.several:
      return [(None, {name: float(x) for name, x in metrics.items()})]
    metrics = {name: np.asarray(x) for name, x in metrics.items()}
    return [
      (member, {name: float(x[i]) for name, x in metrics.items()})
      for i, member in enumerate(self.members)
    ]

  def select(self, tree: chex.ArrayTree, number: int | None) -> chex.ArrayTree:
    """One member's part of a tree, whose leaves are `[M, ...]` or scalars.

    All of the tree of a single run, whose number may be None.
    """
    if not self.several:
      return tree
    return jax.tree.map(lambda x: x[number] if x.ndim else x, tree)

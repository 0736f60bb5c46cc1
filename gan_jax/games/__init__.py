"""Games: what each player minimises, given both players' parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax

from gan_jax.networks import enlargers, stylegan
from gan_jax.networks.posing import Ranges
from gan_jax.sampling.enlarging import Enlarge
from gan_jax.sampling.styles import Styled
from gan_jax.types import Players

# Collections of a player's model state of which no mean may be taken: pools of
# images, averages of styles. The devices hold equal ones, since what goes into
# them is gathered from all (`jax.lax.all_gather`); a moving average of G has
# them as they are.
BUFFERS = ('buffers',)


def buffers_of(model_state: chex.ArrayTree) -> dict[str, chex.ArrayTree]:
  """Those of `BUFFERS` that a player has."""
  return {name: model_state[name] for name in BUFFERS if name in model_state}


class Outcome(NamedTuple):
  """What an objective returns beside its loss.

  Attributes:
    model_state: the player's own new model state; its opponent's is left as
      it was, whatever the objective computed with it.
    metrics: named scalars to log.
  """

  model_state: chex.ArrayTree
  metrics: dict[str, jax.Array]


# objective(params, model_state, batch, key, step) -> (loss, Outcome), with
# both players' params and model state, and the number of training steps made.
Objective = Callable[
  [Players, Players, Any, jax.Array, jax.Array], tuple[jax.Array, Outcome]
]


# generate(variables, latents, given, *, train=False) -> (images, variables):
# images `[B, H, W, C]` in [-1, 1] of G's variables, `{'params': ..., ...}`.
# With `train`, batch norm goes by the batch, and leaves its statistics in the
# variables that come back.
Generate = Callable[..., tuple[jax.Array, chex.ArrayTree]]


class Game(NamedTuple):
  """Two players who each minimise an objective over the same parameters.

  Or one: then params and model state of D are {}, and it has no objective.

  Attributes:
    init: key -> (params, model_state), each a `Players`.
    objectives: what each player minimises; D's is None in a game of G alone.
    generate: the only way to pictures, see `Generate`; None if there are none.
    fakes: (params, model_state, batch, key) -> the fakes that G's objective
      sees with this key, as many as the batch has; None if there are none.
    encode: (G's variables, images, given) -> the latents that `generate` makes
      these images of, as well as it can; None without an encoder.
    styled: both halves of a style-based G; None of another.
    back: of a game of two domains, as `generate`, of what is given as `images`
      what the other domain has in their place; None of another.
    enlarge: of a super-resolution G; None of another.
    posed: where a G with poses draws them; None of another.
    seen: (real images, step) -> as G is to make them, of a game whose images
      are not those of the data; None of another.
  """

  init: Callable[[jax.Array], tuple[Players, Players]]
  objectives: Players[Objective | None]
  generate: Generate | None = None
  fakes: Callable[..., jax.Array] | None = None
  encode: Callable[..., jax.Array] | None = None
  styled: Styled | None = None
  seen: Callable[[jax.Array, jax.Array], jax.Array] | None = None
  back: Generate | None = None
  enlarge: Enlarge | None = None
  posed: Ranges | None = None

  @property
  def players(self) -> tuple[str, ...]:
    """Who moves: 'gen', and 'disc' if it has an objective."""
    objectives = self.objectives._asdict()
    return tuple(name for name, own in objectives.items() if own is not None)


def of_network(network: nn.Module) -> Generate:
  """Pictures that are one pass of G's network.

  In training mode only where batch norm makes a difference: what else training
  does to a network, such as mixing styles, is of no picture.
  """
  style = getattr(network, 'style', None)  # a plugin's may have none
  plain = style is not None and not style.batch_norm

  def generate(variables, latents, given, *, train=False):
    train = train and not plain
    images, new = network.apply(
      variables, latents, given, train=train, mutable=['batch_stats']
    )
    return images, {**variables, **new}

  return generate


def styled_of(network: nn.Module) -> Styled | None:
  """Both halves of a style-based network; None of another."""
  if not isinstance(network, stylegan.StyledGenerator):
    return None

  def styles(variables, latents, given):
    return network.apply(
      variables, latents, given, train=False, method='styles'
    )

  def paint(variables, styles, noise):
    keys = noise if isinstance(noise, tuple) else stylegan.split(noise)[0]
    return network.apply(variables, styles, keys, method='paint')

  def noise(latents):
    keys, _ = stylegan.split(latents)
    sizes = enumerate(network.noise_sizes)
    return tuple(stylegan.noise_of(keys, *which) for which in sizes)

  def mean(variables):
    return variables['buffers']['mean_style']

  compiled = map(jax.jit, (styles, paint, mean, noise))
  return Styled(*compiled, network.num_layers)


def enlarging(network: nn.Module) -> Enlarge | None:
  """A super-resolution network by itself; None of another."""
  if not isinstance(network, enlargers.Enlarger):
    return None

  def apply(variables, small):
    return network.apply(variables, small, train=False, method='enlarge')

  return Enlarge(apply, network.factor, network.channels)


def swap_players(game: Game) -> Game:
  """The same game with the names exchanged: who moved second moves first.

  Params, model state and objectives of `gen` are those of the given game's
  `disc`, and the reverse.
  """

  def swap(players):
    return Players(gen=players.disc, disc=players.gen)

  def init(key):
    params, model_state = game.init(key)
    return swap(params), swap(model_state)

  def swapped(objective):
    def evaluate(params, model_state, batch, key, step):
      return objective(swap(params), swap(model_state), batch, key, step)

    return evaluate

  return Game(init, swap(Players(*map(swapped, game.objectives))))

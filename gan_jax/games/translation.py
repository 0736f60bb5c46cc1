"""CycleGAN as a game: two generators against two discriminators, in coalitions.

`forward` makes images of those of another domain, `batch.given['other']`, and
`backward` makes these of images. One D judges `images`, one `other`. The two
domains come in orders of their own: no image has a counterpart.

D's objective shows fakes through a pool of earlier ones, as many for each
domain; it is D's state, and of a batch that devices share, all have the same.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome
from gan_jax.games import pool as pool_lib
from gan_jax.games.passes import (
  Keys,
  apply,
  described,
  drawn_by,
  first_variables,
  joined,
  of_member,
)
from gan_jax.losses import AdversarialLoss
from gan_jax.rng import example_keys
from gan_jax.types import Players, Task

FORWARD, BACKWARD = 'forward', 'backward'
IMAGES, OTHER = 'images', 'other'
# A generator -> the domains from which, and to which, it goes.
WAYS = {FORWARD: (OTHER, IMAGES), BACKWARD: (IMAGES, OTHER)}
_RETURN = {FORWARD: BACKWARD, BACKWARD: FORWARD}


class Weights(NamedTuple):
  """What G's terms weigh, and how many fakes D's pools hold.

  Attributes:
    cycle: on the mean |x - back and forth of x|, of either domain.
    identity: on the mean |y - G(y)| of a G at images of its own target.
    pool: places in each pool; 0 for none.
  """

  cycle: float = 10.0
  identity: float = 5.0
  pool: int = 50


WEIGHTS = Weights()  # the paper's


def distance(x: jax.Array, y: jax.Array) -> jax.Array:
  """The mean |x - y| over all values."""
  return jnp.mean(jnp.abs(x - y))


class _CycleGame:
  """The two objectives; the arguments are those of `cycle_gan`."""

  def __init__(self, networks, loss, task, weights, axis_name):
    self.networks, self.loss, self.task = networks, loss, task
    self.weights, self.axis_name = weights, axis_name
    shapes = {IMAGES: task.image_shape, OTHER: task.given[OTHER].shape}
    self.shapes = {name: tuple(shape) for name, shape in shapes.items()}

  def init(self, key):
    """Key -> (params, model state), from two dummy images of each domain."""
    dummies = {name: jnp.zeros((2, *s)) for name, s in self.shapes.items()}
    seen = Players(
      gen={way: (dummies[source],) for way, (source, _) in WAYS.items()},
      disc={name: (images,) for name, images in dummies.items()},
    )
    gen, disc = map(first_variables, self.networks, seen, jax.random.split(key))
    params = Players(gen.pop('params'), disc.pop('params'))
    if self.weights.pool:
      disc['buffers'] = {
        name: pool_lib.empty(self.weights.pool, shape)
        for name, shape in self.shapes.items()
      }
    return params, Players(gen, disc)

  # --- Passes ---------------------------------------------------------------

  def translate(self, params, model_state, way, images):
    """Images of the other domain, and the new state of the network."""
    own = params.gen[way], of_member(model_state.gen, way)
    return apply(self.networks.gen[way], *own, images)

  def judge(self, params, model_state, domain, images):
    """Logits, and the new state of the domain's D."""
    state = {k: v for k, v in model_state.disc.items() if k != 'buffers'}
    own = params.disc[domain], of_member(state, domain)
    verdict, new = apply(self.networks.disc[domain], *own, images)
    return verdict.logits, new

  def generate(self, variables, latents, given, *, train=False, way=FORWARD):
    """See `gan_jax.games.Generate`; latents are not read."""
    del latents
    source = given[WAYS[way][0]]
    network = self.networks.gen[way]
    return drawn_by(network, variables, way, source, train=train)

  def back(self, variables, latents, given, *, train=False):
    """The other way: `given['images']` as the other domain would have them."""
    return self.generate(variables, latents, given, train=train, way=BACKWARD)

  def fakes(self, params, model_state, batch, key):
    """Images made of the batch's others, for the probe."""
    del key
    return self.translate(params, model_state, FORWARD, batch.given[OTHER])[0]

  # --- G --------------------------------------------------------------------

  def gen_objective(self, params, model_state, batch, key, step):
    """Both generators' loss; their new state is of passes on real images."""
    del key, step
    real = _domains(batch)
    cycle, identity, adversarial = [], [], []
    members, scores = {}, []
    for way, (source, target) in WAYS.items():
      fake, members[way] = self.translate(
        params, model_state, way, real[source]
      )
      again, _ = self.translate(params, model_state, _RETURN[way], fake)
      logits, _ = self.judge(params, model_state, target, fake)
      cycle.append(distance(again, real[source]))
      adversarial.append(self.loss.gen(logits))
      scores.append(jnp.mean(self.loss.score(logits)))
      if self.weights.identity:
        same, _ = self.translate(params, model_state, way, real[target])
        identity.append(distance(same, real[target]))
    total = sum(adversarial) + self.weights.cycle * sum(cycle)
    metrics = {'cycle': sum(cycle) / 2, 'disc_fake': sum(scores) / 2}
    if identity:
      total += self.weights.identity * sum(identity)
      metrics['identity'] = sum(identity) / 2
    return total, Outcome(joined(members), {'gen_loss': total, **metrics})

  # --- D --------------------------------------------------------------------

  def disc_objective(self, params, model_state, batch, key, step):
    """Half the sum of both discriminators' losses on real images and fakes."""
    del step
    real, key = _domains(batch), Keys.of(key).fake
    total, members, pools, metrics = 0.0, {}, {}, []
    for number, (way, (source, target)) in enumerate(WAYS.items()):
      fake, _ = self.translate(params, model_state, way, real[source])
      if self.weights.pool:
        own = jax.random.fold_in(key, number)
        pool = model_state.disc['buffers'][target]
        fake, pools[target] = self.from_pool(pool, fake, batch.positions, own)
      of_real, state = self.judge(params, model_state, target, real[target])
      between = model_state.disc | joined({target: state})
      of_fake, members[target] = self.judge(
        params, model_state._replace(disc=between), target, fake
      )
      losses = self.loss.disc_real(of_real), self.loss.disc_fake(of_fake)
      total += sum(losses)
      said = *losses, of_real, of_fake
      metrics.append(described(self.loss, *said, self.axis_name))
    state = joined(members)
    if pools:
      state['buffers'] = pools
    averages = jax.tree.map(lambda *values: sum(values) / 2, *metrics)
    total = 0.5 * total
    return total, Outcome(state, {**averages, 'disc_loss': total})

  def from_pool(self, pool, fake, positions, key):
    """A device's share of what the pool shows of the whole batch."""
    keys, start = example_keys(key, positions), 0
    share, axis = len(fake), self.axis_name
    if axis is not None:
      fake, keys = (
        jax.lax.all_gather(x, axis, tiled=True)
        for x in (fake, jax.random.key_data(keys))
      )
      keys = jax.random.wrap_key_data(keys)
      start = share * jax.lax.axis_index(axis)
    shown, pool = pool_lib.query(pool, fake, keys)
    return jax.lax.dynamic_slice_in_dim(shown, start, share), pool


def _domains(batch) -> dict[str, jax.Array]:
  """Real images of either domain."""
  return {IMAGES: batch.images, OTHER: batch.given[OTHER]}


def cycle_gan(
  networks: Players[dict[str, nn.Module]],
  loss: AdversarialLoss,
  *,
  task: Task,
  weights: Weights = WEIGHTS,
  axis_name: str | None = None,
) -> Game:
  """Builds the game of two generators and two discriminators.

  D's loss is half of the two, as the paper's code has it. Statistics of batch
  norm are those of the passes on real images.

  Args:
    networks: gen `forward` and `backward`, disc `images` and `other`; see
      gan_jax.networks.cyclegan.
    loss: see gan_jax.losses; the paper's is least squares.
    task: the images' shape; `other` is given.
    weights: of the terms, and the size of the pools.
    axis_name: the mapped device axis that shares the batch, or None.

  Returns:
    A game over `Batch`es. Its metrics are means over the two domains; `cycle`
    and `identity` are mean absolute differences of pixels in [-1, 1].

  Reference:
    Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent
    Adversarial Networks, arXiv 1703.10593, eqs. 1 to 3 and sections 4, 5.2.
  """
  game = _CycleGame(networks, loss, task, weights, axis_name)
  return Game(
    game.init,
    Players(gen=game.gen_objective, disc=game.disc_objective),
    game.generate,
    game.fakes,
    back=game.back,
  )

"""One pass of a player's network, and how both players begin."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.losses import accuracies
from gan_jax.networks.virtual import reference_size
from gan_jax.tricks import Tricks
from gan_jax.tricks.terms import Term, first_memory
from gan_jax.tricks.views import pack, packed_shape
from gan_jax.types import Given, Players, Task

# Model state that no pass of a network changes.
_NOT_THE_NETWORKS = ('memory', 'reference')


class Keys(NamedTuple):
  """Keys of one objective, each `[]`; equal keys make equal fakes and views."""

  latents: jax.Array
  penalty: jax.Array
  real: jax.Array
  fake: jax.Array
  labels: jax.Array
  consistency: jax.Array

  @classmethod
  def of(cls, key: jax.Array) -> 'Keys':
    """All of them, from an objective's one."""
    others = [jax.random.fold_in(key, number) for number in range(2, 6)]
    return cls(*jax.random.split(key), *others)

  def of_packs(self, packing: int) -> 'Keys':
    """Of keys `[B]`, those of the first example of each pack."""
    return Keys(*(keys[::packing] for keys in self))


def next_in_batch(tree: Given, axis_name: str | None) -> Given:
  """Leaves `[B, ...]` moved by one example, of the batch over all devices."""

  def move(x):
    first = x[:1]
    if axis_name is not None:
      num = jax.lax.axis_size(axis_name)
      way = [((i + 1) % num, i) for i in range(num)]
      first = jax.lax.ppermute(first, axis_name, way)
    return jnp.concatenate([x[1:], first])

  return jax.tree.map(move, tree)


def apply(network: nn.Module, params, model_state, *inputs):
  """Runs a network in training mode; returns (output, new model state)."""
  mutable = [name for name in model_state if name not in _NOT_THE_NETWORKS]
  output, new = network.apply(
    {'params': params, **model_state}, *inputs, train=True, mutable=mutable
  )
  return output, {**model_state, **new}


def call(network: nn.Module, params, model_state, method: str, *inputs):
  """A method's output in training mode; the new model state is dropped."""
  mutable = [name for name in model_state if name not in _NOT_THE_NETWORKS]
  output, _ = network.apply(
    {'params': params, **model_state},
    *inputs,
    train=True,
    mutable=mutable,
    method=method,
  )
  return output


def of_member(variables: dict[str, Any], name: str) -> dict[str, Any]:
  """One network's variables, of a coalition's.

  Args:
    variables: by collection, then by the name of the network, so that a
      coalition's are told apart as one network's are.
    name: of the network.
  """
  return {kind: own[name] for kind, own in variables.items() if name in own}


def joined(members: dict[str, dict[str, Any]]) -> dict[str, Any]:
  """A coalition's variables, of its networks' by their names."""
  kinds = dict.fromkeys(kind for own in members.values() for kind in own)
  return {
    kind: {name: own[kind] for name, own in members.items() if kind in own}
    for kind in kinds
  }


def first_variables(
  networks: dict[str, nn.Module], inputs: dict[str, tuple], key: jax.Array
) -> dict[str, Any]:
  """A coalition's variables, each network's from inputs `[2, ...]` of its own.

  Args:
    networks: by name.
    inputs: likewise, without `train`.
    key: of all.
  """
  keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
  return joined(
    {
      name: network.init(keys[name], *inputs[name], train=False)
      for name, network in networks.items()
    }
  )


def drawn_by(
  network: nn.Module, variables: dict[str, Any], name: str, *inputs, train: bool
) -> tuple[jax.Array, dict[str, Any]]:
  """What a coalition's network makes, see `gan_jax.games.Generate`."""
  outputs, new = network.apply(
    of_member(variables, name), *inputs, train=train, mutable=['batch_stats']
  )
  kept = {kind: {**variables[kind], name: own} for kind, own in new.items()}
  return outputs, {**variables, **kept}


def described(
  loss: Any,
  of_real: jax.Array,
  of_fake: jax.Array,
  real_logits: jax.Array,
  fake_logits: jax.Array,
  axis_name: str | None,
) -> dict[str, jax.Array]:
  """Metrics of what D says.

  Args:
    loss: with its `score` and its `boundary`.
    of_real: D's loss on real images.
    of_fake: on fakes.
    real_logits: of real images.
    fake_logits: of fakes.
    axis_name: mapped device axis that shares the batch, or None.
  """
  return {
    'disc_loss_real': of_real,
    'disc_loss_fake': of_fake,
    'disc_real': jnp.mean(loss.score(real_logits)),
    'logit_gap': jnp.mean(real_logits) - jnp.mean(fake_logits),
    **accuracies(loss.boundary, real_logits, fake_logits, axis_name),
  }


def hidden_layers(network: nn.Module, params, model_state, *inputs) -> tuple:
  """D's verdict and its hidden layers, in training mode, state dropped."""
  mutable = [name for name in model_state if name not in _NOT_THE_NETWORKS]
  verdict, new = network.apply(
    {'params': params, **model_state},
    *inputs,
    train=True,
    mutable=[*mutable, 'intermediates'],
  )
  sown = new.get('intermediates', {})  # of a pair at 4 pixels there are none
  sown = sown.get('network', sown)  # inside WithReference
  num = len(verdict.logits)
  return verdict, [layer[-num:] for layer in sown.get('features', ())]


def initialiser(
  networks: Players[nn.Module],
  task: Task,
  terms: Players[Sequence[Term]],
  tricks: Tricks,
  reference: Players[Any] | None,
) -> Callable[[jax.Array], tuple[Players, Players]]:
  """Key -> (params, model state) of both players.

  From two dummy examples, or from the reference batch of a network that has
  one; G's is drawn from the prior. A G that begins at the mean image has it.
  """
  shape = packed_shape(task.image_shape, tricks.packing)
  mean, seen = reference or (None, None)

  def init_disc(key):
    images = jnp.zeros((reference_size(networks.disc) or 2, *shape))
    if seen is not None:
      images = pack(jnp.asarray(seen), tricks.packing)
    variables = networks.disc.init(key, images, task.dummies(2), train=False)
    return _with_memory(variables, tricks.first_memory(), terms.disc)

  def init(key):
    gen_key, disc_key = jax.random.split(key)
    if tricks.num_discs > 1:
      disc_keys = jax.random.split(disc_key, tricks.num_discs)
      disc = jax.vmap(init_disc)(disc_keys)
    else:
      disc = init_disc(disc_key)
    num = reference_size(networks.gen) or 2
    latents = task.draw(jax.random.split(key, num))
    gen = networks.gen.init(gen_key, latents, task.dummies(2), train=False)
    if mean is not None:
      gen = {**gen, 'params': networks.gen.begun_at(gen['params'], mean)}
    gen = _with_memory(gen, {}, terms.gen)
    variables = Players(gen=gen, disc=disc)
    params = Players(*(v['params'] for v in variables))
    model_state = Players(
      *({k: c for k, c in v.items() if k != 'params'} for v in variables)
    )
    return params, model_state

  return init


def _with_memory(variables, memory, terms):
  """Variables of a player that remembers, or as they are."""
  memory = memory | first_memory(terms)
  return {**variables, 'memory': memory} if memory else variables

"""Architectures by name: each builds a `Players` of two flax modules.

    generator(latents [B, Z], given, *, train) -> images [B, H, W, C]
    discriminator(images [B, H, W, C], given, *, train) -> Verdict(logits [B])

Images are in [-1, 1]; `given` is a dict of columns, such as `labels` [B], of
which a pair takes those that it was built for. D's hidden layers are reachable,
in order, as `intermediates/features` (`apply(..., mutable='intermediates')`).
Of a game with one player they are an encoder and a decoder, see autoencoder.py,
or a network that hears noise, see unet.py.

To add one: a file with a function `(image_shape, style, *, keys) -> Players`,
and its `Architecture` in `NETWORKS`, architectures.py; docs/extending.md has an
example.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from gan_jax.networks.architectures import AUTOENCODERS as AUTOENCODERS
from gan_jax.networks.architectures import DENOISERS as DENOISERS
from gan_jax.networks.architectures import NETWORKS as NETWORKS
from gan_jax.networks.architectures import TRANSLATORS as TRANSLATORS
from gan_jax.networks.architectures import Architecture as Architecture
from gan_jax.networks.layers import Style
from gan_jax.networks.style import check_style
from gan_jax.networks.virtual import WithReference
from gan_jax.types import Column, InputError, Players, Task, lookup

# Style keys of a config -> the players they belong to, and the attribute.
_STYLE_KEYS = {
  'gen_activation': (('gen',), 'activation'),
  'disc_activation': (('disc',), 'activation'),
  'gen_norm': (('gen',), 'norm'),
  'disc_norm': (('disc',), 'norm'),
  'gen_weights': (('gen',), 'weights'),
  'disc_weights': (('disc',), 'weights'),
  'norm_momentum': (('gen', 'disc'), 'norm_momentum'),
  'norm_groups': (('gen', 'disc'), 'norm_groups'),
  'embed_dim': (('gen',), 'embed_dim'),
  'disc_labels_by': (('disc',), 'labels_by'),
  'reference_size': (('gen', 'disc'), 'reference_size'),
  'disc_minibatch': (('disc',), 'minibatch'),
  'minibatch_kernels': (('disc',), 'minibatch_kernels'),
  'minibatch_dim': (('disc',), 'minibatch_dim'),
  'minibatch_group': (('disc',), 'minibatch_group'),
}


# Style keys that say something of one norm alone.
_OF_NORMS = {'reference_size': 'virtual', 'norm_groups': 'group'}


def network_keys(
  name: str, table: dict[str, Architecture] = NETWORKS
) -> list[str]:
  """The config keys, under `network`, that an architecture takes."""
  architecture = table[name]
  parameters = inspect.signature(architecture.make).parameters.values()
  own = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

  def takes(player, key):
    norm = _OF_NORMS.get(key)
    norms = getattr(architecture, f'{player}_norms')
    present = getattr(architecture.style, player) is not None
    present = present and key not in architecture.lacks
    return present and (norm is None or norm in norms)

  of_style = [
    key
    for key, (players, _) in _STYLE_KEYS.items()
    if any(takes(player, key) for player in players)
  ]
  return sorted([*own, *of_style])


def _style(architecture, player, given, **shared) -> Style | None:
  changes = {
    attribute: given[key]
    for key, (players, attribute) in _STYLE_KEYS.items()
    if player in players and key in given
  }
  if changes.get('norm') == 'spectral':
    weights = changes.setdefault('weights', 'spectral')
    if weights != 'spectral':
      raise InputError(
        f'network.{player}_norm: spectral means network.{player}_weights='
        f'spectral, which is {weights}; leave one of them out'
      )
  default = getattr(architecture.style, player)
  if default is None:
    return None
  of_labels = architecture.gen_style_of_labels
  if player == 'gen' and shared['num_classes'] and of_labels:
    default = of_labels
  style = dataclasses.replace(default, **changes, **shared)
  norms = getattr(architecture, f'{player}_norms')
  if player == 'disc':
    ways = dict.fromkeys(architecture.labels_by)
    lookup(ways, style.labels_by, 'network.disc_labels_by')
  return check_style(style, player, norms, architecture.weights)


MOST_UNITS = 2**16  # of a layer; no published network has a wider one
MOST_LAYERS = 100
MOST_PIECES = 1_000  # of a maxout unit
_WHOLE = ('widths', 'width', 'depth', 'dim', 'size', 'kernels', 'maxout')
_WHOLE += ('groups', 'group', 'base', 'max', 'resolution', 'blocks')


def _check_number(key: str, value: object) -> None:
  """Raises InputError unless sizes are whole numbers above 0."""
  if isinstance(value, (tuple, list)):
    if not value and key != 'attention':  # of which () is none
      raise InputError(f'network.{key}: give one width at least, such as 64')
    if len(value) > MOST_LAYERS:
      raise InputError(
        f'network.{key}: {len(value)} layers are beyond the limit, '
        f'{MOST_LAYERS}'
      )
    for width in value:
      if isinstance(width, tuple | list):
        raise InputError(f'network.{key}: {width!r} is no whole number above 0')
      _check_number(key, width)
    return
  if key == 'norm_momentum':
    if not 0 < value < 1:
      raise InputError(f'network.{key}: {value} is not between 0 and 1')
  elif key.endswith(_WHOLE) and (not isinstance(value, int) or value < 1):
    raise InputError(f'network.{key}: {value!r} is no whole number above 0')
  elif key.endswith(_WHOLE):
    most = MOST_PIECES if key.endswith('maxout') else MOST_UNITS
    if key.endswith('base'):  # over the pixels of a map, 4 at least
      most *= 16
    if value > most:
      raise InputError(f'network.{key}: {value} is beyond the limit, {most:,}')


def make_networks(
  name: str,
  task: Task,
  *,
  axis_name: str | None = None,
  dtype: Any = None,
  **keys,
) -> Players[nn.Module]:
  """Builds a pair by name.

  Args:
    name: one of `NETWORKS`.
    task: what the pair is built for; both players see what is given in it.
    axis_name: mapped device axis over which batch statistics are averaged.
    dtype: of the computation, see `Style`.
    **keys: the architecture's keys; those that are None keep its default.

  Raises:
    InputError: an unknown name, a key that the architecture lacks, a value
      out of range, or an image size that it cannot produce.
  """
  make, style = _resolved(NETWORKS, name, task, axis_name, dtype, keys)
  return Players(*map(with_reference, make(task.image_shape, style)))


def make_autoencoder(
  name: str,
  task: Task,
  code_dim: int,
  *,
  axis_name: str | None = None,
  dtype: Any = None,
  **keys,
) -> Players[dict[str, nn.Module]]:
  """Builds an encoder and a decoder by name; D is nobody.

  Args:
    name: one of `AUTOENCODERS`.
    task: as in `make_networks`.
    code_dim: what the encoder puts out.
    axis_name: as in `make_networks`.
    dtype: likewise.
    **keys: likewise.

  Raises:
    InputError: likewise.
  """
  make, style = _resolved(AUTOENCODERS, name, task, axis_name, dtype, keys)
  return Players(gen=make(task.image_shape, style.gen, code_dim), disc={})


def make_denoiser(
  name: str,
  task: Task,
  *,
  axis_name: str | None = None,
  dtype: Any = None,
  **keys,
) -> Players[nn.Module]:
  """Builds the network of a diffusion model by name; D is nobody.

  Args:
    name: one of `DENOISERS`.
    task: as in `make_networks`.
    axis_name: likewise.
    dtype: likewise.
    **keys: likewise.

  Raises:
    InputError: likewise.
  """
  make, style = _resolved(DENOISERS, name, task, axis_name, dtype, keys)
  return Players(gen=make(task.image_shape, style.gen), disc={})


def make_translators(
  name: str,
  task: Task,
  *,
  axis_name: str | None = None,
  dtype: Any = None,
  **keys,
) -> Players[dict[str, nn.Module]]:
  """Builds two pairs by name, one for each way between two domains.

  Args:
    name: one of `TRANSLATORS`.
    task: as in `make_networks`; `other` is given.
    axis_name: as in `make_networks`.
    dtype: likewise.
    **keys: likewise.

  Raises:
    InputError: likewise.
  """
  make, style = _resolved(TRANSLATORS, name, task, axis_name, dtype, keys)
  return make(task.image_shape, style)


def _resolved(
  table, name, task, axis_name, dtype, keys
) -> tuple[Callable[..., Any], Players[Style | None]]:
  """An architecture with its own keys, and the players' styles."""
  architecture = lookup(table, name, 'network.name')
  given = {k: v for k, v in keys.items() if v is not None}
  valid = network_keys(name, table)
  for key, value in sorted(given.items()):
    if key not in valid:
      raise InputError(
        f'network.{key}: {name} has no such key; it takes {", ".join(valid)}'
      )
    _check_number(key, value)
  columns = dict(task.given)
  labels = columns.pop('labels', Column(()))
  shared = dict(
    num_classes=labels.size,
    columns=tuple(columns.items()),
    codes=tuple(task.codes),
    contrast=task.contrast,
    axis_name=axis_name,
    dtype=dtype,
  )
  style = Players(
    gen=_style(architecture, 'gen', given, **shared),
    disc=_style(architecture, 'disc', given, **shared),
  )
  own = {k: v for k, v in given.items() if k not in _STYLE_KEYS}
  return functools.partial(architecture.make, **own), style


def modules_of(player: nn.Module | dict[str, nn.Module]) -> dict[str, Any]:
  """A player's modules by name: a coalition's, or '' for a single one."""
  return player if isinstance(player, dict) else {'': player}


def style_of(player: nn.Module | dict[str, nn.Module]) -> Style:
  """The style of a player's modules, which share it; a plain one of nobody."""
  styles = [module.style for module in modules_of(player).values()]
  return styles[0] if styles else Style()


def with_reference(network: nn.Module) -> nn.Module:
  """The network, beside its reference batch if its norm is virtual."""
  return WithReference(network) if network.style.norm == 'virtual' else network

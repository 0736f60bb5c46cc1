"""The papers behind a run: what the docstrings of its parts refer to."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from gan_jax.games import autoencoder, diffusion
from gan_jax.losses import LOSSES
from gan_jax.networks.architectures import (
  AUTOENCODERS,
  DENOISERS,
  NETWORKS,
  TRANSLATORS,
)
from gan_jax.penalties import PENALTIES
from gan_jax.solvers.algorithms import SOLVERS

# Games with one player: their networks, and what tells of them.
_ALONE = {
  'autoencoder': (AUTOENCODERS, autoencoder),
  'vae': (AUTOENCODERS, autoencoder),
  'diffusion': (DENOISERS, diffusion),
}
_FOUND = re.compile(r'^ *References?:\n((?: +\S.*\n?| *\n)+)', re.M)


def papers(fields: dict[str, Any]) -> dict[str, str]:
  """Parts of a run -> the papers that they follow.

  Args:
    fields: of config.json, nested.
  """
  found = {}
  for part, source in _sources(fields):
    told = reference(source)
    if told and told not in found.values():
      found[part] = told
  return found


def _sources(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
  """What a run is made of, with the objects whose docstrings tell of it."""
  game, name = fields['game'], fields['network']['name']
  table, rules = _ALONE.get(game, (NETWORKS | TRANSLATORS, None))
  if name in table:
    make = getattr(table[name].make, 'func', table[name].make)  # of a partial
    yield f'network {name}', inspect.getmodule(make)
  if rules is not None:
    yield f'game {game}', rules
    return
  yield f'loss {fields["loss"]}', LOSSES.get(fields['loss'])
  penalty = PENALTIES.get(fields['penalty'])
  if penalty is not None:
    yield f'penalty {fields["penalty"]}', penalty.value
  yield f'solver {fields["solver"]}', SOLVERS.get(fields['solver'])


def reference(source: Any) -> str:
  """What a docstring says under `Reference:`, in one line; '' for nothing."""
  match = _FOUND.search(inspect.getdoc(source) or '')
  return ' '.join(match[1].split()) if match else ''

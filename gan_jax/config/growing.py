"""The keys of pairs that grow."""

from typing import Any

from gan_jax.networks import NETWORKS, network_keys
from gan_jax.networks.growing import BASE
from gan_jax.types import InputError

Config = Any


def grows(config: Config) -> bool:
  """Whether the pair is one that grows."""
  return 'resolution' in network_keys(config.network.name)


def check(config: Config) -> None:
  """Checks `fade_in`.

  Raises:
    InputError: no steps, or nothing that fades.
  """
  fade = config.fade_in
  if not isinstance(fade, tuple | list) or len(fade) not in (0, 2):
    raise InputError(
      f'fade_in: {fade!r} is no pair of steps, such as (2_000, 4_000)'
    )
  if not fade:
    return
  if not grows(config) or not NETWORKS[config.network.name].fades:
    raise InputError(
      f'fade_in: layers fade in as a network grows, and those of '
      f'{config.network.name} do not; take progressive, or leave it out'
    )
  if not all(isinstance(step, int) for step in fade) or not (
    0 <= fade[0] < fade[1]
  ):
    raise InputError(
      f'fade_in: {fade[0]} and {fade[1]} are no steps of which the second '
      'comes later'
    )
  if config.network.resolution == BASE:
    raise InputError(
      f'fade_in: nothing is below the {BASE} pixels of network.resolution, and '
      'so nothing to fade from; leave fade_in out of this stage'
    )

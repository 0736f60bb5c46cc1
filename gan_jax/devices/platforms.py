"""What a command does about devices before it uses any."""

import jax

from gan_jax.devices import compiling
from gan_jax.types import InputError


def start() -> None:
  """Checks that the devices asked for are there; programs are kept.

  Raises:
    InputError: see `check`.
  """
  check()
  compiling.enable_compilation_cache()


def check() -> None:
  """Opens the devices that JAX_PLATFORMS names, where it names others than cpu.

  The CPU alone is always there, and is left for `parallel.split_cpu` to divide.

  Raises:
    InputError: they are not there; the message says which are.
  """
  asked = jax.config.jax_platforms or ''
  if asked in ('', 'cpu'):
    return
  try:
    jax.devices()
  except (
    RuntimeError,
    AssertionError,
  ) as error:  # the latter of no CUDA device
    # As in `Unable to initialize backend 'tpu': REASON (set JAX_PLATFORMS=...`.
    reason = str(error).partition(': ')[2].rpartition(' (')[0]
    jax.config.update('jax_platforms', '')
    there = jax.default_backend()
    raise InputError(
      f'JAX_PLATFORMS: {asked!r} cannot be had here, {there} can; unset it, or '
      f'set JAX_PLATFORMS={there}' + (f' ({reason})' if reason else '')
    ) from error

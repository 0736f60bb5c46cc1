"""Number formats that a run can compute in: the key `precision`.

Parameters, optimizer states, batch statistics and losses are float32 in all of
them; what differs is matrix products, convolutions and the activations between.
"""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.types import InputError, lookup


class Precision(NamedTuple):
  """One of `PRECISIONS`.

  Attributes:
    dtype: of activations, and of weights as they enter a product; None for
      that of the parameters.
    products: what accelerators may do to float32 products, a value of
      `jax.default_matmul_precision`.
    capability: CUDA compute capability that a GPU needs for it.
  """

  dtype: Any
  products: str
  capability: float = 0.0


PRECISIONS: dict[str, Precision] = {
  'float32': Precision(None, 'highest'),
  'tensorfloat32': Precision(None, 'tensorfloat32', 8.0),
  'bfloat16': Precision(jnp.bfloat16, 'highest', 8.0),
}


def check(name: str, platform: str, capability: float | None) -> Precision:
  """A precision by name, if the device has it.

  Args:
    name: one of `PRECISIONS`.
    platform: cpu, gpu or tpu.
    capability: CUDA compute capability; None where there is no such thing.

  Raises:
    InputError: unknown, or not for this device; with those that are.
  """
  lookup(PRECISIONS, name, 'precision')
  valid = [
    known
    for known, precision in PRECISIONS.items()
    if not (known == 'tensorfloat32' and platform != 'gpu')
    and (capability is None or capability >= precision.capability)
  ]
  if name not in valid:
    device = platform
    if capability is not None:
      device += f' of compute capability {capability:.1f}'
    raise InputError(
      f'precision: this {device} has no {name}; take {" or ".join(valid)}'
    )
  return PRECISIONS[name]


def check_on(
  name: str, devices: Sequence[jax.Device]
) -> contextlib.AbstractContextManager:
  """Checks that devices have a precision of `PRECISIONS`.

  Returns:
    A context in which to compile: on accelerators, products of float32
    arrays are exactly what the precision says. CPUs know no other.

  Raises:
    InputError: they have not.
  """
  device = devices[0]
  capability = getattr(device, 'compute_capability', None)
  found = check(
    name, device.platform, None if capability is None else float(capability)
  )
  if device.platform == 'cpu':
    return contextlib.nullcontext()
  return jax.default_matmul_precision(found.products)

"""What the `diagnose` section of a config may hold."""

import dataclasses

from gan_jax.types import InputError


@dataclasses.dataclass(frozen=True)
class Checkup:
  """The section `diagnose`; configs/base.py says what each key means."""

  window: int
  grad_norm: float
  samples: int
  classifier: bool

  def __post_init__(self):
    if self.window < 1:
      raise InputError(f'diagnose.window: {self.window} is not at least 1')
    if self.samples < 0 or self.samples == 1:
      raise InputError(
        f'diagnose.samples: {self.samples} is neither 0 nor at least 2'
      )
    if not self.grad_norm > 0:
      raise InputError(f'diagnose.grad_norm: {self.grad_norm} is not above 0')

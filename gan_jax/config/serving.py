"""Sections of modes that hand a generator on, see sections.py."""

import dataclasses

from gan_jax.config.sections import MOST_SHOWN, Drawing, check_counts
from gan_jax.types import InputError, lookup

PLATFORMS = ('cpu', 'cuda', 'rocm', 'tpu')


@dataclasses.dataclass(frozen=True)
class Export(Drawing):
  """The section `export`."""

  platforms: tuple[str, ...]
  onnx: bool
  license: str
  data_license: str

  def __post_init__(self):
    super().__post_init__()
    for name in self.platforms:
      lookup(dict.fromkeys(PLATFORMS), name, 'export.platforms')
    if not self.platforms:
      raise InputError('export.platforms: name one at least, such as cpu')
    if self.batch_norm == 'batch':
      raise InputError(
        'export.batch_norm: with batch statistics an image depends on those '
        'drawn with it; take running or standing'
      )
    for key in ('license', 'data_license'):
      if '\n' in getattr(self, key):
        raise InputError(f'export.{key}: it is one line')


@dataclasses.dataclass(frozen=True)
class Explore(Drawing):
  """The section `explore`."""

  host: str
  port: int
  num: int
  directions: tuple[str, ...]

  def __post_init__(self):
    super().__post_init__()
    check_counts(self, 'explore', num=MOST_SHOWN)
    if not 0 <= self.port < 2**16:
      raise InputError(f'explore.port: {self.port} is not in 0 to 65,535')

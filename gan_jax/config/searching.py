"""The section `search`, see sections.py."""

import dataclasses

from gan_jax.config.ranges import check_seed
from gan_jax.config.sections import check_counts
from gan_jax.types import InputError, lookup

SAMPLERS = ('tpe', 'random', 'grid')
PRUNERS = ('median', 'none')
_MOST = 2**16


@dataclasses.dataclass(frozen=True)
class Search:
  """The section `search`."""

  space: str
  trials: int
  sampler: str
  pruner: str
  together: int
  workers: int
  storage: str
  study: str
  heartbeat: int
  fresh_seeds: int
  seed: int

  def __post_init__(self):
    lookup(dict.fromkeys(SAMPLERS), self.sampler, 'search.sampler')
    lookup(dict.fromkeys(PRUNERS), self.pruner, 'search.pruner')
    counts = dict(trials=_MOST, together=256, workers=256, heartbeat=3_600)
    check_counts(self, 'search', **counts)
    check_seed(self.seed, 'search.seed')
    if not 0 <= self.fresh_seeds <= 1_000:
      raise InputError(
        f'search.fresh_seeds: {self.fresh_seeds} is not in 0 to 1,000'
      )
    if not self.study or len(self.study) > 100:
      raise InputError('search.study: it has a name of up to 100 letters')

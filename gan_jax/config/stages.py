"""A run as a list of stages: from a step on, some keys have other values.

All parameters exist from the start, so the state never changes its shape. What
is static in a stage selects a compiled program; schedules are functions of the
step, or of an optimizer's count.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from gan_jax import solvers
from gan_jax.config import sweep
from gan_jax.config.overrides import replaced, value_at
from gan_jax.data import Feed
from gan_jax.types import InputError

Config = Any

RESET = 'reset_optimizers'  # beside the keys of a stage: moments from 0 again
# Keys, or beginnings of keys, that may have another value in a stage: none on
# which the shape of the state, the data or the noise depends.
CHANGEABLE = (
  *('loss', 'f_divergence', 'label_smoothing', 'moving', 'solver'),
  *('penalty', 'penalty_weight', 'penalty_every', 'mismatch_weight'),
  *('drift_weight', 'l1_weight', 'network.resolution', 'fade_in'),
  *('adversarial_weight', 'mse_weight', 'perceptual.'),
  *('path_length_weight', 'path_length_every', 'conditioning_weight'),
  *('class_weight', 'classify_fakes', 'code_weight', 'ema_start'),
  *('unroll_steps', 'consensus_weight', 'time_scale_ratio', 'micro_batch'),
  *('batch_size', 'disc_steps', 'gen_steps', 'fresh_latents', 'ema_decay'),
  *('gen_optimizer.', 'disc_optimizer.', 'tricks.'),
)
# Types of keys that are None at the start, where a check wants to know.
_TYPES = {
  'classify_fakes': (bool, type(None)),
  'class_weight': (float, int, type(None)),
  'code_weight': (float, int, type(None)),
}
_FIXED = ('tricks.packing', 'tricks.num_discs')


class Stage(NamedTuple):
  """One of them.

  Attributes:
    start: steps made when it begins.
    end: steps made when the next one begins.
    values: of the keys that it changes, by their dotted names.
    reset: whether both optimizers begin anew.
    draws: made of the data before it.
    images: that these were made of.
    disc_steps: draws of each of its steps.
    batch_size: images of each of its draws.
  """

  start: int
  end: int
  values: dict[str, Any]
  reset: bool
  draws: int
  images: int
  disc_steps: int
  batch_size: int

  @property
  def plain(self) -> bool:
    """Whether the run is itself in it: from the start, with its own keys."""
    return not self.start and not self.values

  def draws_before(self, step: int) -> int:
    """Draws made of the data before one of its steps."""
    return self.draws + (step - self.start) * self.disc_steps

  def of_feed(self, feed: Feed) -> Feed:
    """The same stream, in the batches of this stage from its start on."""
    return feed.resized(self.batch_size, self.draws, self.images)

  def images_before(self, step: int) -> int:
    """Real images that D has seen before one of its steps."""
    seen = (self.draws_before(step) - self.draws) * self.batch_size
    return self.images + seen


def stages_of(config: Config) -> list[Stage]:
  """All stages of a run, of which the first begins at 0; one without any."""
  listed = [(0, {}), *_listed(config)]
  if len(listed) > 1 and listed[1][0] == 0:
    listed.pop(0)
  found, draws, images = [], 0, 0
  ends = [start for start, _ in listed[1:]] + [config.num_steps]
  for (start, given), end in zip(listed, ends, strict=True):
    values = {key: value for key, value in given.items() if key != RESET}
    sizes = [
      values.get(key, getattr(config, key))
      for key in ('disc_steps', 'batch_size')
    ]
    stage = Stage(
      start,
      min(end, config.num_steps),
      values,
      bool(given.get(RESET, False)),
      draws,
      images,
      *sizes,
    )
    found.append(stage)
    last = max(stage.end, start)
    draws, images = stage.draws_before(last), stage.images_before(last)
  return found


def config_of(config: Config, stage: Stage) -> Config:
  """The config of one stage by itself."""
  return replaced(config, {**stage.values, 'stages': ()})


def check(config: Config, check_one: Callable[[Config], None]) -> None:
  """Checks `stages`.

  Args:
    config: of any number of stages.
    check_one: raises InputError if the config of one stage is wrong.

  Raises:
    InputError: a list of another form, stages out of order, a key that there
      is not or that may not change, or a value that it may not have.
  """
  if not config.stages:
    return
  before = -1
  for start, values in _listed(config):
    if start <= before:
      raise InputError(
        f'stages: the one at step {start} comes after the one at step '
        f'{before}; list them in the order of their steps, each once'
      )
    before = start
    for key, value in values.items():
      own = _own_value(config, start, key)
      _check_type(own, start, key, value)
  before = None
  for stage in stages_of(config):
    own = config_of(config, stage)
    try:
      check_one(own)
    except InputError as error:
      raise InputError(f'stages: from step {stage.start} on, {error}') from (
        error
      )
    if before is not None and not stage.reset:
      _check_schedules(before, own, stage.start)
    before = own


def _listed(config: Config) -> list[tuple[int, dict[str, Any]]]:
  """The stages as they are written, nested attributes as dicts."""
  found = []
  for entry in config.stages:
    whole = isinstance(entry, list | tuple) and len(entry) == 2
    start, values = entry if whole else (None, None)
    values = vars(values) if hasattr(values, '__dict__') else values
    if type(start) is not int or start < 0 or not isinstance(values, dict):
      raise InputError(
        f'stages: {str(entry)[:80]!r} is no pair of a step and its keys, such '
        "as (5_000, {'loss': 'hinge', 'gen_optimizer.learning_rate': 1e-4})"
      )
    found.append((start, values))
  return found


def _own_value(config: Config, start: int, key: str) -> Any:
  """What a key has at the start; InputError if no stage may change it."""
  if key == RESET:
    return False
  try:
    own = value_at(config, key)
  except AttributeError as error:
    raise InputError(
      f'stages: from step {start} on, {key!r}: there is no such key; write '
      'keys of sections with a dot'
    ) from error
  may = key in CHANGEABLE or any(
    key.startswith(name) for name in CHANGEABLE if name.endswith('.')
  )
  if not may or key in _FIXED:
    raise InputError(
      f'stages: from step {start} on, {key} would change what the state or the '
      'data is; a stage may change the loss, penalties, the solver, rates, '
      'tricks, and how often who moves'
    )
  swept = [k for name, k in sweep.SWEPT.items() if getattr(config.sweep, name)]
  if key in swept:
    raise InputError(
      f'stages: from step {start} on, {key} has one value, and sweep has '
      'several for it; leave one of them out'
    )
  return own


def _check_type(own: Any, start: int, key: str, value: Any) -> None:
  """Raises InputError for a value of another type than the key's own."""
  kinds = (type(own),)
  if key in _TYPES:
    kinds = _TYPES[key]
  elif isinstance(own, float):
    kinds = (float, int)
  elif own is None:  # a number or a name, of which the key's check has the rest
    kinds = (float, int, str, type(None))
  elif isinstance(own, tuple | list):
    kinds = (tuple, list)
  if not isinstance(value, kinds) or (
    isinstance(value, bool) and bool not in kinds
  ):
    raise InputError(
      f'stages: from step {start} on, {key}: {value!r} is not of the type of '
      f'{own!r}'
    )


def _check_schedules(before: Config, own: Config, start: int) -> None:
  """Refuses a rate that would jump, since a player moves more or less often.

  A schedule goes by the updates that a player has made.
  """
  counts = [
    solvers.updates_per_step(c.solver, c.disc_steps, c.gen_steps)
    for c in (before, own)
  ]
  for player in ('gen', 'disc'):
    then, now = (getattr(count, player) for count in counts)
    schedule = getattr(own, f'{player}_optimizer').schedule
    if then != now and schedule != 'constant':
      raise InputError(
        f'stages: from step {start} on, the {schedule} schedule of '
        f'{player}_optimizer would jump: it moves {now} times a step, and '
        f'{then} before; set {RESET} there, or a constant schedule'
      )

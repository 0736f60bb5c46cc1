"""A study that several workers share: each trial is run once, or told lost.

Trials are in a database. A worker claims them under a lock of the workdir, so
that there are no more than was asked for. While it works it leaves heartbeats;
where these stop, another worker takes the trial up again.
"""

import contextlib
import datetime
import fcntl
import json
import pathlib
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from gan_jax.config.searching import Search
from gan_jax.config.space import Dimension, Space
from gan_jax.types import InputError

# Attributes of a trial: why it could not be run, and the score's full name.
PROBLEM, SCORE = 'problem', 'score'
_DATABASE, _LOCK = 'search.db', '.claims'
_SILENT = 3  # heartbeats that may be missing
_MOST_LOST = 10  # workers that a trial may end
_BUSY = 120  # seconds that SQLite waits for another process
_MEANWHILE = 3  # seconds in which another has made the tables
_RETRY = optuna.storages.RetryHeartbeatStaleTrialCallback


class Study:
  """The trials of a search, and who runs which.

  Attributes:
    url: of the storage, without its password.
    optuna: Optuna's study.
  """

  def __init__(
    self,
    keys: Search,
    space: Space,
    folder: pathlib.Path,
    *,
    better: str,
    identity: Mapping[str, Any],
  ):
    """Opens the study, or begins it.

    Args:
      keys: the section `search`.
      space: what is tried.
      folder: the workdir.
      better: lower or higher.
      identity: what makes it this study: space, score and config.

    Raises:
      InputError: the storage cannot be opened, or holds another study.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    self._keys, self._space, self._folder = keys, space, folder
    with self._alone():
      url = keys.storage or f'sqlite:///{folder / _DATABASE}'
      self._storage, self.url = _storage(keys, url), _shown(url)
      self.optuna = self._open(better)
      self._check(json.loads(json.dumps(identity)))
      if keys.sampler == 'grid':
        self._enqueue(space.grid()[: keys.trials])
    self._id = self._storage.get_study_id_from_name(keys.study)

  def _open(self, better: str) -> optuna.Study:
    keys = self._keys
    pruner = optuna.pruners.NopPruner()
    if keys.pruner == 'median':
      pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    found = optuna.create_study(
      storage=self._storage,
      study_name=keys.study,
      pruner=pruner,
      direction='minimize' if better == 'lower' else 'maximize',
      load_if_exists=True,
    )
    found.sampler = self._sampler(found)
    return found

  def _sampler(self, found: optuna.Study) -> optuna.samplers.BaseSampler:
    """One that draws as no other worker's does."""
    number = found.user_attrs.get('opened', 0)
    found.set_user_attr('opened', number + 1)
    words = [self._keys.seed, number]
    if self._keys.storage and number:  # others may count in another folder
      words.append(secrets.randbits(31))
    seed = int(np.random.default_rng(words).integers(2**31))
    if self._keys.sampler == 'tpe':
      return optuna.samplers.TPESampler(seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)

  def _enqueue(self, points: Sequence[Mapping[str, Any]]) -> None:
    """Lets those points of a grid wait that are not there yet."""

    def name(values):
      return json.dumps(values, sort_keys=True)

    known = {
      name(trial.params or trial.system_attrs.get('fixed_params', {}))
      for trial in self.optuna.get_trials(deepcopy=False)
    }
    for point in points:
      values = {key: encoded(value) for key, value in point.items()}
      if name(values) not in known:
        self.optuna.enqueue_trial(values)

  def _check(self, identity: dict[str, Any]) -> None:
    """Raises InputError if the storage holds a study of something else."""
    kept = self.optuna.user_attrs.get('identity')
    if kept is None and not self.optuna.trials:
      self.optuna.set_user_attr('identity', identity)
      return
    kept = kept if isinstance(kept, dict) else {}
    differing = [k for k in identity | kept if identity.get(k) != kept.get(k)]
    if differing:
      listed = ', '.join(sorted(differing)[:6])
      raise InputError(
        f'search.storage: {self.url} holds a study {self._keys.study!r} of '
        f'another search: {listed} differ; name another --workdir, '
        'search.study or search.storage, or give the keys their old values'
      )

  # --- Trials -----------------------------------------------------------------

  def claim(self, most: int) -> list[optuna.Trial]:
    """Trials to run now, with their values drawn; [] if none is left.

    Args:
      most: so many at once.
    """
    with self._alone(), _quiet():
      optuna.storages.fail_stale_trials(self.optuna)
      trials = self._without_stillborn()
      waiting = sum(t.state == TrialState.WAITING for t in trials)
      counted = sum(map(_counts, trials)) - waiting
      num = min(most, max(waiting, self._keys.trials - counted))
      if self._keys.sampler == 'grid':
        num = min(num, waiting)
      claimed: list[optuna.Trial] = []
      try:
        for _ in range(num):
          trial = self.optuna.ask()
          claimed.append(trial)
          self._storage.record_heartbeat(self._id_of(trial))
          self.values(trial)
      except BaseException:
        self.put_back(claimed)
        raise
      return [trial for trial in claimed if not self._given_up(trial)]

  def _without_stillborn(self) -> list[optuna.trial.FrozenTrial]:
    """All trials; those that a worker left before a first heartbeat fail."""
    now = datetime.datetime.now()
    longest = datetime.timedelta(seconds=_SILENT * self._keys.heartbeat)
    for trial in self.optuna.get_trials(deepcopy=False):
      alive = trial.params or trial.state != TrialState.RUNNING
      if not alive and now - trial.datetime_start > longest:
        self.optuna.tell(
          trial.number, state=TrialState.FAIL, skip_if_finished=True
        )
    return self.optuna.get_trials(deepcopy=False)

  def _given_up(self, trial: optuna.Trial) -> bool:
    """Whether a trial has ended too many workers, and is told so."""
    lost = len(self._history(trial))
    if lost < _MOST_LOST:
      return False
    trial.set_user_attr(PROBLEM, f'{lost} workers have ended in it')
    self.optuna.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
    return True

  def values(self, trial: optuna.Trial) -> dict[str, Any]:
    """What a trial tries, by key."""
    return {d.key: _suggest(trial, d) for d in self._space.dimensions}

  def first_number(self, trial: optuna.Trial) -> int:
    """The number under which a trial was first run."""
    history = self._history(trial)
    return history[0] if history else trial.number

  def _history(self, trial: optuna.Trial) -> list[int]:
    """Numbers under which a trial was run before."""
    with _quiet():
      kept = self.optuna.get_trials(deepcopy=False)[trial.number]
      return _RETRY.retry_history(kept)

  def running(self) -> int:
    """Trials that some worker runs now."""
    trials = self.optuna.get_trials(deepcopy=False)
    return sum(t.state == TrialState.RUNNING for t in trials)

  def put_back(self, trials: Sequence[optuna.Trial]) -> None:
    """Leaves trials, which were not finished, to the next who asks."""
    for trial in trials:
      self.optuna.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
      kept = self.optuna.get_trials()[trial.number]
      if kept.state == TrialState.FAIL and PROBLEM not in kept.user_attrs:
        with _quiet():
          _RETRY()(self.optuna, kept)

  @contextlib.contextmanager
  def beating(self, trials: Sequence[optuna.Trial]) -> Iterator[None]:
    """Heartbeats of trials, within."""
    over = threading.Event()
    ids = list(map(self._id_of, trials))

    def beat():
      while not over.wait(self._keys.heartbeat):
        for number in ids:
          with contextlib.suppress(Exception):  # the next one may come through
            self._storage.record_heartbeat(number)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
      yield
    finally:
      over.set()
      thread.join()

  def _id_of(self, trial: optuna.Trial) -> int:
    return self._storage.get_trial_id_from_study_id_trial_number(
      self._id, trial.number
    )

  @contextlib.contextmanager
  def _alone(self) -> Iterator[None]:
    """Keeps other workers of this workdir from claiming."""
    with open(self._folder / _LOCK, 'w') as handle:
      with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)
      yield


def _counts(trial: optuna.trial.FrozenTrial) -> bool:
  """Whether it uses up one of those that were asked for."""
  return trial.state != TrialState.FAIL or PROBLEM in trial.user_attrs


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """What Optuna calls experimental is told to nobody."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    yield


def encoded(value: Any) -> Any:
  """A choice as Optuna keeps it: what is no scalar becomes JSON."""
  return json.dumps(value) if isinstance(value, tuple) else value


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
  """The value of one key."""
  key, low, high = dimension.key, dimension.low, dimension.high
  if dimension.choices:
    kept = {encoded(choice): choice for choice in dimension.choices}
    return kept[trial.suggest_categorical(key, list(kept))]
  suggest: Callable[..., Any] = trial.suggest_float
  if dimension.whole:
    suggest = trial.suggest_int
  return suggest(key, low, high, log=dimension.log)


def _shown(url: str) -> str:
  """An address without its password."""
  import sqlalchemy

  try:
    parsed = sqlalchemy.engine.make_url(url)
  except sqlalchemy.exc.ArgumentError:
    return url
  return parsed.render_as_string(hide_password=True)


def _storage(keys: Search, url: str) -> optuna.storages.RDBStorage:
  """The database.

  Raises:
    InputError: it cannot be opened.
  """
  import sqlalchemy

  own = {'timeout': _BUSY} if url.startswith('sqlite') else {}

  def opened():
    with _quiet():
      return optuna.storages.RDBStorage(
        url,
        engine_kwargs={'connect_args': own},
        heartbeat_interval=keys.heartbeat,
        grace_period=_SILENT * keys.heartbeat,
        heartbeat_stale_trial_callback=_RETRY(),
      )

  try:
    try:
      return opened()
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
      time.sleep(_MEANWHILE)  # another worker makes the tables
      return opened()
  except (
    sqlalchemy.exc.SQLAlchemyError,
    ImportError,
    RuntimeError,
    ValueError,
  ) as error:
    reason = ' '.join(str(error).split())[:200]
    raise InputError(
      f'search.storage: {_shown(url)} cannot be opened: {reason}; take such as '
      'sqlite:////path/to/search.db or postgresql+psycopg://user@host/name'
    ) from error

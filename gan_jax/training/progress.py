"""How a run is getting on: the progress bar and the metric rows."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gan_jax.training.runs import Run
from gan_jax.types import NonFiniteError
from gan_jax.workdir.logs import MetricsLog

Callback = Callable[[int, dict[str, float]], None]  # step, metrics by name


class Progress:
  """The progress bar and the metric rows; a context manager.

  A dispatch is reported once the next one is under way, so that the device
  never waits for the host. Without a log nothing is shown or written: on all
  processes but the first.
  """

  def __init__(
    self,
    run: Run,
    log: MetricsLog | None,
    step: int,
    started: float,
    callbacks: Sequence[Callback] = (),
  ):
    """Shows the bar.

    Args:
      run: whose metrics these are, a row for each of its members.
      log: where rows go; None for nowhere.
      step: where the run starts.
      started: `time.monotonic()` when the program began.
      callbacks: called at each row that goes to the log.
    """
    from tqdm import tqdm

    self._schedule, self._ensemble = run.plan.schedule, run.ensemble
    self._images_seen = run.plan.images_seen
    self._limit = run.plan.diagnose.grad_norm
    self.log, self._started, self._callbacks = log, started, callbacks
    self._pending, self._warned, self._bad = None, set(), set()
    if log is not None:
      log.note = self.note
    self._row = None  # step and time of the last row, to take rates between
    self._bar = tqdm(
      total=self._schedule.num_steps,
      initial=step,
      unit='step',
      dynamic_ncols=True,
      mininterval=0.5,
      disable=log is None or step >= self._schedule.num_steps,
    )

  def __enter__(self) -> 'Progress':
    return self

  def __exit__(self, *unused: Any) -> None:
    self._bar.close()

  def advance(self, step: int, metrics: dict[str, jax.Array]) -> None:
    """Notes a dispatch that has been sent off, up to `step`.

    Raises:
      NonFiniteError: a loss or a gradient was not, in the dispatch before; of
        several runs, in all of them.
    """
    if self._row is None:
      jax.block_until_ready(metrics)
      self._row = (step, time.monotonic())
      seconds = self._row[1] - self._started
      self.note(f'first steps done {seconds:.1f} s after the start, compiled')
    self._report()
    self._pending = (step, metrics)

  def note(self, line: str) -> None:
    """Says something above the bar."""
    if self.log is not None:
      self._bar.write(line)

  def flush(self) -> None:
    """Reports the last dispatch, waiting for it, and puts all rows on disk.

    Raises:
      NonFiniteError: see `advance`.
      OSError: rows cannot be written; they are kept for the next time.
    """
    self._report()
    if self.log is not None:
      self.log.flush()

  def try_flush(self) -> None:
    """As `flush`; the log has said what cannot be written."""
    with contextlib.suppress(OSError):
      self.flush()

  def _report(self) -> None:
    if self._pending is None:
      return
    step, metrics = self._pending
    self._pending = None
    metrics = dict(metrics)
    bad_steps = np.atleast_1d(metrics.pop('bad_step'))
    if bad_steps.any():
      self._look_at_bad(bad_steps, metrics)
    if self.log is None:
      return
    every, last = self._schedule.log_every, self._schedule.num_steps
    if step % every == 0 or step == last:
      rows, rate = self._ensemble.rows(metrics), self._rate(step)
      for member, row in rows:
        self.log.write(step, row | rate, member)
        self._call(step, (member.columns if member else {}) | row | rate)
        self._warn(step, row)
      losses = [
        f'{who} {np.mean([row[name] for _, row in rows]):.3f}'
        for who, name in (('D', 'disc_loss'), ('G', 'gen_loss'))
        if name in metrics
      ]
      shown = ' '.join(losses)
      if rate:  # none of the first dispatch
        shown += f' {rate["images_per_second"]:,.0f} images/s'
      self._bar.set_postfix_str(shown, refresh=False)
    self._bar.update(step - self._bar.n)

  def _call(self, step: int, metrics: dict[str, float]) -> None:
    """Hands a row to the callbacks."""
    for callback in self._callbacks:
      try:
        callback(step, metrics)
      except OSError as error:  # not one of the rows, which would be forgiven
        raise RuntimeError(f'a callback failed: {error}') from error

  def _look_at_bad(
    self, steps: np.ndarray, metrics: dict[str, jax.Array]
  ) -> None:
    """Says which runs have lost their numbers; raises if it is all of them."""
    # These are taken at the end of a dispatch, which came later.
    late = ('_after', 'diversity', '_update_ratio')
    metrics = {k: v for k, v in metrics.items() if not k.endswith(late)}
    rows = self._ensemble.rows(metrics)
    for number in np.flatnonzero(steps):
      member, row = rows[number]
      names = [k for k, v in row.items() if not np.isfinite(v)]
      what = f'not finite at step {steps[number]}: {", ".join(names)}'
      if self.log is not None and member is None:
        self.log.write(int(steps[number]), row)
      if member is not None and number not in self._bad:
        self.note(f'warning: run {number} ({member.label}): {what}')
      self._bad.add(number)
    if len(self._bad) == len(rows):
      raise NonFiniteError(what, step=int(steps[number]), metrics=row)

  def _warn(self, step: int, row: dict[str, float]) -> None:
    """Says once for each player that its gradient is long or not finite."""
    limit = self._limit
    for player in ('disc', 'gen'):
      norm = row.get(f'{player}_grad_norm', 0.0)  # of one who plays
      if player not in self._warned and not norm <= limit:
        self._warned.add(player)
        self.note(
          f'warning: {player}_grad_norm {norm:.3g} at step {step} is above '
          f'diagnose.grad_norm={limit:g}; see --mode=diagnose'
        )

  def _rate(self, step: int) -> dict[str, float]:
    """Real images a second since the last row, all overheads included.

    Of one member: so many that each of them has seen.
    """
    last_step, last_time = self._row
    self._row = (step, time.monotonic())
    if step == last_step:  # the very first dispatch, mostly compilation
      return {}
    images = self._images_seen(step) - self._images_seen(last_step)
    return {'images_per_second': images / (self._row[1] - last_time)}

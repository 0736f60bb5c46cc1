"""How a run is getting on: the progress bar and the metric rows."""

import math
import time
from typing import Any

import jax
import numpy as np

from gan_jax import reporting
from gan_jax.ensemble import Ensemble


class Progress:
  """The progress bar and the metric rows; a context manager.

  A dispatch is reported once the next one is under way, so that the device
  never waits for the host.
  """

  def __init__(
    self,
    config: Any,
    ensemble: Ensemble,
    log: reporting.MetricsLog,
    step: int,
    started: float,
  ):
    """Shows the bar.

    Args:
      config: of the run.
      ensemble: whose metrics these are, a row each.
      log: where rows go.
      step: where the run starts.
      started: `time.monotonic()` when the program began.
    """
    from tqdm import tqdm

    self._config, self.log, self._started = config, log, started
    self._ensemble = ensemble
    self._pending, self._warned = None, set()
    self._row = None  # step and time of the last row, to take rates between
    self._bar = tqdm(
      total=config.num_steps,
      initial=step,
      unit='step',
      dynamic_ncols=True,
      mininterval=0.5,
    )

  def __enter__(self) -> 'Progress':
    return self

  def __exit__(self, *unused: Any) -> None:
    self._bar.close()

  def advance(self, step: int, metrics: dict[str, jax.Array]) -> None:
    """Notes a dispatch that has been sent off, up to `step`."""
    if self._row is None:
      jax.block_until_ready(metrics)
      self._row = (step, time.monotonic())
      seconds = self._row[1] - self._started
      self._bar.write(f'first dispatch done {seconds:.1f} s after the start')
    self._report()
    self._pending = (step, metrics)

  def note(self, line: str) -> None:
    """Says something above the bar."""
    self._bar.write(line)

  def flush(self) -> None:
    """Reports the last dispatch, waiting for it, and puts all rows on disk."""
    self._report()
    self.log.flush()

  def _report(self) -> None:
    if self._pending is None:
      return
    step, metrics = self._pending
    self._pending = None
    config = self._config
    if step % config.log_every == 0 or step == config.num_steps:
      rows, rate = self._ensemble.rows(metrics), self._rate(step)
      for member, row in rows:
        self.log.write(step, row | rate, member)
        self._warn(step, row)
      speed = rate.get('images_per_second', math.nan)
      disc, gen = (
        np.mean([row[name] for _, row in rows])
        for name in ('disc_loss', 'gen_loss')
      )
      self._bar.set_postfix_str(
        f'D {disc:.3f} G {gen:.3f} {speed:,.0f} images/s', refresh=False
      )
    self._bar.update(step - self._bar.n)

  def _warn(self, step: int, row: dict[str, float]) -> None:
    """Says once for each player that its gradient is long or not finite."""
    limit = self._config.diagnose.grad_norm
    for player in ('disc', 'gen'):
      norm = row[f'{player}_grad_norm']
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
    images = (step - last_step) * self._config.batch_size
    images *= self._config.disc_steps
    return {'images_per_second': images / (self._row[1] - last_time)}

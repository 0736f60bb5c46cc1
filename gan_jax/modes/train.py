"""`--mode=train`: a run from its config, or on from its newest checkpoint."""

import pathlib
from typing import Any

from gan_jax.config import plan
from gan_jax.training import loop


def train(
  config: Any, workdir: str | pathlib.Path, *, started: float | None = None
) -> pathlib.Path:
  """Trains, or goes on where the workdir's newest whole checkpoint ends.

  Args:
    config: a ConfigDict with the keys of configs/base.py.
    workdir: where everything of the run is written.
    started: `time.monotonic()` when the program began.

  Returns:
    The workdir.

  Raises:
    InputError: what the user gave cannot be trained on.
    Stopped: see `gan_jax.training.loop.train`.
  """
  return loop.train(plan.read(config), workdir, started=started)

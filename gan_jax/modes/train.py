"""`--mode=train`: a run from its config, or on from its newest checkpoint."""

import pathlib
from collections.abc import Sequence
from typing import Any

from gan_jax.config import plan
from gan_jax.process import plugins as plugins_lib
from gan_jax.training import loop
from gan_jax.training.progress import Callback
from gan_jax.workdir import origins


def train(
  config: Any,
  workdir: str | pathlib.Path,
  callbacks: Sequence[Callback] = (),
  *,
  plugins: Sequence[str] = (),
  started: float | None = None,
) -> pathlib.Path:
  """Trains, or goes on where the workdir's newest whole checkpoint ends.

  Args:
    config: a ConfigDict with the keys of configs/base.py.
    workdir: where everything of the run is written.
    callbacks: each is called with (step, metrics by name) at each row of
      metrics.jsonl; of several runs at once, for each of them. What it raises
      ends the training.
    plugins: files or modules that add parts, run first; the workdir
      remembers them.
    started: `time.monotonic()` when the program began.

  Returns:
    The workdir.

  Raises:
    InputError: what the user gave cannot be trained on.
    Stopped: see `gan_jax.training.loop.train`.
  """
  plugins_lib.run(plugins)
  with origins.recalled(workdir):
    return loop.train(plan.read(config), workdir, callbacks, started=started)

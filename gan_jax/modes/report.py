"""`--mode=report`: report.html of a run, made anew."""

import pathlib
from typing import Any

from gan_jax.config import plan
from gan_jax.reporting import run_page
from gan_jax.workdir import layout


def report(config: Any, workdir: str | pathlib.Path) -> pathlib.Path:
  """Writes report.html from what a run has left.

  Training, --mode=evaluate and --mode=diagnose leave it too.

  Args:
    config: checked, and not read.
    workdir: of the run.

  Returns:
    The path written.

  Raises:
    InputError: there is no run, or it cannot be written.
  """
  plan.read(config)
  path = layout.absolute(workdir)
  layout.read_json(path / 'config.json')  # says so if there is no run
  written = run_page.write(layout.prepare(path))
  print(f'written to {written}')
  return written

"""The command `gan-jax`: run.py and configs/, wherever the package lies."""

import pathlib
import runpy
import sys

PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def folder() -> pathlib.Path:
  """Where run.py and configs/ are.

  An installed package holds them in `_command`; of a checkout they lie beside
  it.
  """
  installed = PACKAGE / '_command'
  return installed if installed.is_dir() else PACKAGE.parent


def main() -> None:
  """Does what `python run.py` does."""
  sys.path.insert(0, str(folder()))  # where `configs` is found
  runpy.run_path(str(folder() / 'run.py'), run_name='__main__')

"""The command `gan-jax`: run.py and configs/, wherever the package lies."""

import pathlib
import runpy
import sys

PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def main() -> None:
  """Does what `python run.py` does.

  An installed package holds run.py and configs/ in `_command`; of a checkout
  they lie beside it.
  """
  installed = PACKAGE / '_command'
  folder = installed if installed.is_dir() else PACKAGE.parent
  sys.path.insert(0, str(folder))  # where `configs` is found
  runpy.run_path(str(folder / 'run.py'), run_name='__main__')

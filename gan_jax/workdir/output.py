"""Where a mode leaves its files: in the workdir, or where --out says."""

import pathlib
from collections.abc import Sequence

from gan_jax.types import InputError
from gan_jax.workdir import layout


def places(
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None,
  names: Sequence[str],
) -> dict[str, pathlib.Path]:
  """Paths of the files to write, by their names.

  Args:
    workdir: of the run.
    out: None for the workdir; a folder; or a file, which is then the only one:
      the first of the names with its suffix.
    names: of all files that there are.

  Raises:
    InputError: it cannot be written, or is no kind of file that there is.
  """
  if not out:
    folder = layout.prepare(workdir)
    return {name: folder / name for name in names}
  path = layout.absolute(out)
  if path.is_dir() or not path.suffix:
    folder = layout.prepare(path, 'out')
    return {name: folder / name for name in names}
  alike = [name for name in names if name.endswith(path.suffix)]
  if not alike:
    kinds = dict.fromkeys(pathlib.Path(name).suffix for name in names)
    raise InputError(
      f'out: {path.name} is no folder, and no file that ends in '
      f'{" or ".join(kinds)}'
    )
  layout.prepare(path.parent, 'out')
  return {alike[0]: path}


def folder(
  out: str | pathlib.Path | None, default: pathlib.Path
) -> pathlib.Path:
  """The folder for files of any number.

  Raises:
    InputError: it is a file, or cannot be written.
  """
  return layout.prepare(out, 'out') if out else layout.prepare(default)

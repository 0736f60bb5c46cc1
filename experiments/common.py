"""What the experiments share: flags, figures, Markdown tables, animations."""

import argparse
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gan_jax.data import Dataset, load_dataset
from gan_jax.devices import compiling
from gan_jax.reporting.pictures import save_gif
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import Trained, restore

STARTED = time.monotonic()
DATA, FAKE, DISC, OPTIMUM = 'tab:green', 'tab:orange', 'tab:blue', 'black'


class _Parser(argparse.ArgumentParser):
  """Says in one line what is wrong, with the exit code of bad input."""

  def error(self, message):
    print(f'error: {message}; --help lists the flags', file=sys.stderr)
    sys.exit(2)


def whole(least: int) -> Callable[[str], int]:
  """A flag's type: a whole number from `least` on."""

  def parse(text):
    value = int(text)
    if value < least:
      raise argparse.ArgumentTypeError(f'{value} is not at least {least}')
    return value

  parse.__name__ = 'whole number'
  return parse


def run(
  experiment: Callable[..., None], module: str | None, **flags: Any
) -> None:
  """Parses an experiment's flags and runs it, compiled programs cached.

  Args:
    experiment: called with `out`, a folder that exists, and the flags.
    module: the docstring that --help shows.
    **flags: name=(default, help), whole numbers from 1 on, seeds from 0; or
      words, with a third entry if some alone are valid.
  """
  name = pathlib.Path(sys.argv[0]).stem
  parser = _Parser(
    description=module, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
    '--out',
    default=f'runs/experiments/{name}',
    help='folder of the figure and the table (default: %(default)s)',
  )
  for flag, (default, text, *valid) in flags.items():
    parser.add_argument(
      f'--{flag}',
      type=str if isinstance(default, str) else whole(int(flag != 'seed')),
      default=default,
      choices=valid[0] if valid else None,
      help=f'{text} (default: %(default)s)',
    )
  arguments = vars(parser.parse_args())
  compiling.enable_compilation_cache()
  try:
    out = layout.prepare(arguments.pop('out'))
    experiment(out, **arguments)
  except InputError as error:
    parser.error(' '.join(str(error).split()))
  print(f'done in {time.monotonic() - STARTED:.0f} s')


def trained_run(workdir: str) -> tuple[Trained, Dataset]:
  """A finished run and its data, which must be what it was trained on.

  Raises:
    InputError: no run is named or there, or the data has changed.
  """
  if not workdir:
    raise InputError('--workdir: name the folder of a finished run')
  trained = restore(workdir)
  dataset = load_dataset(**trained.plan.dataset())
  layout.check_data(layout.absolute(workdir), dataset.info)
  return trained, dataset


def save_figure(path: pathlib.Path, figure: Figure) -> None:
  """Writes a PNG, whole or not at all."""
  with atomic(path) as temporary:
    figure.savefig(temporary, dpi=110)
  print(f'  figure  {path}')


def save_animation(
  path: pathlib.Path, frames: Sequence[Figure], milliseconds: int = 100
) -> None:
  """Writes figures of one size as a GIF that starts over at its end."""
  pictures = []
  for figure in frames:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pictures.append(np.asarray(canvas.buffer_rgba())[..., :3])
  save_gif(path, pictures, milliseconds)
  print(f'  motion  {path}')


def number(value: Any) -> str:
  """A cell of a table: four digits, words as they are."""
  if isinstance(value, str):
    return value
  if value == 0 or 1e-3 <= abs(value) < 1e5:
    return f'{value:.4g}'
  return f'{value:.3e}'


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """A Markdown table."""
  lines = [columns, ['---'] * len(columns)]
  lines += [[number(cell) for cell in row] for row in rows]
  return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def with_error(values: Sequence[float]) -> str:
  """Mean +- standard error over runs; the mean alone of one.

  Empty where a run has no such figure (NaN): the others' mean would be of the
  better runs.
  """
  values = np.asarray(values, float)
  if np.isnan(values).any():
    return ''
  mean = f'{values.mean():.3g}'
  if len(values) == 1:
    return mean
  error = values.std(ddof=1) / np.sqrt(len(values))
  return f'{mean} +- {error:.2g}'


def save_tables(
  path: pathlib.Path, title: str, *, quiet: bool = False, **tables: str
) -> None:
  """Writes Markdown tables under their names, and prints them."""
  parts = [f'# {title}\n']
  for name, table in tables.items():
    parts.append(f'## {name.replace("_", " ")}\n\n{table}')
  text = '\n'.join(parts)
  with atomic(path) as temporary:
    temporary.write_text(text)
  if not quiet:
    print(f'{text}  table   {path}')

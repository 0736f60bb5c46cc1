"""The rows of metrics.jsonl, and the same for TensorBoard.

No row is lost, doubled or cut off: rows that cannot be written, because the
disk is full, wait in memory for the next try, and `flush` says if any still do.
"""

import collections
import contextlib
import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gan_jax.ensemble import Member
from gan_jax.storage.files import atomic
from gan_jax.workdir.board import Board, tag_of


class MetricsLog:
  """Rows of metrics.jsonl, and the same for TensorBoard; a context manager."""

  def __init__(
    self,
    workdir: pathlib.Path,
    *,
    resume_step: int = 0,
    note: Callable[[str], None] = print,
    config: dict[str, Any] | None = None,
    real: Callable[[], np.ndarray] | None = None,
  ):
    """Opens the log.

    Args:
      workdir: of the run.
      resume_step: rows after this step are dropped: they are about to be
        written again.
      note: says a line on the screen.
      config: of the run, flat, for TensorBoard.
      real: makes a picture uint8 `[H, W, C]` of real images, likewise.
    """
    self._about = {'config': config, 'real': real}
    self._path, self.note = workdir / 'metrics.jsonl', note
    self._pending, self._troubled = [], False
    self._handle = None
    self.rewind(resume_step)

  def rewind(self, step: int) -> None:
    """Drops the rows after a step, which are about to be written again."""
    self._close()
    self._pending = []
    rows = [row for row in read_rows(self._path) if row['step'] <= step]
    write_rows(self._path, rows)
    self._handle = os.open(self._path, os.O_WRONLY)
    self._size = self._path.stat().st_size
    self._board = Board(self._path.parent, step + 1, self.note, **self._about)

  def __enter__(self) -> 'MetricsLog':
    return self

  def __exit__(self, *unused: Any) -> None:
    self._close()

  def _close(self) -> None:
    if self._handle is not None:
      self._write_pending()
      os.close(self._handle)
      self._handle = None
      self._board.close()

  def write(
    self, step: int, metrics: dict[str, float], member: Member | None = None
  ) -> None:
    """Adds a row; that of a member says whose it is, in TensorBoard too."""
    columns = member.columns if member else {}
    row = json.dumps({'step': step, **columns, **metrics})
    self._pending.append(f'{row}\n'.encode())
    self._write_pending()
    suffix = f'/{member.label}' if member else ''
    for name, value in metrics.items():
      self._board.scalar(step, f'{tag_of(name)}{suffix}', value)

  def _write_pending(self) -> OSError | None:
    """Appends the waiting rows; what a failed try has left is overwritten."""
    try:
      while self._pending:
        row, start = self._pending[0], self._size
        written = 0
        while written < len(row):
          written += os.pwrite(self._handle, row[written:], start + written)
        self._size += len(row)
        self._pending.pop(0)
    except OSError as error:
      with contextlib.suppress(OSError):
        os.ftruncate(self._handle, self._size)
      if not self._troubled:
        self.note(
          f'warning: cannot write {self._path}: {error.strerror}; rows are '
          'kept, and tried again'
        )
      self._troubled = True
      return error
    if self._troubled:
      self.note(f'{self._path} can be written again; no row was lost')
    self._troubled = False
    return None

  def flush(self) -> None:
    """Puts all rows so far on disk.

    Raises:
      OSError: some cannot be written.
    """
    error = self._write_pending()
    self._board.flush()
    if error is not None:
      raise error

  def scalar(self, step: int, name: str, value: float) -> None:
    """Adds a number to TensorBoard alone, by its tag."""
    self._board.scalar(step, name, value)

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Adds a picture uint8 `[H, W, C]` to TensorBoard."""
    self._board.image(step, name, image)


def read_metrics(workdir: pathlib.Path) -> list[dict[str, float]]:
  """The rows of metrics.jsonl, but for those that hold what is no number."""
  return [
    {name: math.nan if x is None else x for name, x in row.items()}
    for row in read_rows(workdir / 'metrics.jsonl')
    if all(map(_is_number, row.values()))
  ]


def rows_by_member(
  rows: list[dict[str, Any]],
) -> dict[int | None, list[dict[str, Any]]]:
  """Rows of metrics.jsonl by their `member`; those of a single run by None."""
  members = collections.defaultdict(list)
  for row in rows:
    members[row.get('member')].append(row)
  return members


def _is_number(value: Any) -> bool:
  if isinstance(value, int):  # which may have any number of digits
    return abs(value) < 2**63
  return value is None or isinstance(value, float)


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
  """JSON objects with a `step`, one a line; none if there is no file.

  A row cut off by a kill is left out, and so is what is no row.
  """
  rows = []
  if path.exists():
    for line in path.read_text(errors='replace').splitlines():
      with contextlib.suppress(ValueError, RecursionError):
        row = json.loads(line)
        if isinstance(row, dict) and isinstance(row.get('step'), int):
          rows.append(row)
  return rows


def write_rows(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
  """Writes JSON objects, one a line, atomically."""
  with atomic(path) as temporary:
    temporary.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))

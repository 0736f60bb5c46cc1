"""TensorBoard's file of a run: rows in groups, pictures, the config."""

import contextlib
import functools
import logging
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Groups of tags, each with the names of metrics.jsonl that belong there.
_GROUPS = {
  'gradients': r'\w*_grad_norm',
  'updates': r'\w*_update_ratio|disc_moves',
  'accuracy': r'disc_accuracy\w*',
  'loss': r'\w*_loss\w*|penalty|regulariser|feature_distance',
  'bound': r'(elbo|reconstruction|kl)(_after)?',
  'output': r'disc_real|disc_fake\w*|logit_gap',
  'diversity': r'\w*diversity',
  'speed': r'images_per_second',
}
# What TensorBoard's table of runs shows beside their configs.
_COMPARED = ('loss/disc_loss', 'loss/gen_loss', 'diversity/diversity')


def tag_of(name: str) -> str:
  """The tag of a metric: its group, a slash, its name in metrics.jsonl."""
  for group, names in _GROUPS.items():
    if re.fullmatch(names, name):
      return f'{group}/{name}'
  return f'other/{name}'


def _event(step: int, **content: Any) -> Any:
  from tensorboardX.proto.event_pb2 import Event

  return Event(step=step, wall_time=time.time(), **content)


class Board:
  """An event file of TensorBoard, given up for good if it cannot be written.

  The package's own writer hands events to a thread through a queue; once that
  thread has died of a full disk, the queue fills and training would hang.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    first_step: int,
    note: Callable[[str], None],
    *,
    config: dict[str, Any] | None = None,
    real: Callable[[], np.ndarray] | None = None,
  ):
    """Prepares a file; it is made with the first event.

    Args:
      folder: of the run.
      first_step: events of earlier files from here on are void.
      note: says a line on the screen.
      config: of the run, flat; the file begins with it.
      real: makes a picture uint8 `[H, W, C]` of real images, likewise.
    """
    self._config, self._real = config, real
    self._folder, self._first_step, self._note = folder, first_step, note
    self._on = True

  @functools.cached_property
  def _file(self) -> Any:
    """Made with the first event: to import it takes a second or more."""
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import SessionLog

    # It would say of every NaN that it is one.
    logging.getLogger('tensorboardX.x2num').setLevel(logging.ERROR)
    suffix = f'.{os.getpid()}.{self._first_step}'  # names tell seconds alone
    file = EventsWriter(str(self._folder / 'events'), suffix)
    start = SessionLog(status=SessionLog.START)
    file.write_event(_event(self._first_step, session_log=start))
    for summary in self._about():
      file.write_event(_event(self._first_step - 1, summary=summary))
    return file

  def _about(self) -> Iterator[Any]:
    """What a file begins with: the config, and real images."""
    from tensorboardX.summary import hparams, image, text

    if self._config is not None:
      table = '\n'.join(f'| {k} | {v} |' for k, v in self._config.items())
      yield text('config', f'| key | value |\n|---|---|\n{table}')
      values = {
        k: v if isinstance(v, bool | int | float | str) else str(v)
        for k, v in self._config.items()
        if v is not None
      }
      # Not the third part, which says that the run has ended well.
      yield from hparams(values, dict.fromkeys(_COMPARED, 0.0))[:2]
    if self._real is not None:
      yield image('real', self._real(), dataformats='HWC')

  def _add(self, step: int, make: Callable[[], Any]) -> None:
    self._try(lambda: self._file.write_event(_event(step, summary=make())))

  def _try(self, action: Callable[[], Any]) -> None:
    if not self._on:
      return
    try:
      action()
    except OSError as error:
      self._on = False
      if '_file' in vars(self):
        with contextlib.suppress(OSError):
          self._file.close()
      self._note(
        f'warning: no more TensorBoard events, in {self._folder}: '
        f'{error.strerror}; metrics.jsonl has the same rows'
      )

  def scalar(self, step: int, name: str, value: float) -> None:
    """Adds a number."""
    from tensorboardX.summary import scalar

    self._add(step, lambda: scalar(name, value))

  def image(self, step: int, name: str, image: np.ndarray) -> None:
    """Adds a picture uint8 `[H, W, C]`."""
    from tensorboardX.summary import image as summary

    self._add(step, lambda: summary(name, image, dataformats='HWC'))

  def flush(self) -> None:
    """Puts all events so far on disk."""
    if '_file' in vars(self):
      self._try(self._file.flush)

  def close(self) -> None:
    """Closes the file, if there is one."""
    if '_file' in vars(self):
      self._try(self._file.close)
      self._on = False

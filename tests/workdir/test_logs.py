"""Metric rows on a disk that fails: none is lost, doubled or cut off."""

import errno
import os

import pytest

from gan_jax.workdir import logs
from gan_jax.workdir.logs import MetricsLog, read_metrics


class Disk:
  """Stands in for `os.pwrite`: takes some bytes, then is full, then is not."""

  def __init__(self, room):
    self.room, self.write = room, os.pwrite

  def __call__(self, handle, data, offset):
    if not self.room:
      raise OSError(errno.ENOSPC, 'No space left on device')
    taken = self.write(handle, data[: self.room], offset)
    self.room -= taken
    return taken


@pytest.mark.parametrize('room', [0, 5, 30, 31])
def test_rows_wait_until_there_is_room(room, tmp_path, monkeypatch):
  lines = []
  with MetricsLog(tmp_path, note=lines.append) as log:
    log.write(1, {'loss': 1.0})
    disk = Disk(room)
    monkeypatch.setattr(os, 'pwrite', disk)
    log.write(2, {'loss': 2.0})
    log.write(3, {'loss': 3.0})
    with pytest.raises(OSError, match='No space left'):
      log.flush()
    # What is there is whole.
    assert [row['step'] for row in read_metrics(tmp_path)] in ([1], [1, 2])
    assert (tmp_path / 'metrics.jsonl').read_text().endswith('}\n')
    disk.room = 10_000
    log.write(4, {'loss': 4.0})
    log.flush()
  assert [row['step'] for row in read_metrics(tmp_path)] == [1, 2, 3, 4]
  assert len(lines) == 2
  assert 'No space left on device; rows are kept, and tried again' in lines[0]
  assert 'no row was lost' in lines[1]


def test_a_board_that_fails_is_given_up(tmp_path, monkeypatch):
  """Without its events training goes on; the rows are all there."""
  from tensorboardX.event_file_writer import EventsWriter

  def full(self, event):
    raise OSError(errno.ENOSPC, 'No space left on device')

  lines = []
  with MetricsLog(tmp_path, note=lines.append) as log:
    log.write(1, {'loss': 1.0})
    monkeypatch.setattr(EventsWriter, 'write_event', full)
    for step in range(2, 40):
      log.write(step, {'loss': 2.0})
    log.flush()
  assert len(read_metrics(tmp_path)) == 39
  assert len(lines) == 1
  assert 'no more TensorBoard events' in lines[0]


def test_two_starts_in_one_second_keep_both_event_files(tmp_path):
  for step in (0, 5):
    with MetricsLog(tmp_path, resume_step=step) as log:
      log.write(step + 1, {'loss': 1.0})
  assert len(list(tmp_path.glob('events.out.*'))) == 2


@pytest.mark.parametrize(
  'text',
  ['\x00\xff', '[1, 2]', '{"step": "3"}', '{"step": 1.5}', '[' * 100_000],
)
def test_what_is_no_row_is_left_out(text, tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_bytes(b'{"step": 1}\n' + text.encode('latin-1') + b'\n{"step": 2}')
  assert [row['step'] for row in logs.read_rows(path)] == [1, 2]


def test_rows_after_the_step_of_a_resumed_run_are_dropped(tmp_path):
  with MetricsLog(tmp_path) as log:
    for step in (1, 2, 3):
      log.write(step, {'loss': float(step)})
  with MetricsLog(tmp_path, resume_step=2) as log:
    assert [row['step'] for row in read_metrics(tmp_path)] == [1, 2]
    log.write(3, {'loss': 30.0})
  assert [row['loss'] for row in read_metrics(tmp_path)] == [1.0, 2.0, 30.0]

"""What a command says as it ends, and screens that cannot show it."""

import io
import logging
import subprocess
import sys
import warnings

import pytest

from gan_jax.process import exits, hosts, quiet
from gan_jax.process.exits import one_line
from tests.helpers import ROOT


@pytest.mark.parametrize(
  ('mode', 'line'),
  [
    ('train', 'interrupted before training began; nothing was lost'),
    ('evaluate', 'interrupted; nothing was written'),
    ('diagnose', 'interrupted; nothing was written'),
    ('sample', 'interrupted'),
    ('compare', 'interrupted'),
  ],
)
def test_an_interruption_says_what_it_cost(mode, line, capsys, monkeypatch):
  """And ends at once: a broken compilation crashes what comes after it."""
  left = []
  monkeypatch.setattr(hosts, 'leave_at_once', left.append)
  with pytest.raises(SystemExit) as ended, one_line(mode):
    raise KeyboardInterrupt
  assert (ended.value.code, left) == (130, [130])
  assert capsys.readouterr().err == f'error: {line}\n'


def test_a_name_too_long_is_bad_input(tmp_path, capsys):
  with pytest.raises(SystemExit) as ended, one_line():
    (tmp_path / ('x' * 300)).touch()
  assert ended.value.code == 2
  assert capsys.readouterr().err.endswith('x: File name too long\n')


@pytest.mark.parametrize('kind', ['none', 'closed'])
def test_screens_that_are_closed_stop_nothing(kind, monkeypatch):
  closed = io.TextIOWrapper(io.BytesIO())
  closed.close()
  for name in ('stdout', 'stderr'):
    monkeypatch.setattr(sys, name, None if kind == 'none' else closed)
  with one_line():
    print('a word')
    print('a word', file=sys.stderr, flush=True)
  with pytest.raises(SystemExit) as ended, one_line():
    exits.fail('a line')
  assert ended.value.code == 2


def test_a_screen_escapes_what_it_cannot_hold(monkeypatch):
  ascii_only, utf_8 = (
    io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for encoding in ('ascii', 'utf-8')
  )
  monkeypatch.setattr(sys, 'stdout', ascii_only)
  monkeypatch.setattr(sys, 'stderr', utf_8)
  with one_line():
    print('тест', end='')
    print('тест \udcff', end='', file=sys.stderr)
  assert ascii_only.buffer.getvalue() == rb'\u0442\u0435\u0441\u0442'
  assert utf_8.buffer.getvalue() == 'тест \\udcff'.encode()


CLOSED = """
import os, sys
from gan_jax.process.exits import one_line
with one_line():
  with open(sys.argv[1], 'w') as file:
    os.write(1, b'of a library')
    os.write(2, b'of a library')
    print('a word')
    print('a word', file=sys.stderr)
"""


def test_a_file_does_not_take_the_place_of_a_closed_screen(tmp_path):
  done = subprocess.run(
    ['sh', '-c', 'exec "$@" >&- 2>&-', 'sh']
    + [sys.executable, '-c', CLOSED, str(tmp_path / 'file')],
    cwd=ROOT,
    check=False,
  )
  assert done.returncode == 0
  assert (tmp_path / 'file').read_bytes() == b''


def test_libraries_say_nothing_of_their_caches():
  with warnings.catch_warnings():
    quiet.libraries_quiet()
    warnings.warn(
      "Error writing persistent compilation cache entry for 'x': full",
      stacklevel=1,
    )
  logger = logging.getLogger('matplotlib')
  assert not logger.isEnabledFor(logging.WARNING)
  assert logger.isEnabledFor(logging.ERROR)


def test_absl_is_not_louder_within_than_without():
  logger = logging.getLogger('absl')
  before = logger.level
  try:
    logger.setLevel(logging.CRITICAL)
    with quiet.absl_quiet():
      assert logger.level == logging.CRITICAL
  finally:
    logger.setLevel(before)

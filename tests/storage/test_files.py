"""Files that appear whole or not at all, and where they are kept."""

import os
import pathlib
import stat

import jax
import numpy as np
import pytest

from gan_jax.devices import compiling
from gan_jax.storage import cache, files


def names(folder):
  return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('before', [None, 'old'])
def test_atomic_replaces_on_success(before, tmp_path):
  path = tmp_path / 'new' / 'x.json'
  if before:
    path.parent.mkdir()
    path.write_text(before)
  with files.atomic(path) as temporary:
    assert temporary.parent == path.parent
    assert temporary.suffix == '.json'
    assert temporary != path
    temporary.write_text('new')
    assert (path.read_text() if path.exists() else None) == before
  assert path.read_text() == 'new'
  assert names(path.parent) == ['x.json']


@pytest.mark.parametrize('before', [None, 'old'])
def test_atomic_changes_nothing_on_failure(before, tmp_path):
  path = tmp_path / 'x.json'
  if before:
    path.write_text(before)

  def fail():
    with files.atomic(path) as temporary:
      temporary.write_text('half')
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fail()
  assert names(tmp_path) == (['x.json'] if before else [])
  assert not before or path.read_text() == before


@pytest.mark.parametrize('umask', [0o022, 0o077])
def test_atomic_gives_the_usual_permissions(umask, tmp_path):
  old = os.umask(umask)
  try:
    with files.atomic(tmp_path / 'x'):
      pass
    left = os.umask(umask)
  finally:
    os.umask(old)
  assert left == umask
  mode = stat.S_IMODE((tmp_path / 'x').stat().st_mode)
  assert mode == 0o666 & ~umask


def test_the_cache_is_the_users(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert files.cache_dir() == tmp_path / 'gan_jax'
  monkeypatch.delenv('XDG_CACHE_HOME')
  monkeypatch.setattr(pathlib.Path, 'home', lambda: tmp_path / 'me')
  assert files.cache_dir() == tmp_path / 'me' / '.cache' / 'gan_jax'


def test_without_a_home_the_cache_ends_with_the_process(monkeypatch, capsys):
  def nowhere():
    raise RuntimeError('Could not determine home directory.')

  monkeypatch.delenv('XDG_CACHE_HOME')
  monkeypatch.setattr(pathlib.Path, 'home', nowhere)
  try:
    found = [files.cache_dir() for _ in range(2)]
    assert found[0] == found[1]
    assert stat.S_IMODE(found[0].parent.stat().st_mode) == 0o700
    assert capsys.readouterr().err.count('note: there is no home folder') == 1
  finally:
    files._passing().cleanup()
    files._passing.cache_clear()


def test_a_cache_that_cannot_be_written_costs_one_line(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(cache, '_said', set())
  (tmp_path / 'file').touch()
  for name in ('a', 'b'):
    cache.save_arrays(tmp_path / 'file' / name / 'x.npz', x=np.zeros(2))
    cache.save_leaves(tmp_path / 'file' / name / 'y.npz', {'y': np.zeros(2)})
  (line,) = capsys.readouterr().err.splitlines()
  folder = tmp_path / 'file' / 'a'
  assert line == (
    f'note: cannot write in {folder}: Not a directory; it is a cache, so this '
    'costs time and nothing else'
  )


@pytest.mark.parametrize('given', [None, 'elsewhere'])
def test_compiled_programs_lie_in_it_unless_told_otherwise(
  given, tmp_path, monkeypatch
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  before = jax.config.jax_compilation_cache_dir
  try:
    jax.config.update('jax_compilation_cache_dir', given)
    compiling.enable_compilation_cache()
    found = jax.config.jax_compilation_cache_dir
  finally:
    jax.config.update('jax_compilation_cache_dir', before)
  assert found == (given or str(tmp_path / 'gan_jax'))

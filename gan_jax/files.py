"""Files that appear whole or not at all, and where they are kept."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


def cache_dir() -> pathlib.Path:
  """$XDG_CACHE_HOME/gan_jax, or ~/.cache/gan_jax; not made by this call."""
  root = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(root) / 'gan_jax'


@contextlib.contextmanager
def atomic(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a temporary name of the same suffix; renames it on success."""
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, name = tempfile.mkstemp(
    dir=path.parent, prefix=f'.{path.stem}.', suffix=path.suffix
  )
  os.close(handle)
  temporary = pathlib.Path(name)
  try:
    yield temporary
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)

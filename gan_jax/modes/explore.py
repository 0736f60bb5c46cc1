"""`--mode=explore`: a page on this machine that draws as knobs are turned."""

import pathlib
import socket
from typing import Any

from gan_jax.config import plan
from gan_jax.modes.artist import Artist
from gan_jax.modes.explorer import Explorer
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import restore


def explore(config: Any, workdir: str | pathlib.Path) -> None:
  """Serves the page until it is interrupted.

  `/picture.png` and `/walk.gif` draw for programs too: seed, label, text,
  truncation, psi, mix, layer, and directions by their names.

  Args:
    config: `member`, `data.dir`, `edit.samples`, and its `explore` section.
    workdir: of the run, or a folder of --mode=export.

  Raises:
    InputError: there is no run, a port in use, or NiceGUI is not installed.
  """
  asked = plan.read(config)
  keys, path = asked.explore, layout.absolute(workdir)
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  try:
    from gan_jax.modes import explore_page
  except ImportError as error:
    raise InputError(
      f"explore: {error}; install it by pip install 'gan_jax[explore]', in a "
      'checkout by pip install -r requirements-test.txt'
    ) from error
  port = free_port(keys.host, keys.port)
  artist = Artist(Explorer(trained, asked, path), path)
  print('drawing the first picture', flush=True)
  artist.png(artist.first(keys))
  if keys.host not in ('127.0.0.1', 'localhost', '::1'):
    print(f'note: {keys.host} lets others in who reach this machine')
  said = f'http://{keys.host}:{port} shows {path}; Ctrl-C ends it'
  explore_page.serve(artist, keys, port, said)


def free_port(host: str, port: int) -> int:
  """The port, or for 0 one that is free.

  Raises:
    InputError: it cannot be had.
  """
  family = socket.AF_INET6 if ':' in host else socket.AF_INET
  with socket.socket(family) as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      probe.bind((host, port))
    except OSError as error:
      raise InputError(
        f'explore.port: {port} on {host} cannot be had ({error.strerror}); '
        'take another, or 0 for any that is free'
      ) from error
    return probe.getsockname()[1]

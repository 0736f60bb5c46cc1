"""`--mode=edit`: a run's images, with one thing about them changed."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.config.moved import Edit
from gan_jax.metrics.attributes import ATTRIBUTES
from gan_jax.reporting import pictures
from gan_jax.sampling import editing
from gan_jax.sampling.editing import Direction
from gan_jax.storage.cache import load_arrays
from gan_jax.types import InputError
from gan_jax.workdir import layout, output
from gan_jax.workdir.finding import Finder
from gan_jax.workdir.trained import restore
from gan_jax.workdir.trained_gan import TrainedGAN

_STRIP, _GIF = 'edit.png', 'edit.gif'
_FRAMES = 24  # of the GIF, there and back
_MEASURED = 200  # images on which an edit is measured


def edit(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes edit.png, a row of each image, and edit.gif, to and fro.

  Directions are found when they are first asked for, and kept in the workdir's
  directions/. Of an attribute, how surely it changes is printed, and how far
  the attributes in `against` go with it.

  Args:
    config: `member`, `data.dir`, and its `edit` section: direction, against,
      space, layers, reach, steps, num, start, samples, seed, label, checkpoint,
      ema, batch_norm, truncation, psi, psi_cutoff.
    workdir: of the run.
    out: folder, or one of the two files by its suffix; None for the workdir.

  Returns:
    The paths written.

  Raises:
    InputError: there is no run, no such direction, or one of another generator.
  """
  asked = plan.read(config)
  keys, path = asked.edit, layout.absolute(workdir)
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys)
  if gan.columns:
    raise InputError(
      f'edit: this run is told {", ".join(gan.columns)}; say there what is to '
      'change'
    )
  finder = Finder(gan, trained, asked, path)
  direction = finder.direction()
  layers = _layers(gan, direction, keys.layers)
  places = output.places(workdir, out, [_STRIP, _GIF])
  latents = gan.latents(keys.num, seed=keys.seed, truncation=keys.truncation)
  start = dict(latents=latents, labels=gan.labels(keys.num, keys.class_label))
  if keys.start:
    start = _start(keys.start, gan, direction)

  def made(steps, **where):
    amounts = np.linspace(-keys.reach, keys.reach, steps)
    return editing.edited(gan, direction, amounts, layers=layers, **where)

  _write(places, made, start, direction.name, keys)
  written = list(places.values())
  where = ', '.join(map(str, written))
  print(f'{direction.name} in {direction.space}: {where}')
  if direction.name in ATTRIBUTES:
    images = made(
      keys.steps,
      latents=gan.latents(_MEASURED, seed=keys.seed + 1),
      labels=gan.labels(_MEASURED, keys.class_label),
    )
    lines = _measured(images, direction.name, keys.others, finder.drawn)
    print(*lines, sep='\n')
  return written


def _write(
  places: dict[str, pathlib.Path],
  made: Callable[..., np.ndarray],
  start: dict[str, Any],
  name: str,
  keys: Edit,
) -> None:
  """Writes the strip and the GIF, or the one that is asked for.

  Args:
    places: of both.
    made: (steps, where) -> images `[steps, N, H, W, C]` from end to end.
    start: where.
    name: of the direction.
    keys: the section.
  """
  if _STRIP in places:
    rows = made(keys.steps, **start).swapaxes(0, 1)
    amounts = np.linspace(-keys.reach, keys.reach, keys.steps)
    heads = [f'{amount:+.3g}' if amount else '0' for amount in amounts]
    flat = rows.reshape(-1, *rows.shape[2:])
    sheet = pictures.sheet({name: flat}, keys.steps, heads=heads)
    pictures.save_image(places[_STRIP], sheet)
  if _GIF in places:
    frames = made(_FRAMES // 2 + 1, **start)
    frames = np.concatenate([frames, frames[-2:0:-1]])
    grids = [pictures.grid(frame, smallest=160) for frame in frames]
    pictures.save_gif(places[_GIF], grids)


def _layers(
  gan: TrainedGAN, direction: Direction, text: str
) -> tuple[int, ...]:
  if text and direction.space == 'z':
    raise InputError(
      f'edit.layers: {text} are of styles, and this direction is in z, which '
      'moves all layers at once; leave it out'
    )
  return editing.parse_layers(text, gan.num_layers) if text else ()


def _start(file: str, gan: TrainedGAN, direction: Direction) -> dict[str, Any]:
  """What an archive of --mode=invert holds, as `edited` takes it.

  Raises:
    InputError: there is none, or it is of another generator.
  """
  path = pathlib.Path(file).expanduser()
  arrays = load_arrays(path) if path.is_file() else None
  if not arrays or 'latents' not in arrays:
    raise InputError(
      f'edit.start: {file} is no archive of --mode=invert, such as '
      'RUN/invert.npz'
    )
  if arrays['latents'].shape[1:] != (gan.latent_dim,):
    raise InputError(
      f'edit.start: latents of {path} have {arrays["latents"].shape[1]} '
      f'numbers, and this run takes {gan.latent_dim}: it is of another run'
    )
  found = {'latents': arrays['latents'], 'labels': arrays.get('labels')}
  if 'styles' not in arrays:
    return found
  if direction.space == 'z':
    raise InputError(
      'edit.start: it holds styles, which a direction in z does not move; '
      'invert with invert.space=z, or set edit.space=w'
    )
  names = sorted(
    (name for name in arrays if name.startswith('noise_')),
    key=lambda name: int(name.removeprefix('noise_')),
  )
  noise = tuple(arrays[name] for name in names)
  return found | {'styles': arrays['styles'], 'noise': noise}


def _measured(
  images: np.ndarray, name: str, others: tuple[str, ...], drawn: np.ndarray
) -> list[str]:
  """Lines: how surely an attribute rises, and how far the others go with it."""
  num = images.shape[1]

  def of(name):
    values = [ATTRIBUTES[name](part) for part in images]
    return np.stack(values), ATTRIBUTES[name](drawn)

  values, own = of(name)
  lines = [
    f'  {name} rises with every step for {editing.monotone(values):.0%} of '
    f'{num} images, by {editing.drift(values, own):.0%} of its range'
  ]
  for other in others:
    if other in ATTRIBUTES:
      moved = editing.drift(*of(other))
      lines.append(f'  {other} goes by {moved:.0%} of its range')
  return lines

"""`--mode=orbit`: what a run makes, from all around, as a strip and a GIF."""

import pathlib
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.modes import told
from gan_jax.networks.posing import NAME
from gan_jax.reporting import pictures
from gan_jax.workdir import output
from gan_jax.workdir.trained import restore

_STRIP, _GIF = 'orbit.png', 'orbit.gif'
_SHOWN = 9  # frames in a row of the strip, at the most


def orbit(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes orbit.png, a row of each thing, and orbit.gif, all of them turning.

  A run that is told more than labels and poses is told that of the first
  held-out image.

  Args:
    config: `member`, `data.dir`, and its `orbit` section: num, frames, azimuth,
      elevation, seed, label, checkpoint, ema, batch_norm, truncation, psi,
      psi_cutoff.
    workdir: of the run.
    out: folder, or one of the two files by its suffix; None for the workdir.

  Returns:
    The paths written.

  Raises:
    InputError: there is no run, one without poses, or poses that it lacks.
  """
  asked = plan.read(config)
  keys = asked.orbit
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys)
  given = {}
  if set(trained.plan.given) - {NAME}:
    given, _ = told.held_out(trained, asked, workdir, 1)
    given.pop(NAME, None)
  places = output.places(workdir, out, [_STRIP, _GIF])
  frames = gan.orbit(
    keys.num,
    keys.frames,
    azimuth=keys.azimuth,
    elevation=keys.elevation,
    seed=keys.seed,
    label=keys.class_label,
    given=given,
    truncation=keys.truncation,
  )
  if _STRIP in places:
    count = min(_SHOWN, len(frames))
    chosen = np.linspace(0, len(frames), count, endpoint=False).astype(int)
    rows = frames[chosen].swapaxes(0, 1)  # of each thing
    flat = rows.reshape(-1, *rows.shape[2:])
    pictures.save_image(places[_STRIP], pictures.sheet({'': flat}, count))
  if _GIF in places:
    grids = [pictures.grid(frame, smallest=160) for frame in frames]
    pictures.save_gif(places[_GIF], grids)
  written = list(places.values())
  where = ', '.join(map(str, written))
  print(f'{keys.num} things, {len(frames)} frames: {where}')
  return written

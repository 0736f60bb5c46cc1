"""`--mode=interpolate`: walks from latent to latent of a finished run."""

import pathlib
from typing import Any

from gan_jax.config import plan
from gan_jax.modes import told
from gan_jax.reporting import pictures
from gan_jax.sampling.walks import INTERPOLATIONS
from gan_jax.workdir import output
from gan_jax.workdir.trained import restore


def interpolate(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes a latent walk as interpolation.png (a strip) and two GIFs.

  A run that is told more than labels is told that of the first held-out image.

  Args:
    config: `member`, `data.dir`, and its `interpolate` section: num_points,
      steps, seed, label, checkpoint, ema, batch_norm, truncation, psi,
      psi_cutoff.
    workdir: of the run.
    out: folder, or a file: the strip (.png) or the spherical walk (.gif); None
      for the workdir.

  Returns:
    The paths written.
  """
  asked = plan.read(config)
  keys = asked.interpolate
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  sampler = trained.sampler_of(keys)
  given, _ = told.held_out(trained, asked, workdir, 1)
  gifs = {name: f'interpolation_{name}.gif' for name in INTERPOLATIONS}
  strip = 'interpolation.png'
  places = output.places(workdir, out, [*gifs.values(), strip])
  rows = {}
  for name in INTERPOLATIONS:
    walk = sampler.interpolate(
      keys.num_points,
      keys.steps,
      path=name,
      seed=keys.seed,
      label=keys.class_label,
      given=given,
      truncation=keys.truncation,
    )
    rows[name] = walk[: keys.steps + 1]  # the first leg, both ends included
    if gifs[name] in places:
      frames = [pictures.grid(frame[None], smallest=160) for frame in walk]
      pictures.save_gif(places[gifs[name]], frames)
  if strip in places:
    pictures.save_image(places[strip], pictures.sheet(rows, keys.steps + 1))
  written = list(places.values())
  names = ' above '.join(INTERPOLATIONS)
  print(f'walks, strip ({names}): {", ".join(map(str, written))}')
  return written

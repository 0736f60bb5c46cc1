"""`--mode=interpolate`: walks from latent to latent of a finished run."""

import pathlib
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.reporting import pictures
from gan_jax.sampling.walks import INTERPOLATIONS
from gan_jax.workdir import layout
from gan_jax.workdir.trained import load


def interpolate(config: Any, workdir: str | pathlib.Path) -> list[pathlib.Path]:
  """Writes a latent walk as interpolation.png (a strip) and two GIFs.

  Args:
    config: `member`, and its `interpolate` section: num_points, steps, seed,
      label.
    workdir: of the run.

  Returns:
    The paths written.
  """
  asked = plan.read(config)
  keys = asked.interpolate
  sampler = load(workdir, member=asked.member)
  path = layout.prepare(workdir)
  written, rows = [], []
  for name in INTERPOLATIONS:
    walk = sampler.interpolate(
      keys.num_points,
      keys.steps,
      path=name,
      seed=keys.seed,
      label=None if keys.label == -1 else keys.label,
    )
    rows.append(walk[: keys.steps + 1])  # the first leg, both ends included
    written.append(path / f'interpolation_{name}.gif')
    pictures.save_gif(
      written[-1], [pictures.grid(frame[None], smallest=160) for frame in walk]
    )
  written.append(path / 'interpolation.png')
  strip = pictures.grid(np.concatenate(rows), columns=len(rows[0]))
  pictures.save_image(written[-1], strip)
  names = ' above '.join(INTERPOLATIONS)
  print(f'strip ({names}) and walks: {", ".join(map(str, written))}')
  return written

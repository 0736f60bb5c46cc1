"""`--mode=guide`: a run's images moved towards what a text says."""

import pathlib
from typing import Any

import numpy as np

from gan_jax.config import plan
from gan_jax.features import guides, text_image
from gan_jax.modes import told
from gan_jax.reporting import pictures
from gan_jax.sampling.guidance import Guided
from gan_jax.sampling.guidance import guide as guide_images
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import output
from gan_jax.workdir.trained import restore

_PICTURE, _ARRAYS = 'guide.png', 'guide.npz'


def guide(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> list[pathlib.Path]:
  """Writes guide.png, before above after, and guide.npz.

  The archive has images, latents, styles where these moved, and both cosines.
  A run that is told text is told the prompt; what else it is told is of the
  first held-out images.

  Args:
    config: `member`, `data.dir`, and its `guide` section: prompt, network,
      weights, num, steps, learning_rate, crops, spherical, space, seed, label,
      checkpoint, ema, batch_norm, truncation, psi, psi_cutoff.
    workdir: of the run.
    out: folder, or one of the two files by its suffix; None for the workdir.

  Returns:
    The paths written.

  Raises:
    InputError: there is no run, no prompt, or nothing that judges.
  """
  asked = plan.read(config)
  keys = asked.guide
  if not keys.prompt.strip():
    raise InputError(
      'guide.prompt: there is none; say what is to be drawn, such as '
      '--config.guide.prompt="a red heart"'
    )
  model = guides.load(keys.network, keys.weights)
  unknown = model.unknown(keys.prompt)
  if unknown:
    print(f'note: {model.name} does not know {", ".join(unknown)}')
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys)
  latents = gan.latents(keys.num, seed=keys.seed, truncation=keys.truncation)
  labels = gan.labels(keys.num, keys.class_label)
  given, _ = told.prompted(trained, asked, workdir, keys.num, keys.prompt)
  text = model.of_texts([keys.prompt])[0]
  found = guide_images(
    gan,
    text_image.towards(model, text, crops=keys.crops, spherical=keys.spherical),
    latents,
    labels=labels,
    given=given,
    space=keys.space,
    num_steps=keys.steps,
    learning_rate=keys.learning_rate,
    seed=keys.seed,
    progress='guide',
  )
  cosines = [model.see(x) @ text for x in (found.before, found.images)]
  places = output.places(workdir, out, [_PICTURE, _ARRAYS])
  _write(places, found, cosines, keys.prompt)
  raised = float(np.mean(cosines[1] > cosines[0]))
  print(
    f'cosine with {keys.prompt!r} by {model.name}: {cosines[0].mean():.3f} '
    f'before, {cosines[1].mean():.3f} after, higher for {raised:.0%} of '
    f'{keys.num} images: {", ".join(map(str, places.values()))}'
  )
  return list(places.values())


def _write(places, found: Guided, cosines, prompt: str) -> None:
  """Writes the picture and the archive, or the one that is asked for."""
  if _PICTURE in places:
    blocks = {'before': found.before, prompt: found.images}
    columns = min(len(found.images), 16)
    pictures.save_image(places[_PICTURE], pictures.sheet(blocks, columns))
  if _ARRAYS in places:
    arrays = dict(images=found.images, latents=found.latents)
    arrays |= dict(before=cosines[0], after=cosines[1])
    if found.styles is not None:
      arrays['styles'] = found.styles
    with atomic(places[_ARRAYS]) as temporary:
      np.savez_compressed(temporary, **arrays)

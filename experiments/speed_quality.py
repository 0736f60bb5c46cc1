"""How good images are against what one costs: GAN, VAE and diffusion.

  python experiments/speed_quality.py --gan=RUN --vae=RUN --diffusion=RUN

Finished runs of one dataset at one size. Each draws as many images, from as
many seeds, and is scored in the same features against the same real images; the
diffusion model by DDIM of several lengths and by DDPM of all its steps. Seconds
are of one image in a batch of 64, on the machine at hand, after compilation.

References:
  Ho et al., Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
  Song et al., Denoising Diffusion Implicit Models, arXiv 2010.02502, table 1.
"""

import dataclasses
import pathlib
import sys
import time
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure

from configs import base
from experiments import common
from gan_jax.config import plan
from gan_jax.config.diffusion import NUM_STEPS
from gan_jax.data import Dataset, load_dataset
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.reporting.pictures import save_image, sheet
from gan_jax.sampling.batches import BATCH
from gan_jax.types import InputError
from gan_jax.workdir.trained import Trained, restore

LENGTHS = (10, 50, 250)  # of DDIM
SCORES = ('fid', 'kid', 'precision_recall')
SHOWN = 16


class Point(NamedTuple):
  """One way to draw.

  Attributes:
    name: of it.
    evaluations: of a network, for an image.
    seconds: for an image.
    scores: by name, each a number of every seed.
  """

  name: str
  evaluations: int
  seconds: float
  scores: dict[str, np.ndarray]


def ways(workdirs: dict[str, str]) -> list[tuple[str, int, Trained]]:
  """Names, evaluations and runs, as each draws.

  Raises:
    InputError: no run is named, one is not there, or not of its kind.
  """
  found = []
  for kind, workdir in workdirs.items():
    if not workdir:
      continue
    trained = restore(workdir)
    is_diffusion = trained.plan.game == 'diffusion'
    if is_diffusion != (kind == 'diffusion'):
      raise InputError(
        f'--{kind}: {workdir} has game={trained.plan.game}; name it by another '
        'flag'
      )
    if not is_diffusion:
      found.append((kind.upper(), 1, trained))
      continue
    total = trained.plan.fields['diffusion']['noise_steps'] or NUM_STEPS
    for steps in [n for n in LENGTHS if n <= total]:
      how = {'sampler': 'ddim', 'steps': steps, 'eta': 0.0}
      found.append((f'DDIM {steps}', steps, restore(workdir, denoise=how)))
    how = {'sampler': 'ddpm', 'steps': total}
    found.append((f'DDPM {total}', total, restore(workdir, denoise=how)))
  if not found:
    raise InputError('--gan, --vae, --diffusion: name a finished run')
  return found


def timed(gan: Any) -> tuple[float, np.ndarray]:
  """Seconds of an image, by the best of three batches, and some of them."""
  latents, labels = gan.latents(BATCH), gan.labels(BATCH)
  images, times = gan.generate(latents, labels), []
  for _ in range(3):
    start = time.perf_counter()
    gan.generate(latents, labels)
    times.append(time.perf_counter() - start)
    if times[0] > 60:  # one batch of a long sampler says enough
      break
  return min(times) / BATCH, images[:SHOWN]


def points_of(
  found: list[tuple[str, int, Trained]],
  dataset: Dataset,
  network: str,
  num: int,
  seeds: int,
) -> tuple[list[Point], dict[str, np.ndarray]]:
  """Every way scored, and a few images of each."""
  config = base.get_config()
  config.eval.num_samples, config.eval.network = num, network
  keys = plan.read(config).eval
  evaluators = [
    Evaluator(dataclasses.replace(keys, seed=seed), dataset, progress=False)
    for seed in range(seeds)
  ]
  points, shown = [], {}
  for name, evaluations, trained in found:
    gan = trained.sampler()
    results = [
      evaluator.score(gan, SCORES, num, step=int(trained.state.step))
      for evaluator in evaluators
    ]
    scores = {
      score: np.array([r.scores[score]['value'] for r in results])
      for score in results[0].scores
      if isinstance(results[0].scores[score].get('value'), float)
    }
    seconds, shown[name] = timed(gan)
    points.append(Point(name, evaluations, seconds, scores))
    print(f'{name}: {seconds:.2g} s an image', flush=True)
  return points, shown


def figure(points: list[Point], score: str) -> Figure:
  """The score against seconds and against evaluations."""
  made = Figure(figsize=(9, 3.8), layout='constrained')
  axes = made.subplots(1, 2, sharey=True)
  for axis, attribute in zip(axes, ('seconds', 'evaluations'), strict=True):
    for point in points:
      values = point.scores[score]
      error = values.std(ddof=1) if len(values) > 1 else 0.0
      x = getattr(point, attribute)
      axis.errorbar(x, values.mean(), error, fmt='o', capsize=3)
      axis.annotate(
        point.name,
        (x, values.mean()),
        xytext=(5, 5),
        textcoords='offset points',
        fontsize=8,
      )
    axis.set_xscale('log')
    axis.set_yscale('log')
    axis.margins(x=0.25)
  axes[0].set_xlabel('seconds an image')
  axes[1].set_xlabel('evaluations of the network an image')
  axes[0].set_ylabel(f'{score}, lower is better')
  return made


def experiment(
  out: pathlib.Path,
  gan: str,
  vae: str,
  diffusion: str,
  network: str,
  num: int,
  seeds: int,
) -> None:
  """Scores every way to draw, and writes the table, the plot and a sheet.

  Args:
    out: folder.
    gan: a finished run.
    vae: likewise.
    diffusion: likewise.
    network: whose features, see `eval.network`.
    num: images of each seed.
    seeds: of the samples.

  Raises:
    InputError: a run that is not there, or of other data.
  """
  found = ways({'gan': gan, 'vae': vae, 'diffusion': diffusion})
  shapes = {trained.info.image_shape for _, _, trained in found}
  if len(shapes) > 1:
    raise InputError(
      f'the runs draw images of {" and ".join(map(str, sorted(shapes)))}; take '
      'runs of one dataset at one size'
    )
  dataset = load_dataset(**found[0][2].plan.dataset())
  points, shown = points_of(found, dataset, network, num, seeds)
  names = list(points[0].scores)
  rows = [
    [
      point.name,
      str(point.evaluations),
      f'{point.seconds:.2g}',
      *(spread(point.scores[name]) for name in names),
    ]
    for point in points
  ]
  heads = ['', 'evaluations', 'seconds an image', *names]
  table = common.markdown(heads, rows)
  seen = ', '.join(
    f'{name} {trained.plan.images_seen(int(trained.state.step)):,}'
    for name, _, trained in found
    if 'DDIM' not in name
  )
  how = (
    f'{num} images from each of {seeds} seeds, mean and standard deviation; '
    f'training images seen: {seen}.'
  )
  common.save_tables(
    out / 'speed_quality.md',
    'Quality against speed',
    scores=f'{how}\n\n{table}',
  )
  fid = next(name for name in names if name.startswith('fid'))
  common.save_figure(out / 'speed_quality.png', figure(points, fid))
  save_image(out / 'speed_quality_images.png', sheet(shown, SHOWN))


def spread(values: np.ndarray) -> str:
  """Mean and standard deviation over seeds."""
  if len(values) < 2:
    return f'{values.mean():.4g}'
  return f'{values.mean():.4g} +- {values.std(ddof=1):.2g}'


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    gan=('', 'a finished run of a GAN'),
    vae=('', 'of a VAE'),
    diffusion=('', 'of a diffusion model'),
    network=('auto', 'whose features, as eval.network', keys_lib.NETWORKS),
    num=(500, 'images of each seed'),
    seeds=(3, 'of the samples'),
  )

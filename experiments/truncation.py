"""What truncation trades: precision against recall, of a trained run.

  python experiments/truncation.py --workdir=RUN

The noise of G is drawn from a normal distribution that is cut at a threshold
(resampled, not clipped). Below, the scores of so many fakes at each threshold;
`none` is the distribution that G was trained with. Fakes have the same seeds
and labels at each; batch norm in G goes by fresh statistics at each threshold.

Reference:
  Brock et al., Large Scale GAN Training for High Fidelity Natural Image
  Synthesis, arXiv 1809.11096, section 3.1 and figure 2.
"""

import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure

from configs import base
from experiments import common
from gan_jax import data
from gan_jax.config import plan
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.reporting.pictures import grid
from gan_jax.sampling.weights import weights_name
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import restore

THRESHOLDS = (0.3, 0.44, 0.58, 0.72, 0.86, 1.0, 0.0)  # 0: none
SCORES = ('fid', 'precision_recall', 'density_coverage')
SHOWN = ('precision', 'recall', 'fid')  # in the figure
SEEDS = tuple(range(10))  # of the pictures


def name_of(threshold: float) -> str:
  """As it is written in tables and figures."""
  return f'{threshold:g}' if threshold else 'none'


def measured(
  workdir: str, num: int, network: str
) -> tuple[dict[str, list[float]], list, str]:
  """Scores by name at each threshold, rows of pictures, and the protocol.

  Args:
    workdir: of the run.
    num: fakes at each threshold.
    network: of features, see `eval.network`.
  """
  if not workdir:
    raise InputError('--workdir: name the folder of a finished run')
  trained = restore(workdir)
  config = base.get_config()
  config.eval.network, config.eval.scores = network, SCORES
  keys = plan.read(config).eval
  dataset = data.load_dataset(**trained.plan.dataset())
  layout.check_data(layout.absolute(workdir), dataset.info)
  gan = trained.sampler()
  if not gan.columns:  # of what else is told, there are no fresh statistics
    gan = trained.sampler(batch_norm='standing')
  evaluator = Evaluator(keys, dataset)
  values, pictures, weights = {}, [], weights_name(trained.state, keys.ema)
  for threshold in THRESHOLDS:
    evaluator.keys = dataclasses.replace(keys, truncation=threshold)
    cut = gan.at(threshold)
    result = evaluator.score(cut, SCORES, num, weights=weights)
    for name, entry in result.scores.items():
      values.setdefault(name, []).append(entry['value'])
    latents = cut.latents_of(SEEDS, truncation=threshold)
    pictures.append(cut.generate(latents, cut.labels(len(SEEDS))))
  suffix = next(iter(values)).removeprefix('fid')
  by_name = {name.removesuffix(suffix): row for name, row in values.items()}
  record = result.protocol
  how = (
    f'{num:,} fakes of step {int(trained.state.step):,} ({record["weights"]}) '
    f'against {record["num_real"]:,} real images, features of '
    f'{record["network"]}'
  )
  return by_name, pictures, how


def draw(values: dict[str, list[float]], pictures: list, how: str) -> Figure:
  """A panel for each score, and what is drawn at each threshold."""
  figure = Figure(figsize=(11, 4.2), layout='constrained')
  left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
  panels = left.subplots(1, len(SHOWN))
  names = [name_of(threshold) for threshold in THRESHOLDS]
  for axis, name in zip(panels, SHOWN, strict=True):
    axis.plot(names, values[name], 'o-', color=common.DISC)
    axis.set_title(name)
    axis.set_xlabel('threshold')
    axis.tick_params('x', labelrotation=60)
  axis = right.subplots()
  height = len(THRESHOLDS)
  axis.imshow(
    grid(np.concatenate(pictures), columns=len(SEEDS)),
    extent=(0, len(SEEDS), height, 0),
  )
  axis.set_yticks([row + 0.5 for row in range(height)], names)
  axis.set_xticks([])
  axis.set_title('a seed in each column', fontsize=10)
  figure.suptitle(how, fontsize=9)
  return figure


def experiment(out: pathlib.Path, workdir: str, num: int, network: str) -> None:
  """Writes a figure and a table of a run at each threshold.

  Args:
    out: folder.
    workdir: of the run.
    num: fakes at each threshold.
    network: of features, see `eval.network`.
  """
  values, pictures, how = measured(workdir, num, network)
  common.save_figure(out / 'truncation.png', draw(values, pictures, how))
  rows = [
    [name_of(threshold), *(row[i] for row in values.values())]
    for i, threshold in enumerate(THRESHOLDS)
  ]
  table = common.markdown(['threshold', *values], rows)
  common.save_tables(
    out / 'truncation.md', 'Truncation', scores=f'{how}.\n\n{table}'
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'folder of a finished run'),
    num=(10_000, 'fakes at each threshold'),
    network=('auto', 'features, as in eval.network'),
  )

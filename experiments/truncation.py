"""What truncation trades: precision against recall, of a trained run.

  python experiments/truncation.py --workdir=RUN

The noise of G is drawn from a normal distribution that is cut at a threshold
(resampled, not clipped), and batch norm in G goes by fresh statistics at each
threshold; of a style-based G, styles are pulled to their mean by psi instead.
Below, the scores of so many fakes at each value; `none` is what G was trained
with. Fakes have the same seeds and labels at each.

Reference:
  Brock et al., Large Scale GAN Training for High Fidelity Natural Image
  Synthesis, arXiv 1809.11096, section 3.1 and figure 2; Karras et al., A
  Style-Based Generator Architecture for Generative Adversarial Networks, arXiv
  1812.04948, appendix B.
"""

import dataclasses
import pathlib
import sys
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure

from configs import base
from experiments import common
from gan_jax.config import plan
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.reporting.pictures import grid
from gan_jax.sampling.weights import weights_name

VALUES = (0.3, 0.44, 0.58, 0.72, 0.86, 1.0)
NONE = {'truncation': 0.0, 'psi': 1.0}  # what leaves all as it is
SCORES = ('fid', 'precision_recall', 'density_coverage')
SHOWN = ('precision', 'recall', 'fid')  # in the figure
SEEDS = tuple(range(10))  # of the pictures


class Measured(NamedTuple):
  """What is drawn and written.

  Attributes:
    key: that is varied, truncation or psi.
    names: of its values.
    scores: at each of them, by the names of the scores.
    pictures: `[10, H, W, C]` at each.
    how: it was measured.
  """

  key: str
  names: list[str]
  scores: dict[str, list[float]]
  pictures: list[np.ndarray]
  how: str


def values_of(key: str) -> list[float]:
  """The values of a key, the last of which leaves all as it is."""
  return [value for value in VALUES if value != NONE[key]] + [NONE[key]]


def measured(workdir: str, num: int, network: str) -> Measured:
  """Scores a run at each value.

  Args:
    workdir: of the run.
    num: fakes at each value.
    network: of features, see `eval.network`.
  """
  trained, dataset = common.trained_run(workdir)
  config = base.get_config()
  config.eval.network, config.eval.scores = network, SCORES
  if not trained.plan.given:  # else there are no fresh statistics
    config.eval.batch_norm = 'standing'
  keys = plan.read(config).eval
  evaluator = Evaluator(keys, dataset)
  key = 'psi' if trained.model.game.styled else 'truncation'
  scores, pictures, weights = {}, [], weights_name(trained.state, keys.ema)
  for value in values_of(key):
    evaluator.keys = dataclasses.replace(keys, **{key: value})
    threshold = evaluator.keys.truncation
    gan = trained.sampler_of(evaluator.keys)
    result = evaluator.score(gan, SCORES, num, weights=weights)
    for name, entry in result.scores.items():
      scores.setdefault(name, []).append(entry['value'])
    latents = gan.latents_of(SEEDS, truncation=threshold)
    pictures.append(gan.generate(latents, gan.labels(len(SEEDS))))
  suffix = next(iter(scores)).removeprefix('fid')
  scores = {name.removesuffix(suffix): row for name, row in scores.items()}
  names = [f'{value:g}' for value in values_of(key)[:-1]] + ['none']
  record = result.protocol
  how = (
    f'{num:,} fakes of step {int(trained.state.step):,} ({record["weights"]}) '
    f'against {record["num_real"]:,} real images, features of '
    f'{record["network"]}'
  )
  return Measured(key, names, scores, pictures, how)


def draw(found: Measured) -> Figure:
  """A panel for each score, and what is drawn at each value."""
  figure = Figure(figsize=(11, 4.2), layout='constrained')
  left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
  panels = left.subplots(1, len(SHOWN))
  for axis, name in zip(panels, SHOWN, strict=True):
    axis.plot(found.names, found.scores[name], 'o-', color=common.DISC)
    axis.set_title(name)
    axis.set_xlabel(found.key)
    axis.tick_params('x', labelrotation=60)
  axis = right.subplots()
  height = len(found.names)
  axis.imshow(
    grid(np.concatenate(found.pictures), columns=len(SEEDS)),
    extent=(0, len(SEEDS), height, 0),
  )
  axis.set_yticks([row + 0.5 for row in range(height)], found.names)
  axis.set_xticks([])
  axis.set_title('a seed in each column', fontsize=10)
  figure.suptitle(found.how, fontsize=9)
  return figure


def experiment(out: pathlib.Path, workdir: str, num: int, network: str) -> None:
  """Writes a figure and a table of a run at each value.

  Args:
    out: folder.
    workdir: of the run.
    num: fakes at each value.
    network: of features, see `eval.network`.
  """
  found = measured(workdir, num, network)
  common.save_figure(out / 'truncation.png', draw(found))
  rows = zip(found.names, *found.scores.values(), strict=True)
  table = common.markdown([found.key, *found.scores], list(rows))
  common.save_tables(
    out / 'truncation.md', 'Truncation', scores=f'{found.how}.\n\n{table}'
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'folder of a finished run'),
    num=(10_000, 'fakes at each value'),
    network=('auto', 'features, as in eval.network'),
  )

"""Which layers of a style-based generator say what is drawn.

  python experiments/style_mixing.py --workdir=RUN

Two images of different classes, as a classifier of the data sees them, are
mixed: layers before a cut have the styles of the first, the others those of the
second; the noise is the first one's. Below, in how many mixed images the
classifier sees the class of either.

Reference:
  Karras et al., A Style-Based Generator Architecture for Generative Adversarial
  Networks, arXiv 1812.04948, section 3.1 and figure 3.
"""

import pathlib
import sys
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure

from configs import base
from experiments import common
from gan_jax.config import plan
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.features import extract, image_set
from gan_jax.reporting.pictures import grid
from gan_jax.types import InputError

SHOWN = 8  # pairs in the figure


class Kept(NamedTuple):
  """What is drawn and written.

  Attributes:
    cuts: the first layer of the second image, 1 to L - 1.
    shares: of mixed images that have the first one's class, and the second's.
    pictures: both images and the mixed ones of some pairs, `[P, L + 1, ...]`.
    how: it was measured.
  """

  cuts: list[int]
  shares: list[tuple[float, float]]
  pictures: np.ndarray
  how: str


def measured(workdir: str, num: int) -> Kept:
  """Mixes pairs of a run's images at every layer.

  Args:
    workdir: of the run.
    num: pairs; those of one class are left out.

  Raises:
    InputError: no run, a generator without styles, data without classes, or
      pairs of one class alone.
  """
  trained, dataset = common.trained_run(workdir)
  gan = trained.sampler()
  if not gan.has_styles:
    raise InputError(f'--workdir: the generator of {workdir} has no styles')
  config = base.get_config()
  config.eval.network = 'classifier'
  network = Evaluator(plan.read(config).eval, dataset).network

  def classes(images: np.ndarray) -> np.ndarray:
    parts = extract(network, image_set(images))
    return np.concatenate([out['logits'].argmax(axis=1) for _, out in parts])

  latents = gan.latents(2 * num)
  styles = gan.styles(latents, labels_of(gan, num))
  images = gan.paint(styles, latents)
  of_first, of_second = np.split(classes(images), 2)
  pairs = np.flatnonzero(of_first != of_second)
  if not len(pairs):
    raise InputError(f'--num: all {num} pairs are of one class; take more')
  coarse, fine = styles[pairs], styles[num + pairs]
  cuts, shares = list(range(1, styles.shape[1])), []
  columns = []
  for cut in cuts:
    mixed = gan.paint(gan.mixed(coarse, fine, cut), latents[pairs])
    seen = classes(mixed)
    shares.append(
      tuple(float(np.mean(seen == x[pairs])) for x in (of_first, of_second))
    )
    columns.append(mixed[:SHOWN])
  first, second = (images[start + pairs[:SHOWN]] for start in (0, num))
  columns = [first, *columns[::-1], second]
  how = (
    f'{len(pairs):,} pairs of two classes among {num:,}, step '
    f'{int(trained.state.step):,}'
  )
  return Kept(cuts, shares, np.stack(columns, axis=1), how)


def labels_of(gan: Any, num: int) -> np.ndarray | None:
  """Labels `[2 num]` of which those of a pair differ; None without classes."""
  if not gan.num_classes:
    return None
  first = np.arange(num, dtype=np.int32)
  others = max(1, gan.num_classes - 1)
  second = first + 1 + first // gan.num_classes % others
  return np.concatenate([first, second]) % gan.num_classes


def draw(kept: Kept) -> Figure:
  """Shares at each cut, and some pairs."""
  figure = Figure(figsize=(11, 4.2), layout='constrained')
  left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
  for name, color, row in zip(
    ('of the first (coarse)', 'of the second (fine)'),
    (common.DISC, common.FAKE),
    zip(*kept.shares, strict=True),
    strict=True,
  ):
    left.plot(kept.cuts, row, 'o-', color=color, label=f'class {name}')
  left.set_xlabel('layers of the first image')
  left.set_ylabel('share of mixed images')
  left.set_xticks(kept.cuts)
  left.set_ylim(0, 1)
  figure.legend(loc='outside lower left')
  rows, width = kept.pictures.shape[:2]
  flat = kept.pictures.reshape(-1, *kept.pictures.shape[2:])
  right.imshow(grid(flat, columns=width), extent=(0, width, rows, 0))
  names = ['first', *map(str, kept.cuts[::-1]), 'second']
  right.set_xticks([i + 0.5 for i in range(width)], names)
  right.set_yticks([])
  right.set_title('layers of the first image', fontsize=10)
  figure.suptitle(kept.how, fontsize=9)
  return figure


def experiment(out: pathlib.Path, workdir: str, num: int) -> None:
  """Writes a figure and a table of a run.

  Args:
    out: folder.
    workdir: of the run.
    num: pairs.
  """
  kept = measured(workdir, num)
  common.save_figure(out / 'style_mixing.png', draw(kept))
  rows = [
    [cut, *(f'{share:.3f}' for share in row)]
    for cut, row in zip(kept.cuts, kept.shares, strict=True)
  ]
  columns = ['layers of the first', 'its class', "the second's class"]
  table = common.markdown(columns, rows)
  common.save_tables(
    out / 'style_mixing.md', 'Style mixing', classes=f'{kept.how}.\n\n{table}'
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'folder of a finished run of a style-based generator'),
    num=(1_000, 'pairs'),
  )

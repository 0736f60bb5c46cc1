"""Whether each added condition brings a run's images closer to the true ones.

  python experiments/cross_modal.py --workdir=RUN

A run that is told texts and sources, either of which may be missing
(drop_given). Held-out things are drawn from nothing, from their text, from
their source and from both; each drawing is looked up among true images by the
nearest, in pixels or in maps of a fixed network. Below, how often its own
counterpart comes first; several drawings of each count.

Reference:
  Zhang et al., Cross-Modal Contrastive Learning for Text-to-Image Generation,
  arXiv 2101.04702 (what is told); measured as in experiments/counterparts.py.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from experiments import common, counterparts
from gan_jax.data import Dataset
from gan_jax.games.dropping import DROPPED
from gan_jax.reporting.pictures import save_image, sheet
from gan_jax.types import InputError

ASKED = {
  'nothing': (),
  'text': ('text',),
  'image': ('source',),
  'both': ('text', 'source'),
}
SHOWN = 12  # things in the figure
EACH = 4  # drawings of a thing


def things(dataset: Dataset) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Held-out images that differ, and what is given with the first of each."""
  images = dataset.test.read(np.arange(len(dataset.test)))['images']
  flat = images.reshape(len(images), -1)
  first = np.sort(np.unique(flat, axis=0, return_index=True)[1])
  return images[first], dataset.test.given(DROPPED, first)


def experiment(
  out: pathlib.Path,
  workdir: str,
  num: int,
  network: str,
  weights: str,
  seed: int,
) -> None:
  """Draws, looks up, and writes the table and a sheet."""
  trained, dataset = common.trained_run(workdir)
  gan = trained.sampler()
  lacking = [name for name in DROPPED if name not in gan.columns]
  if lacking or not all(gan.columns[name].optional for name in DROPPED):
    raise InputError(
      f'--workdir: {workdir} is not told {" and ".join(DROPPED)}, each missing '
      'now and then; train with given=text,source and drop_given above 0, such '
      'as configs/crossmodal_emoji.py'
    )
  images, given = things(dataset)
  if not 2 <= num <= len(images):
    raise InputError(f'--num: {num} among {len(images)} held-out images')
  embed = counterparts.embedder(network, weights)
  among, rows = embed(images), []
  blocks = {'source': given['source'][:SHOWN]}
  for name, columns in ASKED.items():
    told = {column: given[column] for column in columns}
    first, top = [], []
    for draw in range(EACH):
      made = gan.sample(len(images), seed=seed + draw, given=told)
      order = counterparts.ranks(embed(made), among, num)
      first.append((order == 0).mean())
      top.append((order < counterparts.TOP).mean())
      if draw == 0:
        blocks[name] = made[:SHOWN]
    rows.append([name, float(np.mean(first)), float(np.mean(top))])
  blocks['true'] = images[:SHOWN]
  columns = [
    'told',
    f'nearest of {num}',
    f'among the nearest {counterparts.TOP}',
  ]
  table = common.markdown(columns, rows)
  (out / 'cross_modal.md').write_text(table)
  save_image(out / 'cross_modal.png', sheet(blocks, SHOWN))
  chance = f'chance {1 / num:.3f}, {counterparts.TOP / num:.3f}'
  print(f'{len(images)} things, {EACH} drawings each; {chance}\n{table}')


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'a finished run that is told texts and sources'),
    num=(100, 'true images among which each drawing is looked up'),
    network=('pixels', 'pixels, or a network of maps'),
    weights=('', 'file of the network'),
    seed=(0, 'of the latents'),
  )

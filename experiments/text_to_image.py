"""Whether a text-to-image run draws what texts say, to two towers that judge.

  python experiments/text_to_image.py --workdir=RUN --judge=towers.npz

Held-out texts of the run's data are drawn; the judge, trained on other images
(experiments/two_tower.py), ranks the right text among others drawn at random.
Beside it: the same of the true images, of images drawn for other texts (which
is chance), and how far apart several images of one text are.

Reference:
  Xu et al., AttnGAN, arXiv 1711.10485, section 4 (R-precision).
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from experiments import common
from gan_jax.data import beside
from gan_jax.data import files as files_lib
from gan_jax.data.division import divide
from gan_jax.features import towers
from gan_jax.features.text_image import ranks
from gan_jax.reporting.pictures import save_image, sheet
from gan_jax.types import InputError
from gan_jax.workdir.trained import Trained

SHOWN, EACH = 6, 8  # texts in the figure, images of each
TOP = 5


def held_out_texts(trained: Trained) -> list[str]:
  """The captions of held-out images, as they stand in the file."""
  keys = trained.plan.dataset()
  root = pathlib.Path(keys['dir']).expanduser()
  found = files_lib.find(root)
  texts = beside.read(root, found, beside.KINDS['text'])
  parts = divide(root, found.folders, found.files, keys['test_fraction'])
  return [texts[file.path] for file in parts.test]


def experiment(
  out: pathlib.Path, workdir: str, judge: str, num: int, among: int, seed: int
) -> None:
  """Draws, judges, and writes the table and a sheet."""
  trained, dataset = common.trained_run(workdir)
  if trained.plan.given != ('text',):
    told = ', '.join(trained.plan.given) or 'nothing'
    raise InputError(f'--workdir: {workdir} is told {told}, and not text alone')
  model = towers.load(judge)
  texts = held_out_texts(trained)
  rng = np.random.default_rng(seed)
  chosen = rng.permutation(len(texts))[:num]
  texts = [texts[index] for index in chosen]
  given = dataset.test.given(['text'], chosen)
  gan = trained.sampler()
  fakes = gan.sample(len(texts), seed=seed, given=given)
  reals = dataset.test.read(chosen)['images']
  read = model.of_texts(texts)
  rows = []
  for name, images in (
    ('drawn', fakes),
    ('drawn for another text', np.roll(fakes, 1, axis=0)),
    ('true images', reals),
  ):
    seen = model.see(images)
    found = ranks(seen, read, among, seed)
    cosine = float((seen * read).sum(axis=1).mean())
    rows.append([name, (found == 0).mean(), (found < TOP).mean(), cosine])
  columns = ['', f'first of {among}', f'among the first {TOP}', 'cosine']
  table = common.markdown(columns, rows)
  blocks = {}
  for text in texts[:SHOWN]:
    blocks[text] = gan.sample(EACH, seed=seed, given={'text': text})
  many = np.stack(list(blocks.values())).astype(np.float64)
  spread = many.std(axis=1).mean() / max(fakes.std(axis=0).mean(), 1e-9)
  table += f'\nspread at one text, of that over all texts: {spread:.3f}\n'
  (out / 'text_to_image.md').write_text(table)
  save_image(out / 'text_to_image.png', sheet(blocks, EACH))
  print(f'{len(texts)} texts, judged by {model.name}\n{table}')


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'a finished run that is told text'),
    judge=('', 'file of two towers'),
    num=(1_000, 'held-out texts, at the most'),
    among=(32, 'texts among which the right one is looked for'),
    seed=(0, 'of latents and of the choice'),
  )

"""Two towers on a folder of images with captions, and how well they retrieve.

  python experiments/two_tower.py --data=DIR --file=towers.npz

DIR is what data.name=folder takes, with captions. The file judges text-to-image
runs (experiments/text_to_image.py) and guides any run (--mode=guide).

Reference:
  Radford et al., Learning Transferable Visual Models From Natural Language
  Supervision, arXiv 2103.00020, section 2; a bag of words here.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from experiments import common
from gan_jax.data import load_dataset
from gan_jax.features import towers
from gan_jax.features.text_image import ranks
from gan_jax.sampling import tokens

AMONG = 32


def experiment(
  out: pathlib.Path,
  data: str,
  file: str,
  size: int,
  steps: int,
  among: int,
  seed: int,
) -> None:
  """Trains, writes the file, and says how often the right text comes first."""
  dataset = load_dataset(
    'folder',
    dir=data,
    image_size=size,
    channels=3,
    background='white',
    captions=True,
  )
  arrays = {
    split: getattr(dataset, split).whole() for split in ('train', 'test')
  }
  vocabulary = dataset.info.vocabulary
  recipe = towers.Recipe(num_steps=steps, seed=seed)
  train = arrays['train']
  params = towers.train(train['images'], train['text'], vocabulary, recipe)
  path = pathlib.Path(file).expanduser() if file else out / 'towers.npz'
  length = train['text'].shape[1]
  towers.save(path, params, vocabulary, (size, size, 3), length, recipe)
  model, rows = towers.load(path), []
  for split, own in arrays.items():
    num = min(2_000, len(own['images']))
    chosen = np.random.default_rng(0).permutation(len(own['images']))[:num]
    texts = tokens.decode(own['text'][chosen], vocabulary)
    seen, read = model.see(own['images'][chosen]), model.of_texts(texts)
    found = ranks(seen, read, among)
    rows.append([split, num, (found == 0).mean(), (found < 5).mean()])
  table = common.markdown(
    ['split', 'pairs', f'first of {among}', 'among the first five'], rows
  )
  (out / 'retrieval.md').write_text(table)
  print(f'{table}  chance {1 / among:.3f}, {5 / among:.3f}\n  towers  {path}')


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    data=('', 'folder or ZIP of images with captions'),
    file=('', 'where the towers go, an .npz file; in --out if not given'),
    size=(64, 'pixels of the images, a power of two'),
    steps=(2_000, 'updates'),
    among=(AMONG, 'texts among which the right one is looked for'),
    seed=(0, 'of weights and order'),
  )

"""Do the scores move the right way? Real images, spoilt in known ways.

Test images of MNIST and Fashion-MNIST are scored against the training images
as if a generator had made them: as they are, with noise, blurred, with half
of the classes dropped, of one class alone, and as copies of training images.
Features and classes are those of the classifier network.

What must come out: noise and blur cost precision and density; dropped classes
cost recall, coverage and modes and leave precision alone; all of them raise
FID and KID; copies of the training set have the best scores there are, and
only their distance to the nearest training image gives them away.

Command: python experiments/metric_directions.py
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from experiments import common
from gan_jax.data import load_dataset
from gan_jax.evaluation.entries import Inputs, Settings
from gan_jax.evaluation.scores import compute
from gan_jax.evaluation.summary import summarise
from gan_jax.features import image_set
from gan_jax.features.classifier import classifier_network
from gan_jax.reporting import pictures as reporting

SCORES = ('fid', 'kid', 'inception_score', 'mode_score', 'modes')
SCORES += ('precision_recall', 'density_coverage', 'ms_ssim')
SCORES += ('sliced_wasserstein', 'nearest_neighbours')
SHOWN = ('fid', 'kid', 'inception_score', 'mode_score', 'modes', 'modes_kl')
SHOWN += ('precision', 'recall', 'density', 'coverage', 'ms_ssim')
SHOWN += ('sliced_wasserstein', 'nearest_train')


def noisy(images: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
  """Adds Gaussian noise of `sigma` grey levels to uint8 images."""
  noise = np.random.default_rng(seed).normal(size=images.shape) * sigma
  return np.clip(np.round(images + noise), 0, 255).astype(np.uint8)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
  """Blurs uint8 `[N, H, W, C]` with a Gaussian of `sigma` pixels."""
  smooth = gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0))
  return np.round(smooth).astype(np.uint8)


def spoilt(
  train: dict[str, np.ndarray], test: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Sets of images by what was done to them."""
  images, labels = test['images'], test['labels']
  return {
    'test images': images,
    'noise, 16 levels': noisy(images, 16),
    'noise, 48 levels': noisy(images, 48),
    'blur, 1 pixel': blurred(images, 1),
    'half the classes': images[labels < 5],
    'one class': images[labels == 3],
    'copies of training images': train['images'][: len(images)],
  }


def score(
  name: str, num_real: int, pixels: int
) -> tuple[list[list[object]], np.ndarray]:
  """Rows of the table of one dataset, and a grid of what was scored.

  Args:
    name: of the dataset.
    num_real: training images to compare with.
    pixels: images of each set for scores of pixels.
  """
  dataset = load_dataset(name)
  train, test = (
    split.read(np.arange(len(split)), num_threads=2)
    for split in (dataset.train, dataset.test)
  )
  network = classifier_network(train, test, dataset.info.class_names)
  accuracy = network.notes['classifier_test_accuracy']
  print(f'{name}: classifier right on {accuracy:.2%} of the test images')
  keep = dict(keep_features=True, keep_images=pixels, batch_size=256)
  real = summarise(
    network, image_set(train['images'][:num_real]), progress='real', **keep
  )
  rows, shown = [], []
  for title, images in spoilt(train, test).items():
    fake = summarise(network, image_set(images), progress=title, **keep)
    few = len(fake.images)
    inputs = Inputs(
      network,
      real._replace(images=real.images[:few]),
      fake,
      Settings(kid_subset_size=min(1_000, len(images))),
      train=train['images'][:pixels],
      test=test['images'][:pixels],
    )
    entries = compute(inputs, SCORES)
    values = [
      entries.get(n, entries.get(f'{n}_classifier'))['value'] for n in SHOWN
    ]
    rows.append([title, str(len(images)), *values])
    shown.append(images[:12])
  return rows, reporting.grid(np.concatenate(shown), columns=12)


def draw(examples: dict[str, np.ndarray], titles: list[str]) -> Figure:
  """A panel for each dataset, a row for each set.

  Args:
    examples: grids by dataset.
    titles: of the rows.
  """
  figure = Figure(figsize=(13, 4), layout='constrained')
  axes = figure.subplots(1, len(examples), squeeze=False)[0]
  for axis, (name, image) in zip(axes, examples.items(), strict=True):
    axis.imshow(image)
    height = len(image) / len(titles)
    axis.set_yticks((np.arange(len(titles)) + 0.5) * height, titles)
    axis.set_xticks([])
    axis.set_title(name)
  return figure


def main(
  out: pathlib.Path,
  num: int,
  pixels: int,
  names: tuple[str, ...] = ('mnist', 'fashion_mnist'),
) -> None:
  """Writes a table of each dataset and a figure of what was scored.

  Args:
    out: folder.
    num: training images to compare with.
    pixels: images of each set for scores of pixels.
    names: of labelled datasets.
  """
  tables, examples = {}, {}
  for name in names:
    rows, examples[name] = score(name, num, pixels)
    # Scores down, sets across: reads better than thirteen columns.
    titles = [row[0] for row in rows]
    values = zip(*(row[1:] for row in rows), strict=True)
    lines = [
      [score_name, *cells]
      for score_name, cells in zip(('images', *SHOWN), values, strict=True)
    ]
    tables[name] = common.markdown(['score', *titles], lines)
  figure = draw(examples, titles)
  common.save_figure(out / 'metric_directions.png', figure)
  common.save_tables(
    out / 'metric_directions.md', 'Scores of spoilt images', **tables
  )


if __name__ == '__main__':
  common.run(
    main,
    __doc__,
    num=(10_000, 'training images to compare with'),
    pixels=(1_000, 'images of each set for scores of pixels'),
  )

"""What the Parzen score of 2014 asks of a generator, of a trained run.

  python experiments/parzen_window.py --workdir=RUN

The same score, with sigma chosen anew each time, of what is no generator:
training images, which say how far a sampler of the data itself gets; centres of
k-means of them, which get further (Theis et al.); and of the run's fakes, as
they are and with less contrast, which is no better a picture.

Reference:
  Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661, Table 1;
  Theis, van den Oord and Bethge, A Note on the Evaluation of Generative
  Models, arXiv 1511.01844, section 3.2.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import KMeans

from experiments import common
from gan_jax.metrics.parzen import parzen_score
from gan_jax.reporting.pictures import grid
from gan_jax.types import InputError

CONTRASTS = (1.0, 0.95, 0.9, 0.85, 0.8)
ROUNDS = 10  # of k-means
VALIDATION = 1_000  # images that sigma is chosen on
SHOWN = 10  # images of each set


def centres(images: np.ndarray, num: int, seed: int) -> np.ndarray:
  """Centres of k-means, `[num, H, W, C]` uint8, begun at images themselves."""
  flat = images.reshape(len(images), -1).astype(np.float32)
  means = KMeans(
    num, init='random', n_init=1, max_iter=ROUNDS, random_state=seed
  )
  found = means.fit(flat).cluster_centers_
  return found.round().astype(np.uint8).reshape(-1, *images.shape[1:])


def sets_of(
  fakes: np.ndarray, train: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
  """What is scored, as many images of each as there are fakes, by name."""
  num = len(fakes)
  chosen = np.random.default_rng(seed).choice(len(train), num, replace=False)
  found = {
    f'fakes, contrast {c:g}' if c < 1 else 'fakes': (c * fakes)
    .round()
    .astype(np.uint8)
    for c in CONTRASTS
  }
  found['training images'] = train[chosen]
  return found | {'centres of k-means': centres(train, num, seed)}


def draw(sets: dict[str, np.ndarray]) -> Figure:
  """Images of each set, a row each."""
  columns = min(SHOWN, *map(len, sets.values()))
  figure = Figure(figsize=(9, 0.62 * len(sets)), layout='constrained')
  axis = figure.subplots()
  shown = np.concatenate([images[:columns] for images in sets.values()])
  extent = (0, columns, len(sets), 0)
  axis.imshow(grid(shown, columns=columns), extent=extent)
  names = [name.removeprefix('fakes, ') for name in sets]
  axis.set_yticks([row + 0.5 for row in range(len(sets))], names)
  axis.set_xticks([])
  return figure


def experiment(out: pathlib.Path, workdir: str, num: int, seed: int) -> None:
  """Writes a table of the score of each set, and a figure of the images.

  Args:
    out: folder.
    workdir: of the run.
    num: fakes, training images and centres.
    seed: of the fakes, the chosen images and k-means.
  """
  trained, dataset = common.trained_run(workdir)
  train, test = (s.whole()['images'] for s in (dataset.train, dataset.test))
  if dataset.validation is None:  # what sigma is chosen on is no window
    train, validation = train[:-VALIDATION], train[-VALIDATION:]
  else:
    validation = dataset.validation.whole()['images'][-VALIDATION:]
  if num > len(train):
    raise InputError(
      f'--num: {num:,} is more than the {len(train):,} images of '
      f'{dataset.info.name} that are left to be drawn from'
    )
  fakes = trained.sampler().sample(num, seed=seed)
  sets, rows = sets_of(fakes, train, seed), []
  for name, images in sets.items():
    found = parzen_score(images, validation, test)
    value = f'{found.mean:.1f} +- {found.standard_error:.1f}'
    edge = ', an end of the grid' * found.at_edge
    rows.append([name, value, f'{found.sigma:.4g}{edge}'])
    print(f'  {name}: {value} nats', flush=True)
  common.save_figure(out / 'parzen_window.png', draw(sets))
  step = int(trained.state.step)
  how = f'{len(fakes):,} of each; fakes of step {step:,}.\n\n'
  table = common.markdown(['what', 'Parzen, nats', 'sigma'], rows)
  title = 'The Parzen score of 2014'
  common.save_tables(out / 'parzen_window.md', title, scores=how + table)


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'folder of a finished run'),
    num=(10_000, 'images of each set'),
    seed=(0, 'of all that is drawn'),
  )

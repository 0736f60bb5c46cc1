"""Whether a generator's images help a classifier that has few real ones.

  python experiments/augmentation.py --data=pneumoniamnist.npz

For so many real images of each class, and for every seed: a GAN learns from
these alone; then classifiers begin with the same weights, make the same number
of updates, see images shifted alike, as many of either class, and differ in
what a batch is of:

- real: the real images (the control);
- null: the same, in another order: what chance does between two classifiers;
- real + fakes: half of a batch is drawn by the generator;
- fakes: all of it is (GAN-train); a good generator comes close to `real`.

GAN-test is the accuracy of the control on the generator's images. Test images
are seen by nobody. Tables have means over seeds of the paired difference to the
control, with 95 % intervals (t, n - 1 degrees of freedom).

The file holds train_images `[N, h, w]` uint8, train_labels, test_images and
test_labels, as MedMNIST's do. Finished cells are kept in --out, and a second
command goes on with them.

References:
  Shmelkov et al., How good is my GAN?, arXiv 1807.09499 (GAN-train, GAN-test).
  Yang et al., MedMNIST v2, arXiv 2110.14795.
"""

import functools
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from matplotlib.figure import Figure
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from configs import dcgan_xray, upconv_xray
from experiments import common
from gan_jax.config import plan
from gan_jax.data import DatasetInfo
from gan_jax.features.classifier_training import Classifier, shifted
from gan_jax.pixels import from_uint8
from gan_jax.reporting.pictures import save_image, sheet
from gan_jax.sampling.weights import generator_variables
from gan_jax.storage.cache import load_arrays
from gan_jax.types import Batch, InputError

GENERATORS = {'upconv': upconv_xray, 'dcgan': dcgan_xray}
SIZES = (25, 50, 100, 0)  # real images of each class; 0: all there are
FAKES = 1_000  # of each class
BATCH, UPDATES, RATE = 32, 300, 1e-3  # of classifiers
WIDTH, SHIFT = 16, 2  # of classifiers: first layer; pixels, each way
TOGETHER = 25  # steps in one call of a compiled program
REAL, NULL = 'real', 'null'
CELLS = 'cells.jsonl'


class Xrays(NamedTuple):
  """Images uint8 `[N, h, w, 1]` and labels 0 or 1."""

  images: np.ndarray
  labels: np.ndarray

  def chosen(self, num: int, rng: np.random.Generator) -> 'Xrays':
    """So many of each class at random; all for 0."""
    if not num:
      return self
    rows = [
      rng.permutation(np.flatnonzero(self.labels == label))[:num]
      for label in (0, 1)
    ]
    rows = np.concatenate(rows)
    return Xrays(self.images[rows], self.labels[rows])

  def draws(self, shape: Sequence[int], rng: np.random.Generator) -> 'Xrays':
    """At random, either class as often: leaves `[*shape, ...]`."""
    count = int(np.prod(shape))
    labels = rng.permutation(np.arange(count) % 2)
    rows = np.empty(count, int)
    for label in (0, 1):
      own = np.flatnonzero(self.labels == label)
      rows[labels == label] = rng.choice(own, (labels == label).sum())
    images = self.images[rows].reshape(*shape, *self.images.shape[1:])
    return Xrays(images, labels.reshape(shape).astype(np.int32))


def read(path: str) -> tuple[Xrays, Xrays]:
  """Training and test images of a file.

  Raises:
    InputError: there is none, or it holds something else.
  """
  file = pathlib.Path(path).expanduser()
  arrays = load_arrays(file) if path and file.is_file() else None
  try:
    parts = [
      Xrays(
        arrays[f'{split}_images'][..., None],
        arrays[f'{split}_labels'].ravel().astype(np.int32),
      )
      for split in ('train', 'test')
    ]
  except (TypeError, KeyError) as error:
    raise InputError(
      f'--data: {path or "nothing"} is no file with train_images, '
      'train_labels, test_images and test_labels, such as pneumoniamnist.npz '
      'of MedMNIST'
    ) from error
  for part in parts:
    if set(np.unique(part.labels)) != {0, 1} or part.images.ndim != 4:
      raise InputError(
        f'--data: {path} has no grey images of the two classes 0 and 1'
      )
  return tuple(parts)


# --- The generators -----------------------------------------------------------


class Trainer:
  """Trains one generator again and again; its program is compiled once."""

  def __init__(self, name: str, side: int, steps: int):
    """Builds it for images of `side` pixels, with a margin to 32."""
    config = GENERATORS[name].get_config()
    self.steps = steps if steps > 1 else config.num_steps
    config.num_steps, self.margin = self.steps, (32 - side) // 2
    asked = plan.read(config)
    size = side + 2 * self.margin
    info = DatasetInfo('xray', (size, size, 1), ('normal', 'pneumonia'), 1, 1)
    self.model = asked.build(info)
    self._gan = None

    def step(state, inputs):
      batch, key = inputs
      return self.model.train_step(state, batch, key)

    def dispatch(state, images, labels, keys):
      num = images.shape[:3]
      positions = jnp.broadcast_to(jnp.arange(num[2], dtype=jnp.int32), num)
      batches = Batch(from_uint8(images), {'labels': labels}, positions)
      state, metrics = jax.lax.scan(step, state, (batches, keys))
      return state, jax.tree.map(lambda x: x[-1], metrics)

    self._dispatch = jax.jit(dispatch)
    self._init = jax.jit(self.model.init)

  def fakes(self, real: Xrays, seed: int) -> Xrays:
    """What it draws after training on these images: as many of either class."""
    rng, root = np.random.default_rng(seed), jax.random.key(seed)
    state = self._init(root)
    edge = [(0, 0), *[(self.margin, self.margin)] * 2, (0, 0)]
    padded = real._replace(images=np.pad(real.images, edge, mode='edge'))
    for start in range(0, self.steps, TOGETHER):
      drawn = padded.draws((TOGETHER, 1, BATCH), rng)
      numbers = jnp.arange(start, start + TOGETHER)
      keys = jax.vmap(functools.partial(jax.random.fold_in, root))(numbers)
      state, metrics = self._dispatch(state, *drawn, keys)
    if not all(np.isfinite(float(x)) for x in metrics.values()):
      raise InputError(f'the training of seed {seed} is not finite')
    if self._gan is None:
      self._gan = self.model.sampler(state, ema=True)
    gan = self._gan.with_variables(generator_variables(state, True))
    images = gan.sample(2 * FAKES, seed=seed)
    inner = slice(self.margin, images.shape[1] - self.margin)
    return Xrays(images[:, inner, inner], gan.labels(2 * FAKES))


# --- The classifiers ----------------------------------------------------------

MODULE = Classifier(2, WIDTH, 64, 0.3)
OPTIMIZER = optax.adam(optax.cosine_onecycle_schedule(UPDATES, RATE, 0.2))


@jax.jit
def fit(images: jax.Array, labels: jax.Array, key: jax.Array) -> Any:
  """Variables of a classifier after a scan over batches `[S, B, ...]`."""
  init_key, root = jax.random.split(key)
  variables = MODULE.init(init_key, from_uint8(images[0]))

  def step(carry, inputs):
    variables, state, number = carry
    x, y = inputs
    keys = jax.random.split(jax.random.fold_in(root, number))
    x = shifted(keys[0], from_uint8(x), SHIFT)

    def loss(variables):
      rngs = {'dropout': keys[1]}
      _, logits = MODULE.apply(variables, x, train=True, rngs=rngs)
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
      return losses.mean()

    updates, state = OPTIMIZER.update(jax.grad(loss)(variables), state)
    return (optax.apply_updates(variables, updates), state, number + 1), None

  carry = variables, OPTIMIZER.init(variables), 0
  return jax.lax.scan(step, carry, (images, labels))[0][0]


@jax.jit
def positive(variables: Any, images: jax.Array) -> jax.Array:
  """The logit of class 1 beside that of class 0, `[N]`."""
  _, logits = MODULE.apply(variables, from_uint8(images))
  return logits[:, 1] - logits[:, 0]


def scores_of(variables: Any, data: Xrays) -> dict[str, float]:
  """AUC and balanced accuracy."""
  found = np.asarray(positive(variables, data.images), np.float64)
  return {
    'auc': float(roc_auc_score(data.labels, found)),
    'accuracy': float(balanced_accuracy_score(data.labels, found > 0)),
  }


def mixed(real: Xrays, fakes: Xrays, share: float, rng) -> Xrays:
  """Batches `[S, B, ...]`, a share of each of which is fakes."""
  num = round(share * BATCH)
  parts = [
    data.draws((UPDATES, count), rng)
    for data, count in ((real, BATCH - num), (fakes, num))
    if count
  ]
  return Xrays(*(np.concatenate(x, axis=1) for x in zip(*parts, strict=True)))


# --- Cells --------------------------------------------------------------------


def cell(
  size: int, seed: int, train: Xrays, test: Xrays, trainers: dict[str, Trainer]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
  """Rows of one size and seed, and a few images of each generator."""
  rng = np.random.default_rng([seed, size])
  real = train.chosen(size, rng)
  key = jax.random.key(seed)
  rows, shown = [], {}

  def add(arm, variables, data=test):
    rows.append(
      dict(size=size, seed=seed, arm=arm, **scores_of(variables, data))
    )

  def arm(fakes, share, order):
    own = np.random.default_rng([seed, size, order])
    return fit(*mixed(real, fakes, share, own), key)

  control = arm(real, 0.0, 0)
  add(REAL, control)
  add(NULL, arm(real, 0.5, 1))
  for name, trainer in trainers.items():
    fakes = trainer.fakes(real, seed)
    add(f'real + {name}', arm(fakes, 0.5, 1))
    add(name, arm(fakes, 1.0, 1))
    add(f'{name}, GAN-test', control, fakes)
    shown[name] = fakes.images[:16]
  return rows, shown


def half_interval(values: np.ndarray) -> float:
  """Half of the 95 % interval of a mean; 0 of one value."""
  num = len(values)
  if num < 2:
    return 0.0
  return float(
    scipy.stats.t.ppf(0.975, num - 1) * values.std(ddof=1) / num**0.5
  )


def interval(values: np.ndarray) -> str:
  """Mean and half of its 95 % interval."""
  half = half_interval(values)
  return f'{values.mean():+.3f}' + (f' +- {half:.3f}' if half else '')


def by_seed(rows: list[dict[str, Any]], size: int, arm: str, score: str):
  """A score of one arm at one size, in the order of the seeds."""
  own = [r for r in rows if r['size'] == size and r['arm'] == arm]
  return np.array([r[score] for r in sorted(own, key=lambda r: r['seed'])])


def differences(rows: list[dict[str, Any]], arm: str, score: str):
  """Of an arm to the control, seed by seed, at each size."""
  return [
    by_seed(rows, n, arm, score) - by_seed(rows, n, REAL, score)
    for n in sizes_of(rows)
  ]


def sizes_of(rows: list[dict[str, Any]]) -> list[int]:
  """From the smallest to all there are."""
  return sorted({r['size'] for r in rows}, key=lambda size: size or 10**9)


def treated(rows: list[dict[str, Any]]) -> list[str]:
  """The arms that are compared with the control."""
  arms = dict.fromkeys(r['arm'] for r in rows)
  return [arm for arm in arms if arm != REAL and 'GAN-test' not in arm]


def tables(rows: list[dict[str, Any]]) -> dict[str, str]:
  """Markdown of both scores, and of GAN-test."""
  sizes = sizes_of(rows)
  heads = ['', *(f'{n} of each class' if n else 'all' for n in sizes)]
  made = {}

  def means(arm, score):
    return [f'{by_seed(rows, n, arm, score).mean():.3f}' for n in sizes]

  for score, title in (('auc', 'AUC'), ('accuracy', 'balanced accuracy')):
    lines = [['real', *means(REAL, score)]]
    for arm in treated(rows):
      found = differences(rows, arm, score)
      lines.append([f'{arm} - real', *map(interval, found)])
    made[title] = common.markdown(heads, lines)
  tested = [a for a in dict.fromkeys(r['arm'] for r in rows) if 'GAN-test' in a]
  lines = [[arm, *means(arm, 'accuracy')] for arm in tested]
  made['GAN test, balanced accuracy'] = common.markdown(heads, lines)
  return made


def figure(rows: list[dict[str, Any]], seeds: int) -> Figure:
  """Paired differences in AUC, with their intervals, by size."""
  sizes, arms = sizes_of(rows), treated(rows)
  made = Figure(figsize=(7.5, 3.8), layout='constrained')
  axis = made.subplots()
  for number, arm in enumerate(arms):
    found = differences(rows, arm, 'auc')
    places = np.arange(len(sizes)) + 0.12 * (number - len(arms) / 2)
    axis.errorbar(
      places,
      [values.mean() for values in found],
      [half_interval(values) for values in found],
      fmt='o',
      capsize=3,
      label=arm,
    )
  axis.axhline(0.0, color='black', linewidth=0.8)
  axis.set_xticks(range(len(sizes)), [str(n) if n else 'all' for n in sizes])
  axis.set_xlabel('real images of each class')
  axis.set_ylabel('AUC minus that of real images alone')
  axis.set_title(f'means of {seeds} paired seeds, 95 % intervals')
  made.legend(loc='outside right upper', fontsize=8)
  return made


def experiment(out: pathlib.Path, data: str, seeds: int, steps: int) -> None:
  """Fills the cells that are missing, seed by seed, and writes the tables.

  Args:
    out: folder.
    data: path of the images.
    seeds: of each size.
    steps: of the GANs; 1 for as many as their configs have.

  Raises:
    InputError: images that cannot be read.
  """
  train, test = read(data)
  path = out / CELLS
  lines = path.read_text().splitlines() if path.is_file() else []
  rows = [json.loads(line) for line in lines]
  done = {(r['size'], r['seed']) for r in rows}
  wanted = [(n, s) for s in range(seeds) for n in SIZES]
  trainers: dict[str, Trainer] = {}
  for size, seed in wanted:
    if (size, seed) in done:
      continue
    if not trainers:
      trainers = {
        name: Trainer(name, train.images.shape[1], steps) for name in GENERATORS
      }
    found, shown = cell(size, seed, train, test, trainers)
    rows += found
    with path.open('a') as file:
      file.writelines(json.dumps(row) + '\n' for row in found)
    auc = ', '.join(f'{r["arm"]} {r["auc"]:.3f}' for r in found)
    print(f'{size or "all"} of each class, seed {seed}: AUC {auc}', flush=True)
    if seed == 0:
      for name, images in shown.items():
        save_image(
          out / f'{name}_{size or "all"}.png', sheet({name: images}, 16)
        )
  rows = [r for r in rows if r['seed'] < seeds]
  how = (
    f'{seeds} paired seeds; {UPDATES} updates of {BATCH} images; test images '
    f'{len(test.labels)}'
  )
  common.save_tables(
    out / 'augmentation.md',
    f'Augmentation: {how}',
    **{name.replace(' ', '_'): text for name, text in tables(rows).items()},
  )
  common.save_figure(out / 'augmentation.png', figure(rows, seeds))


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    data=('', 'file of images and labels, such as pneumoniamnist.npz'),
    seeds=(10, 'of each size'),
    steps=(1, 'of the GANs; 1: as many as their configs have'),
  )

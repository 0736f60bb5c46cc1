"""What a class head does to classes that overlap, and a projection does not.

  python experiments/conditioning.py

Two equally likely classes, N(-1, 1) and N(1, 1). G is told the class. D either
projects it, or guesses it (ACGAN). Panels: what G draws for each class, all
seeds together, against the densities it should have.

ACGAN pays G for points that are surely of their class. If all points together
are as they should be, the cross-entropy is least where the classes do not
overlap: everything below 0 is one class, all above is the other. That limit is
dashed. Its classes have means at +-1.167 and a deviation of .799, in place of
+-1 and 1; no point is on the wrong side of 0, in place of 15.9 %. With a large
weight G leaves out what is near 0 altogether.

Reference:
  Gong et al., Twin Auxiliary Classifiers GAN, arXiv 1907.02690, section 4.1 and
  figure 3 (three Gaussians there).
"""

import functools
import pathlib
import sys
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import common
from gan_jax import solvers
from gan_jax.games import Game
from gan_jax.games.image import image_gan
from gan_jax.losses import make_loss
from gan_jax.networks.layers import Style
from gan_jax.networks.mlp import points_mlp
from gan_jax.penalties import PENALTIES
from gan_jax.sampling.priors import draw_latents
from gan_jax.sampling.weights import generator_variables
from gan_jax.tricks.guesses import class_terms
from gan_jax.tricks.terms import gradient_penalty
from gan_jax.types import Batch, Column, Players, Task

MEANS = (-1.0, 1.0)  # of the classes; their deviation is 1
BATCH, LATENTS, WIDTHS = 256, 4, (64, 64)
LEARNING_RATE, BETAS = 1e-3, (0.5, 0.99)  # of both players' Adam
R1_GAMMA = 0.1
EMA_DECAY = 0.999
DRAWN = 20_000  # points of each run
# Closed forms: folded normal of mean 1 and deviation 1.
LIMIT_MEAN, LIMIT_STD, OVERLAP = 1.16663, 0.79933, 0.158655


class Method(NamedTuple):
  """How D takes the classes.

  Attributes:
    labels_by: one of gan_jax.networks.heads.WAYS.
    weight: on ACGAN's cross-entropies.
    classify_fakes: whether D's classifier learns from fakes too.
  """

  labels_by: str
  weight: float = 0.0
  classify_fakes: bool = True


METHODS = {
  'projection': Method('projection'),
  'ACGAN': Method('classifier', 1.0),
  'ACGAN, weight 0.1': Method('classifier', 0.1),
  'ACGAN, classes of real alone': Method('classifier', 1.0, False),
}


class Drawn(NamedTuple):
  """What G draws for each class, and its figures.

  Attributes:
    points: `[seeds, 2, N]`, by class.
    means: `[seeds]`, half the distance of the classes' means; 1 in the data.
    stds: `[seeds]`, the mean of both deviations; 1 in the data.
    wrong: `[seeds]`, the share of points on the other class's side of 0.
  """

  points: np.ndarray
  means: np.ndarray
  stds: np.ndarray
  wrong: np.ndarray


def measured(points: np.ndarray) -> Drawn:
  """Figures of points `[seeds, 2, N]`."""
  of_class = points.mean(axis=-1)
  wrong = (points * np.sign(MEANS)[:, None] < 0).mean(axis=(1, 2))
  half = 0.5 * (of_class[:, 1] - of_class[:, 0])
  return Drawn(points, half, points.std(axis=-1).mean(axis=-1), wrong)


def draw_batch(key: jax.Array, num: int = BATCH) -> Batch:
  """Points `[num, 1]` of both classes, and which they are of."""
  label_key, noise_key = jax.random.split(key)
  labels = jax.random.bernoulli(label_key, shape=(num,)).astype(jnp.int32)
  noise = jax.random.normal(noise_key, (num,))
  points = (jnp.asarray(MEANS)[labels] + noise)[:, None]
  return Batch(points, {'labels': labels}, jnp.arange(num, dtype=jnp.int32))


def game_of(method: Method) -> tuple[Game, Task]:
  """The GAN on points with classes."""
  style = Style(num_classes=2, embed_dim=4)
  disc = Style(num_classes=2, labels_by=method.labels_by)
  networks = points_mlp(
    1, Players(style, disc), gen_widths=WIDTHS, disc_widths=WIDTHS
  )
  draw = functools.partial(draw_latents, prior='normal', latent_dim=LATENTS)
  task = Task((1,), {'labels': Column((), 'int32', 2)}, draw)
  terms = Players(gen=(), disc=())
  if method.weight:
    terms = class_terms(method.weight, classify_fakes=method.classify_fakes)
  penalty = gradient_penalty(PENALTIES['r1'], R1_GAMMA)
  terms = terms._replace(disc=(*terms.disc, *penalty))
  loss = make_loss('non_saturating')
  return image_gan(networks, loss, task=task, terms=terms), task


def train(method: Method, steps: int, seeds: int, seed: int) -> Drawn:
  """Trains so many runs at once, and draws from G's moving average."""
  game, task = game_of(method)
  adam = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps), *BETAS)
  optimizers = Players(adam, adam)
  step = solvers.make_train_step(game, optimizers, ema_decay=EMA_DECAY)

  def one_step(carry, _):
    state, key = carry
    key, data_key, step_key = jax.random.split(key, 3)
    batches = jax.tree.map(lambda x: x[None], draw_batch(data_key))
    state, _ = step(state, batches, step_key)
    return (state, key), None

  @jax.jit
  @jax.vmap
  def run(key):
    init_key, key, latents_key = jax.random.split(key, 3)
    state = solvers.init_state(game, optimizers, init_key, ema=True)
    (state, _), _ = jax.lax.scan(one_step, (state, key), length=steps)
    variables = generator_variables(state, ema=True)
    latents = task.draw(jax.random.split(latents_key, DRAWN // 2))
    return jnp.stack(
      [
        game.generate(
          variables, latents, {'labels': jnp.full(len(latents), label)}
        )[0][:, 0]
        for label in range(2)
      ]
    )

  return measured(
    np.asarray(run(jax.random.split(jax.random.key(seed), seeds)))
  )


def density(x: np.ndarray, mean: float) -> np.ndarray:
  """Of N(mean, 1)."""
  return np.exp(-0.5 * (x - mean) ** 2) / np.sqrt(2 * np.pi)


def limit_density(x: np.ndarray, sign: float) -> np.ndarray:
  """Of the class on one side of 0 where the classes do not overlap."""
  both = density(x, MEANS[0]) + density(x, MEANS[1])
  return np.where(sign * x > 0, both, 0.0)


def panel(axis: Axes, name: str, drawn: Drawn) -> None:
  """Both classes of a method, against what they are and ACGAN's limit."""
  x = np.linspace(-4.5, 4.5, 601)
  bins = np.linspace(-4.5, 4.5, 61)
  for label, colour in enumerate((common.DISC, common.FAKE)):
    axis.hist(
      drawn.points[:, label].ravel(),
      bins,
      density=True,
      color=colour,
      alpha=0.45,
      label=f'G, class {label}',
    )
    axis.plot(
      x, density(x, MEANS[label]), color=colour, label=f'data, class {label}'
    )
  limit = np.fmax(limit_density(x, -1.0), limit_density(x, 1.0))
  axis.plot(x, limit, '--', color=common.OPTIMUM, lw=1, label='no overlap')
  axis.set_title(name, fontsize=10)
  axis.set_xlabel('x')
  axis.set_yticks([])


def experiment(
  out: pathlib.Path, *, steps: int, seeds: int, seed: int
) -> dict[str, Drawn]:
  """Writes conditioning.png and conditioning.md; returns what was drawn."""
  rows, results = [], {}
  figure = Figure(figsize=(13, 3.6), layout='constrained')
  axes = figure.subplots(1, len(METHODS), sharex=True, sharey=True)
  for axis, (name, method) in zip(axes, METHODS.items(), strict=True):
    drawn = train(method, steps, seeds, seed)
    results[name] = drawn
    panel(axis, name, drawn)
    figures = drawn.means, drawn.stds, drawn.wrong
    rows.append([name, *(common.with_error(values) for values in figures)])
  axes[0].legend(fontsize=7, loc='upper left')
  rows += [
    ['data', 1.0, 1.0, OVERLAP],
    ['no overlap', LIMIT_MEAN, LIMIT_STD, 0.0],
  ]
  columns = 'method', 'mean of a class', 'its deviation', 'share beyond 0'
  common.save_figure(out / 'conditioning.png', figure)
  common.save_tables(
    out / 'conditioning.md',
    'Two overlapping classes',
    classes=common.markdown(columns, rows),
  )
  return results


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    steps=(3_000, 'training steps of each run'),
    seeds=(3, 'runs of each method'),
    seed=(0, 'of the first run'),
  )

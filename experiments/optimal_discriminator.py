"""Goodfellow's Figure 1 from a real 1-D GAN: D follows D*, and G follows D.

  python experiments/optimal_discriminator.py

An MLP GAN learns a mixture of two Gaussians from normal latents. Panels:
(a) early in training; (b) the same G with D trained on to its optimum;
(c) G a little later, gone where D is high; (d) the end, D = 1/2. Below each,
latents z and where G takes them; at the bottom JSD and C(G) as training goes,
from the exact density of the data and a histogram of 100,000 latents at
even quantiles.

Reference:
  Goodfellow et al., Generative Adversarial Networks, arXiv 1406.2661,
  Figure 1, Proposition 1, Theorem 1.
"""

import functools
import pathlib
import sys
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import common
from gan_jax import solvers
from gan_jax.games import Game
from gan_jax.games import mixture as mixtures
from gan_jax.losses import make_loss
from gan_jax.theory import divergences
from gan_jax.theory import value as theory
from gan_jax.types import Players

DATA = mixtures.mixture([[-1.0], [1.2]], [0.4, 0.6], [0.35, 0.65])
EDGES = np.linspace(-4.0, 4.0, 161)  # of the histogram's cells
CENTRES, WIDTH = 0.5 * (EDGES[1:] + EDGES[:-1]), EDGES[1] - EDGES[0]
QUANTILES = (np.arange(100_000) + 0.5) / 100_000
LATENTS = jax.scipy.stats.norm.ppf(QUANTILES)[:, None]  # even in probability
SHOWN = LATENTS[2_500::5_000]  # of which arrows are drawn, `[20, 1]`
LEARNING_RATE = 3e-4  # of Adam, both players
BATCH, DISC_STEPS = 256, 3
RECORDS = 100
EARLY, LATER = 4, 8  # records that panels (a), (b) and (c) show
FURTHER = 1_000  # steps of D against the G of panel (a)


class Snapshot(NamedTuple):
  """One moment of training.

  Attributes:
    density: of the generator over the cells, `[N]`, summing to 1 / WIDTH.
    disc: D(x) at the centres, `[N]`.
    targets: G(z) of the latents `SHOWN`.
  """

  density: Any
  disc: Any
  targets: Any


def take_snapshot(networks: Players[nn.Module], params: Players) -> Snapshot:
  """What both players do now; points beyond the grid go to its end cells."""

  def generate(latents):
    variables = {'params': params.gen}
    return networks.gen.apply(variables, latents, train=False)[:, 0]

  inside = jnp.clip(generate(LATENTS), EDGES[0], EDGES[-1] - 1e-4)
  counts, _ = jnp.histogram(inside, jnp.asarray(EDGES))
  logits, _ = networks.disc.apply(
    {'params': params.disc}, jnp.asarray(CENTRES)[:, None], train=False
  )
  return Snapshot(
    density=counts / (len(LATENTS) * WIDTH),
    disc=jax.nn.sigmoid(logits),
    targets=generate(SHOWN),
  )


def train(
  game: Game, networks: Players[nn.Module], steps: int, seed: int
) -> tuple[Snapshot, Snapshot]:
  """Snapshots along training `[RECORDS + 1, ...]`, and one with D trained on.

  The second is of record `EARLY`, after `FURTHER` steps in which D alone moves.
  """
  key = jax.random.key(seed)
  draw = functools.partial(
    mixtures.draw_batches, data=DATA, batch_size=BATCH, disc_steps=DISC_STEPS
  )
  adam = optax.adam(LEARNING_RATE, b1=0.5)

  def run(gen_optimizer, params, num_steps, every):
    optimizers = Players(gen=gen_optimizer, disc=adam)
    step = solvers.make_train_step(game, optimizers, disc_steps=DISC_STEPS)
    state = solvers.init_state(game, optimizers, key)
    if params is not None:
      state = state._replace(params=params)
    records = solvers.play(
      step,
      state,
      key,
      num_steps,
      draw_batches=draw,
      record=lambda state, metrics: (
        take_snapshot(networks, state.params),
        state.params,
      ),
      record_every=every,
    )[1]
    return take_snapshot(networks, state.params), records

  @jax.jit
  def both():
    first, (path, params) = run(adam, None, steps, steps // RECORDS)
    whole = jax.tree.map(
      lambda x, rest: jnp.concatenate([x[None], rest]), first, path
    )
    # Records start after the first interval.
    return whole, jax.tree.map(lambda x: x[EARLY - 1], params)

  @jax.jit
  def disc_alone(params):
    _, (path, _) = run(optax.set_to_zero(), params, FURTHER, FURTHER)
    return jax.tree.map(lambda x: x[0], path)

  path, early = both()
  return jax.device_get((path, disc_alone(early)))


def panel(axis: Axes, moment: Snapshot, title: str) -> None:
  """Densities, D and D*; below the axis, latents and where they go."""
  data = np.exp(DATA.log_density(CENTRES[:, None]))
  optimum = theory.optimal_discriminator(data, moment.density)
  seen = np.maximum(data, moment.density) > 1e-3  # elsewhere D* means nothing
  axis.plot(CENTRES, data, ':', color=common.DATA, lw=2, label='data density')
  axis.plot(CENTRES, moment.density, color=common.FAKE, label='density of G')
  axis.plot(CENTRES, moment.disc, color=common.DISC, label='D')
  axis.plot(
    CENTRES[seen],
    np.asarray(optimum)[seen],
    '--',
    color=common.OPTIMUM,
    lw=1,
    label='D* = p / (p + q)',
  )
  axis.axhline(0.5, color='0.85', lw=0.8, zorder=0)
  latents = 1.5 * np.asarray(SHOWN)[:, 0]  # z, to the panel's width
  for start, end in zip(latents, moment.targets, strict=True):
    axis.annotate(
      '',
      (np.clip(end, -3.4, 3.4), -0.12),
      (start, -0.5),
      arrowprops=dict(arrowstyle='->', color='0.5', lw=0.7),
    )
  axis.axhline(-0.1, color='black', lw=0.8)
  axis.axhline(-0.5, color='black', lw=0.8)
  axis.text(-3.45, -0.2, 'x', va='center')
  axis.text(-3.45, -0.44, 'z', va='center')
  axis.set(title=title, xlim=(-3.5, 3.5), ylim=(-0.55, 1.15), xticks=[])
  axis.set_yticks([0, 0.5, 1])


def distances(path: Snapshot) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """(JSD, C(G), V(D, G)) of each snapshot, in nats, `[T]` each."""
  data = jnp.exp(DATA.log_density(CENTRES[:, None]))
  data = data / (jnp.sum(data) * WIDTH)  # a little lies beyond the grid
  density = jnp.asarray(path.density)
  both = (jnp.broadcast_to(data, density.shape), density, float(WIDTH))
  return (
    np.asarray(divergences.jsd(*both)),
    np.asarray(theory.training_criterion(*both)),
    np.asarray(theory.value(jnp.asarray(path.disc), *both)),
  )


def at(path: Snapshot, index: int) -> Snapshot:
  """One snapshot of a path."""
  return Snapshot(*(x[index] for x in path))


def draw_curves(left: Axes, right: Axes, path: Snapshot, every: int) -> None:
  """JSD on the left; C(G) and the V that D reaches on the right."""
  steps = np.arange(RECORDS + 1) * every
  jsd, criterion, reached = distances(path)
  left.semilogy(steps, jsd, color=common.FAKE, label='JSD(p, q)')
  right.plot(steps, criterion, '--', color='black', label='C(G) = max V')
  right.plot(steps, reached, color=common.DISC, label='V(D, G)')
  right.axhline(-np.log(4), color='0.5', lw=0.8, label='-log 4')
  right.set_ylim(-1.42, -1.15)  # C(G) starts far above
  for axis in (left, right):
    axis.set(xlabel='step (generator updates)', ylabel='nats')
    axis.set_xlim(0, steps[-1])
    axis.grid(alpha=0.3)
    axis.legend(loc='upper right')


def draw(path: Snapshot, optimal: Snapshot, every: int) -> Figure:
  """The four panels and the curves."""
  figure = Figure(figsize=(15, 7.5), layout='constrained')
  rows = figure.add_gridspec(2, 4, height_ratios=(3, 2))
  moments = {
    f'(a) step {EARLY * every}': at(path, EARLY),
    f'(b) same G, D alone {FURTHER} steps on': optimal,
    f'(c) step {LATER * every}': at(path, LATER),
    f'(d) step {RECORDS * every}': at(path, RECORDS),
  }
  for column, (title, moment) in enumerate(moments.items()):
    axis = figure.add_subplot(rows[0, column])
    panel(axis, moment, title)
    if not column:
      axis.legend(loc='upper left', fontsize=8)
  left, right = rows[1, :2], rows[1, 2:]
  draw_curves(figure.add_subplot(left), figure.add_subplot(right), path, every)
  return figure


def draw_frame(path: Snapshot, index: int, every: int) -> Figure:
  """One picture of the animation."""
  figure = Figure(figsize=(5.5, 4), layout='constrained', dpi=80)
  axis = figure.add_subplot()
  panel(axis, at(path, index), f'step {index * every}')
  axis.legend(loc='upper left', fontsize=7)
  return figure


def gap(moment: Snapshot) -> float:
  """The mean of |D - D*| under half data, half fakes."""
  data = np.exp(DATA.log_density(CENTRES[:, None]))
  optimum = np.asarray(theory.optimal_discriminator(data, moment.density))
  weight = 0.5 * (data + moment.density) * WIDTH
  return float(np.sum(weight * np.abs(moment.disc - optimum)))


def experiment(out: pathlib.Path, *, steps: int, seed: int) -> None:
  """Draws the figure and the animation, and writes the table."""
  every = max(1, steps // RECORDS)
  game, networks = mixtures.mixture_gan(
    DATA, make_loss('non_saturating'), latent_dim=1
  )
  path, optimal = train(game, networks, every * RECORDS, seed)
  common.save_figure(
    out / 'optimal_discriminator.png', draw(path, optimal, every)
  )
  shown = [*range(0, 30), *range(30, RECORDS + 1, 5)]
  common.save_animation(
    out / 'optimal_discriminator.gif',
    [draw_frame(path, index, every) for index in shown],
  )
  jsd, criterion, reached = distances(path)
  rows = [
    [
      f'{index * every}',
      *(float(x[index]) for x in (jsd, criterion, reached)),
      float(2 * jsd[index] - np.log(4)),
      gap(at(path, index)),
    ]
    for index in (0, EARLY, LATER, 20, 50, RECORDS)
  ]
  columns = [
    'step',
    'JSD',
    'C(G)',
    'V(D, G)',
    '2 JSD - log 4',
    'mean abs(D - D*)',
  ]
  common.save_tables(
    out / 'optimal_discriminator.md',
    'D follows D*, and G follows D',
    Along_training=common.markdown(columns, rows),
    D_trained_on_against_the_G_of_panel_a=common.markdown(
      ['panel', 'mean abs(D - D*)'],
      [['(a)', gap(at(path, EARLY))], ['(b)', gap(optimal)]],
    ),
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    steps=(4_000, f'generator updates, rounded down to {RECORDS}s'),
    seed=(0, 'of parameters and data'),
  )

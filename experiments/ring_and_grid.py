"""Mode collapse on the ring and the grid: many remedies, side by side.

  python experiments/ring_and_grid.py --budget=cpu --only=GAN,PacGAN2

The protocol of PacGAN: 8 Gaussians on a ring and 25 on a grid, two MLPs,
100,000 fixed samples, 2,500 generated points; every method on every seed, all
seeds of one in one program, and all methods for equally many steps.
`--budget=full` makes the paper's 400,000; the others make fewer, and say so:
two cores take half a day for all methods with `cpu`.

Where it departs from the paper: batches are drawn with replacement, and in
packed runs all of G's batch has its statistics in common. What the paper does
not have (unrolling, penalties, minibatch discrimination, R3GAN's loss) is put
on the same networks, data and optimizer, but for the two WGANs, which have
those of their papers.

Reference:
  Lin et al., PacGAN: The power of two samples in generative adversarial
  networks, arXiv 1712.04086, section 4.1 and Table 1.
"""

import dataclasses
import functools
import pathlib
import sys
import time
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import common
from gan_jax import solvers
from gan_jax.devices import compiling
from gan_jax.games import mixture as mixtures
from gan_jax.games.image import image_gan
from gan_jax.losses import make_loss
from gan_jax.metrics.mixture_modes import mixture_modes
from gan_jax.networks.layers import Style
from gan_jax.networks.mlp import points_mlp
from gan_jax.penalties import PENALTIES
from gan_jax.rng import unrolled
from gan_jax.sampling.priors import draw_latents
from gan_jax.solvers.optimizers import weight_clipping
from gan_jax.tricks import Tricks
from gan_jax.tricks.regularisers import FeatureMatching
from gan_jax.tricks.terms import gradient_penalty
from gan_jax.types import Batch, Players, Task, lookup

DATA = {'ring': mixtures.ring(), 'grid': mixtures.grid()}
PAPER_STEPS = 400_000  # 400 epochs of 1,000 batches
NUM_DATA, NUM_POINTS = 100_000, 2_500
BATCH = 100  # packs
FRAMES = 25  # of the animation
BUDGETS = {'smoke': FRAMES, 'cpu': 10_000, 'full': PAPER_STEPS}  # steps
SHOWN = 500  # points of a frame


def adam() -> optax.GradientTransformation:
  """The paper's optimizer, of both players."""
  return optax.adam(1e-4, b1=0.8)


class Method(NamedTuple):
  """What sets a row of the table apart.

  Attributes:
    loss: by name.
    solver: by name.
    unroll_steps: of the solver `unrolled`.
    disc_steps: D's updates per step.
    penalty: by name, with its weight.
    disc_style: changes of D's style.
    tricks: of the game.
    optimizers: of both players.
  """

  loss: str = 'non_saturating'
  solver: str = 'simultaneous'
  unroll_steps: int = 1
  disc_steps: int = 1
  penalty: tuple[str, float] = ('none', 0.0)
  disc_style: dict[str, Any] = {}  # noqa: RUF012 (never written to)
  tricks: Tricks = Tricks()
  optimizers: Players = Players(adam(), adam())


_WGAN = Players(
  optax.rmsprop(5e-5, decay=0.99),
  optax.chain(optax.rmsprop(5e-5, decay=0.99), weight_clipping(0.01)),
)
_WGAN_GP = Players(*[optax.adam(1e-4, b1=0.0, b2=0.9)] * 2)
METHODS: dict[str, Method] = {
  'GAN': Method(),
  'PacGAN2': Method(tricks=Tricks(packing=2)),
  'PacGAN3': Method(tricks=Tricks(packing=3)),
  'PacGAN4': Method(tricks=Tricks(packing=4)),
  'unrolled 1': Method(solver='unrolled', unroll_steps=1),
  'unrolled 5': Method(solver='unrolled', unroll_steps=5),
  'unrolled 10': Method(solver='unrolled', unroll_steps=10),
  'minibatch discrimination': Method(
    disc_style=dict(
      minibatch='discrimination', minibatch_kernels=20, minibatch_dim=5
    ),
  ),
  'feature matching': Method(
    tricks=Tricks(feature_matching=FeatureMatching(1.0, 2, True))
  ),
  'spectral norm': Method(disc_style=dict(weights='spectral')),
  'WGAN': Method('wasserstein', 'alternating', disc_steps=5, optimizers=_WGAN),
  'WGAN-GP': Method(
    'wasserstein',
    'alternating',
    disc_steps=5,
    penalty=('wgan_gp', 10.0),
    optimizers=_WGAN_GP,
  ),
  'R3GAN loss': Method(
    tricks=Tricks(relativistic='paired'), penalty=('r1_r2', 0.1)
  ),
}
# Table 1 of the paper: modes, % high quality, reverse KL; its +- are standard
# errors over 10 trials.
PAPER = {
  ('ring', 'GAN'): ('6.3 +- .5', '98.2 +- .2', '.45 +- .09'),
  ('ring', 'PacGAN2'): ('7.9 +- .1', '95.6 +- 2.0', '.07 +- .03'),
  ('ring', 'PacGAN3'): ('7.8 +- .1', '97.7 +- .3', '.10 +- .02'),
  ('ring', 'PacGAN4'): ('7.8 +- .1', '95.9 +- 1.4', '.07 +- .02'),
  ('grid', 'GAN'): ('17.3 +- .8', '94.8 +- .7', '.70 +- .07'),
  ('grid', 'PacGAN2'): ('23.8 +- .7', '91.3 +- .8', '.13 +- .04'),
  ('grid', 'PacGAN3'): ('24.6 +- .4', '94.2 +- .4', '.06 +- .02'),
  ('grid', 'PacGAN4'): ('24.8 +- .2', '93.6 +- .6', '.04 +- .01'),
}


class Outcome(NamedTuple):
  """Of one method on one mixture.

  Attributes:
    scores: of every seed, `[seeds, 3]`: modes, share of high quality, reverse
      KL.
    frames: points of the first seed as training goes, `[F, SHOWN, 2]`.
    steps: made.
    seconds: they took, compilation included.
  """

  scores: np.ndarray
  frames: np.ndarray
  steps: int
  seconds: float


def draw(key: jax.Array, points: jax.Array, method: Method) -> Batch:
  """Batches of one step from the fixed samples `[N, 2]`, with replacement."""
  size = BATCH * method.tricks.packing
  shape = (method.disc_steps, size)
  chosen = jax.random.randint(key, shape, 0, len(points))
  positions = jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32), shape)
  return Batch(points[chosen], {}, positions)


def build(method: Method):
  """Networks and game of a method, and one training step."""
  init = nn.initializers.normal(0.02)
  disc = dataclasses.replace(Style(dense_init=init), **method.disc_style)
  gen = Style('relu', 'batch', norm_momentum=0.95, dense_init=init)
  networks = points_mlp(
    2,
    Players(gen, disc),
    gen_widths=(400,) * 4,
    disc_widths=(200,) * 3,
    disc_maxout=5,
  )
  penalty, weight = method.penalty
  game = image_gan(
    networks,
    make_loss(method.loss),
    task=Task(
      (2,), {}, functools.partial(draw_latents, prior='normal', latent_dim=2)
    ),
    terms=Players(gen=(), disc=gradient_penalty(PENALTIES[penalty], weight)),
    tricks=method.tricks,
  )
  step = solvers.make_train_step(
    game,
    method.optimizers,
    solver=solvers.make_solver(method.solver, unroll_steps=method.unroll_steps),
    disc_steps=method.disc_steps,
    fresh_latents=method.solver != 'simultaneous',  # else one batch of fakes
  )
  return networks, game, step


def train(name: str, data: str, steps: int, seeds: int, seed: int) -> Outcome:
  """Trains all seeds of a method at once."""
  started = time.monotonic()
  method = METHODS[name]
  networks, game, step = build(method)
  points = DATA[data].sample(jax.random.key(seed), NUM_DATA)
  latents = jax.random.normal(jax.random.key(seed + 1), (NUM_POINTS, 2))

  def sample(state, latents):
    variables = {'params': state.params.gen, **state.model_state.gen}
    return networks.gen.apply(variables, latents, train=False)

  every = max(1, steps // FRAMES)
  steps -= steps % every

  def one(key, points):
    init_key, key = jax.random.split(key)
    state, frames = solvers.play(
      step,
      solvers.init_state(game, method.optimizers, init_key),
      unrolled(key),
      steps,
      draw_batches=lambda key: draw(key, points, method),
      record=lambda state, metrics: sample(state, latents[:SHOWN]),
      record_every=every,
    )
    return sample(state, latents), frames

  keys = jax.random.split(jax.random.key(seed), seeds)
  every_seed = compiling.compile_game(jax.vmap(one, in_axes=(0, None)))
  ends, frames = jax.tree.map(np.asarray, every_seed(keys, points))
  mixture = DATA[data]
  scores = np.array(
    [
      [found.captured, found.high_quality, found.reverse_kl]
      for found in (
        mixture_modes(end, mixture.means, float(mixture.stds[0]))
        for end in ends
      )
    ]
  )
  return Outcome(scores, frames[0], steps, time.monotonic() - started)


def table(data: str, found: dict[str, Outcome]) -> str:
  """The paper's figures beside ours, a row a method."""
  rows = []
  for name, outcome in found.items():
    modes, quality, divergence = outcome.scores.T * [[1], [100], [1]]
    paper = PAPER.get((data, name), ('', '', ''))
    rows.append(
      [
        name,
        f'{outcome.steps:,}',
        paper[0],
        common.with_error(modes),
        paper[1],
        common.with_error(quality),
        paper[2],
        common.with_error(divergence),
        f'{outcome.seconds:.0f}',
      ]
    )
  columns = ['method', f'steps of {PAPER_STEPS:,}', 'modes, paper', 'modes']
  columns += ['% high quality, paper', '% high quality']
  columns += ['reverse KL, paper', 'reverse KL', 'seconds']
  return common.markdown(columns, rows)


def draw_frame(found: dict[str, dict[str, Outcome]], share: float) -> Figure:
  """Points of the first seed of every method, at a share of its training."""
  num = max(len(outcomes) for outcomes in found.values())
  columns = min(num, 7)
  rows = -(-num // columns)
  figure = Figure(
    figsize=(1.7 * columns, 2.1 * rows * len(found)),
    layout='constrained',
    dpi=65,
  )
  grid = figure.subplots(rows * len(found), columns, squeeze=False)
  grid = grid.reshape(len(found), rows * columns)
  for axes, (data, outcomes) in zip(grid, found.items(), strict=True):
    limit = 1.2 * float(np.abs(DATA[data].means).max())
    for axis in axes[len(outcomes) :]:
      axis.set_visible(False)
    for axis in axes[: len(outcomes)]:
      axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal')
      axis.set(xticks=[], yticks=[])
    for axis, (name, outcome) in zip(axes, outcomes.items(), strict=False):
      last = len(outcome.frames) - 1
      points = outcome.frames[round(share * last)]
      means = np.asarray(DATA[data].means)
      axis.scatter(*means.T, s=18, color=common.DATA, alpha=0.4, linewidths=0)
      axis.scatter(*points.T, s=1.5, color=common.FAKE, linewidths=0)
      step = outcome.steps * (round(share * last) + 1) // (last + 1)
      axis.set_title(f'{name}\n{step:,} steps', fontsize=7)
  return figure


def chosen(names: str) -> list[str]:
  """The methods of a comma-separated list; all for none."""
  given = [name.strip() for name in names.split(',') if name.strip()]
  for name in given:
    lookup(METHODS, name, '--only')
  return [name for name in METHODS if not given or name in given]


def experiment(
  out: pathlib.Path, *, budget: str, only: str, seeds: int, seed: int
) -> None:
  """Trains every method on both mixtures; the table grows as they end."""
  names = chosen(only)
  found = {data: {} for data in DATA}
  for data in DATA:
    for name in names:
      outcome = train(name, data, BUDGETS[budget], seeds, seed)
      found[data][name] = outcome
      print(f'{data}, {name}: {outcome.seconds:.0f} s', flush=True)
      common.save_tables(
        out / 'ring_and_grid.md',
        f'Modes of the ring and the grid, {seeds} seeds, budget {budget}',
        quiet=True,
        **{key: table(key, rows) for key, rows in found.items() if rows},
      )
  print((out / 'ring_and_grid.md').read_text())
  common.save_figure(out / 'ring_and_grid.png', draw_frame(found, 1.0))
  shares = [(number + 1) / FRAMES for number in range(FRAMES)]
  common.save_animation(
    out / 'ring_and_grid.gif',
    [draw_frame(found, share) for share in shares],
    milliseconds=200,
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    budget=('cpu', 'how many steps to make', tuple(BUDGETS)),
    only=('', 'methods, with commas between; all if left out'),
    seeds=(5, 'runs of every method'),
    seed=(0, 'of the first run'),
  )

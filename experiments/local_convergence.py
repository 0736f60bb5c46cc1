"""Which losses, penalties and solvers converge, on games with known answers.

  python experiments/local_convergence.py

The Dirac-GAN for every loss, penalty and solver: its vector field with the
paths of the solvers in it, how fast each spirals, and the published radii
beside ours. In every path D moves first, but for the table of published radii.

Reference:
  Mescheder, Geiger and Nowozin, Which Training Methods for GANs do actually
  Converge?, arXiv 1801.04406, sections 2 and 3, Figures 1 to 3.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import common, reference
from gan_jax import solvers
from gan_jax.games import Game, swap_players
from gan_jax.games.dynamics import eigenvalues, vector_field
from gan_jax.games.scalar import bilinear, dirac_gan
from gan_jax.losses import make_loss
from gan_jax.penalties import PENALTIES
from gan_jax.solvers.optimizers import weight_clipping
from gan_jax.types import Players

RATE = 0.2  # h, of both players
STEPS = 500
LOSSES = ('minimax', 'non_saturating', 'least_squares', 'wasserstein', 'hinge')
# Weights as the image game takes them: gamma of r1 and r2, lambda of wgan_gp
# (the paper's .7 is twice that).
WEIGHTS = {'none': 0.0, 'r1': 0.3, 'r2': 0.3, 'wgan_gp': 0.35}
SOLVERS = {
  'simultaneous': 'tab:red',
  'alternating': 'tab:orange',
  'two_time_scale': 'tab:olive',
  'extragradient': 'tab:green',
  'optimistic': 'tab:cyan',
  'consensus': 'tab:blue',
  'unrolled': 'tab:purple',
}
UNROLL_STEPS, CONSENSUS_WEIGHT, TIME_SCALE_RATIO = 5, 1.0, 4.0
KEY = jax.random.key(0)


def dirac(loss: str, penalty: str, weight: float) -> Game:
  """The game from theta = 1, psi = -1."""
  return dirac_gan(
    make_loss(loss), penalty=PENALTIES[penalty], penalty_weight=weight
  )


def play(
  game: Game,
  solver: str,
  *,
  rate: float = RATE,
  clip: float | None = None,
  gen_first: bool = False,
) -> np.ndarray:
  """(gen, disc) after each of `STEPS` steps of gan_jax's solver, `[T, 2]`."""
  optimizers = solvers.adapt_optimizers(
    solver,
    Players(gen=optax.sgd(rate), disc=optax.sgd(rate)),
    time_scale_ratio=TIME_SCALE_RATIO,
  )
  if clip:
    chain = optax.chain(optimizers.disc, weight_clipping(clip))
    optimizers = optimizers._replace(disc=chain)
  if gen_first:
    game = swap_players(game)
    optimizers = Players(gen=optimizers.disc, disc=optimizers.gen)
  step = solvers.make_train_step(
    game,
    optimizers,
    solver=solvers.make_solver(
      solver, unroll_steps=UNROLL_STEPS, consensus_weight=CONSENSUS_WEIGHT
    ),
  )
  state = solvers.init_state(game, optimizers, KEY)
  run = jax.jit(functools.partial(solvers.play, step, num_steps=STEPS))
  points = run(state, KEY)[1]
  if gen_first:
    points = Players(gen=points.disc, disc=points.gen)
  return np.stack(points, axis=-1)


def radius(points: np.ndarray) -> float:
  """Distance of the last point from the equilibrium (0, 0)."""
  return float(np.hypot(*np.asarray(points[-1], float)))


def ending(points: np.ndarray) -> str:
  """The last radius in words that a table can hold."""
  last = radius(points)
  return common.number(last) if np.isfinite(last) else 'diverged'


def published_table() -> str:
  """Ours beside float64 NumPy, whose values the paper's table prints."""
  cases = {
    'minimax': ('minimax', 'none', 0.0, None),
    'non-saturating': ('non_saturating', 'none', 0.0, None),
    'WGAN, clip 1': ('wasserstein', 'none', 0.0, 1.0),
    'WGAN-GP, weight .7': ('wasserstein', 'wgan_gp', 0.35, None),
    'minimax + R1, gamma .3': ('minimax', 'r1', 0.3, None),
    'minimax + R1, gamma 1': ('minimax', 'r1', 1.0, None),
    'non-saturating + R1, gamma .3': ('non_saturating', 'r1', 0.3, None),
  }
  rows = []
  for name, (loss, penalty, weight, clip) in cases.items():
    setting = reference.Setting(loss, penalty, weight, clip or np.inf)
    for solver in ('simultaneous', 'alternating'):
      ours = radius(
        play(dirac(loss, penalty, weight), solver, clip=clip, gen_first=True)
      )
      exact = radius(
        reference.trajectory(setting, solver, STEPS, gen_first=True)
      )
      rows.append([name, solver, *compared(ours, exact)])
  setting = reference.Setting('wasserstein', rate=0.1)
  for solver in ('simultaneous', 'alternating', 'extragradient', 'optimistic'):
    ours = radius(play(bilinear(), solver, rate=0.1, gen_first=True))
    exact = radius(reference.trajectory(setting, solver, STEPS, gen_first=True))
    rows.append(['bilinear, h = .1', solver, *compared(ours, exact)])
  return common.markdown(
    ['game', 'solver (generator first)', 'ours', 'oracle', 'relative error'],
    rows,
  )


def compared(ours: float, exact: float) -> list[str]:
  """Both to six digits, and how far they are apart."""
  return [f'{ours:.6g}', f'{exact:.6g}', f'{abs(ours / exact - 1):.1e}']


def eigenvalue_table() -> str:
  """At the equilibrium, from `jax.jacobian`, beside the closed form."""
  rows = []
  for gamma in (0.0, 0.3, 1.0, 2.0):
    game = dirac('minimax', 'r1', gamma)
    origin = jax.tree.map(jnp.zeros_like, game.init(KEY)[0])
    root = np.sqrt(complex(gamma**2 - 1))
    exact = np.sort_complex([(-gamma - root) / 2, (-gamma + root) / 2])
    ours = eigenvalues(game, origin)
    rows.append(
      [
        f'{gamma:g}',
        ', '.join(f'{v:.5f}' for v in ours),
        ', '.join(f'{v:.5f}' for v in exact),
        'yes' if np.all(ours.real < -1e-6) else 'no',
      ]
    )
  return common.markdown(
    ['gamma', 'ours', 'closed form', 'converges in continuous time'], rows
  )


def all_paths() -> dict[tuple[str, str, str], np.ndarray]:
  """(loss, penalty, solver) -> path `[STEPS, 2]`."""
  paths = {}
  for loss in LOSSES:
    for penalty, weight in WEIGHTS.items():
      game = dirac(loss, penalty, weight)
      for solver in SOLVERS:
        paths[loss, penalty, solver] = play(game, solver)
  return paths


def radius_table(paths) -> str:
  """Where each combination ends; the start is sqrt 2 away."""
  return common.markdown(
    ['loss', 'penalty', *SOLVERS],
    [
      [loss, penalty, *(ending(paths[loss, penalty, s]) for s in SOLVERS)]
      for loss in LOSSES
      for penalty in WEIGHTS
    ],
  )


def factor_table() -> str:
  """Predicted factor a step near (0, 0), and the one measured there."""
  rows = []
  for loss in LOSSES:
    for penalty in ('none', 'r1'):
      setting = reference.Setting(
        loss,
        penalty,
        WEIGHTS[penalty],
        rate=RATE,
        unroll_steps=UNROLL_STEPS,
        consensus_weight=CONSENSUS_WEIGHT,
      )
      game = dirac_gan(
        make_loss(loss),
        penalty=PENALTIES[penalty],
        penalty_weight=WEIGHTS[penalty],
        theta0=1e-3,
        psi0=0.0,
      )
      cells = []
      for solver in SOLVERS:
        ratio = TIME_SCALE_RATIO if solver == 'two_time_scale' else 1.0
        predicted = reference.local_factor(
          setting._replace(disc_rate=ratio * RATE), solver
        )
        cells.append(f'{predicted:.4f} ({measured_factor(game, solver):.4f})')
      rows.append([loss, penalty, *cells])
  return common.markdown(['loss', 'penalty', *SOLVERS], rows)


def measured_factor(game: Game, solver: str) -> float:
  """The mean factor of a step, from the slope of log radius.

  Of the steps after 20, where the slowest mode rules, that are neither so far
  out that the game is not linear nor so far in that float32 ends.
  """
  radii = np.hypot(*np.asarray(play(game, solver), float).T)
  steps = np.arange(len(radii))
  used = (steps >= 20) & (radii > 1e-25) & (radii < 0.1)
  return float(np.exp(np.polyfit(steps[used], np.log(radii[used]), 1)[0]))


def draw_fields(paths, penalties: tuple[str, ...], num_steps: int) -> Figure:
  """Vector fields, and the first steps of every solver in them."""
  figure = Figure(figsize=(12, 19), layout='constrained')
  axes = figure.subplots(len(LOSSES), len(penalties), sharex=True, sharey=True)
  line = np.linspace(-1.9, 1.9, 25)
  theta, psi = np.meshgrid(line, line)
  points = jnp.stack([theta.ravel(), psi.ravel()], axis=-1)
  for loss, row in zip(LOSSES, axes, strict=True):
    for penalty, axis in zip(penalties, row, strict=True):
      game = dirac(loss, penalty, WEIGHTS[penalty])
      field, _ = vector_field(game, game.init(KEY)[0])
      arrows = np.asarray(jax.jit(jax.vmap(field))(points)).reshape(25, 25, 2)
      axis.streamplot(
        theta, psi, *np.moveaxis(arrows, -1, 0), color='0.8', linewidth=0.7
      )
      for solver, colour in SOLVERS.items():
        path = paths[loss, penalty, solver][:num_steps]
        path = np.concatenate([[[1.0, -1.0]], path])
        axis.plot(*path.T, color=colour, linewidth=1.3, label=solver)
        axis.plot(*path[-1], 'o', color=colour, markersize=5)
      axis.plot(0, 0, 'k+', markersize=10)
      axis.plot(1, -1, 'k.')
      axis.set(title=f'{loss}, {penalty}', xlim=(-1.9, 1.9), ylim=(-1.9, 1.9))
      axis.set_aspect('equal')
  figure.supxlabel('theta: the generator')
  figure.supylabel('psi: the slope of D')
  handles, labels = axes[0, 0].get_legend_handles_labels()
  figure.legend(
    handles,
    labels,
    loc='outside upper center',
    ncols=len(SOLVERS),
    title=f'{num_steps} steps of h = {RATE} from (1, -1); + the equilibrium',
  )
  return figure


def draw_radii(paths, penalties: tuple[str, ...]) -> Figure:
  """Distance to the equilibrium against the step."""
  figure = Figure(figsize=(12, 13), layout='constrained')
  axes = figure.subplots(len(LOSSES), len(penalties), sharex=True, sharey=True)
  for loss, row in zip(LOSSES, axes, strict=True):
    for penalty, axis in zip(penalties, row, strict=True):
      for solver, colour in SOLVERS.items():
        radii = np.hypot(*paths[loss, penalty, solver].T)
        axis.semilogy(
          np.arange(1, STEPS + 1), radii, color=colour, label=solver
        )
      axis.set(title=f'{loss}, {penalty}', ylim=(1e-6, 1e3))
      axis.grid(alpha=0.3)
  figure.supxlabel(f'step of h = {RATE}')
  figure.supylabel('distance to the equilibrium')
  handles, labels = axes[0, 0].get_legend_handles_labels()
  figure.legend(handles, labels, loc='outside upper center', ncols=len(SOLVERS))
  return figure


def experiment(out: pathlib.Path) -> None:
  """Draws two figures and writes local_convergence.md."""
  paths = all_paths()
  shown = ('none', 'r1', 'wgan_gp')
  common.save_figure(
    out / 'local_convergence.png', draw_fields(paths, shown, num_steps=60)
  )
  common.save_figure(
    out / 'local_convergence_radius.png', draw_radii(paths, shown)
  )
  common.save_tables(
    out / 'local_convergence.md',
    'Local convergence',
    Published_radii_after_500_steps=published_table(),
    Eigenvalues_of_the_minimax_Dirac_GAN_with_R1=eigenvalue_table(),
    Radius_after_500_steps_from_sqrt_2=radius_table(paths),
    Factor_per_step_near_the_equilibrium_predicted_and_measured=factor_table(),
  )


if __name__ == '__main__':
  common.run(experiment, __doc__)

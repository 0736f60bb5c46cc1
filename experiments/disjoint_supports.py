"""Two parallel lines: no overlap, no slope, and what instance noise mends.

  python experiments/disjoint_supports.py

Data are (0, u), fakes (theta, u), u uniform. Left: the exact divergences
against theta, and dots where a discriminator and a critic, trained on samples
with the project's own losses, put them (a two-sided penalty of weight lambda
lets the critic's slope grow to 1 + theta / 2 lambda). Middle: JSD when both
lines are blurred by noise of width s. Right: theta descending JSD under noise
that is tiny, wide, or narrowing, and descending W1.

Reference:
  Arjovsky, Chintala and Bottou, Wasserstein GAN, arXiv 1701.07875, Example 1;
  Arjovsky and Bottou, arXiv 1701.04862, section 3; Sonderby et al., Amortised
  MAP Inference for Image Super-resolution, arXiv 1610.04490 (instance noise).
"""

import functools
import pathlib
import sys
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import common
from gan_jax import solvers
from gan_jax.games.image import image_gan
from gan_jax.losses import make_loss
from gan_jax.networks.layers import Style
from gan_jax.networks.mlp import Discriminator
from gan_jax.penalties import PENALTIES
from gan_jax.sampling.priors import draw_latents
from gan_jax.theory import divergences
from gan_jax.tricks.terms import gradient_penalty
from gan_jax.types import Batch, Players, Task

THETAS = np.array([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0])
BATCH = 256
GP_WEIGHT = 10.0
LINE = np.arange(-20, 121) / 100  # places of the lines, theta among them
WIDE = np.linspace(-4.0, 5.0, 1801)  # grid of the blurred densities
DX = float(WIDE[1] - WIDE[0])
WIDTHS = (0.02, 0.1, 0.25, 0.5, 1.0)  # of the noise, in units of theta
START, NARROWEST = 1.0, 0.02  # theta's start; the last width of the annealing
DESCENT_STEPS, LEARNING_RATE = 400, 0.01  # of Adam on theta


# --- Exact ------------------------------------------------------------------


def exact(theta: float) -> dict[str, float]:
  """Divergences between the two lines: only their x coordinate matters."""
  p = jnp.asarray(np.isclose(LINE, 0.0), float)
  q = jnp.asarray(np.isclose(LINE, theta), float)
  return {
    'JSD': float(divergences.jsd(p, q)),
    'TV': float(divergences.total_variation(p, q)),
    'KL': float(divergences.kl(p, q)),
    'W1': float(divergences.wasserstein_1d(p, q, jnp.asarray(LINE))),
  }


def blurred(centre: jax.Array, width: jax.Array) -> jax.Array:
  """A line at `centre` under noise: N(centre, width^2) over the grid."""
  return jax.nn.softmax(-0.5 * ((WIDE - centre) / width) ** 2) / DX


def blurred_jsd(theta: jax.Array, width: jax.Array) -> jax.Array:
  """JSD of the two lines under noise; the other coordinate cancels."""
  return divergences.jsd(blurred(0.0, width), blurred(theta, width), DX)


# --- Trained ----------------------------------------------------------------


class ShiftedLine(nn.Module):
  """The generator: u -> (theta, u), with theta its only parameter."""

  @nn.compact
  def __call__(self, latents, given=None, *, train):
    theta = self.param('theta', nn.initializers.zeros, ())
    return jnp.concatenate([jnp.full_like(latents, theta), latents], axis=-1)


def trained(loss: str, penalty: str, steps: int, seed: int) -> np.ndarray:
  """-(D's loss without penalty) at each of `THETAS`, after training D alone.

  The mean over the last tenth of the steps, on fresh samples each.
  """
  networks = Players(
    gen=ShiftedLine(), disc=Discriminator((64, 64), Style('leaky_relu'))
  )
  uniform = functools.partial(draw_latents, prior='uniform', latent_dim=1)
  game = image_gan(
    networks,
    make_loss(loss),
    task=Task((2,), {}, uniform),
    terms=Players(gen=(), disc=gradient_penalty(PENALTIES[penalty], GP_WEIGHT)),
  )
  optimizers = Players(
    gen=optax.set_to_zero(), disc=optax.adam(1e-3, b1=0.5, b2=0.9)
  )
  step = solvers.make_train_step(game, optimizers)

  def draw_batches(key):
    heights = uniform(jax.random.split(key, BATCH))
    points = jnp.concatenate([jnp.zeros_like(heights), heights], axis=-1)
    return Batch(points[None], {}, jnp.arange(BATCH)[None])

  @jax.jit
  @jax.vmap
  def run(theta):
    key = jax.random.key(seed)
    state = solvers.init_state(game, optimizers, key)
    at_theta = Players(gen={'theta': theta}, disc=state.params.disc)
    _, values = solvers.play(
      step,
      state._replace(params=at_theta),
      key,
      steps,
      draw_batches=draw_batches,
      record=lambda state, m: -(m['disc_loss_real'] + m['disc_loss_fake']),
    )
    return jnp.mean(values[-max(1, steps // 10) :])

  return np.asarray(run(jnp.asarray(THETAS, jnp.float32)))


# --- Descent of theta -------------------------------------------------------


def annealed(step: jax.Array) -> jax.Array:
  """The width of the noise, from 1 down to `NARROWEST` by a constant factor."""
  return NARROWEST ** (step / DESCENT_STEPS)


@jax.enable_x64(True)
def descend(measure: Callable[[jax.Array, jax.Array], jax.Array]) -> np.ndarray:
  """Theta before and after each step of Adam on measure(theta, step).

  In float64, or Adam would blow rounding up where there is no slope.
  """
  optimizer = optax.adam(LEARNING_RATE)

  def step(carry, count):
    theta, state = carry
    updates, state = optimizer.update(jax.grad(measure)(theta, count), state)
    theta = optax.apply_updates(theta, updates)
    return (theta, state), theta

  start = jnp.asarray(START)
  _, path = jax.jit(
    lambda carry: jax.lax.scan(step, carry, jnp.arange(DESCENT_STEPS) * 1.0)
  )((start, optimizer.init(start)))
  return np.concatenate([[START], path])


DESCENTS: dict[str, tuple[Callable, str]] = {
  'JSD, s = .02': (lambda theta, t: blurred_jsd(theta, 0.02), 'tab:red'),
  'JSD, s = .5': (lambda theta, t: blurred_jsd(theta, 0.5), 'tab:blue'),
  'JSD, s from 1 to .02': (
    lambda theta, t: blurred_jsd(theta, annealed(t)),
    'tab:purple',
  ),
  'W1': (lambda theta, t: jnp.abs(theta), 'tab:green'),
}


# --- Pictures and tables ----------------------------------------------------


def draw(dots: dict[str, np.ndarray], paths: dict[str, np.ndarray]) -> Figure:
  """The three panels of the module's docstring."""
  figure = Figure(figsize=(15, 4.5), layout='constrained')
  left, middle, right = figure.subplots(1, 3)
  line = np.arange(101) / 100
  curves = [exact(theta) for theta in line]
  for name, colour in (('JSD', 'tab:red'), ('W1', 'tab:green')):
    values = [curve[name] for curve in curves]
    # A jump at 0, not a slope.
    left.plot(line[1:], values[1:], color=colour, label=f'{name}, exact')
    left.plot(0, 0, 'o', mfc='none', color=colour)
    label = f'{name}, by a trained D'
    left.plot(THETAS, dots[name], 'x', color=colour, label=label)
  left.axhline(np.log(2), color='0.6', lw=0.8, ls=':')
  left.text(0.98, np.log(2) + 0.015, 'log 2', ha='right', color='0.4')
  left.set(
    title='no noise', xlabel='theta', ylabel='nats; W1 in units of theta'
  )
  jsd_of = jax.jit(jax.vmap(blurred_jsd, in_axes=(0, None)))
  shades = np.linspace(0.35, 1.0, len(WIDTHS))
  for width, shade in zip(WIDTHS, shades, strict=True):
    values = jsd_of(jnp.asarray(line), width)
    middle.plot(
      line, values, color='tab:red', alpha=1.35 - shade, label=f's = {width:g}'
    )
  middle.set(
    title='JSD under noise of width s',
    xlabel='theta',
    ylabel='nats',
    ylim=(-0.03, 0.85),
  )
  for name, path in paths.items():
    right.plot(path, color=DESCENTS[name][1], label=name)
  right.set(title='theta descending', xlabel='step of Adam', ylabel='theta')
  for axis in (left, middle, right):
    axis.grid(alpha=0.3)
  left.legend(fontsize=8)
  middle.legend(fontsize=8, ncols=3, loc='upper center')
  right.legend(fontsize=8)
  return figure


def draw_frame(theta: float, width: float) -> Figure:
  """One picture of the animation: the blurred lines, and JSD at this width."""
  figure = Figure(figsize=(7, 2.8), layout='constrained', dpi=80)
  left, right = figure.subplots(1, 2)
  for centre, colour in ((0.0, common.DATA), (theta, common.FAKE)):
    density = np.asarray(blurred(centre, width))
    left.plot(WIDE, density / density.max(), color=colour)
  left.set(xlim=(-1.5, 2.5), xlabel='x', title=f'noise of width {width:.2f}')
  left.set_yticks([])
  line = np.linspace(-0.2, 1.2, 141)
  right.plot(line, jax.vmap(blurred_jsd, in_axes=(0, None))(line, width))
  right.plot(theta, blurred_jsd(theta, width), 'o', color=common.FAKE)
  right.set(ylim=(-0.02, 0.72), xlabel='theta', title='JSD', ylabel='nats')
  return figure


def experiment(out: pathlib.Path, *, steps: int, seed: int) -> None:
  """Draws the figure and the animation, and writes the tables."""
  value = trained('minimax', 'none', steps, seed)
  dots = {
    'JSD': 0.5 * (value + np.log(4)),
    'W1': trained('wasserstein', 'wgan_gp', steps, seed),
  }
  paths = {name: descend(measure) for name, (measure, _) in DESCENTS.items()}
  common.save_figure(out / 'disjoint_supports.png', draw(dots, paths))
  path = paths['JSD, s from 1 to .02']
  common.save_animation(
    out / 'disjoint_supports.gif',
    [
      draw_frame(path[t], float(annealed(t)))
      for t in range(0, DESCENT_STEPS // 2, 5)
    ],
  )
  curves = [exact(theta) for theta in THETAS]
  common.save_tables(
    out / 'disjoint_supports.md',
    'Two parallel lines',
    Exact_and_by_a_trained_discriminator=common.markdown(
      [
        'theta',
        *curves[0],
        'JSD by a trained D',
        'W1 by a trained critic',
        'theta + theta^2 / 2 lambda',
      ],
      [
        [
          f'{theta:g}',
          *curve.values(),
          float(jsd),
          float(w1),
          theta + theta**2 / (2 * GP_WEIGHT),
        ]
        for theta, curve, jsd, w1 in zip(
          THETAS, curves, dots['JSD'], dots['W1'], strict=True
        )
      ],
    ),
    Theta_after_descent=common.markdown(
      ['descends', f'theta after {DESCENT_STEPS} steps from {START:g}'],
      [[name, float(path[-1])] for name, path in paths.items()],
    ),
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    steps=(2_000, 'updates of D at each theta'),
    seed=(0, 'of parameters and data'),
  )

"""Which divergence covers modes, and which seeks one.

  python experiments/mode_seeking.py

One Gaussian q is fitted to two unequal modes p by gradient descent on the exact
divergence, from 66 starts at once. The panels show every optimum that was
reached, the best one in full colour, with its share of the starts. q "covers"
where it puts at least half of the target's mass within two standard deviations
of each mode; else it "seeks" the mode where it has the most.

Reference:
  Goodfellow, NIPS 2016 Tutorial: GANs, arXiv 1701.00160, Figure 14; Theis et
  al., A note on the evaluation of generative models, arXiv 1511.01844,
  Figure 1.
"""

import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import common
from gan_jax.games import mixture as mixtures
from gan_jax.theory import divergences

TARGET = mixtures.mixture([[-2.0], [2.0]], 0.7, [0.6, 0.4])
# Wide, and in float64: the tails of a narrow q must not become 0, or its
# forward KL would be infinite.
GRID = np.linspace(-12.0, 12.0, 1201)
DX = float(GRID[1] - GRID[0])
STARTS = [(mu, sigma) for mu in np.linspace(-4, 4, 33) for sigma in (1.5, 3.0)]
SHOWN = STARTS.index((2.0, 1.5))  # the start that the animation follows
LEARNING_RATE = 0.02  # of Adam
RECORD_EVERY = 25  # steps

Measure = Callable[[jax.Array, jax.Array], jax.Array]
DIVERGENCES: dict[str, Measure] = {
  'forward KL': lambda p, q: divergences.kl(p, q, DX),
  'reverse KL': lambda p, q: divergences.reverse_kl(p, q, DX),
  'JSD': lambda p, q: divergences.jsd(p, q, DX),
  'Jeffreys': lambda p, q: divergences.jeffreys(p, q, DX),
  'Wasserstein': lambda p, q: divergences.wasserstein_1d(p, q, GRID, DX),
}


def normalised(log_density: jax.Array) -> jax.Array:
  """A density over the grid, `[N]`, that sums to 1 / DX."""
  return jax.nn.softmax(log_density) / DX


def target() -> jax.Array:
  """The density p over the grid, `[N]`."""
  return normalised(TARGET.log_density(GRID[:, None]))


def gaussian(params: jax.Array) -> jax.Array:
  """The density `[N]` of (mu, log sigma)."""
  mu, log_sigma = params
  return normalised(-0.5 * ((GRID - mu) / jnp.exp(log_sigma)) ** 2)


class Fit(NamedTuple):
  """Where one start went.

  Attributes:
    mu: mean.
    sigma: standard deviation.
    value: of the divergence that was minimised.
    share: of the starts that ended here.
  """

  mu: float
  sigma: float
  value: float
  share: float


def descend(measure: Measure, steps: int) -> np.ndarray:
  """(mu, log sigma) along the descents, `[starts, steps / 25 + 1, 2]`."""
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
  slope = jax.grad(lambda params: measure(target(), gaussian(params)))

  def step(carry, _):
    params, state = carry
    updates, state = optimizer.update(slope(params), state)
    return (optax.apply_updates(params, updates), state), None

  def record(carry, _):
    carry, _ = jax.lax.scan(step, carry, length=RECORD_EVERY)
    return carry, carry[0]

  @jax.jit
  @jax.vmap
  def run(start):
    carry = start, optimizer.init(start)
    _, path = jax.lax.scan(record, carry, length=steps // RECORD_EVERY)
    return jnp.concatenate([start[None], path])

  starts = jnp.asarray([(mu, np.log(sigma)) for mu, sigma in STARTS])
  return np.asarray(run(starts))


def optima(measure: Measure, ends: np.ndarray) -> list[Fit]:
  """The different ends of the descents `[starts, 2]`, the best first."""
  values = np.asarray(jax.vmap(lambda e: measure(target(), gaussian(e)))(ends))
  fits: list[Fit] = []
  for index in np.argsort(values):
    mu, sigma = float(ends[index, 0]), float(np.exp(ends[index, 1]))
    near = [abs(f.mu - mu) + abs(f.sigma - sigma) < 0.1 for f in fits]
    if any(near):
      at = near.index(True)
      fits[at] = fits[at]._replace(share=fits[at].share + 1 / len(ends))
    else:
      fits.append(Fit(mu, sigma, float(values[index]), 1 / len(ends)))
  return fits


def verdict(fit: Fit) -> str:
  """Covers or seeks, by the rule of the module's docstring."""
  q = gaussian(jnp.asarray([fit.mu, np.log(fit.sigma)]))
  shares = []
  for mean, std in zip(TARGET.means[:, 0], TARGET.stds, strict=True):
    near = jnp.abs(GRID - mean) < 2 * std
    shares.append(float(jnp.sum(q * near) / jnp.sum(target() * near)))
  if min(shares) >= 0.5:
    return 'covers'
  return f'seeks {float(TARGET.means[int(np.argmax(shares)), 0]):+g}'


def panel(axis: Axes, name: str, fits: list[Fit]) -> None:
  """The target, and the Gaussians fitted to it."""
  axis.fill_between(
    GRID, target(), color=common.DATA, alpha=0.25, label='target'
  )
  for index, fit in enumerate(fits):
    q = gaussian(jnp.asarray([fit.mu, np.log(fit.sigma)]))
    axis.plot(
      GRID,
      q,
      color=common.FAKE,
      alpha=0.35 if index else 1.0,
      label=f'{verdict(fit)} ({fit.share:.0%} of starts)',
    )
  axis.set(title=name, xlim=(-6, 6), ylim=(0, 0.78), xlabel='x')
  axis.legend(fontsize=8, loc='upper center')


def draw_frame(paths: dict[str, np.ndarray], index: int) -> Figure:
  """One picture of the animation: the same start under every divergence."""
  figure = Figure(figsize=(10, 2.4), layout='constrained', dpi=80)
  axes = figure.subplots(1, len(paths), sharey=True)
  for axis, (name, path) in zip(axes, paths.items(), strict=True):
    axis.fill_between(GRID, target(), color=common.DATA, alpha=0.25)
    axis.plot(GRID, gaussian(path[SHOWN, index]), color=common.FAKE)
    axis.set(title=name, xlim=(-6, 6), ylim=(0, 0.62))
  figure.suptitle(f'step {index * RECORD_EVERY}', fontsize=9)
  return figure


def fit_table(fits: dict[str, list[Fit]]) -> str:
  """Every optimum, and what every divergence says of it."""
  rows = []
  for name, found in fits.items():
    for fit in found:
      q = gaussian(jnp.asarray([fit.mu, np.log(fit.sigma)]))
      values = [float(measure(target(), q)) for measure in DIVERGENCES.values()]
      share = f'{fit.share:.0%}'
      rows.append([name, fit.mu, fit.sigma, verdict(fit), share, *values])
  columns = ['minimised', 'mu', 'sigma', 'q', 'starts', *DIVERGENCES]
  return common.markdown(columns, rows)


def closed_form_table(fit: Fit) -> str:
  """Forward KL matches moments: mu = E x, sigma^2 = Var x."""
  weights, means = np.asarray(TARGET.weights), np.asarray(TARGET.means[:, 0])
  mean = weights @ means
  std = np.sqrt(weights @ (means**2 + np.asarray(TARGET.stds) ** 2) - mean**2)
  return common.markdown(
    ['', 'ours', 'closed form', 'relative error'],
    [
      [name, f'{ours:.6f}', f'{exact:.6f}', f'{abs(ours / exact - 1):.1e}']
      for name, ours, exact in (('mu', fit.mu, mean), ('sigma', fit.sigma, std))
    ],
  )


@jax.enable_x64(True)
def experiment(out: pathlib.Path, *, steps: int) -> None:
  """Draws the figure and the animation, and writes the tables."""
  steps = max(RECORD_EVERY, steps - steps % RECORD_EVERY)
  paths = {name: descend(m, steps) for name, m in DIVERGENCES.items()}
  fits = {
    name: optima(m, paths[name][:, -1]) for name, m in DIVERGENCES.items()
  }
  figure = Figure(figsize=(17, 3.6), layout='constrained')
  axes = figure.subplots(1, len(fits), sharey=True)
  for axis, (name, found) in zip(axes, fits.items(), strict=True):
    panel(axis, name, found)
  common.save_figure(out / 'mode_seeking.png', figure)
  last = steps // RECORD_EVERY
  frames = sorted({round(last * (i / 30) ** 2) for i in range(31)})
  common.save_animation(
    out / 'mode_seeking.gif', [draw_frame(paths, index) for index in frames]
  )
  common.save_tables(
    out / 'mode_seeking.md',
    'Covering and seeking modes',
    Optima_of_each_divergence=fit_table(fits),
    Forward_KL_matches_moments=closed_form_table(fits['forward KL'][0]),
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    steps=(2_000, f'of each descent, rounded down to {RECORD_EVERY}s'),
  )

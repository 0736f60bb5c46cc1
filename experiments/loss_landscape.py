"""Why the generator's loss was changed: saturation, drawn and measured.

  python experiments/loss_landscape.py

Left and middle: what G minimises, and its slope in D's logit, against
D(G(z)). Right: a real 1-D GAN whose G is held still while D learns; the
gradient that reaches G under either loss, on the same parameters.

Reference:
  Goodfellow et al., arXiv 1406.2661, section 3; Arjovsky and Bottou, Towards
  Principled Methods for Training GANs, arXiv 1701.04862, Theorem 2.4, Figure 2.
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

from experiments import common
from gan_jax import solvers
from gan_jax.games import mixture as mixtures
from gan_jax.losses import make_loss
from gan_jax.types import Players

COLOURS = {'minimax': 'tab:red', 'non_saturating': 'tab:blue'}
DATA = mixtures.mixture([[4.0]], 0.5)  # an untrained G is far from it
BATCH = 256


def landscape(name: str, disc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """G's loss, and its slope in the logit, where D(G(z)) = disc `[N]`."""
  gen = make_loss(name).gen
  logits = jnp.log(disc) - jnp.log1p(-disc)
  values, slopes = jax.vmap(jax.value_and_grad(lambda logit: gen(logit[None])))(
    logits
  )
  return np.asarray(values), np.asarray(slopes)


def gradients_while_d_learns(
  num_steps: int, every: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Trains D alone; returns D(G(z)) and ||dL/dG|| of both losses `[T]`."""
  games = {
    name: mixtures.mixture_gan(DATA, make_loss(name), latent_dim=1)[0]
    for name in COLOURS
  }
  optimizers = Players(gen=optax.set_to_zero(), disc=optax.adam(1e-3, b1=0.5))
  step = solvers.make_train_step(games['minimax'], optimizers)
  key = jax.random.key(seed)
  draw = functools.partial(mixtures.draw_batches, data=DATA, batch_size=BATCH)
  held_out = jax.tree.map(lambda x: x[0], draw(jax.random.fold_in(key, 1)))

  def record(state, metrics):
    def norm(game):
      def loss(gen):
        params = state.params._replace(gen=gen)
        return game.objectives.gen(
          params, state.model_state, held_out, key, state.step
        )[0]

      return optax.tree.norm(jax.grad(loss)(state.params.gen))

    norms = {name: norm(game) for name, game in games.items()}
    return metrics['disc_fake'], norms

  @jax.jit
  def train():
    state = solvers.init_state(games['minimax'], optimizers, key)
    return solvers.play(
      step,
      state,
      key,
      num_steps,
      draw_batches=draw,
      record=record,
      record_every=every,
    )[1]

  return jax.device_get(train())


def experiment(out: pathlib.Path, *, steps: int, seed: int) -> None:
  """Draws loss_landscape.png and writes loss_landscape.md."""
  disc = np.linspace(1e-3, 1 - 1e-3, 500)
  every = max(1, steps // 100)
  steps -= steps % every
  scores, norms = gradients_while_d_learns(steps, every, seed)
  figure = Figure(figsize=(13, 4), layout='constrained')
  losses, slopes, trained = figure.subplots(1, 3)
  for name, colour in COLOURS.items():
    style = dict(color=colour, label=name)
    value, slope = landscape(name, disc)
    losses.plot(disc, value, **style)
    slopes.plot(disc, np.abs(slope), **style)
    trained.semilogy(
      np.arange(1, len(scores) + 1) * every, norms[name], **style
    )
  losses.set(title='what G minimises', xlabel='D(G(z))', ylabel='nats')
  slopes.set(
    title='|slope| in the logit of D', xlabel='D(G(z))', ylim=(0, 1.05)
  )
  slopes.annotate(
    'D rejects: no signal\nfrom the saturating loss',
    (0.02, 0.02),
    (0.27, 0.05),
    arrowprops=dict(arrowstyle='->'),
  )
  trained.set(
    title='G held still, D learning', xlabel='updates of D', ylabel='||dL/dG||'
  )
  for axis in (losses, slopes, trained):
    axis.grid(alpha=0.3)
    axis.legend()
  common.save_figure(out / 'loss_landscape.png', figure)

  points = np.array([1e-6, 1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99])
  both = {name: landscape(name, points) for name in COLOURS}
  common.save_tables(
    out / 'loss_landscape.md',
    'Saturating and non-saturating generator losses',
    Loss_and_slope_against_D=common.markdown(
      ['D(G(z))']
      + [f'{n} {what}' for n in COLOURS for what in ('loss', 'slope')],
      [
        [point] + [float(part[i]) for n in COLOURS for part in both[n]]
        for i, point in enumerate(points)
      ],
    ),
    Gradient_norm_while_D_learns=common.markdown(
      ['updates of D', 'D(G(z))', *COLOURS],
      [
        [f'{(i + 1) * every}', float(scores[i])]
        + [float(norms[name][i]) for name in COLOURS]
        for i in np.linspace(0, len(scores) - 1, 6).astype(int)
      ],
    ),
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    steps=(2_000, 'updates of D'),
    seed=(0, 'of parameters and data'),
  )

"""A thousand modes: three MNIST digits as the channels of one image.

  python experiments/stacked_mnist.py --budget=cpu

The setting of Metz et al., whose discriminator is too small on purpose: a
quarter or half of the generator. Modes are counted by a classifier of MNIST on
each channel of 25,600 generated images. `--budget=full` makes the 500,000 steps
of the paper; the others make fewer, all methods equally many, and say so.

The generator draws with the statistics of its batches, as the published code
does. Our classifier is another than theirs; its accuracy is printed.

Reference:
  Metz et al., Unrolled Generative Adversarial Networks, arXiv 1611.02163,
  section 3.3.1, appendix; Lin et al., PacGAN, arXiv 1712.04086, section 4.2.
"""

import functools
import pathlib
import sys
import time
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import common
from gan_jax import solvers
from gan_jax.data import load_dataset
from gan_jax.devices import compiling
from gan_jax.features import extract, image_set
from gan_jax.features.classifier import classifier_network
from gan_jax.games import Game
from gan_jax.games.image import image_gan
from gan_jax.losses import make_loss
from gan_jax.metrics.mode_coverage import ModeCoverage, mode_coverage
from gan_jax.networks.layers import Conv, ConvTranspose, Style
from gan_jax.pixels import from_uint8, to_uint8
from gan_jax.reporting.pictures import grid
from gan_jax.rng import unrolled
from gan_jax.sampling.priors import draw_latents
from gan_jax.tricks import Tricks
from gan_jax.types import Batch, Players, Task, Verdict, lookup

PAPER_STEPS = 500_000
BATCH, LATENT_DIM = 128, 256
FRAMES, NUM_FRAME = 8, 1_280  # of the animation, and images of each
# Steps of each method, and images that its modes are counted in at the end.
BUDGETS = {
  'smoke': (8, 1_280),
  'cpu': (3_000, 25_600),
  'full': (PAPER_STEPS, 25_600),
}
OPTIMIZERS = Players(
  gen=optax.adam(1e-4, b1=0.5, b2=0.99), disc=optax.adam(2e-4, b1=0.5, b2=0.99)
)


class Generator(nn.Module):
  """Latents `[B, 256]` -> images `[B, 28, 28, 3]`: 4, 7, 14, 28 pixels."""

  style: Style

  @nn.compact
  def __call__(self, latents, given=None, *, train: bool):
    del given
    normal = nn.initializers.normal(0.02)

    def activate(h):
      return nn.relu(self.style.normalise(h, train=train))

    h = nn.Dense(4 * 4 * 64, kernel_init=normal)(latents)
    h = activate(h.reshape(-1, 4, 4, 64))
    for width in (32, 16, 8):
      h = ConvTranspose(width, 3, 2, kernel_init=normal)(h)
      # TensorFlow's 4 -> 7 pixels leaves out the first row and column.
      h = activate(h[:, 1:, 1:] if width == 32 else h)
    return nn.tanh(Conv(3, 3, kernel_init=normal)(h))


class Discriminator(nn.Module):
  """Images `[B, 28, 28, C]` -> logits `[B]`: strided 3x3 convolutions."""

  widths: tuple[int, ...]
  style: Style

  @nn.compact
  def __call__(self, images, given=None, *, train: bool):
    del given
    normal = nn.initializers.normal(0.02)
    h = images
    for width in self.widths:
      h = self.style.normalise(
        Conv(width, 3, 2, kernel_init=normal)(h), train=train
      )
      h = nn.leaky_relu(h, 0.3)
      self.sow('intermediates', 'features', h)
    logits = nn.Dense(1, kernel_init=normal)(h.reshape(len(h), -1))[:, 0]
    return Verdict(logits, {})


SIZES = {'D = G/4': (2, 4, 8), 'D = G/2': (4, 8, 16)}


class Method(NamedTuple):
  """A row of the table."""

  unroll_steps: int = 0
  packing: int = 1


METHODS = {
  'DCGAN': Method(),
  'unrolled 1': Method(unroll_steps=1),
  'unrolled 5': Method(unroll_steps=5),
  'unrolled 10': Method(unroll_steps=10),
  'PacDCGAN2': Method(packing=2),
  'PacDCGAN3': Method(packing=3),
  'PacDCGAN4': Method(packing=4),
}
# Modes and KL; Metz et al. and, for the packed ones, Lin et al.
PAPER = {
  'D = G/4': {
    'DCGAN': ('30.6 +- 20.7', '5.99 +- .42'),
    'unrolled 1': ('65.4 +- 34.8', '5.91 +- .14'),
    'unrolled 5': ('236.4 +- 63.3', '4.67 +- .43'),
    'unrolled 10': ('327.2 +- 74.7', '4.66 +- .46'),
    'PacDCGAN2': ('484.5', '2.61'),
    'PacDCGAN3': ('601.3', '2.00'),
    'PacDCGAN4': ('667.4', '1.81'),
  },
  'D = G/2': {
    'DCGAN': ('628 +- 141', '2.58 +- .75'),
    'unrolled 1': ('523.6 +- 55.8', '2.44 +- .26'),
    'unrolled 5': ('732 +- 45', '1.66 +- .09'),
    'unrolled 10': ('817.4 +- 37.9', '1.43 +- .12'),
    'PacDCGAN2': ('840.7', '1.00'),
    'PacDCGAN3': ('866.6', '.90'),
    'PacDCGAN4': ('820.2', '1.15'),
  },
}


class Outcome(NamedTuple):
  """Of one method with one size of D.

  Attributes:
    coverage: of the last generator.
    samples: images of every frame, `[F, 64, 28, 28, 3]`.
    counts: images of each mode in every frame, `[F, 1000]`.
    steps: made.
    seconds: of training.
  """

  coverage: ModeCoverage
  samples: np.ndarray
  counts: np.ndarray
  steps: int
  seconds: float


def build(
  size: str, method: Method
) -> tuple[Players[nn.Module], Game, solvers.Step]:
  """Networks, game and one training step of a method."""
  style = Style(norm='batch')
  networks = Players(
    gen=Generator(style), disc=Discriminator(SIZES[size], style)
  )
  game = image_gan(
    networks,
    make_loss('non_saturating'),
    task=Task(
      (28, 28, 3),
      {},
      functools.partial(draw_latents, prior='normal', latent_dim=LATENT_DIM),
    ),
    tricks=Tricks(packing=method.packing),
  )
  solver = 'unrolled' if method.unroll_steps else 'alternating'
  step = solvers.make_train_step(
    game,
    OPTIMIZERS,
    solver=solvers.make_solver(
      solver, unroll_steps=method.unroll_steps or None
    ),
    fresh_latents=False,  # as in the published code
  )
  return networks, game, step


def draw(key: jax.Array, digits: jax.Array, packing: int) -> Batch:
  """Stacks of three digits chosen at random, `[1, B, 28, 28, 3]`."""
  num = BATCH * packing
  chosen = jax.random.randint(key, (num, 3), 0, len(digits))
  images = jnp.moveaxis(digits[chosen][..., 0], 1, -1)
  positions = jnp.arange(num, dtype=jnp.int32)
  return Batch(from_uint8(images)[None], {}, positions[None])


def count_modes(network, images: np.ndarray) -> np.ndarray:
  """Images of each of 1,000 modes, from uint8 `[N, 28, 28, 3]`."""
  modes = np.zeros(len(images), int)
  for channel in range(3):
    one = np.ascontiguousarray(images[..., channel : channel + 1])
    outputs = extract(network, image_set(one), batch_size=256)
    digits = [np.argmax(out['logits'], axis=1) for _, out in outputs]
    modes = 10 * modes + np.concatenate(digits)
  return np.bincount(modes, minlength=1_000)


def train(
  size: str, name: str, budget: str, seed: int, digits: jax.Array, network
) -> Outcome:
  """Trains one method, and looks at its samples as it goes."""
  method, (steps, num_test) = METHODS[name], BUDGETS[budget]
  networks, game, step = build(size, method)
  every = steps // FRAMES

  def advance(state, key, digits):
    return solvers.play(
      step,
      state,
      unrolled(key),
      every,
      draw_batches=lambda key: draw(key, digits, method.packing),
      record=lambda state, metrics: metrics,
      record_every=every,
    )[0]

  @jax.jit
  def generate(state, key):
    latents = jax.random.normal(key, (BATCH, LATENT_DIM))
    images, _ = networks.gen.apply(
      {'params': state.params.gen, **state.model_state.gen},
      latents,
      train=True,
      mutable=['batch_stats'],
    )
    return images

  def sample(state, num):
    keys = jax.random.split(jax.random.key(seed + 1), num // BATCH)
    return to_uint8(np.concatenate([generate(state, key) for key in keys]))

  options = compiling.COMPILER_OPTIONS.get(jax.default_backend(), {})
  compiled = compiling.compile_with(advance, options)
  init_key, key = jax.random.split(jax.random.key(seed))
  state = jax.jit(functools.partial(solvers.init_state, game, OPTIMIZERS))(
    init_key
  )
  seconds, samples, counts = 0.0, [], []
  for _ in range(FRAMES):
    started = time.monotonic()
    state = jax.block_until_ready(compiled(state, key, digits))
    seconds += time.monotonic() - started
    images = sample(state, NUM_FRAME)
    samples.append(images[:64])
    counts.append(count_modes(network, images))
  coverage = mode_coverage(count_modes(network, sample(state, num_test)))
  return Outcome(
    coverage, np.stack(samples), np.stack(counts), int(state.step), seconds
  )


def table(size: str, found: dict[str, Outcome]) -> str:
  """The papers' figures beside ours, a row a method."""
  rows = []
  for name, outcome in found.items():
    modes, divergence = PAPER[size][name]
    rows.append(
      [
        name,
        f'{outcome.steps:,}',
        modes,
        str(outcome.coverage.captured),
        divergence,
        f'{outcome.coverage.kl_to_uniform:.2f}',
        f'{outcome.seconds:.0f}',
      ]
    )
  columns = ['method', f'steps of {PAPER_STEPS:,}', 'modes, paper', 'modes']
  columns += ['KL, paper', 'KL', 'seconds of training']
  return common.markdown(columns, rows)


def draw_frame(size: str, found: dict[str, Outcome], number: int) -> Figure:
  """Samples of every method above the modes that they are of."""
  figure = Figure(figsize=(2.3 * len(found), 3.6), layout='constrained', dpi=80)
  axes = figure.subplots(2, len(found), squeeze=False, height_ratios=(2.3, 1.0))
  for column, (name, outcome) in zip(axes.T, found.items(), strict=True):
    images, counts = outcome.samples[number], outcome.counts[number]
    step = outcome.steps * (number + 1) // len(outcome.samples)
    column[0].imshow(grid(images[:36], smallest=28))
    column[0].set_title(f'{name}\n{step:,} steps', fontsize=8)
    column[1].imshow(np.log1p(counts.reshape(25, 40)), vmin=0, vmax=4)
    column[1].set_title(
      f'{np.count_nonzero(counts)} of 1,000 modes in {NUM_FRAME:,}', fontsize=7
    )
    for axis in column:
      axis.set(xticks=[], yticks=[])
  figure.suptitle(size, fontsize=9)
  return figure


def chosen(names: str) -> list[str]:
  """The methods of a comma-separated list; all for none."""
  given = [name.strip() for name in names.split(',') if name.strip()]
  for name in given:
    lookup(METHODS, name, '--only')
  return [name for name in METHODS if not given or name in given]


def experiment(out: pathlib.Path, *, budget: str, only: str, seed: int) -> None:
  """Trains every method with both sizes of D; the table grows as they end."""
  names = chosen(only)
  dataset = load_dataset('mnist')
  splits = dataset.train.whole(), dataset.test.whole()
  network = classifier_network(*splits, dataset.info.class_names)
  accuracy = network.notes['classifier_test_accuracy']
  print(f'classifier: right on {accuracy:.2%} of the test digits')
  digits = jnp.asarray(splits[0]['images'])
  found = {size: {} for size in SIZES}
  for size in SIZES:
    for name in names:
      outcome = train(size, name, budget, seed, digits, network)
      found[size][name] = outcome
      print(f'{size}, {name}: {outcome.seconds:.0f} s', flush=True)
      common.save_tables(
        out / 'stacked_mnist.md',
        f'Modes of stacked MNIST, one seed, budget {budget}',
        quiet=True,
        **{key: table(key, rows) for key, rows in found.items() if rows},
      )
  print((out / 'stacked_mnist.md').read_text())
  for size, rows in found.items():
    stem = 'stacked_mnist_' + size.removeprefix('D = ').replace('/', '')
    frames = len(next(iter(rows.values())).samples)
    common.save_figure(out / f'{stem}.png', draw_frame(size, rows, frames - 1))
    common.save_animation(
      out / f'{stem}.gif',
      [draw_frame(size, rows, number) for number in range(frames)],
      milliseconds=400,
    )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    budget=('cpu', 'how many steps to make', tuple(BUDGETS)),
    only=('', 'methods, with commas between; all if left out'),
    seed=(0, 'of the weights, the batches and the noise'),
  )

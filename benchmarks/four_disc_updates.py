"""Four updates of D to one of G: is the collapse the recipe's, or ours?

  python benchmarks/four_disc_updates.py

`mlp_mnist:four_disc_steps` beside the same recipe as a plain PyTorch loop, with
networks, data, batches and rates alike: once as the tutorials have it, with a
sigmoid and the binary cross-entropy of probabilities, and once on logits, which
is the same loss in exact arithmetic. Losses, what D says, a grid of each, and
which digits a classifier sees. Ten minutes on two CPU cores; docs/results.md
says what came out.
"""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

import gan_jax
from benchmarks.torch_gans import mlp
from configs import mlp_mnist
from experiments import common
from gan_jax.data import load_dataset
from gan_jax.features import FeatureNetwork
from gan_jax.features.classifier import classes_of, classifier_network
from gan_jax.modes.train import train
from gan_jax.reporting.pictures import save_image, sheet
from gan_jax.workdir import logs

LATENT_DIM, BATCH, DISC_STEPS, EVERY = 100, 128, 4, 20
GEN = (LATENT_DIM, 256, 512, 1024, 784)
DISC = (784, 1024, 512, 256, 1)
JUDGED, SHOWN = 2_000, 8
CURVES = ('disc_loss', 'gen_loss', 'disc_real', 'disc_fake')
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Run(NamedTuple):
  """What one run left.

  Attributes:
    rows: losses and mean D of a real and a fake batch, by name, each EVERY
      steps, with their `step`.
    images: uint8 `[N, 28, 28, 1]`.
  """

  rows: list[dict[str, float]]
  images: np.ndarray


def tutorial_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
  """Of probabilities, whose logarithms PyTorch cuts off at -100."""
  return functional.binary_cross_entropy(torch.sigmoid(logits), target)


LOSSES: dict[str, Loss] = {
  'PyTorch, sigmoid and BCE': tutorial_loss,
  'PyTorch, on logits': functional.binary_cross_entropy_with_logits,
}
OURS = 'gan_jax, on logits'


@contextlib.contextmanager
def _no_denormals() -> Iterator[None]:
  """Numbers that all but vanish are 0 here: a D that saturates is slow else."""
  torch.set_flush_denormal(True)
  try:
    yield
  finally:
    torch.set_flush_denormal(False)


@_no_denormals()
def plain_loop(loss: Loss, images: np.ndarray, steps: int, seed: int) -> Run:
  """The recipe in PyTorch.

  Args:
    loss: of logits and targets `[B, 1]`, the mean.
    images: real ones, uint8 `[N, 28, 28, 1]`.
    steps: updates of G.
    seed: of weights, latents and the order of the data.
  """
  torch.manual_seed(seed)
  gen, disc = mlp(GEN, nn.Tanh()), mlp(DISC)
  gen_adam, disc_adam = (
    torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for network in (gen, disc)
  )
  real = torch.from_numpy(images.reshape(len(images), -1)).float() / 127.5 - 1
  ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
  batches, rows = iter(()), []
  for step in range(1, steps + 1):
    for _ in range(DISC_STEPS):
      batch = next(batches, None)
      if batch is None or len(batch) < BATCH:
        batches = iter(torch.randperm(len(real)).split(BATCH))
        batch = next(batches)
      fake = gen(torch.randn(BATCH, LATENT_DIM)).detach()
      of_real, of_fake = disc(real[batch]), disc(fake)
      disc_loss = loss(of_real, ones) + loss(of_fake, zeros)
      disc_adam.zero_grad()
      disc_loss.backward()
      disc_adam.step()
    gen_loss = loss(disc(gen(torch.randn(BATCH, LATENT_DIM))), ones)
    gen_adam.zero_grad()
    gen_loss.backward()
    gen_adam.step()
    if step % EVERY == 0:
      says = (torch.sigmoid(x).mean() for x in (of_real, of_fake))
      found = (float(x.detach()) for x in (disc_loss, gen_loss, *says))
      rows.append({'step': step, **dict(zip(CURVES, found, strict=True))})
  with torch.no_grad():
    fakes = gen(torch.randn(JUDGED, LATENT_DIM)).numpy()
  pixels = np.rint((fakes + 1) * 127.5).astype(np.uint8)
  return Run(rows, pixels.reshape(-1, 28, 28, 1))


def our_run(folder: pathlib.Path, steps: int, seed: int) -> Run:
  """The config, trained or read back."""
  config = mlp_mnist.get_config('four_disc_steps')
  config.seed, config.num_steps, config.log_every = seed, steps, EVERY
  config.lock()
  train(config, folder)
  rows = [r for r in logs.read_metrics(folder) if 'gen_loss' in r]
  return Run(rows, gan_jax.load(folder).sample(JUDGED, seed=seed))


def judged(network: FeatureNetwork, images: np.ndarray) -> np.ndarray:
  """Shares `[10]` of the digits that the classifier sees."""
  return np.bincount(classes_of(network, images), minlength=10) / len(images)


def draw(found: dict[str, list[Run]]) -> Figure:
  """Losses above, what D says below; a column for each implementation."""
  figure = Figure((4 * len(found), 5), layout='constrained')
  axes = figure.subplots(2, len(found), squeeze=False, sharex=True)
  for (upper, lower), (name, runs) in zip(axes.T, found.items(), strict=True):
    for ax, keys in ((upper, CURVES[:2]), (lower, CURVES[2:])):
      for key, color in zip(keys, (common.DISC, common.FAKE), strict=True):
        for number, run in enumerate(runs):
          steps, values = ([r[k] for r in run.rows] for k in ('step', key))
          label = key.replace('_', ' ') if not number else None
          ax.plot(steps, values, color=color, lw=1, alpha=0.8, label=label)
      ax.legend(fontsize=8)
    upper.set_title(name, fontsize=10)
    upper.set_yscale('symlog', linthresh=1)
    upper.set_ylabel('loss')
    lower.set_ylim(-0.05, 1.05)
    lower.set_ylabel('mean of D')
    lower.set_xlabel('step')
  return figure


def row_of(name: str, seed: int, run: Run, shares: np.ndarray) -> list[Any]:
  """A line of the table, of the last tenth of the steps."""
  late = run.rows[-max(1, len(run.rows) // 10) :]
  means = [float(np.mean([row[key] for row in late])) for key in CURVES]
  digits = int((shares >= 0.01).sum())
  most = f'{100 * shares.max():.0f} % {shares.argmax()}'
  return [name, str(seed), *means, str(digits), most]


def experiment(out: pathlib.Path, steps: int, seeds: int) -> None:
  """Trains all, and writes the table, the curves and the grids."""
  dataset = load_dataset('mnist')
  train_set, test_set = dataset.train.whole(), dataset.test.whole()
  judge = classifier_network(train_set, test_set, dataset.info.class_names)
  found: dict[str, list[Run]] = {}
  for name, loss in LOSSES.items():
    found[name] = []
    for seed in range(seeds):
      print(f'{name}, seed {seed}', flush=True)
      found[name].append(plain_loop(loss, train_set['images'], steps, seed))
  found[OURS] = [
    our_run(out / f'seed_{seed}', steps, seed) for seed in range(seeds)
  ]
  rows, grids = [], {}
  for name, runs in found.items():
    for seed, run in enumerate(runs):
      rows.append(row_of(name, seed, run, judged(judge, run.images)))
      grids[f'{name}, seed {seed}'] = run.images[: 2 * SHOWN]
  heads = ['', 'seed', "D's loss", "G's loss", 'D(real)', 'D(fake)']
  heads += ['digits drawn', 'most']
  common.save_figure(out / 'four_disc_updates.png', draw(found))
  save_image(out / 'four_disc_updates_images.png', sheet(grids, SHOWN))
  common.save_tables(
    out / 'four_disc_updates.md',
    'Four updates of D to one of G',
    In_the_last_tenth_of_the_steps=common.markdown(heads, rows),
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    steps=(1_172, 'updates of G'),
    seeds=(2, 'runs of each'),
  )

"""Whether a run with poses shows its things from where it is told to.

  python experiments/pose_regression.py --workdir=RUN

A small network learns the azimuth from the run's real images, whose poses are
known, and reads it off what the run draws at commanded azimuths. Below: how
well both agree (the length of the mean of e^{i (read - commanded)}, 1 for the
same angle everywhere, 0 for none), over all and for each class; how much closer
neighbouring frames of an orbit are than frames at random; and whether the orbit
closes.

Of a run that draws poses itself, zero and direction are its own: the offset is
taken out, and the better direction counts.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import common
from gan_jax.data import Dataset
from gan_jax.networks.layers import Conv
from gan_jax.networks.posing import NAME
from gan_jax.pixels import from_uint8
from gan_jax.reporting.pictures import save_image, sheet
from gan_jax.sampling.batches import batched
from gan_jax.types import InputError
from gan_jax.workdir.trained_gan import TrainedGAN

BATCH, RATE, WIDTH = 64, 1e-3, 32
SHOWN = 9  # frames in the figure


class Regressor(nn.Module):
  """Images `[B, S, S, C]` -> cosine and sine of the azimuth, `[B, 2]`."""

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    h, width = images, WIDTH
    while h.shape[1] > 4:
      h = nn.silu(nn.GroupNorm(8)(Conv(width, 4, 2)(h)))
      width = min(2 * width, 256)
    h = nn.silu(nn.Dense(128)(h.reshape(len(h), -1)))
    return nn.Dense(2)(h)


def train(images: np.ndarray, azimuths: np.ndarray, steps: int, seed: int):
  """A function uint8 images -> azimuths in radians, learnt from examples."""
  module, optimizer = Regressor(), optax.adam(RATE)
  images, angles = jnp.asarray(images), jnp.asarray(azimuths)
  root = jax.random.key(seed)
  params = jax.jit(module.init)(root, from_uint8(images[:2]))
  pads = [(0, 0), (2, 2), (2, 2), (0, 0)]

  def loss_of(params, rows, key):
    starts = jax.random.randint(key, (2,), 0, 5)
    padded = jnp.pad(from_uint8(images[rows]), pads, 'edge')
    shown = jax.lax.dynamic_slice(
      padded, (0, *starts, 0), (len(rows), *images.shape[1:])
    )
    target = jnp.stack([jnp.cos(angles[rows]), jnp.sin(angles[rows])], -1)
    return jnp.mean((module.apply(params, shown) - target) ** 2)

  def step(carry, number):
    params, state = carry
    keys = jax.random.split(jax.random.fold_in(root, number))
    rows = jax.random.randint(keys[0], (BATCH,), 0, len(images))
    grads = jax.grad(loss_of)(params, rows, keys[1])
    updates, state = optimizer.update(grads, state, params)
    return (optax.apply_updates(params, updates), state), None

  scan = jax.jit(functools.partial(jax.lax.scan, step))
  (params, _), _ = scan((params, optimizer.init(params)), np.arange(steps))
  read = jax.jit(lambda x: module.apply(params, from_uint8(x)))

  def azimuths_of(images: np.ndarray) -> np.ndarray:
    cosine, sine = batched(read, images).T
    return np.arctan2(sine, cosine)

  return azimuths_of


def agreement(read: np.ndarray, commanded: np.ndarray, *, own: bool) -> float:
  """|mean e^{i (read - commanded)}|, or its real part where zero is known.

  Args:
    read: radians, `[N]`.
    commanded: likewise.
    own: whether zero and direction are the run's own.
  """
  same = np.mean(np.exp(1j * (read - commanded)))
  if not own:
    return float(same.real)
  return float(max(abs(same), abs(np.mean(np.exp(1j * (read + commanded))))))


def frames_of(gan: TrainedGAN, num: int, count: int, seed: int) -> np.ndarray:
  """An orbit of `num` things, `[count, num, ...]`, and commanded radians."""
  frames = gan.orbit(num, count, seed=seed)
  first, last = gan.posed.azimuth
  whole = (last - first) % 360 == 0
  degrees = np.linspace(first, last, count, endpoint=not whole)
  return frames, np.radians(degrees)


def closeness(frames: np.ndarray) -> float:
  """Mean distance of two frames at random, over that of neighbours."""
  pixels = frames.astype(np.float64)
  near = np.abs(pixels - np.roll(pixels, 1, axis=0)).mean()
  half = len(frames) // 2
  far = [np.abs(pixels - np.roll(pixels, k, 0)).mean() for k in range(2, half)]
  return float(np.mean(far) / near)


def real(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
  """Images of a split and their azimuths in radians."""
  arrays = getattr(dataset, split).whole()
  return arrays['images'], np.pi * arrays[NAME][:, 0]


def experiment(
  out: pathlib.Path, workdir: str, num: int, frames: int, steps: int, seed: int
) -> None:
  """Trains the regressor, reads, and writes the table and a sheet."""
  trained, dataset = common.trained_run(workdir)
  if NAME not in dataset.info.columns:
    raise InputError(
      f'--workdir: the images of {workdir} come without poses, which the '
      'regressor learns from; train with given=pose'
    )
  azimuths_of = train(*real(dataset, 'train'), steps, seed)
  images, truth = real(dataset, 'test')
  rows = [['real, held out', agreement(azimuths_of(images), truth, own=False)]]
  gan = trained.sampler()
  made, commanded = frames_of(gan, num, frames, seed)
  read = azimuths_of(made.reshape(-1, *made.shape[2:])).reshape(frames, num)
  own = NAME not in trained.plan.given
  grid = np.broadcast_to(commanded[:, None], read.shape)
  rows.append(['drawn', agreement(read, grid, own=own)])
  if gan.num_classes:
    labels = np.arange(num) % gan.num_classes
    each = [
      agreement(read[:, labels == k], grid[:, labels == k], own=own)
      for k in range(min(gan.num_classes, num))
    ]
    rows.append(['drawn, median class', float(np.median(each))])
    rows.append(['drawn, worst class', min(each)])
  table = common.markdown(['', 'agreement of azimuths'], rows)
  latents, labels = gan.latents(num, seed=seed), gan.labels(num)
  turns = [gan.at_pose(latents, np.array([a, 0.0]), labels) for a in (0, 360)]
  table += (
    f'\nframes at random are {closeness(made):.2f} times as far apart as '
    f'neighbours, {360 / frames:g} degrees apart; after a whole turn '
    f'{"every bit is the same" if np.array_equal(*turns) else "they differ"}\n'
  )
  (out / 'pose_regression.md').write_text(table)
  chosen = np.linspace(0, frames, SHOWN, endpoint=False).astype(int)
  shown = made[chosen, : min(num, 20)].swapaxes(0, 1)
  flat = shown.reshape(-1, *shown.shape[2:])
  save_image(out / 'pose_regression.png', sheet({'': flat}, SHOWN))
  print(table)


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    workdir=('', 'a finished run with poses, of data with poses'),
    num=(40, 'things'),
    frames=(36, 'azimuths of each'),
    steps=(1_500, 'updates of the regressor'),
    seed=(0, 'of latents and of the regressor'),
  )

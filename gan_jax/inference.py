"""What a finished run is asked for: samples, walks, scores, a diagnosis."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import build as build_lib
from gan_jax import data, parallel, reporting
from gan_jax import workdir as workdir_lib
from gan_jax.checkup import diagnose_run as diagnose
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation import report as evaluation_report
from gan_jax.evaluation.evaluator import Discriminator, Evaluator, Result
from gan_jax.files import atomic
from gan_jax.metrics.disc_accuracy import disc_logits
from gan_jax.replay import replay
from gan_jax.sampling import INTERPOLATIONS, Sampler
from gan_jax.trained import Trained, restore
from gan_jax.tricks.criterion import make_criterion
from gan_jax.tricks.views import pack

__all__ = (
  'diagnose',
  'evaluate',
  'interpolate',
  'load',
  'replay',
  'restore',
  'sample',
)


def load(
  workdir: str | pathlib.Path,
  *,
  ema: bool = True,
  checkpoint: str = 'latest',
  member: int = 0,
) -> Sampler:
  """Loads a run for sampling.

      sampler = gan_jax.load('runs/mlp_digits')
      images = sampler.sample(64, seed=0)  # uint8 [64, H, W, C]

  Args:
    workdir: of the run.
    ema: take the moving average of G if the run keeps one; False takes the
      raw weights.
    checkpoint: latest or best, see `restore`.
    member: which of several runs that were trained at once.

  Raises:
    InputError: there is no run, no such member, or no whole checkpoint.
  """
  return restore(workdir, checkpoint, member).sampler(ema=ema)


def _label(number: int) -> int | None:
  return None if number == -1 else number


def sample(config: Any, workdir: str | pathlib.Path) -> pathlib.Path:
  """Writes samples.png and samples.npz (uint8 `[N, H, W, C]`, `images`).

  Args:
    config: `member`, and its `sample` section: num, seed, label, checkpoint,
      ema, truncation.
    workdir: of the run.

  Returns:
    The path of the PNG.
  """
  keys = config.sample
  build_lib.check_seed(keys.seed, 'sample.seed')
  trained = restore(workdir, keys.checkpoint, config.member)
  path = workdir_lib.prepare(workdir)
  sampler = trained.sampler(ema=keys.ema)
  label = _label(keys.label)
  images = sampler.sample(
    keys.num, seed=keys.seed, label=label, truncation=keys.truncation
  )
  arrays = {'images': images}
  labels = sampler.labels(keys.num, label)
  if labels is not None:
    arrays['labels'] = labels
  with atomic(path / 'samples.npz') as temporary:
    np.savez_compressed(temporary, **arrays)
  shown = images[:400]
  columns = sampler.num_classes if label is None else 0
  reporting.save_image(
    path / 'samples.png', reporting.labelled_grid(shown, columns)
  )
  weights = (
    'moving average'
    if build_lib.weights_name(trained.state, keys.ema) == 'ema'
    else 'raw weights'
  )
  run = '' if trained.member is None else f' of run {trained.member}'
  print(
    f'{keys.num} images{run} at step {int(trained.state.step)} ({weights}): '
    f'{path / "samples.npz"}; the first {len(shown)}: {path / "samples.png"}'
  )
  return path / 'samples.png'


def interpolate(config: Any, workdir: str | pathlib.Path) -> list[pathlib.Path]:
  """Writes a latent walk as interpolation.png (a strip) and two GIFs.

  Args:
    config: `member`, and its `interpolate` section: num_points, steps, seed,
      label.
    workdir: of the run.

  Returns:
    The paths written.
  """
  keys = config.interpolate
  build_lib.check_seed(keys.seed, 'interpolate.seed')
  sampler = load(workdir, member=config.member)
  path = workdir_lib.prepare(workdir)
  written, rows = [], []
  for name in INTERPOLATIONS:
    walk = sampler.interpolate(
      keys.num_points,
      keys.steps,
      path=name,
      seed=keys.seed,
      label=_label(keys.label),
    )
    rows.append(walk[: keys.steps + 1])  # the first leg, both ends included
    written.append(path / f'interpolation_{name}.gif')
    reporting.save_gif(
      written[-1], [reporting.grid(frame[None], smallest=160) for frame in walk]
    )
  written.append(path / 'interpolation.png')
  strip = reporting.grid(np.concatenate(rows), columns=len(rows[0]))
  reporting.save_image(written[-1], strip)
  names = ' above '.join(INTERPOLATIONS)
  print(f'strip ({names}) and walks: {", ".join(map(str, written))}')
  return written


def evaluate(config: Any, workdir: str | pathlib.Path) -> Result:
  """Scores a run and writes metrics.json.

  Args:
    config: `member`, and its `eval` section, see configs/base.py.
    workdir: of the run.

  Returns:
    Scores with the protocol they were measured by.

  Raises:
    InputError: a key that makes no sense, data that has changed, too few
      images, or something not finite.
  """
  keys = config.eval
  build_lib.check_seed(keys.seed, 'eval.seed')
  trained = restore(workdir, keys.checkpoint, config.member)
  names = keys_lib.check(keys, trained.info)
  path = workdir_lib.prepare(workdir)
  data_keys = build_lib.dataset_keys(trained.config, config.data.dir)
  dataset = data.load_dataset(**data_keys)
  workdir_lib.check_data(path, dataset.info)
  state, step = trained.state, int(trained.state.step)
  whose = {} if trained.member is None else {'member': trained.member}
  evaluator = Evaluator(
    keys, dataset, devices=parallel.select_devices(config.num_devices)
  )
  result = evaluator.score(
    trained.sampler(ema=keys.ema, batch_norm=keys.batch_norm),
    names,
    keys.num_samples,
    disc=_discriminator(trained),
    step=step,
    checkpoint=keys.checkpoint,
    images_seen=step * trained.config.batch_size * trained.config.disc_steps,
    weights=build_lib.weights_name(state, keys.ema),
    batch_norm=keys.batch_norm,
    **whose,
  )
  workdir_lib.write_json(
    path / 'metrics.json',
    {
      'scores': result.scores,
      'protocol': result.protocol,
      'warnings': result.warnings,
    },
  )
  for line in evaluation_report.report(result):
    print(line)
  print(f'written to {path / "metrics.json"}')
  return result


def _discriminator(trained: Trained) -> Discriminator:
  variables = build_lib.discriminator_variables(trained.state)
  disc, tricks = trained.model.networks.disc, trained.config.tricks
  loss = build_lib.loss_of(trained.config)
  criterion = make_criterion(loss, relativistic=tricks.relativistic)

  def discriminate(images, labels):
    num = len(images)
    rows = jnp.arange(num + -num % tricks.packing) % num  # whole packs
    packs = pack(images[rows], tricks.packing)

    def logits_of(variables):
      return disc.apply(variables, packs, labels, train=False)

    if tricks.num_discs > 1:
      logits = jax.vmap(logits_of)(variables).mean(axis=0)
    else:
      logits = logits_of(variables)
    return logits.repeat(tricks.packing)[:num]  # each image by its pack's

  return Discriminator(
    lambda images, labels: disc_logits(discriminate, images, labels),
    criterion.boundary,
    trained.config.conditional,
  )

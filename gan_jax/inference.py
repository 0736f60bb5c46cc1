"""What a finished run is asked for: samples, walks, scores; `load`."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from gan_jax import build as build_lib
from gan_jax import checkpoint, data, reporting
from gan_jax import workdir as workdir_lib
from gan_jax.data import DatasetInfo
from gan_jax.metrics.disc_accuracy import accuracy, disc_logits
from gan_jax.metrics.nearest_neighbours import nearest_distances
from gan_jax.sampling import INTERPOLATIONS, Sampler
from gan_jax.types import InputError, TrainState


class Trained(NamedTuple):
  """A run read back from its workdir."""

  config: Any
  info: DatasetInfo
  model: build_lib.Model
  state: TrainState

  def sampler(self, *, ema: bool = True) -> Sampler:
    """Draws images from the moving average if there is one and `ema`."""
    return build_lib.make_sampler(*self, ema=ema)


def restore(workdir: str | pathlib.Path) -> Trained:
  """Reads a run's config and newest checkpoint.

  Raises:
    InputError: there is no run, or no whole checkpoint.
  """
  path = workdir_lib.absolute(workdir)
  config, info = workdir_lib.read_config(path), workdir_lib.read_info(path)
  try:
    model = build_lib.build(config, info)
  except (AttributeError, KeyError) as error:
    raise InputError(
      f'workdir: {path / "config.json"} is not a whole config of this version: '
      f'{error}'
    ) from error
  state = checkpoint.restore_latest(
    path / 'checkpoints', build_lib.abstract_state(model)
  )
  return Trained(config, info, model, state)


def load(workdir: str | pathlib.Path, *, ema: bool = True) -> Sampler:
  """Loads a run for sampling.

      sampler = gan_jax.load('runs/mlp_digits')
      images = sampler.sample(64, seed=0)  # uint8 [64, H, W, C]

  Args:
    workdir: of the run.
    ema: take the moving average of G if the run keeps one; False takes the
      raw weights.

  Raises:
    InputError: there is no run, or no whole checkpoint.
  """
  return restore(workdir).sampler(ema=ema)


def _label(number: int) -> int | None:
  return None if number == -1 else number


def sample(config: Any, workdir: str | pathlib.Path) -> pathlib.Path:
  """Writes samples.png and samples.npz (uint8 `[N, H, W, C]`, `images`).

  Args:
    config: its `sample` section: num, seed, label, ema, truncation.
    workdir: of the run.

  Returns:
    The path of the PNG.
  """
  keys = config.sample
  build_lib.check_seed(keys.seed, 'sample.seed')
  trained = restore(workdir)
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
  with workdir_lib.atomic(path / 'samples.npz') as temporary:
    np.savez_compressed(temporary, **arrays)
  shown = images[:400]
  columns = sampler.num_classes if label is None else 0
  reporting.save_image(
    path / 'samples.png', reporting.labelled_grid(shown, columns)
  )
  weights = (
    'moving average' if keys.ema and trained.state.ema else 'raw weights'
  )
  print(
    f'{keys.num} images at step {int(trained.state.step)} ({weights}): '
    f'{path / "samples.npz"}; the first {len(shown)}: {path / "samples.png"}'
  )
  return path / 'samples.png'


def interpolate(config: Any, workdir: str | pathlib.Path) -> list[pathlib.Path]:
  """Writes a latent walk as interpolation.png (a strip) and two GIFs.

  Args:
    config: its `interpolate` section: num_points, steps, seed, label.
    workdir: of the run.

  Returns:
    The paths written.
  """
  keys = config.interpolate
  build_lib.check_seed(keys.seed, 'interpolate.seed')
  sampler = load(workdir)
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


def evaluate(config: Any, workdir: str | pathlib.Path) -> dict[str, Any]:
  """Scores a run and writes evaluation.json.

  D's accuracy on held-out reals and on fakes, and the mean distance of fakes
  to their nearest train and test images. The two reference sets are of equal
  size, else the larger would lie closer; the distance between held-out and
  training images stands beside as a yardstick.

  Args:
    config: its `eval` section: num_samples, seed.
    workdir: of the run.

  Returns:
    The scores, with the exact number of images behind each.
  """
  keys = config.eval
  if keys.num_samples < 1:
    raise InputError(f'eval.num_samples: {keys.num_samples} is not at least 1')
  build_lib.check_seed(keys.seed, 'eval.seed')
  trained = restore(workdir)
  path = workdir_lib.prepare(workdir)
  data_keys = build_lib.dataset_keys(trained.config)
  if config.data.dir:
    data_keys['dir'] = config.data.dir
  dataset = data.load_dataset(**data_keys)
  workdir_lib.check_data(path, dataset.info)
  num_real = min(keys.num_samples, len(dataset.train), len(dataset.test))
  choice = np.random.default_rng(keys.seed)
  train, test = (
    images.read(np.sort(choice.permutation(len(images))[:num_real]))
    for images in (dataset.train, dataset.test)
  )
  sampler = trained.sampler()
  fake = sampler.sample(keys.num_samples, seed=keys.seed)
  fake_labels = sampler.labels(keys.num_samples)
  state = trained.state
  variables = {'params': state.params.disc, **state.model_state.disc}

  def logits(images, labels):
    return disc_logits(
      lambda x, y: trained.model.networks.disc.apply(
        variables, x, y, train=False
      ),
      images,
      labels,
    )

  labels = test['labels'] if trained.config.conditional else None
  loss = build_lib.loss_of(trained.config)
  scores = {
    'step': int(state.step),
    'weights': 'raw' if state.ema is None else 'ema',
    'seed': keys.seed,
    **accuracy(
      logits(test['images'], labels), logits(fake, fake_labels), loss.boundary
    ),
    'nearest_train': float(nearest_distances(fake, train['images']).mean()),
    'nearest_test': float(nearest_distances(fake, test['images']).mean()),
    'nearest_train_of_test': float(
      nearest_distances(test['images'], train['images']).mean()
    ),
    'num_fake': len(fake),
    'num_test': num_real,
    'num_train': num_real,
  }
  workdir_lib.write_json(path / 'evaluation.json', scores)
  _print_scores(scores, path / 'evaluation.json')
  return scores


def _print_scores(scores: dict[str, Any], path: pathlib.Path) -> None:
  lines = [
    ('D accuracy on held-out reals', 'disc_accuracy_real', 'num_test', ''),
    ('D accuracy on fakes', 'disc_accuracy_fake', 'num_fake', ''),
    ('fake to nearest train image', 'nearest_train', 'num_fake', 'num_train'),
    ('fake to nearest test image', 'nearest_test', 'num_fake', 'num_test'),
    (
      'test to nearest train image',
      'nearest_train_of_test',
      'num_test',
      'num_train',
    ),
  ]
  print(f'step {scores["step"]}, {scores["weights"]} weights of G')
  for text, name, count, among in lines:
    behind = f'n = {scores[count]}'
    if among:
      behind += f' among {scores[among]}, Euclidean, pixels in [0, 1]'
    print(f'  {text:30}{scores[name]:8.4f}   ({behind})')
  print(f'written to {path}')

"""Small configs, toy games and comparisons that several tests share."""

import functools
import importlib.util
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
import pytest

from gan_jax.data import DatasetInfo
from gan_jax.networks import NETWORKS, make_networks, network_keys
from gan_jax.sampling.priors import draw_latents
from gan_jax.solvers import ALONE, SOLVERS
from gan_jax.types import Batch, Column, Task, Verdict
from gan_jax.workdir.logs import read_metrics

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted(
  path.stem
  for path in (ROOT / 'configs').glob('[a-z]*.py')
  if path.stem != 'base'
)


# When one read of a checkpoint fails, orbax leaves the others to the garbage
# collector, each with a traceback.
abandoned_reads = pytest.mark.filterwarnings(
  'ignore::pytest.PytestUnraisableExceptionWarning'
)


# Values of a case of a matrix that is slow.
slow = functools.partial(pytest.param, marks=pytest.mark.slow)


def sampled(cases: Iterable[Any], *fast: Any) -> list[Any]:
  """Cases of a matrix: those named are fast, the others slow."""
  return [
    case if case in fast else slow(*case if isinstance(case, tuple) else [case])
    for case in cases
  ]


TWO_PLAYERS = sorted(set(SOLVERS) - set(ALONE))  # solvers that move both

# Keys of SGD: Adam divides by the size of a gradient, which may be rounding
# alone.
SGD = {
  f'{player}_optimizer__{key}': value
  for player in ('gen', 'disc')
  for key, value in dict(
    name='sgd', b1=None, b2=None, learning_rate=0.1
  ).items()
}


def load_config(name: str, **overrides: Any):
  """A locked config by name, with dotted keys written as `data__name=...`."""
  sys.path.insert(0, str(ROOT))
  try:
    spec = importlib.util.spec_from_file_location(
      name, ROOT / 'configs' / f'{name}.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
  finally:
    sys.path.remove(str(ROOT))
  config.lock()
  config.update_from_flattened_dict(
    {key.replace('__', '.'): value for key, value in overrides.items()}
  )
  return config


# Architectures that draw by class alone, and from a source alone.
BY_CLASS = {'biggan'}
BY_SOURCE = {'pix2pix'}
ENLARGING = {'srgan', 'msrresnet', 'esrgan'}  # that take nothing else
LARGER = {'stackgan', 'hologan', 'pigan'}  # with tests of their own
TOLD = [name for name in NETWORKS if name not in ENLARGING | LARGER]
# The others of these, which many tests go through.
DRAWING = [name for name in TOLD if name not in BY_SOURCE]


def tiny_keys(network: str) -> dict[str, Any]:
  """Overrides that make an architecture small, written as in `load_config`."""
  widths = (4, 4) if network == 'conv' else (8, 8)
  width = {'sagan': 8, 'biggan': 2}.get(network, 4)  # attention takes an eighth
  keys = dict(
    gen_width=width, disc_width=width, gen_widths=(8, 8), disc_widths=widths
  )
  keys |= dict(channel_max=4, style_dim=6, mapping_depth=2, blocks=1, groups=2)
  keys |= dict(growth=2, pooled=True, condition_dim=5, text_dim=4)
  keys |= dict(disc_layers=1, field_depth=2, samples=3)
  valid = network_keys(network)
  return {f'network__{key}': keys[key] for key in keys if key in valid}


def tiny_digits(**overrides: Any):
  """The default config on the embedded data, tiny and single-device."""
  keys = dict(
    batch_size=8,
    num_steps=12,
    latent_dim=4,
    num_devices=1,
    steps_per_dispatch=4,
    log_every=4,
    sample_every=8,
    checkpoint_every=4,
    **tiny_keys('mlp'),
  )
  return load_config('mlp_digits', **(keys | overrides))


TINY_DENOISER = dict(
  network__name='unet',
  network__gen_widths=(4, 8),
  network__blocks=1,
  network__norm_groups=2,
  diffusion__noise_steps=20,
  denoise__steps=3,
)


def tiny_one_player(game: str, /, **overrides: Any):
  """As `tiny_digits`, of a game without D."""
  keys = dict(
    game=game,
    solver='descent',
    network__disc_widths=None,
    disc_optimizer__b1=None,
    disc_optimizer__b2=None,
  )
  if game == 'diffusion':
    keys |= TINY_DENOISER
  return tiny_digits(**(keys | overrides))


def fake_info(shape=(8, 8, 1), num_classes: int = 3) -> DatasetInfo:
  """A dataset's description without the dataset."""
  names = tuple(str(i) for i in range(num_classes))
  return DatasetInfo('fake', tuple(shape), names, 100, 10)


def with_source(info: DatasetInfo, batch: Batch) -> tuple[DatasetInfo, Batch]:
  """Both with a source and another domain of the images' shape, and a text."""
  given = batch.given | {'source': np.flip(batch.images, axis=0)}
  given['other'] = np.flip(batch.images, axis=1)
  given['text'] = np.arange(2 * len(batch.images)).reshape(-1, 2) % 4
  given['pose'] = np.zeros((len(batch.images), 2), np.float32)
  columns = {'source': info.image_shape, 'other': info.image_shape}
  columns |= {'text': (2,), 'pose': (2,)}
  info = info._replace(columns=columns, vocabulary=('a', 'cat'))
  return info, batch._replace(given=given)


def fake_batch(
  size: int = 4, shape=(8, 8, 1), num_classes: int = 3, seed: int = 0
) -> Batch:
  """Random images with labels."""
  rng = np.random.default_rng(seed)
  images = rng.uniform(-1, 1, (size, *shape)).astype(np.float32)
  labels = rng.integers(0, num_classes, size).astype(np.int32)
  given = {'labels': labels} if num_classes else {}
  return Batch(images, given, np.arange(size, dtype=np.int32))


def task_of(shape=(8, 8, 1), num_classes: int = 0, latent_dim: int = 4) -> Task:
  """A task with labels or without, and normal latents."""
  given = {'labels': Column((), 'int32', num_classes)} if num_classes else {}
  draw = functools.partial(draw_latents, prior='normal', latent_dim=latent_dim)
  return Task(tuple(shape), given, draw)


def output_of(y):
  """Images, or the logits of a verdict that says nothing else."""
  assert not (isinstance(y, Verdict) and y.guesses)
  return y.logits if isinstance(y, Verdict) else y


def make_pair(name: str, shape, *, num_classes: int = 0, **keys):
  """An architecture's networks for images of a shape."""
  return make_networks(name, task_of(shape, num_classes), **keys)


def stack_draws(*batches: Batch) -> Batch:
  """Batches on a leading axis, as a training step takes them."""
  return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)


def assert_same_bits(a: Any, b: Any) -> None:
  """Fails unless two trees agree in structure and in every bit."""
  assert jax.tree.structure(a) == jax.tree.structure(b)
  paths = jax.tree_util.tree_leaves_with_path(a)
  for (path, x), y in zip(paths, jax.tree.leaves(b), strict=True):
    x, y = np.asarray(x), np.asarray(y)
    assert (x.dtype, x.shape) == (y.dtype, y.shape), path
    assert x.tobytes() == y.tobytes(), jax.tree_util.keystr(path)


def assert_close(actual, expected, tolerance):
  """Same structure, dtypes and shapes; values to a share of their size."""
  assert jax.tree.structure(actual) == jax.tree.structure(expected)
  for (path, x), y in zip(
    jax.tree_util.tree_leaves_with_path(actual),
    jax.tree.leaves(expected),
    strict=True,
  ):
    assert (x.shape, x.dtype) == (y.shape, y.dtype), path
    # A bias before batch norm has no gradient but rounding: this is its floor.
    scale = max(float(np.max(np.abs(y), initial=0)), 1e-2)
    np.testing.assert_allclose(
      np.float64(x),
      np.float64(y),
      rtol=0,
      atol=tolerance * scale,
      err_msg=jax.tree_util.keystr(path),
    )


def differs(a: Any, b: Any) -> bool:
  """Whether any leaf differs."""
  return any(
    not np.array_equal(x, y)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


def run_cli(
  *arguments: str,
  env: Mapping[str, str] | None = None,
  timeout: float = 300.0,
) -> subprocess.CompletedProcess:
  """Runs run.py as a user would, in a process of its own."""
  return subprocess.run(
    [sys.executable, str(ROOT / 'run.py'), *arguments],
    capture_output=True,
    text=True,
    timeout=timeout,
    env=cli_environment() | dict(env or {}),
    check=False,
  )


def cli_environment(*, optimised: bool = False) -> dict[str, str]:
  """This environment, without what the tests changed for themselves.

  Programs compile as quickly as in tests, or run as fast as for users.
  """
  dropped = {'NPROC', 'PYTEST_CURRENT_TEST'}
  if optimised:
    dropped.add('XLA_FLAGS')
  return {k: v for k, v in os.environ.items() if k not in dropped}


def run_experiment(
  name: str, *arguments: str, timeout: float | None = None
) -> subprocess.CompletedProcess:
  """An experiment as users run it: its steps are worth XLA's optimisation."""
  return subprocess.run(
    [sys.executable, str(ROOT / 'experiments' / f'{name}.py'), *arguments],
    capture_output=True,
    text=True,
    timeout=timeout,
    env=cli_environment(optimised=True),
    cwd='/',
    check=False,
  )


def start_cli(*flags: str) -> subprocess.Popen:
  """As `run_cli`, without waiting for the end."""
  return subprocess.Popen(
    [sys.executable, str(ROOT / 'run.py'), *flags],
    env=cli_environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def timeless_rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of metrics.jsonl without what depends on the machine's speed."""
  found = read_metrics(workdir)
  for row in found:
    row.pop('images_per_second', None)
  return found


def tiny_flags(workdir: Any, **overrides: Any) -> list[str]:
  """Flags of a tiny run, for `run_cli`; overrides as in `load_config`."""
  keys = dict(
    batch_size=8,
    num_steps=4,
    latent_dim=4,
    network__gen_widths='8,8',
    network__disc_widths='8,8',
    steps_per_dispatch=2,
    log_every=2,
  )
  flags = [f'--workdir={workdir}']
  for key, value in (keys | overrides).items():
    flags.append(f'--config.{key.replace("__", ".")}={value}')
  return flags

"""Whether a change of the code has changed a run: bits before against after.

  python benchmarks/fingerprints.py before.json           # before the change
  python benchmarks/fingerprints.py before.json --check   # after it

Fourteen short runs on one device of the CPU. Of each: the state, the rows of
metrics (times aside) and the last grid. Of three, also the program of a step,
as it is lowered. Bits are those of one machine: the file is worth nothing on
another.
"""

import argparse
import collections
import hashlib
import importlib
import json
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
# Programs compile in a quarter of the time so; bits are those of these flags.
os.environ['XLA_FLAGS'] = ' '.join(
  (
    os.environ.get('XLA_FLAGS', ''),
    '--xla_backend_optimization_level=0',
    '--xla_llvm_disable_expensive_passes=true',
  )
)
os.environ['JAX_PLATFORMS'] = 'cpu'

import jax
import numpy as np

import gan_jax
from gan_jax.config import plan as plans
from gan_jax.data import load_dataset
from gan_jax.devices import parallel
from gan_jax.training import dispatch, runs
from gan_jax.workdir.trained import restore

NUM_STEPS = 40
SMALL = {'batch_size': 16}
# Name -> config and what it changes.
RUNS = {
  'mlp_mnist': ('mlp_mnist', {}),
  'mlp_bn_mnist': ('mlp_bn_mnist', {}),
  'cgan_mnist': ('cgan_mnist', {}),
  'lsgan_mnist': ('lsgan_mnist', SMALL),
  'conv_mnist': ('conv_mnist', SMALL),
  'dcgan_mnist': ('dcgan_mnist', SMALL),
  'dcgan_cifar': ('dcgan_cifar', SMALL),
  'cdcgan_fashion': ('cdcgan_fashion', SMALL),
  'wgan_gp_mnist': ('wgan_gp_mnist', SMALL),
  'wgan_cifar': ('wgan_cifar', SMALL),
  'hinge_spectral': (
    'mlp_digits',
    {'conditional': True, 'loss': 'hinge', 'network.disc_norm': 'spectral'},
  ),
  'r1_unrolled': (
    'mlp_digits',
    {'penalty': 'r1', 'solver': 'unrolled', 'num_seeds': 2},
  ),
  'tricks': (
    'mlp_digits',
    {
      'tricks.label_flip': 0.1,
      'tricks.feature_matching': 0.5,
      'tricks.feature_matching_alone': False,
      'tricks.lecam_weight': 0.1,
      'tricks.consistency_weight': 1.0,
      'tricks.fake_consistency_weight': 1.0,
      'tricks.augment': 'ada',
      'tricks.noise_std': 0.1,
      'tricks.num_discs': 2,
      'tricks.lookahead_steps': 5,
    },
  ),
  'virtual_packed': (
    'mlp_digits',
    {
      'network.disc_norm': 'virtual',
      'network.reference_size': 8,
      'tricks.packing': 2,
      'tricks.relativistic': 'average',
    },
  ),
}
LOWERED = ('mlp_mnist', 'dcgan_cifar', 'wgan_gp_cifar')
_TIMES = re.compile('second|per_sec|time|memory|bytes')


def config_of(name, changes, cifar):
  """A config of configs/ with changes, short and on one device."""
  config = importlib.import_module(f'configs.{name}').get_config()
  if config.data.name == 'cifar10':
    config.data.name = cifar
  short = {'num_devices': 1, 'num_steps': NUM_STEPS, 'log_every': 10}
  short |= {'sample_every': NUM_STEPS, 'checkpoint_every': NUM_STEPS}
  config.update_from_flattened_dict(short | changes)
  return config


def digest(*parts: bytes) -> str:
  """Of the parts in order."""
  return hashlib.sha256(b'\n'.join(parts)).hexdigest()[:16]


def of_state(state) -> str:
  """Of all leaves of a state, in order."""
  leaves = []
  for leaf in jax.tree.leaves(state):
    leaf = np.asarray(leaf)
    leaves += [str((leaf.shape, leaf.dtype)).encode(), leaf.tobytes()]
  return digest(*leaves)


def of_run(name: str, folder: pathlib.Path, cifar: str) -> dict[str, str]:
  """Trains, and takes the fingerprints of what is left."""
  workdir = folder / name
  gan_jax.train(config_of(*RUNS[name], cifar), workdir)
  rows = [
    {k: v for k, v in json.loads(line).items() if not _TIMES.search(k)}
    for line in (workdir / 'metrics.jsonl').read_text().splitlines()
  ]
  grid = workdir / f'samples/step_{NUM_STEPS:08d}.png'
  return {
    'state': of_state(restore(workdir).state),
    'rows': digest(json.dumps(rows, sort_keys=True).encode()),
    'grid': digest(grid.read_bytes()),
  }


def of_program(name: str, cifar: str) -> dict[str, object]:
  """The program of one step as it is lowered: its text, and its operations."""
  plan = plans.read(config_of(name, {}, cifar))
  dataset = load_dataset(**plan.dataset())
  devices = parallel.select_devices(1)
  with tempfile.TemporaryDirectory() as folder:
    run = runs.assemble(plan, pathlib.Path(folder), dataset, devices)
  draws = dispatch.take_draws(run.feed.draws(0), 1, plan.schedule.disc_steps)
  key = jax.random.key(0)
  abstract = jax.eval_shape(run.model.init, key)
  step = dispatch.make_dispatch(run.model, run.feed.decode)
  text = jax.jit(step).lower(abstract, (run.feed.resident, key), draws)
  text = text.as_text()
  operations = collections.Counter(re.findall(r'= "?(\w+\.\w+)', text))
  return {
    'text': digest(re.sub(r'@[\w.]+', '@', text).encode()),
    'operations': dict(sorted(operations.items())),
  }


def main() -> None:
  """Writes all fingerprints, or compares with those written before."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('file', type=pathlib.Path)
  parser.add_argument('--check', action='store_true', help='compare')
  parser.add_argument('--only', default='', help='names, by commas')
  parser.add_argument('--folder', type=pathlib.Path, help='keep workdirs here')
  parser.add_argument('--cifar', default='cifar10', help='its name in TFDS')
  flags = parser.parse_args()
  before = json.loads(flags.file.read_text()) if flags.check else {}
  names = [n for n in flags.only.split(',') if n]
  folder = flags.folder or pathlib.Path(tempfile.mkdtemp())
  found = {}
  for name in LOWERED:
    if not names or name in names:
      found[f'{name}: program'] = of_program(name, flags.cifar)
  for name in RUNS:
    if not names or name in names:
      found[name] = of_run(name, folder, flags.cifar)
  if not flags.check:
    flags.file.write_text(json.dumps(found, indent=1))
    return
  wrong = 0
  for name, now in found.items():
    same = {part: before[name][part] == value for part, value in now.items()}
    wrong += not all(same.values())
    words = [f'{k} {"equal" if v else "DIFFERS"}' for k, v in same.items()]
    print(f'{name:24s}', ', '.join(words))
  sys.exit(f'{wrong} differ' if wrong else 0)


if __name__ == '__main__':
  main()

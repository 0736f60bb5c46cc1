"""What each remedy costs per training step, against the step without it.

  python benchmarks/trick_costs.py

Both programs run in turn, in one process, on the same batch; the ratio is of
the fastest of several turns each. What is off costs nothing: its step is the
plain one, operation by operation, as tests/tricks/test_tricks.py holds.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from configs import base
from gan_jax.config.build import build
from gan_jax.data import DatasetInfo
from gan_jax.devices import compiling
from gan_jax.types import Batch

TRICKS = {
  'tricks.relativistic=paired': {'tricks.relativistic': 'paired'},
  'tricks.relativistic=average': {'tricks.relativistic': 'average'},
  'tricks.label_flip': {'tricks.label_flip': 0.1},
  'label_smoothing': {'label_smoothing': 0.1},
  'tricks.top_k_share': {'tricks.top_k_share': 0.5},
  'tricks.packing=2': {'tricks.packing': 2},
  'tricks.noise_std': {'tricks.noise_std': 0.1},
  'tricks.augment=diffaugment': {'tricks.augment': 'diffaugment'},
  'tricks.augment=ada': {'tricks.augment': 'ada'},
  'tricks.feature_matching': {'tricks.feature_matching': 1.0},
  'tricks.lecam_weight': {'tricks.lecam_weight': 0.3},
  'tricks.consistency_weight': {'tricks.consistency_weight': 10.0},
  'tricks.num_discs=3': {'tricks.num_discs': 3},
  'tricks.disc_accuracy_limit': {'tricks.disc_accuracy_limit': 0.8},
  'tricks.lookahead_steps=5': {'tricks.lookahead_steps': 5},
  'network.disc_minibatch=stddev': {'network.disc_minibatch': 'stddev'},
  'network.disc_minibatch=discrimination': {
    'network.disc_minibatch': 'discrimination',
    'network.minibatch_kernels': 50,
  },
  'network.gen_norm=virtual': {
    'network.gen_norm': 'virtual',
    'network.reference_size': 64,
  },
  'network.disc_norm=spectral': {'network.disc_norm': 'spectral'},
  'weight_clip': {'weight_clip': 0.01},
  'penalty=r1': {'penalty': 'r1'},
  'penalty=r1_r2': {'penalty': 'r1_r2'},
  'penalty=dragan': {'penalty': 'dragan'},
  'penalty=wgan_gp': {'penalty': 'wgan_gp'},
  'gen_optimizer, disc_optimizer.clip_norm': {
    'gen_optimizer.clip_norm': 1.0,
    'disc_optimizer.clip_norm': 1.0,
  },
  '*_optimizer.historical_weight': {
    'gen_optimizer.historical_weight': 0.1,
    'disc_optimizer.historical_weight': 0.1,
  },
  '*_optimizer.orthogonal_weight': {
    'gen_optimizer.orthogonal_weight': 1e-4,
    'disc_optimizer.orthogonal_weight': 1e-4,
  },
  'ema_decay': {'ema_decay': 0.999},
  'gen_steps=2': {'gen_steps': 2},
  'disc_steps=2': {'disc_steps': 2},
  'solver=unrolled, 5': {'solver': 'unrolled', 'unroll_steps': 5},
}
NETWORKS = {
  'MLP, 8x8': (
    (8, 8, 1),
    {
      'network.gen_widths': (128, 256),
      'network.disc_widths': (256, 128),
      'latent_dim': 32,
    },
    50,
  ),
  'DCGAN, 32x32': (
    (32, 32, 3),
    {
      'network.name': 'dcgan',
      'network.gen_width': 32,
      'network.disc_width': 32,
      'network.disc_norm': 'none',
    },
    2,
  ),
}
BATCH, TURNS = 64, 5


def steps_of(shape, keys, num_steps):
  """A compiled dispatch of some steps on one batch, and its arguments."""
  config = base.get_config()
  config.batch_size = BATCH
  config.update_from_flattened_dict(keys)
  info = DatasetInfo('random', shape, (), 1_000, 100)
  model = build(config, info)
  rng = np.random.default_rng(0)
  images = rng.uniform(-1, 1, (config.disc_steps, BATCH, *shape))
  positions = np.arange(BATCH, dtype=np.int32)
  batches = Batch(
    np.float32(images),
    {},
    np.broadcast_to(positions, (config.disc_steps, BATCH)),
  )

  def run(state, key):
    def step(state, _):
      key_now = jax.random.fold_in(key, state.step)
      return model.train_step(state, batches, key_now)

    return jax.lax.scan(step, state, length=num_steps)

  options = compiling.COMPILER_OPTIONS.get(jax.default_backend(), {})
  key = jax.random.key(0)
  return (
    compiling.compile_with(run, options),
    jax.jit(model.init)(key),
    key,
  )


def seconds(program, state, key) -> float:
  """Of one call."""
  started = time.perf_counter()
  jax.block_until_ready(program(state, key))
  return time.perf_counter() - started


def ratio(network: str, keys: dict) -> float:
  """Time of a step with a trick in steps without."""
  shape, of_network, num_steps = NETWORKS[network]
  programs = [
    steps_of(shape, of_network | own, num_steps) for own in ({}, keys)
  ]
  for program in programs:
    seconds(*program)
  turns = [[seconds(*program) for program in programs] for _ in range(TURNS)]
  plain, tricked = np.min(turns, axis=0)
  return tricked / plain


def main() -> None:
  """Prints the table."""
  compiling.enable_compilation_cache()
  print(f'| key | {" | ".join(NETWORKS)} |')
  print(f'|---|{"---|" * len(NETWORKS)}')
  for name, keys in TRICKS.items():
    cells = [f'{ratio(network, keys):.2f}' for network in NETWORKS]
    print(f'| `{name}` | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
  main()

"""About how long a full run of each config would take on this processor.

  python benchmarks/full_runs.py                 # all of them, five minutes
  python benchmarks/full_runs.py --configs=NAME  # one, counted anew
  python benchmarks/full_runs.py --peak          # the processor, on its own

Counts the operations of every config's steps, as XLA counts them before it
optimises, and what a large product reaches here. The quotient is a time on the
low side: little runs at the speed of such a product. Written to
docs/results/costs/full_runs.json, of which `make results` makes a table.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import scaling
from benchmarks.gpu import CONFIGS
from benchmarks.pixels import shape_of
from benchmarks.training_speed import matmul_peak
from experiments import common
from gan_jax.config import stages
from gan_jax.data import DatasetInfo
from gan_jax.data.derive import make_derive
from gan_jax.workdir import layout

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILE = ROOT / 'docs' / 'results' / 'costs' / 'full_runs.json'
NOT_IMAGES = ('search_digits',)  # a search, whose runs are mlp_digits
FEW = 2  # numbers of a pose, and words of a text
_PHOTOS = 'its images: a folder of photographs as large'
_CIFAR = 'CIFAR-10 itself: a JPEG copy is at hand'
# Configs of which no full run was made -> what they lack beside time.
NOT_RUN = {
  'biggan_128': _PHOTOS,
  'biggan_32': _CIFAR,
  'cyclegan_256': _PHOTOS,
  'cyclegan_mnist_usps': 'USPS',
  'dcgan_64': _PHOTOS,
  'ddpm_cifar': _CIFAR,
  'esrgan_x4': _PHOTOS,
  'hologan_64': _PHOTOS,
  'pigan_64': _PHOTOS,
  'pix2pix_256': _PHOTOS,
  'progressive_128': _PHOTOS,
  'r3gan_cifar': _CIFAR,
  'sagan_128': _PHOTOS,
  'sngan_cifar': _CIFAR,
  'srgan_x4': _PHOTOS,
  'stackgan_256': _PHOTOS,
  'stylegan2_256': _PHOTOS,
  'stylegan2_ada_cifar': _CIFAR,
  'wgan_cifar': _CIFAR,
  'wgan_gp_cifar': _CIFAR,
}


# --- To count -----------------------------------------------------------------


def names() -> list[str]:
  """All configs that train on images."""
  return [name for name in CONFIGS if name not in NOT_IMAGES]


def operations(name: str) -> tuple[int, float]:
  """Steps of a config, and floating-point operations of all of them.

  Without a perceptual loss, whose weights are a file; of a loop, one turn; of
  terms that are lazy (`*_every`), as if every step had them.
  """
  config, info = scaling.config_of(name)
  total = 0.0
  for stage in stages.stages_of(config):
    own = stages.config_of(config, stage)
    own.perceptual.weight = 0.0
    total += (stage.end - stage.start) * scaling.flops(own, sized(own, info))
  return config.num_steps, total


def sized(config: Any, info: DatasetInfo) -> DatasetInfo:
  """Its data in the size that a stage asks for, with what is given."""
  shape = shape_of(config)
  derive = make_derive(config.data.derive, config.data.derive_factor, shape)
  shapes = {'source': derive.shape if derive else shape, 'other': shape}
  columns = {name: shapes.get(name, (FEW,)) for name in config.given}
  words = ('a', 'cat') if 'text' in columns else ()
  return info._replace(image_shape=shape, columns=columns, vocabulary=words)


# --- To show ------------------------------------------------------------------


def section(costs: Mapping[str, Any]) -> str:
  """The part of docs/reproducing.md on configs without a full run.

  Args:
    costs: what `main` wrote.
  """
  rate, configs = costs['operations_per_second'], costs['configs']
  hours = {n: configs[n]['operations'] / rate / 3600 for n in NOT_RUN}
  rows = [
    [
      f'`{name}`',
      f'{configs[name]["steps"]:,}',
      _duration(hours[name]),
      why,
    ]
    for name, why in sorted(NOT_RUN.items(), key=lambda item: hours[item[0]])
  ]
  heads = ['config', 'steps', 'time at the peak', 'what else is missing']
  return (
    '## Configs without a full run\n\nThey build and take steps in the tests. '
    'The times are an estimate for two CPU cores, on the\nlow side: the '
    'operations of all steps, as XLA counts them, at the '
    f'{rate / 1e9:.0f} GFLOP/s that a large\nfloat32 product reaches there '
    '(`python benchmarks/full_runs.py`).\n\n'
    f'{common.markdown(heads, rows)}'
  )


def _duration(hours: float) -> str:
  """Minutes, hours or days, whichever reads best."""
  if hours < 1:
    return f'{60 * hours:.2g} min'
  return f'{hours:.2g} h' if hours < 48 else f'{hours / 24:,.0f} days'


def main() -> None:
  """Counts, and writes the file after each config."""
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
  text = 'to be counted anew; the others stay as they are in the file'
  parser.add_argument(
    '--configs',
    nargs='*',
    default=[],
    choices=names(),
    metavar='NAME',
    help=text,
  )
  parser.add_argument('--peak', action='store_true', help='measure it anew')
  flags = parser.parse_args()
  everything = not (flags.configs or flags.peak)
  record = {'operations_per_second': 0.0, 'configs': {}}
  if FILE.is_file():
    record = layout.read_json(FILE)
  if flags.peak or everything:
    record['operations_per_second'] = matmul_peak()
  for name in names() if everything else flags.configs:
    steps, total = operations(name)
    record['configs'][name] = {'steps': steps, 'operations': total}
    print(f'{name}: {steps:,} steps, {total / 1e12:,.1f} TFLOP', flush=True)
    write(record)
  write(record)


def write(record: Mapping[str, Any]) -> None:
  """The file, without configs that there are no longer."""
  kept = {n: record['configs'][n] for n in names() if n in record['configs']}
  FILE.parent.mkdir(parents=True, exist_ok=True)
  layout.write_json(FILE, {**record, 'configs': kept})


if __name__ == '__main__':
  main()

"""What a full run of each config takes at least on this processor.

  python benchmarks/full_runs.py

Counts the operations of every config's steps, as XLA counts them before it
optimises, and what a large product reaches here. The quotient is a lower bound
of the time: nothing runs faster than its products at the peak. Written to
docs/results/costs/full_runs.json, of which `make results` makes a table.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import scaling
from benchmarks.training_speed import matmul_peak
from gan_jax.config import stages
from gan_jax.data import DatasetInfo
from gan_jax.storage.files import atomic
from gan_jax.workdir import layout

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILE = ROOT / 'docs' / 'results' / 'costs' / 'full_runs.json'
NOT_IMAGES = ('search_digits',)  # a search, whose runs are mlp_digits
POSE = 2  # numbers of a pose; of a text, its words


def names() -> list[str]:
  """All configs that train on images."""
  found = sorted(p.stem for p in ROOT.glob('configs/[a-z]*.py'))
  return [n for n in found if n not in ('base', *NOT_IMAGES)]


def operations(name: str) -> tuple[int, float]:
  """Steps of a config, and floating-point operations of all of them.

  Rather too few: no perceptual loss, whose weights are a file, and of a loop
  one turn.
  """
  config, info = scaling.config_of(name)
  total = 0.0
  for stage in stages.stages_of(config):
    own = stages.config_of(config, stage)
    own.perceptual.weight = 0.0
    total += (stage.end - stage.start) * scaling.flops(own, sized(own, info))
  return config.num_steps, total


def sized(config, info: DatasetInfo) -> DatasetInfo:
  """Its data in the size that the config asks for, with what is given."""
  height, width, channels = info.image_shape
  if size := config.data.crop or config.data.image_size:
    height = width = size
  shape = height, width, config.data.channels or channels
  images = ('source', 'other')
  columns = {n: shape if n in images else (POSE,) for n in config.given}
  words = ('a', 'cat') if 'text' in columns else ()
  return info._replace(image_shape=shape, columns=columns, vocabulary=words)


def main() -> None:
  """Counts, and writes the file."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  text = 'those to count anew; the others stay as they are in the file'
  parser.add_argument('--configs', nargs='*', default=names(), help=text)
  flags = parser.parse_args()
  peak = matmul_peak()
  found = layout.read_json(FILE)['configs'] if FILE.is_file() else {}
  for name in flags.configs:
    steps, total = operations(name)
    found[name] = {'steps': steps, 'operations': total}
    print(f'{name}: {steps:,} steps, {total / 1e12:,.1f} TFLOP', flush=True)
  found = {name: found[name] for name in names()}
  record = {'operations_per_second': peak, 'configs': found}
  FILE.parent.mkdir(parents=True, exist_ok=True)
  with atomic(FILE) as temporary:
    temporary.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
  main()

"""What came out of whole runs, as docs/reproducing.md and the README show it.

  python experiments/results.py --keep=RUN   # an evaluated run's figures
  python experiments/results.py              # the pages, from all that is kept

A run's figures are those of its metrics.json, with what says how to make them
again: the config, the keys that differ from it, seed, steps and time. They are
kept in docs/results, a file for each run and seed, and no number of the pages
is typed by hand.
"""

import collections
import importlib
import json
import pathlib
import re
import shlex
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks import full_runs
from experiments import common
from gan_jax.config import overrides
from gan_jax.evaluation import protocol
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import layout, logs, scored
from gan_jax.workdir.trained import read_plan

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEPT = ROOT / 'docs' / 'results'
PAGE, README = ROOT / 'docs' / 'reproducing.md', ROOT / 'README.md'
MARKS = '<!-- by make results -->', '<!-- to here -->'
Record = dict[str, Any]

# Config -> its family, in the order of the tables.
FAMILIES = {
  'mlp_mnist': 'MLP',
  'mlp_bn_mnist': 'MLP, batch norm',
  'conv_mnist': 'MLP against convolutions',
  'cgan_mnist': 'conditional MLP',
  'mlp_mnist:four_disc_steps': 'MLP, four D updates',
  'maxout_mnist': 'maxout, as in 2014',
  'dcgan_mnist': 'DCGAN',
  'lsgan_mnist': 'LSGAN',
  'wgan_gp_mnist': 'WGAN-GP',
  'cdcgan_fashion': 'conditional DCGAN',
  'acgan_mnist': 'ACGAN',
  'infogan_mnist': 'InfoGAN',
  'projection_mnist': 'SNGAN, projection',
  'sngan_fashion': 'SNGAN, projection',
  'biggan_mnist': 'BigGAN',
  'biggan_fashion': 'BigGAN',
  'progressive_mnist': 'Progressive GAN',
  'stylegan_fashion': 'StyleGAN',
  'stylegan2_mnist': 'StyleGAN2',
  'stylegan2_emoji': 'StyleGAN2',
  'r3gan_mnist': 'R3GAN',
  'edges_mnist': 'pix2pix',
  'colourise_cifar': 'pix2pix',
  'vae_mnist': 'VAE',
  'ddpm_mnist': 'DDPM',
}
_DATA = ('mnist', 'fashion_mnist')  # of the README
# Scores of the tables, by how their names begin -> the column's head.
COLUMNS = {
  'fid': 'FID',
  'precision': 'precision',
  'recall': 'recall',
  'label_accuracy': 'class asked for',
  'parzen': 'Parzen, nats',
  'psnr': 'PSNR, dB',
  'ssim': 'SSIM',
}
_PAIRED = {'psnr', 'ssim'}  # which need no features


class Group(NamedTuple):
  """Records of one config and the same changes, over seeds."""

  config: str
  changes: tuple[tuple[str, Any], ...]
  records: list[Record]


# --- To keep ------------------------------------------------------------------


def keep_run(
  run: pathlib.Path, folder: pathlib.Path = KEPT
) -> list[pathlib.Path]:
  """Writes the records of an evaluated run, of each of its seeds.

  Raises:
    InputError: it has not been evaluated, or its config is none of configs/.
  """
  plan, ensemble = read_plan(run)
  starts = layout.read_json(run / 'environment.json')['starts']
  config = _config_of(starts[-1]['command'])
  paths = []
  for number, found in scored.read(run).items():
    member = ensemble.by_number.get(number)
    seed = plan.fields['seed'] if member is None else member.seed
    step = found['protocol']['step']
    changes = _changes(config, plan.fields | {'num_steps': step})
    record = {
      'config': config,
      'changes': changes,
      'seed': seed,
      'seeds_at_once': len(ensemble.members),
      'commit': starts[-1]['git_commit'],
      **_course(run, step),
      'scores': found['scores'],
      'protocol': found['protocol'],
    }
    name = overrides.workdir(config, changes | {'seed': seed}, '.')
    path = folder / f'{pathlib.Path(name).name}.json'
    with atomic(path) as temporary:
      temporary.write_text(json.dumps(record, indent=1) + '\n')
    paths.append(path)
  return paths


def _config_of(command: Sequence[str]) -> str:
  """NAME or NAME:ARG of a command's config.

  Raises:
    InputError: it is none of configs/.
  """
  values, _ = overrides.take(command[1:], 'config')
  path, *argument = (values or ['mlp_digits'])[-1].split(':', 1)
  name = pathlib.Path(path).stem
  if not (ROOT / 'configs' / f'{name}.py').is_file():
    raise InputError(
      f'--keep: {path} is none of configs/, and what it was nobody could look '
      'up; keep runs of these'
    )
  return ':'.join([name, *argument])


def _changes(config: str, fields: Mapping[str, Any]) -> dict[str, Any]:
  """Keys of a run that are not as its config has them now."""
  name, *argument = config.split(':')
  module = importlib.import_module(f'configs.{name}')
  of_file = layout.flatten(module.get_config(*argument).to_dict())
  own = layout.flatten(fields)
  shapes = [key for key in of_file if not overrides.may_change(key)]
  return {
    key: own[key]
    for key in [*shapes, 'num_steps']
    if key not in ('seed', 'num_seeds') and own[key] != of_file[key]
  }


def _course(run: pathlib.Path, step: int) -> dict[str, Any]:
  """Steps, and the median speed of the log."""
  rows = [r for r in logs.read_metrics(run) if r['step'] <= step]
  speeds = [r['images_per_second'] for r in rows if r.get('images_per_second')]
  return {'steps': step, 'images_per_second': statistics.median(speeds)}


# --- To show ------------------------------------------------------------------


def read(folder: pathlib.Path = KEPT) -> list[Group]:
  """All that is kept, seeds of one config and the same changes together."""
  found = collections.defaultdict(list)
  for path in sorted(folder.glob('*.json')):
    record = layout.read_json(path)
    measure = [record['protocol'].get(key) for key in protocol.MEASURE]
    key = record['config'], record['changes'], record['steps'], measure
    found[json.dumps(key, sort_keys=True)].append(record)
  groups = [
    Group(records[0]['config'], tuple(records[0]['changes'].items()), records)
    for records in found.values()
  ]
  order = list(FAMILIES)
  return sorted(
    groups,
    key=lambda group: (
      order.index(group.config) if group.config in order else len(order),
      group.config,
      len(group.changes),
    ),
  )


def measure_of(record: Record) -> tuple[str, int, str]:
  """What scores of one table have in common: data, pixels, and by what."""
  own = record['protocol']
  if set(record['scores']) <= _PAIRED:
    by = f'Each beside the image that its source is of ({own["split"]})'
  else:
    digest = str(own.get('network_digest') or '')[:12]
    by = f'Features of {own["network"]} {digest}'.rstrip()
  return own['data'], own['image_shape'][0], by


def spread(values: Iterable[float], digits: int = 3) -> str:
  """Mean +- standard deviation over runs; of one run its value."""
  values = list(values)
  mean = f'{statistics.fmean(values):.{digits}g}'
  if len(values) == 1:
    return mean
  return f'{mean} ± {statistics.stdev(values):.2g}'


def values_of(group: Group, start: str) -> list[float]:
  """The score whose name begins so, of each seed; none unless all have it."""
  values = [
    entry['value']
    for record in group.records
    for name, entry in record['scores'].items()
    if re.fullmatch(rf'{start}(_[a-z]+)?', name)
  ]
  return values if len(values) == len(group.records) else []


def score(group: Group, start: str) -> str:
  """A cell: that score over the seeds."""
  values = values_of(group, start)
  return spread(values) if values else ''


def command(group: Group) -> str:
  """What makes the group's first run again."""
  path, *argument = group.config.split(':')
  flags = [f'--config={":".join([f"configs/{path}.py", *argument])}']
  for key, value in group.changes:
    if isinstance(value, list):
      value = tuple(value)
    flags.append(shlex.quote(f'--config.{key}={value}'))
  if group.records[0]['protocol']['data'].startswith('folder'):
    flags.insert(1, '--config.data.dir=DIR')
  return ' '.join(['python run.py', *flags])


def label(group: Group) -> str:
  """The config, and in short what is not as in it."""
  words = [f'`{group.config}`']
  for key, value in group.changes:
    section, _, name = key.rpartition('.')
    whose = {'gen_optimizer': "G's ", 'disc_optimizer': "D's "}.get(section, '')
    whole = isinstance(value, int) and not isinstance(value, bool)
    if key != 'num_steps':
      words.append(f'{whose}{name} {f"{value:,}" if whole else value}')
  return ', '.join(words)


def minutes(record: Record) -> float:
  """Of training, had all of it had its median speed."""
  seconds = record['protocol']['images_seen'] / record['images_per_second']
  return seconds / 60


def time_of(group: Group) -> str:
  """Minutes of training at the median speed, of one run or several at once."""
  text = spread(map(minutes, group.records), 2)
  together = group.records[0]['seeds_at_once']
  return f'{text}, {together} seeds at once' if together > 1 else text


def table(groups: Sequence[Group]) -> str:
  """Rows of one data and one network of features."""
  columns = [c for c in COLUMNS if any(score(g, c) for g in groups)]
  heads = ['run', 'seeds', 'steps', 'minutes']
  rows = [
    [
      label(group),
      str(len(group.records)),
      f'{group.records[0]["steps"]:,}',
      time_of(group),
      *(score(group, column) for column in columns),
    ]
    for group in groups
  ]
  return common.markdown([*heads, *(COLUMNS[c] for c in columns)], rows)


def page(groups: Sequence[Group]) -> str:
  """docs/reproducing.md."""
  parts = [
    '# Every kept run, and how to make it again\n\n'
    'Written by `make results` from the files of [results](results), which '
    'hold the scores\nwith their protocols; '
    '`python experiments/results.py --keep=RUN` adds an evaluated run.\n\n'
    '- Means and standard deviations over seeds, where there are several.\n'
    '- Minutes are those of training at its median speed: without compilation '
    'and pauses,\n  but some runs shared their cores with other work.\n'
    '- Scores of one table compare with each other, and with no other table.\n'
    '- What each score is: [metrics.md](metrics.md). Pictures, and what they '
    'show:\n  [results.md](results.md).\n'
  ]
  tables = collections.defaultdict(list)
  for group in groups:
    tables[measure_of(group.records[0])].append(group)
  for (data, pixels, by), own in tables.items():
    fakes = sorted({r['protocol']['num_fake'] for g in own for r in g.records})
    commands = '\n'.join(command(group) for group in own)
    parts.append(
      f'## {data}, {pixels} pixels\n\n{by}; '
      f'{" or ".join(f"{n:,}" for n in fakes)} fakes.\n\n'
      f'{table(own)}\n```\n{commands}\n```\n'
    )
  return '\n'.join(parts)


def best(groups: Sequence[Group]) -> str:
  """The README's table: of each family and dataset the config of lowest FID.

  Configs as they are, but for the number of steps; what else differs from them
  is in docs/reproducing.md.
  """
  found: dict[tuple[str, int, str], Group] = {}
  for group in groups:
    data, pixels, *_ = measure_of(group.records[0])
    key = data.split()[0], pixels, FAMILIES.get(group.config, '')
    known = data.split()[0] in _DATA and key[-1] and score(group, 'fid')
    if not known or set(dict(group.changes)) - {'num_steps'}:
      continue
    if key not in found or _fid(group) < _fid(found[key]):
      found[key] = group
  rows = [
    [
      family,
      f'{data}, {pixels}',
      label(group).split(',')[0],
      f'{group.records[0]["steps"]:,}',
      time_of(group).replace(' seeds at once', ' at once'),
      f'{score(group, "fid")} ({len(group.records)})',
      score(group, 'precision'),
      score(group, 'recall'),
    ]
    for (data, pixels, family), group in sorted(
      found.items(), key=lambda item: (_DATA.index(item[0][0]), item[0][1])
    )
  ]
  heads = ['family', 'data, pixels', 'config', 'steps', 'minutes']
  heads += ['`fid_classifier` (seeds)', 'precision', 'recall']
  return common.markdown(heads, rows)


def _fid(group: Group) -> float:
  return statistics.fmean(values_of(group, 'fid'))


def pages(groups: Sequence[Group]) -> dict[pathlib.Path, str]:
  """The text of each page that shows results."""
  start, end = MARKS
  text = README.read_text()
  before, _, rest = text.partition(start)
  _, found, after = rest.partition(end)
  if not found:
    raise InputError(f'README.md: "{start}" and "{end}" do not stand in it')
  shown = f'{before}{start}\n\n{best(groups)}\n{end}{after}'
  rest = full_runs.section(layout.read_json(full_runs.FILE))
  return {PAGE: f'{page(groups)}\n{rest}', README: shown}


def experiment(out: pathlib.Path, keep: str) -> None:
  """Keeps a run if one is named, and writes the pages."""
  del out
  if keep:
    for path in keep_run(layout.absolute(keep)):
      print(f'  kept    {path.relative_to(ROOT)}')
  for path, text in pages(read()).items():
    with atomic(path) as temporary:
      temporary.write_text(text)
    print(f'  page    {path.relative_to(ROOT)}')


if __name__ == '__main__':
  common.run(
    experiment, __doc__, keep=('', 'folder of an evaluated run to be kept')
  )

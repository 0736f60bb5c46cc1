"""What the players are told: `conditional`, `given`, and what the data has."""

import functools
from typing import Any

from gan_jax.data import DatasetInfo
from gan_jax.features import texts
from gan_jax.sampling import tokens
from gan_jax.sampling.priors import draw_latents
from gan_jax.types import Column, InputError, Task, lookup

Config = Any

# Names that `given` may have -> how data comes by such a column.
WAYS = {
  'source': (
    'set data.derive to grey, edges, low_res or masked, or take pairs with '
    'data.layout=paired or halves'
  ),
  'other': 'take two folders A and B with data.layout=unpaired',
  'text': 'captions are read beside the images of data.name=folder',
  'pose': 'poses are read beside the images of data.name=folder',
}


def check(config: Config) -> None:
  """Raises InputError for a name that there is not, or one given twice."""
  names = config.given
  if not isinstance(names, tuple | list):
    raise InputError(f'given: {names!r} is no list of names')
  for name in map(str, names):
    if name == 'labels':
      raise InputError('given: labels are given by conditional=True')
    lookup(WAYS, name, 'given')
  lookup(dict.fromkeys(texts.NAMES), config.text.encoder, 'text.encoder')
  if config.text.encoder != texts.WORDS and 'text' not in names:
    raise InputError(
      f'text.encoder: {config.text.encoder} reads captions, and nobody is told '
      'them; set given=text, or text.encoder=words'
    )
  if len(set(map(str, names))) < len(names):
    raise InputError(f'given: {", ".join(names)} has a name twice')


def advice(config: Config) -> list[str]:
  """A line about a column that is made and nobody is told."""
  key, name = '', 'source'
  if config.data.derive != 'none':
    key = f'data.derive={config.data.derive}'
  elif config.data.layout != 'single':
    key = f'data.layout={config.data.layout}'
    name = 'other' if config.data.layout == 'unpaired' else 'source'
  if not key or name in config.given:
    return []
  return [f'{key} makes a column that nobody is told; consider given={name}']


def task_of(config: Config, info: DatasetInfo, num_seeds: int = 0) -> Task:
  """What both networks are built for, by the config and the data.

  Args:
    config: of the run.
    info: of the data.
    num_seeds: that G has at the start of its latents.

  Raises:
    InputError: a column that the data lacks, and how to have it.
  """
  columns = {}
  if config.conditional:
    columns['labels'] = Column((), 'int32', _num_classes(info))
  for name in config.given:
    columns[name] = _column(name, info, config.text.encoder)
  codes = tuple(config.codes)
  draw = functools.partial(
    draw_latents,
    prior=config.latent_prior,
    latent_dim=config.latent_dim,
    codes=codes,
    num_seeds=num_seeds,
  )
  return Task(tuple(info.image_shape), columns, draw, codes, num_seeds)


def _num_classes(info: DatasetInfo) -> int:
  if not info.class_names:
    raise InputError(
      f'conditional: {info.name} has no labels; use a labelled dataset or '
      'class subfolders, or set conditional=False'
    )
  return len(info.class_names)


def _column(name: str, info: DatasetInfo, encoder: str) -> Column:
  if name not in info.columns:
    raise InputError(f'given: {info.name} has no {name}; {WAYS[name]}')
  shape = info.columns[name]
  if name == 'text' and encoder == texts.WORDS:
    return Column(shape, 'int32', tokens.num_tokens(info.vocabulary))
  return Column(shape)

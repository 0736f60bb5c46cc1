"""What the players are told: `conditional`, `given`, and what the data has."""

import functools
from typing import Any

from gan_jax.data import DatasetInfo
from gan_jax.features import texts
from gan_jax.games.dropping import DROPPED
from gan_jax.sampling import tokens
from gan_jax.sampling.priors import draw_latents
from gan_jax.tricks import contrastive
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


def check_use(config: Config) -> None:
  """Raises InputError for keys on what is told that nobody is told."""
  rate, weight = config.drop_given, config.contrastive_weight
  if not 0 <= rate < 1:
    raise InputError(f'drop_given: {rate} is no share in [0, 1)')
  if rate and not set(DROPPED) & set(config.given):
    raise InputError(
      f'drop_given: {rate} leaves out {" and ".join(DROPPED)}, and neither is '
      'given; set given=text or given=source, or drop_given=0'
    )
  if not weight:
    return
  if not config.conditional and not config.given:
    raise InputError(
      f'contrastive_weight: {weight} compares images with what they are told '
      'with, and nothing is given; set given=text, or contrastive_weight=0'
    )
  if config.micro_batch:
    raise InputError(
      'contrastive_weight: it compares a whole batch, which micro_batch='
      f'{config.micro_batch} splits; set micro_batch=0'
    )


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


def task_of(
  config: Config,
  info: DatasetInfo,
  num_seeds: int = 0,
  latent_dim: int | None = None,
) -> Task:
  """What both networks are built for, by the config and the data.

  Args:
    config: of the run.
    info: of the data.
    num_seeds: that G has at the start of its latents.
    latent_dim: numbers of noise in them; None for the config's.

  Raises:
    InputError: a column that the data lacks, and how to have it.
  """
  columns = {}
  if config.conditional:
    columns['labels'] = Column((), 'int32', _num_classes(info))
  for name in config.given:
    optional = name in DROPPED and config.drop_given > 0
    column = _column(name, info, config.text.encoder)
    columns[name] = column._replace(optional=optional)
  codes = tuple(config.codes)
  draw = functools.partial(
    draw_latents,
    prior=config.latent_prior,
    latent_dim=config.latent_dim if latent_dim is None else latent_dim,
    codes=codes,
    num_seeds=num_seeds,
  )
  vector = contrastive.VECTOR if config.contrastive_weight else 0
  shape = tuple(info.image_shape)
  return Task(shape, columns, draw, codes, num_seeds, vector)


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

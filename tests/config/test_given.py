"""What the players are told: names, what the data lacks, and one step."""

import functools
import itertools

import jax
import numpy as np
import pytest

from gan_jax.config import plan as plans
from gan_jax.config.build import build
from gan_jax.config.given import task_of
from gan_jax.config.history import ADDED, completed
from gan_jax.config.overrides import dotted
from gan_jax.devices import parallel
from gan_jax.losses import LOSSES
from gan_jax.networks.style import Style
from gan_jax.types import Batch, Column, InputError
from gan_jax.workdir import layout
from tests.helpers import (
  BY_CLASS,
  BY_SOURCE,
  SGD,
  TOLD,
  assert_close,
  fake_info,
  load_config,
  sampled,
  stack_draws,
  tiny_digits,
  tiny_keys,
)

SHAPES = {'source': (8, 8, 2), 'other': (8, 8, 1), 'text': (5,)}


def info_with(*names):
  columns = {name: SHAPES[name] for name in names}
  return fake_info()._replace(
    columns=columns, vocabulary=('a', 'cat') if 'text' in names else ()
  )


def test_the_task_has_what_is_given_after_the_labels():
  config = tiny_digits(conditional=True, given=('other', 'source'))
  task = task_of(config, info_with('source', 'other'))
  assert list(task.given) == ['labels', 'other', 'source']
  assert task.given['source'] == Column((8, 8, 2))
  task = task_of(tiny_digits(given=('text',)), info_with('text'))
  assert task.given == {'text': Column((5,), 'int32', 4)}
  assert task_of(tiny_digits(), info_with('source')).given == {}


@pytest.mark.parametrize(
  ('names', 'says'),
  [
    (('source',), ['given', 'no source', 'data.derive', 'data.layout=paired']),
    (('other',), ['given', 'no other', 'data.layout=unpaired']),
    (('text',), ['given', 'no text', 'captions', 'data.name=folder']),
    (('picture',), ['given', "'picture'", 'source']),
    (('labels',), ['given', 'conditional=True']),
    (('source', 'source'), ['given', 'twice']),
  ],
)
def test_what_cannot_be_given_is_one_line(names, says):
  with pytest.raises(InputError) as caught:
    build(tiny_digits(given=names), fake_info())
  message = str(caught.value)
  assert '\n' not in message
  for part in says:
    assert part in message


def test_labels_that_are_not_there_say_what_they_said():
  with pytest.raises(InputError, match='conditional: fake has no labels'):
    build(tiny_digits(conditional=True), fake_info(num_classes=0))


def test_a_pack_has_one_of_each():
  with pytest.raises(InputError, match=r'packing: the 2 .*source.*given=\(\)'):
    plans.read(tiny_digits(given=('source',), tricks__packing=2))


@pytest.mark.parametrize(
  ('keys', 'wanted'),
  [
    (dict(data__derive='grey'), 'given=source'),
    (dict(data__layout='halves'), 'given=source'),
    (dict(data__layout='unpaired'), 'given=other'),
    (dict(data__derive='grey', given=('source',)), None),
    (dict(), None),
  ],
)
def test_a_column_that_nobody_is_told_is_remarked(keys, wanted):
  lines = plans.read(tiny_digits(**keys)).advice(Style())
  assert [line.rpartition(' ')[2] for line in lines] == [wanted] * bool(wanted)


def test_keys_that_a_run_was_made_without_are_what_it_did(tmp_path):
  fields = plans.read(tiny_digits()).fields
  known = dotted(fields)
  for key, value in ADDED.items():
    default = list(value) if isinstance(value, tuple) else value
    assert known[key] == default, key
  old = {k: v for k, v in fields.items() if k != 'given'}
  old['data'] = {
    k: v for k, v in old['data'].items() if f'data.{k}' not in ADDED
  }
  assert layout.flatten(completed(old)) == layout.flatten(fields)
  layout.write_json(tmp_path / 'config.json', old)
  assert plans.read_trained(layout.read_config(tmp_path)).fields == fields
  layout.check_same(tmp_path, layout.flatten(old), layout.flatten(fields))
  changed = layout.flatten(fields) | {'data.derive': 'grey'}
  with pytest.raises(InputError, match=r'data.derive was .none., now .grey'):
    layout.check_same(tmp_path, layout.flatten(old), changed)


def test_a_description_without_columns_is_read(tmp_path):
  fields = {
    k: v
    for k, v in fake_info()._asdict().items()
    if k not in ('columns', 'vocabulary')
  }
  layout.write_json(tmp_path / 'dataset.json', fields)
  assert layout.read_info(tmp_path) == fake_info()
  info = info_with('source', 'text')
  layout.write_json(tmp_path / 'dataset.json', info._asdict())
  assert layout.read_info(tmp_path) == info
  fields['columns'] = ['source']
  layout.write_json(tmp_path / 'dataset.json', fields)
  with pytest.raises(InputError, match='not a description of a dataset'):
    layout.read_info(tmp_path)


def batch_of(config, info, size=4):
  rng = np.random.default_rng(0)
  given = {}
  for name, column in task_of(config, info).given.items():
    shape = (size, *column.shape)
    if column.size:
      given[name] = rng.integers(0, column.size, shape).astype(np.int32)
    else:
      given[name] = rng.uniform(-1, 1, shape).astype(np.float32)
  images = rng.uniform(-1, 1, (size, *info.image_shape)).astype(np.float32)
  return Batch(images, given, np.arange(size, dtype=np.int32))


def one_step(config, info, num_devices):
  devices = jax.devices()[:num_devices]
  axis = parallel.axis_name(devices)
  model = build(config, info, axis_name=axis)
  batches = stack_draws(batch_of(config, info))

  def step(state, key, batches):
    batches = jax.tree.map(lambda x: x[0], batches)
    return model.train_step(state, batches, key)

  compiled = parallel.parallelize(step, devices)
  state = parallel.replicate(model.init(jax.random.key(0)), devices)
  key = parallel.replicate(jax.random.key(1), devices)
  stacked = jax.tree.map(lambda x: x[None], batches)
  return compiled(state, key, parallel.shard(stacked, devices))


@pytest.mark.slow
@pytest.mark.parametrize('network', ['mlp', 'dcgan'])
def test_a_step_is_finite_and_two_devices_are_one(network):
  config = load_config(
    'mlp_digits',
    given=('source', 'other', 'text'),
    batch_size=4,
    latent_dim=4,
    network__name=network,
    **(
      dict(network__gen_widths=None, network__disc_widths=None)
      if network == 'dcgan'
      else {}
    )
    | tiny_keys(network)
    | SGD,
  )
  info = info_with('source', 'other', 'text')
  state, metrics = one_step(config, info, 1)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(metrics))
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))
  twice, _ = one_step(config, info, 2)
  assert_close(twice.params, jax.device_get(state.params), 1e-4)


# --- Every family, every condition --------------------------------------------

CONDITIONS = {
  'labels': dict(conditional=True),
  'source': dict(given=('source',)),
  'other': dict(given=('other',)),
  'text': dict(given=('text',)),
  'all': dict(conditional=True, given=('source', 'other', 'text')),
}


def family(network, loss='hinge', **keys):
  """A small model that is told something, and its data's description."""
  keys = dict(conditional=network in BY_CLASS) | keys
  if network in BY_SOURCE:
    keys['given'] = tuple({'source', *keys.get('given', ())})
  config = load_config(
    'mlp_digits',
    latent_dim=4,
    network__name=network,
    loss=loss,
    **dict(network__gen_widths=None, network__disc_widths=None)
    | tiny_keys(network)
    | keys,
  )
  info = info_with('source', 'other', 'text')
  return build(config, info), stack_draws(batch_of(config, info))


@functools.cache
def bare_sizes(network):
  """Parameters of both players that are told nothing."""
  state = jax.eval_shape(family(network)[0].init, jax.random.key(0))
  return [sum(x.size for x in jax.tree.leaves(p)) for p in state.params]


@pytest.mark.parametrize(
  ('network', 'condition'),
  sampled(
    itertools.product(TOLD, CONDITIONS),
    *((network, 'all') for network in ('mlp', 'conv', 'dcgan', 'sngan')),
    *(('conv', 'source'), ('dcgan', 'text'), ('sngan', 'labels')),
  ),
)
def test_every_family_takes_every_condition(network, condition):
  """Traced; what is given has parameters in both players."""
  loss = sorted(LOSSES)[len(network) % len(LOSSES)]
  model, batches = family(network, loss, **CONDITIONS[condition])
  key = jax.random.key(0)
  state = jax.eval_shape(model.init, key)
  after, _ = jax.eval_shape(model.train_step, state, batches, key)
  assert jax.tree.structure(after) == jax.tree.structure(state)
  if (network in BY_CLASS and condition == 'labels') or (
    network in BY_SOURCE and condition == 'source'
  ):
    return  # it is never told less
  for params, bare in zip(state.params, bare_sizes(network), strict=True):
    assert sum(x.size for x in jax.tree.leaves(params)) > bare


@pytest.mark.slow
@pytest.mark.parametrize('loss', LOSSES)
@pytest.mark.parametrize('condition', CONDITIONS)
@pytest.mark.parametrize('network', TOLD)
def test_every_family_loss_and_condition_takes_a_finite_step(
  network, condition, loss
):
  model, batches = family(network, loss, **CONDITIONS[condition])
  state = jax.jit(model.init)(jax.random.key(0))
  step = jax.jit(model.train_step)
  after, metrics = step(state, batches, jax.random.key(1))
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.params))
  assert all(np.isfinite(x) for x in metrics.values())

"""A config becomes a plan: every section checked at once, read in one place."""

import json

import jax
import numpy as np
import pytest

from gan_jax.config.plan import read, read_trained
from gan_jax.types import InputError
from gan_jax.workdir.layout import as_config
from tests.helpers import SGD, fake_info, tiny_digits

WRONG = {
  'sample.seed': -1,
  'interpolate.seed': 2**32,
  'sample.seeds': '3-1',
  'sample.label': 1.5,
  'sample.checkpoint': 'first',
  'sample.truncation': -1.0,
  'interpolate.label': True,
  'interpolate.checkpoint': 'first',
  'interpolate.truncation': float('inf'),
  'diagnose.window': 0,
  'non_finite.action': 'panic',
  'eval.network': 'vgg',
  'eval.kid_subset_size': 1,
  'data.name': None,
  'loss': 'nothing',
}


@pytest.mark.parametrize('key', WRONG)
def test_a_wrong_key_of_any_section_is_refused_in_any_mode(key):
  config = tiny_digits()
  with config.unlocked():
    config.update_from_flattened_dict({key: WRONG[key]})
    if WRONG[key] is None:
      del config.data.name
  with pytest.raises(InputError, match=key.split('.')[0]):
    read(config)


@pytest.mark.parametrize(
  ('seeds', 'expected'),
  [
    ('', []),
    ('7', [7]),
    ('0,3,7', [0, 3, 7]),
    ('0-2, 9,4294967294-4294967295', [0, 1, 2, 9, 2**32 - 2, 2**32 - 1]),
  ],
)
def test_seeds_are_numbers_and_ranges(seeds, expected):
  assert read(tiny_digits(sample__seeds=seeds)).sample.seed_list == expected


@pytest.mark.parametrize(
  ('seeds', 'problem'),
  [
    ('3-1', "'3-1' is neither a seed nor a range such as 0-63"),
    ('0,,1', "'' is neither"),
    ('-1', "'-1' is neither"),
    ('4294967296', 'is not between 0 and'),
    ('0-4294967295', 'more than 65,536 of them'),
    ('0-65535,1', 'more than 65,536 of them'),
  ],
)
def test_what_is_no_seed(seeds, problem):
  with pytest.raises(InputError, match=f'^sample.seeds: .*{problem}'):
    read(tiny_digits(sample__seeds=seeds))


def test_a_label_is_a_number_or_a_name():
  for label, expected in ((-1, None), (3, 3), ('ankle boot', 'ankle boot')):
    config = tiny_digits(sample__label=label, interpolate__label=label)
    plan = read(config)
    assert plan.sample.class_label == plan.interpolate.class_label == expected


def test_a_key_that_no_room_knows_is_refused():
  config = tiny_digits()
  with config.unlocked():
    config.sample.colour = 'red'
  with pytest.raises(InputError, match='sample: colour: not the keys'):
    read(config)


def test_a_rollback_is_of_one_run():
  with pytest.raises(InputError, match=r'non_finite.action: rollback would'):
    read(tiny_digits(non_finite__action='rollback', num_seeds=2))


def test_a_member_is_named_or_not():
  plans = [read(tiny_digits(member=member)) for member in (-1, 0, 2)]
  assert [plan.member for plan in plans] == [0, 0, 2]
  assert [plan.names_member for plan in plans] == [False, True, True]
  assert not read(tiny_digits()).names_member
  with pytest.raises(InputError, match=r'member: -2 is no run; .* from 0 on'):
    read(tiny_digits(member=-2))


def test_a_plan_is_that_of_its_config_json():
  """Also where sections that are requests are of another version."""
  keys = dict(num_seeds=2, sweep__gen_learning_rate=(1e-4, 2e-4), disc_steps=3)
  plan = read(tiny_digits(**keys))
  fields = json.loads(json.dumps(plan.fields))
  fields['eval'] = {'every': 0, 'of_another_version': 1}
  again = read_trained(as_config(fields))
  assert again.fields == fields
  assert again.members == plan.members
  assert again.schedule == plan.schedule
  assert again.feed == plan.feed
  assert again.images_per_step == 24
  assert [m.seed for m in again.members] == [0, 1, 0, 1]
  one = again.of_member(again.members[3])
  assert one.seed == 1
  assert len(one.members) == 1
  assert one.fields['gen_optimizer']['learning_rate'] == 2e-4


def test_the_rate_factor_is_on_both_learning_rates():
  plan, info = read(tiny_digits(**SGD)), fake_info()
  params = {'w': np.ones(2, np.float32)}
  for factor in (1.0, 0.25):
    optimizers = plan.build(info, rate_factor=factor).optimizers
    for optimizer in optimizers:
      updates, _ = optimizer.update(params, optimizer.init(params), params)
      jax.tree.map(
        lambda x, f=factor: np.testing.assert_allclose(x, -0.1 * f, rtol=1e-6),
        updates,
      )


@pytest.mark.parametrize(
  ('asked', 'batch_size', 'seeds', 'parts'),
  [(0, 8, 1, 1), (2, 8, 1, 2), (3, 8, 1, 2), (64, 6, 1, 6), (2, 8, 5, 5)],
)
def test_devices_of_a_cpu_share_batches_or_runs(
  asked, batch_size, seeds, parts
):
  config = tiny_digits(
    cpu_devices=asked, batch_size=batch_size, num_seeds=seeds
  )
  assert read(config).cpu_parts == parts


def test_devices_of_a_cpu_are_not_fewer_than_none():
  with pytest.raises(InputError, match='cpu_devices: -1'):
    read(tiny_digits(cpu_devices=-1))

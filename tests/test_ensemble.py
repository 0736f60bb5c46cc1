"""Several runs in one program: each is the run that it would be alone."""

import json
import operator
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax.config import build as build_lib
from gan_jax.config import checks, memory, sweep
from gan_jax.config.overrides import replaced
from gan_jax.config.sweep import SWEPT
from gan_jax.data import load_dataset, make_feed
from gan_jax.devices import parallel
from gan_jax.ensemble import AXES, Ensemble
from gan_jax.modes import compare as comparison
from gan_jax.modes import evaluate as evaluate_mode
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.training import dispatch as dispatch_lib
from gan_jax.training import painter
from gan_jax.types import InputError, TrainState
from gan_jax.workdir.trained import restore
from tests.helpers import (
  ROOT,
  SGD,
  assert_close,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  run_cli,
  sampled,
  slow,
  stack_draws,
  tiny_digits,
  tiny_flags,
)
from tests.reporting.test_reporting import scalars

# What belongs to a member: weights, averages, noise, flips, order of the data.
FULL = dict(
  **SGD,
  seed=3,
  ema_decay=0.9,
  disc_steps=2,
  data__flip=True,
  network__gen_norm='batch',
  network__disc_norm='spectral',
)
SEVERAL = dict(
  num_seeds=2,
  sweep__gen_learning_rate=(0.05, 0.2),
  sweep__disc_learning_rate=(0.1,),
)


def rows(workdir):
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


@pytest.fixture(scope='module')
def together(tmp_path_factory):
  """A finished run of four members."""
  workdir = tmp_path_factory.mktemp('together')
  train(tiny_digits(**FULL, **SEVERAL), workdir)
  return workdir


def states(workdir):
  return [restore(workdir, member=i).state for i in range(4)]


# --- Each as if it were alone -----------------------------------------------


@pytest.mark.parametrize(
  ('number', 'seed', 'gen_rate'),
  sampled([(1, 4, 0.05), (2, 3, 0.2)]),
)
def test_a_member_is_the_run_that_it_would_be_alone(
  together, tmp_path, number, seed, gen_rate
):
  config = tiny_digits(
    **FULL
    | dict(
      seed=seed,
      gen_optimizer__learning_rate=gen_rate,
      disc_optimizer__learning_rate=0.1,
    )
  )
  train(config, tmp_path)
  alone = restore(tmp_path).state
  member = restore(together, member=number)
  assert_close(member.state, alone, 1e-5)
  own = [row for row in rows(together) if row['member'] == number]
  for row, expected in zip(own, rows(tmp_path), strict=True):
    assert row['seed'] == seed
    assert row['gen_learning_rate'] == gen_rate
    for name, value in expected.items():
      if name != 'images_per_second':
        np.testing.assert_allclose(
          row[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )
  assert member.plan.seed == seed
  assert member.plan.fields['gen_optimizer']['learning_rate'] == gen_rate
  # The tolerance tells the members apart.
  for other in {0, 1, 2, 3} - {number}:
    with pytest.raises(AssertionError):
      assert_close(states(together)[other].params, alone.params, 1e-3)


# Optimizer, penalty and solver that use each swept key.
USED_BY = {
  'gen_learning_rate': dict(gen_optimizer__schedule='exponential'),
  'disc_learning_rate': dict(disc_optimizer__schedule='cosine'),
  'gen_b1': dict(gen_optimizer__name='adam'),
  'gen_b2': dict(gen_optimizer__name='adam'),
  'disc_b1': dict(disc_optimizer__name='adam'),
  'disc_b2': dict(disc_optimizer__name='adam'),
  'penalty_weight': dict(penalty='r1'),
  'consensus_weight': dict(solver='consensus'),
  'time_scale_ratio': dict(solver='two_time_scale'),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', sampled(SWEPT, 'penalty_weight'))
def test_a_traced_scalar_does_what_its_key_does(name):
  config = tiny_digits(**SGD | USED_BY[name])
  batches = stack_draws(fake_batch())

  def step(value, swept):
    model = (
      build_lib.build(config, fake_info(), swept={name: value})
      if swept
      else build_lib.build(replaced(config, {SWEPT[name]: value}), fake_info())
    )
    state = model.init(jax.random.key(0))
    for _ in range(2):  # the first of Adam is the same by any moments
      state, _ = model.train_step(state, batches, jax.random.key(1))
    return state.params

  values = [0.25, 0.5]
  traced = jax.jit(jax.vmap(lambda value: step(value, swept=True)))
  found = traced(jnp.array(values))
  found = [jax.tree.map(operator.itemgetter(i), found) for i in range(2)]
  for value, params in zip(values, found, strict=True):
    expected = jax.jit(lambda value=value: step(value, swept=False))()
    assert_close(params, expected, 1e-5)
  assert differs(*found)


def test_every_scalar_that_can_be_swept_has_a_key():
  assert {*tiny_digits().sweep} - {'paired'} == {*SWEPT} == {*USED_BY}


def test_values_in_pairs_go_together():
  config = tiny_digits(
    sweep__paired=True,
    sweep__gen_learning_rate=(0.1, 0.2, 0.1),
    sweep__gen_b1=(0.5, 0.5, 0.9),
    num_seeds=2,
  )
  found = [(m.values, m.seed) for m in sweep.members(config)]
  rates, moments = (0.1, 0.2, 0.1), (0.5, 0.5, 0.9)
  assert found == [
    ({'gen_learning_rate': rate, 'gen_b1': b1}, seed)
    for rate, b1 in zip(rates, moments, strict=True)
    for seed in range(2)
  ]
  checks.check(config)
  alone = sweep.one(config, sweep.members(config)[4])
  assert (alone.gen_optimizer.learning_rate, alone.gen_optimizer.b1) == (
    0.1,
    0.9,
  )
  assert len(sweep.members(alone)) == 1


def test_a_single_run_is_the_program_it_was():
  config = tiny_digits(ema_decay=0.5)
  info = load_dataset('digits').info
  model = build_lib.build(config, info)
  feed = make_feed(load_dataset('digits').train, batch_size=8, seed=0)
  alone = Ensemble(sweep.members(config))
  assert not alone.several
  dispatch = dispatch_lib.make_dispatch(model, feed.decode)
  inputs = dispatch_lib.take_draws(alone.draws(feed, 0), 2, 1)
  assert_same_bits(inputs, dispatch_lib.take_draws(feed.draws(0), 2, 1))
  init_key, root_key = jax.random.split(jax.random.key(config.seed))
  assert_same_bits(
    jax.random.key_data(jnp.stack(alone.keys())),
    jax.random.key_data(jnp.stack([init_key, root_key])),
  )
  state = model.init(init_key)
  assert_same_bits(alone.init(model.init)(init_key), state)
  programs = [
    jax.make_jaxpr(function)(state, constants, inputs)
    for function, constants in (
      (dispatch, (feed.resident, root_key)),
      (alone.dispatch(lambda swept: dispatch), (feed.resident, root_key, {})),
    )
  ]
  assert str(programs[0]) == str(programs[1])


def test_members_share_images_and_not_their_order():
  config = tiny_digits(**SEVERAL, seed=5)
  together = Ensemble(sweep.members(config))
  data = load_dataset('digits').train
  feed = make_feed(data, batch_size=8, seed=5)
  draws = dispatch_lib.take_draws(together.draws(feed, 3), 2, 2)
  assert draws['indices'].shape == (2, 2, 8, 4)
  assert draws['positions'].shape == (2, 2, 8)
  for member in together.members:
    own = make_feed(data, batch_size=8, seed=member.seed)
    expected = dispatch_lib.take_draws(own.draws(3), 2, 2)
    np.testing.assert_array_equal(
      draws['indices'][..., member.number], expected['indices']
    )
  assert feed.reseeded(6).resident['images'] is feed.resident['images']


# --- The whole program ------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('stop', sampled([7, 8], 8))
def test_resumed_equals_uninterrupted(together, tmp_path, stop):
  for num_steps in (stop, 12):
    config = tiny_digits(**FULL, **SEVERAL, num_steps=num_steps)
    train(config, tmp_path)
  assert_same_bits(states(tmp_path), states(together))
  whose = [(row['step'], row['member']) for row in rows(tmp_path)]
  steps = sorted({4, 8, 12, stop})
  assert whose == [(step, i) for step in steps for i in range(4)]


@pytest.mark.slow  # as of a single run; each has its members
def test_two_devices_equal_one(together, tmp_path):
  """Each takes two members, and sends nothing."""
  train(tiny_digits(**FULL, **SEVERAL, num_devices=2), tmp_path)
  for one, two in zip(states(together), states(tmp_path), strict=True):
    assert_close(one, two, 1e-5)


@pytest.mark.slow
def test_devices_share_batches_where_they_cannot_share_members(
  together, tmp_path
):
  config = tiny_digits(
    **FULL
    | dict(
      num_devices=4,
      num_seeds=2,
      gen_optimizer__learning_rate=0.05,
      sweep__disc_learning_rate=(0.1,),
    )
  )
  assert not Ensemble(sweep.members(config)).spread(parallel.select_devices(4))
  train(config, tmp_path)
  for number in (0, 1):
    four = restore(tmp_path, member=number).state
    assert_close(states(together)[number], four, 1e-5)


def test_members_are_on_devices_of_their_own():
  together = Ensemble(sweep.members(tiny_digits(**SEVERAL)))
  devices = parallel.select_devices(2)
  assert together.axis_name(devices) is None
  state = TrainState(
    np.int32(3), np.arange(8.0).reshape(4, 2), {}, {}, np.zeros(4)
  )
  put = together.put(state, devices)
  for shard, expected in zip(
    put.params.addressable_shards,
    ([[0, 1], [2, 3]], [[4, 5], [6, 7]]),
    strict=True,
  ):
    np.testing.assert_array_equal(shard.data, expected)
  assert put.step.sharding.is_fully_replicated


@pytest.mark.parametrize(
  ('num_seeds', 'flags', 'expected'),
  sampled(
    [
      (4, '', 2),
      (3, '', 1),
      (1, '', 1),
      (4, '--xla_force_host_platform_device_count=3', 3),
    ],
    (4, '', 2),
  ),
)
def test_the_cpu_is_split_for_runs_that_can_share_it(
  num_seeds, flags, expected
):
  code = (
    'import os\n'
    'os.sched_getaffinity = lambda _: {0, 1}\n'
    'import jax\n'
    'from gan_jax.devices import parallel\n'
    f'parallel.split_cpu({num_seeds})\n'
    'print(len(jax.devices()))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    env=os.environ | {'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'},
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
  )
  assert done.stdout.split() == [str(expected)]


def test_what_several_runs_leave(together):
  whose = [
    tuple(row[k] for k in ('step', 'member', 'seed', 'gen_learning_rate'))
    for row in rows(together)
  ]
  members = [(0, 3, 0.05), (1, 4, 0.05), (2, 3, 0.2), (3, 4, 0.2)]
  assert whose == [(step, *m) for step in (4, 8, 12) for m in members]
  found = scalars(together)
  for row in rows(together):
    label = 'gen_learning_rate-%s/disc_learning_rate-0.1/seed-%d'
    label %= (row['gen_learning_rate'], row['seed'])
    np.testing.assert_allclose(
      found[f'loss/gen_loss/{label}', row['step']], row['gen_loss'], rtol=1e-6
    )
  from PIL import Image

  with Image.open(together / 'samples' / 'final.png') as image:
    # A row a run, below one of real images; 8 pixels enlarged 7 times.
    width, height = painter.GRID_COLUMNS * 58 - 2, 4 * 58 - 2
    pixels = np.asarray(image)
  names, tiles = np.split(pixels[-height:], [image.size[0] - width], axis=1)
  assert pixels.shape[0] > height + 56
  for i in range(4):
    assert names[58 * i : 58 * i + 56].max() > 200
  first = gan_jax.load(together, member=2).sample(1, seed=3)[0, :, :, 0]
  np.testing.assert_array_equal(tiles[116:172:7, :56:7, 0], first)


def test_the_state_has_an_axis_of_members_but_for_its_step():
  config = tiny_digits(**SEVERAL)
  together = Ensemble(sweep.members(config))
  model = build_lib.build(config, fake_info())
  keys, _ = together.keys()
  state = jax.eval_shape(together.init(model.init), keys)
  expected = together.abstract(build_lib.abstract_state(model))
  shapes = [
    jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    for tree in (state, expected)
  ]
  assert shapes[0] == shapes[1]
  assert AXES.step is None
  assert state.step.shape == ()
  assert all(x.shape[0] == 4 for x in jax.tree.leaves(state.params))


# --- One of them ------------------------------------------------------------


def test_a_member_is_asked_for_by_its_number(together, capsys):
  images = [gan_jax.load(together, member=i).sample(4) for i in (0, 3)]
  assert not np.array_equal(*images)
  config = tiny_digits(**FULL, **SEVERAL, member=3)
  config.sample.num = 4
  sample_mode.sample(config, together)
  assert '4 images of run 3 at step 12' in capsys.readouterr().out
  with np.load(together / 'samples.npz') as archive:
    np.testing.assert_array_equal(archive['images'], images[1])
  for number in (-1, 4):
    with pytest.raises(InputError, match=f'member: {number} .* 0 and 3'):
      gan_jax.load(together, member=number)


def test_a_member_is_scored_and_compared_as_itself(together):
  config = tiny_digits(**FULL, **SEVERAL, member=3)
  config.eval.update(network='random', scores=('fid',), num_samples=20)
  result = evaluate_mode.evaluate(config, together)
  assert result.protocol['member'] == 3
  (read,) = comparison.read(together)
  assert read.member == 3
  assert read.config['seed'] == 4
  assert read.config['num_seeds'] == 1
  assert read.config['gen_optimizer.learning_rate'] == 0.2
  assert read.config['sweep.gen_learning_rate'] == ()


# --- Too much, and wrong ----------------------------------------------------

BAD = {
  'no seeds': (dict(num_seeds=0), ['num_seeds: 0', 'at least 1']),
  'seeds beyond': (
    dict(seed=2**32 - 2, num_seeds=3),
    ['num_seeds: 3', 'beyond 2 ** 32 - 1'],
  ),
  'a word': (dict(sweep__gen_learning_rate=('a',)), ["'a' is not a number"]),
  'a truth': (dict(sweep__gen_learning_rate=(True,)), ['True is not a number']),
  'twice': (
    dict(sweep__disc_learning_rate=(0.1, 0.2, 0.1)),
    ['sweep.disc_learning_rate: 0.1', 'twice'],
  ),
  'no pairs': (
    dict(
      sweep__paired=True,
      sweep__gen_learning_rate=(0.1, 0.2),
      sweep__gen_b1=(0.5,),
    ),
    ['sweep.paired', '2 of gen_learning_rate, 1 of gen_b1'],
  ),
  'a bad moment': (
    dict(gen_optimizer__name='adam', sweep__gen_b1=(0.5, 1.0)),
    ['sweep.gen_b1', 'gen_optimizer.b1: 1.0 is not in [0, 1)'],
  ),
  'a bad rate': (
    dict(sweep__disc_learning_rate=(0.1, -0.1)),
    ['sweep.disc_learning_rate', '-0.1', 'above 0'],
  ),
  'a bad weight': (
    dict(penalty='r1', sweep__penalty_weight=(float('nan'),)),
    ['sweep.penalty_weight', 'nan', 'finite'],
  ),
  'no penalty': (
    dict(sweep__penalty_weight=(1.0, 2.0)),
    ['sweep.penalty_weight', 'penalty=none'],
  ),
  'no consensus': (
    dict(sweep__consensus_weight=(1.0, 2.0)),
    ['sweep.consensus_weight', 'solver=alternating'],
  ),
  'no time scales': (
    dict(sweep__time_scale_ratio=(1.0, 2.0)),
    ['sweep.time_scale_ratio', 'solver=alternating'],
  ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_named(case):
  keys, words = BAD[case]
  with pytest.raises(InputError) as error:
    checks.check(tiny_digits(**keys))
  for word in words:
    assert word in str(error.value)


def test_the_largest_seed_is_allowed():
  checks.check(tiny_digits(seed=2**32 - 2, num_seeds=2))


def test_what_several_runs_cannot_have(tmp_path):
  words = 'data.cache: 2 runs .*data.cache=device'
  with pytest.raises(InputError, match=words):
    train(tiny_digits(num_seeds=2, data__cache='stream'), tmp_path)
  assert not (tmp_path / 'config.json').exists()


@pytest.mark.slow  # the check is tested by call
def test_more_seeds_than_memory_is_one_line(tmp_path):
  wide = dict(network__gen_widths='900,900', num_seeds=60_000)
  done = run_cli(*tiny_flags(tmp_path / 'run', **wide))
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert line.startswith('error: num_seeds: 60000 runs at once')
  assert 'cpu has' in line
  assert 'take at most' in line
  done = run_cli(*tiny_flags(tmp_path / 'run', num_seeds=2_000_000_000))
  assert done.returncode == 2
  assert '2,000,000,000 runs' in done.stderr
  assert 'beyond the limit, 65,536' in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
  'keys',
  [
    dict(),
    dict(batch_size=512),
    dict(penalty='wgan_gp'),
    slow(dict(solver='unrolled')),
  ],
  ids=str,
)
def test_the_estimate_is_near_what_xla_plans(digits, keys):
  """Within a factor of two, for an MLP of some size."""
  config = tiny_digits(
    network__gen_widths=(64, 128), network__disc_widths=(128, 64), **keys
  )
  model = build_lib.build(config, digits.info)
  state = build_lib.abstract_state(model)
  batches = stack_draws(fake_batch(config.batch_size))
  steps = 5 if config.solver == 'unrolled' else 0
  batch = jax.tree.map(lambda x: x[0], batches)
  estimate = memory.bytes_of_run(model.game, state, batch, steps)
  step = jax.vmap(model.train_step, (AXES, 0, 0), (AXES, 0))
  together = Ensemble(sweep.members(tiny_digits(num_seeds=4)))
  plan = (
    jax.jit(step, donate_argnums=0)
    .lower(
      together.abstract(state),
      jax.tree.map(lambda x: np.stack([x] * 4), batches),
      together.keys()[1],
    )
    .compile()
    .memory_analysis()
  )
  # XLA plans no copy for the checkpoint.
  planned = memory.bytes_of(state) + plan.temp_size_in_bytes / 4
  planned += memory.bytes_of(state)
  assert planned / 2 < estimate < 2 * planned


def test_what_fits_is_counted():
  memory.check_fits(8, 2**20, 8 * 2**20, 'cpu')
  with pytest.raises(InputError) as error:
    memory.check_fits(2049, 2**20, 2**31, 'gpu')
  for words in ('2049 runs', '2.0 GiB (1 MiB each)', 'gpu has', 'most 2048'):
    assert words in str(error.value)


def test_devices_share_the_memory_of_a_machine():
  one, four = (
    parallel.memory_of_each(parallel.select_devices(n)) for n in (1, 4)
  )
  assert one // 4 == four > 2**26


def test_members_are_all_combinations():
  config = tiny_digits(
    seed=7,
    num_seeds=2,
    penalty='r1',
    sweep__gen_learning_rate=(1e-4, 2e-4),
    sweep__penalty_weight=(1, 10.0),
  )
  together = Ensemble(sweep.members(config))
  assert together.num_members == len(together.members) == 8
  assert [m.number for m in together.members] == list(range(8))
  assert [m.seed for m in together.members] == [7, 8] * 4
  values = [tuple(m.values.values()) for m in together.members[::2]]
  assert values == [(1e-4, 1), (1e-4, 10), (2e-4, 1), (2e-4, 10)]
  label = 'gen_learning_rate=0.0001, penalty_weight=10.0'
  assert together.groups[label] == [2, 3]
  assert sweep.overrides_of(together.members[3])['penalty_weight'] == 10
  np.testing.assert_allclose(
    together.swept()['penalty_weight'], [1, 1, 10, 10] * 2
  )
  assert sweep.combinations(tiny_digits()) == [{}]

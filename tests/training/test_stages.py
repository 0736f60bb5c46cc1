"""Runs whose keys change on the way, and runs that begin with another's."""

import jax
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.config.checks import check
from gan_jax.config.plan import read
from gan_jax.data import load_dataset, make_feed
from gan_jax.data.feeds import IndexStream
from gan_jax.devices import parallel
from gan_jax.modes import replay
from gan_jax.modes.train import train
from gan_jax.solvers.moves import Moves
from gan_jax.training import runs
from gan_jax.training import stages as stages_lib
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.logs import read_metrics
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  sampled,
  stack_draws,
  tiny_digits,
  tiny_one_player,
)

STAGES = (
  (4, {'loss': 'hinge', 'gen_optimizer.learning_rate': 1e-3, 'disc_steps': 2}),
  (10, {'moving': 'gen', 'penalty': 'r1', 'reset_optimizers': True}),
)
EMA = dict(ema_decay=0.5)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A run of three stages, 12 steps, uninterrupted."""
  workdir = tmp_path_factory.mktemp('stages') / 'whole'
  train(tiny_digits(stages=STAGES, **EMA), workdir)
  return workdir


# --- Stages -------------------------------------------------------------------


@pytest.mark.slow
def test_a_stage_is_the_run_with_its_keys(whole, tmp_path):
  """Up to a boundary it is the plain run; after it the one with other keys."""
  train(tiny_digits(num_steps=4, **EMA), tmp_path / 'plain')
  train(tiny_digits(stages=STAGES, num_steps=4, **EMA), tmp_path / 'staged')
  before = restore(tmp_path / 'plain').state
  assert_same_bits(before, restore(tmp_path / 'staged').state)
  rows = read_metrics(whole)
  assert [('penalty' in row) for row in rows] == [False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize('stops', [[10], [7, 10]])
def test_resumed_at_a_boundary_equals_uninterrupted(whole, tmp_path, stops):
  """Exactly there, where optimizers begin anew, and in the midst of a stage."""
  for num_steps in (*stops, 12):
    train(tiny_digits(stages=STAGES, num_steps=num_steps, **EMA), tmp_path)
  assert_same_bits(restore(whole).state, restore(tmp_path).state)


@pytest.mark.slow
def test_who_does_not_move_keeps_all_and_optimizers_begin_anew(whole, tmp_path):
  train(tiny_digits(stages=STAGES, num_steps=10, **EMA), tmp_path)
  before, after = (restore(path).state for path in (tmp_path, whole))
  assert_same_bits(before.params.disc, after.params.disc)
  assert differs(before.params.gen, after.params.gen)
  counts = {
    int(x)
    for x in jax.tree.leaves(after.opt_state.gen)
    if x.dtype == np.int32 and not x.ndim
  }
  assert counts == {2}  # since step 10
  assert not any(np.any(x) for x in jax.tree.leaves(after.opt_state.disc))


def test_each_stage_takes_its_own_draws():
  """4 steps of one, 6 of two, 2 of one: no example twice, none left out."""
  plan = read(tiny_digits(stages=STAGES))
  assert [stage.draws for stage in plan.stages] == [0, 4, 16]
  before = [plan.stage_of(step).draws_before(step) for step in range(13)]
  assert before == [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 17, 18]
  assert [plan.images_seen(step) for step in (0, 4, 10)] == [0, 32, 128]
  assert plan.images_per_step is None


RESIZED = ((4, {'batch_size': 16}), (7, {}))


def test_a_batch_of_another_size_goes_on_in_the_stream():
  """By images seen: 4 draws of 8, 3 of 16, and 8 again."""
  plan = read(tiny_digits(stages=RESIZED))
  train_images = load_dataset('digits').train
  feed, drawn = make_feed(train_images, **plan.feed), []
  for stage in plan.stages:
    part = feed.resized(stage.batch_size, stage.draws, stage.images)
    for step in range(stage.start, stage.end):
      drawn.append(part.indices(stage.draws_before(step)))
  assert [len(indices) for indices in drawn] == [8] * 4 + [16] * 3 + [8] * 5
  order = IndexStream(len(train_images), 0)
  seen = plan.images_seen(12)
  assert seen == 4 * 8 + 3 * 16 + 5 * 8
  np.testing.assert_array_equal(np.concatenate(drawn), order(0, seen))


@pytest.mark.slow
def test_a_run_of_such_batches_is_resumed_bit_for_bit(tmp_path):
  train(tiny_digits(stages=RESIZED), tmp_path / 'whole')
  for num_steps in (5, 7, 12):
    train(tiny_digits(stages=RESIZED, num_steps=num_steps), tmp_path / 'parts')
  states = [restore(tmp_path / name).state for name in ('whole', 'parts')]
  assert_same_bits(*states)


def test_a_batch_of_a_stage_is_refused_as_any(tmp_path):
  with pytest.raises(InputError, match='batch_size: 2000 is larger'):
    train(tiny_digits(stages=((4, {'batch_size': 2000}),)), tmp_path)


@pytest.mark.slow
def test_members_have_stages_too(tmp_path):
  train(tiny_digits(stages=STAGES, num_seeds=2), tmp_path / 'two')
  train(tiny_digits(stages=STAGES, seed=1), tmp_path / 'one')
  ours = restore(tmp_path / 'two', member=1).state
  alone = restore(tmp_path / 'one').state
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-6),
    ours.params,
    alone.params,
  )


@pytest.mark.parametrize(
  'solver',
  sampled(['alternating', 'simultaneous', 'unrolled'], 'alternating'),
)
@pytest.mark.parametrize('player', ['gen', 'disc'])
def test_one_player_moves_alone(solver, player):
  keys = dict(SGD, moving=player, solver=solver)
  model = build(tiny_digits(**keys), fake_info())
  state = jax.jit(model.init)(jax.random.key(0))
  after, metrics = jax.jit(model.train_step)(
    state, stack_draws(fake_batch(8)), jax.random.key(1)
  )
  other = {'gen': 'disc', 'disc': 'gen'}[player]
  for part in ('params', 'opt_state', 'model_state'):
    before_part, after_part = (getattr(s, part) for s in (state, after))
    assert_same_bits(getattr(before_part, other), getattr(after_part, other))
  assert differs(getattr(state.params, player), getattr(after.params, player))
  assert {'gen_loss', 'disc_loss'} <= metrics.keys()
  assert Moves(model.game, model.optimizers).moving == ('gen', 'disc')


@pytest.mark.parametrize(
  ('stages', 'words'),
  [
    (((4, {}), (4, {})), ['step 4', 'order']),
    (((8, {}), (4, {})), ['step 4', 'after the one at step 8']),
    (((-1, {}),), ['no pair']),
    ((4, {}), ['no pair']),
    (((4, {'los': 'hinge'}),), ["'los'", 'no such key']),
    (((4, {'latent_dim': 3}),), ['step 4', 'latent_dim would change']),
    (((4, {'network.gen_widths': (3,)}),), ['network.gen_widths']),
    (((4, {'tricks.packing': 2}),), ['tricks.packing']),
    (((4, {'batch_size': 0}),), ['batch_size: 0 is not at least 1']),
    (((4, {'loss': 'hinj'}),), ['from step 4 on', 'loss', 'hinj']),
    (((4, {'batch_size': '64'}),), ["batch_size: '64' is not of the type"]),
    (((4, {'batch_size': 64.5}),), ['batch_size: 64.5 is not of the type']),
    (((4, {'penalty_weight': None}),), ['penalty_weight: None']),
    (((4, {'loss': ['hinge']}),), ["loss: ['hinge'] is not of the type"]),
    (((4, {'fresh_latents': 'False'}),), ["fresh_latents: 'False'"]),
    (((4, {'reset_optimizers': 'no'}),), ["reset_optimizers: 'no'"]),
    (((4, {'gen_optimizer.learning_rate': '1e-4'}),), ["'1e-4'"]),
    (
      ((4, {'disc_steps': 5, 'disc_optimizer.schedule': 'linear'}),),
      ['linear schedule of disc_optimizer', 'reset_optimizers'],
    ),
    (((4, {'moving': 'all'}),), ['moving', 'both, disc, gen']),
    (((4, {'penalty_weight': -1.0}),), ['from step 4 on', 'penalty_weight']),
  ],
)
def test_stages_that_cannot_be_are_refused(stages, words):
  with pytest.raises(InputError) as error:
    check(tiny_digits(stages=stages))
  message = str(error.value)
  assert all(word in message for word in words), message
  assert '\n' not in message


def test_a_swept_key_is_no_stages(tmp_path):
  config = tiny_digits(
    sweep__gen_learning_rate=(1e-3, 1e-4),
    stages=((4, {'gen_optimizer.learning_rate': 1e-3}),),
  )
  with pytest.raises(InputError, match='several for it'):
    check(config)


def test_a_schedule_in_a_stage_ends_with_the_run_too(tmp_path):
  """A longer run would be another one, as it is without stages."""
  stages = ((4, {'gen_optimizer.schedule': 'linear'}),)
  fields = read(tiny_digits(stages=stages)).fields
  longer = layout.flatten(fields) | {'num_steps': 24}
  with pytest.raises(InputError, match='num_steps was 12, now 24'):
    layout.check_same(tmp_path, layout.flatten(fields), longer)


def test_batch_norm_needs_a_batch_in_every_stage(tmp_path):
  config = tiny_digits(
    network__gen_norm='batch', stages=((4, {'micro_batch': 1}),)
  )
  with pytest.raises(InputError, match='gen_norm: batch has one example'):
    train(config, tmp_path)


def test_what_logits_mean_is_of_the_stage():
  plan = read(tiny_digits(stages=((4, {'loss': 'least_squares'}),)))
  found = [plan.criterion_at(step).boundary for step in (0, 4, 5, 12)]
  assert found == [0.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize('game', ['adversarial', 'vae'])
def test_moments_begin_anew_whoever_plays(game):
  config = tiny_digits() if game == 'adversarial' else tiny_one_player(game)
  model = build(config, fake_info())
  state = model.init(jax.random.key(0))
  after = stages_lib._reset(model.optimizers, state)
  assert_same_bits(after, state)


def test_who_rests_does_not_look_back():
  """Case of lookahead: it would pull the resting player to where it was."""
  keys = dict(SGD, tricks__lookahead_steps=2, tricks__lookahead_rate=0.8)
  both = build(tiny_digits(**keys), fake_info())
  alone = build(tiny_digits(**keys, moving='gen'), fake_info())
  state = jax.jit(both.init)(jax.random.key(0))
  for model in (both, alone):
    batches = stack_draws(fake_batch(8))
    state, _ = jax.jit(model.train_step)(state, batches, jax.random.key(1))
    if model is both:
      before = state
  assert int(state.step) == 2
  assert_same_bits(before.params.disc, state.params.disc)
  assert_same_bits(before.slow.disc, state.slow.disc)
  assert differs(before.slow.gen, state.slow.gen)


@pytest.mark.parametrize(
  'values', [{'ema_decay': 0.9}, {'gen_optimizer.name': 'lion'}]
)
def test_a_stage_does_not_change_the_state(values, tmp_path):
  config = tiny_digits(stages=((4, values),))
  with pytest.raises(InputError, match='from step 4 on, the state would hold'):
    train(config, tmp_path)


# --- Another run's parameters -------------------------------------------------


@pytest.fixture(scope='module')
def other(tmp_path_factory):
  """A run of one step."""
  workdir = tmp_path_factory.mktemp('stages') / 'other'
  train(tiny_digits(num_steps=1, **EMA), workdir)
  return workdir


@pytest.mark.parametrize('num_seeds', sampled([1, 2], 1))
def test_a_run_begins_with_the_players_of_another(other, tmp_path, num_seeds):
  """No player moves at a rate of 0: what is left is what was taken."""
  keys = dict(
    gen_optimizer__learning_rate=1e-30,
    disc_optimizer__learning_rate=1e-30,
    num_steps=1,
  )
  train(
    tiny_digits(init_from=str(other), num_seeds=num_seeds, **keys, **EMA),
    tmp_path,
  )
  taken = restore(other).state
  for member in range(num_seeds):
    ours = restore(tmp_path, member=member).state
    assert int(ours.step) == 1
    for mine, theirs in (
      (ours.params, taken.params),
      (ours.ema['params'], taken.params.gen),
    ):
      jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-7), mine, theirs
      )


@pytest.mark.slow
def test_resuming_takes_the_checkpoint(whole, tmp_path):
  """Once begun, a run is its own: the other one may be gone."""
  source = tmp_path / 'source'
  train(tiny_digits(num_steps=4), source)
  keys = dict(init_from=str(source))
  train(tiny_digits(**keys), tmp_path / 'whole')
  train(tiny_digits(**keys, num_steps=8), tmp_path / 'parts')
  source.rename(tmp_path / 'gone')
  train(tiny_digits(**keys), tmp_path / 'parts')
  states = [restore(tmp_path / name).state for name in ('whole', 'parts')]
  assert_same_bits(*states)


@pytest.mark.parametrize(
  ('keys', 'words'),
  [
    (dict(latent_dim=5), ["gen.params['Dense_0']['kernel']", '(4, 8)']),
    (dict(network__disc_widths=(8, 9)), ["disc.params['Dense_1']"]),
    (dict(network__disc_widths=(8,)), ["disc.params['Dense_"]),
  ],
)
def test_another_architecture_is_refused(other, tmp_path, keys, words):
  config = tiny_digits(init_from=str(other), **keys)
  with pytest.raises(InputError, match=r'init_from: .*another arch') as error:
    train(config, tmp_path)
  assert all(word in str(error.value) for word in words), error.value


def test_no_run_to_begin_with(tmp_path):
  with pytest.raises(InputError, match=r'init_from: .*nowhere'):
    train(tiny_digits(init_from=str(tmp_path / 'nowhere')), tmp_path / 'run')


def test_replay_begins_with_the_other_runs_players_too(other):
  plan = read(tiny_digits(init_from=str(other), **EMA))
  dataset = load_dataset('digits')
  devices = parallel.select_devices(1)
  run = runs.assemble(plan, other, dataset, devices)
  state = replay._start(run, {'checkpoint_step': 0})
  taken = restore(other).state
  assert_same_bits(jax.device_get(state.params), jax.device_get(taken.params))

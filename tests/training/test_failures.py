"""Numbers that are not finite: noticed, gone back from, repeated."""

import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.config.build import build
from gan_jax.data import load_dataset, make_feed
from gan_jax.modes import replay as replay_mode
from gan_jax.modes.train import train
from gan_jax.solvers import optimizers
from gan_jax.training import dispatch as dispatch_lib
from gan_jax.training import failures
from gan_jax.types import InputError, NonFiniteError
from gan_jax.workdir.logs import read_metrics
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  assert_same_bits,
  run_cli,
  sampled,
  tiny_digits,
  tiny_flags,
)

# A critic without a constraint and these rates: infinite at the sixth step,
# the second of the dispatch after the checkpoint of step 4.
AT = 6
DIVERGING = dict(loss='wasserstein') | {
  key: 2.0 if key.endswith('learning_rate') else value
  for key, value in SGD.items()
}
BACK = dict(non_finite__action='rollback', non_finite__rate_factor=1e-7)


def diverge(workdir, **keys):
  with pytest.raises(NonFiniteError) as caught:
    train(tiny_digits(**DIVERGING, **keys), workdir)
  return caught.value


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
  """A run that has stopped, and why."""
  workdir = tmp_path_factory.mktemp('failures') / 'run'
  return workdir, diverge(workdir)


@pytest.mark.parametrize('cache', sampled(['device', 'stream'], 'stream'))
def test_the_step_is_named_and_no_bad_state_is_kept(cache, tmp_path):
  error = diverge(tmp_path, data__cache=cache)
  assert error.step == AT
  assert error.exit_code == 3
  assert f'not finite at step {AT}: ' in str(error)
  assert 'gen_loss' in str(error)
  assert not np.isfinite(error.metrics['gen_loss'])
  assert '_after' not in ' '.join(error.metrics)  # looked at later
  trained = restore(tmp_path)
  assert trained.state.step == 4
  for leaf in jax.tree.leaves(trained.state.params):
    assert np.isfinite(leaf).all()
  rows = read_metrics(tmp_path)
  assert [row['step'] for row in rows] == [4, AT]
  assert (tmp_path / 'losses.png').exists()


def test_the_dump_has_what_the_step_used(stopped):
  workdir, error = stopped
  found = failures.read(workdir, 0)
  config = tiny_digits(**DIVERGING)
  feed = make_feed(load_dataset('digits').train, batch_size=8, seed=0)
  assert found['step'] == AT
  assert found['checkpoint_step'] == 4
  assert found['batch_indices'] == [feed.indices(AT - 1).tolist()]
  root = jax.random.split(jax.random.key(config.seed))[1]
  key = jax.random.key_data(jax.random.fold_in(root, AT - 1))
  assert found['key'] == key.tolist()
  assert found['metrics'] == {k: repr(v) for k, v in error.metrics.items()}
  assert 'gen_loss' in found['not_finite']
  assert (workdir / 'failures' / 'step_00000006' / 'checkpoints' / '4').is_dir()


def test_the_step_is_repeated_to_the_last_bit(stopped, capsys):
  workdir, error = stopped
  metrics = replay_mode.replay(tiny_digits(), workdir)
  for name, value in error.metrics.items():
    assert repr(metrics[name]) == repr(value), name
  out = capsys.readouterr().out
  num = len(error.metrics)
  assert f'{num} of {num} metrics are those of the failure' in out
  assert 'disc before: 0 of' in out
  assert 'gen after: ' in out


@pytest.mark.slow
def test_a_first_step_is_repeated_from_the_seed(tmp_path, capsys):
  """Before the first checkpoint there is none to keep."""
  diverge(tmp_path, checkpoint_every=1_000)
  metrics = replay_mode.replay(tiny_digits(), tmp_path)
  assert not np.isfinite(metrics['gen_loss'])
  assert 'from step 0 to 5' in capsys.readouterr().out


@pytest.mark.slow  # the parts are tested by call
def test_from_the_command_line(tmp_path):
  workdir = tmp_path / 'run'
  keys = {k: v for k, v in DIVERGING.items() if v is not None}
  keys |= dict(num_steps=12, steps_per_dispatch=4, log_every=4)
  done = run_cli(*tiny_flags(workdir, checkpoint_every=4, **keys))
  assert done.returncode == 3
  last = done.stderr.splitlines()[-1]
  assert last.startswith(f'error: not finite at step {AT}')
  assert f'--mode=replay --workdir={workdir}' in last
  assert 'verdict at step 6: diverged' in done.stdout
  assert 'Traceback' not in done.stderr
  done = run_cli('--mode=replay', f'--workdir={workdir}')
  assert done.returncode == 0, done.stderr
  done = run_cli(
    '--mode=replay', f'--workdir={workdir}', '--config.non_finite.step=3'
  )
  assert done.returncode == 2
  assert 'no failure at step 3; there are those of 6' in done.stderr


def test_the_run_goes_back_and_on(tmp_path, capsys):
  train(tiny_digits(**DIVERGING, **BACK), tmp_path)
  captured = capsys.readouterr()
  assert 'going back to step 4, with learning rates times 1e-07' in captured.err
  assert 'learning rates times 1e-07' in captured.out
  assert json.loads((tmp_path / 'rollbacks.json').read_text()) == {
    'rollbacks': [{'step': AT, 'to': 4, 'factor': 1e-7}]
  }
  assert [row['step'] for row in read_metrics(tmp_path)] == [4, 8, 12]
  state = restore(tmp_path).state
  assert state.step == 12
  # The rates are what the line says: an SGD step is the rate times a gradient.
  ratios = [row['disc_update_ratio'] for row in read_metrics(tmp_path)]
  assert ratios[1] < 1e-3 * ratios[0]


@pytest.mark.slow  # four whole runs
def test_a_run_that_went_back_is_resumed_bit_for_bit(tmp_path):
  keys = DIVERGING | BACK
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  train(tiny_digits(**keys), whole)
  train(tiny_digits(**keys, num_steps=8), parts)
  train(tiny_digits(**keys), parts)
  assert_same_bits(*(restore(p).state for p in (whole, parts)))


@pytest.mark.slow
def test_a_run_goes_back_so_many_times_and_no_more(tmp_path):
  keys = dict(non_finite__action='rollback', non_finite__rate_factor=1.0)
  error = diverge(tmp_path, **keys, non_finite__rollbacks=2)
  assert 'went back 2 times already' in str(error)
  entries = json.loads((tmp_path / 'rollbacks.json').read_text())['rollbacks']
  assert [entry['to'] for entry in entries] == [4, 4]


@pytest.mark.slow
def test_a_failure_after_a_way_back_is_repeated_with_its_rates(tmp_path):
  keys = dict(non_finite__action='rollback', non_finite__rate_factor=0.5)
  error = diverge(tmp_path, **keys, non_finite__rollbacks=1)
  assert failures.read(tmp_path, error.step)['learning_rate_factor'] == 0.5
  config = tiny_digits(non_finite__step=error.step)
  metrics = replay_mode.replay(config, tmp_path)
  for name, value in error.metrics.items():
    assert repr(metrics[name]) == repr(value), name


@pytest.mark.slow
def test_ways_back_of_another_run_are_forgotten(tmp_path, capsys):
  """Before the first checkpoint a workdir may be given to another config."""
  keys = dict(non_finite__rollbacks=1, checkpoint_every=1_000)
  diverge(tmp_path, **BACK | dict(non_finite__rate_factor=1.0), **keys)
  assert (tmp_path / 'rollbacks.json').exists()
  capsys.readouterr()
  train(tiny_digits(), tmp_path)
  assert 'learning rates times' not in capsys.readouterr().out
  assert not (tmp_path / 'rollbacks.json').exists()


def test_later_ways_back_are_forgotten_as_later_rows_are(tmp_path):
  """A checkpoint before them is what could be read."""
  entries = [{'step': s + 2, 'to': s, 'factor': 0.5} for s in (0, 4, 8)]
  path = tmp_path / 'rollbacks.json'
  path.write_text(json.dumps({'rollbacks': entries}))
  assert failures.rollbacks(tmp_path, 8) == entries
  assert failures.rollbacks(tmp_path, 4) == entries[:2]
  assert json.loads(path.read_text()) == {'rollbacks': entries[:2]}
  assert failures.rate_factor(entries[:2]) == 0.25


def test_a_failure_that_is_not_ours_is_refused(stopped, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(stopped[0], workdir)
  path = workdir / 'failures' / 'step_00000006' / 'failure.json'
  found = json.loads(path.read_text())
  for change in (
    dict(checkpoint_step=6),
    dict(checkpoint_step=-1),
    dict(step='6'),
    dict(metrics=[]),
  ):
    path.write_text(json.dumps(found | change))
    with pytest.raises(InputError, match=r'workdir: .*failure\.json has'):
      replay_mode.replay(tiny_digits(), workdir)


@pytest.mark.parametrize(
  ('keys', 'words'),
  [
    (dict(non_finite__action='ignore'), "'ignore'; valid: stop, rollback"),
    (dict(non_finite__rollbacks=-1), 'non_finite.rollbacks: -1'),
    (dict(non_finite__rate_factor=0.0), 'non_finite.rate_factor: 0.0'),
    (dict(non_finite__rate_factor=1.5), 'non_finite.rate_factor: 1.5'),
    (dict(non_finite__action='rollback', num_seeds=2), 'several runs at once'),
  ],
)
def test_keys_out_of_range(keys, words, tmp_path):
  with pytest.raises(InputError) as caught:
    train(tiny_digits(**keys), tmp_path)
  assert words in str(caught.value)


def test_nothing_to_repeat(tmp_path):
  train(tiny_digits(num_steps=4), tmp_path)
  with pytest.raises(InputError, match='has no failures to repeat'):
    replay_mode.replay(tiny_digits(), tmp_path)


@pytest.mark.slow
def test_one_bad_run_of_several_does_not_stop_the_others(tmp_path, capsys):
  """Only the second of two learning rates diverges; its rows say so."""
  keys = DIVERGING | dict(
    sweep__disc_learning_rate=(0.001, 1e30), sweep__gen_learning_rate=(0.001,)
  )
  train(tiny_digits(**keys), tmp_path)
  assert 'run 1 (' in (printed := capsys.readouterr()).out + printed.err
  rows = read_metrics(tmp_path)
  assert all(
    np.isfinite(row['disc_loss']) for row in rows if row['member'] == 0
  )
  assert restore(tmp_path).state.step == 12


# --- On the device ------------------------------------------------------------


def dispatch_of(train_step, steps):
  """A dispatch of a model whose training step is replaced."""
  model = build(tiny_digits(), load_dataset('digits').info)
  model = model._replace(train_step=train_step, probe=lambda *given: {})
  feed = make_feed(load_dataset('digits').train, batch_size=8, seed=0)
  inputs = dispatch_lib.take_draws(feed.draws(0), steps, 1)
  dispatch = jax.jit(dispatch_lib.make_dispatch(model, feed.decode))
  state = model.init(jax.random.key(0))
  return dispatch(state, (feed.resident, jax.random.key(1)), inputs)[1]


@pytest.mark.parametrize(
  ('name', 'value'),
  sampled(
    itertools.product(
      ['disc_loss', 'gen_loss', 'disc_grad_norm', 'gen_grad_norm'],
      [np.nan, np.inf, -np.inf],
    ),
    *(('disc_loss', -np.inf), ('gen_loss', np.nan)),
    *(('disc_grad_norm', np.nan), ('gen_grad_norm', np.inf)),
  ),
)
def test_a_dispatch_tells_the_first_bad_step(name, value):
  def train_step(state, batches, key, report):
    del report
    bad = (state.step == 2) | (state.step == 4)
    metrics = {
      f'{player}_{kind}': jnp.float32(state.step)
      for player in ('disc', 'gen')
      for kind in ('loss', 'grad_norm')
    }
    metrics[name] = jnp.where(bad, value, 1.0)
    return state._replace(step=state.step + 1), metrics

  metrics = dispatch_of(train_step, 5)
  assert metrics['bad_step'] == 3
  assert not np.isfinite(metrics[name])
  others = {'disc_loss', 'gen_loss', 'disc_grad_norm', 'gen_grad_norm'} - {name}
  assert all(metrics[other] == 2 for other in others)
  metrics = dispatch_of(train_step, 2)
  assert metrics['bad_step'] == 0


def test_weight_clipping_hides_no_infinity():
  params = {'w': jnp.zeros(3)}
  clip = optimizers.weight_clipping(0.1)
  optimizer = optax.chain(optax.sgd(1.0), clip)
  grads = {'w': jnp.array([jnp.inf, jnp.nan, 5.0])}
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  moved = optax.apply_updates(params, updates)['w']
  np.testing.assert_array_equal(moved, np.array([-np.inf, np.nan, -0.1], 'f4'))

"""A study that workers share: no trial is lost, none is made twice."""

import concurrent.futures
import time

import optuna
import pytest
from optuna.trial import TrialState

from gan_jax.config.searching import Search
from gan_jax.config.space import read_space
from gan_jax.search.fresh import Fresh, mean_and_half
from gan_jax.search.results import Results, Tried
from gan_jax.search.study import PROBLEM, Study
from gan_jax.types import InputError

FIELDS = {
  'batch_size': 64,
  'loss': 'hinge',
  'penalty_weight': 1.0,
  'network': {'gen_widths': (8,)},
}
SPACE = read_space(
  '{"penalty_weight": [0.1, 10, "log"], "batch_size": [8, 64], '
  '"network.gen_widths": [[8], [16, 16]]}',
  FIELDS,
)


def keys_of(**changes):
  keys = dict(
    space='',
    trials=5,
    sampler='random',
    pruner='none',
    together=1,
    workers=1,
    storage='',
    study='search',
    heartbeat=1,
    fresh_seeds=0,
    seed=0,
  )
  return Search(**keys | changes)


def opened(folder, identity=None, **changes):
  return Study(
    keys_of(**changes),
    SPACE,
    folder,
    better='lower',
    identity=identity or {'num_steps': 100},
  )


def states(study):
  return [trial.state for trial in study.optuna.trials]


def test_values_are_of_the_space(tmp_path):
  study = opened(tmp_path)
  for trial in study.claim(5):
    values = study.values(trial)
    assert list(values) == SPACE.keys
    assert 0.1 <= values['penalty_weight'] <= 10.0
    assert values['batch_size'] in range(8, 65)
    assert values['network.gen_widths'] in ((8,), (16, 16))


def test_no_more_are_claimed_than_were_asked_for(tmp_path):
  study = opened(tmp_path)
  first = study.claim(3)
  assert len(first) == 3
  other = opened(tmp_path)
  assert [len(study.claim(3)), len(other.claim(3))] == [2, 0]
  assert other.running() == 5
  for trial in first:
    study.optuna.tell(trial, 1.0)
  assert study.claim(1) == []


@pytest.mark.slow
def test_workers_at_once_share_the_trials(tmp_path):
  def work(_):
    study, found = opened(tmp_path, trials=12), []
    while claimed := study.claim(2):
      found += [trial.number for trial in claimed]
      for trial in claimed:
        study.optuna.tell(trial, 1.0)
    return found

  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    found = [number for part in pool.map(work, range(4)) for number in part]
  assert sorted(found) == list(range(12))


def test_a_trial_of_a_dead_worker_is_taken_up(tmp_path):
  dead, study = opened(tmp_path), opened(tmp_path)
  (lost,) = dead.claim(1)
  wanted = dead.values(lost)
  others = study.claim(4)
  assert study.claim(1) == []
  with study.beating(others):
    time.sleep(4.2)  # three heartbeats and more
    (again,) = study.claim(1)
  assert study.values(again) == wanted
  assert study.first_number(again) == lost.number == 0
  assert states(study)[0] == TrialState.FAIL
  for trial in [*others, again]:
    study.optuna.tell(trial, 1.0)
  assert study.claim(1) == []
  assert states(study).count(TrialState.COMPLETE) == 5


def test_what_is_put_back_is_taken_up_and_what_failed_is_not(tmp_path):
  study = opened(tmp_path, trials=2)
  first, second = study.claim(2)
  second.set_user_attr(PROBLEM, 'too large')
  study.optuna.tell(second, state=TrialState.FAIL)
  study.put_back([first, second])
  claimed = study.claim(2)
  assert [study.first_number(trial) for trial in claimed] == [first.number]
  study.optuna.tell(claimed[0], 1.0)
  assert study.claim(2) == []


def test_a_grid_is_tried_point_by_point(tmp_path):
  space = read_space(
    '{"batch_size": [8, 16], "penalty_weight": [1, 2, 3]}', FIELDS
  )
  found = Study(
    keys_of(sampler='grid', trials=100),
    space,
    tmp_path,
    better='lower',
    identity={},
  )
  tried = []
  while claimed := found.claim(4):
    for trial in claimed:
      tried.append(found.values(trial))
      found.optuna.tell(trial, 1.0)
  order = dict.__getitem__
  assert len(tried) == 6
  points = [(order(x, 'batch_size'), order(x, 'penalty_weight')) for x in tried]
  assert sorted(points) == [(b, w) for b in (8, 16) for w in (1, 2, 3)]


def test_no_two_workers_draw_alike(tmp_path):
  """Nor does one that is started again."""
  drawn = []
  for _ in range(4):
    study = opened(tmp_path, trials=8)
    drawn += [study.values(trial)['penalty_weight'] for trial in study.claim(2)]
  assert len(set(drawn)) == 8


def test_the_same_seed_draws_the_same(tmp_path):
  found = []
  for name in ('one', 'two'):
    (tmp_path / name).mkdir()
    study = opened(tmp_path / name)
    found.append([study.values(trial) for trial in study.claim(3)])
  assert found[0] == found[1]


def test_a_grid_is_filled_up(tmp_path):
  """After a kill while it was made, and for more trials."""
  space = read_space('{"batch_size": {"choices": [1, 2, 3, 4]}}', FIELDS)

  def study(trials):
    keys = keys_of(sampler='grid', trials=trials)
    return Study(keys, space, tmp_path, better='lower', identity={})

  first = study(2)
  (one,) = first.claim(1)
  first.optuna.tell(one, 1.0)
  second = study(4)
  tried = [first.values(one)['batch_size']]
  while claimed := second.claim(3):
    for trial in claimed:
      tried.append(second.values(trial)['batch_size'])
      second.optuna.tell(trial, 1.0)
  assert sorted(tried) == [1, 2, 3, 4]


@pytest.mark.filterwarnings('ignore:Heartbeat of storage')
@pytest.mark.slow
def test_a_trial_that_never_began_hangs_nobody(tmp_path):
  study = opened(tmp_path, trials=1)
  study.optuna.ask()  # and no heartbeat, as of a worker killed there
  assert study.claim(1) == []
  time.sleep(3.2)
  (trial,) = study.claim(1)
  study.optuna.tell(trial, 1.0)
  assert study.claim(1) == []
  assert study.running() == 0


def test_a_trial_that_ends_every_worker_is_given_up(tmp_path):
  study = opened(tmp_path, trials=1)
  for _ in range(10):
    (trial,) = study.claim(1)
    study.put_back([trial])
  assert study.claim(1) == []
  assert study.claim(1) == []
  assert 'workers have ended' in study.optuna.trials[-1].user_attrs[PROBLEM]


def test_a_study_is_of_one_search(tmp_path):
  opened(tmp_path, {'num_steps': 100, 'loss': 'hinge'})
  opened(tmp_path, {'num_steps': 100, 'loss': 'hinge'})
  with pytest.raises(InputError, match='another search: loss differ'):
    opened(tmp_path, {'num_steps': 100, 'loss': 'minimax'})
  opened(tmp_path, {'loss': 'minimax'}, study='other')


@pytest.mark.parametrize(
  ('url', 'words'),
  [
    ('nonsense', 'cannot be opened'),
    ('sqlite:////nowhere/at/all/x.db', 'cannot be opened'),
    ('postgresql+psycopg://me:secret@127.0.0.1:1/x', r'me:\*\*\*@127'),
    ('mysql+nothing://me@127.0.0.1/x', 'cannot be opened'),
  ],
)
def test_a_storage_that_is_none(tmp_path, url, words):
  pytest.importorskip('psycopg')
  with pytest.raises(InputError, match=words) as error:
    opened(tmp_path, storage=url)
  assert 'secret' not in str(error.value)
  assert '\n' not in str(error.value)


# --- What is said of it -------------------------------------------------------


def results_of(fresh, better='lower', best=10.0):
  trial = Tried(3, {'loss': 'hinge'}, best, 'complete', '', '00003', 1.0)
  return Results('fid_classifier', better, [trial], {}, fresh, 'url', SPACE)


def test_the_interval_is_of_students_t():
  mean, half = mean_and_half([1.0, 2.0, 3.0, 4.0])
  assert mean == 2.5
  assert half == pytest.approx(3.182446 * 1.2909944 / 2, rel=1e-6)


def test_luck_and_difference_are_told():
  fresh = Fresh([1, 2, 3], [12.0, 13.0, 14.0], [20.0, 21.0, 22.5])
  text = '\n'.join(results_of(fresh).words())
  assert 'the winner is better by 8.167 +- 0.72 (95 %)' in text
  assert 'chance' not in text
  assert 'was 3 better than its keys give again' in text
  text = '\n'.join(results_of(fresh, 'higher', 15.0).words())
  assert 'the winner is worse by 8.167' in text
  assert 'was 2 better than its keys give again' in text


def test_a_difference_within_its_interval_may_be_chance():
  fresh = Fresh([1, 2, 3], [12.0, 25.0, 14.0], [20.0, 21.0, 22.5])
  assert 'that may be chance' in '\n'.join(results_of(fresh).words())


def test_a_seed_that_diverged_is_told_and_left_out():
  fresh = Fresh([1, 2, 3], [12.0, None, 14.0], [20.0, 21.0, 22.0])
  text = '\n'.join(results_of(fresh).words())
  assert 'its keys on 3 fresh seeds: fid_classifier 13 ' in text
  assert '1 without a score' in text
  assert 'the winner is better by 8 ' in text
  none = Fresh([1], [None], [20.0])
  assert 'nothing can be compared' in '\n'.join(results_of(none).words())


def test_optuna_is_the_version_that_was_tried():
  assert optuna.__version__.split('.')[0] == '5'

"""Scores during training: rows, the best checkpoint, and no harm done."""

import contextlib
import copy
import io
import json
import shutil

import numpy as np
import pytest

from gan_jax.config.plan import read
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.modes import evaluate as evaluate_mode
from gan_jax.modes.train import train
from gan_jax.training import scoring
from gan_jax.training.runs import check_scores
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import assert_same_bits, tiny_digits


def scored_digits(**overrides):
  keys = dict(
    disc_steps=2,
    eval__every=4,
    eval__network='random',
    eval__every_scores=('fid', 'precision_recall'),
    eval__every_num_samples=40,
  )
  return tiny_digits(**(keys | overrides))


def evaluations(workdir):
  lines = (workdir / 'evaluations.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('scored')
  config = scored_digits()
  train(config, workdir)
  return config, workdir


def test_rows_say_what_was_measured_and_when(run):
  rows = evaluations(run[1])
  assert [row['step'] for row in rows] == [4, 8, 12]
  assert [row['images_seen'] for row in rows] == [64, 128, 192]
  for row in rows:
    assert list(row['scores']) == [
      'fid_random',
      'precision_random',
      'recall_random',
    ]
    assert row['scores']['fid_random']['num_fake'] == 40
    assert row['protocol']['step'] == row['step']
    assert row['protocol']['network'] == 'random'
  assert (run[1] / 'scores.png').stat().st_size > 0


def test_the_best_checkpoint_is_kept_besides_the_last(run):
  config, workdir = run
  rows = evaluations(workdir)
  best = min(rows, key=lambda row: row['scores']['fid_random']['value'])
  kept = restore(workdir, 'best').state
  assert int(kept.step) == best['step']
  assert int(restore(workdir).state.step) == 12
  assert [p.name for p in (workdir / 'best').glob('[0-9]*')] == [
    str(best['step'])
  ]
  config.eval.update(
    checkpoint='best', scores=('fid',), num_samples=40, split='train'
  )
  result = evaluate_mode.evaluate(config, workdir)
  assert result.protocol['step'] == best['step']
  np.testing.assert_allclose(
    result.scores['fid_random']['value'],
    best['scores']['fid_random']['value'],
    rtol=1e-6,
  )


def test_training_is_the_same_with_and_without(run, tmp_path):
  train(tiny_digits(disc_steps=2), tmp_path)
  assert_same_bits(restore(tmp_path).state, restore(run[1]).state)


@pytest.mark.slow
def test_resumed_equals_uninterrupted(run, tmp_path):
  train(scored_digits(num_steps=8), tmp_path)
  train(scored_digits(), tmp_path)
  assert evaluations(tmp_path) == evaluations(run[1])
  states = [restore(d, 'best').state for d in (tmp_path, run[1])]
  assert_same_bits(*states)


@pytest.mark.slow
def test_later_rows_and_checkpoints_are_made_again(run, tmp_path):
  """A run killed after an evaluation, before the checkpoint of its step."""
  config = scored_digits(checkpoint_every=8, keep_checkpoints=5)
  train(config, tmp_path)
  whole = evaluations(tmp_path)
  for step in (12,):  # as if killed on the way to step 12
    for path in sorted((tmp_path / 'checkpoints' / str(step)).rglob('*'))[::-1]:
      path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / 'checkpoints' / str(step)).rmdir()
  train(config, tmp_path)
  assert evaluations(tmp_path) == whole
  assert_same_bits(
    restore(tmp_path, 'best').state,
    restore(run[1], 'best').state,
  )


@pytest.mark.slow
def test_scores_that_cannot_be_had_cost_no_other(tmp_path, capsys):
  """Patches of 7 pixels do not fit in images of 5."""
  config = scored_digits(
    num_steps=4,
    data__image_size=5,
    eval__every_scores=('sliced_wasserstein', 'fid'),
  )
  train(config, tmp_path)
  (row,) = evaluations(tmp_path)
  assert list(row['scores']) == ['fid_random']
  assert [path.name for path in (tmp_path / 'best').glob('[0-9]*')] == ['4']
  reason = 'left out is sliced_wasserstein: images: 5x5; patches need 7 pixels'
  assert f'warning: eval.scores: {reason}' in capsys.readouterr().out
  config.eval.update(num_samples=20, scores=('fid', 'sliced_wasserstein'))
  result = evaluate_mode.evaluate(config, tmp_path)
  assert list(result.scores) == ['fid_random']
  assert f'eval.scores: {reason}' in result.warnings
  assert reason in (tmp_path / 'metrics.json').read_text()
  config.eval.scores = ('sliced_wasserstein',)
  with pytest.raises(
    InputError, match='none can be had; sliced_wasserstein: i'
  ):
    evaluate_mode.evaluate(config, tmp_path)


@pytest.mark.slow
def test_best_is_what_best_holds(run, tmp_path):
  """Not the newest checkpoint: here best/ has one of step 4."""
  config = scored_digits(num_steps=4)
  train(config, tmp_path / 'short')
  shutil.copytree(run[1], tmp_path / 'long')
  shutil.rmtree(tmp_path / 'long' / 'best')
  shutil.copytree(tmp_path / 'short' / 'best', tmp_path / 'long' / 'best')
  config.eval.update(checkpoint='best', scores=('fid',), num_samples=40)
  result = evaluate_mode.evaluate(config, tmp_path / 'long')
  assert result.protocol['step'] == 4
  # Going on forgets a best checkpoint of later steps.
  shutil.copytree(tmp_path / 'short', tmp_path / 'ahead')
  later = tmp_path / 'ahead' / 'best'
  shutil.rmtree(later)
  shutil.copytree(run[1] / 'best', later)
  for path in later.glob('[0-9]*'):
    path.rename(later / '99')
  train(scored_digits(), tmp_path / 'ahead')
  assert not (later / '99').exists()


def test_only_rows_of_one_measure_compete(run, tmp_path):
  rows = copy.deepcopy(evaluations(run[1]))
  best = scoring.Best(tmp_path, rows, 'fid', 0)
  rows[0]['scores']['fid_random']['value'] = -1.0
  rows[0]['protocol']['num_fake'] = 7
  rows[1]['scores']['fid_random']['value'] = float('nan')
  assert best.row is rows[2]
  rows[0]['protocol']['num_fake'] = 40
  assert best.row is rows[0]
  # Of the rows before a (re)start, the one whose weights are kept.
  best._start, best._kept = 8, 8
  assert best.row is rows[2]  # the other's value is none
  best._start, best._kept = 12, None
  assert best.row is None
  best.rows = []
  assert best.row is None


@pytest.mark.slow  # another dispatch length
def test_evaluations_meet_no_other_interval(tmp_path):
  train(scored_digits(eval__every=6), tmp_path)
  assert [row['step'] for row in evaluations(tmp_path)] == [6, 12]


@pytest.mark.slow
def test_an_evaluation_that_fails_costs_a_line(tmp_path, monkeypatch, capsys):
  real, calls = Evaluator.score, []

  def fail_once(self, *args, **keys):
    calls.append(keys['step'])
    if len(calls) == 1:
      raise RuntimeError('out of\nmemory')
    return real(self, *args, **keys)

  monkeypatch.setattr(Evaluator, 'score', fail_once)
  train(scored_digits(), tmp_path)
  assert calls == [4, 8, 12]
  assert [row['step'] for row in evaluations(tmp_path)] == [8, 12]
  seen = capsys.readouterr()
  line = 'note: no scores at step 4: RuntimeError: out of memory'
  assert line in seen.out + seen.err


def test_scores_are_said_while_training(tmp_path, capsys):
  train(scored_digits(num_steps=4), tmp_path)
  seen = capsys.readouterr()
  assert 'step 4, 40 fakes: fid_random' in seen.out + seen.err
  assert '(best fid_random so far)' in seen.out + seen.err
  assert (seen.out + seen.err).count('random features rank nothing') == 1
  assert f'{tmp_path / "best"}, by fid_random\n' in seen.out
  assert str(tmp_path / 'scores.png') in seen.out


def test_off_by_default(tmp_path):
  train(tiny_digits(num_steps=4), tmp_path)
  assert not (tmp_path / 'evaluations.jsonl').exists()
  assert not (tmp_path / 'best').exists()
  with pytest.raises(InputError, match=r'has no best one, which eval.every'):
    restore(tmp_path, 'best')
  with pytest.raises(InputError, match="unknown name 'worst'; valid: best, la"):
    restore(tmp_path, 'worst')


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    (
      dict(eval__every_scores=('fid', 'parzen')),
      r'eval.every_scores: parzen is for --mode=evaluate; during training: ',
    ),
    (dict(eval__best='kid'), r"eval.best: 'kid' is not among .*: fid, precis"),
    (dict(eval__every_num_samples=0), r'eval.every_num_samples: 0 is not at'),
    (dict(eval__network='inception'), r'eval.weights: .* is missing; put'),
    (
      dict(eval__every_scores=('fid', 'modes')),
      r'eval.every_scores: modes needs classes of the data',
    ),
  ],
)
def test_keys_are_checked_before_training(digits, overrides, message):
  with pytest.raises(InputError, match=message):
    check_scores(read(scored_digits(**overrides)), digits.info)
  off = scored_digits(**overrides, eval__every=0)
  check_scores(read(off), digits.info)


# --- Several runs at once -----------------------------------------------------
# Slow: scored as each by itself they are in tests/modes/test_members.py.


def several(**overrides):
  keys = dict(num_seeds=2, sweep__gen_learning_rate=(1e-4, 1e-2), seed=3)
  return scored_digits(**keys | overrides)


@pytest.fixture(scope='module')
def members(tmp_path_factory):
  """A run of four members, and what the screen was told."""
  workdir = tmp_path_factory.mktemp('members')
  said = io.StringIO()
  with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    train(several(), workdir)
  return workdir, said.getvalue()


def fids(workdir, number):
  own = [row for row in evaluations(workdir) if row['member'] == number]
  return {row['step']: row['scores']['fid_random']['value'] for row in own}


@pytest.mark.slow
def test_every_member_has_rows(members):
  rows = evaluations(members[0])
  whose = [
    tuple(row[k] for k in ('step', 'member', 'seed', 'gen_learning_rate'))
    for row in rows
  ]
  four = [(0, 3, 1e-4), (1, 4, 1e-4), (2, 3, 1e-2), (3, 4, 1e-2)]
  assert whose == [(step, *m) for step in (4, 8, 12) for m in four]
  values = [row['scores']['fid_random']['value'] for row in rows]
  assert len(set(values)) == 12


@pytest.mark.slow
def test_rows_are_of_the_member_that_they_name(members):
  config = several(member=2)
  config.eval.update(scores=('fid',), num_samples=40)
  result = evaluate_mode.evaluate(config, members[0])
  np.testing.assert_allclose(
    result.scores['fid_random']['value'], fids(members[0], 2)[12], rtol=1e-6
  )


@pytest.mark.slow
def test_every_member_keeps_its_own_best(members, tmp_path):
  workdir, _ = members
  steps = []
  for number in range(4):
    own = fids(workdir, number)
    best = min(own, key=own.get)
    kept = restore(workdir, 'best', number)
    assert int(kept.state.step) == best
    folder = workdir / 'best' / f'member_{number}'
    assert [p.name for p in folder.glob('[0-9]*')] == [str(best)]
    steps.append(best)
  config = several(eval__checkpoint='best')
  config.eval.update(scores=('fid',), num_samples=40)
  shutil.copytree(workdir, tmp_path / 'run')
  found = evaluate_mode.evaluate(config, tmp_path / 'run')
  assert [found[n].protocol['step'] for n in range(4)] == steps
  for number in range(4):
    np.testing.assert_allclose(
      found[number].scores['fid_random']['value'],
      min(fids(workdir, number).values()),
      rtol=1e-6,
    )


@pytest.mark.slow
def test_the_screen_has_a_line_a_group(members):
  workdir, said = members
  head = 'step 4, 40 fakes of each of 4 runs; best fid_random so far of 4 runs'
  assert said.count(head) == 1
  lines = [line for line in said.splitlines() if ': fid_random' in line]
  assert len(lines) == 3 * 2
  means = []
  for line in lines[:2]:
    rate = 1e-4 if '0.0001' in line else 1e-2
    pair = [fids(workdir, n)[4] for n in ((0, 1) if rate == 1e-4 else (2, 3))]
    spread = np.std(pair, ddof=1)
    assert line.startswith(
      f'  gen_learning_rate={rate}: fid_random {np.mean(pair):.4g} +- '
      f'{spread:.2g}, precision_random '
    )
    means.append(np.mean(pair))
  assert means == sorted(means)
  assert said.count('random features rank nothing') == 1


@pytest.mark.slow
def test_the_final_table_ranks_by_the_last_scores(members):
  workdir, said = members
  assert 'scores at step 12, ranked by fid_random (lower is better)' in said
  end = said[said.index('scores at step 12') :]
  rows = [line for line in end.splitlines() if line.startswith('|')]
  order = [int(line.split('|')[1]) for line in rows if ', seed-' in line]
  assert order == sorted(range(4), key=lambda n: fids(workdir, n)[12])
  assert 'losses rank nothing' not in said
  assert f'{workdir / "best"}, by fid_random, one of each run' in said


@pytest.mark.slow
def test_without_scores_the_table_says_that_losses_rank_nothing(
  tmp_path, capsys
):
  train(tiny_digits(num_steps=4, num_seeds=2), tmp_path)
  out = capsys.readouterr().out
  line = 'losses rank nothing; score all of these runs with: '
  assert line in out
  assert f'--mode=evaluate --workdir={tmp_path}\n' in out


@pytest.mark.slow  # as of a single run, and each trains four
def test_training_of_members_is_the_same_with_and_without(members, tmp_path):
  train(several(eval__every=0), tmp_path)
  for number in (0, 3):
    assert_same_bits(
      restore(tmp_path, member=number).state,
      restore(members[0], member=number).state,
    )


@pytest.mark.slow
def test_resumed_members_equal_uninterrupted_ones(members, tmp_path):
  train(several(num_steps=8), tmp_path)
  train(several(), tmp_path)
  assert evaluations(tmp_path) == evaluations(members[0])
  for number in range(4):
    assert_same_bits(
      *(restore(d, 'best', number).state for d in (tmp_path, members[0]))
    )


@pytest.mark.slow
def test_a_member_that_fails_costs_a_line(tmp_path, monkeypatch, capsys):
  real, calls = Evaluator.score, []

  def fail_once(self, *args, **keys):
    calls.append(keys['step'])
    if len(calls) == 2:
      raise RuntimeError('of\nno use')
    return real(self, *args, **keys)

  monkeypatch.setattr(Evaluator, 'score', fail_once)
  train(several(num_steps=4, sweep__gen_learning_rate=()), tmp_path)
  assert [row['member'] for row in evaluations(tmp_path)] == [0]
  seen = capsys.readouterr()
  line = 'note: no scores of run 1 at step 4: RuntimeError: of no use'
  assert line in seen.out + seen.err
  with pytest.raises(InputError, match=r'no checkpoint in .*best/member_1'):
    restore(tmp_path, 'best', 1)

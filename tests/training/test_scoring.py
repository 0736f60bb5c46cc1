"""Scores during training: rows, the best checkpoint, and no harm done."""

import copy
import json
import shutil
import types

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


def test_only_rows_of_one_measure_compete(run):
  config, workdir = run
  paths = types.SimpleNamespace(plan=read(config), workdir=workdir)
  scores = scoring.Scoring(paths, 12)
  rows = copy.deepcopy(scores._rows)
  rows[0]['scores']['fid_random']['value'] = -1.0
  rows[0]['protocol']['num_fake'] = 7
  rows[1]['scores']['fid_random']['value'] = float('nan')
  scores._rows, scores._start = rows, 0
  assert scores.best_row is rows[2]
  rows[0]['protocol']['num_fake'] = 40
  assert scores.best_row is rows[0]
  # Of the rows before a (re)start, the one whose weights are kept.
  scores._start, scores._kept = 8, 8
  assert scores.best_row is rows[2]  # the other's value is none
  scores._start, scores._kept = 12, None
  assert scores.best_row is None
  scores._rows = []
  assert scores.best_row is None


@pytest.mark.slow  # another dispatch length
def test_evaluations_meet_no_other_interval(tmp_path):
  train(scored_digits(eval__every=6), tmp_path)
  assert [row['step'] for row in evaluations(tmp_path)] == [6, 12]


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

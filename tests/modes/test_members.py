"""Several runs of one program: scored together, ranked, and compared."""

import json
import shutil

import jax
import numpy as np
import pytest

from gan_jax.config.plan import Plan
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.compare import compare, read
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.train import train
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError
from gan_jax.workdir.trained import TrainedRuns, restore
from tests.helpers import tiny_digits

KEYS = dict(
  num_steps=4,
  seed=3,
  num_seeds=2,
  sweep__gen_learning_rate=(1e-4, 1e-2),
  eval__network='random',
  eval__scores=('fid', 'disc_accuracy'),
  eval__num_samples=20,
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """Four members, not yet scored."""
  workdir = tmp_path_factory.mktemp('members') / 'run'
  train(tiny_digits(**KEYS), workdir)
  return workdir


@pytest.fixture(scope='module')
def scored(trained):
  """The same workdir, and what was found in it."""
  workdir = trained.with_name('scored')
  shutil.copytree(trained, workdir)
  return workdir, evaluate(tiny_digits(**KEYS), workdir)


@pytest.mark.slow
def test_all_are_scored_as_each_by_itself(scored, tmp_path, monkeypatch):
  workdir, found = scored
  assert list(found) == [0, 1, 2, 3]
  written = json.loads((workdir / 'metrics.json').read_text())['members']
  assert list(written) == ['0', '1', '2', '3']
  fids = {result.scores['fid_random']['value'] for result in found.values()}
  assert len(fids) == 4
  shutil.copytree(workdir, tmp_path / 'run')
  for number in (1, 2):
    one = evaluate(tiny_digits(**KEYS, member=number), tmp_path / 'run')
    assert one.protocol['member'] == number
    assert one.scores == found[number].scores
    assert one.scores == written[str(number)]['scores']


def test_what_is_common_is_made_once(trained, tmp_path, monkeypatch):
  made = []

  def counted(cls, name):
    real = getattr(cls, name)

    def call(self, *args, **keys):
      made.append(cls.__name__)
      return real(self, *args, **keys)

    monkeypatch.setattr(cls, name, call)

  counted(Evaluator, '__init__')
  counted(Sampler, '__init__')
  shutil.copytree(trained, tmp_path / 'run')
  evaluate(tiny_digits(**KEYS), tmp_path / 'run')
  assert made == ['Evaluator', 'Sampler']


def test_the_table_ranks_groups_and_members(trained, tmp_path, capsys):
  shutil.copytree(trained, tmp_path / 'run')
  found = evaluate(tiny_digits(**KEYS), tmp_path / 'run')
  out = capsys.readouterr().out
  fids = [found[n].scores['fid_random']['value'] for n in range(4)]
  rows = [
    [cell.strip() for cell in line.strip('| ').split('|')]
    for line in out.splitlines()
    if line.startswith('|') and 'rate' in line
  ]
  groups, members = rows[:2], rows[2:]
  for row in groups:
    pair = fids[:2] if '0.0001' in row[0] else fids[2:]
    assert row[1] == ('0, 1' if '0.0001' in row[0] else '2, 3')
    spread = np.std(pair, ddof=1)
    assert row[2] == f'{np.mean(pair):.4g} +- {spread:.2g}'
  assert float(groups[0][2].split()[0]) <= float(groups[1][2].split()[0])
  assert [int(row[0]) for row in members] == list(np.argsort(fids))
  seeds = [int(row[1].split('seed-')[1]) for row in members]
  assert seeds == [3 + int(row[0]) % 2 for row in members]
  assert 'ranked by fid_random (lower is better)' in out
  assert 'step 4, 20 generated images of each of 4 runs against' in out
  assert out.count('random features rank nothing') == 1
  assert 'disc_accuracy' not in out  # it has no better and worse


def test_one_that_is_scored_again_leaves_the_others(scored, tmp_path):
  workdir, found = scored
  shutil.copytree(workdir, tmp_path / 'run')
  config = tiny_digits(**KEYS | dict(eval__num_samples=30), member=2)
  evaluate(config, tmp_path / 'run')
  written = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
  nums = [r['protocol']['num_fake'] for r in written['members'].values()]
  assert nums == [20, 20, 30, 20]
  assert written['members']['1']['scores'] == found[1].scores
  with pytest.raises(InputError, match='run:2 and run:0 were measured diff'):
    compare([str(tmp_path / 'run')], tmp_path / 'out')


def test_one_without_numbers_costs_a_line(
  trained, tmp_path, capsys, monkeypatch
):
  real = TrainedRuns.member

  def broken(self, number):
    found = real(self, number)
    if number in bad:
      params = jax.tree.map(lambda x: x * np.nan, found.state.params)
      found = found._replace(state=found.state._replace(params=params))
    return found

  monkeypatch.setattr(TrainedRuns, 'member', broken)
  shutil.copytree(trained, tmp_path / 'run')
  config = tiny_digits(**KEYS)
  config.eval.ema = False
  bad = {1}
  assert list(evaluate(config, tmp_path / 'run')) == [0, 2, 3]
  out = capsys.readouterr().out
  assert 'warning: no scores of run 1: images: the generator gives NaN' in out
  bad = {0, 1, 2, 3}
  with pytest.raises(InputError, match='the generator gives NaN'):
    evaluate(config, tmp_path / 'run')


def test_the_others_modes_take_the_first(trained, tmp_path, capsys):
  sample_mode.sample(tiny_digits(**KEYS), trained, tmp_path)
  assert 'images of run 0 at' in capsys.readouterr().out


def test_a_config_json_of_before_is_read(trained, tmp_path):
  shutil.copytree(trained, tmp_path / 'run')
  path = tmp_path / 'run' / 'config.json'
  fields = json.loads(path.read_text())
  assert fields['member'] == -1
  path.write_text(json.dumps(fields | {'member': 0}))
  assert restore(tmp_path / 'run', member=1).plan.seed == 4
  assert Plan(tiny_digits(member=0)).names_member


# --- Side by side -----------------------------------------------------------


def test_compare_takes_a_member_or_all(scored, tmp_path):
  workdir = str(scored[0])
  (one,) = read(f'{workdir}:2')
  assert (one.member, one.config['seed']) == (2, 3)
  assert one.config['gen_optimizer.learning_rate'] == 1e-2
  assert [run.member for run in read(workdir)] == [0, 1, 2, 3]
  groups = compare([workdir], tmp_path / 'out')
  rates = [f'gen_optimizer.learning_rate={rate}' for rate in (1e-4, 1e-2)]
  assert [group.label for group in groups] == rates
  assert [len(group.runs) for group in groups] == [2, 2]
  text = (tmp_path / 'out' / 'comparison.md').read_text()
  assert f'- {rates[1]}: scored:2, scored:3' in text
  two = compare([f'{workdir}:0', f'{workdir}:3'], tmp_path / 'out')
  assert [len(group.runs) for group in two] == [1, 1]
  with pytest.raises(InputError, match='scored:2 is named twice'):
    compare([workdir, f'{workdir}:2'], tmp_path / 'out')


def test_a_folder_of_such_a_name_comes_first(scored, tmp_path):
  shutil.copytree(scored[0], tmp_path / 'run:3')
  assert len(read(str(tmp_path / 'run:3'))) == 4
  assert [run.member for run in read(f'{tmp_path / "run:3"}:1')] == [1]


def test_who_has_no_scores_is_told_how_to_get_them(scored, trained, tmp_path):
  with pytest.raises(
    InputError, match=r'no metrics.json; .* --mode=evaluate --workdir=.*run$'
  ):
    read(str(trained))
  shutil.copytree(trained, tmp_path / 'run')
  run = str(tmp_path / 'run')
  evaluate(tiny_digits(**KEYS, member=1), run)
  assert [one.member for one in read(run)] == [1]
  with pytest.raises(
    InputError,
    match=r'run:2 has no scores; .*--workdir=\S*run --config.member=2$',
  ):
    read(f'{run}:2')
  with pytest.raises(InputError, match=r'run:4: member: 4 is not between 0 an'):
    read(f'{run}:4')


def test_scores_of_one_member_from_before_are_its_own(scored, tmp_path):
  """metrics.json had one member's scores alone, as of a single run."""
  shutil.copytree(scored[0], tmp_path / 'run')
  path = tmp_path / 'run' / 'metrics.json'
  members = json.loads(path.read_text())['members']
  path.write_text(json.dumps(members['2']))
  assert [run.member for run in read(str(tmp_path / 'run'))] == [2]
  evaluate(tiny_digits(**KEYS, member=0), tmp_path / 'run')
  assert [run.member for run in read(str(tmp_path / 'run'))] == [0, 2]

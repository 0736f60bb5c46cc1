"""Runs side by side: groups over seeds, fair measures, table and plot."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from gan_jax.modes.compare import compare, read
from gan_jax.reporting import comparison
from gan_jax.types import InputError
from tests.helpers import run_cli

PROTOCOL = {
  'num_real': 100,
  'num_fake': 50,
  'split': 'train',
  'data': 'digits',
  'image_shape': [8, 8, 1],
  'resize': 'none',
  'network': 'random',
  'network_digest': 'a' * 64,
  'real_digest': 'b' * 64,
  'step': 10,
  'weights': 'raw',
}


def make_run(path, fid, *, seed=0, loss='hinge', recall=0.5, **protocol):
  path.mkdir()
  config = {
    'seed': seed,
    'loss': loss,
    'log_every': seed,
    'data': {'name': 'd'},
  }
  (path / 'config.json').write_text(json.dumps(config))
  scores = {'fid_random': {'value': fid}, 'recall_random': {'value': recall}}
  metrics = {'scores': scores, 'protocol': PROTOCOL | protocol}
  (path / 'metrics.json').write_text(json.dumps(metrics))
  return str(path)


def read_all(runs):
  return [run for name in runs for run in read(name)]


@pytest.fixture
def runs(tmp_path):
  return [
    make_run(tmp_path / f'{loss}{seed}', fid, seed=seed, loss=loss)
    for loss, fids in (('hinge', (3.0, 5.0, 4.0)), ('minimax', (9.0, 10.0)))
    for seed, fid in enumerate(fids)
  ]


def test_mean_and_spread_over_seeds(runs, tmp_path, capsys):
  groups = compare(runs, tmp_path / 'out')
  assert [g.label for g in groups] == ['loss=hinge', 'loss=minimax']
  assert [len(g.runs) for g in groups] == [3, 2]
  text = (tmp_path / 'out' / 'comparison.md').read_text()
  assert '| loss=hinge (3 runs) | loss=minimax (2 runs) |' in text
  spread = np.std([9.0, 10.0], ddof=1)
  row = '| fid_random (lower is better) | **4 +- 1** | '
  assert f'{row}9.5 +- {spread:.2g} |' in text
  # Equal recalls lead nowhere.
  assert '| recall_random (higher is better) | 0.5 +- 0 | 0.5 +- 0 |' in text
  assert 'num_real 100, num_fake 50, split train' in text
  assert '- loss=hinge: hinge0, hinge1, hinge2' in text
  assert text.strip() in capsys.readouterr().out
  with Image.open(tmp_path / 'out' / 'comparison.png') as image:
    assert min(image.size) > 200


def test_a_lead_within_the_spread_is_none(tmp_path):
  runs = [
    make_run(tmp_path / f'{loss}{seed}', fid, seed=seed, loss=loss)
    for loss, fids in (('a', (3.0, 6.0)), ('b', (4.0, 7.0)))
    for seed, fid in enumerate(fids)
  ]
  groups = comparison.group(read_all(runs))
  assert '**' not in comparison.table(groups)


def test_higher_is_better_where_it_is(tmp_path):
  runs = [
    make_run(
      tmp_path / f'{loss}{seed}', 3.0, loss=loss, seed=seed, recall=recall
    )
    for loss, recall in (('x', 0.2), ('y', 0.4))
    for seed in range(2)
  ]
  scored = read_all(runs)
  table = comparison.table(comparison.group(scored))
  assert '| 0.2 +- 0 | **0.4 +- 0** |' in table
  # One run of each: nobody knows.
  assert '| 0.2 | 0.4 |' in comparison.table(comparison.group(scored[::2]))


def test_what_was_measured_may_differ_and_names_the_group(tmp_path):
  runs = [
    make_run(tmp_path / 'x', 3.0),
    make_run(tmp_path / 'y', 2.0, weights='ema'),
    make_run(tmp_path / 'z', 2.0, weights='ema', truncation=0.5),
  ]
  groups = comparison.group(read_all(runs))
  assert [g.label for g in groups] == [
    'truncation=None, weights=raw',
    'truncation=None, weights=ema',
    'truncation=0.5, weights=ema',
  ]


@pytest.mark.parametrize(
  ('field', 'value'),
  [('num_fake', 60), ('network_digest', 'c'), ('split', 'test')],
)
def test_how_it_was_measured_may_not(tmp_path, field, value):
  runs = [
    make_run(tmp_path / 'x', 3.0),
    make_run(tmp_path / 'y', 2.0, **{field: value}),
  ]
  with pytest.raises(InputError, match=f'differently: {field} {value} against'):
    compare(runs, tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


def test_nor_may_the_numbers_of_one_score(tmp_path):
  runs = [make_run(tmp_path / name, 3.0) for name in ('x', 'y')]
  for run, k in zip(runs, (3, 5), strict=True):
    path = pathlib.Path(run) / 'metrics.json'
    metrics = json.loads(path.read_text())
    metrics['scores']['recall_random']['k'] = k
    path.write_text(json.dumps(metrics))
  with pytest.raises(InputError, match='k of recall_random 5 against 3'):
    compare(runs, tmp_path / 'out')
  with pytest.raises(InputError, match='x is named twice'):
    compare([runs[0], runs[0] + '/'], tmp_path / 'out')


def test_best_checkpoints_of_several_steps_are_one_group(tmp_path):
  runs = [
    make_run(
      tmp_path / f's{seed}', 3.0, seed=seed, checkpoint='best', step=seed
    )
    for seed in range(2)
  ]
  assert len(compare(runs, tmp_path / 'out')) == 1


def test_one_group_is_named_after_its_first_run(tmp_path):
  runs = [make_run(tmp_path / f'run{s}', 3.0 + s, seed=s) for s in range(2)]
  (group,) = compare(runs, tmp_path / 'out')
  assert group.label == 'run0'


def test_runs_of_other_data_are_said_to_be(tmp_path):
  runs = [make_run(tmp_path / name, 3.0) for name in ('x', 'y')]
  path = tmp_path / 'y' / 'metrics.json'
  metrics = json.loads(path.read_text())
  metrics['protocol'] |= {'data': 'emoji', 'num_real': 7}
  path.write_text(json.dumps(metrics))
  with pytest.raises(InputError, match='y and x are of other data: emoji agai'):
    compare(runs, tmp_path / 'out')


def test_bad_input_is_one_line(tmp_path):
  run = make_run(tmp_path / 'x', 3.0)
  with pytest.raises(InputError, match='one run named; name two'):
    compare([run], tmp_path / 'out')
  with pytest.raises(InputError, match='holds no run'):
    compare([run, str(tmp_path / 'none')], tmp_path / 'out')
  (tmp_path / 'y').mkdir()
  (tmp_path / 'y' / 'config.json').write_text('{}')
  with pytest.raises(InputError, match=r'has no metrics.json; score it first'):
    compare([run, str(tmp_path / 'y')], tmp_path / 'out')
  (tmp_path / 'y' / 'metrics.json').write_text('{"scores": {"fid": 3}}')
  with pytest.raises(InputError, match='holds no scores of this version'):
    compare([run, str(tmp_path / 'y')], tmp_path / 'out')


@pytest.mark.slow  # the parts are tested by call
def test_from_the_command_line(runs, tmp_path):
  done = run_cli('--mode=compare', f'--workdir={tmp_path / "out"}', *runs)
  assert done.returncode == 0, done.stderr
  assert '| fid_random (lower is better) |' in done.stdout
  done = run_cli('--mode=compare', runs[0])
  assert done.returncode == 2
  assert done.stderr.startswith('error: compare: one run named')

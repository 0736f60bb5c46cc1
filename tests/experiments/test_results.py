"""Kept results: what is written of a run, and that the pages show it."""

import json
import re
import shutil

import pytest

from benchmarks import full_runs
from experiments import results
from gan_jax.types import InputError
from tests.helpers import CONFIGS, ROOT, load_config, run_experiment


def record(seed=0, fid=10.0, config='mlp_mnist', changes=None, **protocol):
  own = dict(data='mnist 3.0.1', image_shape=[28, 28, 1], num_fake=100)
  own |= dict(network='classifier', network_digest='abcdef' * 9, step=4_690)
  own |= dict(images_seen=600_000)
  own |= dict(num_real=60, split='train', resize='none', real_digest='0')
  return {
    'config': config,
    'changes': changes or {},
    'seed': seed,
    'seeds_at_once': 1,
    'steps': 4_690,
    'images_per_second': 5_000.0 * (1 + seed),
    'scores': {
      'fid_classifier': {'value': fid},
      'precision_classifier': {'value': 0.5},
    },
    'protocol': own | protocol,
  }


def kept(folder, *records):
  for number, each in enumerate(records):
    (folder / f'{number}.json').write_text(json.dumps(each))
  return results.read(folder)


def test_the_pages_say_what_is_kept():
  """`make results` would change nothing."""
  for path, text in results.pages(results.read()).items():
    assert path.read_text() == text, f'{path.name}: run make results'


def test_every_kept_run_has_a_config_and_no_path():
  for path in results.KEPT.glob('*.json'):
    found = json.loads(path.read_text())
    name = found['config'].partition(':')[0]
    assert (ROOT / 'configs' / f'{name}.py').is_file()
    assert found['config'] in results.FAMILIES
    assert not re.search(r'"[^"]*/(tmp|home|root|work)/', path.read_text())
    assert re.fullmatch('[0-9a-f]{40}', found['commit'])


def test_a_table_says_what_its_scores_are_by():
  scores = {'psnr': {'value': 20.0}, 'ssim': {'value': 0.5}}
  paired = record(split='test') | {'scores': scores}
  assert results.measure_of(paired)[2].endswith('its source is of (test)')
  assert (
    results.measure_of(record())[2] == 'Features of classifier abcdefabcdef'
  )


def test_seeds_are_a_mean_and_a_deviation(tmp_path):
  (group,) = kept(tmp_path, *(record(seed, fid=10.0 + seed) for seed in (0, 2)))
  assert results.score(group, 'fid') == '11 ± 1.4'
  assert results.score(group, 'precision') == '0.5 ± 0'
  assert results.score(group, 'recall') == ''
  assert results.time_of(group) == '1.3 ± 0.94'  # 2 and 2 / 3
  row = results.table([group]).splitlines()[2]
  assert row.startswith('| `mlp_mnist` | 2 | 4,690 | 1.3 ± 0.94 | 11 ± 1.4 |')


@pytest.mark.parametrize(
  'other',
  [
    dict(changes={'loss': 'hinge'}),
    dict(config='dcgan_mnist'),
    dict(num_fake=200),
    dict(network_digest='0' * 64),
  ],
  ids=lambda other: next(iter(other)),
)
def test_what_is_no_other_seed_has_a_row_of_its_own(other, tmp_path):
  assert len(kept(tmp_path, record(0), record(1, **other))) == 2


def test_tables_of_what_compares_alone(tmp_path):
  groups = kept(
    tmp_path,
    record(),
    record(config='dcgan_mnist'),
    record(image_shape=[32, 32, 1]),
  )
  text = results.page(groups)
  tables = text.split('\n## ')[1:]
  assert [t.splitlines()[0] for t in tables] == [
    'mnist 3.0.1, 28 pixels',
    'mnist 3.0.1, 32 pixels',
  ]
  assert tables[0].count('python run.py') == 2


def test_the_readme_has_the_best_of_a_family(tmp_path):
  groups = kept(
    tmp_path,
    record(fid=9.5),
    record(fid=2.0, changes={'loss': 'hinge'}),
    record(fid=30.0, config='dcgan_mnist'),
  )
  rows = results.best(groups).splitlines()[2:]
  assert len(rows) == 2
  assert '| 9.5 (1) |' in rows[0]
  assert '| 30 (1) |' in rows[1]


def test_the_command_is_that_of_the_run(tmp_path):
  changes = {'data.image_size': 32, 'stages': [[5, {'loss': 'hinge'}]]}
  (group,) = kept(
    tmp_path,
    record(config='mlp_mnist:four_disc_steps', changes=changes),
  )
  assert results.command(group) == (
    'python run.py --config=configs/mlp_mnist.py:four_disc_steps '
    '--config.data.image_size=32 '
    """'--config.stages=([5, {'"'"'loss'"'"': '"'"'hinge'"'"'}],)'"""
  )


# --- Configs without a run ----------------------------------------------------


def test_every_config_has_a_run_or_the_reason_why_not():
  kept_configs = {g.config.partition(':')[0] for g in results.read()}
  text = (ROOT / 'docs' / 'results.md').read_text()
  told = {name for name in CONFIGS if re.search(rf'\b{name}\b', text)}
  without = set(CONFIGS) - kept_configs - told
  assert without <= set(full_runs.NOT_RUN), 'neither run nor in NOT_RUN'
  assert not (kept_configs | told) & set(full_runs.NOT_RUN)
  assert set(full_runs.NOT_RUN) <= set(CONFIGS)


def test_the_hours_are_those_of_the_configs_steps():
  """`python benchmarks/full_runs.py` would change nothing in the steps."""
  costs = json.loads(full_runs.FILE.read_text())['configs']
  for name in full_runs.NOT_RUN:
    assert costs[name]['steps'] == load_config(name).num_steps, name


def test_the_hours_are_operations_over_their_rate():
  configs = {
    name: {'steps': 2_000, 'operations': 36e12} for name in full_runs.NOT_RUN
  }
  for rate, time in (1e10, '1 h'), (1e12, '0.6 min'), (1e8, '4 days'):
    costs = {'operations_per_second': rate, 'configs': configs}
    text = full_runs.section(costs)
    assert f'| `wgan_cifar` | 2,000 | {time} | ' in text


# --- Keeping a run ------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
  """A folder as training and --mode=evaluate leave it, of mlp_digits."""
  from configs import mlp_digits

  config = mlp_digits.get_config()
  config.loss, config.seed, config.num_steps = 'hinge', 3, 400
  folder = tmp_path / 'run'
  folder.mkdir()
  start = {'command': ['run.py', '--config=/home/me/configs/mlp_digits.py']}
  start |= {'git_commit': 'a' * 40, 'packages': {'jax': '1'}}
  protocol = record()['protocol'] | {'step': 200}
  for name, fields in {
    'config.json': json.loads(config.to_json()),
    'environment.json': {'starts': [start]},
    'metrics.json': record() | {'protocol': protocol, 'warnings': []},
  }.items():
    (folder / name).write_text(json.dumps(fields))
  rows = [
    {'step': step, 'images_per_second': speed}
    for step, speed in ((100, 64.0), (200, 128.0), (300, 1.0))
  ]
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  (folder / 'metrics.jsonl').write_text(text)
  return folder


def test_what_is_kept_of_a_run(run, tmp_path):
  """At the step that was scored, with the median speed until then."""
  (path,) = results.keep_run(run, tmp_path)
  found = json.loads(path.read_text())
  assert path.name == 'mlp_digits,loss=hinge,seed=3.json'
  assert found['config'] == 'mlp_digits'
  assert found['changes'] == {'loss': 'hinge', 'num_steps': 200}
  assert (found['seed'], found['steps']) == (3, 200)
  assert found['images_per_second'] == 96.0
  assert 'home' not in path.read_text()


def test_stages_are_those_of_the_config_whatever_the_kind_of_list(
  run, tmp_path
):
  from configs import stylegan_fashion

  config = stylegan_fashion.get_config()
  (run / 'config.json').write_text(config.to_json())
  text = (run / 'environment.json').read_text()
  text = text.replace('mlp_digits.py', 'stylegan_fashion.py')
  (run / 'environment.json').write_text(text)
  (path,) = results.keep_run(run, tmp_path)
  assert path.name == 'stylegan_fashion,seed=0.json'


@pytest.mark.parametrize(
  ('spoil', 'says'),
  [
    (lambda run: (run / 'metrics.json').unlink(), r'metrics\.json'),
    (lambda run: shutil.rmtree(run), 'holds no run'),
  ],
)
def test_a_run_that_cannot_be_kept_is_one_line(spoil, says, run, tmp_path):
  spoil(run)
  with pytest.raises(InputError, match=says):
    results.keep_run(run, tmp_path)


def test_a_config_of_elsewhere_is_one_line(run, tmp_path):
  text = (run / 'environment.json').read_text()
  text = text.replace('mlp_digits.py', 'my_own.py')
  (run / 'environment.json').write_text(text)
  with pytest.raises(InputError, match=r'my_own\.py is none of configs/'):
    results.keep_run(run, tmp_path)


def test_on_the_command_line(tmp_path):
  flags = f'--out={tmp_path}', '--keep=/nowhere'
  outcome = run_experiment('results', *flags)
  assert outcome.returncode == 2
  assert outcome.stderr.startswith('error: workdir: /nowhere')
  assert 'Traceback' not in outcome.stderr

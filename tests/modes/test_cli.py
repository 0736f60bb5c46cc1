"""run.py as a user meets it: help, modes, and one line for each mistake."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from gan_jax.modes import MODES
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.interpolate import interpolate
from gan_jax.modes.train import train
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import (
  ROOT,
  assert_same_bits,
  cli_environment,
  run_cli,
  sampled,
  slow,
  tiny_digits,
  tiny_flags,
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A tiny finished run."""
  workdir = tmp_path_factory.mktemp('cli') / 'run'
  done = run_cli(*tiny_flags(workdir))
  assert done.returncode == 0, done.stderr
  return workdir


def assert_one_line(done, *words):
  """Exit code 2, and a single line that has all the words."""
  assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
  errors = [x for x in done.stderr.splitlines() if x.startswith('error:')]
  assert len(errors) == 1, done.stderr
  assert done.stderr.splitlines()[-1] == errors[0]
  assert 'Traceback' not in done.stderr + done.stdout
  for word in words:
    assert word in errors[0], errors[0]
  assert len(errors[0]) < 700, errors[0]


# --- Good input -------------------------------------------------------------


def test_help_is_quick_and_useful():
  start = time.monotonic()
  done = run_cli('--help')
  assert time.monotonic() - start < 2.0
  assert done.returncode == 0
  for word in ('--config', '--workdir', '--mode', '--out', 'python run.py'):
    assert word in done.stdout
  for mode, line in MODES.items():
    assert re.search(rf'^  {mode} +{re.escape(line)}$', done.stdout, re.M)


def test_keys_are_listed_at_once():
  start = time.monotonic()
  done = run_cli('--helpkeys=eval', env={'PYTHONPROFILEIMPORTTIME': '1'})
  assert time.monotonic() - start < 2.0
  assert done.returncode == 0
  assert re.search(r'^eval.num_samples +10000 +fakes$', done.stdout, re.M)
  assert not re.search(r'\| +(jax|flax|numpy)$', done.stderr, re.M)


def test_a_config_file_runs_once_wherever_it_is_named(tmp_path):
  """Two words after an override; a section is cleared, so all is known."""
  path, log = tmp_path / 'mine.py', tmp_path / 'log'
  text = (ROOT / 'configs' / 'mlp_digits.py').read_text()
  path.write_text(f'{text}\nopen({str(log)!r}, "a").write("run\\n")\n')
  flags = ['--config.network.name=dcgan', '--config', str(path)]
  done = run_cli(*flags, '--config.num_steps=0')
  assert_one_line(done, 'num_steps: 0 is not at least 1')
  assert log.read_text() == 'run\n'


@pytest.mark.slow  # each is tested by call
def test_every_mode_from_the_command_line(trained):
  for mode, flags, outputs in (
    ('sample', ['--config.sample.num=5'], ['samples.png', 'samples.npz']),
    ('interpolate', ['--config.interpolate.steps=3'], ['interpolation.png']),
    (
      'evaluate',
      [
        '--config.eval.num_samples=20',
        '--config.eval.network=random',
        '--config.eval.scores=fid,disc_accuracy',
      ],
      ['metrics.json'],
    ),
  ):
    done = run_cli(f'--mode={mode}', f'--workdir={trained}', *flags)
    assert done.returncode == 0, done.stderr
    for output in outputs:
      assert (trained / output).stat().st_size > 0
      assert str(trained / output) in done.stdout
  with np.load(trained / 'samples.npz') as archive:
    assert archive['images'].shape == (5, 8, 8, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
  'loss',
  [
    'wasserstein',
    *(slow(name) for name in ('f_gan', 'minimax', 'least_squares', 'hinge')),
  ],
)
def test_losses_are_swapped_by_one_flag(tmp_path, loss):
  done = run_cli(*tiny_flags(tmp_path, loss=loss))
  assert done.returncode == 0, done.stderr
  assert json.loads((tmp_path / 'config.json').read_text())['loss'] == loss
  assert ('Lipschitz' in done.stderr) == (loss == 'wasserstein')


@pytest.mark.slow
def test_solver_and_divergence_are_chosen_by_flags(tmp_path):
  keys = dict(
    solver='unrolled',
    unroll_steps=2,
    loss='f_gan_non_saturating',
    f_divergence='jeffreys',
  )
  done = run_cli(*tiny_flags(tmp_path, **keys))
  assert done.returncode == 0, done.stderr
  written = json.loads((tmp_path / 'config.json').read_text())
  assert {key: written[key] for key in keys} == keys


@pytest.mark.slow  # see test_overrides.py
def test_default_workdir_names_config_and_changes(tmp_path):
  flags = tiny_flags('unused', loss='hinge')[1:]
  done = subprocess.run(
    [sys.executable, str(ROOT / 'run.py'), *flags],
    cwd=tmp_path,
    env=cli_environment(),
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  (name,) = os.listdir(tmp_path / 'runs')
  assert name.startswith('mlp_digits,')
  assert 'loss=hinge' in name
  assert 'num_steps' not in name


# --- Bad input --------------------------------------------------------------

PARSE_ERRORS = {
  'config file': (
    ['--config.seed=1', '--config=configs/nope.py'],
    ['cannot load configs/nope.py', 'nearest in configs/: '],
  ),
  'key': (['--config.los=x'], ["'los'; nearest: loss, ", '--helpkeys']),
  'nested key': (
    ['--config.network.dept=1'],
    ["'network.dept'", 'network.depth'],
  ),
  'too deep': (['--config.seed.x=1'], ["'seed.x'"]),
  'type': (
    ['--config.batch_size=abc'],
    ['config.batch_size', "'abc' is not a whole number"],
  ),
  'float for int': (
    ['--config.batch_size=1.5'],
    ['batch_size', "'1.5' is not a whole number"],
  ),
  'no number': (['--config.ema_decay=a'], ['ema_decay', "'a' is not a number"]),
  'mode': (
    ['--mode=foo'],
    [
      'mode=foo',
      'train|sample|interpolate|translate|orbit|guide|edit|invert|upscale',
    ],
  ),
  'flag': (['--foo=1'], ["'foo'", '--help']),
  'plugin': (
    ['--config.seed=1', '--plugin', 'nope.py', '--config.los=x'],
    ['plugin: nope.py: there is no such file'],
  ),
  'out': (['--out=x'], ['--mode=train', 'sample and interpolate']),
  'stray': (['--config.conditional', 'False'], ["'False'", 'KEY=VALUE']),
}


@pytest.mark.parametrize('case', PARSE_ERRORS)
def test_flags_that_do_not_parse(case):
  flags, words = PARSE_ERRORS[case]
  assert_one_line(run_cli(*flags), *words)


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('x = 1\n', ['get_config']),
    ('def get_config():\n  raise RuntimeError("broken")\n', ['broken']),
    ('def get_config():\n  raise ValueError("odd")\n', ['ValueError: odd']),
    ('def get_config(\n', ['SyntaxError']),
    ('open("gone.txt")\n', ['cannot load', 'mine.py', 'gone.txt']),
  ],
)
def test_broken_config_files(tmp_path, text, words):
  (tmp_path / 'mine.py').write_text(text)
  assert_one_line(run_cli(f'--config={tmp_path / "mine.py"}'), *words)


def make_folder(path: pathlib.Path, count: int = 12) -> pathlib.Path:
  path.mkdir()
  rng = np.random.default_rng(0)
  for i in range(count):
    pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path / f'{i:02d}.png')
  return path


MODEL_ERRORS = {
  'loss': (dict(loss='foo'), ["'foo'", 'wasserstein']),
  'dataset': (dict(data__name='nosuchdata'), ['data.name', 'nosuchdata']),
  'batch too large': (dict(batch_size=5000), ['batch_size', '5000', '1438']),
  'no labels': (
    dict(conditional=True, data__name='folder', data__dir='{folder}'),
    ['conditional', 'folder has no labels'],
  ),
  'image size': (
    dict(
      network__name='dcgan',
      network__gen_widths=None,
      network__disc_widths=None,
      data__image_size=30,
    ),
    ['data.image_size', '30', '32'],
  ),
  'combination': (
    dict(penalty='wgan_gp', network__disc_norm='batch'),
    ['penalty', 'batch norm', 'network.disc_norm'],
  ),
  'empty folder': (
    dict(data__name='folder', data__dir='{empty}'),
    ['data.dir', 'no images in'],
  ),
  'no folder': (
    dict(data__name='folder', data__dir='{empty}/nowhere'),
    ['data.dir', 'nowhere'],
  ),
  'truncated image': (
    dict(data__name='folder', data__dir='{truncated}'),
    ['data.dir', '03.png'],
  ),
}


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp('folders')
  (root / 'empty').mkdir()
  truncated = make_folder(root / 'truncated')
  broken = truncated / '03.png'
  broken.write_bytes(broken.read_bytes()[:100])
  return dict(
    folder=make_folder(root / 'folder'),
    empty=root / 'empty',
    truncated=truncated,
  )


@pytest.mark.parametrize('case', MODEL_ERRORS)
def test_runs_that_cannot_start(case, tmp_path, folders):
  """By call, which costs a tenth of a process; one of them by both."""
  overrides, words = MODEL_ERRORS[case]
  overrides = {
    key: value.format(**folders) if isinstance(value, str) else value
    for key, value in overrides.items()
  }
  with pytest.raises(InputError) as error:
    train(tiny_digits(**overrides), tmp_path / 'run')
  for word in words:
    assert word in str(error.value)
  assert '\n' not in str(error.value)
  assert not (tmp_path / 'run' / 'checkpoints').exists()
  if case == 'combination':
    done = run_cli(*tiny_flags(tmp_path / 'run', **overrides))
    assert done.stderr == f'error: {error.value}\n'
    assert done.returncode == 2


def test_batch_must_divide_over_devices(tmp_path):
  config = tiny_digits(batch_size=7, num_devices=2)
  with pytest.raises(InputError, match=r'batch_size: 7.*2 devices.*6 or 8'):
    train(config, tmp_path)


def test_dataset_that_must_be_downloaded_without_a_network(tmp_path):
  """Every way out is shut by a proxy that is not there."""
  proxy = 'http://127.0.0.1:9'
  env = dict.fromkeys(
    ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'), proxy
  ) | {'TFDS_DATA_DIR': str(tmp_path / 'tfds'), 'no_proxy': '', 'NO_PROXY': ''}
  done = run_cli(*tiny_flags(tmp_path / 'run', data__name='mnist'), env=env)
  words = ('cannot prepare mnist', 'cannot be reached', 'Without a network')
  assert_one_line(done, *words, 'TFDS_DATA_DIR')


def test_a_platform_that_is_not_there(tmp_path):
  flags = tiny_flags(tmp_path / 'run')
  done = run_cli(*flags, env={'JAX_PLATFORMS': 'nonsense'})
  assert_one_line(done, "JAX_PLATFORMS: 'nonsense'", 'cpu')
  assert not (tmp_path / 'run').exists()


@pytest.mark.slow
@pytest.mark.parametrize(
  'kind', sampled(['file', 'below a file', 'not writable'], 'below a file')
)
def test_workdirs_that_cannot_be(kind, tmp_path):
  (tmp_path / 'file').write_text('')
  workdir = {
    'file': tmp_path / 'file',
    'below a file': tmp_path / 'file' / 'run',
    'not writable': pathlib.Path('/proc/run'),
  }[kind]
  assert_one_line(run_cli(*tiny_flags(workdir)), 'workdir', str(workdir))


def test_modes_need_a_run(tmp_path):
  done = run_cli('--mode=sample', f'--workdir={tmp_path / "none"}')
  assert_one_line(done, 'workdir', 'holds no run')
  for mode in (interpolate, evaluate):
    with pytest.raises(InputError, match='holds no run'):
      mode(tiny_digits(), tmp_path / 'none')


@pytest.mark.slow
def test_a_run_cannot_be_sampled_as_another(trained):
  done = run_cli('--mode=sample', f'--workdir={trained}', '--config.loss=hinge')
  assert_one_line(done, 'loss', 'non_saturating', 'hinge')


@pytest.mark.slow
def test_resuming_with_another_config_lists_the_differences(trained):
  flags = tiny_flags(trained, loss='hinge', latent_dim=5, num_steps=8)
  done = run_cli(*flags)
  assert_one_line(
    done, "loss was 'non_saturating', now 'hinge'", 'latent_dim was 4, now 5'
  )
  assert 'num_steps' not in done.stderr


@pytest.mark.slow
def test_damaged_checkpoint_is_named(trained, tmp_path):
  copy = tmp_path / 'copy'
  shutil.copytree(trained, copy)
  step = max((copy / 'checkpoints').iterdir(), key=lambda p: int(p.name))
  for path in step.rglob('*'):
    if path.is_file() and path.stat().st_size > 100:
      path.write_bytes(path.read_bytes()[:50])
  for flags in (['--mode=sample', f'--workdir={copy}'], tiny_flags(copy)):
    assert_one_line(run_cli(*flags), str(step), 'damaged')


@pytest.mark.slow
def test_checkpoint_of_another_architecture_is_named(trained, tmp_path):
  copy = tmp_path / 'copy'
  shutil.copytree(trained, copy)
  config = json.loads((copy / 'config.json').read_text())
  config['network']['gen_widths'] = [8, 9]
  (copy / 'config.json').write_text(json.dumps(config))
  done = run_cli('--mode=sample', f'--workdir={copy}')
  assert_one_line(done, 'checkpoint', 'another architecture')


# --- Killed -----------------------------------------------------------------


@pytest.mark.slow  # in test_interruption.py a run is stopped; soak.py kills
@pytest.mark.parametrize('cache', ['device', 'stream'])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, cache):
  """kill -9 in mid-training, the same command again, compared bit for bit."""
  keys = dict(
    num_steps=1200,
    steps_per_dispatch=10,
    log_every=10,
    checkpoint_every=100,
    keep_checkpoints=50,
    sample_every=1000,
    ema_decay=0.99,
    data__cache=cache,
    data__flip=True,
    network__gen_norm='batch',
    network__disc_norm='batch',
  )
  flags = tiny_flags(tmp_path / 'killed', **keys)
  process = subprocess.Popen(
    [sys.executable, str(ROOT / 'run.py'), *flags],
    env=cli_environment(),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  checkpoints = tmp_path / 'killed' / 'checkpoints'
  deadline = time.monotonic() + 120

  def saved():
    names = os.listdir(checkpoints) if checkpoints.exists() else []
    return [int(name) for name in names if name.isdigit()]

  while max(saved(), default=0) < 200 and time.monotonic() < deadline:
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  process.wait()
  at = max(saved())
  assert 200 <= at < 1200, 'killed too late to show anything'
  done = run_cli(*flags)
  assert done.returncode == 0, done.stderr
  assert f'at step {at} of 1200' in done.stdout
  whole = run_cli(*tiny_flags(tmp_path / 'whole', **keys))
  assert whole.returncode == 0, whole.stderr
  states = [restore(tmp_path / n).state for n in ('killed', 'whole')]
  assert states[0].step == 1200
  assert_same_bits(*states)
  rows = [
    [
      {k: v for k, v in json.loads(line).items() if k != 'images_per_second'}
      for line in (tmp_path / n / 'metrics.jsonl').read_text().splitlines()
    ]
    for n in ('killed', 'whole')
  ]
  assert rows[0] == rows[1]

"""docs/extending.md, followed to the letter in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT, cli_environment, tiny_flags

BLOCK = re.compile(r'^```python\n# (.*?)\n(.*?)^```$', re.M | re.S)
WHERE = re.compile(r'(\S+)(?:, (above|below) `(.*)`)?', re.S)


def recipes():
  """(file, above or below or None, beginning of a line, code) of each block."""
  text = (ROOT / 'docs' / 'extending.md').read_text()
  for heading, code in BLOCK.findall(text):
    if heading.count('`') % 2:  # a beginning of several lines
      rest, code = code.split('`\n', 1)
      heading = f'{heading}\n{rest}`'
    yield *WHERE.fullmatch(heading).groups(), code


def follow(root):
  """Puts every block where it says."""
  for name, side, beginning, code in recipes():
    path = root / name
    text = path.read_text() if path.exists() else ''
    if side is None:
      path.write_text(f'{text}\n\n{code}' if text else code)
      continue
    places = re.findall(rf'^{re.escape(beginning)}', text, re.M)
    assert len(places) == 1, f'{name}: {beginning!r} begins {len(places)} lines'
    at = text.index(f'\n{beginning}') + 1
    if side == 'below':
      at = text.index('\n', at + len(beginning)) + 1
    gap = '\n\n' if code.startswith(('def ', 'class ')) else ''
    path.write_text(text[:at] + code + gap + text[at:])


@pytest.fixture(scope='module')
def extended(tmp_path_factory):
  """The project with one more part of each kind."""
  root = tmp_path_factory.mktemp('extended') / 'project'
  ignored = shutil.ignore_patterns(
    '.venv', '.git', 'runs', '__pycache__', '.*_cache', 'images'
  )
  shutil.copytree(ROOT, root, ignore=ignored)
  follow(root)
  return root


def run(root, *arguments):
  done = subprocess.run(
    [sys.executable, *arguments],
    cwd=root,
    env=cli_environment() | {'PYTHONPATH': os.fspath(root)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
  return done.stdout


def test_the_recipes_can_be_followed(extended):
  """Every place that they name is there; what comes out is sound Python."""
  run(extended, '-m', 'ruff', 'check', '.')


@pytest.mark.slow
def test_the_new_parts_work_together(extended, tmp_path):
  """Trained with four of them, scored with the fifth, counted by the sixth."""
  flags = tiny_flags(
    tmp_path / 'run',
    network__name='linear',
    network__gen_widths='',
    network__disc_widths='',
    loss='logistic_margin',
    penalty='wgan_lp',
    tricks__logit_drift=0.1,
    data__dir=tmp_path / 'data',
  )
  flags = [flag for flag in flags if '_widths' not in flag]
  run(extended, 'run.py', '--config=mlp_stripes', *flags)
  workdir = flags[0]
  run(
    *(extended, 'run.py', '--mode=evaluate', workdir),
    *('--config.eval.scores=brightness', '--config.eval.network=random'),
    '--config.eval.num_samples=20',
  )
  scores = json.loads((tmp_path / 'run' / 'metrics.json').read_text())['scores']
  assert 0 < scores['brightness']['value'] < 1
  assert scores['brightness']['of_real'] == pytest.approx(0.5, abs=1e-6)
  counted = run(extended, 'run.py', '--mode=count', workdir)
  assert counted == f'gen {4 * 64 + 64}, disc {64 + 1}\n'


@pytest.mark.slow
def test_the_rules_still_hold(extended):
  """Formatted, linted, documented; each new part's own tests pass."""
  run(extended, '-m', 'ruff', 'format', '.')
  run(extended, '-m', 'ruff', 'check', '.')
  run(
    *(extended, '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider'),
    *('tests/test_architecture.py', 'tests/networks/test_linear.py'),
    'tests/metrics/test_brightness.py',
    *('tests/test_losses.py', 'tests/test_penalties.py', '-k'),
    'architecture or linear or brightness or reference or penalty_is_tested',
  )


@pytest.mark.slow  # the fast suite once more: ten minutes
def test_the_suite_is_green_with_them(extended):
  run(
    *(
      extended,
      '-m',
      'pytest',
      '-q',
      '-x',
      '-n',
      '2',
      '-p',
      'no:cacheprovider',
    ),
    '--deselect=tests/test_extending.py',
  )

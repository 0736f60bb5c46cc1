"""Completion by a real bash and a real zsh."""

import re
import shutil
import subprocess

import pytest

from configs import base
from gan_jax.config import completion
from gan_jax.modes import MODES
from tests.helpers import CONFIGS, ROOT, run_cli

TYPED = [
  ('gan-jax --mo', '--mode='),
  ('gan-jax --mode=samp', '--mode=sample'),
  ('gan-jax --config=dcgan_mn', '--config=dcgan_mnist'),
  ('gan-jax --config.eval.num_sam', '--config.eval.num_samples='),
  ('gan-jax --config.conditional=T', '--config.conditional=True'),
  ('python run.py --mode=samp', '--mode=sample'),
]


def script(shell, tmp_path):
  path = tmp_path / f'completion.{shell}'
  path.write_text(completion.script(shell, MODES, base))
  return path


def test_all_names_are_there():
  found = completion.words(MODES, base)
  assert {f'--mode={name}' for name in MODES} <= set(found)
  assert {f'--config={name}' for name in CONFIGS} <= set(found)
  assert '--config.eval.num_samples=' in found
  assert '--config=base' not in found
  assert not any(re.search(r'\s', word) for word in found)


def test_the_flags_are_those_of_run_py():
  text = (ROOT / 'run.py').read_text()
  own = re.findall(r"DEFINE_\w+\(\s*'(\w+)'", text)
  assert {*own, 'help', 'helpkeys'} == {*completion.FLAGS}


@pytest.mark.parametrize(('line', 'wanted'), TYPED)
def test_bash(line, wanted, tmp_path):
  bash = shutil.which('bash') or pytest.skip('there is no bash')
  words = [part for part in re.split(r'([=:])|\s', line) if part]
  array = ' '.join(f"'{word}'" for word in words)
  function = '_gan_jax_python' if line.startswith('python') else '_gan_jax'
  done = subprocess.run(
    [
      bash,
      '--norc',
      '-c',
      f'source {script("bash", tmp_path)}; COMP_LINE="{line}"; '
      f'COMP_POINT={len(line)}; COMP_WORDS=({array}); '
      f'COMP_CWORD={len(words) - 1}; {function}; '
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stderr == ''
  # A shell puts it in place of the last part, which = and : begin anew.
  last = wanted[len(re.match(r'(.*[=:])?', line.split()[-1])[0]) :]
  assert any(x.startswith(last) for x in done.stdout.splitlines())


def test_bash_completes_files(tmp_path):
  bash = shutil.which('bash') or pytest.skip('there is no bash')
  (tmp_path / 'my_runs').mkdir()
  line = f'gan-jax --workdir={tmp_path}/my_'
  done = subprocess.run(
    [
      bash,
      '--norc',
      '-c',
      f'source {script("bash", tmp_path)}; COMP_LINE="{line}"; '
      f'COMP_POINT={len(line)}; COMP_WORDS=(gan-jax); COMP_CWORD=1; _gan_jax; '
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.strip() == f'{tmp_path}/my_runs'


@pytest.mark.parametrize(('line', 'wanted'), TYPED[:5])
def test_zsh(line, wanted, tmp_path):
  zsh = shutil.which('zsh') or pytest.skip('there is no zsh')
  prefix = line.split()[-1]
  done = subprocess.run(
    [
      zsh,
      '-f',
      '-c',
      'compdef() { : }; compadd() { shift 4; print -l -- "$@" }; '
      f'source {script("zsh", tmp_path)}; PREFIX="{prefix}"; _gan_jax',
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stderr == ''
  found = done.stdout.splitlines()
  assert any(word.startswith(wanted) for word in found)
  assert all(word.startswith(prefix) for word in found)


def test_from_the_command_line():
  done = run_cli('--completion=bash')
  assert done.returncode == 0
  assert 'complete -o nospace' in done.stdout
  done = run_cli('--completion=fish')
  assert done.returncode == 2
  assert done.stderr.strip() == (
    "error: completion: 'fish' is no shell of these: bash, zsh"
  )

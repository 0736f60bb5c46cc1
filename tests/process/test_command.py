"""The package: its command, what it ships, and its pins."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

from tests.helpers import ROOT, cli_environment, tiny_flags

PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


def command(folder, path, *arguments):
  """`gan-jax` as its script calls it, in a folder, with a path to import from.

  A folder named configs that has nothing to do with ours is in the way.
  """
  (folder / 'configs').mkdir(exist_ok=True)
  code = 'from gan_jax.process.command import main; main()'
  return subprocess.run(
    [sys.executable, '-c', code, *arguments],
    cwd=folder,
    env=cli_environment() | {'PYTHONPATH': os.fspath(path)},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.slow
def test_a_config_by_name_in_another_folder(tmp_path):
  done = command(tmp_path, ROOT, '--config=mlp_digits', *tiny_flags('here'))
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'here' / 'samples' / 'final.png').exists()


def test_what_is_no_config_is_named_with_those_that_are(tmp_path):
  done = command(tmp_path, ROOT, '--config=mlp_digit')
  assert done.returncode == 2
  (line,) = done.stderr.splitlines()
  assert line.startswith('error: config: cannot load mlp_digit: there is no')
  assert 'nearest in configs/: mlp_digits, ' in line


def pins(name):
  text = (ROOT / name).read_text()
  return dict(re.findall(r'^([\w.\[\]-]+)==([\w.]+)', text, re.M))


def test_pins_lie_in_the_ranges_of_the_package():
  wanted = [Requirement(line) for line in PROJECT['dependencies']]
  pinned = pins('requirements-cpu.txt')
  assert {w.name for w in wanted} == set(pinned)
  for requirement in wanted:
    assert pinned[requirement.name] in requirement.specifier, requirement
  extras = PROJECT['optional-dependencies']
  tests = [Requirement(line) for line in extras['test']]
  pinned = pins('requirements-test.txt')
  assert {w.name for w in tests} == set(pinned)
  for requirement in tests:
    assert pinned[requirement.name] in requirement.specifier, requirement


@pytest.mark.slow  # builds a wheel, with a build backend from the index
def test_an_installed_package_needs_no_checkout(tmp_path):
  built = subprocess.run(
    [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '-w', tmp_path, ROOT],
    capture_output=True,
    text=True,
    check=False,
  )
  if 'No matching distribution found for hatchling' in built.stderr:
    pytest.skip('no package index is at hand')
  assert built.returncode == 0, built.stderr
  (wheel,) = tmp_path.glob('*.whl')
  installed = tmp_path / 'site'
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(installed)
  assert {p.name for p in installed.iterdir() if p.is_dir()} == {
    'gan_jax',
    wheel.name.removesuffix('-py3-none-any.whl') + '.dist-info',
  }
  assert (installed / 'gan_jax' / 'py.typed').exists()
  done = command(tmp_path, installed, *tiny_flags('here'))
  assert done.returncode == 0, done.stderr

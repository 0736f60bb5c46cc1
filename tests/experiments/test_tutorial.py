"""The tutorial notebook: it runs from its first cell to its last."""

import json
import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT, cli_environment

FOLDER = ROOT / 'docs' / 'notebooks'


@pytest.fixture(scope='module')
def notebook():
  return json.loads((FOLDER / 'tutorial.ipynb').read_text(encoding='utf-8'))


def code_of(notebook):
  return [
    ''.join(cell['source'])
    for cell in notebook['cells']
    if cell['cell_type'] == 'code'
  ]


def test_the_tutorial_is_a_notebook_without_outputs(notebook):
  assert (notebook['nbformat'], notebook['nbformat_minor']) == (4, 5)
  ids = [cell['id'] for cell in notebook['cells']]
  assert len(set(ids)) == len(ids)
  assert all(re.fullmatch(r'[a-zA-Z0-9_-]{1,64}', name) for name in ids)
  for cell in notebook['cells']:
    assert cell['cell_type'] in ('code', 'markdown')
    if cell['cell_type'] == 'code':
      assert cell['outputs'] == [], cell['id']
      assert cell['execution_count'] is None, cell['id']


def test_the_pages_that_the_tutorial_links_to_exist(notebook):
  text = '\n'.join(
    ''.join(cell['source'])
    for cell in notebook['cells']
    if cell['cell_type'] == 'markdown'
  )
  links = re.findall(r'\]\(([^):#]+)[^)]*\)', text)
  assert links
  for link in links:
    assert (FOLDER / link).exists(), link


@pytest.mark.slow  # three runs, in a process of its own
def test_the_tutorial_runs_at_tiny_sizes(notebook, tmp_path):
  script = tmp_path / 'tutorial.py'
  script.write_text('\n\n'.join(code_of(notebook)), encoding='utf-8')
  done = subprocess.run(
    [sys.executable, str(script)],
    capture_output=True,
    text=True,
    timeout=300,
    cwd=FOLDER,
    env=cli_environment() | {'GAN_JAX_TUTORIAL_TINY': '1', 'MPLBACKEND': 'agg'},
    check=False,
  )
  assert done.returncode == 0, done.stderr
  for name in ('non_saturating', 'least_squares'):
    assert re.search(rf'^score: {name}: FID [\d.]+;', done.stdout, re.M)
    assert re.search(rf'^{name}: [a-z ]+, because ', done.stdout, re.M)
  assert 'verdict at step 40' in done.stdout

"""The rules of docs/architecture.md that a program can hold."""

import ast
import subprocess
import sys

import pytest

from tests.helpers import ROOT

SOURCES = sorted((ROOT / 'gan_jax').rglob('*.py'))

# Lower numbers know nothing of higher ones. Files of one number may know each
# other.
LAYERS = {
  'types': 0,
  'files': 1,
  'digests': 2,
  'logs': 3,
  'hosts': 1,
  'shares': 1,
  'interruption': 0,
  'exits': 2,
  'non_finite': 1,
  'failures': 10,
  'replay': 12,
  'results': 10,
  'cache': 1,
  'rng': 0,
  'pixels': 0,
  'priors': 0,
  'overrides': 1,
  'f_divergences': 0,
  'divergences': 1,
  'theory': 2,
  'losses': 1,
  'penalties': 1,
  'gradients': 1,
  'diversity': 0,
  'optimizers': 2,
  'tricks': 2,
  'networks': 2,
  'games': 3,
  'solvers': 4,
  'parallel': 4,
  'data': 4,
  'checkpoint': 4,
  'sampling': 4,
  'memory': 4,
  'precision': 2,
  'sweep': 2,
  'ensemble': 5,
  'limits': 5,
  'metrics': 5,
  'environment': 5,
  'workdir': 5,
  'features': 6,
  'evaluation': 7,
  'reporting': 6,
  'progress': 7,
  'build': 7,
  'build_tricks': 7,
  'comparison': 8,
  'scoring': 8,
  'diagnosis': 1,
  'trained': 8,
  'checkup': 8,
  'inference': 13,
  'runs': 9,
  'training': 11,
  '__init__': 13,
}


def module_name(path):
  relative = path.relative_to(ROOT / 'gan_jax')
  return relative.parts[0].removesuffix('.py')


def imports(path, *, top_level_only=False):
  """Modules that a file imports, as dotted names."""
  tree = ast.parse(path.read_text())
  nodes = tree.body if top_level_only else ast.walk(tree)
  for node in nodes:
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield node.module
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.name))
def test_imports_run_down_only(path):
  own = LAYERS[module_name(path)]
  for name in imports(path):
    assert not name.startswith(('configs', 'experiments', 'absl.flags'))
    parts = name.split('.')
    if parts[0] == 'gan_jax' and len(parts) > 1 and parts[1] in LAYERS:
      assert LAYERS[parts[1]] <= own, f'{path} imports {name}'


@pytest.mark.parametrize(
  'name', ['losses', 'penalties', 'theory', 'divergences', 'f_divergences']
)
def test_maths_imports_jax_alone(name):
  path = ROOT / 'gan_jax' / f'{name}.py'
  allowed = ('jax', 'collections', 'typing', 'gan_jax.types')
  allowed += ('gan_jax.f_divergences', 'gan_jax.divergences')
  for module in imports(path):
    assert module.startswith(allowed), module


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.name))
def test_tensorflow_is_imported_by_no_one(path):
  assert not any(name.split('.')[0] == 'tensorflow' for name in imports(path))


def test_devices_are_known_in_one_file():
  names = ('pmap', 'shard_map', 'local_devices', 'NamedSharding')
  for path in SOURCES:
    attributes = {
      node.attr
      for node in ast.walk(ast.parse(path.read_text()))
      if isinstance(node, ast.Attribute)
    }
    if module_name(path) == 'parallel':
      assert 'pmap' in attributes
    else:
      assert not attributes & set(names), path


def test_import_is_light():
  """`import gan_jax` and building a model need none of these."""
  heavy = 'tensorflow tensorflow_datasets ml_collections matplotlib grain'
  code = (
    'import sys, gan_jax, gan_jax.build, gan_jax.sampling\n'
    f'print([m for m in {heavy.split()} if m in sys.modules])'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout.strip() == '[]'


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.name))
def test_files_and_functions_keep_their_size(path):
  text = path.read_text()
  assert len(text.splitlines()) <= 350
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.FunctionDef):
      lines = (
        node.end_lineno
        - node.lineno
        - len((ast.get_docstring(node) or '').splitlines())
      )
      assert lines <= 80, f'{path}: {node.name} has {lines} lines'


def test_run_is_short():
  assert len((ROOT / 'run.py').read_text().splitlines()) < 100

"""The rules of docs/architecture.md that a program can hold."""

import ast
import functools
import subprocess
import sys

import pytest

from tests.helpers import ROOT

PACKAGE = ROOT / 'gan_jax'
SOURCES = sorted(PACKAGE.rglob('*.py'))

# From the ground up: a room knows those before it, and none after it. The
# loose files stand where they are used from.
ROOMS = [
  *('types', 'rng', 'pixels'),
  'storage',  # files whole or not at all, caches, digests
  'process',  # how a process joins others and ends; the user's plugins
  'devices',  # pmap, sharding, compiling, precision, shares
  'theory',  # exact mathematics on densities
  *('losses', 'penalties'),
  'networks',  # one family per file, G and D together
  'tricks',  # remedies, each where it acts
  'sampling',  # priors, sampler, walks
  'metrics',  # one per file
  'games',  # what the players minimise
  'solvers',  # how they move
  'data',  # TFDS and folders in, batches out
  'ensemble',
  'features',  # what distances are measured in
  'evaluation',  # from images to scores with a protocol
  'diagnosis',  # what is wrong with a run, in words
  'config',  # the only room that reads a ConfigDict
  'workdir',  # a run's folder, and a run read back
  'reporting',  # grids, curves, tables
  'training',  # the loop, and what happens between its dispatches
  'search',  # many runs, for the keys of a better one
  'modes',  # one file per --mode
  '__init__',
]


def room_of(path):
  return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


@functools.cache
def parsed(path):
  return ast.parse(path.read_text())


@functools.cache
def imports(path):
  """Modules and names that a file imports, dotted."""
  found = set()
  for node in ast.walk(parsed(path)):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      found |= {node.module, *(f'{node.module}.{a.name}' for a in node.names)}
  return found


def test_every_room_has_a_row_and_few_files_are_loose():
  found = {room_of(path) for path in SOURCES}
  assert found == set(ROOMS)
  loose = {p.stem for p in PACKAGE.glob('*.py')} - {'__init__'}
  assert loose == set('types rng pixels losses penalties ensemble'.split())
  for room in PACKAGE.iterdir():
    if room.is_dir() and room.name != '__pycache__':
      assert ast.get_docstring(parsed(room / '__init__.py'))


def test_imports_run_down_only():
  for path, name in [(p, name) for p in SOURCES for name in imports(p)]:
    assert not name.startswith(('configs', 'experiments', 'absl.flags')), path
    package, *rest = name.split('.')
    if package == 'gan_jax' and rest:
      own, other = ROOMS.index(room_of(path)), ROOMS.index(rest[0])
      assert other <= own, f'{path} imports {name}'


def test_no_files_of_a_room_import_each_other():
  """Not even over others: within a room too there is a below and an above."""
  edges = {
    path: {
      other
      for other in SOURCES
      if other.name != '__init__.py'
      and other != path
      and room_of(other) == room_of(path)
      and '.'.join(('gan_jax', *other.relative_to(PACKAGE).parts))[:-3]
      in imports(path)
    }
    for path in SOURCES
  }
  while edges:
    lowest = [path for path, below in edges.items() if not below & set(edges)]
    assert lowest, f'these import each other: {[str(p) for p in edges]}'
    for path in lowest:
      del edges[path]


def test_a_config_is_read_in_one_room():
  """Where the trip of a ConfigDict ends: `modes` hand it on to `config`."""
  for path in SOURCES:
    if room_of(path) == 'config':
      continue
    for node in ast.walk(parsed(path)):
      if isinstance(node, ast.arg) and node.arg == 'config':
        # workdir/layout.py compares the flat keys of two files.
        assert room_of(path) in ('modes', 'workdir'), path
      if isinstance(node, ast.Attribute):
        of = node.value
        read = isinstance(of, ast.Name) and of.id == 'config'
        read |= isinstance(of, ast.Attribute) and (
          of.attr == 'config' and ast.unparse(of) != 'jax.config'
        )
        assert not read or node.attr in ('get', 'items'), f'{path}: {node.attr}'


@pytest.mark.parametrize('name', ['losses.py', 'penalties.py', 'theory'])
def test_maths_imports_jax_alone(name):
  place = PACKAGE / name
  allowed = ('jax', 'collections', 'typing', 'gan_jax.types', 'gan_jax.theory')
  for path in [place] if place.is_file() else place.glob('*.py'):
    for module in imports(path):
      assert module.startswith(allowed), module


def test_tensorflow_is_imported_by_no_one():
  for path in SOURCES:
    assert 'tensorflow' not in {name.split('.')[0] for name in imports(path)}


def test_devices_are_known_in_one_room():
  names = {'pmap', 'shard_map', 'local_devices', 'NamedSharding'}
  known = set()
  for path in SOURCES:
    attributes = {
      node.attr
      for node in ast.walk(parsed(path))
      if isinstance(node, ast.Attribute)
    }
    if attributes & names:
      known.add(room_of(path))
  assert known == {'devices'}


def test_import_is_light():
  """`import gan_jax` and building a model need none of these."""
  heavy = 'tensorflow tensorflow_datasets ml_collections matplotlib grain '
  heavy += 'scipy.special scipy.ndimage'
  code = (
    'import sys, gan_jax, gan_jax.config.plan, gan_jax.sampling.sampler\n'
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


def test_files_and_functions_keep_their_size():
  for path in SOURCES:
    assert len(path.read_text().splitlines()) <= 345, path
    for node in ast.walk(parsed(path)):
      if isinstance(node, ast.FunctionDef):
        docstring = len((ast.get_docstring(node) or '').splitlines())
        lines = node.end_lineno - node.lineno - docstring
        assert lines <= 50, f'{path}: {node.name} has {lines} lines'


def test_run_is_short():
  assert len((ROOT / 'run.py').read_text().splitlines()) < 100

"""Workdirs of finished runs, damaged or hostile: a line, or it works.

Nothing is written beside them. See tests/config/test_fuzz.py.
"""

import contextlib
import io
import itertools
import json
import os
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import strategies as st

from gan_jax.modes import diagnose as diagnose_mode
from gan_jax.modes import interpolate as interpolate_mode
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.workdir.trained import load
from tests.config.test_fuzz import bounded, edited, edits, fuzz
from tests.helpers import abandoned_reads, sampled, tiny_digits

pytestmark = abandoned_reads


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A tiny finished run."""
  workdir = tmp_path_factory.mktemp('fuzz') / 'run'
  train(tiny_digits(num_steps=4), workdir)
  plugin = dict(name='/gone/mine.py', path='/gone/mine.py', sha256='0' * 64)
  text = json.dumps({'plugins': [plugin]})
  (workdir / 'plugins.json').write_text(text)
  return workdir


VALUES = [None, True, 0, -1, 3, 2**63, 10**30, 1.5, 1e300, np.nan, np.inf]
VALUES += [
  '',
  'x',
  '../..',
  'a\nb\x1b[31m',
  [],
  {},
  [8],
  [[8]],
  [None],
  {'a': 1},
]
JSON_FILES = ('config.json', 'dataset.json', 'environment.json')
JSON_FILES += ('plugins.json',)
new_value = st.one_of(
  st.sampled_from([*VALUES, 'delete', 'deep']),
  st.integers(),
  st.text(max_size=5),
)
json_edits = st.tuples(
  st.sampled_from(JSON_FILES), st.integers(0, 10**6), new_value
)
byte_edits = st.tuples(st.integers(0, 10**6), edits)


def places(value, path=()):
  """Paths of everything inside a JSON value."""
  items = value.items() if isinstance(value, dict) else ()
  if isinstance(value, list):
    items = enumerate(value)
  for key, inner in items:
    yield (*path, key)
    yield from places(inner, (*path, key))


def change_json(workdir, file, number, value):
  path = workdir / file
  whole = json.loads(path.read_text())
  found = list(places(whole))
  *heads, last = found[number % len(found)]
  inside = whole
  for key in heads:
    inside = inside[key]
  inside[last] = 'DEEP' if value == 'deep' else value
  if value == 'delete':
    del inside[last]
  deep = '[' * 100_000 + ']' * 100_000
  path.write_text(json.dumps(whole).replace('"DEEP"', deep))


def change_bytes(workdir, number, changes):
  files = sorted(path for path in workdir.rglob('*') if path.is_file())
  path = files[number % len(files)]
  path.write_bytes(edited(path.read_bytes(), changes))


def listing(folder):
  return sorted(
    (name, path.stat().st_size if path.is_file() else 0)
    for path in folder.rglob('*')
    for name in [str(path.relative_to(folder))]
    if not name.startswith('run')
  )


def use(workdir, *, sample=True):
  """What is done with a finished run, each by itself."""
  config = tiny_digits()
  config.sample.num = 2
  config.diagnose.samples = 4 if sample else 0
  config.diagnose.classifier = False
  yield lambda: load(workdir)
  yield lambda: diagnose_mode.diagnose(config, workdir)
  if sample:
    yield lambda: sample_mode.sample(config, workdir)
    yield lambda: interpolate_mode.interpolate(config, workdir)


def go_on(workdir):
  bounded(lambda: train(tiny_digits(num_steps=8), workdir), 60.0)


@fuzz(
  st.one_of(
    json_edits.map(lambda x: ('json', x)),
    byte_edits.map(lambda x: ('bytes', x)),
  ),
  fast=25,
  thorough=100,
)
def test_workdirs(example, request):
  finished = request.getfixturevalue('finished')
  thorough = request.node.get_closest_marker('slow') is not None
  kind, change = example
  with tempfile.TemporaryDirectory() as name:
    parent = pathlib.Path(name)
    (parent / 'beside').write_text('as it was')
    workdir = parent / 'run'
    shutil.copytree(finished, workdir)
    {'json': change_json, 'bytes': change_bytes}[kind](workdir, *change)
    before, here = listing(parent), sorted(os.listdir())
    with contextlib.redirect_stderr(io.StringIO()):
      for action in use(workdir, sample=thorough):
        bounded(action, seconds=60.0)
    assert listing(parent) == before
    assert sorted(os.listdir()) == here


JUNK = {
  'letters': lambda folder: (folder / 'abc').mkdir(),
  'half a number': lambda folder: (folder / '12abc').mkdir(),
  'a number beyond all': lambda folder: (folder / ('9' * 30)).mkdir(),
  'below zero': lambda folder: (folder / '-3').mkdir(),
  'other digits': lambda folder: (folder / '٣').mkdir(),
  'an empty step': lambda folder: (folder / '9').mkdir(),
  'a file': lambda folder: (folder / '9').write_text('x'),
  'a loop': lambda folder: (folder / '9').symlink_to('9'),
  'a temporary one': lambda folder: (
    folder / '9.orbax-checkpoint-tmp-1'
  ).mkdir(),
  'no text': lambda folder: os.mkdir(os.fsencode(folder) + b'/\xff'),
}


@pytest.mark.parametrize('case', JUNK)
def test_junk_among_checkpoints(case, finished, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(finished, workdir)
  JUNK[case](workdir / 'checkpoints')
  for action in use(workdir, sample=False):
    bounded(action, seconds=60.0)


def test_a_run_goes_on_among_junk(finished, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(finished, workdir)
  for make in JUNK.values():
    with contextlib.suppress(OSError):
      make(workdir / 'checkpoints')
  go_on(workdir)


ROWS = {
  'binary': b'\xff\xfe\0',
  'deep': b'[' * 100_000 + b']' * 100_000,
  'a text for a step': b'{"step": "a"}',
  'a step of many digits': b'{"step": 1' + b'0' * 4000 + b'}',
  'texts for metrics': b'{"step": 3, "disc_loss": "a", "gen_loss": []}',
  'objects for metrics': b'{"step": 3, "disc_loss": {}, "disc_grad_norm": {}}',
  'no metrics': b'{"step": 3}',
  'a huge metric': b'{"step": 3, "gen_loss": 1' + b'0' * 400 + b'}',
  'a member': b'{"step": 3, "member": [1]}',
  'null': b'{"step": 3, "gen_loss": null, "disc_loss": NaN}',
}


@pytest.mark.parametrize(
  ('case', 'alone'),
  sampled(
    itertools.product(ROWS, [True, False]),
    *((case, False) for case in ROWS),
    ('binary', True),
  ),
)
def test_junk_among_metrics(case, alone, finished, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(finished, workdir)
  path = workdir / 'metrics.jsonl'
  rows = b'' if alone else path.read_bytes()
  path.write_bytes(ROWS[case] + b'\n' + rows + ROWS[case])
  for action in use(workdir, sample=False):
    bounded(action)


def test_a_run_goes_on_with_junk_in_its_metrics(finished, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(finished, workdir)
  path = workdir / 'metrics.jsonl'
  path.write_bytes(b'\n'.join([*ROWS.values(), path.read_bytes()]))
  go_on(workdir)

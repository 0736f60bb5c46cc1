"""Checkpoints: what was saved comes back bit for bit, or is refused."""

import errno
import gc
import itertools
import json
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from gan_jax.devices import parallel
from gan_jax.storage import digests
from gan_jax.types import InputError, Players, StorageError, TrainState
from gan_jax.workdir import checkpoint
from gan_jax.workdir.checkpoint import Checkpoints, restore_latest
from tests.helpers import ROOT, abandoned_reads, cli_environment, sampled


def make_state(seed=0, ema=False):
  """A state as training has it: optax states, None, empty dicts, bfloat16."""
  keys = jax.random.split(jax.random.key(seed), 3)
  gen = {'dense': {'kernel': jax.random.normal(keys[0], (3, 4)), 'b': ()}}
  disc = [
    jax.random.normal(keys[1], (5,)).astype(jnp.bfloat16),
    jnp.float32(seed + 0.1),
  ]
  adam = optax.adam(1e-3)
  return TrainState(
    step=jnp.int32(seed),
    params=Players(gen, disc),
    opt_state=Players(adam.init(gen), adam.init(disc)),
    model_state=Players({}, {'u': jax.random.normal(keys[2], (2, 1))}),
    ema={'params': gen, 'model_state': {}} if ema else None,
  )


def on_host(tree):
  """A copy that donation cannot touch."""
  return jax.tree.map(lambda x: np.array(x, copy=True), tree)


def save(folder, *steps, make=make_state, keep=10):
  with Checkpoints(folder, keep=keep) as checkpoints:
    for step in steps:
      checkpoints.save(step, make(step))


def restore(folder, template=None, **options):
  with Checkpoints(folder) as checkpoints:
    return checkpoints.restore(template or make_state(), **options)


def assert_same(found, expected):
  """Equal in structure, types, shapes and bits."""
  assert jax.tree.structure(found) == jax.tree.structure(expected)
  chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
  for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def steps_in(folder):
  return sorted(int(path.name) for path in folder.glob('[0-9]*'))


# --- Back and forth ---------------------------------------------------------


@pytest.mark.parametrize('ema', [False, True])
@pytest.mark.parametrize('abstract', [False, True])
def test_a_state_comes_back_bit_for_bit(ema, abstract, tmp_path):
  state = make_state(7, ema)
  save(tmp_path, 7, make=lambda step: state)
  template = make_state(8, ema)
  if abstract:
    template = jax.eval_shape(lambda: make_state(8, ema))
  found = restore(tmp_path, template)
  assert_same(found, state)
  assert isinstance(found, TrainState)
  assert isinstance(found.opt_state.gen[0], optax.ScaleByAdamState)
  assert found.params.disc[0].dtype == jnp.bfloat16
  assert (found.ema is None) != ema


class Odd(NamedTuple):
  """Values that a careless path through text or float32 would change."""

  values: jax.Array
  flags: jax.Array
  counts: jax.Array


def test_odd_values_come_back_bit_for_bit(tmp_path):
  state = Odd(
    jnp.array([jnp.nan, -jnp.nan, jnp.inf, -0.0, 1e-45, 3.4e38, 0.1]),
    jnp.array([True, False]),
    jnp.array([2**31 - 1, -(2**31), 16777217], jnp.int32),
  )
  save(tmp_path, 1, make=lambda step: state)
  assert_same(restore(tmp_path, state), state)


def test_the_newest_comes_back(tmp_path):
  save(tmp_path, 1, 5, 12)
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest_step == 12
    assert_same(checkpoints.restore(make_state()), make_state(12))


@pytest.mark.parametrize('keep', [1, 3])
def test_the_newest_are_kept(keep, tmp_path):
  save(tmp_path, *range(10, 60, 10), keep=keep)
  assert steps_in(tmp_path) == [30, 40, 50][-keep:]
  save(tmp_path, 60, keep=keep)
  assert steps_in(tmp_path) == [40, 50, 60][-keep:]
  assert_same(restore(tmp_path), make_state(60))


def test_saving_a_step_again_does_nothing(tmp_path):
  save(tmp_path, 3)
  save(tmp_path, 3, make=lambda step: make_state(99))
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(4, make_state(4))
    checkpoints.save(4, make_state(99))
  assert steps_in(tmp_path) == [3, 4]
  assert_same(restore(tmp_path), make_state(4))


def test_leaving_the_context_waits_even_after_an_error(tmp_path):
  def fail():
    with Checkpoints(tmp_path) as checkpoints:
      checkpoints.save(3, make_state(3))
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    fail()
  assert_same(restore(tmp_path), make_state(3))


# --- Devices ----------------------------------------------------------------


@pytest.mark.parametrize('num_devices', [1, 4])
def test_saved_values_survive_donation(num_devices, tmp_path):
  devices = jax.devices()[:num_devices]

  def make():
    weights = jnp.arange(2**20, dtype=jnp.float32)
    state = {str(i): weights + i for i in range(4)}  # 16 MiB
    return parallel.replicate(state, devices)

  @jax.jit
  def make_new(state):
    return jax.tree.map(lambda x: -x - 1.0, state)

  overwrite = jax.jit(make_new, donate_argnums=0)
  overwrite(make())  # compiled beforehand
  state = make()
  expected = on_host(state)
  with Checkpoints(tmp_path) as checkpoints:
    for step in (1, 2):
      checkpoints.save(step, state)
      for _ in range(11):
        state = overwrite(state)
    jax.block_until_ready(state)
  # An odd number of negations, twice, is a change and back.
  assert_same(on_host(restore(tmp_path, expected)), on_host(make_new(expected)))
  shutil.rmtree(tmp_path / '2')
  assert_same(on_host(restore(tmp_path, expected)), expected)


@pytest.mark.parametrize(('saved', 'restored'), [(1, 2), (4, 2), (2, 4)])
def test_a_state_is_put_where_asked(saved, restored, tmp_path):
  devices = jax.devices()
  save(
    tmp_path,
    6,
    make=lambda step: parallel.replicate(make_state(6), devices[:saved]),
  )
  sharding = parallel.replicated(devices[-restored:])
  found = restore(tmp_path, sharding=sharding)
  assert_same(found, make_state(6))
  for leaf in jax.tree.leaves(found):
    assert leaf.sharding == sharding
    assert leaf.devices() == set(devices[-restored:])


def test_a_state_is_put_on_the_first_device(tmp_path):
  save(
    tmp_path,
    6,
    make=lambda step: parallel.replicate(make_state(6), jax.devices()),
  )
  for found in (restore(tmp_path), restore_latest(tmp_path, make_state())):
    assert_same(found, make_state(6))
    for leaf in jax.tree.leaves(found):
      assert leaf.devices() == {jax.devices()[0]}


LOAD = """
import sys, jax, numpy as np
from gan_jax.workdir.checkpoint import restore_latest
assert len(jax.devices()) == 1
found = restore_latest(sys.argv[1], {'w': np.zeros(3, np.float32)})
np.testing.assert_array_equal(found['w'], [1.0, 2.0, 3.0])
"""


def test_a_run_of_several_devices_is_loaded_on_one(tmp_path):
  state = {'w': jnp.array([1.0, 2.0, 3.0])}
  state = parallel.replicate(state, jax.devices())
  save(tmp_path, 1, make=lambda step: state)
  done = subprocess.run(
    [sys.executable, '-c', LOAD, str(tmp_path)],
    cwd=ROOT,
    env=cli_environment() | {'JAX_NUM_CPU_DEVICES': '1'},
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert done.returncode == 0, done.stderr[-2000:]


# --- What cannot be restored ------------------------------------------------


def test_without_a_checkpoint(tmp_path):
  with Checkpoints(tmp_path / 'new') as checkpoints:
    assert checkpoints.latest_step is None
  with pytest.raises(InputError, match=r'workdir: no checkpoint in .*/new;'):
    restore(tmp_path / 'new')


def test_restore_latest_makes_no_folder(tmp_path):
  folder = tmp_path / 'checkpoints'
  with pytest.raises(InputError) as caught:
    restore_latest(folder, make_state())
  assert str(caught.value).startswith(f'workdir: no checkpoint in {folder};')
  assert not folder.exists()


def test_restore_latest_reads_and_removes_nothing(tmp_path):
  save(tmp_path, 1, 2, 3, 4, 5)
  assert_same(restore_latest(str(tmp_path), make_state()), make_state(5))
  assert steps_in(tmp_path) == [1, 2, 3, 4, 5]


def refused(folder, template=None):
  """The message of the InputError that restoring raises."""
  try:
    restore(folder, template)
  except InputError as error:
    message = str(error)
  else:
    pytest.fail('restored what it should refuse')
  time.sleep(0.05)  # for reads under way, which end here rather than later
  gc.collect()
  return message


def each_third_fast(cases):
  slow = pytest.mark.slow
  return [
    pytest.param(case, marks=[slow] * bool(i % 3))
    for i, case in enumerate(cases)
  ]


@pytest.fixture(scope='module')
def eighth(tmp_path_factory):
  """A folder with a checkpoint of step 8."""
  folder = tmp_path_factory.mktemp('eighth')
  save(folder, 8)
  return folder


STATE = make_state()
GEN, DISC = STATE.params


@abandoned_reads
@pytest.mark.parametrize(
  'template',
  each_third_fast(
    [
      STATE._replace(step=np.zeros(1, np.int32)),
      STATE._replace(params=Players(GEN, [np.zeros(6, jnp.bfloat16), DISC[1]])),
      STATE._replace(params=Players(GEN, [np.zeros(4, jnp.bfloat16), DISC[1]])),
      STATE._replace(params=Players(GEN, DISC[:1])),
      STATE._replace(params=Players(GEN, [*DISC, DISC[1]])),
      STATE._replace(params=Players({'conv': GEN['dense']}, DISC)),
      STATE._replace(ema={'params': GEN, 'model_state': {}}),
      STATE._replace(
        opt_state=Players(*map(optax.sgd(1.0).init, STATE.params))
      ),
    ]
  ),
)
def test_another_shape_or_structure_is_refused(template, eighth):
  message = refused(eighth, template)
  assert message.startswith(f'workdir: checkpoint {eighth / "8"} is ')
  assert 'of another architecture' in message
  assert len(message) < 500


@pytest.mark.slow
@abandoned_reads
def test_nothing_is_lost_by_a_refusal(eighth):
  refused(eighth, STATE._replace(step=np.zeros(1, np.int32)))
  assert_same(restore(eighth), make_state(8))


def delete(path):
  path.unlink()


def truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
  path.write_bytes(b'')


def fill(path):
  path.write_text('null')


@abandoned_reads
@pytest.mark.parametrize(
  ('which', 'damage'),
  sampled(
    itertools.product(
      ['state/d/*', 'state/manifest.ocdbt', 'meta/metadata', '**/*'],
      [delete, truncate, empty, fill],
    ),
    *(('state/d/*', truncate), ('state/manifest.ocdbt', fill)),
    *(('meta/metadata', empty), ('**/*', delete)),
  ),
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
  which, damage, tmp_path, capsys
):
  folder = tmp_path / 'checkpoints'
  save(folder, 1, 2)
  newest = folder / '2'
  paths = [path for path in newest.glob(which) if path.is_file()]
  assert paths
  for path in paths:
    damage(path)
  # Who only reads leaves it where it is.
  assert_same(restore_latest(folder, make_state()), make_state(1))
  assert newest.is_dir()
  with Checkpoints(folder) as checkpoints:
    assert_same(checkpoints.restore(make_state()), make_state(1))
    assert checkpoints.restored_step == checkpoints.latest_step == 1
    checkpoints.save(2, make_state(22))
  error = capsys.readouterr().err
  assert error.count(f'checkpoint {newest} is damaged') == 2
  assert 'going back to that of step 1' in error
  assert len(list((tmp_path / 'damaged').glob('checkpoints_2_*'))) == 1
  assert_same(restore(folder), make_state(22))


@abandoned_reads
def test_if_all_are_damaged_nothing_is_moved(tmp_path):
  save(tmp_path / 'c', 1, 2)
  for path in (tmp_path / 'c').glob('*/state/d/*'):
    truncate(path)
  message = refused(tmp_path / 'c')
  assert message.startswith(
    f'workdir: checkpoint {tmp_path / "c" / "2"} (and 1'
  )
  assert steps_in(tmp_path / 'c') == [1, 2]


@pytest.mark.parametrize('which', ['state/d/*', 'state/ocdbt.process_0/d/*'])
def test_one_flipped_bit_is_noticed(which, tmp_path, capsys):
  """Orbax itself restores other numbers without a word."""
  save(tmp_path / 'c', 1, 2)
  path = max((tmp_path / 'c' / '2').glob(which), key=lambda p: p.stat().st_size)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  assert_same(restore_latest(tmp_path / 'c', make_state()), make_state(1))
  assert 'is not what was written' in capsys.readouterr().err


def test_a_checkpoint_says_what_it_is_of(tmp_path):
  meta = {'config': {'seed': 3, 'widths': [1, 2]}, 'data': None}
  with Checkpoints(tmp_path, meta=meta) as checkpoints:
    assert checkpoints.meta() == {}
    checkpoints.save(4, make_state(4))
    checkpoints.finish()
    assert checkpoints.meta() == {'format': checkpoint.FORMAT} | meta


def test_checkpoints_of_before_there_was_a_format_are_read(tmp_path):
  manager = ocp.CheckpointManager(tmp_path)
  manager.save(3, args=ocp.args.StandardSave(make_state(3)))
  manager.wait_until_finished()
  manager.close()
  assert_same(restore(tmp_path), make_state(3))
  save(tmp_path, 4)
  assert_same(restore(tmp_path), make_state(4))


def test_a_later_format_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(checkpoint, 'FORMAT', 7)
  save(tmp_path, 3)
  monkeypatch.undo()
  assert 'has format 7, and this version of gan_jax reads 1' in refused(
    tmp_path
  )


def test_a_failure_in_the_background_is_said(tmp_path, monkeypatch, capsys):
  """Where its threads are kept from printing tracebacks, we still speak."""
  real = ocp.CheckpointManager.wait_until_finished

  def full(self):
    real(self)
    raise ValueError('RESOURCE_EXHAUSTED: No space left on device [28]')

  with Checkpoints(tmp_path) as checkpoints:
    with monkeypatch.context() as patch:
      patch.setattr(ocp.CheckpointManager, 'wait_until_finished', full)
      checkpoints.save(1, make_state(1))
      with pytest.raises(StorageError, match='No space left on device; '):
        checkpoints.finish()
    assert 'that of step 1 cannot be written' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['/dev/zero', '../x', 'state', 'missing'])
def test_digests_name_files_of_the_checkpoint_alone(name, tmp_path):
  (tmp_path / 'c' / 'state').mkdir(parents=True)
  (tmp_path / 'x').write_text('')
  (tmp_path / 'c' / 'digests.json').write_text(json.dumps({name: 'ab'}))
  with pytest.raises(digests.DamagedError):
    digests.check(tmp_path / 'c')


def test_what_cannot_be_written_costs_a_line(tmp_path, monkeypatch):
  """The folder's disk is full for one checkpoint of three."""
  lines = []

  def refuse(self, *args, **kwargs):
    raise OSError(errno.ENOSPC, 'No space left on device')

  with Checkpoints(tmp_path, note=lines.append) as checkpoints:
    checkpoints.save(1, make_state(1))
    checkpoints.finish()
    with monkeypatch.context() as patch:
      patch.setattr(ocp.CheckpointManager, 'save', refuse)
      checkpoints.save(2, make_state(2))
      with pytest.raises(StorageError, match=r'step 2 .* No space left'):
        checkpoints.finish()
    checkpoints.save(3, make_state(3))
    checkpoints.finish()
  assert len(lines) == 1
  assert 'the newest is of 1; training goes on' in lines[0]
  assert steps_in(tmp_path) == [1, 3]


def test_a_checkpoint_that_was_being_written_does_not_count(tmp_path):
  save(tmp_path, 1, 2)
  # What a kill leaves: orbax writes under such a name and renames it.
  (tmp_path / '2').rename(tmp_path / '2.orbax-checkpoint-tmp')
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest_step == 1
    assert_same(checkpoints.restore(make_state()), make_state(1))
    checkpoints.save(2, make_state(22))
  assert_same(restore(tmp_path), make_state(22))


def test_later_checkpoints_are_forgotten(tmp_path):
  save(tmp_path, 1, 5, 9)
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.forget_after(5)
    assert checkpoints.latest_step == 5
  assert sorted(p.name for p in tmp_path.glob('[0-9]*')) == ['1', '5']

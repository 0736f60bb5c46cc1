"""Runs with many tricks at once: resumed, sampled, scored, side by side."""

import jax
import numpy as np
import pytest

from gan_jax.modes import evaluate as evaluate_mode
from gan_jax.modes import sample as sample_mode
from gan_jax.modes.train import train
from gan_jax.types import InputError
from gan_jax.workdir.trained import restore
from tests.helpers import assert_same_bits, differs, tiny_digits

pytestmark = pytest.mark.slow  # many tricks in one program; each has tests

# Everything that a state has to carry besides parameters and moments.
MANY = dict(
  tricks__packing=2,
  tricks__num_discs=2,
  tricks__mixing_weight=1.0,
  tricks__noise_std=0.2,
  tricks__noise_schedule='constant',  # the others look at num_steps
  tricks__augment='ada',
  tricks__ada_images=64,
  tricks__ada_target=-0.9,
  tricks__lecam_weight=0.1,
  tricks__lookahead_steps=5,
  network__gen_norm='virtual',
  network__disc_norm='virtual',
  network__reference_size=4,
  gen_optimizer__historical_weight=0.1,
  disc_optimizer__clip_norm=0.5,
  ema_decay=0.9,
)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('whole')
  train(tiny_digits(**MANY), workdir)
  return workdir


def test_the_state_carries_memories_references_and_slow_weights(run):
  state = restore(run).state
  memory = state.model_state.disc['memory']
  assert memory['adaptive']['probability'].shape == (2,)
  assert np.all(memory['adaptive']['probability'] > 0)
  assert np.all(memory['lecam']['real'] != 0)
  assert differs(state.slow, state.params)
  reference = state.model_state.disc['reference']['inputs']
  assert reference.shape == (2, 4, 8, 8, 2)  # D, packs, pixels, channels
  # The same images for both, and real ones.
  np.testing.assert_array_equal(reference[0], reference[1])
  assert len(np.unique(reference)) > 5
  assert reference.min() == -1.0


def test_resumed_equals_uninterrupted(run, tmp_path):
  train(tiny_digits(**MANY, num_steps=8), tmp_path)
  train(tiny_digits(**MANY), tmp_path)
  states = [restore(path).state for path in (run, tmp_path)]
  assert_same_bits(*states)


def test_the_reference_stays_as_it_was(run):
  state = restore(run).state
  first = jax.jit(restore(run).model.init)(
    jax.random.split(jax.random.key(0))[0]
  )
  assert_same_bits(
    jax.tree.map(np.asarray, first.model_state.gen['reference']),
    jax.tree.map(np.asarray, state.model_state.gen['reference']),
  )


def test_it_is_sampled_and_scored(run, capsys):
  config = tiny_digits(
    sample__num=10,
    eval__scores=('disc_accuracy', 'sliced_wasserstein'),
    eval__network='random',
    eval__num_samples=30,
  )
  assert all(path.exists() for path in sample_mode.sample(config, run))
  result = evaluate_mode.evaluate(config, run)
  for side in ('real', 'fake'):
    assert 0 <= result.scores[f'disc_accuracy_{side}']['value'] <= 1
  capsys.readouterr()


@pytest.mark.slow  # compiles four programs of many tricks
def test_several_runs_at_once_are_each_alone(tmp_path, capsys):
  keys = dict(
    tricks__augment='ada', tricks__ada_target=-0.9, tricks__lookahead_steps=2
  )
  train(tiny_digits(num_seeds=2, **keys), tmp_path / 'both')
  train(tiny_digits(seed=1, **keys), tmp_path / 'one')
  capsys.readouterr()
  both = restore(tmp_path / 'both', member=1).state
  one = restore(tmp_path / 'one').state
  for x, y in zip(jax.tree.leaves(both), jax.tree.leaves(one), strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4)


def test_packs_must_divide_a_devices_share(tmp_path):
  config = tiny_digits(num_devices=4, batch_size=12, tricks__packing=2)
  with pytest.raises(InputError) as error:
    train(config, tmp_path)
  for word in ('tricks.packing: 2', '3 images', '4 devices'):
    assert word in str(error.value)

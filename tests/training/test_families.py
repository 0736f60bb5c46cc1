"""Class-conditional families as whole runs: resumed, as members, from disk."""

import numpy as np
import pytest

import gan_jax
from gan_jax.modes.train import train
from gan_jax.workdir.trained import restore
from tests.helpers import (
  SGD,
  assert_close,
  assert_same_bits,
  tiny_digits,
  tiny_keys,
)

_PLAIN = dict(network__gen_widths=None, network__disc_widths=None)


def family(network, **keys):
  return _PLAIN | dict(network__name=network) | tiny_keys(network) | keys


# With attention where there is a map for it.
FAMILIES = {
  'sngan': family('sngan', conditional=True),
  'sagan': family('sagan', conditional=True, data__image_size=16),
  'biggan': family(
    'biggan',
    conditional=True,
    data__image_size=16,
    latent_dim=6,
    codes=(2,),
    network__embed_dim=4,
    network__attention=(8,),
    ema_start=6,
  ),
  'ACGAN': dict(conditional=True, network__disc_labels_by='classifier'),
  'InfoGAN': dict(codes=(3, 1)),
  'maxout': family('maxout', solver='simultaneous', fresh_latents=False),
}
pytestmark = pytest.mark.slow  # two or three runs each


def config_of(name, **keys):
  shared = dict(ema_decay=0.5, loss='hinge')
  return tiny_digits(**SGD | shared | FAMILIES[name] | keys)


@pytest.mark.parametrize('name', FAMILIES)
def test_resumed_equals_uninterrupted(name, tmp_path):
  train(config_of(name), tmp_path / 'whole')
  train(config_of(name, num_steps=8), tmp_path / 'resumed')
  train(config_of(name), tmp_path / 'resumed')
  states = [restore(tmp_path / n).state for n in ('whole', 'resumed')]
  assert_same_bits(*states)
  run = gan_jax.load(tmp_path / 'resumed', batch_norm='standing')
  images = run.sample(5, truncation=0.5)
  assert len(images) == 5
  assert len(np.unique(images)) > 1


@pytest.mark.parametrize('name', FAMILIES)
def test_a_member_is_the_run_that_it_would_be_alone(name, tmp_path):
  train(config_of(name, num_seeds=2, num_steps=4), tmp_path / 'both')
  train(config_of(name, seed=1, num_steps=4), tmp_path / 'alone')
  member = restore(tmp_path / 'both', member=1).state
  assert_close(member, restore(tmp_path / 'alone').state, 1e-4)

"""The end of D: how each architecture takes labels, and what it guesses."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from gan_jax.config import plan as plans
from gan_jax.config.build import build
from gan_jax.networks import NETWORKS, Architecture, make_networks
from gan_jax.networks.layers import Style
from gan_jax.networks.mlp import Generator
from gan_jax.types import InputError, Players, Verdict
from tests.helpers import (
  DRAWING,
  fake_batch,
  fake_info,
  sampled,
  task_of,
  tiny_digits,
  tiny_keys,
)

SHAPE, CLASSES = (16, 16, 1), 3


def disc_of(network, way, codes=()):
  """D, its variables drawn, and a batch."""
  keys = tiny_keys(network)
  keys = {k.removeprefix('network__'): v for k, v in keys.items()}
  task = task_of(SHAPE, CLASSES)._replace(codes=codes)
  disc = make_networks(network, task, disc_labels_by=way, **keys).disc
  batch = fake_batch(4, SHAPE, CLASSES)
  variables = jax.jit(
    lambda: disc.init(jax.random.key(0), batch.images, batch.given, train=False)
  )()
  return disc, variables, batch


def verdicts(disc, variables, batch):
  """With the labels, and with others."""
  others = (batch.given['labels'] + 1) % CLASSES
  judge = jax.jit(
    lambda labels: disc.apply(
      variables, batch.images, {'labels': labels}, train=False
    )
  )
  return [judge(labels) for labels in (batch.given['labels'], others)]


PAIRS = [(name, way) for name in DRAWING for way in NETWORKS[name].labels_by]


@pytest.mark.parametrize(
  ('network', 'way'),
  sampled(PAIRS, *(pair for pair in PAIRS if pair[0] in ('mlp', 'dcgan'))),
)
def test_any_d_takes_labels_in_any_way(network, way):
  """Told of them its logits change; a classifier is not told, and guesses."""
  told, other = verdicts(*disc_of(network, way))
  assert told.logits.shape == (4,)
  if way == 'classifier':
    assert told.guesses['labels'].shape == (4, CLASSES)
    np.testing.assert_array_equal(told.logits, other.logits)
    np.testing.assert_array_equal(*(v.guesses['labels'] for v in (told, other)))
  else:
    assert not told.guesses
    assert (told.logits != other.logits).all()


@pytest.mark.parametrize(
  'network', sampled(['mlp', 'dcgan', 'biggan'], 'mlp', 'dcgan')
)
def test_codes_are_guessed_beside(network):
  told, _ = verdicts(*disc_of(network, 'classifier', codes=(5, 1)))
  assert {k: v.shape for k, v in told.guesses.items()} == {
    'labels': (4, CLASSES),
    'codes': (4, 6),
  }


def test_the_projection_is_on_the_sum_over_pixels():
  disc, variables, batch = disc_of('dcgan', 'projection')
  (told, other), table = (
    verdicts(disc, variables, batch),
    np.float64(variables['params']['Embed_0']['embedding']),
  )
  _, state = disc.apply(
    variables, batch.images, batch.given, train=False, mutable='intermediates'
  )
  h = np.float64(state['intermediates']['features'][-1]).sum((1, 2))
  labels = batch.given['labels']
  apart = table[labels] - table[(labels + 1) % CLASSES]
  np.testing.assert_allclose(
    told.logits - other.logits, (h * apart).sum(-1), rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(network__disc_labels_by='projection'), 'disc_labels_by: projection'),
    (
      dict(network__disc_labels_by='classifier', conditional=True)
      | dict(mismatch_weight=0.5),
      'mismatch_weight: 0.5 .*disc_labels_by=projection',
    ),
    (
      dict(network__disc_labels_by='guess', conditional=True),
      'disc_labels_by: .*classifier, concat, projection',
    ),
    (
      dict(network__disc_labels_by='classifier', conditional=True)
      | dict(network__disc_norm='conditional'),
      'network.disc_norm: .*which it is to guess',
    ),
    (dict(class_weight=1.0), 'class_weight: 1.0 .*disc_labels_by=classifier'),
    (dict(classify_fakes=False, conditional=True), 'classify_fakes: False'),
    (dict(codes=(0,)), r'codes: \(0,\) .*from 1 to'),
    (dict(codes=(2.5,)), 'codes: .*from 1 to'),
    (dict(code_weight=0.5), 'code_weight: 0.5 .*set codes'),
    (dict(code_weight=-1.0, codes=(2,)), 'code_weight: -1.0 is not'),
    (dict(codes=(2,), tricks__packing=2), 'tricks.packing: the 2 .*codes'),
    (dict(ema_start=10), 'ema_start: 10 .*set ema_decay'),
    (dict(ema_start=-1, ema_decay=0.9), 'ema_start: -1 is not'),
  ],
)
def test_one_line_for_what_cannot_be(keys, says):
  with pytest.raises(InputError, match=says):
    build(tiny_digits(**keys), fake_info())


class Silent(nn.Module):
  """A D of a plugin, which guesses nothing."""

  style: Style

  @nn.compact
  def __call__(self, images, given=None, *, train):
    h = self.style.join_images(images, given)
    self.sow('intermediates', 'features', h)
    return Verdict(nn.Dense(1)(h.reshape(len(h), -1))[:, 0], {})


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(codes=(3,)), 'network.name: D of silent guesses no codes'),
    (
      dict(network__disc_labels_by='projection', conditional=True),
      'network.disc_labels_by: .*valid: concat',
    ),
  ],
)
def test_a_d_of_ones_own_says_what_it_cannot(keys, says, monkeypatch):
  def silent(image_shape, style, *, gen_widths=(8,)):
    return Players(
      Generator(image_shape, gen_widths, style.gen), Silent(style.disc)
    )

  entry = Architecture(silent, Players(Style(), Style()))
  monkeypatch.setitem(NETWORKS, 'silent', entry)
  config = tiny_digits(
    network__name='silent', network__disc_widths=None, **keys
  )
  with pytest.raises(InputError, match=says):
    build(config, fake_info())


@pytest.mark.parametrize(
  ('value', 'says'),
  [
    ({'classify_fakes': False}, ''),
    ({'class_weight': 0.5}, ''),
    ({'classify_fakes': 'no'}, "classify_fakes: 'no' is not of the type"),
    ({'class_weight': 'a'}, "class_weight: 'a' is not of the type"),
  ],
)
def test_a_stage_may_change_what_the_guesses_cost(value, says):
  keys = dict(conditional=True, network__disc_labels_by='classifier')
  config = tiny_digits(stages=((4, value),), **keys)
  if not says:
    assert plans.read(config).stages[1].values == value
    return
  with pytest.raises(InputError, match=says):
    plans.read(config)


def test_a_game_of_one_player_guesses_nothing():
  keys = dict(solver='descent', game='autoencoder', network__disc_widths=None)
  keys |= dict(disc_optimizer__b1=None, disc_optimizer__b2=None)
  with pytest.raises(InputError, match=r'codes: \(2,\) says how two'):
    plans.read(tiny_digits(codes=(2,), **keys))

"""Encoders and decoders: counts by formula and literal, keys, sizes."""

import jax
import jax.numpy as jnp
import pytest

from gan_jax.networks import AUTOENCODERS, make_autoencoder, network_keys
from gan_jax.types import InputError
from tests.helpers import task_of


def num_params(name, shape, heads=2, latent_dim=20, num_classes=0, **keys):
  """Of both networks, without computing anything."""
  task = task_of(shape, num_classes, latent_dim)
  networks = make_autoencoder(name, task, heads * latent_dim, **keys).gen

  def init(key):
    given = task.dummies(2)
    inputs = dict(
      encoder=jnp.zeros((2, *shape)), decoder=jnp.zeros((2, latent_dim))
    )
    return {
      network: module.init(key, inputs[network], given, train=False)['params']
      for network, module in networks.items()
    }

  params = jax.eval_shape(init, jax.random.key(0))
  return sum(x.size for x in jax.tree.leaves(params))


def dense(inputs, outputs):
  return inputs * outputs + outputs


def test_the_mlp_has_the_size_of_pytorchs_example():
  expected = dense(784, 400) + dense(400, 40) + dense(20, 400) + dense(400, 784)
  assert num_params('mlp', (28, 28, 1)) == expected == 652_824
  assert num_params('mlp', (28, 28, 1), gen_widths=(400,)) == expected


def test_widths_are_the_decoders_and_the_encoder_has_them_backwards():
  expected = dense(64, 5) + dense(5, 7) + dense(7, 4)
  expected += dense(4, 7) + dense(7, 5) + dense(5, 64)
  found = num_params('mlp', (8, 8, 1), 1, 4, gen_widths=(7, 5))
  assert found == expected


def conv(inputs, outputs):
  return 4 * 4 * inputs * outputs + outputs


def test_convolutions_have_the_size_that_the_formula_says():
  expected = conv(3, 5) + conv(5, 7) + dense(2 * 4 * 7, 8)
  expected += dense(4, 2 * 4 * 7) + conv(7, 5) + conv(5, 3)
  found = num_params('conv', (8, 16, 3), 2, 4, gen_widths=(7, 5))
  assert found == expected


@pytest.mark.parametrize('name', AUTOENCODERS)
def test_labels_and_norm_add_their_parameters(name):
  keys = dict(shape=(8, 8, 1), latent_dim=4, gen_widths=(7, 5))
  plain = num_params(name, **keys)
  labelled = num_params(name, num_classes=3, embed_dim=2, **keys)
  first = {'mlp': (64 * 5, 7), 'conv': (4 * 4 * 5, 2 * 2 * 7)}[name]
  planes, embedding = 3 * 64, 3 * 2
  assert labelled - plain == planes + first[0] + embedding + 2 * first[1]
  normed = num_params(name, gen_norm='batch', **keys)
  assert normed - plain == 2 * 2 * (7 + 5)


@pytest.mark.parametrize('name', AUTOENCODERS)
def test_only_keys_of_the_one_player_are_taken(name):
  keys = {'gen_widths', 'gen_activation', 'gen_norm', 'gen_weights'}
  keys |= {'norm_momentum', 'embed_dim'}
  assert set(network_keys(name, AUTOENCODERS)) == keys
  with pytest.raises(InputError, match=r'network\.disc_norm: .* takes embed'):
    make_autoencoder(name, task_of(), 8, disc_norm='layer')
  with pytest.raises(InputError, match=r"network\.gen_norm: .*'virtual'"):
    make_autoencoder(name, task_of(), 8, gen_norm='virtual')


def test_an_image_that_cannot_be_halved_is_refused():
  with pytest.raises(InputError, match=r'data\.image_size: conv .* 8 x 12'):
    make_autoencoder('conv', task_of((8, 12, 1)), 8, gen_widths=(4, 4, 4))

"""Every config builds and trains; every key is read; every name is met."""

import ast
import itertools

import jax
import numpy as np
import pytest

from benchmarks.pixels import shape_of
from gan_jax.config import checks
from gan_jax.config.build import abstract_state, build
from gan_jax.config.sweep import SWEPT
from gan_jax.losses import LOSSES
from gan_jax.networks import NETWORKS
from gan_jax.penalties import PENALTIES
from gan_jax.types import InputError
from tests.helpers import (
  BY_CLASS,
  CONFIGS,
  DRAWING,
  ROOT,
  TWO_PLAYERS,
  fake_batch,
  fake_info,
  load_config,
  sampled,
  stack_draws,
  tiny_keys,
  with_source,
)


def two_steps(config, shape):
  """Takes two steps on random images; returns state and metrics."""
  info, batch = with_source(fake_info(shape), fake_batch(4, shape))
  model = build(config, info)
  state = jax.jit(model.init)(jax.random.key(0))
  step = jax.jit(model.train_step)
  batches = stack_draws(*[batch] * config.disc_steps)
  for t in range(2):
    state, metrics = step(state, batches, jax.random.key(t))
  return state, metrics


def assert_finite(tree):
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)


# The largest of each network are slow; what they differ in is not their size.
_SLOW = {'dcgan_64', 'dcgan_cifar', 'cdcgan_fashion', 'wgan_gp_cifar'}
# Others are of their kind.
_SLOW |= {'wgan_cifar', 'lsgan_mnist', 'cgan_mnist', 'mlp_mnist'}
_SLOW |= {'mlp_bn_mnist', 'dcgan_mnist', 'autoencoder_mnist', 'infogan_mnist'}
_SLOW |= {'sngan_cifar', 'sngan_fashion', 'projection_mnist', 'sagan_128'}
_SLOW |= {'sagan_cifar', 'biggan_32', 'biggan_128', 'biggan_fashion'}
_SLOW |= {'biggan_mnist', 'acgan_mnist'}
_SLOW |= {'stylegan2_256', 'stylegan2_emoji', 'stylegan2_ada_cifar'}
_SLOW |= {'stylegan2_mnist', 'stylegan_fashion', 'progressive_128'}
_SLOW |= {'r3gan_cifar', 'r3gan_mnist'}
_SLOW |= {'pix2pix_256', 'pix2pix_facades', 'colourise_cifar'}
_SLOW |= {'cyclegan_256', 'cyclegan_mnist_usps', 'cyclegan_emoji'}
_SLOW |= {'progressive_mnist', 'edges_mnist'}
_SLOW |= {'srresnet_bsds', 'srgan_x4', 'esrgan_x4', 'stackgan_256'}
_SLOW |= {'hologan_64', 'hologan_coil', 'pigan_64', 'nerf_coil'}
_SLOW |= {'stackgan_emoji', 'crossmodal_emoji', 'text_emoji', 'ddpm_cifar'}
_SLOW |= {'dcgan_xray', 'ddpm_mnist', 'upconv_xray'}


@pytest.mark.parametrize('name', sampled(CONFIGS, *set(CONFIGS) - _SLOW))
def test_config_builds_and_takes_two_steps(name):
  config = load_config(name)
  if config.game == 'adversarial':
    keys = dict(disc_steps=2, **tiny_keys(config.network.name))
    if config.micro_batch:
      keys |= dict(micro_batch=2, batch_size=4)
    if name == 'biggan_128':  # whose attention wants 8 channels
      keys |= dict(network__gen_width=8, network__disc_width=8)
  elif config.game == 'cycle':
    keys = dict(network__gen_width=2, network__disc_width=2)
    keys |= dict(network__blocks=1, data__image_size=32)
  elif config.game == 'diffusion':
    keys = dict(network__gen_widths=(4, 8), network__norm_groups=2)
    keys |= dict(network__blocks=1, denoise__steps=2)
  else:
    keys = dict(network__gen_widths=(8,))
  config = load_config(name, **keys)
  state, metrics = two_steps(config, shape_of(config))
  assert state.step == 2
  assert_finite((state, metrics))


@pytest.mark.parametrize('name', CONFIGS)
def test_config_is_accepted_as_it_is(name):
  checks.check(load_config(name))


@pytest.mark.slow  # compiles for 12 s, beside other tests for 40
def test_codes_alone_train():
  keys = dict(network__gen_width=4, network__disc_width=4)
  _, metrics = two_steps(load_config('hologan_64', **keys), (64, 64, 3))
  assert_finite(metrics)


def test_codes_alone_may_be_the_noise():
  keys = dict(network__gen_width=4, network__disc_width=4)
  config = load_config('hologan_64', **keys)
  assert config.latent_dim == 0
  model = build(config, fake_info((64, 64, 3)))
  assert jax.tree.leaves(abstract_state(model).params.gen)
  config = load_config('hologan_64', codes=())
  with pytest.raises(InputError, match='latent_dim: 0 is not at least 1'):
    checks.check(config)


@pytest.mark.parametrize('name', CONFIGS)
def test_no_config_cuts_out_more_than_there_is(name):
  data = load_config(name).data
  assert not data.crop or data.crop <= data.image_size


@pytest.mark.parametrize('name', CONFIGS)
def test_config_documents_itself(name):
  tree = ast.parse((ROOT / 'configs' / f'{name}.py').read_text())
  assert f'python run.py --config=configs/{name}.py' in ast.get_docstring(
    tree
  ) or (name == 'mlp_digits' and 'python run.py' in ast.get_docstring(tree))


def tiny(network, **overrides):
  keys = tiny_keys(network)
  base = load_config(
    'mlp_digits', network__gen_widths=None, network__disc_widths=None
  )
  base.update_from_flattened_dict(
    {
      key.replace('__', '.'): value
      for key, value in (
        dict(network__name=network, latent_dim=4)
        | dict(conditional=network in BY_CLASS)
        | keys
        | overrides
      ).items()
    }
  )
  return base


def shape_for(network):
  """The smallest image that has all of an architecture, attention too."""
  return (16, 16, 1) if network == 'sagan' else (8, 8, 1)


# The configs above have them too.
_COSTLY = ('wgan_gp_resnet', 'mlp_bn', 'sngan', 'sagan', 'biggan')
_COSTLY += ('progressive', 'stylegan', 'stylegan2', 'r3gan', 'upconv')
_COSTLY += ('conv', 'maxout')


def name_pairs():
  """Every loss, penalty and architecture at least once, in few steps."""
  names = itertools.zip_longest(sorted(LOSSES), sorted(PENALTIES), DRAWING)
  return [
    (loss or 'hinge', penalty or 'none', network or 'mlp')
    for loss, penalty, network in names
  ]


@pytest.mark.parametrize(
  ('loss', 'penalty', 'network'),
  [
    pytest.param(*names, marks=[pytest.mark.slow] * (names[2] in _COSTLY))
    for names in name_pairs()
  ],
)
def test_every_name_is_met(loss, penalty, network):
  valid = NETWORKS[network].disc_norms
  norm = 'layer' if 'layer' in valid else valid[0]
  config = tiny(network, loss=loss, penalty=penalty, network__disc_norm=norm)
  assert_finite(two_steps(config, shape_for(network)))


NORMS = ('none', 'layer', 'spectral', 'batch')


def combinations():
  """Losses meet penalties on one architecture, the others meet penalties.

  Norms and labels go round, so that each meets each penalty: all with all would
  take an hour. Architectures with losses and labels: test_given.py.
  """
  pairs = [(loss, 'mlp') for loss in LOSSES]
  pairs += [('hinge', network) for network in DRAWING if network != 'mlp']
  for i, (loss, network) in enumerate(pairs):
    conditional = network in BY_CLASS or i // len(NORMS) % 2 == 0
    for j, penalty in enumerate(PENALTIES):
      yield loss, penalty, network, NORMS[(i + j) % len(NORMS)], conditional


def own_norm(network, norm):
  """The norm, or None for D's own where it cannot have that one."""
  architecture = NETWORKS[network]
  valid = (*architecture.disc_norms, *architecture.weights)
  return norm if norm in valid else None


@pytest.mark.slow
@pytest.mark.parametrize(
  ('loss', 'penalty', 'network', 'norm', 'conditional'), [*combinations()]
)
def test_what_is_allowed_takes_a_finite_step(
  loss, penalty, network, norm, conditional
):
  config = tiny(
    network,
    loss=loss,
    penalty=penalty,
    network__disc_norm=(norm := own_norm(network, norm)),
    conditional=conditional,
  )
  if norm == 'batch' and (penalty != 'none' or network == 'wgan_gp_resnet'):
    with pytest.raises(InputError, match='disc_norm'):
      build(config, fake_info())
  else:
    assert_finite(two_steps(config, shape_for(network)))


def test_each_norm_meets_each_penalty():
  met = {(penalty, norm) for _, penalty, _, norm, _ in combinations()}
  assert len(met) == len(PENALTIES) * len(NORMS)
  assert {(norm, told) for *_, norm, told in combinations()} == set(
    itertools.product(NORMS, (False, True))
  )


def solvers_on_networks():
  """Each solver on the MLP and on a third of the others, in turn."""
  for i, network in enumerate(DRAWING):
    for j, solver in enumerate(TWO_PLAYERS):
      if network == 'mlp' or (i + j) % 3 == 0:
        yield solver, network, i + j


@pytest.mark.slow
@pytest.mark.parametrize(
  ('solver', 'network', 'turn'), [*solvers_on_networks()]
)
def test_every_solver_takes_a_finite_step_on_networks(solver, network, turn):
  """Twice differentiated; each solver and architecture with a penalty, and not.

  Not all with all, which would take a quarter of an hour.
  """
  penalised = turn % 2
  config = tiny(
    network,
    solver=solver,
    penalty='wgan_gp' if penalised else 'none',
    network__disc_norm=own_norm(network, 'layer') if penalised else None,
    unroll_steps=2 if solver == 'unrolled' else None,
    disc_steps=2,
  )
  assert_finite(two_steps(config, shape_for(network)))


def test_every_key_is_read_by_something():
  """Each leaf of base.py is an attribute or keyword somewhere in gan_jax."""
  used = set()
  for path in (ROOT / 'gan_jax').rglob('*.py'):
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.Attribute):
        used.add(node.attr)
      elif isinstance(node, ast.arg):
        used.add(node.arg)
  # Handed to optax by keyword, from the config section as a whole.
  used |= {'b1', 'b2', 'eps', 'momentum', 'decay', 'weight_decay'}
  used |= set(SWEPT)

  def leaves(section):
    for key, value in section.items():
      yield from leaves(value) if hasattr(value, 'keys') else [key]

  config = load_config('mlp_digits')
  style = {'gen_norm', 'disc_norm', 'gen_activation', 'disc_activation'}
  from gan_jax.networks import network_keys

  for network in NETWORKS:
    style |= set(network_keys(network))
  unread = set(leaves(config)) - used - style
  assert not unread


def test_keys_stand_in_base_alone():
  """Other files override; they add no key (the ConfigDict is type-safe)."""
  base = set(load_config('mlp_digits').to_dict())
  for name in CONFIGS:
    assert set(load_config(name).to_dict()) == base


@pytest.mark.parametrize('key', ['los', 'network.widht'])
def test_a_misspelt_key_fails_loudly(key):
  with pytest.raises((AttributeError, KeyError)):
    load_config('mlp_digits', **{key.replace('.', '__'): 1})

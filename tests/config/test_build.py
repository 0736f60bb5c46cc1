"""From config to model: refusals with reasons, and what advice is given."""

import jax
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.config.checks import advice
from gan_jax.networks.style import Style
from gan_jax.sampling.weights import generator_variables
from gan_jax.types import InputError
from tests.helpers import fake_info, tiny_digits

BAD = {
  # overrides: words that the message must contain
  'loss': (dict(loss='foo'), ['loss', "'foo'", 'hinge', 'minimax']),
  'penalty': (dict(penalty='foo'), ['penalty', 'dragan', 'wgan_gp']),
  'solver': (dict(solver='foo'), ['solver', 'alternating']),
  'unroll steps': (
    dict(solver='unrolled', unroll_steps=0),
    ['unroll_steps: 0', 'at least 1', 'solver=alternating'],
  ),
  'consensus weight': (
    dict(consensus_weight=-1.0),
    ['consensus_weight', '-1'],
  ),
  'time scale': (
    dict(time_scale_ratio=float('nan')),
    ['time_scale_ratio', 'nan', 'finite'],
  ),
  'divergence': (
    dict(loss='f_gan', f_divergence='foo'),
    ['f_divergence', "'foo'", 'jeffreys', 'squared_hellinger'],
  ),
  'divergence of another loss': (
    dict(f_divergence='kl'),
    ['f_divergence', 'non_saturating', 'f_gan'],
  ),
  'prior': (dict(latent_prior='foo'), ['latent_prior', 'uniform']),
  'network': (dict(network__name='foo'), ['network.name', 'dcgan']),
  'network key': (dict(network__depth=2), ['network.depth', 'gen_widths']),
  'optimizer': (
    dict(gen_optimizer__name='foo'),
    ['gen_optimizer.name', 'rmsprop'],
  ),
  'optimizer key': (
    dict(disc_optimizer__name='sgd'),
    ['disc_optimizer.b1', 'momentum'],
  ),
  'schedule': (
    dict(gen_optimizer__schedule='foo'),
    ['gen_optimizer.schedule', 'cosine'],
  ),
  'learning rate': (
    dict(gen_optimizer__learning_rate=0.0),
    ['gen_optimizer.learning_rate', 'above 0'],
  ),
  'decay steps': (
    dict(gen_optimizer__decay_steps=-1),
    ['gen_optimizer.decay_steps', '-1'],
  ),
  'clip and penalty': (
    dict(weight_clip=0.1, penalty='wgan_gp'),
    ['weight_clip', 'wgan_gp', 'weight_clip=0'],
  ),
  'clip and spectral': (
    dict(weight_clip=0.1, network__disc_norm='spectral'),
    ['weight_clip', 'spectral'],
  ),
  'smoothing': (
    dict(label_smoothing=0.1, loss='hinge'),
    ['label_smoothing', 'hinge', 'minimax'],
  ),
  'smoothing range': (dict(label_smoothing=1.5), ['label_smoothing', '1.5']),
  'batch size': (dict(batch_size=0), ['batch_size', 'at least 1']),
  'seed': (dict(seed=-1), ['seed', 'between 0 and 2 ** 32']),
  'huge seed': (dict(seed=2**32), ['seed', 'between 0']),
  'infinite weight': (
    dict(penalty_weight=float('inf')),
    ['penalty_weight', 'finite'],
  ),
  'beta': (dict(gen_optimizer__b1=1.5), ['gen_optimizer.b1', '[0, 1)']),
  'infinite rate': (
    dict(disc_optimizer__learning_rate=float('inf')),
    ['disc_optimizer.learning_rate', 'finite'],
  ),
  'no widths': (dict(network__gen_widths=()), ['gen_widths', 'at least']),
  'fractional width': (
    dict(network__gen_widths=(1.5,)),
    ['network.gen_widths', '1.5', 'whole number'],
  ),
  'ema': (dict(ema_decay=1.0), ['ema_decay', '[0, 1)']),
  'mlp key': (dict(network__name='dcgan'), ['network.disc_widths', 'depth']),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_config_is_refused_with_the_key_and_a_way_out(case):
  overrides, words = BAD[case]
  with pytest.raises(InputError) as caught:
    build(tiny_digits(**overrides), fake_info())
  for word in words:
    assert word in str(caught.value)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('penalty', ['wgan_gp', 'r1', 'r2', 'dragan'])
def test_batch_norm_in_d_is_refused_under_gradient_penalties(penalty):
  by_class = dict(network__disc_norm='conditional', conditional=True)
  with pytest.raises(InputError, match=r'network\.disc_norm to none, layer'):
    build(tiny_digits(penalty=penalty, **by_class), fake_info())
  with pytest.raises(InputError, match=r'network\.disc_norm to none, layer'):
    build(tiny_digits(penalty=penalty, network__disc_norm='batch'), fake_info())
  for norm in ('none', 'layer', 'spectral', 'group'):
    keys = dict(network__disc_norm=norm, network__norm_groups=4)
    build(tiny_digits(penalty=penalty, **keys), fake_info())


def test_the_architectures_own_batch_norm_counts():
  config = tiny_digits(
    penalty='r1',
    network__name='dcgan',
    network__gen_widths=None,
    network__disc_widths=None,
  )
  with pytest.raises(InputError, match='batch norm in D'):
    build(config, fake_info())


def test_labels_must_exist():
  with pytest.raises(InputError, match='conditional: fake has no labels'):
    build(tiny_digits(conditional=True), fake_info(num_classes=0))


def test_advice_on_an_unconstrained_wasserstein_critic():
  plain, spectral = Style(), Style(weights='spectral')
  assert advice(tiny_digits(loss='wasserstein'), plain)
  assert not advice(tiny_digits(loss='wasserstein'), spectral)
  assert not advice(tiny_digits(loss='wasserstein', weight_clip=0.1), plain)
  assert not advice(tiny_digits(loss='wasserstein', penalty='r1'), plain)
  assert not advice(tiny_digits(), plain)


def test_disc_schedule_keeps_pace_with_steps_not_updates():
  """Half-way through training both players are half-way down."""
  config = tiny_digits(
    num_steps=10,
    disc_steps=4,
    **{
      f'{player}_optimizer__{key}': value
      for player in ('gen', 'disc')
      for key, value in dict(
        name='sgd',
        b1=None,
        b2=None,
        schedule='linear',
        decay_rate=0.0,
        learning_rate=1.0,
      ).items()
    },
  )
  model = build(config, fake_info())
  for optimizer, updates in (
    (model.optimizers.gen, 5),
    (model.optimizers.disc, 20),
  ):
    params = np.float32(0.0)
    state = optimizer.init(params)
    for _ in range(updates):
      _, state = optimizer.update(np.float32(1.0), state, params)
    update, _ = optimizer.update(np.float32(1.0), state, params)
    np.testing.assert_allclose(update, -0.5, rtol=1e-5)


def test_samples_come_from_the_average_or_the_raw_weights():
  model = build(tiny_digits(ema_decay=0.9), fake_info())
  state = model.init(jax.random.key(0))
  raw = jax.tree.map(lambda x: x + 1, state.params.gen)
  state = state._replace(params=state.params._replace(gen=raw))
  averaged = generator_variables(state, ema=True)['params']
  assert averaged is state.ema['params']
  assert generator_variables(state, ema=False)['params'] is raw
  assert generator_variables(state._replace(ema=None), True)['params'] is raw

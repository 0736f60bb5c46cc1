"""The key `game`: which keys each kind takes, and why others are refused."""

import jax
import pytest

from gan_jax.config import games
from gan_jax.config.build import build
from gan_jax.config.checks import check
from gan_jax.config.plan import Plan
from gan_jax.types import InputError
from tests.helpers import (
  fake_batch,
  fake_info,
  load_config,
  tiny_digits,
  tiny_one_player,
)

ONE_PLAYER = [
  name for name, kind in games.GAMES.items() if kind.players == ('gen',)
]


def test_what_counts_as_not_given_is_the_value_of_the_base_config():
  """Also that no key of D's optimizer or trick of D is forgotten."""
  base = load_config('base')
  flat = {}

  def flatten(section, prefix=''):
    for key, value in section.items():
      if hasattr(value, 'keys'):
        flatten(value, f'{prefix}{key}.')
      else:
        flat[prefix + key] = value

  flatten(base)
  neutral = games._NEUTRAL
  assert neutral == {key: flat[key] for key in neutral}
  optimizer = {key for key in flat if key.startswith('disc_optimizer.')}
  assert optimizer <= set(neutral)
  switches = {key for key in flat if key.startswith('tricks.')} - set(neutral)
  # Those that say how a trick works, not whether; lookahead is of G too.
  assert switches == {
    f'tricks.{key}'
    for key in (
      'top_k_steps noise_schedule noise_steps augment_policy ada_target '
      'ada_images feature_layer feature_matching_alone lecam_decay '
      'lookahead_steps lookahead_rate'
    ).split()
  }


@pytest.mark.parametrize('game', ONE_PLAYER)
@pytest.mark.parametrize(
  ('key', 'value', 'right'),
  [
    ('disc_steps', 2, '1'),
    ('gen_steps', 2, '1'),
    ('loss', 'hinge', "'non_saturating'"),
    ('label_smoothing', 0.1, '0.0'),
    ('penalty', 'r1', "'none'"),
    ('weight_clip', 0.01, '0.0'),
    ('fresh_latents', False, 'True'),
    ('disc_optimizer.name', 'sgd', "'adam'"),
    ('disc_optimizer.learning_rate', 1e-3, '0.0002'),
    ('disc_optimizer.b1', 0.5, 'None'),
    ('disc_optimizer.schedule', 'cosine', "'constant'"),
    ('tricks.relativistic', 'paired', "'none'"),
    ('tricks.packing', 2, '1'),
    ('tricks.augment', 'diffaugment', "'none'"),
    ('tricks.num_discs', 2, '1'),
    ('tricks.lecam_weight', 0.1, '0.0'),
    ('tricks.disc_accuracy_limit', 0.8, '1.0'),
  ],
)
def test_what_is_about_two_players_is_refused(game, key, value, right):
  config = tiny_one_player(game, **{key.replace('.', '__'): value})
  with pytest.raises(InputError) as caught:
    check(config)
  text = str(caught.value)
  assert text.startswith(f'{key}: {value!r} says how two players play')
  assert f'game={game} has one player; leave it at {right}' in text
  assert '\n' not in text


@pytest.mark.parametrize(
  ('keys', 'message'),
  [
    (dict(game='gan'), "game: unknown name 'gan'; valid: adversarial, auto"),
    (dict(solver='alternating'), 'solver: alternating moves two .*=descent'),
    (dict(solver='gradient'), "solver: unknown name 'gradient'"),
    (dict(network__name='dcgan'), r"network\.name: .*'dcgan'; valid: conv, m"),
    (dict(likelihood='poisson'), "likelihood: unknown name 'poisson'; valid"),
    (dict(likelihood_std=0.5), 'likelihood_std: 0.5 .*likelihood=gaussian'),
    (
      dict(likelihood='gaussian', likelihood_std=0.0),
      'likelihood_std: 0.0 is not a finite number above 0',
    ),
    (dict(kl_weight=-1.0), 'kl_weight: -1.0 is not a finite number from 0'),
    (dict(latent_prior='uniform'), 'latent_prior: uniform .*=normal'),
    (dict(network__disc_widths=(8,)), r'network\.disc_widths: mlp has no'),
    (
      dict(sweep__disc_learning_rate=(1e-3,)),
      r'sweep\.disc_learning_rate: .* has one player',
    ),
  ],
)
def test_a_vae_is_asked_for_what_it_has(keys, message):
  with pytest.raises(InputError, match=message):
    build(tiny_one_player('vae', **keys), fake_info())


@pytest.mark.parametrize(
  ('key', 'value'),
  [('likelihood', 'bernoulli'), ('likelihood_std', 0.5), ('kl_weight', 1.0)],
)
def test_keys_of_a_vae_are_refused_for_others(key, value):
  for config in (
    tiny_digits(**{key: value}),
    tiny_one_player('autoencoder', **{key: value}),
  ):
    with pytest.raises(InputError, match=f'{key}: .* is for game=vae, and not'):
      check(config)


def test_descent_is_refused_where_there_are_two():
  with pytest.raises(InputError, match=r'solver: descent .*=alternating'):
    check(tiny_digits(solver='descent'))
  alone = dict(given=('source',), l1_weight=1.0, adversarial_weight=0.0)
  check(tiny_digits(solver='descent', data__derive='grey', **alone))


def test_lookahead_and_averages_are_for_one_player_too():
  config = tiny_one_player('vae', tricks__lookahead_steps=2, ema_decay=0.5)
  state = jax.eval_shape(build(config, fake_info()).init, jax.random.key(0))
  assert state.slow.disc == state.opt_state.disc == {}
  assert state.ema is not None


def test_a_rollback_slows_the_one_who_plays():
  plan = Plan(tiny_one_player('vae'))
  assert plan.build(fake_info(), rate_factor=0.5).optimizers.disc is None


def test_the_keys_of_a_vae_do_what_they_say():
  def built(**keys):
    game = build(tiny_one_player('vae', **keys), fake_info()).game
    params, state = game.init(jax.random.key(0))
    batch = fake_batch()._replace(given={})
    key = jax.random.key(1)
    return game.objectives.gen(params, state, batch, key, 0)[1].metrics

  plain, heavy = built(), built(kl_weight=3.0)
  added = heavy['gen_loss'] - plain['gen_loss']
  assert added == pytest.approx(2 * float(plain['kl']), rel=1e-3)
  narrow, wide = (
    built(likelihood='gaussian', likelihood_std=std) for std in (0.5, 2.0)
  )
  assert built(likelihood='gaussian') == narrow
  assert narrow['reconstruction'] != wide['reconstruction']
  assert built(likelihood='bernoulli') == plain

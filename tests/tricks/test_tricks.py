"""Every trick in the game: whom it moves, what it costs when it is off."""

import collections
import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import solvers
from gan_jax.config import tricks as build_tricks
from gan_jax.config.build import build
from gan_jax.config.checks import advice
from gan_jax.config.parts import loss_of
from gan_jax.games import Outcome
from gan_jax.games.scalar import bilinear
from gan_jax.networks import style_of
from gan_jax.networks.style import Style
from gan_jax.sampling.priors import draw_latents
from gan_jax.solvers.moves import Moves, update_ratio
from gan_jax.types import InputError, Players
from tests.helpers import (
  SGD,
  assert_close,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  make_pair,
  sampled,
  slow,
  stack_draws,
  tiny_digits,
)
from tests.plain_game import plain_game

KEY = jax.random.key(0)
SHAPE = (8, 8, 3)

TRICKS = {
  'paired': dict(tricks__relativistic='paired'),
  'average': dict(tricks__relativistic='average'),
  'label flip': dict(tricks__label_flip=0.3),
  'top k': dict(tricks__top_k_share=0.5, tricks__top_k_steps=1),
  'packing': dict(tricks__packing=2),
  'noise': dict(tricks__noise_std=0.3),
  'diffaugment': dict(tricks__augment='diffaugment'),
  'ada': dict(
    tricks__augment='ada', tricks__ada_images=64, tricks__ada_target=-0.9
  ),
  'feature matching': dict(
    tricks__feature_matching=0.5, tricks__feature_layer='hidden_0'
  ),
  'lecam': dict(tricks__lecam_weight=0.3),
  'consistency': dict(
    tricks__consistency_weight=2.0, tricks__fake_consistency_weight=1.0
  ),
  'several discs': dict(tricks__num_discs=3, tricks__mixing_weight=1.0),
  'lazy penalty': dict(penalty='r1', penalty_every=3),
  'wrong pairs': dict(conditional=True, mismatch_weight=0.5),
  'accuracy limit': dict(tricks__disc_accuracy_limit=0.6),
  'lookahead': dict(tricks__lookahead_steps=2),
  'stddev': dict(network__disc_minibatch='stddev'),
  'discrimination': dict(
    network__disc_minibatch='discrimination', network__minibatch_kernels=3
  ),
  'virtual': dict(
    network__gen_norm='virtual',
    network__disc_norm='virtual',
    network__reference_size=4,
  ),
  'orthogonal': dict(disc_optimizer__orthogonal_weight=0.1),
  'historical': dict(gen_optimizer__historical_weight=0.1),
}
# Their own tests are beside this file; each kind of place is met here.
_FAST = set('paired,packing,feature matching,lecam,accuracy limit'.split(','))
# Those that act in other places than the objectives.
_OUTSIDE = ('lookahead', 'accuracy limit', 'orthogonal', 'historical')


def model_of(axis_name=None, **keys):
  config = tiny_digits(**(SGD | keys))
  return build(config, fake_info(SHAPE), axis_name=axis_name)


def batch_of(size=8, seed=0):
  return fake_batch(size, SHAPE, seed=seed)


@functools.cache
def start(case):
  """A trick's model and its state after five steps, when memories are full.

  `None` is no trick.
  """
  model = model_of(**TRICKS.get(case, {}))
  state = jax.jit(model.init)(KEY)
  step = jax.jit(model.train_step)
  for t in range(5):
    state, metrics = step(state, stack_draws(batch_of(seed=t)), KEY)
  return model, state, metrics


def gradients(model, axis_name, state, batch):
  moves = Moves(model.game, model.optimizers, axis_name)
  return moves.gradients(state, batch, Players(KEY, KEY))


@pytest.mark.parametrize('case', sampled(TRICKS, *_FAST))
def test_only_the_intended_player_moves(case):
  model, state, metrics = start(case)
  assert all(np.isfinite(x) for x in metrics.values()), metrics
  moves = Moves(model.game, model.optimizers)

  @jax.jit
  def both(state, batch):
    return [
      moves.move(player, state, batch, KEY)[0] for player in Players._fields
    ]

  ends = both(state, batch_of())
  for player, other, after in zip(
    Players._fields, Players._fields[::-1], ends, strict=True
  ):
    for part in ('params', 'opt_state', 'model_state'):
      before_part, after_part = (getattr(s, part) for s in (state, after))
      assert_same_bits(getattr(before_part, other), getattr(after_part, other))
    assert differs(getattr(state.params, player), getattr(after.params, player))


# These change the shapes of D's parameters, so that another state is no
# surprise.
_SHAPES = (
  'packing',
  'wrong pairs',
  'several discs',
  'discrimination',
  'stddev',
  'virtual',
)


@pytest.mark.parametrize(
  'case',
  sampled(
    [case for case in TRICKS if case not in _SHAPES],
    *_FAST,
  ),
)
def test_the_trick_changes_training(case):
  assert differs(start(None)[1].params, start(case)[1].params)


@pytest.mark.parametrize(
  'case',
  sampled(
    [case for case in TRICKS if case not in _OUTSIDE],
    *_FAST - {'virtual', 'several discs', 'feature matching', 'paired'},
  ),
)
def test_two_devices_are_one(case):
  """Both players' gradients, metrics and model states of a shared batch."""
  model, state, _ = start(case)
  shared = model_of('batch', **TRICKS[case])
  shares = jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), batch_of())

  @jax.jit
  def both(state, batch, shares):
    on_two = jax.vmap(
      functools.partial(gradients, shared, 'batch'),
      in_axes=(None, 0),
      axis_name='batch',
    )
    return gradients(model, None, state, batch), on_two(state, shares)

  # A bias before a norm has a gradient of rounding alone: float64 shows it.
  wide = case == 'virtual'
  with jax.enable_x64(wide):
    if wide:
      state = jax.tree.map(
        lambda x: x.astype(float) if x.dtype == jnp.float32 else x, state
      )
    one, two = both(state, batch_of(), shares)
    for device in range(2):
      on_one = jax.tree.map(lambda x, i=device: x[i], two)
      assert_close(on_one, one, 1e-9 if wide else 2e-5)


# --- Off --------------------------------------------------------------------


def operations(step, state, batches):
  """Operations of a compiled step with their shapes, counted."""
  program = jax.jit(step).lower(state, batches, KEY).compile().as_text()
  found = re.findall(r'^\s*(?:ROOT )?%?\S+ = (\S+ [a-z-]+)\(', program, re.M)
  return collections.Counter(found)


@pytest.mark.parametrize(
  'keys',
  [
    dict(),
    slow(
      dict(
        network__name='dcgan',
        network__gen_widths=None,
        network__disc_widths=None,
        network__gen_width=4,
        network__disc_width=4,
      )
    ),
  ],
  ids=['mlp', 'dcgan'],
)
def test_tricks_that_are_off_cost_nothing(keys):
  """The compiled step has the operations of a game without any trick's code."""
  config = tiny_digits(**keys)
  model = build(config, fake_info())
  plain = plain_game(
    model.networks,
    loss_of(config),
    functools.partial(draw_latents, prior='normal', latent_dim=4),
    model.game.init,
  )
  state, batches = model.init(KEY), stack_draws(fake_batch())
  ours = operations(
    solvers.make_train_step(model.game, model.optimizers), state, batches
  )
  theirs = operations(
    solvers.make_train_step(plain, model.optimizers), state, batches
  )
  assert ours == theirs
  assert ours == operations(model.train_step, state, batches)
  on = build(tiny_digits(tricks__noise_std=0.1, **keys), fake_info())
  assert ours != operations(on.train_step, state, batches)


# --- Several discriminators ---------------------------------------------------


@pytest.mark.slow
def test_several_discs_train_as_each_would_alone():
  """D's side of GMAN: every D moves by its own loss and optimizer."""
  keys = dict(tricks__num_discs=3, disc_optimizer__clip_norm=0.5)
  model, single = model_of(**keys), model_of(disc_optimizer__clip_norm=0.5)
  state = jax.jit(model.init)(KEY)
  moves = [Moves(m.game, m.optimizers) for m in (model, single)]
  after, _ = moves[0].move('disc', state, batch_of(), KEY)
  for i in range(3):
    own = jax.tree.map(lambda x, i=i: x[i], state.params.disc)
    alone = single.init(KEY)
    alone = alone._replace(params=state.params._replace(disc=own))
    expected, _ = moves[1].move('disc', alone, batch_of(), KEY)
    assert_close(
      jax.tree.map(lambda x, i=i: x[i], after.params.disc),
      expected.params.disc,
      1e-5,
    )


def test_g_meets_the_mix_of_its_losses():
  model, single = model_of(**TRICKS['several discs']), model_of()
  state = jax.jit(model.init)(KEY)
  loss, _ = model.game.objectives.gen(
    state.params, state.model_state, batch_of(), KEY, 0
  )
  losses = []
  for i in range(3):
    own = jax.tree.map(lambda x, i=i: x[i], state.params.disc)
    losses.append(
      single.game.objectives.gen(
        state.params._replace(disc=own), state.model_state, batch_of(), KEY, 0
      )[0]
    )
  losses = np.array(losses, float)
  assert losses.std() > 1e-4
  shares = np.exp(losses) / np.exp(losses).sum()
  np.testing.assert_allclose(loss, shares @ losses, rtol=1e-6)


# --- Packing ------------------------------------------------------------------


def test_a_packed_d_sees_half_as_many_examples_of_twice_the_channels():
  model, state, _ = start('packing')
  first = jax.tree.leaves(state.params.disc)
  assert {192 * 2} <= {x.shape[0] for x in first if x.ndim == 2}
  packs = np.concatenate([batch_of().images[::2], batch_of().images[1::2]], -1)
  variables = {'params': state.params.disc}
  logits, _ = model.networks.disc.apply(variables, packs, train=True)
  assert logits.shape == (4,)
  _, outcome = model.game.objectives.disc(
    state.params, state.model_state, batch_of(), KEY, 0
  )
  np.testing.assert_allclose(
    outcome.metrics['disc_loss_real'],
    np.log1p(np.exp(-np.float64(logits))).mean(),
    rtol=1e-5,
  )


# --- Feature matching ---------------------------------------------------------


@pytest.mark.parametrize('alone', [True, False])
def test_g_matches_the_layer_it_was_told(alone):
  keys = TRICKS['feature matching'] | {'tricks__feature_matching_alone': alone}
  model = model_of(**keys)
  state = jax.jit(model.init)(KEY)
  total, outcome = model.game.objectives.gen(
    state.params, state.model_state, batch_of(), KEY, 0
  )
  keys = jax.vmap(
    functools.partial(jax.random.fold_in, jax.random.split(KEY)[0])
  )
  latents = draw_latents(keys(jnp.arange(8)), prior='normal', latent_dim=4)
  fake = model.networks.gen.apply(
    {'params': state.params.gen}, latents, train=True
  )
  layer = state.params.disc['Dense_0']

  def features(images):
    flat = np.float64(images).reshape(8, -1)
    h = flat @ np.float64(layer['kernel']) + np.float64(layer['bias'])
    return np.where(h > 0, h, 0.2 * h).mean(axis=0)

  distance = ((features(batch_of().images) - features(fake)) ** 2).sum()
  np.testing.assert_allclose(
    outcome.metrics['feature_distance'], distance, rtol=1e-4
  )
  adversarial = float(total) - 0.5 * distance
  plain, _ = model_of().game.objectives.gen(
    state.params, state.model_state, batch_of(), KEY, 0
  )
  expected = 0.0 if alone else float(plain)
  np.testing.assert_allclose(adversarial, expected, atol=1e-4)


# --- Moves --------------------------------------------------------------------


@pytest.mark.parametrize(('limit', 'moves'), [(0.5, False), (1.0, True)])
def test_d_rests_while_it_is_too_good(limit, moves):
  model = model_of(tricks__disc_accuracy_limit=limit)
  state = jax.jit(model.init)(KEY)
  # A D that is right about everything: real images bright, fakes about 0.
  batch = batch_of()._replace(images=np.ones((8, *SHAPE), np.float32))
  first = state.params.disc
  bright = jax.tree.map(jnp.zeros_like, first)
  bright['Dense_0']['kernel'] += 0.1
  bright['Dense_1']['kernel'] += 0.1
  bright['Dense_2']['kernel'] += 0.1
  bright['Dense_2']['bias'] -= 0.5
  state = state._replace(params=state.params._replace(disc=bright))
  step = jax.jit(model.train_step)
  after, metrics = step(state, stack_draws(batch), KEY)
  assert metrics['disc_accuracy_real'] == 1.0
  assert metrics['disc_accuracy_fake'] == 1.0
  assert differs(after.params.disc, bright) == moves
  assert differs(after.params.gen, state.params.gen)
  if not moves:
    assert metrics['disc_moves'] == 0.0
    assert metrics['disc_update_ratio'] == 0.0
    assert_same_bits(after.opt_state.disc, state.opt_state.disc)


@pytest.mark.slow
def test_g_may_move_more_often():
  """Three updates of SGD against the same D, counted and by hand."""
  model = model_of(gen_steps=3)
  state = jax.jit(model.init)(KEY)
  after, _ = jax.jit(model.train_step)(state, stack_draws(batch_of()), KEY)
  moves = Moves(model.game, model.optimizers)
  disc_key, gen_key = jax.random.split(KEY, 2)
  expected, _ = moves.move('disc', state, batch_of(), disc_key)
  for number in (1_000, 1_001, None):
    key = gen_key if number is None else jax.random.fold_in(gen_key, number)
    expected, _ = moves.move('gen', expected, batch_of(), key)
  assert_close(after.params, expected.params, 1e-5)
  adam = build(
    tiny_digits(gen_steps=3, disc_steps=2, gen_optimizer__schedule='linear'),
    fake_info(),
  )
  state = adam.init(KEY)
  draws = stack_draws(fake_batch(), fake_batch())
  state, _ = jax.jit(adam.train_step)(state, draws, KEY)
  counts = Players(
    *(optax.tree.get_all_with_path(s, 'count') for s in state.opt_state)
  )
  assert {int(c) for _, c in counts.gen} == {3}
  assert {int(c) for _, c in counts.disc} == {2}


def test_no_update_of_g_has_the_noise_of_another():
  """Their keys are none that an objective makes of the step's own key."""
  seen = []

  def objective(params, model_state, batch, key, step):
    seen.append(tuple(np.asarray(jax.random.key_data(key))))
    return params.gen**2, Outcome({}, {})

  game = bilinear()._replace(objectives=Players(objective, objective))
  optimizers = Players(optax.sgd(0.1), optax.sgd(0.1))
  state = solvers.init_state(game, optimizers, KEY)
  moves = Moves(game, optimizers, gen_steps=8)
  with jax.disable_jit():
    moves.gen_moves(state, jnp.zeros(1), KEY)
  of_one = [*jax.random.split(KEY)]
  of_one += [jax.random.fold_in(KEY, number) for number in range(16)]
  of_one = {tuple(np.asarray(jax.random.key_data(key))) for key in of_one}
  assert len(set(seen)) == 8
  assert not of_one & set(seen)
  assert seen[-1] == tuple(np.asarray(jax.random.key_data(KEY)))


def test_lookahead_against_numpy():
  """The bilinear game, simultaneous: eleven steps in plain Python."""
  rate, every, kept = 0.1, 3, 0.4
  game = bilinear()
  optimizers = Players(optax.sgd(rate), optax.sgd(rate))
  step = solvers.make_train_step(
    game,
    optimizers,
    solver=solvers.make_solver('simultaneous'),
    lookahead=solvers.Lookahead(every, kept),
  )
  state = solvers.init_state(game, optimizers, KEY, lookahead=True)
  x, y = 1.0, 1.0
  slow = (x, y)
  for t in range(11):
    state, _ = jax.jit(step)(state, jnp.zeros((1, 1)), KEY)
    x, y = x - rate * y, y + rate * x
    if (t + 1) % every == 0:
      x, y = (s + kept * (f - s) for f, s in zip((x, y), slow, strict=True))
      slow = (x, y)
    np.testing.assert_allclose(state.params, (x, y), rtol=1e-5)
    np.testing.assert_allclose(state.slow, slow, rtol=1e-5)
  # Plain simultaneous descent moves away from the equilibrium; this, less so.
  assert np.hypot(x, y) < np.sqrt(2) * 1.01 ** (11 / 2)


@pytest.mark.parametrize('limit', [1.0, 0.5])
def test_update_ratios_are_worked_out_where_they_are_reported(limit):
  """Where that is traced, from the state before the update: the same."""
  model = model_of(**{'tricks.disc_accuracy_limit': limit})
  state = jax.jit(model.init)(KEY)
  given = state, stack_draws(batch_of()), KEY
  step = jax.jit(model.train_step)
  after, metrics = jax.jit(lambda *given: model.train_step(*given))(*given)
  for report in (True, False):
    same, found = step(*given, report)
    chex.assert_trees_all_close(same, after, rtol=1e-5, atol=1e-7)
    for name, value in metrics.items():
      if name.endswith('update_ratio') and not report:
        assert np.isnan(found[name])
      else:
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


def test_update_ratios_are_of_the_update_and_the_weights():
  model = model_of()
  state = jax.jit(model.init)(KEY)
  after, metrics = jax.jit(model.train_step)(
    state, stack_draws(batch_of()), KEY
  )
  for player in ('gen', 'disc'):
    before, now = (getattr(s.params, player) for s in (state, after))
    kernels = [
      (old, new)
      for old, new in zip(*map(jax.tree.leaves, (before, now)), strict=True)
      if old.ndim == 2
    ]
    norm = np.linalg.norm
    expected = np.median([norm(new - old) / norm(old) for old, new in kernels])
    np.testing.assert_allclose(
      metrics[f'{player}_update_ratio'],
      expected,
      rtol=1e-3,  # the difference of two float32 numbers
    )


def test_each_kernel_counts_alike_in_the_update_ratio():
  """Whatever its scale; a kernel of zeros too, a bias not."""
  sizes = {'mapping': 100.0, 'conv': 1.0, 'dense': 2.0, 'zero': 0.0, 'out': 1.0}
  moves = dict(mapping=0.001, conv=0.003, dense=0.002, zero=0.5, out=0.004)
  params = {
    name: {'kernel': np.full((2, 2), size), 'bias': np.zeros(2)}
    for name, size in sizes.items()
  }
  updates = {
    name: {'kernel': np.full((2, 2), move), 'bias': np.ones(2)}
    for name, move in moves.items()
  }
  # 1e-5, .003, .001, 1 and .004.
  np.testing.assert_allclose(update_ratio(updates, params), 0.003, rtol=1e-6)
  alone = update_ratio({'x': np.ones(4)}, {'x': np.full(4, 8.0)})
  np.testing.assert_allclose(alone, 0.125)
  np.testing.assert_allclose(update_ratio((0.5, 0.1), (2.0, 1.0)), 0.175)


# --- Refusals -----------------------------------------------------------------

BAD = {
  'packing': (
    dict(tricks__packing=3),
    ['packing: 3', 'batch_size=8', '6 or 9'],
  ),
  'micro packing': (
    dict(tricks__packing=4, micro_batch=2),
    ['packing: 4', 'micro_batch=2'],
  ),
  'packing labels': (
    dict(tricks__packing=2, conditional=True),
    ['packing', 'labels'],
  ),
  'layer': (
    dict(tricks__feature_matching=1.0, tricks__feature_layer='conv9'),
    ["'conv9'", 'hidden_0, hidden_1'],
  ),
  'layer of nobody': (
    dict(tricks__feature_layer='hidden_0'),
    ['feature_layer', 'feature_matching=0'],
  ),
  'noise': (dict(tricks__noise_std=-0.1), ['noise_std: -0.1', 'from 0 on']),
  'noise schedule': (
    dict(tricks__noise_schedule='foo'),
    ['noise_schedule', 'cosine'],
  ),
  'unrolling': (
    dict(unroll_steps=3),
    ['unroll_steps', 'alternating', 'solver=unrolled'],
  ),
  'gen steps': (
    dict(gen_steps=2, solver='simultaneous'),
    ['gen_steps', 'both players at once'],
  ),
  'no gen steps': (dict(gen_steps=0), ['gen_steps: 0']),
  'virtual': (
    dict(network__disc_norm='virtual'),
    ['disc_norm', 'reference_size is 0'],
  ),
  'virtual labels': (
    dict(
      network__gen_norm='virtual',
      network__reference_size=4,
      conditional=True,
    ),
    ['gen_norm', 'labels'],
  ),
  'augment': (dict(tricks__augment='foo'), ['augment', 'ada', 'diffaugment']),
  'policy': (dict(tricks__augment_policy=('foo',)), ['policy', 'cutout']),
  'ada': (
    dict(tricks__augment='ada', loss='wasserstein'),
    ['augment', 'sign of D', 'diffaugment'],
  ),
  'no policy': (
    dict(tricks__augment='diffaugment', tricks__augment_policy=()),
    ['augment_policy', 'is empty', 'colour', 'augment=none'],
  ),
  'ada target': (dict(tricks__ada_target=1.5), ['ada_target: 1.5']),
  'mixing': (dict(tricks__mixing_weight=1.0), ['mixing_weight', 'num_discs']),
  'discs': (dict(tricks__num_discs=0), ['num_discs: 0']),
  'top k': (
    dict(tricks__top_k_share=0.5, tricks__feature_matching=1.0),
    ['top_k_share', 'feature_matching'],
  ),
  'accuracy': (
    dict(tricks__disc_accuracy_limit=0.2),
    ['limit: 0.2', '[.5, 1]'],
  ),
  'lookahead': (dict(tricks__lookahead_rate=0.0), ['lookahead_rate: 0.0']),
  'lecam': (dict(tricks__lecam_decay=1.0), ['lecam_decay: 1.0']),
  'micro top k': (
    dict(tricks__top_k_share=0.5, micro_batch=4),
    ['top_k_share', 'micro_batch=4'],
  ),
  'micro averages': (
    dict(tricks__relativistic='average', micro_batch=4),
    ['relativistic', 'mean', 'micro_batch=4', 'paired'],
  ),
  'micro mixing': (
    dict(tricks__num_discs=2, tricks__mixing_weight=1.0, micro_batch=4),
    ['mixing_weight', 'softmax', 'micro_batch=4'],
  ),
  'micro lecam': (
    dict(tricks__lecam_weight=0.1, micro_batch=4),
    ['lecam_weight', 'once per update', 'micro_batch=4'],
  ),
  'micro ada': (
    dict(tricks__augment='ada', micro_batch=4),
    ['tricks.augment', 'ada', 'once per update', 'micro_batch=4'],
  ),
  'smoothed pairs': (
    dict(tricks__relativistic='average', label_smoothing=0.1),
    ['label_smoothing: 0.1', 'tricks.relativistic=none'],
  ),
  'virtual minibatch': (
    dict(
      network__disc_norm='virtual',
      network__reference_size=4,
      network__disc_minibatch='stddev',
    ),
    ['disc_minibatch', 'reference batch', 'disc_norm'],
  ),
  'micro minibatch': (
    dict(network__disc_minibatch='stddev', micro_batch=4),
    ['disc_minibatch', 'micro_batch=4'],
  ),
  'extragradient': (
    dict(tricks__disc_accuracy_limit=0.8, solver='extragradient'),
    ['disc_accuracy_limit', 'extragradient'],
  ),
}


@pytest.mark.parametrize('case', BAD)
def test_what_makes_no_sense_is_refused(case):
  keys, words = BAD[case]
  with pytest.raises(InputError) as error:
    build(tiny_digits(**keys), fake_info(SHAPE))
  assert '\n' not in str(error.value)
  for word in words:
    assert word in str(error.value)


def test_penalties_on_comparing_discriminators_are_noted():
  config = tiny_digits(penalty='r1', network__disc_minibatch='stddev')
  assert any('Progressive GAN' in line for line in advice(config, Style()))
  assert not build_tricks.advice(tiny_digits(penalty='r1'), Style())


@pytest.mark.parametrize(
  ('name', 'keys', 'noted'),
  [
    ('mlp', dict(disc_norm='batch'), True),
    ('sngan', dict(disc_norm='conditional', num_classes=3), True),
    ('dcgan', dict(), True),  # its default
    ('dcgan', dict(disc_norm='layer'), False),
    ('mlp', dict(), False),
  ],
)
def test_features_that_batch_norm_makes_equal_are_noted(name, keys, noted):
  config = tiny_digits(tricks__feature_matching=1.0)
  style = style_of(make_pair(name, (8, 8, 1), **keys).disc)
  lines = build_tricks.advice(config, style)
  assert any('feature_matching' in line for line in lines) == noted
  config.tricks.feature_matching = 0.0
  assert not build_tricks.advice(config, style)


@pytest.mark.parametrize(
  'keys',
  [
    dict(tricks__relativistic='paired'),
    dict(tricks__num_discs=2),
    dict(tricks__augment='diffaugment'),
  ],
)
def test_what_is_of_single_examples_may_come_in_parts(keys):
  build(tiny_digits(micro_batch=4, **keys), fake_info(SHAPE))

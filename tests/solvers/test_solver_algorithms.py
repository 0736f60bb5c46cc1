"""What sets the solvers apart, on games with networks.

Their trajectories on games of two numbers are in test_games.py.
"""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import solvers
from gan_jax.config.build import build
from gan_jax.config.parts import make_optimizers
from gan_jax.games import mixture as mixtures
from gan_jax.games.scalar import scalar_game
from gan_jax.losses import make_loss
from gan_jax.solvers.algorithms import unrolled
from gan_jax.solvers.moves import Moves
from gan_jax.solvers.optimizers import OPTIMIZERS
from gan_jax.types import InputError, Players
from tests.helpers import (
  TWO_PLAYERS,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  sampled,
  stack_draws,
  tiny_digits,
)

KEY = jax.random.key(0)
TARGET = mixtures.mixture([[-1.0], [1.0]], 0.5)
JOINT = ('simultaneous', 'extragradient', 'optimistic', 'consensus')


def small_game():
  """A mixture game with smooth networks of a few units."""
  game, _ = mixtures.mixture_gan(
    TARGET,
    make_loss('non_saturating'),
    gen_widths=(3,),
    disc_widths=(4,),
    activation='tanh',
  )
  return game


def batches(disc_steps=1, size=6):
  return mixtures.draw_batches(
    jax.random.key(5), data=TARGET, batch_size=size, disc_steps=disc_steps
  )


def as_float64(tree):
  return jax.tree.map(
    lambda x: (
      x.astype(jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x
    ),
    tree,
  )


def state_in_float64(game, optimizers, warm_up=0):
  """A state, after some alternating steps to fill the optimizers' moments."""
  state = as_float64(solvers.init_state(game, optimizers, KEY))
  step = jax.jit(solvers.make_train_step(game, optimizers))
  for t in range(warm_up):
    state, _ = step(state, as_float64(batches()), jax.random.key(t))
  return state


def directional(function, params, seed):
  """A central difference of `function`, and the random direction it is along.

  The step leaves an error near 1e-9 of the third derivative and of rounding.
  """
  rng = np.random.default_rng(seed)
  direction = jax.tree.map(lambda x: rng.normal(size=x.shape), params)
  h = 1e-5
  ahead = optax.tree.add_scale(params, h, direction)
  behind = optax.tree.add_scale(params, -h, direction)
  return (function(ahead) - function(behind)) / (2 * h), direction


# --- Unrolled ---------------------------------------------------------------


@pytest.mark.parametrize(
  'network', sampled(['none', 'batch', 'spectral'], 'batch')
)
def test_without_look_ahead_unrolled_is_alternating_bit_for_bit(network):
  model = build(tiny_digits(network__disc_norm=network), fake_info())
  draws = stack_draws(fake_batch(seed=1), fake_batch(seed=2))
  ends = []
  for solver in (
    solvers.make_solver('alternating'),
    functools.partial(unrolled, unroll_steps=0),
  ):
    step = jax.jit(
      solvers.make_train_step(
        model.game, model.optimizers, solver=solver, disc_steps=2
      )
    )
    state = model.init(KEY)
    for t in range(3):
      state, metrics = step(state, draws, jax.random.key(t))
    ends.append((state, metrics))
  assert_same_bits(*ends)


@pytest.mark.parametrize(
  ('name', 'unroll_steps'),
  sampled(itertools.product(['sgd', 'adam', 'rmsprop'], [1, 2, 3])),
)
def test_unrolled_gradient_is_that_of_the_look_ahead(name, unroll_steps):
  """Against finite differences of G's loss after D's updates, by hand."""
  with jax.enable_x64(True):
    game = small_game()
    disc = OPTIMIZERS[name](0.05)
    optimizers = Players(gen=optax.sgd(1.0), disc=disc)
    state = state_in_float64(game, optimizers, warm_up=2)
    data = as_float64(batches())
    step = solvers.make_train_step(
      game,
      optimizers,
      solver=solvers.make_solver('unrolled', unroll_steps=unroll_steps),
    )
    after, _ = jax.jit(step)(state, data, KEY)
    ours = optax.tree.sub(state.params.gen, after.params.gen)

    gen_key = jax.random.split(KEY, 2)[1]
    batch = jax.tree.map(lambda x: x[0], data)
    # D after its own update, and its optimizer, are where the look-ahead
    # starts; that update does not depend on G's next move.
    start, opt_state = after.params.disc, after.opt_state.disc

    @jax.jit
    def loss_ahead(gen):
      ahead, moments = start, opt_state
      for _ in range(unroll_steps):
        grads = jax.grad(
          lambda disc: game.objectives.disc(
            Players(gen, disc), state.model_state, batch, gen_key, 0
          )[0]
        )(ahead)
        updates, moments = disc.update(grads, moments, ahead)
        ahead = optax.apply_updates(ahead, updates)
      params = Players(gen, ahead)
      return game.objectives.gen(params, state.model_state, batch, gen_key, 0)[
        0
      ]

    for seed in range(3):
      expected, direction = directional(loss_ahead, state.params.gen, seed)
      slope = optax.tree.vdot(ours, direction)
      np.testing.assert_allclose(slope, expected, rtol=1e-6)
    # The look-ahead is felt: alternating's gradient is another one.
    plain = solvers.make_train_step(game, optimizers)
    plain, _ = jax.jit(plain)(state, data, KEY)
    gap = optax.tree.norm(optax.tree.sub(plain.params.gen, after.params.gen))
    assert gap > 1e-3 * optax.tree.norm(ours)


@pytest.mark.slow  # compiles for long
def test_every_update_of_g_looks_ahead_with_its_own_noise():
  """Two updates: each replays the fakes that its own objective draws."""
  depth, game = 3, small_game()
  optimizers = Players(gen=optax.sgd(0.5), disc=optax.sgd(0.5))
  state, data = solvers.init_state(game, optimizers, KEY), batches()
  step = solvers.make_train_step(
    game,
    optimizers,
    solver=solvers.make_solver('unrolled', unroll_steps=depth),
    gen_steps=2,
  )
  after, _ = jax.jit(step)(state, data, KEY)
  moves = Moves(game, optimizers)
  disc_key, gen_key = jax.random.split(KEY, 2)
  batch = jax.tree.map(lambda x: x[0], data)
  start, _ = moves.move('disc', state, batch, disc_key)

  @functools.partial(jax.jit, static_argnums=2)
  def gen_move(now, key, others_key):
    def foresee(params, model_state):
      ahead = now._replace(params=params, model_state=model_state)
      for _ in range(depth):
        noise = gen_key if others_key else key
        ahead, _ = moves.move('disc', ahead, batch, noise)
      return ahead.params, ahead.model_state

    gradient = moves.gradient('gen', now, batch, key, foresee)
    return moves.update('gen', now, gradient)[0]

  ends = []
  for others_key in (False, True):
    now = gen_move(start, jax.random.fold_in(gen_key, 1_000), others_key)
    ends.append(gen_move(now, gen_key, others_key).params.gen)
  chex.assert_trees_all_close(after.params.gen, ends[0], rtol=1e-4, atol=1e-6)
  # What would be wrong is not as near.
  gap = optax.tree.norm(optax.tree.sub(*ends))
  assert gap > 1e-3 * optax.tree.norm(ends[0])


@pytest.mark.slow  # compiles for long
def test_unrolled_on_images_carries_statistics_and_moments():
  """As above, on images: Adam's moments go along, and batch statistics.

  Spectral norm takes no gradient through its power iteration, and so has no
  such reference.
  """
  with jax.enable_x64(True):
    model = build(
      tiny_digits(
        network__gen_norm='batch',
        network__disc_norm='batch',
        network__gen_activation='tanh',
        network__disc_activation='tanh',
      ),
      fake_info((4, 4, 1)),
    )
    game, disc = model.game, optax.adam(0.05, b1=0.5)
    optimizers = Players(gen=optax.sgd(1.0), disc=disc)
    data = as_float64(stack_draws(fake_batch(shape=(4, 4, 1))))
    state = as_float64(solvers.init_state(game, optimizers, KEY))
    plain_step = jax.jit(solvers.make_train_step(game, optimizers))
    for t in range(2):
      state, _ = plain_step(state, data, jax.random.key(t))
    step = solvers.make_train_step(
      game, optimizers, solver=solvers.make_solver('unrolled', unroll_steps=2)
    )
    after, _ = jax.jit(step)(state, data, KEY)
    ours = optax.tree.sub(state.params.gen, after.params.gen)
    gen_key = jax.random.split(KEY, 2)[1]
    batch = jax.tree.map(lambda x: x[0], data)

    @jax.jit
    def loss_ahead(gen):
      ahead, moments = after.params.disc, after.opt_state.disc
      statistics = state.model_state._replace(disc=after.model_state.disc)
      for _ in range(2):

        def loss(own, statistics=statistics):
          return game.objectives.disc(
            Players(gen, own), statistics, batch, gen_key, 0
          )

        grads, outcome = jax.grad(loss, has_aux=True)(ahead)
        updates, moments = disc.update(grads, moments, ahead)
        ahead = optax.apply_updates(ahead, updates)
        statistics = statistics._replace(disc=outcome.model_state)
      params = Players(gen, ahead)
      return game.objectives.gen(params, statistics, batch, gen_key, 0)[0]

    for seed in range(2):
      expected, direction = directional(loss_ahead, state.params.gen, seed)
      slope = optax.tree.vdot(ours, direction)
      np.testing.assert_allclose(slope, expected, rtol=1e-5)
    plain, _ = plain_step(state, data, KEY)
    gap = optax.tree.norm(optax.tree.sub(plain.params.gen, after.params.gen))
    assert gap > 1e-3 * optax.tree.norm(ours)


@pytest.mark.slow
def test_looking_ahead_leaves_no_trace_in_d():
  """D, its optimizer and its statistics are as in the alternating step."""
  model = build(
    tiny_digits(network__disc_norm='spectral', network__gen_norm='batch'),
    fake_info(),
  )
  state, draws = model.init(KEY), stack_draws(fake_batch())
  ends = {}
  for name in ('alternating', 'unrolled'):
    step = solvers.make_train_step(
      model.game, model.optimizers, solver=solvers.make_solver(name)
    )
    ends[name], _ = jax.jit(step)(state, draws, KEY)
  for field in ('params', 'opt_state', 'model_state'):
    plain, ahead = (getattr(ends[name], field) for name in sorted(ends))
    chex.assert_trees_all_close(plain.disc, ahead.disc, rtol=1e-6, atol=1e-8)
  chex.assert_trees_all_close(
    ends['alternating'].model_state.gen,
    ends['unrolled'].model_state.gen,
    rtol=1e-6,
  )
  assert differs(ends['alternating'].params.gen, ends['unrolled'].params.gen)


@pytest.mark.parametrize('name', ['adam', 'rmsprop', 'adagrad', 'adamax'])
def test_dead_units_do_not_break_the_look_ahead(name):
  """A parameter without gradient has zero moments, whose root has no slope."""
  game = scalar_game(
    gen_loss=lambda gen, disc, *_: jnp.sum(gen * disc),
    disc_loss=lambda gen, disc, *_: jnp.sum(gen * disc * jnp.array([1.0, 0.0])),
    gen0=1.0,
    disc0=[0.5, 0.5],
  )
  optimizers = Players(gen=optax.sgd(0.1), disc=OPTIMIZERS[name](0.1))
  step = solvers.make_train_step(
    game, optimizers, solver=solvers.make_solver('unrolled')
  )
  state = solvers.init_state(game, optimizers, KEY)
  state, _ = jax.jit(step)(state, jnp.zeros(1), KEY)
  assert np.isfinite(state.params.gen)
  assert state.params.gen != 1.0


@pytest.mark.parametrize('unroll_steps', [0, -1])
def test_a_depth_below_one_is_refused(unroll_steps):
  with pytest.raises(InputError, match=f'unroll_steps: {unroll_steps} is not'):
    solvers.make_solver('unrolled', unroll_steps=unroll_steps)


# --- Consensus --------------------------------------------------------------


@pytest.mark.slow
def test_consensus_descends_the_squared_field():
  """Against finite differences of ||v||^2 / 2 over both players at once."""
  weight = 0.8
  with jax.enable_x64(True):
    game = small_game()
    optimizers = Players(gen=optax.sgd(1.0), disc=optax.sgd(1.0))
    state = state_in_float64(game, optimizers)
    data = as_float64(batches())
    ends = {}
    for name in ('simultaneous', 'consensus'):
      solver = solvers.make_solver(name, consensus_weight=weight)
      step = solvers.make_train_step(game, optimizers, solver=solver)
      ends[name], metrics = jax.jit(step)(state, data, KEY)
    pull = optax.tree.sub(ends['simultaneous'].params, ends['consensus'].params)
    gen_key, disc_key = jax.random.split(KEY, 2)[::-1]
    batch = jax.tree.map(lambda x: x[0], data)

    @jax.jit
    def energy(params):
      def own(player, key):
        def loss(own):
          return getattr(game.objectives, player)(
            params._replace(**{player: own}), state.model_state, batch, key, 0
          )[0]

        return jax.grad(loss)(getattr(params, player))

      squares = [
        jnp.sum(leaf**2)
        for leaf in jax.tree.leaves(
          (own('gen', gen_key), own('disc', disc_key))
        )
      ]
      return 0.5 * sum(squares)

    for seed in range(3):
      expected, direction = directional(energy, state.params, seed)
      np.testing.assert_allclose(
        optax.tree.vdot(pull, direction), weight * expected, rtol=1e-6
      )
    assert metrics['gen_grad_norm'] > 0


# --- Extragradient, optimism, two time scales -------------------------------


@pytest.mark.slow
def test_extragradient_with_adam_is_extra_adam():
  """Two looks, one step: the moments take both gradients, D and G alike."""
  game = small_game()
  optimizers = Players(*[optax.adam(0.01, b1=0.5)] * 2)
  state, data = solvers.init_state(game, optimizers, KEY), batches()
  solver = solvers.make_solver('extragradient')
  step = solvers.make_train_step(game, optimizers, solver=solver)
  after, metrics = step(state, data, KEY)
  disc_key, gen_key = jax.random.split(KEY, 2)
  batch = jax.tree.map(lambda x: x[0], data)

  def grads_at(params):
    def own(player, key):
      return jax.grad(
        lambda own: getattr(game.objectives, player)(
          params._replace(**{player: own}), state.model_state, batch, key, 0
        )[0]
      )(getattr(params, player))

    return Players(gen=own('gen', gen_key), disc=own('disc', disc_key))

  def updated(grads, opt_state):
    pairs = [
      optimizer.update(g, s)
      for optimizer, g, s in zip(optimizers, grads, opt_state, strict=True)
    ]
    return Players(*(p[0] for p in pairs)), Players(*(p[1] for p in pairs))

  updates, moments = updated(grads_at(state.params), state.opt_state)
  there = optax.apply_updates(state.params, updates)
  grads = grads_at(there)
  updates, moments = updated(grads, moments)
  expected = optax.apply_updates(state.params, updates)
  chex.assert_trees_all_close(after.params, expected, rtol=1e-5, atol=1e-7)
  chex.assert_trees_all_close(after.opt_state, moments, rtol=1e-5, atol=1e-9)
  assert [int(s[0].count) for s in after.opt_state] == [2, 2]
  np.testing.assert_allclose(
    metrics['gen_grad_norm'], optax.tree.norm(grads.gen), rtol=1e-5
  )


@pytest.mark.slow
def test_extragradient_moves_statistics_once():
  """They are the second look's, from the step's first ones on."""
  model = build(
    tiny_digits(network__gen_norm='batch', network__disc_norm='batch'),
    fake_info(),
  )
  state, draws = model.init(KEY), stack_draws(fake_batch())
  ends = {}
  for name in ('simultaneous', 'extragradient'):
    step = solvers.make_train_step(
      model.game, model.optimizers, solver=solvers.make_solver(name)
    )
    ends[name], _ = jax.jit(step)(state, draws, KEY)
  there = ends['simultaneous'].params  # one step ahead
  keys = dict(zip(('disc', 'gen'), jax.random.split(KEY, 2), strict=True))
  for player, key in keys.items():
    _, outcome = getattr(model.game.objectives, player)(
      there, state.model_state, fake_batch(), key, 0
    )
    chex.assert_trees_all_close(
      getattr(ends['extragradient'].model_state, player),
      outcome.model_state,
      rtol=1e-5,
      atol=1e-6,
    )


def test_optimism_is_twice_an_update_minus_the_one_before():
  """With Adam too: it is the update that is extrapolated, not the gradient."""
  base = Players(*[optax.adam(0.1)] * 2)
  for ours in solvers.adapt_optimizers('optimistic', base):
    params = jnp.array([1.0, -2.0])
    plain_state, state = base.gen.init(params), ours.init(params)
    before = None
    for grads in ([0.5, 2.0], [1.0, -1.0], [-3.0, 0.1]):
      plain, plain_state = base.gen.update(jnp.array(grads), plain_state)
      update, state = ours.update(jnp.array(grads), state)
      expected = plain if before is None else 2 * plain - before
      np.testing.assert_allclose(update, expected, rtol=1e-5)
      before = plain


def test_two_time_scale_multiplies_ds_update_alone():
  base = Players(*[optax.adam(0.1)] * 2)
  gen, disc = solvers.adapt_optimizers(
    'two_time_scale', base, time_scale_ratio=3.0
  )
  grads = jnp.array([0.5, -2.0])
  plain, _ = base.disc.update(grads, base.disc.init(grads))
  np.testing.assert_allclose(
    disc.update(grads, disc.init(grads))[0], 3.0 * plain, rtol=1e-6
  )
  assert gen is base.gen


@pytest.mark.slow
def test_clipping_comes_after_what_a_solver_does_to_updates():
  for solver in ('two_time_scale', 'optimistic'):
    config = tiny_digits(
      solver=solver, weight_clip=0.05, disc_optimizer__learning_rate=1.0
    )
    model = build(config, fake_info())
    state = model.init(KEY)
    for t in range(2):
      state, _ = model.train_step(
        state, stack_draws(fake_batch()), jax.random.key(t)
      )
    largest = max(
      float(jnp.max(jnp.abs(leaf)))
      for leaf in jax.tree.leaves(state.params.disc)
    )
    np.testing.assert_allclose(largest, 0.05, rtol=1e-5)


def test_schedules_keep_pace_with_steps_under_extragradient():
  """Its optimizers are called twice a step, and are told so."""
  sgd = dict(name='sgd', b1=None, b2=None, schedule='linear', decay_rate=0.0)
  config = tiny_digits(
    solver='extragradient',
    num_steps=10,
    disc_steps=3,
    **{
      f'{player}_optimizer__{key}': value
      for player in ('gen', 'disc')
      for key, value in (sgd | dict(learning_rate=1.0)).items()
    },
  )
  optimizers = make_optimizers(config)
  for optimizer, updates in ((optimizers.gen, 10), (optimizers.disc, 20)):
    state = optimizer.init(np.float32(0.0))
    for _ in range(updates):  # five steps: half-way down
      _, state = optimizer.update(np.float32(1.0), state)
    update, _ = optimizer.update(np.float32(1.0), state)
    np.testing.assert_allclose(update, -0.5, rtol=1e-5)


@pytest.mark.parametrize(
  ('solver', 'key', 'values', 'player'),
  sampled(
    [
      ('unrolled', 'unroll_steps', (1, 3), 'gen'),
      ('consensus', 'consensus_weight', (0.0, 1.0), 'gen'),
      ('two_time_scale', 'time_scale_ratio', (1.0, 4.0), 'disc'),
    ],
    ('two_time_scale', 'time_scale_ratio', (1.0, 4.0), 'disc'),
  ),
)
def test_a_solvers_key_reaches_it(solver, key, values, player):
  ends = []
  for value in values:
    model = build(tiny_digits(solver=solver, **{key: value}), fake_info())
    before = model.init(KEY)
    after, _ = jax.jit(model.train_step)(before, stack_draws(fake_batch()), KEY)
    ends.append(
      optax.tree.sub(
        getattr(after.params, player), getattr(before.params, player)
      )
    )
  assert differs(*ends)
  if solver == 'two_time_scale':
    quadrupled = optax.tree.scale(4.0, ends[0])
    chex.assert_trees_all_close(ends[1], quadrupled, rtol=1e-3, atol=1e-7)


# --- All of them on images --------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
  ('solver', 'disc_steps'),
  sampled(
    itertools.product(TWO_PLAYERS, [1, 3]),
    *((name, 3) for name in ('alternating', 'unrolled', 'optimistic')),
  ),
)
def test_every_solver_trains_the_image_gan(solver, disc_steps):
  """Finite, both players moved, and each optimizer called as often as said."""
  config = tiny_digits(
    solver=solver,
    disc_steps=disc_steps,
    network__gen_norm='batch',
    network__disc_norm='spectral',
  )
  model = build(config, fake_info())
  before = model.init(KEY)
  draws = stack_draws(*[fake_batch(seed=i) for i in range(disc_steps)])
  after, metrics = jax.jit(model.train_step)(before, draws, KEY)
  for leaf in jax.tree.leaves((after, metrics)):
    assert np.all(np.isfinite(leaf))
  for field in ('params', 'model_state'):
    for player in ('gen', 'disc'):
      assert differs(
        *(getattr(getattr(s, field), player) for s in (before, after))
      )
  counts = {
    player: {
      int(count)
      for _, count in optax.tree.get_all_with_path(
        getattr(after.opt_state, player), 'count'
      )
    }
    for player in ('gen', 'disc')
  }
  expected = solvers.updates_per_step(solver, disc_steps)
  assert counts == dict(gen={expected.gen}, disc={expected.disc})
  assert expected.disc == disc_steps + (solver == 'extragradient')
  assert {'disc_loss', 'gen_loss', 'gen_grad_norm', 'disc_grad_norm'} <= set(
    metrics
  )


@pytest.mark.parametrize('solver', JOINT)
def test_joint_solvers_move_g_against_the_old_d(solver):
  """With D's rate at 0, both orders agree; with it, G does not feel it."""
  game = scalar_game(
    lambda gen, disc, *_: gen * disc, lambda gen, disc, *_: -gen * disc
  )
  ends = []
  for rate in (0.0, 0.3):
    optimizers = solvers.adapt_optimizers(
      solver, Players(gen=optax.sgd(0.1), disc=optax.sgd(rate))
    )
    step = solvers.make_train_step(
      game,
      optimizers,
      solver=solvers.make_solver(solver, consensus_weight=0.0),
    )
    state = solvers.init_state(game, optimizers, KEY)
    ends.append(step(state, jnp.zeros(1), KEY)[0].params.gen)
  if solver == 'extragradient':  # it looks at the D that the step would bring
    np.testing.assert_allclose(ends, [0.9, 0.87], rtol=1e-6)
  else:
    np.testing.assert_allclose(ends, [0.9, 0.9], rtol=1e-6)


def test_an_unknown_solver_lists_the_valid_ones():
  with pytest.raises(InputError, match=r'solver.*foo.*alternating.*unrolled'):
    solvers.make_solver('foo')

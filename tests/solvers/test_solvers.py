"""Training steps: order, counts, isolation, noise, averages."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import solvers
from gan_jax.config.build import build
from gan_jax.games.scalar import bilinear, scalar_game
from gan_jax.rng import example_keys
from gan_jax.sampling.priors import draw_latents
from gan_jax.types import Players
from tests.helpers import (
  TWO_PLAYERS,
  assert_same_bits,
  differs,
  fake_batch,
  fake_info,
  stack_draws,
  tiny_digits,
)

KEY = jax.random.key(0)


def sgd(gen=0.1, disc=0.1) -> Players:
  return Players(gen=optax.sgd(gen), disc=optax.sgd(disc))


def play(game, optimizers, steps, *, batches=None, state=None, **options):
  """Runs a game of scalars; a batch is one number per D update by default."""
  disc_steps = options.get('disc_steps', 1)
  step = jax.jit(solvers.make_train_step(game, optimizers, **options))
  if state is None:
    ema = options.get('ema_decay', 0) > 0
    state = solvers.init_state(game, optimizers, KEY, ema=ema)
  if batches is None:
    batches = jnp.zeros(disc_steps)
  for t in range(steps):
    state, metrics = step(state, batches, jax.random.fold_in(KEY, t))
  return state, metrics


# --- Order, counts, noise ---------------------------------------------------


def noisy_game():
  """Gradients are the noise and the data that an objective was given."""

  def loss(weight):
    def evaluate(gen, disc, batch, key):
      own = gen if weight is None else disc
      return own * (jax.random.uniform(key) + 100.0 * batch)

    return evaluate

  return scalar_game(loss(None), loss(1), gen0=0.0, disc0=0.0)


@pytest.mark.parametrize('fresh', [True, False])
def test_noise_is_fresh_or_reused_as_asked(fresh):
  """With SGD at rate 1, each player's move is minus the noise it saw."""
  state, _ = play(
    noisy_game(), sgd(1.0, 1.0), 1, disc_steps=1, fresh_latents=fresh
  )
  same = float(state.params.gen) == float(state.params.disc)
  assert same != fresh


def test_each_disc_update_sees_its_own_batch_and_noise():
  batches = jnp.array([1.0, 2.0, 4.0])
  state, _ = play(noisy_game(), sgd(1.0, 1.0), 1, disc_steps=3, batches=batches)
  noise = -float(state.params.disc) - 700.0
  assert 0.0 < noise < 3.0
  keys = jax.random.split(jax.random.fold_in(KEY, 0), 4)
  draws = [float(jax.random.uniform(key)) for key in keys]
  np.testing.assert_allclose(noise, sum(draws[:3]), rtol=1e-3)
  assert len(set(draws)) == 4
  # G takes the last batch, and the key that no D update had.
  np.testing.assert_allclose(
    -float(state.params.gen), 400.0 + draws[3], rtol=1e-6
  )


@pytest.mark.parametrize('solver', TWO_PLAYERS)
def test_disc_metrics_are_of_its_last_update(solver):
  game = scalar_game(
    lambda gen, disc, *_: gen * disc, lambda gen, disc, batch, _: disc * batch
  )
  _, metrics = play(
    game,
    sgd(0.0, 0.0),
    1,
    disc_steps=3,
    batches=jnp.array([1.0, 2.0, 4.0]),
    solver=solvers.make_solver(solver),
  )
  assert metrics['disc_loss'] == 4.0


@pytest.mark.parametrize('disc_steps', [1, 2, 5])
def test_update_counts_per_player(disc_steps):
  optimizers = Players(gen=optax.adam(0.1), disc=optax.adam(0.1))
  state, _ = play(bilinear(), optimizers, 3, disc_steps=disc_steps)
  assert state.step == 3
  assert state.opt_state.gen[0].count == 3
  assert state.opt_state.disc[0].count == 3 * disc_steps


@pytest.mark.parametrize('start', [0, 2])
def test_ema_follows_its_recurrence(start):
  """For the first `ema_start` steps it is G itself."""
  game = scalar_game(lambda gen, *_: gen, lambda gen, disc, *_: disc)
  state, _ = play(game, sgd(1.0, 1.0), 3, ema_decay=0.9, ema_start=start)
  average, value = 1.0, 1.0
  for step in range(3):
    value -= 1.0
    average = 0.9 * average + 0.1 * value if step >= start else value
  np.testing.assert_allclose(state.ema['params'], average, rtol=1e-6)


def test_reused_noise_is_that_of_the_last_disc_update():
  batches = jnp.zeros(3)
  state, _ = play(
    noisy_game(),
    sgd(1.0, 1.0),
    1,
    disc_steps=3,
    batches=batches,
    fresh_latents=False,
  )
  keys = jax.random.split(jax.random.fold_in(KEY, 0), 4)
  np.testing.assert_allclose(
    -float(state.params.gen), jax.random.uniform(keys[2]), rtol=1e-6
  )


def test_ema_averages_batch_statistics_too(image_model):
  """After one step from the average's start: half old, half new."""
  step = solvers.make_train_step(image_model.game, sgd(), ema_decay=0.5)
  before = solvers.init_state(image_model.game, sgd(), KEY, ema=True)
  after, _ = jax.jit(step)(before, stack_draws(fake_batch()), KEY)
  for kind, old, new in (
    ('params', before.params.gen, after.params.gen),
    ('model_state', before.model_state.gen, after.model_state.gen),
  ):
    expected = jax.tree.map(lambda a, b: 0.5 * (a + b), old, new)
    assert differs(old, new)
    chex.assert_trees_all_close(after.ema[kind], expected, rtol=1e-5)


@pytest.mark.parametrize('fresh', [True, False])
@pytest.mark.parametrize('disc_steps', [1, 3])
def test_probe_looks_at_the_updated_generator(disc_steps, fresh):
  game = scalar_game(
    lambda gen, disc, batch, key: gen * jax.random.uniform(key),
    lambda gen, disc, *_: disc,
  )
  order = dict(disc_steps=disc_steps, fresh_latents=fresh)
  step = solvers.make_train_step(game, sgd(1.0, 1.0), **order)
  probe = solvers.make_probe(game, **order)
  batches = jnp.zeros(disc_steps)
  before = solvers.init_state(game, sgd(), KEY)
  after, metrics = step(before, batches, KEY)
  noise = metrics['gen_loss'] / before.params.gen
  np.testing.assert_allclose(
    probe(after, batches, KEY)['gen_loss_after'],
    after.params.gen * noise,
    rtol=1e-6,
  )


# --- The image game ---------------------------------------------------------


@pytest.fixture(scope='module')
def image_model():
  """Batch norm in both players, so that both have statistics to touch."""
  config = tiny_digits(network__gen_norm='batch', network__disc_norm='batch')
  return build(config, fake_info())


def one_move(model, player):
  """State before and after a step in which one player has no learning rate."""
  still, moving = optax.sgd(0.0), optax.sgd(0.1)
  optimizers = Players(
    gen=moving if player == 'gen' else still,
    disc=moving if player == 'disc' else still,
  )
  before = solvers.init_state(model.game, optimizers, KEY)
  step = jax.jit(solvers.make_train_step(model.game, optimizers))
  after, metrics = step(before, stack_draws(fake_batch()), KEY)
  return before, after, metrics


@pytest.mark.parametrize('player', ['gen', 'disc'])
def test_a_players_objective_leaves_the_opponent_alone(image_model, player):
  """Gradients reach only the player's own parameters, bit for bit."""
  before, after, _ = one_move(image_model, player)
  other = {'gen': 'disc', 'disc': 'gen'}[player]
  assert_same_bits(getattr(before.params, other), getattr(after.params, other))
  assert differs(getattr(before.params, player), getattr(after.params, player))


def test_disc_loss_depends_on_the_generator(image_model):
  """Fakes are not cut off: a solver that looks ahead needs the dependence."""
  state = solvers.init_state(image_model.game, sgd(), KEY)

  def disc_loss(gen_params):
    params = state.params._replace(gen=gen_params)
    return image_model.game.objectives.disc(
      params, state.model_state, fake_batch(), KEY, 0
    )[0]

  grads = jax.grad(disc_loss)(state.params.gen)
  assert optax.tree.norm(grads) > 1e-3


def test_model_state_belongs_to_the_player_that_moves(image_model):
  """D's objective returns D's statistics after two passes, real then fake."""
  state = solvers.init_state(image_model.game, sgd(), KEY)
  batch = fake_batch()
  arguments = (state.params, state.model_state, batch, KEY, 0)
  _, disc_outcome = image_model.game.objectives.disc(*arguments)
  _, gen_outcome = image_model.game.objectives.gen(*arguments)
  chex.assert_trees_all_equal_structs(
    disc_outcome.model_state, state.model_state.disc
  )
  chex.assert_trees_all_equal_structs(
    gen_outcome.model_state, state.model_state.gen
  )
  disc = image_model.networks.disc
  variables = {'params': state.params.disc, **state.model_state.disc}
  _, after_real = disc.apply(
    variables, batch.images, train=True, mutable='batch_stats'
  )
  only_real = {'batch_stats': after_real['batch_stats']}
  assert differs(disc_outcome.model_state, only_real)
  mean = {
    k: jax.tree.leaves(v)[0]
    for k, v in dict(
      start=state.model_state.disc,
      real=only_real,
      both=disc_outcome.model_state,
    ).items()
  }
  # flax: new = .9 old + .1 batch, so after two passes .9 of the first remains.
  fake_part = (mean['both'] - 0.9 * mean['real']) / 0.1
  assert np.all(np.isfinite(fake_part))
  assert not np.allclose(fake_part, (mean['real'] - 0.9 * mean['start']) / 0.1)


def test_disc_statistics_do_not_move_in_the_generators_update(image_model):
  """The state after a whole step has D's statistics of two passes, not of
  three: a step equals D's objective in what it leaves of D."""
  before, after, _ = one_move(image_model, 'gen')
  disc_key = jax.random.split(KEY, 2)[0]
  _, outcome = image_model.game.objectives.disc(
    before.params, before.model_state, fake_batch(), disc_key, 0
  )
  chex.assert_trees_all_close(
    outcome.model_state, after.model_state.disc, rtol=1e-5, atol=1e-6
  )


def test_gen_gradient_is_taken_against_the_new_discriminator(image_model):
  """By hand: D's SGD update, then G's gradient with that D."""
  game, rate = image_model.game, 0.5
  before = solvers.init_state(game, sgd(), KEY)
  step = solvers.make_train_step(game, sgd(rate, rate))
  after, _ = step(before, stack_draws(fake_batch()), KEY)
  disc_key, gen_key = jax.random.split(KEY, 2)

  def loss(player, params, key, model_state):
    return lambda own: getattr(game.objectives, player)(
      params._replace(**{player: own}), model_state, fake_batch(), key, 0
    )

  params, model_state = before.params, before.model_state
  grads, outcome = jax.grad(
    loss('disc', params, disc_key, model_state), has_aux=True
  )(params.disc)
  new_disc = jax.tree.map(lambda p, g: p - rate * g, params.disc, grads)
  params = params._replace(disc=new_disc)
  model_state = model_state._replace(disc=outcome.model_state)
  grads, _ = jax.grad(loss('gen', params, gen_key, model_state), has_aux=True)(
    params.gen
  )
  new_gen = jax.tree.map(lambda p, g: p - rate * g, params.gen, grads)
  chex.assert_trees_all_close(
    after.params, Players(new_gen, new_disc), rtol=1e-5, atol=1e-6
  )


def test_reused_latents_give_the_same_fakes():
  """With equal keys both objectives see the same fakes, so that D(G(z)) of
  an unchanged D is the same number in both."""
  model = build(tiny_digits(), fake_info())
  state = solvers.init_state(model.game, sgd(), KEY)
  arguments = (state.params, state.model_state, fake_batch(), KEY, 0)
  _, disc_outcome = model.game.objectives.disc(*arguments)
  gen_loss, gen_outcome = model.game.objectives.gen(*arguments)
  fake_score = gen_outcome.metrics['disc_fake']
  # non-saturating: the mean of softplus(-l) and of softplus(l) differ by l.
  assert 0.0 < float(fake_score) < 1.0
  latent_key, _ = jax.random.split(KEY)
  latents = draw_latents(
    example_keys(latent_key, fake_batch().positions),
    prior='normal',
    latent_dim=4,
  )
  fake = model.networks.gen.apply(
    {'params': state.params.gen}, latents, train=True
  )
  logits, _ = model.networks.disc.apply(
    {'params': state.params.disc}, fake, train=True
  )
  np.testing.assert_allclose(
    disc_outcome.metrics['disc_loss_fake'],
    np.mean(np.logaddexp(0, logits)),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    gen_loss, np.mean(np.logaddexp(0, -logits)), rtol=1e-5
  )


def test_metrics_name_what_was_promised():
  model = build(tiny_digits(penalty='r1'), fake_info())
  state = jax.jit(model.init)(KEY)
  batches = stack_draws(fake_batch())
  after, metrics = jax.jit(model.train_step)(state, batches, KEY)
  metrics |= jax.jit(model.probe)(after, batches, KEY)
  assert set(metrics) >= {
    'disc_loss',
    'disc_loss_real',
    'disc_loss_fake',
    'gen_loss',
    'disc_real',
    'disc_fake',
    'disc_fake_after',
    'disc_accuracy_real',
    'disc_accuracy_fake',
    'gen_grad_norm',
    'disc_grad_norm',
    'penalty',
  }
  np.testing.assert_allclose(
    metrics['disc_loss'],
    metrics['disc_loss_real']
    + metrics['disc_loss_fake']
    + 10.0 * 0.5 * metrics['penalty'],
    rtol=1e-5,
  )

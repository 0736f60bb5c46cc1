"""Games with known trajectories, played by the solvers that train images.

Published radii stand here as literals; the same recurrences are recomputed in
float64 by experiments/reference.py, which knows nothing of JAX.
"""

import functools
import itertools

import jax
import numpy as np
import optax
import pytest

from experiments import reference
from gan_jax import solvers
from gan_jax.games import swap_players
from gan_jax.games.dynamics import eigenvalues, vector_field
from gan_jax.games.scalar import bilinear, dirac_gan
from gan_jax.losses import make_loss
from gan_jax.penalties import PENALTIES
from gan_jax.solvers.optimizers import weight_clipping
from gan_jax.types import Players
from tests.helpers import TWO_PLAYERS, sampled

KEY = jax.random.key(0)
SETTINGS = dict(unroll_steps=3, consensus_weight=0.7)
RATIO = 2.5  # of the two-time-scale solver


def trajectory(
  game, solver, num_steps, *, rate=0.2, clip=None, clipped='disc', **options
):
  """(gen, disc) after each step, `[num_steps, 2]`."""
  optimizers = solvers.adapt_optimizers(
    solver,
    Players(gen=optax.sgd(rate), disc=optax.sgd(rate)),
    time_scale_ratio=RATIO,
  )
  if clip:
    chain = optax.chain(getattr(optimizers, clipped), weight_clipping(clip))
    optimizers = optimizers._replace(**{clipped: chain})
  step = solvers.make_train_step(
    game, optimizers, solver=solvers.make_solver(solver, **options)
  )
  state = solvers.init_state(game, optimizers, KEY)
  play = jax.jit(functools.partial(solvers.play, step, num_steps=num_steps))
  _, points = play(state, KEY)
  return np.stack(points, axis=-1)


def radius(points):
  return np.hypot(*points[-1])


def dirac(loss, penalty='none', weight=0.0, **start):
  return dirac_gan(
    make_loss(loss), penalty=PENALTIES[penalty], penalty_weight=weight, **start
  )


# --- Published radii --------------------------------------------------------

# loss, penalty, weight, clip: after 500 simultaneous updates, and after 500
# alternating ones with the generator first. The paper's WGAN-GP weight .7 is
# 2 lambda.
DIRAC = {
  ('minimax', 'none', 0.0, None): (3.09695, 1.42102),
  ('non_saturating', 'none', 0.0, None): (0.640207, 0.283923),
  ('wasserstein', 'none', 0.0, 1.0): (1.00215, 1.02412),
  ('wasserstein', 'wgan_gp', 0.35, None): (1.80179, 1.22107),
  ('minimax', 'r1', 0.3, None): (2.64e-6, 2.30e-7),
  ('minimax', 'r1', 1.0, None): (9.5e-22, 7.5e-17),
  ('non_saturating', 'r1', 0.3, None): (2.21e-6, 1.50e-7),
}


@pytest.mark.parametrize('case', DIRAC, ids=str)
@pytest.mark.parametrize('order', ['simultaneous', 'alternating'])
def test_dirac_radii(case, order):
  """Against the digits that the published table prints, and float64."""
  loss, penalty, weight, clip = case
  published = DIRAC[case][order == 'alternating']
  gen_first = order == 'alternating'
  setting = reference.Setting(loss, penalty, weight, clip or np.inf)
  expected = radius(
    reference.trajectory(setting, order, 500, gen_first=gen_first)
  )
  np.testing.assert_allclose(expected, published, rtol=1e-2)
  if published > 0.1:
    np.testing.assert_allclose(expected, published, rtol=5e-6)
  game = dirac(loss, penalty, weight)
  if gen_first:
    game = swap_players(game)
  clipped = 'gen' if gen_first else 'disc'
  options = dict(clip=clip, clipped=clipped)
  # A radius that has shrunk by 10^-20 has been rounded as often: the bound is
  # relative to it all the same, and 500 roundings of 6e-8 are 3e-5 at worst.
  ours = radius(trajectory(game, order, 500, **options))
  np.testing.assert_allclose(ours, expected, rtol=1e-5 if ours > 0.1 else 3e-5)
  with jax.enable_x64(True):
    game = dirac(loss, penalty, weight)
    game = swap_players(game) if gen_first else game
    ours = radius(trajectory(game, order, 500, **options))
  np.testing.assert_allclose(ours, expected, rtol=1e-11)


@pytest.mark.parametrize(
  ('solver', 'published'),
  [
    ('simultaneous', 17.016),
    ('alternating', 1.41026),
    ('extragradient', 0.117566),
    ('optimistic', 0.112869),
  ],
)
def test_bilinear_radii(solver, published):
  """h = .1, 500 steps from (1, 1); the first player of x * y moves first."""
  points = trajectory(swap_players(bilinear()), solver, 500, rate=0.1)
  np.testing.assert_allclose(radius(points), published, rtol=1e-5)
  with jax.enable_x64(True):
    points = trajectory(swap_players(bilinear()), solver, 500, rate=0.1)
  setting = reference.Setting('wasserstein', rate=0.1)
  expected = reference.trajectory(setting, solver, 500, gen_first=True)
  np.testing.assert_allclose(radius(points), radius(expected), rtol=1e-11)


def test_simultaneous_bilinear_in_closed_form():
  points = trajectory(bilinear(), 'simultaneous', 500, rate=0.1)
  np.testing.assert_allclose(radius(points), np.sqrt(2) * 1.01**250, rtol=1e-5)


# --- Every solver on every game, step by step -------------------------------

PENALISED = [('none', 0.0), ('r1', 0.4), ('r2', 0.4), ('wgan_gp', 0.35)]


_PAIRS = list(itertools.product(TWO_PLAYERS, sorted(reference.SLOPES)))


@pytest.mark.parametrize(('solver', 'loss'), sampled(_PAIRS, *_PAIRS[::3]))
def test_every_solver_follows_its_recurrence(solver, loss):
  """30 steps in float64, every point of them."""
  assert set(reference.STEPS) == set(TWO_PLAYERS)
  for penalty, weight in PENALISED:
    setting = reference.Setting(
      loss,
      penalty,
      weight,
      disc_rate=0.2 * RATIO if solver == 'two_time_scale' else None,
      **SETTINGS,
    )
    start = dict(theta=0.8, psi=-0.5)
    expected = reference.trajectory(setting, solver, 30, **start)
    with jax.enable_x64(True):
      game = dirac(loss, penalty, weight, theta0=0.8, psi0=-0.5)
      points = trajectory(game, solver, 30, **SETTINGS)
    np.testing.assert_allclose(points, expected[1:], rtol=1e-9, atol=1e-12)


# --- Linearisation ----------------------------------------------------------


def origin(game):
  return Players(*jax.tree.map(np.zeros_like, game.init(KEY)[0]))


@pytest.mark.parametrize('gamma', [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize('loss', ['minimax', 'non_saturating'])
def test_dirac_eigenvalues(loss, gamma):
  """(-gamma +- sqrt(gamma^2 - 1)) / 2; +- i / 2 without a penalty."""
  with jax.enable_x64(True):
    game = dirac(loss, 'r1', gamma)
    values = eigenvalues(game, origin(game))
  root = np.sqrt(complex(gamma**2 - 1.0))
  expected = np.sort_complex([(-gamma - root) / 2, (-gamma + root) / 2])
  # At gamma = 1 the two meet, and a double root is known to sqrt(eps) only.
  np.testing.assert_allclose(values, expected, atol=2e-8, rtol=1e-12)


def test_bilinear_eigenvalues():
  game = bilinear()
  np.testing.assert_allclose(
    eigenvalues(game, origin(game)), [-1j, 1j], rtol=1e-6
  )


def test_vector_field_is_minus_both_gradients():
  with jax.enable_x64(True):
    for loss, (penalty, weight) in itertools.product(
      reference.SLOPES, PENALISED
    ):
      game = dirac(loss, penalty, weight, theta0=0.8, psi0=-0.5)
      field, point = vector_field(game, game.init(KEY)[0])
      setting = reference.Setting(loss, penalty, weight)
      np.testing.assert_allclose(
        field(point), -setting.gradient(0.8, -0.5), rtol=1e-12
      )
      np.testing.assert_allclose(
        jax.jacobian(field)(point),
        -setting.jacobian(0.8, -0.5),
        rtol=1e-12,
        atol=1e-15,
      )


@pytest.mark.parametrize('solver', ['simultaneous', 'extragradient'])
def test_local_factor_of_a_step_is_that_of_the_eigenvalues(solver):
  """|1 + h l| and |1 + h l + (h l)^2| near the equilibrium."""
  h = 0.2
  game = dirac('minimax', theta0=1e-3, psi0=0.0)
  points = trajectory(game, solver, 100, rate=h)
  eigenvalue = eigenvalues(game, origin(game))[-1]
  factor = 1.0 + h * eigenvalue
  if solver == 'extragradient':
    factor += (h * eigenvalue) ** 2
  np.testing.assert_allclose(
    (radius(points) / 1e-3) ** (1 / 100), abs(factor), rtol=1e-5
  )
  if solver == 'simultaneous':
    np.testing.assert_allclose(abs(factor), np.sqrt(1 + h**2 / 4), rtol=1e-6)


def test_swapping_twice_changes_nothing():
  game = dirac('minimax', 'r1', 0.3, theta0=0.8, psi0=-0.5)
  swapped = swap_players(game)
  params, _ = swapped.init(KEY)
  assert params == Players(gen=-0.5, disc=0.8)
  twice = swap_players(swapped)
  np.testing.assert_array_equal(
    trajectory(game, 'alternating', 5), trajectory(twice, 'alternating', 5)
  )


def test_play_records_every_so_often():
  game, optimizers = bilinear(), Players(optax.sgd(0.1), optax.sgd(0.1))
  step = solvers.make_train_step(game, optimizers)
  state = solvers.init_state(game, optimizers, KEY)
  _, every = solvers.play(step, state, KEY, 6)
  last, seldom = solvers.play(
    step,
    state,
    KEY,
    6,
    record=lambda state, metrics: (state.params, metrics['gen_loss']),
    record_every=3,
  )
  np.testing.assert_allclose(seldom[0].gen, every.gen[2::3], rtol=1e-6)
  assert last.step == 6
  assert seldom[1].shape == (2,)
  with pytest.raises(ValueError, match='num_steps: 7'):
    solvers.play(step, state, KEY, 7, record_every=3)

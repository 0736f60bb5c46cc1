"""CycleGAN: the pool, the terms of both players, devices, and both ways."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.games import pool as pool_lib
from gan_jax.games.translation import Weights, cycle_gan
from gan_jax.rng import example_keys
from gan_jax.types import Batch, Column, Players, Verdict
from tests.helpers import assert_close, differs, task_of

KEY = jax.random.key(0)
SHAPE = (4, 4, 1)


# --- The pool -----------------------------------------------------------------


def images_of(numbers):
  """Images `[B, 1, 1, 1]` that are their numbers."""
  return jnp.asarray(numbers, jnp.float32)[:, None, None, None]


def queried(pool, numbers, seed):
  """Numbers of what is shown, and the pool then."""
  keys = jax.random.split(jax.random.key(seed), len(numbers))
  shown, pool = jax.jit(pool_lib.query)(pool, images_of(numbers), keys)
  return np.asarray(shown).ravel().astype(int), pool


def test_a_pool_that_fills_shows_what_comes():
  pool = pool_lib.empty(5, (1, 1, 1))
  shown, pool = queried(pool, range(1, 4), 0)
  assert shown.tolist() == [1, 2, 3]
  assert int(pool['taken']) == 3
  shown, pool = queried(pool, range(4, 6), 1)
  assert shown.tolist() == [4, 5]
  assert int(pool['taken']) == 5
  assert np.asarray(pool['images']).ravel().tolist() == [1, 2, 3, 4, 5]


def test_half_of_what_a_full_pool_shows_is_old_and_any_place_alike():
  """What is shown leaves; what is new and shown is not kept."""
  size, num = 50, 20_000
  _, pool = queried(pool_lib.empty(size, (1, 1, 1)), range(size), 0)
  numbers = np.arange(size, size + num)
  shown, pool = queried(pool, numbers, 1)
  old = shown != numbers
  assert abs(old.mean() - 0.5) < 4 * 0.5 / num**0.5
  assert len(set(shown)) == num  # none comes twice, for none is in two places
  kept = np.asarray(pool['images']).ravel().astype(int)
  assert set(kept).isdisjoint(shown)
  # An image that is kept stays for 2 N queries in the mean, geometrically.
  ages = numbers[old] - shown[old]
  ages = ages[(shown[old] >= size) & (shown[old] < num - 20 * size)]
  assert abs(ages.mean() - 2 * size) < 5 * 2 * size / len(ages) ** 0.5
  assert abs(np.median(ages) - 2 * size * np.log(2)) < 5


def test_each_example_has_a_coin_of_its_own():
  _, full = queried(pool_lib.empty(4, (1, 1, 1)), range(4), 0)
  shown, _ = queried(full, range(4, 64), 1)
  old = shown != np.arange(4, 64)
  assert 10 < old.sum() < 50


# --- The terms ----------------------------------------------------------------


class Scaled(nn.Module):
  """A generator that multiplies, by a parameter that starts at `factor`."""

  factor: float

  @nn.compact
  def __call__(self, images, given=None, *, train):
    del given, train
    init = nn.initializers.constant(self.factor)
    return self.param('factor', init, ()) * images


class Mean(nn.Module):
  """A D whose logit is a multiple of the mean pixel."""

  slope: float

  @nn.compact
  def __call__(self, images, given=None, *, train):
    del given, train
    slope = self.param('slope', nn.initializers.constant(self.slope), ())
    return Verdict(slope * images.mean(axis=(1, 2, 3)), {})


def played(factors=(2.0, 3.0), *, axis_name=None, **weights):
  """A game of multiplying generators, and its first state."""
  networks = Players(
    gen={'forward': Scaled(factors[0]), 'backward': Scaled(factors[1])},
    disc={'images': Mean(0.5), 'other': Mean(-1.0)},
  )
  task = task_of(SHAPE)._replace(given={'other': Column(SHAPE)})
  game = cycle_gan(
    networks,
    losses.least_squares(),
    task=task,
    weights=Weights(**{'pool': 0, **weights}),
    axis_name=axis_name,
  )
  return game, *game.init(KEY)


def batch_of(size=4, seed=0):
  rng = np.random.default_rng(seed)
  images, other = rng.uniform(-1, 1, (2, size, *SHAPE)).astype(np.float32)
  return Batch(images, {'other': other}, np.arange(size, dtype=np.int32))


def losses_of(game, params, state, batch, step=0):
  """Loss and outcome of both players."""
  return Players(
    *(
      objective(params, state, batch, KEY, jnp.int32(step))
      for objective in game.objectives
    )
  )


def test_losses_are_those_of_the_paper():
  """By NumPy: LSGAN with targets 0 and 1, L1 of cycles and of identities."""
  batch, (f, b) = batch_of(), (2.0, 3.0)
  x, y = np.float64(batch.given['other']), np.float64(batch.images)
  logit = {
    'images': lambda v: 0.5 * v.mean(axis=(1, 2, 3)),
    'other': lambda v: -1.0 * v.mean(axis=(1, 2, 3)),
  }
  gen, disc = losses_of(*played((f, b), cycle=10.0, identity=5.0), batch)
  adversarial = 0.5 * np.mean((logit['images'](f * x) - 1) ** 2)
  adversarial += 0.5 * np.mean((logit['other'](b * y) - 1) ** 2)
  cycle = np.abs(b * f * x - x).mean() + np.abs(f * b * y - y).mean()
  identity = np.abs(f * y - y).mean() + np.abs(b * x - x).mean()
  expected = adversarial + 10 * cycle + 5 * identity
  np.testing.assert_allclose(gen[0], expected, rtol=1e-5)
  np.testing.assert_allclose(gen[1].metrics['cycle'], cycle / 2, rtol=1e-5)
  np.testing.assert_allclose(
    gen[1].metrics['identity'], identity / 2, rtol=1e-5
  )
  total = 0.0
  for name, real, fake in (('images', y, f * x), ('other', x, b * y)):
    total += 0.5 * np.mean((logit[name](real) - 1) ** 2)
    total += 0.5 * np.mean(logit[name](fake) ** 2)
  np.testing.assert_allclose(disc[0], 0.5 * total, rtol=1e-5)


@pytest.mark.parametrize('factors', [(1.0, 1.0), (-1.0, -1.0), (2.0, 0.5)])
def test_cycles_of_inverse_maps_cost_nothing(factors):
  gen, _ = losses_of(*played(factors), batch_of())
  assert gen[1].metrics['cycle'] == 0
  assert (gen[1].metrics['identity'] == 0) == (factors == (1.0, 1.0))


def test_terms_without_weight_are_not_there():
  with_all, _ = losses_of(*played(), batch_of())
  without, _ = losses_of(*played(identity=0.0), batch_of())
  assert 'identity' not in without[1].metrics
  both = with_all[1].metrics
  np.testing.assert_allclose(
    with_all[0] - without[0], 5.0 * 2 * both['identity'], rtol=1e-4
  )


def test_the_cycle_is_the_same_with_the_domains_exchanged():
  batch = batch_of()
  swapped = batch._replace(
    images=batch.given['other'], given={'other': batch.images}
  )
  one, _ = losses_of(*played((2.0, 3.0)), batch)
  other, _ = losses_of(*played((3.0, 2.0)), swapped)
  for name in ('cycle', 'identity'):
    np.testing.assert_allclose(
      one[1].metrics[name], other[1].metrics[name], rtol=1e-6
    )


def test_each_way_goes_to_its_own_domain():
  game, params, state = played((2.0, 3.0))
  variables, batch = {'params': params.gen, **state.gen}, batch_of()
  there, _ = game.generate(variables, None, batch.given)
  back, _ = game.back(variables, None, {'images': batch.images})
  np.testing.assert_array_equal(there, 2 * batch.given['other'])
  np.testing.assert_array_equal(back, 3 * batch.images)


# --- The pool in the game -----------------------------------------------------


def steps_of_disc(game, params, state, batches):
  """D's losses, and its state in the end."""
  found = []
  for number, batch in enumerate(batches):
    key = jax.random.key(number)
    loss, outcome = game.objectives.disc(params, state, batch, key, number)
    state = state._replace(disc=outcome.model_state)
    found.append(float(loss))
  return found, state


def test_d_sees_what_the_pool_shows_and_g_does_not():
  batches = [batch_of(seed=seed) for seed in range(4)]
  bare, _ = steps_of_disc(*played(), batches)
  pooled, state = steps_of_disc(*played(pool=4), batches)
  assert pooled[0] == bare[0]  # it fills
  assert all(a != b for a, b in zip(pooled[1:], bare[1:], strict=True))
  game, params, _ = played(pool=4)
  gen = game.objectives.gen(params, state, batches[0], KEY, 0)[0]
  assert gen == losses_of(*played(), batches[0]).gen[0]
  assert set(state.disc['buffers']) == {'images', 'other'}
  assert differs(*state.disc['buffers'].values())


def test_devices_share_one_pool():
  """Two devices, each with half of the batch, show what one would."""
  batches = [batch_of(4, seed) for seed in range(5)]
  game, params, state = played(pool=4)
  alone, one = steps_of_disc(game, params, state, batches)
  shared = played(pool=4, axis_name='devices')[0]

  def step(state, batch, key):
    loss, outcome = shared.objectives.disc(params, state, batch, key, 0)
    return jax.lax.pmean(loss, 'devices'), outcome.model_state

  mapped = jax.vmap(
    step, in_axes=(None, 0, None), axis_name='devices', out_axes=(0, None)
  )
  for number, batch in enumerate(batches):
    halves = jax.tree.map(lambda x: x.reshape(2, 2, *x.shape[1:]), batch)
    loss, disc = mapped(state, halves, jax.random.key(number))
    np.testing.assert_allclose(loss, alone[number], rtol=1e-5)
    state = state._replace(disc=disc)
  assert_close(state.disc['buffers'], one.disc['buffers'], 1e-6)


def test_keys_of_the_two_pools_differ():
  """Else the same places would be shown of both."""
  game, params, state = played((1.0, 1.0), pool=4)
  batches = [batch_of(seed=seed) for seed in range(6)]
  same = [b._replace(given={'other': b.images}) for b in batches]
  _, state = steps_of_disc(game, params, state, same)
  pools = state.disc['buffers']
  assert differs(pools['images']['images'], pools['other']['images'])
  keys = example_keys(KEY, same[0].positions)
  assert len(keys) == len(same[0].images)

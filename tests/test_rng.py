"""Keys per example, and the hash without loops: the same bits as JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.rng import example_keys, unrolled
from tests.helpers import sampled

DRAWS = {
  'normal': lambda key: jax.random.normal(key, (7, 3)),
  'uniform': lambda key: jax.random.uniform(key, (5,), minval=-1.0),
  'bernoulli': lambda key: jax.random.bernoulli(key, shape=(9,)),
  'scalar': jax.random.normal,
  'permutation': lambda key: jax.random.permutation(key, 50),
  'bytes': lambda key: jax.random.bits(key, (6,), jnp.uint8),
  'words': lambda key: jax.random.bits(key, (2, 3), jnp.uint32),
  'split': lambda key: jax.random.normal(jax.random.split(key, 4)[2], (3,)),
  'fold_in': lambda key: jax.random.normal(jax.random.fold_in(key, 77), (3,)),
  'examples': lambda key: jax.vmap(jax.random.normal)(
    example_keys(key, jnp.arange(6, dtype=jnp.int32) + 3)
  ),
}


@pytest.mark.parametrize('seed', sampled([0, 1, 2**32 - 1], 2**32 - 1))
@pytest.mark.parametrize('draw', DRAWS.values(), ids=DRAWS)
def test_unrolled_keys_draw_the_same_bits(draw, seed):
  key = jax.random.key(seed)
  expected = draw(key)
  np.testing.assert_array_equal(draw(unrolled(key)), expected)
  np.testing.assert_array_equal(
    jax.jit(lambda key: draw(unrolled(key)))(key), expected
  )


def test_unrolled_keys_make_no_loops():
  def draws(key):
    return DRAWS['normal'](jax.random.fold_in(key, 1))

  def loops(function):
    text = jax.jit(function).lower(jax.random.key(0)).as_text()
    return text.count('stablehlo.while')

  assert loops(draws)  # should JAX ever do without them, so can we
  assert not loops(lambda key: draws(unrolled(key)))


def test_too_many_draws_are_refused():
  with pytest.raises(ValueError, match='draws from one key'):
    jax.jit(
      lambda key: jax.random.bits(unrolled(key), (2**16, 2**16), jnp.uint32)
    ).lower(jax.random.key(0))


def test_examples_have_keys_of_their_own_whatever_the_order():
  key = jax.random.key(3)
  draw = jax.vmap(jax.random.uniform)
  all_of_them = draw(example_keys(key, jnp.arange(8)))
  assert len(np.unique(all_of_them)) == 8
  some = draw(example_keys(key, jnp.array([5, 2])))
  np.testing.assert_array_equal(some, all_of_them[jnp.array([5, 2])])

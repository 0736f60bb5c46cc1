"""What makes the tests quick does not change what they see."""

import flax
import flax.linen as nn
import jax
import numpy as np
import pytest

from tests import quick

KEY = jax.random.key(0)


def test_programs_do_what_single_operations_do():
  network = nn.Sequential([nn.Dense(3), nn.tanh, nn.Dense(2)])
  x = np.float32(np.arange(8).reshape(4, 2))
  plain = nn.Module.init.__wrapped__(network, KEY, x)
  variables = network.init(KEY, x)
  jax.tree.map(np.testing.assert_array_equal, variables, plain)
  expected = nn.Module.apply.__wrapped__(network, plain, x)
  found = network.apply(variables, x)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_inside_of_a_program_nothing_changes():
  layer, x = nn.Dense(3), np.ones((4, 2), np.float32)
  variables = layer.init(KEY, x)

  def eager(x):
    return nn.Module.apply.__wrapped__(layer, variables, x)

  def patched(x):
    return layer.apply(variables, x)

  assert str(jax.make_jaxpr(patched)(x)) == str(jax.make_jaxpr(eager)(x))


def test_what_is_no_array_is_a_constant():
  layer = nn.BatchNorm()
  x = np.float32(np.random.default_rng(0).normal(size=(8, 2)))
  variables = layer.init(KEY, x, use_running_average=True)
  normal, moved = layer.apply(
    variables, x, use_running_average=False, mutable=['batch_stats']
  )
  assert abs(normal.mean()) < 1e-5
  assert np.abs(moved['batch_stats']['mean']).max() > 0


def test_parameters_are_checked_and_taken_once():
  layer, x = nn.Dense(3), np.ones((4, 2), np.float32)
  variables = layer.init(KEY, x)
  with pytest.raises(flax.errors.ScopeParamShapeError, match='kernel'):
    nn.Dense(4).apply(variables, x)

  class Twice(nn.Module):
    @nn.compact
    def __call__(self, x):
      for _ in range(2):
        self.param('scale', nn.initializers.ones, (3,))

  with pytest.raises(flax.errors.NameInUseError):
    Twice().apply({'params': {'scale': np.ones(3)}}, x)


def test_contexts_are_renewed():
  made = []

  def make():
    made.append(object())
    return made[-1]

  context = quick.shared_context(make)
  given = [context() for _ in range(quick.PER_CONTEXT + 1)]
  assert given == [made[0]] * quick.PER_CONTEXT + [made[1]]

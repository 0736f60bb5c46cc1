"""Where both players see the same fakes, they are made once."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.penalties import PENALTIES, Penalty
from gan_jax.training.dispatch import make_dispatch
from gan_jax.types import Batch
from tests.helpers import fake_batch, fake_info, tiny_digits


def layers_of_g(fresh_latents):
  """Layers of G's forward passes in a compiled step: both are products here."""
  config = tiny_digits(
    network__name='dcgan',
    network__gen_width=4,
    network__disc_width=4,
    network__depth=1,
    network__gen_widths=None,
    network__disc_widths=None,
    fresh_latents=fresh_latents,
  )
  model = build(config, fake_info())
  dispatch = make_dispatch(model, lambda resident, draw, key: Batch(**draw))
  draws = jax.tree.map(
    lambda x: jnp.stack([x[None]] * 3), fake_batch(8)._asdict()
  )
  state = jax.eval_shape(model.init, jax.random.key(0))
  lowered = jax.jit(dispatch).lower(state, ((), jax.random.key(0)), draws)
  program = lowered.compile().as_text()
  made = (
    r' (?:convolution|dot)\(.*op_name="[^"]*/jvp\(Generator\)/ConvTranspose_'
  )
  return len(re.findall(made, program))


@pytest.mark.parametrize(('fresh_latents', 'passes'), [(False, 1), (True, 2)])
def test_passes_through_g(fresh_latents, passes):
  assert layers_of_g(fresh_latents) == 2 * passes


def test_equal_keys_make_equal_fakes(monkeypatch):
  """What a game generates is what its objectives see with the same key."""
  of_fakes = Penalty(lambda critic, real, fake, keys, axis: fake.sum(), 1.0)
  monkeypatch.setitem(PENALTIES, 'r2', of_fakes)
  model = build(tiny_digits(penalty='r2'), fake_info())
  state = model.init(jax.random.key(0))
  given = state.params, state.model_state, fake_batch(8), jax.random.key(5)
  _, outcome = model.game.objectives.disc(*given, 0)
  np.testing.assert_allclose(
    model.game.fakes(*given).sum(), outcome.metrics['penalty'], rtol=1e-6
  )

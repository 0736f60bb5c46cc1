"""bfloat16 computes in bfloat16 and keeps everything else in float32."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config import build as build_lib
from gan_jax.devices import parallel, precision
from gan_jax.modes.train import train
from gan_jax.networks import NETWORKS
from gan_jax.types import InputError
from tests.helpers import (
  BY_CLASS,
  DRAWING,
  fake_batch,
  fake_info,
  run_cli,
  sampled,
  stack_draws,
  tiny_digits,
  tiny_flags,
  tiny_keys,
)


def config_of(name, **keys):
  own = dict(network__gen_widths=None, network__disc_widths=None)
  own |= dict(network__name=name, conditional=name in BY_CLASS)
  if keys.get('network__gen_norm') not in NETWORKS[name].gen_norms:
    keys.pop('network__gen_norm', None)
  return tiny_digits(**own | tiny_keys(name) | keys)


def step_of(config):
  model = build_lib.build(config, fake_info())
  state = jax.jit(model.init)(jax.random.key(0))
  batches = stack_draws(fake_batch(16))
  return model.train_step, (state, batches, jax.random.key(1))


def products(jaxpr):
  """Types of what enters each product and convolution, loops included."""
  for equation in jaxpr.eqns:
    if equation.primitive.name in ('dot_general', 'conv_general_dilated'):
      yield from (v.aval.dtype for v in equation.invars)
    for value in equation.params.values():
      for inner in jax.tree.leaves(
        value, is_leaf=lambda x: hasattr(x, 'eqns') or hasattr(x, 'jaxpr')
      ):
        inner = getattr(inner, 'jaxpr', inner)
        if hasattr(inner, 'eqns'):
          yield from products(inner)


@pytest.mark.parametrize(
  ('name', 'norm'),
  sampled(
    itertools.product(DRAWING, ['none', 'batch', 'layer', 'spectral']),
    *(('mlp', 'layer'), ('conv', 'batch')),
  ),
)
def test_all_products_are_in_bfloat16_and_all_state_in_float32(name, norm):
  if norm not in (*NETWORKS[name].disc_norms, 'spectral'):
    pytest.skip('not a norm of this network')
  gen_norm = 'none' if norm == 'spectral' else norm
  config = config_of(
    name,
    precision='bfloat16',
    network__disc_norm=norm,
    network__gen_norm=gen_norm,
  )
  step, given = step_of(config)
  pair = build_lib.build(config, fake_info()).networks
  spectral = any(player.style.weights == 'spectral' for player in pair)
  jaxpr = jax.make_jaxpr(step)(*given)
  dtypes = list(products(jaxpr.jaxpr))
  vectors = [d for d in dtypes if d != jnp.bfloat16]
  # The power iteration of spectral norm stays in float32.
  assert jnp.bfloat16 in dtypes
  assert spectral or not vectors
  state, metrics = jax.eval_shape(step, *given)
  for leaf in jax.tree.leaves((state._replace(step=None), metrics)):
    assert leaf.dtype in (jnp.float32, jnp.int32)  # Adam counts


@pytest.mark.parametrize('name', sampled(DRAWING, 'mlp', 'dcgan'))
def test_a_step_in_bfloat16_is_near_one_in_float32(name):
  norms = dict(network__gen_norm='batch', network__disc_norm='layer')
  gradients = {}
  for kind in ('float32', 'bfloat16'):
    config = config_of(name, precision=kind, **norms)
    model = build_lib.build(config, fake_info())
    state = jax.jit(model.init)(jax.random.key(0))

    def loss(params, model=model, state=state):
      return model.game.objectives.disc(
        state.params._replace(disc=params),
        state.model_state,
        fake_batch(64),
        jax.random.key(1),
        0,
      )[0]

    gradients[kind] = jax.jit(jax.value_and_grad(loss))(state.params.disc)
  (exact, expected), (rounded, found) = gradients.values()
  np.testing.assert_allclose(rounded, exact, rtol=0.02)
  flat = [
    np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
    for tree in (found, expected)
  ]
  error = np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1])
  # Rounded to 8 bits, not exact and not wrong: some ReLUs open and close.
  assert 1e-4 < error < 0.2


@pytest.mark.slow
def test_float32_is_the_program_it_was():
  """Nothing is converted, so that nothing can be lost."""
  for name in DRAWING:
    step, given = step_of(config_of(name, network__disc_norm='none'))
    program = jax.make_jaxpr(step)(*given)
    assert 'bf16' not in str(program)
    dtypes = set(products(program.jaxpr))
    assert dtypes == {jnp.dtype('float32')}


@pytest.mark.slow
def test_images_are_float32_whatever_drew_them(tmp_path):
  import gan_jax

  train(tiny_digits(num_steps=4, precision='bfloat16'), tmp_path)
  images = gan_jax.load(tmp_path).sample(4)
  assert images.dtype == np.uint8


@pytest.mark.parametrize(
  ('name', 'platform', 'capability', 'valid'),
  [
    ('tensorfloat32', 'cpu', None, 'cpu has no tensorfloat32; take float32 or'),
    ('tensorfloat32', 'gpu', 7.5, 'capability 7.5 has no tensorfloat32'),
    ('bfloat16', 'gpu', 7.0, 'capability 7.0 has no bfloat16; take float32$'),
    ('half', 'cpu', None, "precision: unknown name 'half'"),
  ],
)
def test_what_a_device_lacks_is_refused(name, platform, capability, valid):
  with pytest.raises(InputError, match=valid):
    precision.check(name, platform, capability)


def test_what_a_device_has_is_taken():
  for platform, capability in (('cpu', None), ('tpu', None), ('gpu', 7.5)):
    assert precision.check('float32', platform, capability).dtype is None
  for name in precision.PRECISIONS:
    precision.check(name, 'gpu', 8.0)


class Device:
  def __init__(self, platform, capability):
    self.platform, self.compute_capability = platform, capability


def test_float32_products_on_a_gpu_are_float32():
  gpu = [Device('gpu', '9.0')]
  for name, expected in (
    ('float32', 'highest'),
    ('tensorfloat32', 'tensorfloat32'),
  ):
    with precision.check_on(name, gpu):
      assert jax.config.jax_default_matmul_precision == expected
  cpu = parallel.select_devices(1)
  with precision.check_on('float32', cpu):
    assert jax.config.jax_default_matmul_precision is None


@pytest.mark.slow  # the check is tested by call
def test_the_command_line_says_so_in_one_line(tmp_path):
  done = run_cli(*tiny_flags(tmp_path / 'run', precision='tensorfloat32'))
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert line.startswith('error: precision: this cpu has no tensorfloat32')

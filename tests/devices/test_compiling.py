"""Programs: with which options, and what is kept of them."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.devices import compiling, parallel


def add(state, constants, inputs):
  total = lax.pmean(inputs.sum(), parallel.AXIS)
  return state + constants + total, {'total': total}


def test_each_shape_is_compiled_once():
  devices = parallel.select_devices(2)
  call = parallel.parallelize(add, devices)
  state = parallel.replicate(jnp.zeros(()), devices)
  constant = parallel.replicate(jnp.ones(()), devices)
  for length in (3, 3, 2, 3):
    state, metrics = call(state, constant, np.ones((2, length), np.float32))
  assert float(state) == 4 + 3 + 3 + 2 + 3
  assert float(metrics['total']) == 3
  assert len(call.programs) == 2


@pytest.mark.parametrize(
  'options',
  [
    {'xla_cpu_no_such_option': ''},
    {'xla_cpu_experimental_ynn_fusion_type': 'NO_SUCH_TYPE'},
    {},
  ],
)
def test_options_that_xla_lacks_are_left_out(monkeypatch, options):
  monkeypatch.setitem(compiling.COMPILER_OPTIONS, 'cpu', options)
  devices = parallel.select_devices(1)
  call = parallel.parallelize(add, devices)
  state, _ = call(jnp.zeros(()), jnp.ones(()), np.ones((1, 2), np.float32))
  assert float(state) == 3


def test_convolutions_keep_to_the_multithreaded_path():
  @jax.jit
  def function(x, w):
    numbers = ('NHWC', 'HWIO', 'NHWC')
    y = lax.conv_general_dilated(
      x, w, (1, 1), 'SAME', dimension_numbers=numbers
    )
    return y, y.reshape(-1, 64) @ jnp.ones((64, 64))

  lowered = function.lower(
    jax.ShapeDtypeStruct((8, 16, 16, 64), jnp.float32),
    jax.ShapeDtypeStruct((3, 3, 64, 64), jnp.float32),
  )

  def counts(program):
    lines = program.as_text().splitlines()
    library = sum('__ynn_fusion' in line for line in lines)
    return library, sum(' convolution(' in line for line in lines)

  library, _ = counts(lowered.compile())
  options = compiling.COMPILER_OPTIONS['cpu']
  ours, convolutions = counts(lowered.compile(compiler_options=options))
  assert ours == library - 1  # the product stays, the convolution leaves
  assert convolutions == 1


def convolved(x):
  return lax.conv(x, x, (1, 1), 'SAME')


def asked_of(function, options, monkeypatch):
  """Options with which compiling was tried, in turn."""
  asked, usual = [], jax.stages.Lowered.compile

  def spy(lowered, compiler_options=None):
    asked.append(compiler_options)
    return usual(lowered, compiler_options)

  with monkeypatch.context() as patch:
    patch.setattr(jax.stages.Lowered, 'compile', spy)
    compiling.compile_with(function, options)(jnp.ones((2, 4, 4, 3)))
  return asked


def test_programs_with_convolutions_hold_few_maps_at_once(monkeypatch):
  options = compiling.COMPILER_OPTIONS['cpu']
  order = {'xla_cpu_scheduler_type': 'CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED'}
  assert asked_of(convolved, options, monkeypatch) == [options | order]
  assert asked_of(jnp.tanh, options, monkeypatch) == [options]
  assert asked_of(convolved, {}, monkeypatch) == [{}]


def test_without_that_order_the_other_options_stay(monkeypatch):
  options, lacking = compiling.COMPILER_OPTIONS['cpu'], {'xla_cpu_no_such': ''}
  monkeypatch.setattr(compiling, '_FEW_MAPS', lacking)
  asked = asked_of(convolved, options, monkeypatch)
  assert asked == [options | lacking, options]


def test_a_game_is_compiled_without_the_library_for_small_products():
  call = compiling.compile_game(lambda a, b: (a @ b, a.sum(0)))
  product, total = call(jnp.eye(128), jnp.full((128, 128), 2.0))
  np.testing.assert_array_equal(product, np.full((128, 128), 2.0))
  np.testing.assert_array_equal(total, np.ones(128))
  (program,) = call.programs.values()
  assert ' dot(' in program.as_text()


def test_what_runs_once_is_not_kept():
  def double(x):
    return 2 * x

  def programs():
    gc.collect()
    return len(jax.devices()[0].client.live_executables())

  x = jax.device_put(np.arange(3.0))
  before = programs()
  np.testing.assert_array_equal(compiling.run_once(double, x), [0, 2, 4])
  assert programs() == before
  np.testing.assert_array_equal(jax.jit(double)(x), [0, 2, 4])
  assert programs() == before + 1

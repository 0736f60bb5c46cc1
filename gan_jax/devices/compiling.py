"""Programs: how functions are compiled, and what is kept of it."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax

from gan_jax.devices import heap
from gan_jax.storage.files import cache_dir

# Compiler options by platform. XLA hands single convolutions, products and
# reductions to a library that hardly uses more than one core in convolutions
# and is slow to start on small products: what the lists name stays with it,
# the rest goes to Eigen.
_LIBRARY = 'xla_cpu_experimental_ynn_fusion_type'
_REDUCE = 'LIBRARY_FUSION_TYPE_REDUCE'
COMPILER_OPTIONS = {
  'cpu': {_LIBRARY: f'LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,{_REDUCE}'}
}
GAME_COMPILER_OPTIONS = {'cpu': {_LIBRARY: _REDUCE}}
# Of programs with convolutions: an order of operations that holds few maps at
# once. It cost DCGAN no time, but the MLP pair, whose updates of dense layers
# gain from running side by side, 3 %.
_FEW_MAPS = {'xla_cpu_scheduler_type': 'CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED'}


def enable_compilation_cache() -> None:
  """Keeps compiled programs in the user's cache folder for the next run.

  JAX_COMPILATION_CACHE_DIR names another folder.
  """
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update('jax_compilation_cache_dir', str(cache_dir()))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def compile_game(function: Callable) -> Callable:
  """Compiles a game of small networks, such as `solvers.play`'s, for speed."""
  options = GAME_COMPILER_OPTIONS.get(jax.default_backend(), {})
  return compile_with(function, options)


def run_once(function: Callable, *arguments: Any) -> Any:
  """What a function returns, as one program that is not kept.

  That of an initial state takes more memory than the state.
  """
  return compile_with(function, {})(*arguments)


def compile_with(
  function: Callable, options: dict[str, str], wrap: Callable = jax.jit
) -> Callable:
  """Compiles a function once for each shape of arguments.

  Args:
    function: what the program computes.
    options: of the compiler, empty off the CPU; where there are some, programs
      with convolutions get the order that holds few maps too. What this version
      of XLA lacks is left out.
    wrap: `jax.jit`, or what else makes of a function one that can be lowered.
  """
  programs = {}

  def compiled(arguments):
    # JAX keeps the program of a function, and what `jit` traced of it, as long
    # as the function: this one is gone at the end.
    lowered = wrap(lambda *given: function(*given)).lower(*arguments)
    if options and _has_convolutions(lowered):
      with contextlib.suppress(jax.errors.JaxRuntimeError):
        return lowered.compile(compiler_options=options | _FEW_MAPS)
    try:
      return lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
      if not options:
        raise
      return lowered.compile()

  def call(*arguments):
    shapes = tuple(jax.typeof(x) for x in jax.tree.leaves(arguments))
    if shapes not in programs:
      peak = heap.peak()
      programs[shapes] = compiled(arguments)
      heap.give_back(peak)
    return programs[shapes](*arguments)

  call.programs = programs
  return call


def _has_convolutions(lowered: jax.stages.Lowered) -> bool:
  # Constants would be written out in full.
  module = lowered.compiler_ir().operation
  return 'stablehlo.convolution' in module.get_asm(large_elements_limit=8)

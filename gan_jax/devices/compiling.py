"""Programs: how functions are compiled, and what is kept of it."""

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
# once. Side by side they gain nothing, since each takes all cores; updates of
# dense layers do.
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
    options: of the compiler; left out if this version of XLA lacks one. None
      off the CPU.
    wrap: `jax.jit`, or what else makes of a function one that can be lowered.
  """
  programs = {}

  def compiled(arguments):
    # JAX keeps what it traced of a function, and its program, as long as the
    # function: this one is gone at the end.
    lowered = wrap(lambda *given: function(*given)).lower(*arguments)
    if not options:
      return lowered.compile()
    has_maps = 'stablehlo.convolution' in lowered.as_text()
    try:
      return lowered.compile(
        compiler_options=options | _FEW_MAPS if has_maps else options
      )
    except jax.errors.JaxRuntimeError:
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

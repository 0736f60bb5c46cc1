"""What makes the tests quick: few programs, and little around each.

What they run takes milliseconds and what they compile seconds, so nothing here
changes what is computed beyond float32's rounding.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.core import scope
from jax._src import core
from jax._src.interpreters import mlir

METHODS = ('init', 'init_with_output', 'apply')
PER_CONTEXT = 1_000  # programs: what they hold is freed with their context


def install() -> None:
  """Networks run as whole programs, and programs share MLIR contexts."""
  for name in METHODS:
    setattr(nn.Module, name, compiled(getattr(nn.Module, name)))
  scope.Scope.param = cheaply_checked(scope.Scope.param)
  mlir.make_ir_context = shared_context(mlir.make_ir_context)


def compiled(method: Callable[..., Any]) -> Callable[..., Any]:
  """A method of flax modules as one program, not one of each operation.

  What is no array is a constant of it. Inside of another program nothing
  changes.
  """

  @functools.wraps(method)
  def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    if not core.trace_state_clean():
      return method(module, *args, **kwargs)
    leaves, tree = jax.tree.flatten((args, kwargs))
    dynamic = [isinstance(x, jax.Array | np.ndarray) for x in leaves]

    def run(arrays: list[Any]) -> Any:
      rest = iter(arrays)
      filled = [
        next(rest) if is_array else leaf
        for leaf, is_array in zip(leaves, dynamic, strict=True)
      ]
      args, kwargs = jax.tree.unflatten(tree, filled)
      return method(module, *args, **kwargs)

    arrays = [
      x for x, is_array in zip(leaves, dynamic, strict=True) if is_array
    ]
    return jax.jit(run)(arrays)

  return call


def cheaply_checked(param: Callable[..., Any]) -> Callable[..., Any]:
  """`Scope.param` that takes a parameter of the shape asked for as it is.

  Flax traces its initializer for that, a tenth of what tests of networks take.
  """

  @functools.wraps(param)
  def call(
    own: scope.Scope,
    name: str,
    init: Callable[..., Any],
    *args: Any,
    unbox: bool = True,
    **keys: Any,
  ) -> Any:
    if args and not keys and own.has_variable('params', name):
      value = own.get_variable('params', name)
      if isinstance(args[0], tuple) and args[0] == getattr(value, 'shape', ()):
        own.reserve(name, 'params')
        return value
    return param(own, name, init, *args, unbox=unbox, **keys)

  return call


def shared_context(make: Callable[[], Any]) -> Callable[[], Any]:
  """MLIR contexts for many programs each: a tenth of what compiling takes.

  One a thread, since programs are written into it.
  """
  own = threading.local()

  def context() -> Any:
    if getattr(own, 'left', 0) == 0:
      own.context, own.left = make(), PER_CONTEXT
    own.left -= 1
    return own.context

  return context

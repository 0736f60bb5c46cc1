"""Devices. Every call of `pmap`, and all that knows of devices, is here.

A state is a plain tree, replicated over the devices, without a device axis.
Batches are shared: leaf `[S, K, B, ...]` on the host becomes `[N, S, K, B/N,
...]` for N devices. Whatever a mapped function returns must be equal on all
devices, so it averages over `AXIS` what depends on its share of the batch.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax
import numpy as np

from gan_jax import precision
from gan_jax.files import cache_dir
from gan_jax.types import InputError

AXIS = 'batch'

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


def axis_name(devices: Sequence[jax.Device]) -> str | None:
  """The axis to average over: none on one device, so that nothing is sent.

  Collectives also keep the compiler from seeing that two passes are the same.
  """
  return AXIS if len(devices) > 1 else None


def enable_compilation_cache() -> None:
  """Keeps compiled programs in the user's cache folder for the next run.

  JAX_COMPILATION_CACHE_DIR names another folder.
  """
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update('jax_compilation_cache_dir', str(cache_dir()))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def split_cpu(num_runs: int) -> None:
  """Makes the CPU appear as several devices, which share runs equally.

  As many as there are cores, or the most that divide the runs: small games run
  faster side by side than each over all cores. Without effect on other
  devices, where XLA_FLAGS or JAX's configuration sets their number, and once
  devices are in use.
  """
  if hasattr(os, 'sched_getaffinity'):
    cores = len(os.sched_getaffinity(0))
  else:  # macOS
    cores = os.cpu_count() or 1
  num = max(n for n in range(1, cores + 1) if num_runs % n == 0)
  by_flag = 'host_platform_device_count' in os.environ.get('XLA_FLAGS', '')
  if num > 1 and not by_flag and jax.config.jax_num_cpu_devices < 1:
    with contextlib.suppress(RuntimeError):  # devices are in use already
      jax.config.update('jax_num_cpu_devices', num)


def select_devices(num_devices: int = 0) -> list[jax.Device]:
  """The first `num_devices` local devices; 0 for all.

  Raises:
    InputError: there are not so many.
  """
  devices = jax.local_devices()
  if not 0 <= num_devices <= len(devices):
    raise InputError(
      f'num_devices: {num_devices} is not between 0 (all) and {len(devices)}, '
      f'the number of {devices[0].platform} devices here'
    )
  return devices[: num_devices or None]


def memory_of_each(devices: Sequence[jax.Device]) -> int:
  """Bytes that each of the devices can use; CPU devices share the machine's."""
  stats = devices[0].memory_stats() or {}
  if 'bytes_limit' in stats:
    return stats['bytes_limit']
  pages = os.sysconf('SC_PHYS_PAGES')
  return os.sysconf('SC_PAGE_SIZE') * pages // len(devices)


def check_precision(
  name: str, devices: Sequence[jax.Device]
) -> contextlib.AbstractContextManager:
  """Checks that the devices have a precision of `precision.PRECISIONS`.

  Returns:
    A context in which to compile: on accelerators, products of float32
    arrays are exactly what the precision says. CPUs know no other.

  Raises:
    InputError: they have not.
  """
  device = devices[0]
  capability = getattr(device, 'compute_capability', None)
  found = precision.check(
    name, device.platform, None if capability is None else float(capability)
  )
  if device.platform == 'cpu':
    return contextlib.nullcontext()
  return jax.default_matmul_precision(found.products)


def check_micro_batch(micro_batch: int, share: int) -> None:
  """Raises InputError unless micro-batches divide a device's share."""
  if micro_batch < 0:
    raise InputError(f'micro_batch: {micro_batch} is not at least 0')
  if micro_batch and share % micro_batch:
    near = [n for n in range(1, share + 1) if share % n == 0]
    near.sort(key=lambda n: abs(n - micro_batch))
    raise InputError(
      f'micro_batch: {micro_batch} does not divide the {share} images that a '
      f'device has of each batch; take {near[0]} or {near[1]}, or 0 for all'
      if len(near) > 1
      else f'micro_batch: {micro_batch} is more than the 1 image that a device '
      'has of each batch; take 0'
    )


def check_batch_size(batch_size: int, num_devices: int) -> None:
  """Raises InputError unless the devices share the batch equally."""
  if batch_size % num_devices:
    down = batch_size - batch_size % num_devices
    near = [n for n in (down, down + num_devices) if n]
    raise InputError(
      f'batch_size: {batch_size} does not divide over {num_devices} devices; '
      f'take {" or ".join(map(str, near))}, or set num_devices'
    )


def replicate(
  tree: chex.ArrayTree, devices: Sequence[jax.Device]
) -> chex.ArrayTree:
  """Puts a copy of the tree on every device."""
  return jax.device_put(tree, replicated(devices))


def replicated(devices: Sequence[jax.Device]) -> jax.sharding.Sharding:
  """The sharding of a state: everything on every device."""
  mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def shard(tree: chex.ArrayTree, num_devices: int) -> chex.ArrayTree:
  """`[S, K, B, ...]` -> `[N, S, K, B/N, ...]`; device i gets the i-th share."""

  def split(x):
    s, k, b = x.shape[:3]
    x = x.reshape(s, k, num_devices, b // num_devices, *x.shape[3:])
    return np.moveaxis(x, 2, 0)

  return jax.tree.map(split, tree)


def parallelize(function: Callable, devices: Sequence[jax.Device]) -> Callable:
  """Compiles `function(state, constants, inputs) -> (state, metrics)`.

  The state is donated and, like the constants, replicated; the inputs are
  shared out, see `shard`. See `compile_with` for what `pmap` does not take.
  """
  mapped = jax.pmap(
    function,
    axis_name=AXIS,
    in_axes=(None, None, 0),
    out_axes=None,
    donate_argnums=0,
    devices=devices,
  )
  return compile_with(mapped, COMPILER_OPTIONS.get(devices[0].platform, {}))


def parallelize_members(
  function: Callable,
  in_axes: tuple[Any, Any, Any],
  out_axes: tuple[Any, Any],
  devices: Sequence[jax.Device],
) -> Callable:
  """As `parallelize`, for members of an ensemble; nothing is sent.

  Each device runs the function on an equal share of the members.

  Args:
    function: as for `parallelize`, of any number of members.
    in_axes: the members' axis in its arguments, as for `jax.vmap`.
    out_axes: the same of what it returns.
    devices: their number divides that of the members.
  """
  mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
  in_specs, out_specs = (
    jax.tree.map(_member_spec, axes, is_leaf=lambda axis: axis is None)
    for axes in (in_axes, out_axes)
  )
  mapped = jax.shard_map(
    function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
  )
  jitted = jax.jit(
    mapped,
    donate_argnums=0,
    in_shardings=_shardings(mesh, in_specs),
    out_shardings=_shardings(mesh, out_specs),
  )
  return compile_with(jitted, COMPILER_OPTIONS.get(devices[0].platform, {}))


def share_members(
  tree: chex.ArrayTree, axes: Any, devices: Sequence[jax.Device]
) -> chex.ArrayTree:
  """Puts a share of the members on each device; `axes` as for `jax.vmap`."""
  mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
  specs = jax.tree.map(_member_spec, axes, is_leaf=lambda axis: axis is None)
  return jax.device_put(tree, _shardings(mesh, specs))


def _member_spec(axis: int | None) -> jax.sharding.PartitionSpec:
  if axis is None:
    return jax.sharding.PartitionSpec()
  return jax.sharding.PartitionSpec(*[None] * axis, AXIS)


def _shardings(mesh: jax.sharding.Mesh, specs: Any) -> Any:
  return jax.tree.map(
    lambda spec: jax.sharding.NamedSharding(mesh, spec),
    specs,
    is_leaf=lambda x: isinstance(x, jax.sharding.PartitionSpec),
  )


def compile_game(function: Callable) -> Callable:
  """Compiles a game of small networks, such as `solvers.play`'s, for speed."""
  options = GAME_COMPILER_OPTIONS.get(jax.default_backend(), {})
  return compile_with(jax.jit(function), options)


def compile_with(mapped: Callable, options: dict[str, str]) -> Callable:
  """Compiles a jitted or pmapped function once for each shape of arguments.

  Args:
    mapped: what `jax.jit` or `jax.pmap` gave.
    options: of the compiler; left out if this version of XLA lacks one.
  """
  programs = {}

  def call(*arguments):
    shapes = tuple(jax.typeof(x) for x in jax.tree.leaves(arguments))
    if shapes not in programs:
      lowered = mapped.lower(*arguments)
      try:
        programs[shapes] = lowered.compile(compiler_options=options)
      except jax.errors.JaxRuntimeError:
        if not options:
          raise
        programs[shapes] = lowered.compile()
    return programs[shapes](*arguments)

  call.programs = programs
  return call


def share_batches(
  function: Callable,
  constants: chex.ArrayTree,
  devices: Sequence[jax.Device],
  *,
  compiler_options: dict | None = None,
) -> Callable[[chex.ArrayTree], chex.ArrayTree]:
  """Compiles `function(constants, batch) -> outputs` for inference.

  Args:
    function: without state; every leaf of batch and outputs leads with `[B]`.
    constants: put on every device once.
    devices: each takes its share of a batch; their number divides B.
    compiler_options: of `jax.jit`; not used with several devices.

  Returns:
    batch -> outputs, leaves `[B, ...]`, under way when it returns.
  """
  num = len(devices)
  if num == 1:
    constants = jax.device_put(constants, devices[0])
    compiled = jax.jit(function, compiler_options=compiler_options)
    return lambda batch: compiled(constants, jax.device_put(batch, devices[0]))
  constants = replicate(constants, devices)
  mapped = jax.pmap(function, in_axes=(None, 0), devices=devices)

  def call(batch):
    shares = jax.tree.map(lambda x: x.reshape(num, -1, *x.shape[1:]), batch)
    outputs = mapped(constants, shares)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)

  return call

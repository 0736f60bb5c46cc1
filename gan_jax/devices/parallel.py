"""Devices. Every call of `pmap`, and all that knows of devices, is here.

The devices of a run are those of all its processes, in the order of the
processes, equally many of each. A state is a plain tree, replicated over them,
without a device axis. Batches are shared: leaf `[S, K, B, ...]` on the host
becomes `[N, S, K, B/N, ...]` for N devices. Whatever a mapped function returns
must be equal on all devices, so it averages over `AXIS` what depends on its
share of the batch.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax
import numpy as np

from gan_jax.devices import compiling
from gan_jax.process import hosts
from gan_jax.types import InputError

AXIS = 'batch'


def axis_name(devices: Sequence[jax.Device]) -> str | None:
  """The axis to average over: none on one device, so that nothing is sent.

  Collectives also keep the compiler from seeing that two passes are the same.
  """
  return AXIS if len(devices) > 1 else None


def split_cpu(parts: int) -> None:
  """Makes the CPU appear as several devices, which share equal parts.

  As many as there are cores, or the most that divide the parts: small games,
  and batches of small maps, run faster side by side than over all cores, one
  after the other. Without effect on other devices, where XLA_FLAGS or JAX's
  configuration sets their number, and once devices are in use.
  """
  if hasattr(os, 'sched_getaffinity'):
    cores = len(os.sched_getaffinity(0))
  else:  # macOS
    cores = os.cpu_count() or 1
  num = max(n for n in range(1, cores + 1) if parts % n == 0)
  by_flag = 'host_platform_device_count' in os.environ.get('XLA_FLAGS', '')
  if num > 1 and not by_flag and jax.config.jax_num_cpu_devices < 1:
    with contextlib.suppress(RuntimeError):  # devices are in use already
      jax.config.update('jax_num_cpu_devices', num)


def select_devices(num_devices: int = 0) -> list[jax.Device]:
  """The first `num_devices` devices of each process; 0 for all.

  Raises:
    InputError: there are not so many, or not equally many in each process.
  """
  by_process = {}
  for device in jax.devices():
    by_process.setdefault(device.process_index, []).append(device)
  least = min(map(len, by_process.values()))
  if not 0 <= num_devices <= least:
    raise InputError(
      f'num_devices: {num_devices} is not between 0 (all) and {least}, the '
      f'number of {device.platform} devices here'
    )
  if not num_devices and least < max(map(len, by_process.values())):
    raise InputError(
      'num_devices: the processes have unequal numbers of devices; set it to '
      f'at most {least} of each'
    )
  num = num_devices or least
  return [d for _, own in sorted(by_process.items()) for d in own[:num]]


def memory_of_each(devices: Sequence[jax.Device]) -> int:
  """Bytes that each of the devices can use; CPU devices share the machine's."""
  stats = own(devices)[0].memory_stats() or {}
  if 'bytes_limit' in stats:
    return stats['bytes_limit']
  pages = os.sysconf('SC_PHYS_PAGES')
  return os.sysconf('SC_PAGE_SIZE') * pages // len(devices)


def replicate(
  tree: chex.ArrayTree, devices: Sequence[jax.Device]
) -> chex.ArrayTree:
  """Puts a copy of the tree on every device, from each process's own."""
  sharding = replicated(devices)
  if hosts.count() == 1:
    return jax.device_put(tree, sharding)

  def put(x):
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
      return x  # there already
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
      data = put(jax.random.key_data(x))
      return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])

  return jax.tree.map(put, tree)


def own(devices: Sequence[jax.Device]) -> list[jax.Device]:
  """Those of the devices that this process has."""
  return [d for d in devices if d.process_index == hosts.index()]


def local(tree: chex.ArrayTree) -> chex.ArrayTree:
  """A replicated tree as this process alone has it."""
  if hosts.count() == 1:
    return tree
  return jax.tree.map(lambda x: x.addressable_data(0), tree)


def replicated(devices: Sequence[jax.Device]) -> jax.sharding.Sharding:
  """The sharding of a state: everything on every device."""
  mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def shard(
  tree: chex.ArrayTree, devices: Sequence[jax.Device]
) -> chex.ArrayTree:
  """`[S, K, B, ...]` -> `[N, S, K, B/N, ...]`; device i gets the i-th share.

  Args:
    tree: on the host; of several processes, each has its own share of B.
    devices: of the run, N.
  """
  num = len(devices) // hosts.count()

  def split(x):
    s, k, b = x.shape[:3]
    x = np.moveaxis(x.reshape(s, k, num, b // num, *x.shape[3:]), 2, 0)
    if hosts.count() == 1:
      return x
    return jax.make_array_from_process_local_data(_by_device(devices), x)

  return jax.tree.map(split, tree)


def _by_device(devices: Sequence[jax.Device]) -> jax.sharding.Sharding:
  mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))


def agreement(devices: Sequence[jax.Device]) -> Callable[[bool], bool]:
  """Whether any process has said yes, so that all act alike.

  Returns:
    ask(mine) -> yes or no. Of several processes the answer is to what they
    said at the call before, so that none waits for the others.
  """
  if hosts.count() == 1:
    return lambda mine: mine
  any_of = jax.jit(lambda flags: flags.any(), out_shardings=replicated(devices))
  under_way = []

  def ask(mine):
    flags = np.full(len(own(devices)), mine)
    sharding = _by_device(devices)
    flags = jax.make_array_from_process_local_data(sharding, flags)
    under_way.append(any_of(flags))
    return bool(under_way.pop(0)) if len(under_way) > 1 else False

  return ask


def parallelize(function: Callable, devices: Sequence[jax.Device]) -> Callable:
  """Compiles `function(state, constants, inputs) -> (state, metrics)`.

  The state is donated and, like the constants, replicated; the inputs are
  shared out, see `shard`. `pmap` takes no options of the compiler, so
  `compile_with` does.
  """
  wrap = functools.partial(
    jax.pmap,
    axis_name=AXIS,
    in_axes=(None, None, 0),
    out_axes=None,
    donate_argnums=0,
    devices=devices,
  )
  options = compiling.COMPILER_OPTIONS.get(devices[0].platform, {})
  return compiling.compile_with(function, options, wrap)


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

  def wrap(members):
    mapped = jax.shard_map(
      members,
      mesh=mesh,
      in_specs=in_specs,
      out_specs=out_specs,
      check_vma=False,
    )
    return jax.jit(
      mapped,
      donate_argnums=0,
      in_shardings=_shardings(mesh, in_specs),
      out_shardings=_shardings(mesh, out_specs),
    )

  options = compiling.COMPILER_OPTIONS.get(devices[0].platform, {})
  return compiling.compile_with(function, options, wrap)


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

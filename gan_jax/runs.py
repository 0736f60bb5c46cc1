"""From a config to a run that is ready to be trained."""

import contextlib
import json
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import build as build_lib
from gan_jax import (
  checkup,
  data,
  files,
  hosts,
  memory,
  non_finite,
  parallel,
  precision,
  scoring,
  shares,
  solvers,
)
from gan_jax import workdir as workdir_lib
from gan_jax.ensemble import Ensemble
from gan_jax.networks.virtual import reference_size
from gan_jax.types import InputError


class Run(NamedTuple):
  """What the loop works with, made from the config by `open_run`."""

  config: Any
  workdir: pathlib.Path
  info: data.DatasetInfo
  model: build_lib.Model
  dataset: data.Dataset
  feed: data.Feed
  devices: list[jax.Device]
  ensemble: Ensemble
  compiling: contextlib.AbstractContextManager  # to be entered for that


def open_run(
  config: Any,
  workdir: str | pathlib.Path,
  hold: contextlib.ExitStack | None = None,
) -> Run:
  """Turns a config into a run, checking all that can be checked beforehand.

  Args:
    config: a ConfigDict with the keys of configs/base.py.
    workdir: where everything of the run is written.
    hold: keeps the workdir from other processes while it is open; None to
      leave it free.

  Raises:
    InputError: see the parts.
  """
  build_lib.check(config)
  checkup.check(config.diagnose)
  non_finite.check(config.non_finite, Ensemble(config).several)
  devices = parallel.select_devices(config.num_devices)
  share_of_each(config, devices)
  path = workdir_lib.absolute(workdir)
  hosts.agree(lambda: _prepare(config, path, hold), everywhere=False)
  keys = build_lib.dataset_keys(config)
  dataset = hosts.agree(lambda: data.load_dataset(**keys))
  scoring.check(config, dataset.info)
  run = assemble(config, path, dataset, devices)
  if run.ensemble.several:
    check_several(run)
  fields = config.to_dict(), dataset.info
  hosts.agree(lambda: workdir_lib.describe_run(path, *fields), everywhere=False)
  return run


def assemble(
  config: Any,
  path: pathlib.Path,
  dataset: data.Dataset,
  devices: list[jax.Device],
) -> Run:
  """The parts of a run on its data and devices; writes nothing."""
  ensemble = Ensemble(config)
  axis = ensemble.axis_name(devices)
  model = build_lib.build(config, dataset.info, axis_name=axis)
  feed = data.make_feed(
    dataset.train,
    batch_size=config.batch_size,
    seed=config.seed,
    flip=config.data.flip,
    labels=config.conditional,
    cache=config.data.cache,
    cache_mb=config.data.cache_mb,
  )
  reference = _reference(model, feed, config)
  if reference is not None:
    model = build_lib.build(
      config, dataset.info, axis_name=axis, reference=reference
    )
  return Run(
    config,
    path,
    dataset.info,
    model,
    dataset,
    feed.shared(hosts.index(), hosts.count()),
    devices,
    ensemble,
    precision.check_on(config.precision, devices),
  )


def share_of_each(config: Any, devices: list[jax.Device]) -> int:
  """Images of a batch that each device has.

  Raises:
    InputError: they cannot be divided so, or not among several processes.
  """
  ensemble, share = Ensemble(config), config.batch_size
  if hosts.count() > 1 and ensemble.several:
    raise InputError(
      f'num_seeds: {ensemble.num_members} runs at once are for one process; '
      'start each seed as a run of its own'
    )
  if not ensemble.spread(devices):
    shares.check_batch_size(config.batch_size, len(devices))
    share //= len(devices)
  shares.check_micro_batch(config.micro_batch, share)
  if share % config.tricks.packing:
    raise InputError(
      f'tricks.packing: {config.tricks.packing} does not divide the {share} '
      f'images that each of {len(devices)} devices has of a batch; change '
      'batch_size or num_devices'
    )
  return share


def meta(run: Run) -> dict[str, Any]:
  """What each checkpoint says of its run, as JSON takes it."""
  fields = {'config': run.config.to_dict(), 'data': run.info._asdict()}
  return json.loads(json.dumps(fields))


def _prepare(
  config: Any, path: pathlib.Path, hold: contextlib.ExitStack | None
) -> None:
  """Makes the workdir and takes it."""
  workdir_lib.prepare(path)
  if hold is not None:
    hold.enter_context(files.locked(path))
    files.sweep_temporary(path, path / 'samples')
  workdir_lib.check_resumable(path, config.to_dict())
  if not workdir_lib.is_of(path, config.to_dict()):
    (path / 'rollbacks.json').unlink(missing_ok=True)  # of another run


def check_several(run: Run) -> None:
  """Checks several runs at once, before anything is compiled.

  Raises:
    InputError: more of them than memory, or images that are streamed.
  """
  config, ensemble, devices = run.config, run.ensemble, run.devices
  ensemble.check_feed(run.feed)
  model = build_lib.build(config, run.info)  # without the axis of the devices
  at_once = config.micro_batch or share_of_each(config, devices)
  draw = jax.tree.map(lambda x: x[:at_once], next(run.feed.draws(0)))
  batch = jax.eval_shape(
    run.feed.decode, run.feed.resident, draw, jax.random.key(0)
  )
  each = memory.bytes_of_run(
    model.game,
    build_lib.abstract_state(model),
    batch,
    _looks_ahead(config),
  )
  limit = parallel.memory_of_each(devices)
  if ensemble.spread(devices):
    limit *= len(devices)
  memory.check_fits(ensemble.num_members, each, limit, devices[0].platform)


def _looks_ahead(config: Any) -> int:
  """Updates of D that the solver looks ahead."""
  if config.solver != 'unrolled':
    return 0
  return config.unroll_steps or solvers.UNROLL_STEPS


def _reference(
  model: build_lib.Model, feed: data.Feed, config: Any
) -> jax.Array | None:
  """The first images of the run: the reference of D's virtual batch norm."""
  wanted = reference_size(model.networks.disc) * config.tricks.packing
  if not wanted:
    return None
  draws, batches, num = feed.draws(0), [], 0
  while num < wanted:
    key = jax.random.fold_in(jax.random.key(config.seed), len(batches))
    batches.append(feed.decode(feed.resident, next(draws), key).images)
    num += len(batches[-1])
  return jnp.concatenate(batches)[:wanted]

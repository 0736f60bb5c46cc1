"""From a config to a run that is ready to be trained."""

import contextlib
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import build as build_lib
from gan_jax import checkup, data, memory, parallel, scoring, solvers
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


def open_run(config: Any, workdir: str | pathlib.Path) -> Run:
  """Turns a config into a run, checking all that can be checked beforehand.

  Raises:
    InputError: see the parts.
  """
  build_lib.check(config)
  checkup.check(config.diagnose)
  devices = parallel.select_devices(config.num_devices)
  ensemble = Ensemble(config)
  compiling = parallel.check_precision(config.precision, devices)
  share = config.batch_size
  if not ensemble.spread(devices):
    parallel.check_batch_size(config.batch_size, len(devices))
    share //= len(devices)
  parallel.check_micro_batch(config.micro_batch, share)
  if share % config.tricks.packing:
    raise InputError(
      f'tricks.packing: {config.tricks.packing} does not divide the {share} '
      f'images that each of {len(devices)} devices has of a batch; change '
      'batch_size or num_devices'
    )
  path = workdir_lib.prepare(workdir)
  workdir_lib.check_resumable(path, config.to_dict())
  dataset = data.load_dataset(**build_lib.dataset_keys(config))
  scoring.check(config, dataset.info)
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
  if ensemble.several:
    check_several(config, dataset.info, feed, devices, ensemble, share)
  workdir_lib.describe_run(path, config.to_dict(), dataset.info)
  return Run(
    config,
    path,
    dataset.info,
    model,
    dataset,
    feed,
    devices,
    ensemble,
    compiling,
  )


def check_several(
  config: Any,
  info: data.DatasetInfo,
  feed: data.Feed,
  devices: list[jax.Device],
  ensemble: Ensemble,
  share: int,
) -> None:
  """Checks several runs at once, before anything is compiled.

  Raises:
    InputError: more of them than memory, or images that are streamed.
  """
  ensemble.check_feed(feed)
  model = build_lib.build(config, info)  # without the axis of the devices
  at_once = config.micro_batch or share
  draw = jax.tree.map(lambda x: x[:at_once], next(feed.draws(0)))
  batch = jax.eval_shape(feed.decode, feed.resident, draw, jax.random.key(0))
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

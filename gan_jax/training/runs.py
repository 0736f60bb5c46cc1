"""From a plan to a run that is ready to be trained."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import data
from gan_jax.config import build, memory
from gan_jax.config.plan import Plan
from gan_jax.devices import parallel, precision, shares
from gan_jax.ensemble import Ensemble
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation.evaluator import published_network
from gan_jax.features.published import PUBLISHED
from gan_jax.networks import modules_of, style_of
from gan_jax.networks.virtual import reference_size
from gan_jax.process import hosts
from gan_jax.storage import files
from gan_jax.types import InputError, Players
from gan_jax.workdir import layout, origins


class Run(NamedTuple):
  """What the loop works with, made from the plan by `open_run`."""

  plan: Plan
  workdir: pathlib.Path
  info: data.DatasetInfo
  model: build.Model
  dataset: data.Dataset
  feed: data.Feed
  devices: list[jax.Device]
  ensemble: Ensemble
  compiling: contextlib.AbstractContextManager  # to be entered for that


def open_run(
  plan: Plan,
  workdir: str | pathlib.Path,
  hold: contextlib.ExitStack | None = None,
) -> Run:
  """Turns a plan into a run, checking all that can be checked beforehand.

  Args:
    plan: see `gan_jax.config.plan.read`.
    workdir: where everything of the run is written.
    hold: keeps the workdir from other processes while it is open; None to
      leave it free.

  Raises:
    InputError: see the parts.
  """
  devices = parallel.select_devices(plan.num_devices)
  share_of_each(plan, devices)
  path = layout.absolute(workdir)
  hosts.agree(lambda: _prepare(plan, path, hold), everywhere=False)
  dataset = hosts.agree(lambda: data.load_dataset(**plan.dataset()))
  check_scores(plan, dataset.info)
  run = assemble(plan, path, dataset, devices)
  check_batch_norm(run)
  check_stages(run)
  if run.ensemble.several:
    check_several(run)
  hosts.agree(lambda: _describe(run), everywhere=False)
  return run


def _describe(run: Run) -> None:
  """Writes what the run is, and what it is made of."""
  layout.describe_run(run.workdir, run.plan.fields, run.info)
  origins.remember(run.workdir)


def assemble(
  plan: Plan,
  path: pathlib.Path,
  dataset: data.Dataset,
  devices: list[jax.Device],
) -> Run:
  """The parts of a run on its data and devices; writes nothing."""
  ensemble = Ensemble(plan.members)
  axis = ensemble.axis_name(devices)
  model = plan.build(dataset.info, axis_name=axis)
  feed = data.make_feed(dataset.train, **plan.feed)
  reference = _reference(model, feed, plan, dataset.info.num_train)
  if any(part is not None for part in reference):
    model = plan.build(dataset.info, axis_name=axis, reference=reference)
  return Run(
    plan,
    path,
    dataset.info,
    model,
    dataset,
    feed.shared(hosts.index(), hosts.count()),
    devices,
    ensemble,
    precision.check_on(plan.precision, devices),
  )


def share_of_each(plan: Plan, devices: list[jax.Device]) -> int:
  """Images of a batch that each device has.

  Raises:
    InputError: they cannot be divided so, or not among several processes.
  """
  ensemble, share = Ensemble(plan.members), plan.schedule.batch_size
  if hosts.count() > 1 and ensemble.several:
    raise InputError(
      f'num_seeds: {ensemble.num_members} runs at once are for one process; '
      'start each seed as a run of its own'
    )
  if not ensemble.spread(devices):
    shares.check_batch_size(share, len(devices))
    share //= len(devices)
  shares.check_micro_batch(plan.schedule.micro_batch, share)
  if share % plan.packing:
    raise InputError(
      f'tricks.packing: {plan.packing} does not divide the {share} '
      f'images that each of {len(devices)} devices has of a batch; change '
      'batch_size or num_devices'
    )
  return share


def check_batch_norm(run: Run) -> None:
  """Checks that batch norm has a batch in each pass.

  A single vector is normalised to 0, whatever it is; the maps of a single image
  to themselves, which is another norm.

  Raises:
    InputError: it has one example.
  """
  plan, schedule = run.plan, run.plan.schedule
  at_once = schedule.micro_batch or share_of_each(plan, run.devices)
  if run.ensemble.axis_name(run.devices) is not None:
    at_once *= len(run.devices)  # they normalise as one
  sizes = Players(gen=at_once, disc=at_once // plan.packing)
  for player, own in run.model.networks._asdict().items():
    style = style_of(own)
    if style.batch_norm and getattr(sizes, player) == 1:
      raise InputError(
        f'network.{player}_norm: {style.norm} has one example at a '
        f'time, by batch_size={schedule.batch_size}, '
        f'micro_batch={schedule.micro_batch} and '
        f'tricks.packing={plan.packing}; give it two at least, or take '
        f'network.{player}_norm=layer'
      )


def check_stages(run: Run) -> None:
  """Checks that no stage changes the shape of the state.

  Raises:
    InputError: one does; the message names its keys.
  """
  changed = [stage for stage in run.plan.stages if not stage.plain]
  if not changed:
    return
  expected = jax.tree.structure(build.abstract_state(run.model))
  for stage in changed:
    plan = run.plan.of_stage(stage)
    share_of_each(plan, run.devices)
    data.check_batch_size(stage.batch_size, len(run.dataset.train))
    model = plan.build(run.info)
    check_batch_norm(run._replace(plan=plan, model=model))
    if jax.tree.structure(build.abstract_state(model)) != expected:
      raise InputError(
        f'stages: from step {stage.start} on, the state would hold other '
        f'things than before by {", ".join(stage.values)}; let the keys at the '
        'start ask for the same memory, averages and optimizers'
      )


def check_scores(plan: Plan, info: data.DatasetInfo) -> None:
  """Checks that scores during training can be had, before any work.

  Raises:
    InputError: a score that cannot be had of this data, or missing weights.
  """
  if not plan.eval.every:
    return
  keys_lib.check(plan.eval, info, 'every_scores')
  network = keys_lib.network_of(plan.eval, info)
  if network in PUBLISHED:  # says now if the file is missing
    published_network(network, plan.eval)


def meta(run: Run) -> dict[str, Any]:
  """What each checkpoint says of its run, as JSON takes it."""
  fields = {'config': run.plan.fields, 'data': run.info._asdict()}
  return json.loads(json.dumps(fields))


def _prepare(
  plan: Plan, path: pathlib.Path, hold: contextlib.ExitStack | None
) -> None:
  """Makes the workdir and takes it."""
  layout.prepare(path)
  if hold is not None:
    hold.enter_context(files.locked(path))
    files.sweep_temporary(path, path / 'samples')
  layout.check_resumable(path, plan.fields)
  if not layout.is_of(path, plan.fields):
    (path / 'rollbacks.json').unlink(missing_ok=True)  # of another run


def check_several(run: Run) -> None:
  """Checks several runs at once, before anything is compiled.

  Raises:
    InputError: more of them than memory, or images that are streamed.
  """
  plan, ensemble, devices = run.plan, run.ensemble, run.devices
  ensemble.check_feed(run.feed)
  model = plan.build(run.info)  # without the axis of the devices
  at_once = plan.schedule.micro_batch or share_of_each(plan, devices)
  draw = jax.tree.map(lambda x: x[:at_once], next(run.feed.draws(0)))
  batch = jax.eval_shape(
    run.feed.decode, run.feed.resident, draw, jax.random.key(0)
  )
  each = memory.bytes_of_run(
    model.game,
    build.abstract_state(model),
    batch,
    plan.looks_ahead,
  )
  limit = parallel.memory_of_each(devices)
  if ensemble.spread(devices):
    limit *= len(devices)
  memory.check_fits(ensemble.num_members, each, limit, devices[0].platform)


def _reference(
  model: build.Model, feed: data.Feed, plan: Plan, num_train: int
) -> Players[jax.Array | None]:
  """What the players begin with, see `build.build`, of the run's first images.

  G's mean is that of an epoch.
  """
  sizes = map(reference_size, modules_of(model.networks.disc).values())
  wanted = sum(sizes) * plan.packing
  mean = images = None
  if hasattr(model.networks.gen, 'begun_at'):
    sums = [batch.sum(0) for batch in _first(num_train, feed, plan.seed)]
    mean = jnp.asarray(np.sum(sums, 0, np.float64) / num_train, jnp.float32)
  if wanted:
    images = jnp.concatenate([*_first(wanted, feed, plan.seed)])
  return Players(gen=mean, disc=images)


def _first(num: int, feed: data.Feed, seed: int) -> Iterator[jax.Array]:
  """So many of the first images of a run, in batches."""
  decode, resident = jax.jit(feed.decode), jax.device_put(feed.resident)
  for i, draw in enumerate(feed.draws(0)):
    key = jax.random.fold_in(jax.random.key(seed), i)
    images = decode(resident, draw, key).images[:num]
    yield images
    num -= len(images)
    if not num:
      return

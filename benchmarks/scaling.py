"""Data-parallel training on many accelerators: on paper, and in simulation.

  python benchmarks/scaling.py --out=runs/scaling

What a step of each config sends, by a formula and in the compiled program;
the efficiency to expect by data sheets; checkpoints and input; and what
simulated devices cost on these cores. The assumptions: docs/scaling.md.
"""

import argparse
import importlib
import itertools
import math
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from gan_jax.config import parts

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import numpy as np

from benchmarks.pixels import shape_of
from gan_jax.config import build
from gan_jax.config.memory import bytes_of
from gan_jax.data import DatasetInfo as Info
from gan_jax.devices import compiling, parallel
from gan_jax.solvers.moves import Moves
from gan_jax.storage.files import atomic
from gan_jax.types import Batch, Players

# Configs of the page: two players, nothing given but labels, one stage.
NAMES = (
  *('cdcgan_fashion', 'cgan_mnist', 'conv_mnist', 'dcgan_64', 'dcgan_cifar'),
  *('dcgan_mnist', 'lsgan_mnist', 'mlp_bn_mnist', 'mlp_digits', 'mlp_mnist'),
  *('wgan_cifar', 'wgan_gp_cifar', 'wgan_gp_mnist'),
)
CHUNK = 20  # steps of a measured call
HIDDEN = 0.5  # share of the computation during which gradients may travel


class Traffic(NamedTuple):
  """Bytes that a device has a share of in a training step's collectives."""

  averages: int  # gradients, and with them new model states and metrics
  moments: int  # of batch norm, with their gradients; computation waits
  moves: int  # updates of both players


class Level(NamedTuple):
  """One level of a network: a node, the nodes, or an axis of a torus."""

  size: int  # members
  bandwidth: float  # bytes a second that leave a member
  hop: float  # seconds of latency in a ring
  tree_hop: float = math.inf  # the same in a tree; infinite: no trees


def abstract_batch(config: Any, info: Info, *lead: int, size: int = 2) -> Batch:
  """Shapes of a batch of `size` examples, behind the axes `lead`."""
  shape = (*lead, size)
  numbers = jax.ShapeDtypeStruct(shape, np.int32)
  images = jax.ShapeDtypeStruct((*shape, *info.image_shape), np.float32)
  given = {}
  for name in config.given:
    kind = np.int32 if name == 'text' else np.float32
    given[name] = jax.ShapeDtypeStruct((*shape, *info.columns[name]), kind)
  if config.conditional:
    given['labels'] = numbers
  return Batch(images, given, numbers)


def traffic(config: Any, info: Info) -> Traffic:
  """The formula; for solvers that alternate, without tricks or micro-batches.

  An update averages the player's gradient, new model state and metrics. Batch
  norm gathers two moments a channel in each pass, as large as its running
  statistics, and gets their gradients in each pass back: D's update passes G
  once, and D twice with gradients; G's passes both once with gradients. The
  same fakes are made once. Losses without a fixed boundary average one in D's.
  """
  model = build.build(config, info)
  state = build.abstract_state(model)
  rest = abstract_batch(config, info), jax.random.key(0), state.step
  times = Players(gen=config.gen_steps, disc=config.disc_steps)
  averages = 0
  for player, count in times._asdict().items():
    objective = getattr(model.game.objectives, player)
    _, out = jax.eval_shape(objective, state.params, state.model_state, *rest)
    averages += count * bytes_of((getattr(state.params, player), out))
  gen, disc = (bytes_of(s.get('batch_stats', {})) for s in state.model_state)
  moments = times.disc * (gen + 4 * disc) + times.gen * 2 * (gen + disc)
  moments -= gen * (not config.fresh_latents and times.disc == 1)
  moments += 4 * times.disc * (parts.loss_of(config).boundary is None)
  return Traffic(averages, moments, sum(times))


def compiled_step(config: Any, info: Info, devices: list[jax.Device]) -> str:
  """Optimised HLO of a step, mapped as in `parallel.parallelize`."""
  model = build.build(config, info, axis_name=parallel.AXIS)
  axes = dict(in_axes=(None, 0, None), out_axes=None)
  step = jax.pmap(model.train_step, parallel.AXIS, devices=devices, **axes)
  batches = abstract_batch(config, info, len(devices), config.disc_steps)
  state, key = build.abstract_state(model), jax.random.key(0)
  return step.lower(state, batches, key).compile().as_text()


def collectives(program: str, num: int) -> tuple[int, int]:
  """How many collectives a program's text executes, and a device's bytes.

  Those are the result of an all-reduce and of a reduce-scatter, and of an
  all-gather one part of `num`, the number of devices.
  """
  loops = r' while\(.*body=%?([\w.\-]+).*"known_trip_count":\{"n":"(\d+)"'
  trips = dict(re.findall(loops, program))
  calls = r' = (.*) (all-reduce|all-gather|reduce-scatter)(?:-start)?\('
  count = size = 0
  for computation in program.split('\n\n'):
    name = re.match(r'(?:ENTRY )?%?([\w.\-]+)', computation)
    times = int(trips.get(name[1], 1)) if name else 1
    for shapes, call in re.findall(calls, computation):
      count += times
      parts_of = num if call == 'all-gather' else 1
      for kind, sizes in re.findall(r'(\w+)\[([\d,]*)\]', shapes):
        numbers = map(int, filter(None, sizes.split(',')))
        each = int(kind.strip('bfsu')) // 8 * math.prod(numbers)
        size += times * each // parts_of
  return count, size


def flops(config: Any, info: Info) -> float:
  """Floating-point operations of a step on one device, as XLA counts them.

  Of each update, unoptimised: XLA takes a loop for one turn of it, and what
  the CPU's libraries do for nothing.
  """
  model = build.build(config, info)
  batch = abstract_batch(config, info, size=config.batch_size)
  inputs = build.abstract_state(model), batch, jax.random.key(0)
  total, counts = 0.0, {'disc': config.disc_steps, 'gen': config.gen_steps}
  for player in model.game.players:
    count = counts[player]
    move = jax.jit(partial(Moves(model.game, model.optimizers).move, player))
    total += count * move.lower(*inputs).cost_analysis()['flops']
  return total


def nodes(inside: float, between: float, num: int) -> list[Level]:
  """Nodes of 8 GPUs with a network card each; latencies are NCCL's."""
  inner = min(num, 8)
  outer = Level(math.ceil(num / inner), between, 4.0e-6, 8.5e-6)
  return [Level(inner, inside, 1.9e-6), outer]


def torus(dims: int, limit: int, bandwidth: float, num: int) -> list[Level]:
  """2 ** k chips, all sides about equal; none if there are not so many."""
  power = round(math.log2(num))
  sides = [2 ** ((power + i) // dims) for i in range(dims)]
  return [Level(s, bandwidth, 1e-6) for s in sides] if num <= limit else []


class Machine(NamedTuple):
  """An accelerator, and how many of them are joined."""

  float32: float  # FLOP/s; of TPUs, in six passes of bfloat16
  bfloat16: float
  levels: Callable[[int], list[Level]]
  launch: float = 4.4e-6  # seconds before a collective begins


MACHINES = {
  'H100 SXM': Machine(67e12, 989e12, partial(nodes, 450e9, 50e9)),
  'A100 SXM': Machine(19.5e12, 312e12, partial(nodes, 300e9, 25e9)),
  'TPU v4': Machine(275e12 / 6, 275e12, partial(torus, 3, 4096, 268e9)),
  'TPU v5e': Machine(197e12 / 6, 197e12, partial(torus, 2, 256, 200e9)),
}


def reduce_seconds(size: float, levels: list[Level], launch=0.0) -> float:
  """Seconds to add up `size` bytes over all members of all levels.

  A ring of n takes 2 (n - 1) / n size / bandwidth + 2 (n - 1) hops, a tree
  2 size / bandwidth + 2 log2(n) hops. A level hands 1 / n on to the next.
  """
  seconds = 0.0
  for n, bandwidth, hop, tree_hop in levels:
    if n > 1:
      ring = 2 * (n - 1) / n * size / bandwidth + 2 * (n - 1) * hop
      tree = 2 * size / bandwidth + 2 * math.ceil(math.log2(n)) * tree_hop
      seconds += min(ring, tree)
    size /= n
  return seconds + launch if math.prod(x.size for x in levels) > 1 else 0.0


def gather_seconds(size: float, levels: list[Level], launch=0.0) -> float:
  """Seconds until all members of all levels have `size` bytes of each.

  Rings: n - 1 times a share and a hop, between nodes before inside them. The
  way back, in which sums are scattered, takes as long.
  """
  seconds = 0.0
  for n, bandwidth, hop, _ in reversed(levels):
    seconds += (n - 1) * (size / bandwidth + hop)
    size *= n
  return seconds + launch if math.prod(x.size for x in levels) > 1 else 0.0


def efficiency(
  compute: float,
  sent: Traffic,
  calls: int,
  levels: list[Level],
  launch: float = 0.0,
  hidden: float = 0.0,
) -> float:
  """Share of a step's time that goes into computation.

  Args:
    compute: seconds of a step's computation.
    sent: in a step.
    calls: collectives, one by one; those beyond one a move carry moments.
    levels: of the network.
    launch: seconds before a collective begins.
    hidden: share of the computation during which averages travel.
  """
  averages = reduce_seconds(sent.averages / sent.moves, levels, launch)
  seconds = compute + max(0.0, sent.moves * averages - hidden * compute)
  if sent.moments:
    waits = max(calls - sent.moves, 1)
    seconds += waits * gather_seconds(sent.moments / waits, levels, launch)
  return compute / seconds


def config_of(name: str) -> tuple[Any, Info]:
  """A config, and its data as far as shapes go."""
  config = importlib.import_module(f'configs.{name}').get_config()
  return config, Info('', shape_of(config), tuple('0123456789'), 1, 0)


def table(title: str, columns: str, rows: Sequence[Sequence[Any]]) -> str:
  """A Markdown table under a heading."""
  lines = [columns.split(', '), ['---'] * len(columns.split(', ')), *rows]
  lines = [f'| {" | ".join(map(str, line))} |' for line in lines]
  return '\n'.join([f'## {title}', '', *lines, ''])


def expected(work, use, num, share=1.0, name='H100 SXM', precision='float32'):
  """A cell: efficiency of `num` machines, without and with overlap.

  Each has a share of the batch, and reaches `use` of its peak.
  """
  batch, operations, sent, calls = work  # of a step
  machine = MACHINES[name]
  levels = machine.levels(num)
  if not levels or batch * share < 1:
    return '-'
  compute = operations * share / (use * getattr(machine, precision))
  given = compute, sent, calls, levels, machine.launch
  return ', '.join(f'{efficiency(*given, h):.0%}' for h in (0.0, HIDDEN))


def computed_tables(names: list[str], use: float) -> Iterator[str]:
  """All that follows from shapes and data sheets; `use` is of the peak."""
  sends, needs, weak, strong, other = [], [], [], [], []
  many, few = (8, 16, 64, 256, 1024), (2, 4, 8, 16, 32, 64)
  for name in names:
    config, info = given = config_of(name)
    state, batch = build.abstract_state(build.build(*given)), config.batch_size
    calls, counted = collectives(compiled_step(*given, jax.devices()[:2]), 2)
    sent, operations = traffic(*given), flops(*given)
    params = [bytes_of(p) // 4 for p in state.params]
    numbers = [f'{x:,}' for x in (*params, *sent[:2], counted)]
    numbers.append(f'{counted - sent.averages - sent.moments:+,}')
    sends.append([name, *numbers, calls, f'{operations / 1e9:,.1f}'])
    seconds = operations / use / MACHINES['H100 SXM'].float32
    rate = 8 * batch * config.disc_steps / seconds
    each = math.prod(info.image_shape) + 4 + 4 * config.conditional
    numbers = [f'{x:,.0f}' for x in (rate, rate * each / 1e6, rate * 8 / 1e6)]
    size = bytes_of(state) / 1e6
    numbers += [f'{x:.3f}' for x in (size, size / 2e3, size / 2e2)]
    needs.append([name, f'{seconds * 1e3:.3f}', *numbers])
    work = batch, operations, sent, calls
    weak.append([name, batch] + [expected(work, use, n) for n in many])
    strong.append([name, batch] + [expected(work, use, n, 1 / n) for n in few])
    if name in ('dcgan_64', 'wgan_gp_cifar'):
      for kind in itertools.product(MACHINES, Machine._fields[:2]):
        for u in (use, use / 10) if kind[0] == 'H100 SXM' else (use,):
          cells = [expected(work, u, n, 1.0, *kind) for n in many]
          other.append([name, *kind, f'{u:.0%}', *cells])
  heads = (
    'config, parameters of G, of D, bytes of averages, of moments, in the '
  )
  heads += 'program, difference, collectives, GFLOP'
  yield table('What a step sends', heads, sends)
  title = f'H100 SXM, float32, {use:.0%} of the peak: without, with overlap'
  counts, fewer = (', '.join(map(str, numbers)) for numbers in (many, few))
  yield table(f'Weak, {title}', f'config, batch of each, {counts}', weak)
  yield table(f'Strong, {title}', f'config, batch of all, {fewer}', strong)
  heads = f'config, machine, precision, of the peak, {counts}'
  yield table('Weak, other machines, precisions, shares of peaks', heads, other)
  heads = 'config, ms a step, images/s, MB/s streamed, MB/s of indices'
  heads += ', checkpoint MB, s at 2 GB/s, s at 0.2 GB/s'
  yield table('Input of 8 H100, float32; checkpoints', heads, needs)


def stepper(name: str, width: Any, batch: int, num: int) -> Callable[[], float]:
  """Compiles steps of one batch on `num` devices; a call gives ms a step."""
  config, info = config_of(name)
  config.network.gen_width = config.network.disc_width = width
  devices = parallel.select_devices(num)
  model = build.build(config, info, axis_name=parallel.axis_name(devices))

  def steps(state, _, batches):
    def step(state, _):
      key = jax.random.fold_in(jax.random.key(1), state.step)
      return model.train_step(state, batches, key)

    return jax.lax.scan(step, state, length=CHUNK)

  images = np.random.default_rng(0).uniform(-1, 1, (batch, *info.image_shape))
  batches = Batch(np.float32(images), {}, np.arange(batch, dtype=np.int32))
  inputs = jax.tree.map(lambda x: x.reshape(num, 1, -1, *x.shape[1:]), batches)
  call = parallel.parallelize(steps, devices)
  state = parallel.replicate(jax.jit(model.init)(jax.random.key(0)), devices)

  def run():
    nonlocal state
    start = time.perf_counter()
    state, _ = jax.block_until_ready(call(state, (), inputs))
    return 1e3 * (time.perf_counter() - start) / CHUNK

  run()
  return run


def measured_table(turns: int) -> str:
  """Simulated devices against one device; all programs take turns."""
  rows, sizes = [], [1, 2, 4, 8]
  for name, width, share in (('mlp_mnist', None, 32), ('dcgan_cifar', 16, 8)):
    runs = [stepper(name, width, n * share, n) for n in sizes]
    runs += [stepper(name, width, n * share, 1) for n in sizes]
    taken = np.array([[run() for run in runs] for _ in range(turns)])
    shared, whole = np.split(taken, 2, axis=1)
    for n, own, one in zip(sizes, shared.T, whole.T, strict=True):
      cells = own, own / shared[:, 0] / n, own / one
      rows.append([name, n, n * share, f'{1e3 / np.median(own):.1f}'])
      spreads = (np.quantile(x, (0.5, 0.0, 1.0)) for x in cells)
      rows[-1] += ['{:.2f} ({:.2f} to {:.2f})'.format(*x) for x in spreads]
  heads = 'config, devices, batch of all, steps/s, ms a step, over N steps of '
  heads += 'one device, over one device with the whole batch'
  return table('Measured: simulated devices on these cores', heads, rows)


def main() -> None:
  """Prints the tables and writes them to a file."""
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
  parser.add_argument('--out', type=pathlib.Path, default='runs/scaling')
  parser.add_argument('--utilisation', type=float, default=0.3, help='of peaks')
  parser.add_argument(
    '--turns', type=int, default=15, help='of measured calls; 0: on paper alone'
  )
  flags = parser.parse_args()
  os.environ.setdefault('NPROC', '16')  # threads, or queued steps wait
  jax.config.update('jax_num_cpu_devices', 8)
  compiling.enable_compilation_cache()
  tables = [*computed_tables(NAMES, flags.utilisation)]
  if flags.turns:
    tables.append(measured_table(flags.turns))
  text = '\n'.join(tables)
  print(text)
  with atomic(flags.out / 'scaling.md') as path:
    path.write_text(text)


if __name__ == '__main__':
  main()

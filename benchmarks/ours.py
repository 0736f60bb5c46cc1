"""Our side of the speed benchmark: what users run, and nothing else.

Networks, games, solvers and dispatches are those of gan_jax; the data are
random images that stay on the device, or fresh points.
"""

import functools
import importlib
from typing import Any

import jax

from benchmarks.pixels import Pixels
from benchmarks.works import RING_LATENTS, RING_WIDTHS, WORKS, Run, Work
from gan_jax import data, solvers
from gan_jax.config import build, plan
from gan_jax.devices import compiling, parallel
from gan_jax.devices.precision import check_on
from gan_jax.games import Game, mixture
from gan_jax.losses import make_loss
from gan_jax.solvers.moves import Moves
from gan_jax.solvers.optimizers import make_optimizer
from gan_jax.training import dispatch as dispatch_lib
from gan_jax.types import Players

NUM_IMAGES = 1_000


def config_of(work: Work, precision: str = 'float32') -> Any:
  """The work's config, without mirroring, which PyTorch's side lacks."""
  name, changes = work.config
  config = importlib.import_module(f'configs.{name}').get_config()
  config.update_from_flattened_dict(changes)
  config.data.flip = False
  if precision != 'float32':
    config.precision = precision
  return config


def info_of(work: Work) -> data.DatasetInfo:
  """Of its random images."""
  names = tuple(map(str, range(work.classes)))
  info = data.DatasetInfo('random', work.image_shape, names, NUM_IMAGES, 0)
  return info._replace(columns=pixels_of(work, 1).columns)


def pixels_of(work: Work, num: int = NUM_IMAGES) -> Pixels:
  """Its random images."""
  given = (work.given,) * bool(work.given)
  return Pixels(work.image_shape, num, classes=work.classes, given=given)


def image_steps(
  work: Work,
  *,
  chunk: int = 0,
  critic_only: bool = False,
  precision: str = 'float32',
) -> Run:
  """Training steps of a config, data resident on the device.

  Args:
    work: with a config.
    chunk: steps of one dispatch; 0 for the work's own.
    critic_only: updates of D alone, without G's.
    precision: of the config.
  """
  config, chunk = config_of(work, precision), chunk or work.chunk
  parallel.split_cpu(plan.read(config).cpu_parts)
  on_cpu = jax.default_backend() == 'cpu'
  devices = parallel.select_devices(0 if on_cpu else 1)
  images = pixels_of(work)
  info = info_of(work)
  axis = parallel.axis_name(devices)
  model = build.build(config, info, axis_name=axis)
  if critic_only:
    model = model._replace(
      train_step=_critic_step(model), probe=lambda *given: {}
    )
  feed = data.make_feed(
    images,
    batch_size=config.batch_size,
    seed=0,
    labels=config.conditional,
    columns=tuple(config.given),
  )
  dispatch = parallel.parallelize(
    dispatch_lib.make_dispatch(model, feed.decode), devices
  )
  state = compiling.run_once(model.init, jax.random.key(0))
  state = parallel.replicate(state, devices)
  constants = parallel.replicate((feed.resident, jax.random.key(1)), devices)
  draws = feed.draws(0)

  def run(steps):
    nonlocal state
    metrics = {}
    for _ in range(steps // chunk):
      inputs = dispatch_lib.take_draws(draws, chunk, config.disc_steps)
      state, metrics = dispatch(
        state, constants, parallel.shard(inputs, devices)
      )
    jax.block_until_ready((state.step, metrics))

  run.programs = dispatch.programs
  with check_on(config.precision, devices):
    run(chunk)  # compiles
  return run


def _critic_step(model):
  """D's update alone, as a training step."""
  moves = Moves(model.game, model.optimizers)

  def train_step(state, batches, key, report=True):
    batch = jax.tree.map(lambda x: x[0], batches)
    reporting = moves.reporting(report)
    state, metrics = reporting.move('disc', state, batch, key)
    return state._replace(step=state.step + 1), metrics

  return train_step


def ring_game(points: mixture.Mixture) -> Game:
  """Two MLPs on a mixture."""
  game, _ = mixture.mixture_gan(
    points,
    make_loss('non_saturating'),
    latent_dim=RING_LATENTS,
    gen_widths=RING_WIDTHS,
    disc_widths=RING_WIDTHS,
  )
  return game


def ring_steps(work: Work) -> Run:
  """The GAN on eight Gaussians, fresh data each step, all seeds at once."""
  parallel.split_cpu(work.seeds)
  points = mixture.ring()
  game = ring_game(points)
  adam = make_optimizer('adam', learning_rate=2e-4, b1=0.5, b2=0.999)
  optimizers = Players(gen=adam, disc=adam)
  step = solvers.make_train_step(game, optimizers)

  def steps_of(state, key):
    return solvers.play(
      step,
      state,
      key,
      work.chunk,
      draw_batches=functools.partial(
        mixture.draw_batches, data=points, batch_size=work.batch
      ),
      record=lambda state, metrics: metrics['disc_loss'],
      record_every=work.chunk,
    )

  def init(key):
    return solvers.init_state(game, optimizers, key)

  if work.seeds == 1:
    keys = jax.random.key(0)
    compiled = compiling.compile_game(steps_of)
    state = jax.jit(init)(keys)
  else:
    devices = parallel.select_devices()
    keys = jax.random.split(jax.random.key(0), work.seeds)
    program = parallel.parallelize_members(
      lambda state, keys, unused: jax.vmap(steps_of)(state, keys),
      (0, 0, None),
      (0, 0),
      devices,
    )
    state, keys = parallel.share_members(
      (jax.jit(jax.vmap(init))(keys), keys), (0, 0), devices
    )

    def compiled(state, keys):
      return program(state, keys, ())

  def run(steps):
    nonlocal state
    for _ in range(steps // work.chunk):
      state, losses = compiled(state, keys)
    jax.block_until_ready(losses)

  return run


def device_mib() -> float | None:
  """The most memory of the GPU in use so far, in MiB; None without one."""
  stats = jax.local_devices()[0].memory_stats() or {}
  peak = stats.get('peak_bytes_in_use')
  return None if peak is None else peak / 2**20


VARIANTS = ('float32', 'bfloat16')


def variants(name: str) -> tuple[str, ...]:
  """The precisions in which a work can be run."""
  return VARIANTS if WORKS[name].config else VARIANTS[:1]


def make(name: str, variant: str, chunk: int = 0) -> Run:
  """Our side of a work; `chunk` as in `image_steps`."""
  work = WORKS[name]
  if work.config is None:
    return ring_steps(work)
  return image_steps(
    work, chunk=chunk, critic_only=name == 'wgan_gp', precision=variant
  )

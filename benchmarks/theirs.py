"""PyTorch's side of the speed benchmark, in the ways that it can be run."""

import contextlib
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import (
  torch_biggan,
  torch_gans,
  torch_stylegan2,
  torch_translation,
)
from benchmarks.works import RING_LATENTS, RING_WIDTHS, WORKS, Run

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# Ways to run the PyTorch side; the fastest in a precision counts.
VARIANTS = {
  'channels_last': dict(channels_last=True),
  'contiguous': dict(),
  'compiled': dict(channels_last=True, compiled=True),
  'bfloat16': dict(channels_last=True, bfloat16=True),
}


def variants(name: str) -> list[str]:
  """The variants that a work has on PyTorch's side."""
  names = ['channels_last', 'contiguous', 'compiled', 'bfloat16']
  if WORKS[name].image_shape is None or name == 'mlp':
    names.remove('channels_last')  # nothing but matrix products
  if name == 'wgan_gp':
    names.remove('compiled')  # torch.compile has no double backward
  return names


def make(name: str, variant: str) -> Run:
  """PyTorch's side of a work, one seed after another."""
  step = _step(name, **VARIANTS[variant])

  def run(steps):
    for _ in range(steps):
      step()
    if DEVICE == 'cuda':
      torch.cuda.synchronize()

  return run


def networks(name: str) -> list[torch.nn.Module]:
  """G and D of a work."""
  work = WORKS[name]
  if name == 'mlp':
    players = (
      torch_gans.mlp([100, 256, 512, 1024, 784], torch.nn.Tanh()),
      torch_gans.mlp([784, 1024, 512, 256, 1]),
    )
  elif name == 'wgan_gp':
    players = (
      torch_gans.ResNetGenerator(128, 128),
      torch_gans.ResNetCritic(128),
    )
  elif name == 'biggan32':
    players = (
      torch_biggan.Generator(16, 3, work.classes, 128, 128),
      torch_biggan.Discriminator(16, 3, work.classes),
    )
  elif name == 'stylegan2':
    widths = (128, 128, 64, 32)
    players = (
      torch_stylegan2.Generator(widths, 3, 128, 128, 2),
      torch_stylegan2.Discriminator(widths, 3, 4),
    )
  elif name == 'pix2pix':
    players = (
      torch_translation.UNet(3, 3, 32, 6),
      torch_translation.Patches(6, 32, 2, torch.nn.BatchNorm2d),
    )
  elif name == 'cyclegan':
    patches = (3, 32, 1, torch.nn.InstanceNorm2d)
    players = (
      torch.nn.ModuleList(
        torch_translation.Residual(3, 16, 4) for _ in range(2)
      ),
      torch.nn.ModuleList(
        torch_translation.Patches(*patches) for _ in range(2)
      ),
    )
  elif work.image_shape is None:
    players = (
      torch_gans.mlp([RING_LATENTS, *RING_WIDTHS, 2]),
      torch_gans.mlp([2, *RING_WIDTHS, 1]),
    )
  else:
    players = torch_gans.dcgan(work.image_shape[0])
  return [player.to(DEVICE) for player in players]


def _step(
  name: str,
  *,
  channels_last: bool = False,
  compiled: bool = False,
  bfloat16: bool = False,
) -> Callable[[], None]:
  """One step of a work in PyTorch.

  Args:
    name: of the work.
    channels_last: memory format of networks and images.
    compiled: networks through torch.compile.
    bfloat16: forward passes under autocast.
  """
  work = WORKS[name]
  torch.backends.cudnn.benchmark = True
  torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on both sides
  latents = dict.fromkeys(['wgan_gp', 'biggan32', 'stylegan2'], (128,))
  latents = (latents | {'mlp': (100,)}).get(name, (100, 1, 1))
  if work.image_shape is None:
    latents = (RING_LATENTS,)
    draw_real = torch_gans.ring(work.batch, DEVICE)
  elif name == 'mlp':
    draw_real = torch_gans.fixed(work.batch, (784,), DEVICE, False)
  else:
    size = work.image_shape[0]
    draw_real = torch_gans.fixed(
      work.batch, (3, size, size), DEVICE, channels_last
    )
  players = networks(name)
  if channels_last:
    form = torch.channels_last
    players = [player.to(memory_format=form) for player in players]
  if compiled:
    torch._dynamo.config.recompile_limit = 64
    players = [_compiled(player) for player in players]

  def draw_latents():
    return torch.randn(work.batch, *latents, device=DEVICE)

  def autocast():
    if bfloat16:
      return torch.autocast(DEVICE, torch.bfloat16)
    return contextlib.nullcontext()

  translated = dict(
    pix2pix=torch_translation.pix2pix_step,
    cyclegan=torch_translation.cycle_step,
  )
  if name in translated:
    return translated[name](*players, draw_real, autocast=autocast)
  arguments = (*players, draw_real, draw_latents)
  if name == 'biggan32':
    return torch_biggan.hinge_step(
      *arguments, classes=work.classes, autocast=autocast
    )
  if name == 'stylegan2':
    return torch_stylegan2.style_step(*arguments, autocast=autocast)
  if name == 'wgan_gp':
    return torch_gans.critic_step(*arguments, autocast=autocast)
  return torch_gans.adversarial_step(
    *arguments, share_fakes=name.startswith('dcgan'), autocast=autocast
  )


def _compiled(player):
  """A player's module through torch.compile, or each of a list of them."""
  if isinstance(player, torch.nn.ModuleList):
    return torch.nn.ModuleList(torch.compile(module) for module in player)
  return torch.compile(player)


def device_mib() -> float | None:
  """The most memory of the GPU in use so far, in MiB; None without one."""
  if DEVICE == 'cpu':
    return None
  return torch.cuda.max_memory_allocated() / 2**20


class _FlopCounter(TorchDispatchMode):
  """Counts products and convolutions, double backward passes included."""

  def __init__(self):
    super().__init__()
    self.total = 0

  def __torch_dispatch__(self, function, types, args=(), kwargs=None):
    kwargs = kwargs or {}
    result = function(*args, **kwargs)
    count = flop_registry.get(function.overloadpacket)
    if count is not None:
      self.total += count(*args, **kwargs, out_val=result)
    return result


def flops(name: str) -> int:
  """Floating-point operations of one step: products and convolutions alone.

  A multiplication and an addition are two.
  """
  step = _step(name)
  with _FlopCounter() as counter:
    step()
  return counter.total

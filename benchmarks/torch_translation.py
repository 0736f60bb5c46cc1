"""pix2pix and CycleGAN in PyTorch, at the sizes that our side has."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_gans import Context, Draw, Step

POOL = 50  # earlier fakes for D, of CycleGAN
L1, CYCLE, IDENTITY = 100.0, 10.0, 5.0
DROPPED = 3  # layers of the U-Net with dropout


class UNet(nn.Module):
  """Source -> image; batch norm but at both ends, dropout in three layers."""

  def __init__(self, i: int, o: int, width: int, depth: int):
    super().__init__()
    widths = [width * min(2**n, 8) for n in range(depth)]
    self.down, self.up = nn.ModuleList(), nn.ModuleList()
    self.down_norms, self.up_norms = nn.ModuleList(), nn.ModuleList()
    before = i
    for number, features in enumerate(widths):
      self.down.append(nn.Conv2d(before, features, 4, 2, 1, bias=False))
      inside = 0 < number < depth - 1
      self.down_norms.append(
        nn.BatchNorm2d(features) if inside else nn.Identity()
      )
      before = features
    for features in widths[-2::-1]:
      layer = nn.ConvTranspose2d(before, features, 4, 2, 1, bias=False)
      self.up.append(layer)
      self.up_norms.append(nn.BatchNorm2d(features))
      before = 2 * features
    self.last = nn.ConvTranspose2d(before, o, 4, 2, 1)

  def forward(self, x):
    maps = []
    for number, (layer, norm) in enumerate(
      zip(self.down, self.down_norms, strict=True)
    ):
      x = functional.leaky_relu(x, 0.2) if number else x
      x = norm(layer(x))
      maps.append(x)
    for number, (layer, norm) in enumerate(
      zip(self.up, self.up_norms, strict=True)
    ):
      x = norm(layer(functional.relu(x)))
      if number < DROPPED:
        x = functional.dropout(x, 0.5)
      x = torch.cat([maps[-2 - number], x], dim=1)
    return torch.tanh(self.last(functional.relu(x)))


class Patches(nn.Module):
  """PatchGAN's D: `num` layers that halve, one that does not, the logits."""

  def __init__(self, i: int, width: int, num: int, norm: type[nn.Module]):
    super().__init__()
    bias = norm is not nn.BatchNorm2d
    layers, before = [], i
    for number in range(num + 1):
      features = width * min(2**number, 8)
      stride = 2 if number < num else 1
      own = bias or number == 0
      layers.append(nn.Conv2d(before, features, 4, stride, 1, bias=own))
      if number:
        layers.append(norm(features))
      layers.append(nn.LeakyReLU(0.2))
      before = features
    layers.append(nn.Conv2d(before, 1, 4, 1, 1))
    self.layers = nn.Sequential(*layers)

  def forward(self, x):
    return self.layers(x)


class _Residual(nn.Module):
  def __init__(self, width: int):
    super().__init__()
    self.first = nn.Conv2d(width, width, 3, padding=1, padding_mode='reflect')
    self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode='reflect')

  def forward(self, x):
    h = functional.relu(functional.instance_norm(self.first(x)))
    return x + functional.instance_norm(self.second(h))


class Residual(nn.Module):
  """CycleGAN's G, instance norm without parameters."""

  def __init__(self, channels: int, width: int, blocks: int):
    super().__init__()
    reflect = dict(padding=3, padding_mode='reflect')
    self.first = nn.Conv2d(channels, width, 7, **reflect)
    self.down = nn.ModuleList(
      nn.Conv2d(width * n, 2 * width * n, 3, 2, 1) for n in (1, 2)
    )
    self.blocks = nn.Sequential(*(_Residual(4 * width) for _ in range(blocks)))
    self.up = nn.ModuleList(
      nn.ConvTranspose2d(2 * width * n, width * n, 3, 2, 1, output_padding=1)
      for n in (2, 1)
    )
    self.last = nn.Conv2d(width, channels, 7, **reflect)

  def forward(self, x):
    def activated(h):
      return functional.relu(functional.instance_norm(h))

    h = activated(self.first(x))
    for layer in self.down:
      h = activated(layer(h))
    h = self.blocks(h)
    for layer in self.up:
      h = activated(layer(h))
    return torch.tanh(self.last(h))


def _adam(modules: Sequence[nn.Module]) -> torch.optim.Optimizer:
  parameters = [x for module in modules for x in module.parameters()]
  return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999), fused=True)


def pix2pix_step(
  gen: nn.Module, disc: nn.Module, draw: Draw, *, autocast: Context
) -> Step:
  """One update of D and one of G on pairs; G's fakes are made anew for it.

  Args:
    gen: the U-Net.
    disc: of patches of the image beside its source.
    draw: () -> a batch of images, which are their own sources here.
    autocast: makes the context of forward passes.
  """
  gen_adam, disc_adam = _adam([gen]), _adam([disc])

  def bce(logits, target):
    return functional.binary_cross_entropy_with_logits(
      logits.float(), torch.full_like(logits, target, dtype=torch.float32)
    )

  def step():
    real = source = draw()
    disc.requires_grad_(True)
    with autocast():
      with torch.no_grad():
        fake = gen(source)
      loss = bce(disc(torch.cat([real, source], 1)), 1.0)
      loss = loss + bce(disc(torch.cat([fake, source], 1)), 0.0)
    disc_adam.zero_grad()
    loss.backward()
    disc_adam.step()
    disc.requires_grad_(False)
    with autocast():
      fake = gen(source)
      loss = bce(disc(torch.cat([fake, source], 1)), 1.0)
    loss = loss + L1 * (fake.float() - real).abs().mean()
    gen_adam.zero_grad()
    loss.backward()
    gen_adam.step()

  return step


class Pool:
  """Earlier fakes: half of the time one of them comes in a new one's place."""

  def __init__(self):
    self.held: list[torch.Tensor] = []

  def query(self, fakes: torch.Tensor) -> torch.Tensor:
    """Shows as many images as come in."""
    shown = []
    for fake in fakes:
      if len(self.held) < POOL:
        self.held.append(fake)
        shown.append(fake)
      elif torch.rand(()) < 0.5:
        slot = int(torch.randint(POOL, ()))
        shown.append(self.held[slot])
        self.held[slot] = fake
      else:
        shown.append(fake)
    return torch.stack(shown)


def cycle_step(
  gens: Sequence[nn.Module],
  discs: Sequence[nn.Module],
  draw: Draw,
  *,
  autocast: Context,
  pools: Callable[[], Pool] = Pool,
) -> Step:
  """One update of both Ds and one of both Gs; the fakes are made once.

  Args:
    gens: to the second domain, and back.
    discs: of the first domain and of the second.
    draw: () -> a batch of images, which stand for both domains.
    autocast: makes the context of forward passes.
    pools: () -> a pool.
  """
  gen_adam, disc_adam = _adam(gens), _adam(discs)
  held = pools(), pools()

  def square(logits, target):
    return 0.5 * ((logits.float() - target) ** 2).mean()

  def step():
    real = [draw(), draw()]
    for disc in discs:
      disc.requires_grad_(True)
    with autocast():
      fakes = [gens[way](real[way]) for way in (0, 1)]
      loss = 0.0
      for way in (0, 1):
        disc, shown = discs[1 - way], held[way].query(fakes[way].detach())
        loss = loss + square(disc(real[1 - way]), 1.0)
        loss = loss + square(disc(shown), 0.0)
    disc_adam.zero_grad()
    (0.5 * loss).backward()
    disc_adam.step()
    for disc in discs:
      disc.requires_grad_(False)
    with autocast():
      loss = 0.0
      for way in (0, 1):
        again = gens[1 - way](fakes[way]).float()
        same = gens[way](real[1 - way]).float()
        loss = loss + square(discs[1 - way](fakes[way]), 1.0)
        loss = loss + CYCLE * (again - real[way]).abs().mean()
        loss = loss + IDENTITY * (same - real[1 - way]).abs().mean()
    gen_adam.zero_grad()
    loss.backward()
    gen_adam.step()

  return step

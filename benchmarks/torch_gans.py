"""The PyTorch side of the speed benchmark: idiomatic, and as fast as we can.

The networks, batches, orders of update and optimizers are those of gan_jax's
configs; tests/benchmarks compares the shapes of their parameters. What a
PyTorch user would do for speed is done: fused Adam, `set_to_none`, one forward
pass of G shared by both updates where the recipe allows, no gradient of D's
parameters in G's update, no `.item()`. Variants (memory format, torch.compile,
bfloat16 autocast) are chosen by the caller.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn import functional

LEAK = 0.2
Step = Callable[[], None]
Draw = Callable[[], torch.Tensor]
Context = Callable[[], contextlib.AbstractContextManager]


def mlp(sizes: Iterable[int], output: nn.Module | None = None) -> nn.Sequential:
  """Linear layers with leaky ReLUs between them."""
  sizes = list(sizes)
  layers = []
  for fan_in, fan_out in itertools.pairwise(sizes):
    layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(LEAK)]
  layers[-1] = output or nn.Identity()
  return nn.Sequential(*layers)


def dcgan(size: int, width: int = 64, latent_dim: int = 100):
  """Generator and discriminator of the DCGAN tutorial, at `size` pixels."""
  depth = int(math.log2(size)) - 2
  widths = [width * 2**i for i in range(depth)]
  up = [nn.ConvTranspose2d(latent_dim, widths[-1], 4, 1, 0, bias=False)]
  for wide, narrow in itertools.pairwise(widths[::-1]):
    up += [nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
    up.append(nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False))
  up += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
  up += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
  down = [nn.Conv2d(3, width, 4, 2, 1, bias=False)]
  for narrow, wide in itertools.pairwise(widths):
    down += [nn.LeakyReLU(LEAK, inplace=True)]
    down += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide)]
  down += [nn.LeakyReLU(LEAK, inplace=True)]
  down.append(nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))
  return nn.Sequential(*up), nn.Sequential(*down)


class GeneratorBlock(nn.Module):
  """norm, ReLU, upsample, conv, norm, ReLU, conv; shortcut 1x1."""

  def __init__(self, width: int):
    super().__init__()
    self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
    self.convs = nn.ModuleList(
      nn.Conv2d(width, width, 3, padding=1) for _ in range(2)
    )
    self.shortcut = nn.Conv2d(width, width, 1)

  def forward(self, x):
    h = functional.relu(self.norms[0](x))
    h = self.convs[0](functional.interpolate(h, scale_factor=2))
    h = self.convs[1](functional.relu(self.norms[1](h)))
    return h + self.shortcut(functional.interpolate(x, scale_factor=2))


class ResNetGenerator(nn.Module):
  """Three residual blocks from 4x4 to 32x32."""

  def __init__(self, width: int, latent_dim: int):
    super().__init__()
    self.width = width
    self.dense = nn.Linear(latent_dim, 4 * 4 * width)
    self.blocks = nn.Sequential(*[GeneratorBlock(width) for _ in range(3)])
    self.norm = nn.BatchNorm2d(width)
    self.to_image = nn.Conv2d(width, 3, 3, padding=1)

  def forward(self, z):
    h = self.blocks(self.dense(z).view(-1, self.width, 4, 4))
    return torch.tanh(self.to_image(functional.relu(self.norm(h))))


class CriticBlock(nn.Module):
  """ReLU, conv, ReLU, conv; mean pooling where `down`."""

  def __init__(self, fan_in: int, width: int, down: bool, first: bool):
    super().__init__()
    self.down, self.first = down, first
    self.convs = nn.ModuleList(
      [nn.Conv2d(fan_in, width, 3, padding=1)]
      + [nn.Conv2d(width, width, 3, padding=1)]
    )
    self.shortcut = nn.Conv2d(fan_in, width, 1) if down else nn.Identity()

  def forward(self, x):
    h = self.convs[0](x if self.first else functional.relu(x))
    h = self.convs[1](functional.relu(h))
    if not self.down:
      return x + h
    if self.first:
      return self.shortcut(functional.avg_pool2d(x, 2)) + functional.avg_pool2d(
        h, 2
      )
    return functional.avg_pool2d(self.shortcut(x) + h, 2)


class ResNetCritic(nn.Module):
  """Two halving and two plain blocks, mean over pixels, linear."""

  def __init__(self, width: int):
    super().__init__()
    self.blocks = nn.Sequential(
      CriticBlock(3, width, down=True, first=True),
      CriticBlock(width, width, down=True, first=False),
      CriticBlock(width, width, down=False, first=False),
      CriticBlock(width, width, down=False, first=False),
    )
    self.dense = nn.Linear(width, 1)

  def forward(self, images):
    h = functional.relu(self.blocks(images)).mean(dim=(2, 3))
    return self.dense(h)


def _adam(network, b1, b2):
  return torch.optim.Adam(
    network.parameters(), lr=2e-4, betas=(b1, b2), fused=True
  )


def adversarial_step(
  gen: nn.Module,
  disc: nn.Module,
  draw_real: Draw,
  draw_latents: Draw,
  *,
  share_fakes: bool,
  autocast: Context,
) -> Step:
  """One update of D and one of G on the non-saturating loss.

  Args:
    gen: the generator.
    disc: the discriminator.
    draw_real: () -> a batch of data.
    draw_latents: () -> a batch of latents.
    share_fakes: whether G's update goes back through the fakes that D saw.
    autocast: makes the context of forward passes.
  """
  gen_adam, disc_adam = _adam(gen, 0.5, 0.999), _adam(disc, 0.5, 0.999)
  bce = functional.binary_cross_entropy_with_logits

  def loss_of(images, target):
    logits = disc(images).flatten().float()
    return bce(logits, torch.full_like(logits, target))

  def step():
    disc.requires_grad_(True)
    with autocast():
      fake = gen(draw_latents())
      loss = loss_of(draw_real(), 1.0) + loss_of(fake.detach(), 0.0)
    disc_adam.zero_grad()
    loss.backward()
    disc_adam.step()
    disc.requires_grad_(False)
    with autocast():
      if not share_fakes:
        fake = gen(draw_latents())
      gen_loss = loss_of(fake, 1.0)
    gen_adam.zero_grad()
    gen_loss.backward()
    gen_adam.step()

  return step


def critic_step(
  gen: nn.Module,
  critic: nn.Module,
  draw_real: Draw,
  draw_latents: Draw,
  *,
  autocast: Context,
) -> Step:
  """One update of WGAN-GP's critic, with the penalty's double backward."""
  adam = _adam(critic, 0.0, 0.9)

  def step():
    with autocast():
      with torch.no_grad():
        fake = gen(draw_latents())
      real = draw_real()
      epsilon = torch.rand(len(real), 1, 1, 1, device=real.device)
      mixed = (epsilon * real + (1 - epsilon) * fake).requires_grad_(True)
      loss = critic(fake).mean() - critic(real).mean()
      (slopes,) = torch.autograd.grad(
        critic(mixed).sum(), mixed, create_graph=True
      )
    norms = slopes.flatten(1).float().norm(dim=1)
    loss = loss + 10.0 * ((norms - 1.0) ** 2).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()

  return step


def fixed(
  batch: int, shape: tuple[int, ...], device: str, channels_last: bool
) -> Draw:
  """Always the same batch of images in [-1, 1]: reading costs nothing."""
  images = torch.rand(batch, *shape, device=device) * 2 - 1
  if channels_last:
    images = images.contiguous(memory_format=torch.channels_last)
  return lambda: images


def ring(batch: int, device: str) -> Draw:
  """Fresh points of eight Gaussians on the unit circle, std .01."""
  angles = torch.arange(8, device=device) * (2 * math.pi / 8)
  means = torch.stack([angles.cos(), angles.sin()], dim=1)

  def draw():
    modes = torch.randint(8, (batch,), device=device)
    return means[modes] + 0.01 * torch.randn(batch, 2, device=device)

  return draw

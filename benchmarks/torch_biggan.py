"""BigGAN at 32 pixels in PyTorch, for the speed benchmark: as torch_gans.py.

Shared embedding and hierarchy; spectral norm by PyTorch's own parametrisation.
As in the authors' code, D sees real and fake in one pass.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks.torch_gans import Context, Draw, Step


def _conv(i: int, o: int, kernel: int) -> nn.Module:
  return spectral_norm(nn.Conv2d(i, o, kernel, padding=kernel // 2))


def _linear(i: int, o: int, bias: bool = True) -> nn.Module:
  return spectral_norm(nn.Linear(i, o, bias=bias))


class ConditionalNorm(nn.Module):
  """Batch norm whose scales and biases are linear in a vector."""

  def __init__(self, width: int, vector: int):
    super().__init__()
    self.norm = nn.BatchNorm2d(width, affine=False)
    self.scale = _linear(vector, width, bias=False)
    self.bias = _linear(vector, width, bias=False)

  def forward(self, x, vector):
    scale = 1 + self.scale(vector)[:, :, None, None]
    return torch.addcmul(
      self.bias(vector)[:, :, None, None], self.norm(x), scale
    )


class UpBlock(nn.Module):
  """norm, ReLU, upsample, conv, norm, ReLU, conv; shortcut 1x1."""

  def __init__(self, width: int, vector: int):
    super().__init__()
    self.norms = nn.ModuleList(ConditionalNorm(width, vector) for _ in range(2))
    self.convs = nn.ModuleList(_conv(width, width, 3) for _ in range(2))
    self.shortcut = _conv(width, width, 1)

  def forward(self, x, vector):
    h = functional.relu(self.norms[0](x, vector))
    h = self.convs[0](functional.interpolate(h, scale_factor=2))
    h = self.convs[1](functional.relu(self.norms[1](h, vector)))
    return h + self.shortcut(functional.interpolate(x, scale_factor=2))


class Generator(nn.Module):
  """Latents `[B, Z]`, labels `[B]` -> images `[B, C, 32, 32]`."""

  def __init__(
    self, ch: int, channels: int, classes: int, latent_dim: int, embed_dim: int
  ):
    super().__init__()
    width, part = 4 * ch, latent_dim // 4
    self.embed = nn.Embedding(classes, embed_dim)
    self.dense = _linear(part, 16 * width)
    self.blocks = nn.ModuleList(
      UpBlock(width, embed_dim + part) for _ in range(3)
    )
    self.norm, self.last = nn.BatchNorm2d(width), _conv(width, channels, 3)

  def forward(self, latents, labels):
    first, *parts = latents.chunk(4, dim=1)
    embedded = self.embed(labels)
    h = self.dense(first).view(len(latents), -1, 4, 4)
    for block, part in zip(self.blocks, parts, strict=True):
      h = block(h, torch.cat([embedded, part], dim=1))
    return torch.tanh(self.last(functional.relu(self.norm(h))))


class DownBlock(nn.Module):
  """ReLU, conv, ReLU, conv, mean pooling; the first one meets the image."""

  def __init__(self, i: int, o: int, number: int):
    super().__init__()
    self.number = number
    self.convs = nn.ModuleList([_conv(i, o, 3), _conv(o, o, 3)])
    self.shortcut = _conv(i, o, 1) if number < 2 else None

  def forward(self, x):
    h = self.convs[0](functional.relu(x) if self.number else x)
    h = self.convs[1](functional.relu(h))
    if self.shortcut is None:
      return x + h
    if self.number == 0:
      return functional.avg_pool2d(h, 2) + self.shortcut(
        functional.avg_pool2d(x, 2)
      )
    return functional.avg_pool2d(self.shortcut(x) + h, 2)


class Discriminator(nn.Module):
  """Images and labels -> logits `[B]`."""

  def __init__(self, ch: int, channels: int, classes: int):
    super().__init__()
    width = 4 * ch
    self.blocks = nn.Sequential(
      *(DownBlock(width if i else channels, width, i) for i in range(4))
    )
    self.dense = _linear(width, 1)
    self.embed = spectral_norm(nn.Embedding(classes, width))

  def forward(self, images, labels):
    h = functional.relu(self.blocks(images)).sum(dim=(2, 3))
    return self.dense(h)[:, 0] + (self.embed(labels) * h).sum(dim=1)


def hinge_step(
  gen: nn.Module,
  disc: nn.Module,
  draw_real: Draw,
  draw_latents: Draw,
  *,
  classes: int,
  autocast: Context,
) -> Step:
  """One update of D and one of G on the hinge loss, with labels.

  Arguments as of `torch_gans.adversarial_step`; labels are drawn.
  """
  adams = [
    torch.optim.Adam(
      network.parameters(), lr=2e-4, betas=(0.0, 0.999), eps=1e-6, fused=True
    )
    for network in (gen, disc)
  ]

  def step():
    real = draw_real()
    labels = torch.randint(classes, (len(real),), device=real.device)
    disc.requires_grad_(True)
    with autocast():
      with torch.no_grad():
        fake = gen(draw_latents(), labels)
      both = disc(torch.cat([real, fake]), labels.repeat(2)).float()
      on_real, on_fake = both.chunk(2)
      loss = (1 - on_real).relu().mean() + (1 + on_fake).relu().mean()
    adams[1].zero_grad()
    loss.backward()
    adams[1].step()
    disc.requires_grad_(False)
    with autocast():
      gen_loss = -disc(gen(draw_latents(), labels), labels).float().mean()
    adams[0].zero_grad()
    gen_loss.backward()
    adams[0].step()

  return step

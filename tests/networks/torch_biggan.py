"""BigGAN at 32 pixels in PyTorch, with attention at 16, to compare with ours.

Names and training mode as in torch_sngan.py. Shared embedding and hierarchy.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from tests.networks.torch_sngan import Conv, DownBlock, Embed, Norm, Spectral


class Linear(Spectral):
  def __init__(self, i, o, bias=True):
    super().__init__(nn.Linear(i, o, bias=bias))

  def forward(self, x):
    return F.linear(x, self.weight(), self.layer.bias)


class Conv1(Spectral):
  """1x1, without bias."""

  def __init__(self, i, o):
    super().__init__(nn.Conv2d(i, o, 1, bias=False))

  def forward(self, x):
    return F.conv2d(x, self.weight())


class Attention(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.Conv_0, self.Conv_1 = (
      Conv1(width, width // 8),
      Conv1(width, width // 8),
    )
    self.Conv_2, self.Conv_3 = (
      Conv1(width, width // 2),
      Conv1(width // 2, width),
    )
    self.gamma = nn.Parameter(torch.zeros(()))

  def forward(self, x):
    theta = self.Conv_0(x).flatten(2)
    phi = F.max_pool2d(self.Conv_1(x), 2).flatten(2)
    g = F.max_pool2d(self.Conv_2(x), 2).flatten(2)
    shares = F.softmax(torch.bmm(theta.transpose(1, 2), phi), dim=-1)
    o = torch.bmm(g, shares.transpose(1, 2))
    o = o.reshape(len(x), -1, *x.shape[2:])
    return x + self.gamma * self.Conv_3(o)


class UpBlock(nn.Module):
  def __init__(self, width, vector):
    super().__init__()
    for i in range(4):
      self.add_module(f'Dense_{i}', Linear(vector, width, bias=False))
    self.Conv_0, self.Conv_1 = Conv(width, width, 3), Conv(width, width, 3)
    self.Conv_2 = Conv(width, width, 1)

  def forward(self, x, vector):
    def norm(h, number):
      scale, bias = (
        getattr(self, f'Dense_{2 * number + i}')(vector)[..., None, None]
        for i in range(2)
      )
      h = F.batch_norm(h, None, None, training=True, eps=1e-5)
      return F.relu((1 + scale) * h + bias)

    double = functools.partial(F.interpolate, scale_factor=2)
    h = self.Conv_0(double(norm(x, 0)))
    h = self.Conv_1(norm(h, 1))
    return h + self.Conv_2(double(x))


class Generator(nn.Module):
  """Latents and labels -> images `[B, 3, 32, 32]`."""

  def __init__(self, ch, classes, latent_dim, embed_dim):
    super().__init__()
    width, part = 4 * ch, latent_dim // 4
    self.Embed_0 = nn.Embedding(classes, embed_dim)
    self.Dense_0 = Linear(part, 16 * width)
    for i in range(3):
      self.add_module(f'GeneratorBlock_{i}', UpBlock(width, embed_dim + part))
    self.SelfAttention_0 = Attention(width)
    self.BatchNorm_0 = Norm(1, width, eps=1e-5)
    self.Conv_0 = Conv(width, 3, 3)

  def forward(self, latents, labels):
    first, *parts = latents.chunk(4, dim=1)
    embedded = self.Embed_0(labels)
    h = self.Dense_0(first).reshape(len(latents), 4, 4, -1).permute(0, 3, 1, 2)
    for i, part in enumerate(parts):
      vector = torch.cat([embedded, part], dim=1)
      h = getattr(self, f'GeneratorBlock_{i}')(h, vector)
      if i == 1:
        h = self.SelfAttention_0(h)
    return torch.tanh(self.Conv_0(F.relu(self.BatchNorm_0(h, labels))))


class Discriminator(nn.Module):
  """Images and labels -> logits `[B]`."""

  def __init__(self, ch, classes):
    super().__init__()
    width = 4 * ch
    for i in range(4):
      block = DownBlock(width if i else 3, width, i)
      self.add_module(f'CriticBlock_{i}', block)
    self.SelfAttention_0 = Attention(width)
    self.Dense_0 = Linear(width, 1)
    self.Embed_0 = Embed(classes, width)

  def forward(self, x, labels):
    for i in range(4):
      x = getattr(self, f'CriticBlock_{i}')(x)
      x = self.SelfAttention_0(x) if i == 0 else x
    h = F.relu(x).sum((2, 3))
    return self.Dense_0(h)[:, 0] + (self.Embed_0(labels) * h).sum(1)

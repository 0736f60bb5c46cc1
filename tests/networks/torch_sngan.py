"""SNGAN with projection at 32 pixels in PyTorch, for a comparison with ours.

Names of modules are those of our parameter trees. Always in training mode:
batch norm goes by the batch, and every call makes one power iteration.
"""

import copy as copy_module
import functools

import jax
import numpy as np
import torch
from flax.traverse_util import flatten_dict
from torch import nn
from torch.nn import functional as F


class Spectral(nn.Module):
  """A weight divided by what one power iteration takes for its norm."""

  def __init__(self, layer, transposed=False):
    super().__init__()
    self.layer, self.transposed = layer, transposed
    rows = layer.weight.shape[1 if transposed else 0]
    self.register_buffer('u', torch.zeros(rows))

  def weight(self):
    matrix = self.layer.weight.flatten(1)
    matrix = matrix.T if self.transposed else matrix
    with torch.no_grad():
      v = F.normalize(matrix.T @ self.u, dim=0)
      self.u = F.normalize(matrix @ v, dim=0)
    return self.layer.weight / (self.u @ matrix @ v)


class Conv(Spectral):
  def __init__(self, i, o, kernel):
    super().__init__(nn.Conv2d(i, o, kernel))

  def forward(self, x):
    pad = self.layer.kernel_size[0] // 2
    return F.conv2d(x, self.weight(), self.layer.bias, padding=pad)


class Linear(Spectral):
  def __init__(self, i):
    super().__init__(nn.Linear(i, 1, bias=False))

  def forward(self, x):
    return F.linear(x, self.weight())


class Embed(Spectral):
  def __init__(self, classes, width):
    super().__init__(nn.Embedding(classes, width), transposed=True)

  def forward(self, labels):
    return self.weight()[labels]


class Norm(nn.Module):
  """Batch norm by the batch, with a row of scales and biases for each class."""

  def __init__(self, rows, width, eps=2e-5):
    super().__init__()
    self.eps = eps
    self.scale = nn.Parameter(torch.ones(rows, width))
    self.bias = nn.Parameter(torch.zeros(rows, width))

  def forward(self, x, labels):
    rows = labels if len(self.scale) > 1 else 0 * labels
    y = F.batch_norm(x, None, None, training=True, eps=self.eps)
    return (
      y * self.scale[rows][..., None, None] + self.bias[rows][..., None, None]
    )


class UpBlock(nn.Module):
  def __init__(self, width, classes):
    super().__init__()
    self.ConditionalBatchNorm_0 = Norm(classes, width)
    self.ConditionalBatchNorm_1 = Norm(classes, width)
    self.Conv_0 = nn.Conv2d(width, width, 3, padding=1)
    self.Conv_1 = nn.Conv2d(width, width, 3, padding=1)
    self.Conv_2 = nn.Conv2d(width, width, 1)

  def forward(self, x, labels):
    double = functools.partial(F.interpolate, scale_factor=2)
    h = F.relu(self.ConditionalBatchNorm_0(x, labels))
    h = self.Conv_0(double(h))
    h = self.Conv_1(F.relu(self.ConditionalBatchNorm_1(h, labels)))
    return h + self.Conv_2(double(x))


class Generator(nn.Module):
  """Latents and labels -> images `[B, 3, 32, 32]`."""

  def __init__(self, width, classes, latent_dim):
    super().__init__()
    self.Dense_0 = nn.Linear(latent_dim, 16 * width)
    for i in range(3):
      self.add_module(f'GeneratorBlock_{i}', UpBlock(width, classes))
    self.BatchNorm_0 = Norm(1, width)
    self.Conv_0 = nn.Conv2d(width, 3, 3, padding=1)

  def forward(self, latents, labels):
    h = self.Dense_0(latents).reshape(len(latents), 4, 4, -1)
    h = h.permute(0, 3, 1, 2)
    for i in range(3):
      h = getattr(self, f'GeneratorBlock_{i}')(h, labels)
    return torch.tanh(self.Conv_0(F.relu(self.BatchNorm_0(h, labels))))


class DownBlock(nn.Module):
  def __init__(self, i, o, number):
    super().__init__()
    self.number = number
    self.Conv_0, self.Conv_1 = Conv(i, o, 3), Conv(o, o, 3)
    if number < 2:
      self.Conv_2 = Conv(i, o, 1)

  def forward(self, x):
    h = self.Conv_0(F.relu(x) if self.number else x)
    h = self.Conv_1(F.relu(h))
    if self.number == 0:
      return F.avg_pool2d(h, 2) + self.Conv_2(F.avg_pool2d(x, 2))
    if self.number == 1:
      return F.avg_pool2d(h, 2) + F.avg_pool2d(self.Conv_2(x), 2)
    return h + x


class Discriminator(nn.Module):
  """Images and labels -> logits `[B]`."""

  def __init__(self, width, classes):
    super().__init__()
    for i in range(4):
      block = DownBlock(width if i else 3, width, i)
      self.add_module(f'CriticBlock_{i}', block)
    self.Dense_0 = Linear(width)
    self.Embed_0 = Embed(classes, width)

  def forward(self, x, labels):
    for i in range(4):
      x = getattr(self, f'CriticBlock_{i}')(x)
    h = F.relu(x).sum((2, 3))
    return self.Dense_0(h)[:, 0] + (self.Embed_0(labels) * h).sum(1)


def as_torch(leaf, name, like):
  """One of our arrays in PyTorch's order and shape."""
  leaf = np.asarray(leaf)
  if name == 'kernel':
    leaf = np.moveaxis(leaf, (-1, -2), (0, 1))
  return torch.tensor(leaf).reshape(like.shape)


def named(network, params):
  """(path, our leaf, their parameter) of every parameter."""
  for path, leaf in flatten_dict(params).items():
    module = network.get_submodule('.'.join(path[:-1]))
    module = getattr(module, 'layer', module)
    name = {'kernel': 'weight', 'embedding': 'weight'}.get(path[-1], path[-1])
    yield path, leaf, getattr(module, name)


def vectors(network, stats):
  """(our u, theirs) of every normalised layer."""
  for path, leaf in flatten_dict(stats).items():
    if path[-1].endswith('/u'):
      layer = path[-1].split('/')[0]
      module = network.get_submodule('.'.join((*path[:-2], layer)))
      yield np.asarray(leaf)[0], module.u


def copy(network, params, stats):
  """Gives the network our parameters and vectors u."""
  with torch.no_grad():
    for path, leaf, theirs in named(network, params):
      theirs.copy_(as_torch(leaf, path[-1], theirs))
    for ours, theirs in vectors(network, stats):
      theirs.copy_(torch.tensor(ours))
  total = sum(p.numel() for p in network.parameters())
  assert total == sum(x.size for x in jax.tree.leaves(params))


def tensors(images, latents, labels):
  """Images `[B, H, W, C]`, latents and labels as the networks take them."""
  images = torch.tensor(np.moveaxis(np.asarray(images), -1, 1))
  return images, torch.tensor(latents), torch.tensor(labels).long()


def train_step(gen, disc, images, latents, labels, rate, betas):
  """Hinge: Adam's update of D, then of G against the new D; both losses.

  Gradients of both stay where they are. D's move leaves no trace in G: vectors
  u of its weights go on from where they were.
  """
  adams = [
    torch.optim.Adam(network.parameters(), rate, betas)
    for network in (gen, disc)
  ]
  with torch.no_grad():
    fakes = copy_module.deepcopy(gen)(latents, labels)
  on_real, on_fake = disc(images, labels), disc(fakes, labels)
  disc_loss = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
  disc_loss.backward()
  adams[1].step()
  disc.requires_grad_(False)
  gen_loss = -disc(gen(latents, labels), labels).mean()
  gen_loss.backward()
  adams[0].step()
  return disc_loss, gen_loss

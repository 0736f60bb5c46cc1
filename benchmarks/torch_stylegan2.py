"""StyleGAN2 in PyTorch, to compare with ours: grouped convolutions.

Names of modules are those of our parameter trees. Weights are scaled for each
example, and all examples are convolved at once, in groups; filters put zeros
between pixels.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_gans import Context, Draw, Step

ROOT2 = math.sqrt(2.0)


def activated(x):
  """Leaky ReLU that keeps the variance."""
  return ROOT2 * F.leaky_relu(x, 0.2)


class Linear(nn.Linear):
  """Weights N(0, 1), scaled by rate / sqrt(fan in); biases by the rate."""

  def __init__(self, i, o, rate=1.0):
    super().__init__(i, o)
    self.rate = rate

  def forward(self, x):
    scale = self.rate / math.sqrt(self.in_features)
    return F.linear(x, scale * self.weight, self.rate * self.bias)


def resampled(x, taps, pads, up=1, down=1, gain=1.0):
  """Zeros between pixels, zeros around, the filter, every n-th pixel."""
  n, c, h, w = x.shape
  if up > 1:
    between = x.new_zeros(n, c, h * up, w * up)
    between[:, :, ::up, ::up] = x
    x = between
  x = F.pad(x, (*pads, *pads))
  taps = torch.tensor(taps, dtype=x.dtype)
  kernel = torch.outer(taps, taps) / taps.sum() ** 2 * gain
  kernel = kernel[None, None].repeat(c, 1, 1, 1)
  return F.conv2d(x, kernel, stride=down, groups=c)


class Modulated(nn.Module):
  """A convolution whose weights are scaled by styles, for each example."""

  def __init__(self, i, o, kernel, styles, demodulate=True, up=False):
    super().__init__()
    self.Dense_0 = Linear(styles, i)
    self.weight = nn.Parameter(torch.zeros(o, i, kernel, kernel))
    self.demodulate, self.up = demodulate, up

  def forward(self, x, w):
    n, c, h, _ = x.shape
    s = self.Dense_0(w)
    o, i, k, _ = self.weight.shape
    weight = (
      self.weight[None] * s[:, None, :, None, None] / math.sqrt(i * k * k)
    )
    if self.demodulate:
      norm = (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
      weight = weight * norm
    x = x.reshape(1, n * c, h, h)
    if not self.up:
      y = F.conv2d(x, weight.flatten(0, 1), padding=k // 2, groups=n)
      return y.reshape(n, o, h, h)
    # Ours has the kernel turned round in a transposed convolution.
    weight = weight.flip((3, 4)).transpose(1, 2).flatten(0, 1)
    y = F.conv_transpose2d(x, weight, stride=2, groups=n)
    y = y.reshape(n, o, 2 * h + 1, 2 * h + 1)
    return resampled(y, (1.0, 3.0, 3.0, 1.0), (1, 1), gain=4.0)


class Layer(nn.Module):
  """A modulated convolution, noise, bias, activation."""

  def __init__(self, i, o, styles, up):
    super().__init__()
    self.Modulated_0 = Modulated(i, o, 3, styles, up=up)
    self.noise = nn.Parameter(torch.zeros(()))
    self.bias = nn.Parameter(torch.zeros(o))

  def forward(self, x, w, noise):
    y = self.Modulated_0(x, w) + self.noise * noise
    return activated(y + self.bias[:, None, None])


class ToImage(nn.Module):
  """Maps to colours, not demodulated."""

  def __init__(self, i, channels, styles):
    super().__init__()
    self.Modulated_0 = Modulated(i, channels, 1, styles, demodulate=False)
    self.bias = nn.Parameter(torch.zeros(channels))

  def forward(self, x, w):
    return self.Modulated_0(x, w) + self.bias[:, None, None]


class Mapping(nn.Module):
  """Latents to styles."""

  def __init__(self, z, w, depth):
    super().__init__()
    for k in range(depth):
      self.add_module(f'Dense_{k}', Linear(w if k else z, w, 0.01))
    self.depth = depth

  def forward(self, z):
    h = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for k in range(self.depth):
      h = activated(getattr(self, f'Dense_{k}')(h))
    return h


class Generator(nn.Module):
  """`paint(styles, noise)`, with a list of noise maps, one for each layer."""

  def __init__(self, widths, channels, z, w, depth):
    super().__init__()
    self.mapping = Mapping(z, w, depth)
    self.constant = nn.Parameter(torch.zeros(4, 4, widths[0]))
    self.num_layers, self.num_styles = 2 * len(widths) - 1, 2 * len(widths)
    for k in range(self.num_layers):
      i, o = widths[k // 2], widths[(k + 1) // 2]
      self.add_module(f'layers_{k}', Layer(i, o, w, up=k % 2 == 1))
    for k, width in enumerate(widths):
      self.add_module(f'to_image_{k}', ToImage(width, channels, w))

  def styles(self, z, mixing=0.0):
    """Of each layer; of a share of examples, from another z from one on."""
    w = self.mapping(z)[:, None].repeat(1, self.num_styles, 1)
    if not mixing:
      return w
    other = self.mapping(torch.randn_like(z))[:, None]
    cut = torch.randint(1, self.num_styles, (len(z), 1), device=z.device)
    mixed = torch.rand(len(z), 1, device=z.device) < mixing
    late = torch.arange(self.num_styles, device=z.device) >= cut
    return torch.where((late & mixed)[..., None], other, w)

  def noise(self, num, device):
    """A map of each layer."""
    sizes = (4 * 2 ** ((k + 1) // 2) for k in range(self.num_layers))
    return [torch.randn(num, 1, s, s, device=device) for s in sizes]

  def forward(self, z, mixing=0.0):
    noise = self.noise(len(z), z.device)
    return self.paint(self.styles(z, mixing), noise)

  def paint(self, styles, noise):
    h = self.constant.permute(2, 0, 1).repeat(len(styles), 1, 1, 1)
    images = None
    for k in range(self.num_layers):
      h = getattr(self, f'layers_{k}')(h, styles[:, k], noise[k])
      if k % 2 == 0:
        if images is not None:
          images = resampled(
            images, (1.0, 3.0, 3.0, 1.0), (2, 1), up=2, gain=4.0
          )
        new = getattr(self, f'to_image_{k // 2}')(h, styles[:, k + 1])
        images = new if images is None else images + new
    return images


class Conv(nn.Conv2d):
  """Weights N(0, 1), scaled by 1 / sqrt(fan in)."""

  def forward(self, x):
    scale = 1.0 / math.sqrt(self.weight[0].numel())
    return self._conv_forward(x, scale * self.weight, self.bias)


class Halving(nn.Module):
  """D's block with a shortcut."""

  def __init__(self, i, o):
    super().__init__()
    self.Conv_0 = Conv(i, i, 3, padding=1)
    self.Conv_1 = Conv(i, o, 3, stride=2)
    self.Conv_2 = Conv(i, o, 1, bias=False)

  def forward(self, x):
    taps = (1.0, 3.0, 3.0, 1.0)
    h = resampled(activated(self.Conv_0(x)), taps, (2, 2))
    h = activated(self.Conv_1(h))
    shortcut = self.Conv_2(resampled(x, taps, (1, 1), down=2))
    return (h + shortcut) / ROOT2


class Discriminator(nn.Module):
  """Images `[B, C, H, W]` -> logits `[B]`."""

  def __init__(self, widths, channels, group):
    super().__init__()
    self.group = group
    self.Conv_0 = Conv(channels, widths[-1], 1)
    pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
    for k, pair in enumerate(pairs):
      self.add_module(f'_Halving_{k}', Halving(*pair))
    self.num = len(pairs)
    self.Conv_1 = Conv(widths[0] + 1, widths[0], 3, padding=1)
    self.Dense_0 = Linear(16 * widths[0], widths[0])
    self.Dense_1 = Linear(widths[0], 1)

  def forward(self, x):
    h = activated(self.Conv_0(x))
    for k in range(self.num):
      h = getattr(self, f'_Halving_{k}')(h)
    _, c, *size = h.shape
    y = h.reshape(self.group, -1, c, *size)
    y = (y - y.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
    y = y.reshape(-1, 1, 1, 1).repeat(self.group, 1, *size)
    h = activated(self.Conv_1(torch.cat([h, y], dim=1)))
    h = h.permute(0, 2, 3, 1).flatten(1)  # as our maps are flattened
    return self.Dense_1(activated(self.Dense_0(h)))[:, 0]


def r1(disc, images):
  """Mean squared norm of D's slopes."""
  images = images.detach().requires_grad_(True)
  (slopes,) = torch.autograd.grad(disc(images).sum(), images, create_graph=True)
  return slopes.square().sum((1, 2, 3)).mean()


def path_penalty(gen, styles, noise, pixels, mean):
  """Of |J^T y|, with y given and a running mean that moves by 1 %."""
  images = gen.paint(styles, noise)
  (slopes,) = torch.autograd.grad(
    (images * pixels).sum(), styles, create_graph=True
  )
  lengths = slopes.square().sum(2).mean(1).sqrt()
  moved = mean + 0.01 * (lengths.mean() - mean)
  return (lengths - moved).square().mean(), moved


def style_step(
  gen: nn.Module,
  disc: nn.Module,
  draw_real: Draw,
  draw_latents: Draw,
  *,
  autocast: Context,
) -> Step:
  """One update of both on softplus losses; R1 every 16, path length every 4.

  Lazy terms are in the same update, as ours are, through networks that are not
  compiled: torch.compile has no double backward. Arguments as of
  `torch_gans.adversarial_step`.
  """
  raw = [getattr(network, '_orig_mod', network) for network in (gen, disc)]
  adams = [
    torch.optim.Adam(
      network.parameters(), lr=2e-3, betas=(0.0, 0.99), eps=1e-8, fused=True
    )
    for network in raw
  ]
  count, mean = 0, torch.zeros((), device=next(disc.parameters()).device)

  def move(adam, loss):
    adam.zero_grad()
    loss.backward()
    adam.step()

  def step():
    nonlocal count, mean
    real = draw_real()
    disc.requires_grad_(True)
    with autocast():
      with torch.no_grad():
        fake = gen(draw_latents(), 0.9)
      on_real, on_fake = disc(real).float(), disc(fake).float()
      loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    if count % 16 == 0:
      loss = loss + 16 * 0.0032 * r1(raw[1], real)
    move(adams[1], loss)
    disc.requires_grad_(False)
    latents = draw_latents()
    with autocast():
      gen_loss = F.softplus(-disc(gen(latents, 0.9)).float()).mean()
    if count % 4 == 0:
      half = latents[: len(latents) // 2]
      styles = raw[0].styles(half)
      noise = raw[0].noise(len(half), half.device)
      pixels = torch.randn(len(half), *real.shape[1:], device=half.device)
      pixels = pixels / math.sqrt(real.shape[2] * real.shape[3])
      value, moved = path_penalty(raw[0], styles, noise, pixels, mean)
      gen_loss, mean = gen_loss + 4 * 2.0 * value, moved.detach()
    move(adams[0], gen_loss)
    count += 1

  return step

"""The CIFAR-10 residual pair of WGAN-GP, and its DCGAN-like critic.

Reference:
  Gulrajani et al., Improved Training of Wasserstein GANs, arXiv 1704.00028,
  appendix F, with the layer order of the authors' published code.
"""

import flax.linen as nn
import jax

from gan_jax.networks import layers
from gan_jax.networks.layers import Style
from gan_jax.types import Given, InputError, Players, Verdict, lookup

_he_uniform = nn.initializers.he_uniform()
_glorot_uniform = nn.initializers.glorot_uniform()


class GeneratorBlock(nn.Module):
  """norm, act, upsample, conv, norm, act, conv; shortcut: upsample, 1x1."""

  width: int
  style: Style

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    style = self.style

    def conv(h, kernel, kernel_init):
      layer = layers.Conv(
        self.width, kernel, kernel_init=kernel_init, dtype=style.dtype
      )
      return layer(h)

    h = style.activate(style.normalise(x, train=train))
    h = conv(layers.upsample(h), 3, _he_uniform)
    h = style.activate(style.normalise(h, train=train))
    h = conv(h, 3, _he_uniform)
    return conv(layers.upsample(x), 1, _glorot_uniform) + h


class Generator(nn.Module):
  """Latents `[B, latent_dim]` -> images `[B, H, W, C]` in [-1, 1]."""

  image_shape: tuple[int, int, int]
  width: int
  depth: int
  style: Style

  @nn.compact
  def __call__(
    self, latents: jax.Array, given: Given | None = None, *, train: bool
  ) -> jax.Array:
    style = self.style
    base = self.image_shape[0] // 2**self.depth
    h = style.join_latents(latents, given)
    shared = dict(kernel_init=_glorot_uniform, dtype=style.dtype)
    h = nn.Dense(base * base * self.width, **shared)(h)
    h = h.reshape(-1, base, base, self.width)
    for _ in range(self.depth):
      h = GeneratorBlock(self.width, style)(h, train=train)
    h = style.activate(style.normalise(h, train=train))
    h = layers.Conv(self.image_shape[-1], 3, **shared)(h)
    return nn.tanh(style.output(h))


class CriticBlock(nn.Module):
  """norm, act, conv, norm, act, conv; mean pooling where `down`.

  The `first` block meets the image: nothing comes before its first
  convolution, and its shortcut pools before the 1x1 convolution, not after.
  """

  width: int
  down: bool
  first: bool
  style: Style

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    style = self.style

    def conv(h, kernel, kernel_init):
      layer = layers.Conv(
        self.width, kernel, kernel_init=kernel_init, dtype=style.dtype
      )
      return style.apply(layer, h, train=train)

    def activate(h):
      return style.activate(style.normalise(h, train=train))

    h = conv(x if self.first else activate(x), 3, _he_uniform)
    h = conv(style.activate(h) if self.first else activate(h), 3, _he_uniform)
    if not self.down:
      return x + h
    if self.first:
      shortcut = conv(layers.mean_pool(x), 1, _glorot_uniform)
    else:
      shortcut = layers.mean_pool(conv(x, 1, _glorot_uniform))
    return shortcut + layers.mean_pool(h)


class ResNetCritic(nn.Module):
  """Two halving and two plain residual blocks, mean over pixels, linear.

  Images `[B, H, W, C]` -> logits `[B]`.
  """

  width: int
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style
    h = style.join_images(images, given)
    for i in range(4):
      block = CriticBlock(self.width, i < 2, i == 0, style)
      h = block(h, train=train)
      self.sow('intermediates', 'features', h)
    h = style.compare(style.activate(h).mean(axis=(1, 2)))
    dense = nn.Dense(1, kernel_init=_glorot_uniform, dtype=style.dtype)
    logits = style.output(style.apply(dense, h, train=train))[:, 0]
    return Verdict(logits, {})


class DCGANCritic(nn.Module):
  """5x5 stride-2 convolutions with doubling width, then one linear layer.

  Images `[B, H, W, C]` -> logits `[B]`.
  """

  width: int
  depth: int
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style
    h = style.join_images(images, given)
    for i in range(self.depth):
      layer = layers.Conv(
        self.width * 2**i, 5, 2, kernel_init=_he_uniform, dtype=style.dtype
      )
      h = style.apply(layer, h, train=train)
      if i > 0:
        h = style.normalise(h, train=train)
      h = style.activate(h)
      self.sow('intermediates', 'features', h)
    dense = nn.Dense(1, kernel_init=_glorot_uniform, dtype=style.dtype)
    h = style.compare(h.reshape(len(h), -1))
    h = style.apply(dense, h, train=train)
    return Verdict(style.output(h)[:, 0], {})


CRITICS = ('resnet', 'dcgan')


def wgan_gp_resnet(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 128,
  disc_width: int = 128,
  depth: int | None = None,
  critic: str = 'resnet',
) -> Players[nn.Module]:
  """The residual pair for square images; 32 pixels in the paper.

  The critic has no norm, as in the authors' CIFAR code; the paper recommends
  layer norm where one is wanted: `network.disc_norm=layer`.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: channels of all of G's blocks.
    disc_width: channels of the critic's blocks (of its first layer, doubling,
      in the DCGAN-like critic).
    depth: number of G's upsampling blocks; None ends at a base of 4 to 7.
    critic: resnet, or dcgan for the paper's DCGAN-like one.

  Raises:
    InputError: an image size that the geometry cannot produce.
  """
  lookup(dict.fromkeys(CRITICS), critic, 'network.critic')
  depth = layers.halvings(image_shape, depth, 'wgan_gp_resnet')
  if critic == 'dcgan':
    disc = DCGANCritic(disc_width, depth, style.disc)
  elif image_shape[0] % 4:
    raise InputError(
      'data.image_size: the resnet critic halves the image twice and needs a '
      f'multiple of 4, not {image_shape[0]}; or set network.critic=dcgan'
    )
  else:
    disc = ResNetCritic(disc_width, style.disc)
  return Players(
    gen=Generator(image_shape, gen_width, depth, style.gen), disc=disc
  )

"""The CIFAR-10 residual pair of WGAN-GP, and its DCGAN-like critic.

Reference:
  Gulrajani et al., Improved Training of Wasserstein GANs, arXiv 1704.00028,
  appendix F, with the layer order of the authors' published code.
"""

import flax.linen as nn
import jax

from gan_jax.networks import heads, layers
from gan_jax.networks.layers import Style
from gan_jax.networks.residual import CriticBlock, GeneratorBlock
from gan_jax.types import Given, InputError, Players, Verdict, lookup

_he_uniform = nn.initializers.he_uniform()
_glorot_uniform = nn.initializers.glorot_uniform()


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
    dense = nn.Dense(base * base * self.width, **shared)
    h = style.apply(dense, h, train=train, gain=1.0)
    h = h.reshape(-1, base, base, self.width)
    for _ in range(self.depth):
      block = GeneratorBlock(self.width, style, _he_uniform, _glorot_uniform)
      h = block(h, given, train=train)
    h = style.activate(style.normalise(h, given, train=train))
    last = layers.Conv(self.image_shape[-1], 3, **shared)
    h = style.apply(last, h, train=train, gain=1.0)
    return nn.tanh(style.output(h))


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
      block = CriticBlock(
        self.width, i < 2, i == 0, style, _he_uniform, _glorot_uniform
      )
      h = block(h, given, train=train)
      self.sow('intermediates', 'features', h)
    h = style.activate(h).mean(axis=(1, 2))
    dense = nn.Dense(1, kernel_init=_glorot_uniform, dtype=style.dtype)
    logits = style.apply(dense, style.compare(h), train=train, gain=1.0)
    return heads.verdict(style, logits[:, 0], h, given, train=train)


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
        h = style.normalise(h, given, train=train)
      h = style.activate(h)
      self.sow('intermediates', 'features', h)
    dense = nn.Dense(1, kernel_init=_glorot_uniform, dtype=style.dtype)
    features, h = h, style.compare(h.reshape(len(h), -1))
    logits = style.apply(dense, h, train=train, gain=1.0)
    return heads.verdict(style, logits[:, 0], features, given, train=train)


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

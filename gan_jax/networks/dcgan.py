"""DCGAN: 4x4 stride-2 convolutions all the way, in the tutorial geometry.

At 64 pixels: G 4 -> 8 -> 16 -> 32 -> 64 with 512, 256, 128, 64 channels, D its
mirror image. Other sizes take fewer or more halvings: 32 has a base of 4 and
three layers, 28 a base of 7 and two. No biases on the convolutions.

Reference:
  Radford et al., Unsupervised Representation Learning with Deep Convolutional
  Generative Adversarial Networks, arXiv 1511.06434, sections 3 and 4.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import heads, layers
from gan_jax.networks.layers import Style
from gan_jax.types import Given, Players, Verdict

_kernel_init = nn.initializers.normal(0.02)


def scale_init(key, shape, dtype=jnp.float32):
  """N(1, .02), the initial scales of batch norm."""
  return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)


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

    def up(h, features, *geometry, **gain):
      layer = layers.ConvTranspose(
        features,
        *geometry,
        use_bias=False,
        kernel_init=_kernel_init,
        dtype=style.dtype,
      )
      return style.apply(layer, h, train=train, **gain)

    h = style.join_latents(latents, given)[:, None, None, :]
    base = self.image_shape[0] // 2**self.depth
    width = self.width * 2 ** (self.depth - 1)
    h = up(h, width, base, 1, 'VALID')
    for _ in range(self.depth - 1):
      h = style.activate(style.normalise(h, given, train=train))
      width //= 2
      h = up(h, width, 4, 2)
    h = style.activate(style.normalise(h, given, train=train))
    h = up(h, self.image_shape[-1], 4, 2, gain=1.0)
    return nn.tanh(style.output(h))


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` -> logits `[B]`; no fully connected layer."""

  width: int
  depth: int
  style: Style

  @nn.compact
  def __call__(
    self, images: jax.Array, given: Given | None = None, *, train: bool
  ) -> Verdict:
    style = self.style

    def down(h, features, kernel, stride, padding, **gain):
      layer = layers.Conv(
        features,
        kernel,
        stride,
        padding=padding,
        use_bias=False,
        kernel_init=_kernel_init,
        dtype=style.dtype,
      )
      return style.apply(layer, h, train=train, **gain)

    h = style.join_images(images, given)
    for i in range(self.depth):
      h = down(h, self.width * 2**i, 4, 2, 'SAME')
      if i > 0:  # D's input layer is not normalised
        h = style.normalise(h, given, train=train)
      h = style.activate(h)
      self.sow('intermediates', 'features', h)
    base = h.shape[1]
    logits = down(style.compare(h), 1, base, 1, 'VALID', gain=1.0)
    return heads.verdict(style, logits[:, 0, 0, 0], h, given, train=train)


def dcgan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 64,
  disc_width: int = 64,
  depth: int | None = None,
) -> Players[nn.Module]:
  """The DCGAN pair for square images.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players; the norm skips G's output and D's input.
    gen_width: channels of G's last hidden layer, doubling towards the latents.
    disc_width: channels of D's first layer, doubling towards the logit.
    depth: number of stride-2 layers; None ends at a base of 4 to 7 pixels.

  Raises:
    InputError: an image size that the geometry cannot produce.
  """
  depth = layers.halvings(image_shape, depth, 'dcgan')
  return Players(
    gen=Generator(image_shape, gen_width, depth, style.gen),
    disc=Discriminator(disc_width, depth, style.disc),
  )

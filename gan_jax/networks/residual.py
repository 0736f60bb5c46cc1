"""Residual blocks of WGAN-GP's pair, which SNGAN has with other weights.

Reference:
  Gulrajani et al., Improved Training of Wasserstein GANs, arXiv 1704.00028,
  appendix F; Miyato et al., Spectral Normalization for Generative Adversarial
  Networks, arXiv 1802.05957, appendix B.4.
"""

from collections.abc import Callable

import flax.linen as nn
import jax

from gan_jax.networks import layers
from gan_jax.networks.layers import Style
from gan_jax.types import Given


class GeneratorBlock(nn.Module):
  """norm, act, upsample, conv, norm, act, conv; shortcut: upsample, 1x1.

  A 1x1 convolution and a change of size may trade places.

  Attributes:
    width: channels of all its convolutions.
    style: of G.
    kernel_init: of the 3x3 kernels.
    shortcut_init: of the 1x1 kernels.
  """

  width: int
  style: Style
  kernel_init: Callable[..., jax.Array]
  shortcut_init: Callable[..., jax.Array]

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    given: Given | None,
    *,
    train: bool,
    styles: jax.Array | None = None,
  ) -> jax.Array:
    style = self.style

    def conv(h, kernel, init, *, doubled, **gain):
      layer = layers.Conv(
        self.width,
        kernel,
        doubled=doubled,
        kernel_init=init,
        dtype=style.dtype,
      )
      return style.apply(layer, h, train=train, **gain)

    def activate(h):
      h = style.normalise(h, given, train=train, styles=styles)
      return style.activate(h)

    h = conv(activate(x), 3, self.kernel_init, doubled=True)
    h = conv(activate(h), 3, self.kernel_init, doubled=False)
    shortcut = conv(x, 1, self.shortcut_init, doubled=True, gain=1.0)
    return shortcut + h


class CriticBlock(nn.Module):
  """norm, act, conv, norm, act, conv; mean pooling where `down`.

  The `first` block meets the image: nothing comes before its first
  convolution. A shortcut pools before its 1x1 convolution or after: the same. A
  shortcut that changes neither size nor channels has no convolution.

  Attributes:
    width: channels that leave it.
    down: whether it halves the image.
    first: whether it meets the image.
    style: of D.
    kernel_init: of the 3x3 kernels.
    shortcut_init: of the 1x1 kernels.
    hidden: channels between the convolutions; None for `width`.
  """

  width: int
  down: bool
  first: bool
  style: Style
  kernel_init: Callable[..., jax.Array]
  shortcut_init: Callable[..., jax.Array]
  hidden: int | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, given: Given | None, *, train: bool
  ) -> jax.Array:
    style = self.style

    def conv(h, width, kernel, init, *, halved=False, **gain):
      layer = layers.Conv(
        width, kernel, halved=halved, kernel_init=init, dtype=style.dtype
      )
      return style.apply(layer, h, train=train, **gain)

    def activate(h):
      return style.activate(style.normalise(h, given, train=train))

    hidden = self.hidden or self.width
    h = conv(x if self.first else activate(x), hidden, 3, self.kernel_init)
    h = style.activate(h) if self.first else activate(h)
    h = conv(h, self.width, 3, self.kernel_init, halved=self.down)
    if self.down or x.shape != h.shape:
      x = conv(x, self.width, 1, self.shortcut_init, halved=self.down, gain=1.0)
    return x + h

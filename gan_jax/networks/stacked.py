"""G of StackGAN: a sketch of a text, and the drawing over it.

The pair grows as others do (gan_jax.networks.growing), in one step: up to the
first size it plays the first stage, and at the size of the images the second,
which draws over what the first one makes. The first is frozen there: G runs it
with running statistics, and no gradient goes into it.

A deviation from the authors' PyTorch code, whose sizes these are: mean and
deviation of what a text becomes go through no ReLU (there, none is below 1).

Reference:
  Zhang et al., StackGAN: Text to Photo-realistic Image Synthesis with Stacked
  Generative Adversarial Networks, arXiv 1612.03242, section 3.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.networks import (
  conditions,
  gaussian,
  growing,
  layers,
  resampling,
  seeds,
)
from gan_jax.networks.growing import BASE
from gan_jax.networks.style import Style
from gan_jax.rng import fold_each
from gan_jax.types import Given

WIDEST = 8  # times the width: of G's first map, and of what D judges by
SMALLEST = 8  # pixels of a sketch, which D halves down to 4
_HALVINGS = 2  # of the sketch, before it is drawn over
kernel_init = nn.initializers.normal(0.02)


class Stages(NamedTuple):
  """Sizes of the two stages.

  Attributes:
    first: pixels of the sketch.
    size: of the images.
    number: of the stage that is trained, 0 or 1.
  """

  first: int
  size: int
  number: int

  def at(
    self, network: nn.Module, run: Callable[..., Any], *inputs, train: bool
  ) -> Any:
    """Calls `run(network, number, *inputs)` of the stage that is played."""
    if network.is_initializing():  # the second meets the layers of both
      return run(network, 1, *inputs)
    if train:
      return run(network, self.number, *inputs)
    return nn.cond(
      network.grown.value > growing.level_of(self.first),
      lambda network, *inputs: run(network, 1, *inputs),
      lambda network, *inputs: run(network, 0, *inputs),
      network,
      *inputs,
    )

  def grown(self, network: nn.Module) -> nn.Variable:
    """How far a network has grown, in its `setup`: all the way at first."""
    top = growing.level_of(self.size)
    return network.variable(
      growing.COLLECTION, growing.GROWN, lambda: jnp.float32(top)
    )


def conv(style: Style, h, features: int, *geometry, train: bool, **kwargs):
  """A convolution without biases, inside a compact module."""
  layer = layers.Conv(
    features,
    *geometry,
    use_bias=False,
    kernel_init=kernel_init,
    dtype=style.dtype,
    **kwargs,
  )
  return style.apply(layer, h, train=train)


class Conditioning(nn.Module):
  """What G is told -> mean and log variance `[B, features]` of a normal vector.

  Attributes:
    features: of the vector.
    text_dim: of the vector that words, classes or pictures become before; a
      text that comes as a vector stays as it is.
    style: of G.
  """

  features: int
  text_dim: int
  style: Style

  @nn.compact
  def __call__(self, given: Given) -> tuple[jax.Array, jax.Array]:
    style, vectors = self.style, []
    for name, column in style.told:
      vector = given[name]
      if name != 'text' or column.size:
        make = conditions.condition(name, column, self.text_dim, style.dtype)
        vector = make(vector)
      vectors.append(vector)
    dense = nn.Dense(
      2 * self.features, kernel_init=kernel_init, dtype=style.dtype
    )
    both = style.output(dense(jnp.concatenate(vectors, axis=-1)))
    return tuple(jnp.split(both, 2, axis=-1))


class Sketch(nn.Module):
  """z and a condition `[B, ...]` -> images of the first size.

  Attributes:
    channels: of the images.
    width: an eighth of the channels of 4 pixels, which halve as maps double.
    size: of the images in pixels.
    style: of G.
  """

  channels: int
  width: int
  size: int
  style: Style

  @nn.compact
  def __call__(self, z, condition, *, train: bool) -> jax.Array:
    style, features = self.style, WIDEST * self.width
    dense = nn.Dense(
      BASE * BASE * features,
      use_bias=False,
      kernel_init=kernel_init,
      dtype=style.dtype,
    )
    h = style.apply(dense, jnp.concatenate([z, condition], -1), train=train)
    h = style.activate(style.normalise(h, train=train))
    h = h.reshape(-1, BASE, BASE, features)
    return _enlarged(style, h, self.size, self.channels, train)


class Drawing(nn.Module):
  """A sketch and a condition -> images of the last size.

  Attributes:
    channels: of the images.
    width: channels of the first map.
    blocks: residual ones, where the maps are smallest.
    size: of the images in pixels.
    style: of G.
  """

  channels: int
  width: int
  blocks: int
  size: int
  style: Style

  @nn.compact
  def __call__(self, sketch, condition, *, train: bool) -> jax.Array:
    style, width = self.style, self.width

    def normed(h, features, *geometry):
      h = conv(style, h, features, *geometry, train=train)
      return style.normalise(h, train=train)

    h = style.activate(conv(style, sketch, width, 3, train=train))
    for _ in range(_HALVINGS):
      width *= 2
      h = style.activate(normed(h, width, 4, 2))
    h = style.activate(normed(joined(h, condition), width, 3))
    for _ in range(self.blocks):
      inside = style.activate(normed(h, width, 3))
      h = style.activate(h + normed(inside, width, 3))
    return _enlarged(style, h, self.size, self.channels, train)


def _enlarged(style: Style, h, size: int, channels: int, train: bool):
  """Maps doubled up to a size, their channels halved, and an image of them."""
  while h.shape[1] < size:
    h = conv(style, h, max(h.shape[-1] // 2, 1), 3, doubled=True, train=train)
    h = style.activate(style.normalise(h, train=train))
  return nn.tanh(style.output(conv(style, h, channels, 3, train=train)))


def joined(h: jax.Array, vector: jax.Array) -> jax.Array:
  """Maps `[B, h, w, C]`, and beside them a vector `[B, E]` at each pixel."""
  vector = vector[:, None, None].astype(h.dtype)
  tiled = jnp.broadcast_to(vector, (*h.shape[:3], vector.shape[-1]))
  return jnp.concatenate([h, tiled], axis=-1)


class Generator(nn.Module):
  """Latents `[B, 2 + Z]` and what is told -> images `[B, H, W, C]` in [-1, 1].

  The seed at the start of the latents draws the condition of either stage.

  Attributes:
    channels: of the images.
    width: the unit of all widths.
    stages: see `Stages`.
    blocks: residual ones of the second stage.
    condition_dim: of the vector that is drawn for a text.
    text_dim: see `Conditioning`.
    style: the norm skips the first map of the second stage, and the images.
  """

  channels: int
  width: int
  stages: Stages
  blocks: int
  condition_dim: int
  text_dim: int
  style: Style

  def setup(self):
    self.grown = self.stages.grown(self)
    common = self.channels, self.width
    self.sketch = Sketch(*common, self.stages.first, self.style)
    self.drawing = Drawing(*common, self.blocks, self.stages.size, self.style)
    self.conditions = [
      Conditioning(self.condition_dim, self.text_dim, self.style)
      for _ in range(2)
    ]

  def __call__(self, latents, given: Given, *, train: bool) -> jax.Array:
    def run(network, number, latents, given):
      return network.draw(number, latents, given, train)

    return self.stages.at(self, run, latents, given, train=train)

  def draw(self, number: int, latents, given: Given, train: bool) -> jax.Array:
    """The images of a stage, enlarged to those of the last."""
    keys, z = seeds.split(latents)

    def condition(stage):
      moments = self.conditions[stage](given)
      return gaussian.reparameterise(*moments, fold_each(keys, stage))

    sketch = self.sketch(z, condition(0), train=train and number == 0)
    if number == 0:
      return resampling.enlarged(sketch, self.stages.size)
    if train:  # later, latents may be moved through both stages
      sketch = jax.lax.stop_gradient(sketch)
    return self.drawing(sketch, condition(1), train=train)

  def conditioning(
    self, given: Given, *, train: bool
  ) -> tuple[jax.Array, jax.Array]:
    """Mean and log variance of the condition of the stage that is trained."""
    del train
    return self.conditions[self.stages.number](given)

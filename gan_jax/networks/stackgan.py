"""StackGAN: images from text in two stages, and what judges them.

The generator is that of gan_jax.networks.stacked. D makes a vector of the text
itself, as in the authors' TensorFlow code; sizes are those of their PyTorch
code, whose D takes G's.

Reference:
  Zhang et al., StackGAN: Text to Photo-realistic Image Synthesis with Stacked
  Generative Adversarial Networks, arXiv 1612.03242, section 3.
"""

import flax.linen as nn
import jax.numpy as jnp

from gan_jax.networks import conditions, growing, heads, layers, resampling
from gan_jax.networks.growing import BASE
from gan_jax.networks.stacked import (
  SMALLEST,
  WIDEST,
  Generator,
  Stages,
  conv,
  joined,
  kernel_init,
)
from gan_jax.networks.style import Style
from gan_jax.types import Given, InputError, Players, Verdict


class Judge(nn.Module):
  """Images of one size, and a vector of what is told -> a verdict.

  Halved down to 4 pixels with channels that double; where there are more than
  eight times the width by then, 3x3 convolutions halve them back.

  Attributes:
    width: channels of the first map.
    condition_dim: of the vector of each column.
    alone: whether it guesses too, as `alone`, whether images are real by
      themselves.
    style: the norm skips the first map.
  """

  width: int
  condition_dim: int
  alone: bool
  style: Style

  @nn.compact
  def __call__(self, images, given: Given, *, train: bool) -> Verdict:
    style, h, features = self.style, images, self.width

    def normed(h, features, *geometry):
      h = conv(style, h, features, *geometry, train=train)
      return style.activate(style.normalise(h, train=train))

    h = style.activate(conv(style, h, features, 4, 2, train=train))
    self.sow('intermediates', 'features', h)
    while h.shape[1] > BASE:
      features *= 2
      h = normed(h, features, 4, 2)
      self.sow('intermediates', 'features', h)
    while features > WIDEST * self.width:
      features //= 2
      h = normed(h, features, 3)
      self.sow('intermediates', 'features', h)

    def logits(h):
      layer = layers.Conv(
        1, BASE, padding='VALID', kernel_init=kernel_init, dtype=style.dtype
      )
      h = style.apply(layer, h, train=train, gain=1.0)
      return style.output(h[:, 0, 0, 0])

    vectors = conditions.vectors(
      style.told, given, self.condition_dim, style.dtype
    )
    told = normed(joined(h, jnp.concatenate(vectors, -1)), features, 3)
    guesses = {'alone': logits(h)} if self.alone else {}
    guesses |= heads.compared(
      style, h, given, train=train, kernel_init=kernel_init
    )
    return Verdict(logits(told), guesses)


class Discriminator(nn.Module):
  """Images `[B, H, W, C]` and what they are told with -> a verdict of a stage.

  Attributes:
    width: see `Judge`.
    stages: see `Stages`.
    condition_dim: see `Judge`.
    alone: likewise, of the second stage; the guess of the first is its verdict.
    style: see `Judge`.
  """

  width: int
  stages: Stages
  condition_dim: int
  alone: bool
  style: Style

  @property
  def judges_alone(self) -> bool:
    """Whether the stage that is trained has that guess of its own."""
    return self.alone and self.stages.number == 1

  def setup(self):
    self.grown = self.stages.grown(self)
    self.judges = [
      Judge(self.width, self.condition_dim, alone, self.style)
      for alone in (False, self.alone)
    ]

  def __call__(
    self, images, given: Given | None = None, *, train: bool
  ) -> Verdict:
    sizes = self.stages[:2]

    def run(network, number, images, given):
      shown = resampling.reduced(images, sizes[number])
      verdict = network.judges[number](shown, given, train=train)
      if network.alone and number == 0:
        guesses = {**verdict.guesses, 'alone': verdict.logits}
        return verdict._replace(guesses=guesses)
      return verdict

    if self.is_initializing():  # neither stage of D runs the other
      run(self, 0, images, given)
    return self.stages.at(self, run, images, given, train=train)


def stackgan(
  image_shape: tuple[int, int, int],
  style: Players[Style],
  *,
  gen_width: int = 128,
  disc_width: int = 64,
  first_size: int | None = None,
  resolution: int | None = None,
  blocks: int = 4,
  condition_dim: int = 128,
  text_dim: int = 128,
  alone: bool = False,
) -> Players[nn.Module]:
  """The StackGAN pair, for square images of 4 pixels times a power of two.

  Args:
    image_shape: (H, W, C), H = W.
    style: of both players.
    gen_width: the unit of G's widths: 8 of them at 4 pixels.
    disc_width: channels of D's first map.
    first_size: pixels of the first stage's images; None for a quarter.
    resolution: pixels of the stage that is trained; None for the last.
    blocks: residual blocks of the second stage.
    condition_dim: size of the vector that is drawn for a text.
    text_dim: size of the vector that its words make, if it comes as words.
    alone: whether D of the second stage also judges images by themselves.

  Raises:
    InputError: nothing is told, or a size that is none of the two stages'.
  """
  if not style.gen.told:
    raise InputError(
      'given: stackgan draws what it is told; set given=text, or '
      'conditional=True'
    )
  size = image_shape[0]
  growing.check_power('data.image_size', 'stackgan', size)
  first = first_size or max(size // 4, SMALLEST)
  growing.check_power('network.first_size', 'stackgan', first)
  if image_shape[1] != size or size < 2 * SMALLEST:
    raise InputError(
      'data.image_size: stackgan makes square images of 16 pixels or more, not '
      f'{size} x {image_shape[1]}'
    )
  if not SMALLEST <= first <= size // 2:
    raise InputError(
      f'network.first_size: {first} is not from {SMALLEST} to {size // 2}, '
      'half of the images'
    )
  resolution = resolution or size
  if resolution not in (first, size):
    raise InputError(
      f'network.resolution: the stages of stackgan have {first} and {size} '
      f'pixels, and none has {resolution}'
    )
  stages = Stages(first, size, int(resolution == size))
  gen = gen_width, stages, blocks, condition_dim, text_dim, style.gen
  return Players(
    gen=Generator(image_shape[-1], *gen),
    disc=Discriminator(disc_width, stages, condition_dim, alone, style.disc),
  )

"""Neural style transfer: an image optimised, or a decoder trained once.

Images are `[B, H, W, 3]` in [-1, 1].
"""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.features import style as style_lib
from gan_jax.features.maps import Maps
from gan_jax.networks.adain_decoder import VGG, Decoder
from gan_jax.sampling.optimise import Optimised, optimise_input
from gan_jax.types import InputError


class Layers(NamedTuple):
  """Which layers of a network say what.

  Attributes:
    content: of Gatys's content.
    styles: of Gatys's style.
    encoder: whose maps AdaIN changes; '' where no decoder mirrors the network.
    compared: of AdaIN's style.
    widths: of the decoder, see `Decoder`.
  """

  content: str
  styles: tuple[str, ...]
  encoder: str = ''
  compared: tuple[str, ...] = ()
  widths: Sequence[Sequence[int]] = ()


# By the name of the network. VGG-16 stands for VGG-19, which the papers have.
LAYERS = {
  'VGG-16': Layers(
    'relu4_2',
    tuple(f'relu{i}_1' for i in range(1, 6)),
    'relu4_1',
    tuple(f'relu{i}_1' for i in range(1, 5)),
    VGG,
  ),
  'AlexNet': Layers('relu4', tuple(f'relu{i}' for i in range(1, 6))),
  'MobileNet': Layers(
    'block5',
    ('block0', 'block1', 'block3', 'block5', 'block11'),
    'block3',
    ('block0', 'block1', 'block2', 'block3'),
    ((128, 64), (64, 32), (32,)),
  ),
  'the classifier': Layers('relu3', tuple(f'relu{i}' for i in range(1, 5))),
}


def layers_of(maps: Maps) -> Layers:
  """The layers of a network."""
  return LAYERS[maps.name]


# --- Gatys ------------------------------------------------------------------


class Losses(NamedTuple):
  """Of an image beside a content and a style; scalars."""

  content: jax.Array
  style: jax.Array


class _Wanted(NamedTuple):
  """Maps of the content, and of the style by layer; made once."""

  content: jax.Array
  styles: list[jax.Array]


def _wanted(maps: Maps, content: jax.Array, style: jax.Array) -> _Wanted:
  layers = layers_of(maps)
  (of_content,) = maps.apply(content, [layers.content])
  return _Wanted(of_content, maps.apply(style, layers.styles))


def _losses(maps: Maps, image: jax.Array, wanted: _Wanted) -> Losses:
  layers = layers_of(maps)
  names = {layers.content, *layers.styles}
  order = [name for name in maps.layers if name in names]
  own = dict(zip(order, maps.apply(image, order), strict=True))
  return Losses(
    style_lib.gatys_content(own[layers.content], wanted.content)
    / wanted.content[0].size,
    style_lib.gatys_style([own[x] for x in layers.styles], wanted.styles),
  )


def gatys_losses(
  maps: Maps, image: jax.Array, content: jax.Array, style: jax.Array
) -> Losses:
  """Both losses of Gatys et al., a mean over places and channels of the first.

  Args:
    maps: of the network.
    image: whose losses they are.
    content: an image of its size.
    style: an image of any size.
  """
  return _losses(maps, image, _wanted(maps, content, style))


def gatys(
  maps: Maps,
  content: jax.Array,
  style: jax.Array,
  *,
  style_weight: float,
  num_steps: int = 300,
  learning_rate: float = 0.02,
  progress: str = '',
) -> Optimised:
  """An image with the content of one and the style of another.

  It begins with the content. Adam in place of L-BFGS.

  Args:
    maps: of the network.
    content: `[1, H, W, 3]`.
    style: `[1, h, w, 3]`.
    style_weight: on the style's loss, over the one of content.
    num_steps: of Adam.
    learning_rate: of Adam, in units of pixels in [-1, 1].
    progress: title of a bar.

  Raises:
    InputError: an image too small for the network.

  Reference:
    Gatys et al., A Neural Algorithm of Artistic Style, arXiv 1508.06576, eq. 7.
  """
  for name, image in (('content', content), ('style', style)):
    if min(image.shape[1:3]) < maps.smallest:
      raise InputError(
        f'{name}: {maps.name} takes images of {maps.smallest} pixels or more, '
        f'not {image.shape[1]} x {image.shape[2]}'
      )

  wanted = jax.jit(lambda *pair: _wanted(maps, *pair))(content, style)

  def loss(image, key, step):
    del key, step
    losses = _losses(maps, image, wanted)
    return losses.content + style_weight * losses.style

  return optimise_input(
    loss,
    content,
    num_steps=num_steps,
    learning_rate=learning_rate,
    project=lambda x: jnp.clip(x, -1.0, 1.0),
    progress=progress,
  )


# --- AdaIN ------------------------------------------------------------------


def make_decoder(maps: Maps) -> Decoder:
  """What turns the maps of a network into images.

  Raises:
    InputError: none mirrors this network.
  """
  layers = layers_of(maps)
  if not layers.encoder:
    raise InputError(
      f'--network: no decoder mirrors {maps.name}; take VGG-16 or MobileNet'
    )
  return Decoder(layers.widths)


def stylised(
  maps: Maps,
  decoder: Decoder,
  params: chex.ArrayTree,
  content: jax.Array,
  style: jax.Array,
  alpha: float | jax.Array = 1.0,
) -> tuple[jax.Array, jax.Array]:
  """Images in other styles, and the maps that they were made of.

  Args:
    maps: of the encoder.
    decoder: of `make_decoder`.
    params: its variables.
    content: `[B, H, W, 3]`, of sides that the encoder can halve.
    style: `[B, h, w, 3]`.
    alpha: from the content's own moments, 0, to the style's, 1 (eq. 14).
  """
  wanted = [layers_of(maps).encoder]
  (own,), (other,) = (maps.apply(x, wanted) for x in (content, style))
  target = style_lib.adain(own, other)
  mixed = alpha * target + (1.0 - alpha) * own
  return decoder.apply(params, mixed), target


def adain_losses(
  maps: Maps,
  decoder: Decoder,
  params: chex.ArrayTree,
  content: jax.Array,
  style: jax.Array,
) -> Losses:
  """What the decoder is trained on.

  The content's loss is to the maps that AdaIN has made, not to the content's.

  Reference:
    Huang and Belongie, arXiv 1703.06868, eq. 11 to 13.
  """
  layers = layers_of(maps)
  images, target = stylised(maps, decoder, params, content, style)
  wanted = dict.fromkeys((*layers.compared, layers.encoder))
  own, of_style = (maps.apply(x, tuple(wanted)) for x in (images, style))
  num = len(layers.compared)
  return Losses(
    jnp.mean((own[-1] - target) ** 2),
    style_lib.adain_style(own[:num], of_style[:num]),
  )

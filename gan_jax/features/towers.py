"""A small two-tower model: images and their captions, trained on the data.

Where no published CLIP is at hand it judges what a text-to-image run draws, and
guides what any run draws. What it knows are the words of its captions.
"""

import functools
import pathlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.features.text_image import TextImage
from gan_jax.networks.conditions import BagOfWords
from gan_jax.networks.layers import Conv
from gan_jax.networks.resampling import enlarged, reduced
from gan_jax.pixels import from_uint8
from gan_jax.sampling import tokens
from gan_jax.storage.cache import load_arrays, load_leaves, save_leaves
from gan_jax.tricks.contrastive import contrast, unit
from gan_jax.types import InputError

FORMAT = 'gan_jax two towers, 1'
_DISPATCH = 50  # steps in one call of the compiled program
_BASE = 4  # pixels at which the images' tower stops halving
_WIDEST = 8  # times the width
_GROUPS = 8  # of the norm
MOST_SCALE = 100.0  # of cosines, as CLIP has it


class Recipe(NamedTuple):
  """How the towers are trained.

  Attributes:
    width: channels of the first convolution, doubling up to eight times.
    features: of the vectors.
    num_steps: updates.
    batch_size: pairs.
    learning_rate: of AdamW, from which it falls along half a cosine.
    weight_decay: of AdamW.
    shift: pixels by which images are moved at random, of 32.
    seed: of weights, order and shifts.
  """

  width: int = 32
  features: int = 128
  num_steps: int = 2_000
  batch_size: int = 128
  learning_rate: float = 1e-3
  weight_decay: float = 1e-2
  shift: int = 2
  seed: int = 0


RECIPE = Recipe()


class Towers(nn.Module):
  """Both encoders, and the scale of their cosines.

  Attributes:
    width: see `Recipe`.
    features: likewise.
    num_tokens: of the captions.
    size: of the images in pixels, a power of two.
  """

  width: int
  features: int
  num_tokens: int
  size: int

  def setup(self):
    start = nn.initializers.constant(np.log(1 / 0.07))
    self.log_scale = self.param('log_scale', start, ())
    number = (self.size // _BASE).bit_length() - 1
    widths = [self.width * min(2**i, _WIDEST) for i in range(number)]
    self.convs = [Conv(width, 4, 2) for width in widths]
    self.norms = [nn.GroupNorm(_GROUPS) for _ in widths]
    self.of_image = nn.Dense(self.features)
    self.words = BagOfWords(self.num_tokens, 2 * self.features)
    self.hidden = nn.Dense(2 * self.features)
    self.of_text = nn.Dense(self.features)

  def __call__(
    self, images: jax.Array, texts: jax.Array
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images in [-1, 1] and tokens -> unit vectors of both, and the scale."""
    scale = jnp.minimum(jnp.exp(self.log_scale), MOST_SCALE)
    return self.see(images), self.read(texts), scale

  def see(self, images: jax.Array) -> jax.Array:
    """Unit vectors of images `[B, size, size, C]` in [-1, 1]."""
    h = images
    for conv, norm in zip(self.convs, self.norms, strict=True):
      h = nn.silu(norm(conv(h)))
    return unit(self.of_image(h.reshape(len(h), -1)))

  def read(self, texts: jax.Array) -> jax.Array:
    """Unit vectors of tokens `[B, L]`."""
    h = self.words(texts)
    return unit(self.of_text(h + self.hidden(nn.silu(h))))


def _module(recipe: Recipe, vocabulary: Sequence[str], size: int) -> Towers:
  known = tokens.num_tokens(vocabulary)
  return Towers(recipe.width, recipe.features, known, size)


def train(
  images: np.ndarray,
  texts: np.ndarray,
  vocabulary: Sequence[str],
  recipe: Recipe = RECIPE,
) -> chex.ArrayTree:
  """Parameters of towers that tell which text is of which image.

  Args:
    images: uint8 `[N, S, S, C]`, S a power of two from 8 on.
    texts: tokens `[N, L]`.
    vocabulary: of the tokens.
    recipe: see there.

  Raises:
    InputError: images of another shape, or fewer than two pairs.
  """
  from tqdm import tqdm

  num, size = images.shape[:2]
  if size != images.shape[2] or size < 8 or size & (size - 1):
    raise InputError(
      f'images: {images.shape[1]} x {images.shape[2]} is no square of a power '
      'of two from 8 on; set the size'
    )
  if num < 2:
    raise InputError(f'images: {num} is too few to tell apart')
  module = _module(recipe, vocabulary, size)
  rates = optax.cosine_decay_schedule(recipe.learning_rate, recipe.num_steps)
  optimizer = optax.adamw(rates, weight_decay=recipe.weight_decay)
  images, texts = jnp.asarray(images), jnp.asarray(texts)
  root = jax.random.key(recipe.seed)
  params = jax.jit(module.init)(root, from_uint8(images[:2]), texts[:2])
  batch_size = min(recipe.batch_size, num)

  def loss_of(params, rows, key):
    shown = _moved(from_uint8(images[rows]), key, recipe.shift * size // 32)
    seen, read, scale = module.apply(params, shown, texts[rows])
    return contrast(seen, read, scale)

  def step(carry, number):
    params, state = carry
    keys = jax.random.split(jax.random.fold_in(root, number))
    rows = jax.random.choice(keys[0], num, (batch_size,), replace=False)
    loss, grads = jax.value_and_grad(loss_of)(params, rows, keys[1])
    updates, state = optimizer.update(grads, state, params)
    return (optax.apply_updates(params, updates), state), loss

  scan = jax.jit(functools.partial(jax.lax.scan, step))
  carry = params, optimizer.init(params)
  with tqdm(total=recipe.num_steps, desc='towers', file=sys.stderr) as bar:
    for first in range(0, recipe.num_steps, _DISPATCH):
      last = min(first + _DISPATCH, recipe.num_steps)
      carry, losses = scan(carry, np.arange(first, last))
      bar.update(last - first)
      bar.set_postfix(loss=f'{float(losses.mean()):.3f}')
  return carry[0]


def _moved(images: jax.Array, key: jax.Array, most: int) -> jax.Array:
  """Images moved by up to `most` pixels, some of them blurred.

  The edge goes on outside. A third has squares of 2 pixels averaged, another
  third squares of 4: what G draws is less sharp than drawings are.
  """
  size = images.shape[1]
  padded = jnp.pad(images, [(0, 0), (most, most), (most, most), (0, 0)], 'edge')

  def move(image, key):
    starts = jax.random.randint(key, (2,), 0, 2 * most + 1)
    return jax.lax.dynamic_slice(
      image, (*starts, 0), (size, size, image.shape[-1])
    )

  keys = jax.random.split(key, len(images) + 1)
  moved = jax.vmap(move)(padded, keys[1:])
  half, quarter = (enlarged(reduced(moved, size // k), size) for k in (2, 4))
  which = jax.random.randint(keys[0], (len(images), 1, 1, 1), 0, 3)
  return jnp.select([which == 0, which == 1], [moved, half], quarter)


def save(
  path: pathlib.Path,
  params: chex.ArrayTree,
  vocabulary: Sequence[str],
  image_shape: tuple[int, int, int],
  length: int,
  recipe: Recipe = RECIPE,
) -> None:
  """Writes towers, and what is needed to use them, as one .npz file.

  Args:
    path: of the file.
    params: see `train`.
    vocabulary: of the captions.
    image_shape: (S, S, C).
    length: tokens of a text, at the most.
    recipe: they were trained by.
  """
  save_leaves(
    path,
    params,
    format=np.array(FORMAT),
    vocabulary=np.array(list(vocabulary), dtype=np.str_),
    image_shape=np.array(image_shape),
    length=np.array(length),
    widths=np.array([recipe.width, recipe.features]),
  )


def load(path: str | pathlib.Path) -> TextImage:
  """Towers from a file that `save` wrote.

  Raises:
    InputError: there is none, or it is none of ours.
  """
  file = pathlib.Path(path).expanduser()
  how = 'experiments/two_tower.py trains one on images with captions'
  if not path or not file.is_file():
    raise InputError(f'weights: no file {str(path)!r} of two towers; {how}')
  arrays = load_arrays(file) or {}
  if str(arrays.pop('format', '')) != FORMAT:
    raise InputError(f'weights: {file} is no file of two towers; {how}')
  try:
    return _loaded(file, arrays)
  except (KeyError, ValueError, TypeError) as error:
    raise InputError(f'weights: {file} is damaged: {error}; {how}') from error


def _loaded(file: pathlib.Path, arrays: dict[str, np.ndarray]) -> TextImage:
  vocabulary = tuple(map(str, arrays.pop('vocabulary')))
  shape = tuple(int(n) for n in arrays.pop('image_shape'))
  length = int(arrays.pop('length'))
  width, features = (int(n) for n in arrays.pop('widths'))
  module = _module(Recipe(width, features), vocabulary, shape[0])
  inputs = jnp.zeros((1, *shape)), jnp.zeros((1, length), jnp.int32)
  abstract = jax.eval_shape(module.init, jax.random.key(0), *inputs)
  found = load_leaves(file, abstract)
  if found is None:
    raise ValueError('its arrays are of other shapes')
  params, _ = found

  def of_images(images):
    return module.apply(params, images, method='see')

  read = jax.jit(lambda texts: module.apply(params, texts, method='read'))

  def of_texts(texts):
    texts = [' '.join(tokens.words(text)[:length]) for text in texts]
    return np.asarray(read(tokens.encode(texts, vocabulary, length, 'text')))

  return TextImage(
    f'two towers of {file.name}',
    shape[0],
    shape[-1],
    of_images,
    of_texts,
    lambda text: tokens.unknown(text, vocabulary),
  )

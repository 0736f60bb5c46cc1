"""CLIP from weights in the published formats: images and texts in one space.

A folder with model.safetensors and tokenizer.json. Names of arrays are
OpenAI's (a ViT, or a ResNet with an attention pool), or those of Hugging Face's
CLIPModel (a ViT), which become OpenAI's. Sizes follow from the arrays.

Reference:
  Radford et al., Learning Transferable Visual Models From Natural Language
  Supervision, arXiv 2103.00020, section 2.4, and the authors' code.
"""

import functools
import pathlib
import re
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.features import sentences
from gan_jax.features.text_image import TextImage
from gan_jax.networks import transformer
from gan_jax.networks.layers import mean_pool
from gan_jax.tricks.contrastive import unit
from gan_jax.types import InputError

FILES = ('model.safetensors', 'tokenizer.json')
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of pixels in [0, 1]
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_EPSILON = 1e-5
_OF_A_HEAD = 64  # channels
_BLOCKS = 'transformer.resblocks'

Arrays = Mapping[str, jax.Array]


# --- Names --------------------------------------------------------------------

_RENAMED = (
  (r'text_model\.embeddings\.token_embedding\.', 'token_embedding.'),
  (
    r'text_model\.embeddings\.position_embedding\.weight',
    'positional_embedding',
  ),
  (r'text_model\.final_layer_norm\.', 'ln_final.'),
  (r'text_model\.encoder\.layers\.', f'{_BLOCKS}.'),
  (r'vision_model\.embeddings\.class_embedding', 'visual.class_embedding'),
  (r'vision_model\.embeddings\.patch_embedding\.', 'visual.conv1.'),
  (
    r'vision_model\.embeddings\.position_embedding\.weight',
    'visual.positional_embedding',
  ),
  (r'vision_model\.pre_layrnorm\.', 'visual.ln_pre.'),
  (r'vision_model\.post_layernorm\.', 'visual.ln_post.'),
  (r'vision_model\.encoder\.layers\.', f'visual.{_BLOCKS}.'),
  (r'\.self_attn\.out_proj\.', '.attn.out_proj.'),
  (r'\.layer_norm([12])\.', r'.ln_\1.'),
  (r'\.mlp\.fc1\.', '.mlp.c_fc.'),
  (r'\.mlp\.fc2\.', '.mlp.c_proj.'),
)
_TRANSPOSED = {
  'text_projection.weight': 'text_projection',
  'visual_projection.weight': 'visual.proj',
}


def as_published(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Arrays by OpenAI's names, of either naming, in float32."""
  found = {
    name: np.asarray(x, np.float32)
    for name, x in arrays.items()
    if np.issubdtype(x.dtype, np.floating)
  }
  if 'text_projection' in found:
    return found
  renamed = {}
  for name, x in found.items():
    if name in _TRANSPOSED:
      renamed[_TRANSPOSED[name]] = x.T
      continue
    for pattern, new in _RENAMED:
      name = re.sub(pattern, new, name)
    renamed[name] = x
  return _joined(renamed)


def _joined(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Query, key and value of each block as one array."""
  found = dict(arrays)
  for name in arrays:
    part = re.fullmatch(r'(.*)\.self_attn\.q_proj\.(weight|bias)', name)
    if part:
      block, kind = part.groups()
      parts = [found.pop(f'{block}.self_attn.{k}_proj.{kind}') for k in 'qkv']
      found[f'{block}.attn.in_proj_{kind}'] = np.concatenate(parts)
  return found


def num_blocks(arrays: Arrays, prefix: str) -> int:
  """How many blocks there are below a prefix."""
  pattern = re.compile(re.escape(prefix) + r'\.(\d+)\.')
  found = {m[1] for m in map(pattern.match, arrays) if m}
  return len(found)


# --- Transformers -------------------------------------------------------------


def _norm(x: jax.Array, arrays: Arrays, name: str) -> jax.Array:
  return transformer.layer_norm(x, arrays, name, _EPSILON)


def _transformed(
  x: jax.Array, arrays: Arrays, prefix: str, mask: jax.Array | None
) -> jax.Array:
  """All blocks of a tower, `[B, L, C]`."""
  heads = max(1, x.shape[-1] // _OF_A_HEAD)
  linear = functools.partial(transformer.linear, arrays=arrays)
  for number in range(num_blocks(arrays, prefix)):
    name = f'{prefix}.{number}'
    h = _norm(x, arrays, f'{name}.ln_1')
    h = h @ arrays[f'{name}.attn.in_proj_weight'].T
    h = h + arrays[f'{name}.attn.in_proj_bias']
    mixed = transformer.attention(*jnp.split(h, 3, axis=-1), heads, mask)
    x = x + linear(mixed, name=f'{name}.attn.out_proj')
    h = linear(_norm(x, arrays, f'{name}.ln_2'), name=f'{name}.mlp.c_fc')
    h = transformer.quick_gelu(h)
    x = x + linear(h, name=f'{name}.mlp.c_proj')
  return x


def encode_texts(arrays: Arrays, tokens: jax.Array) -> jax.Array:
  """Unit vectors `[B, E]` of tokens int32 `[B, L]`.

  A token sees those before it; the last one of a text, whose number is the
  highest there is, stands for all.
  """
  length = tokens.shape[1]
  x = arrays['token_embedding.weight'][tokens]
  x = x + arrays['positional_embedding'][:length]
  x = _transformed(x, arrays, _BLOCKS, jnp.tri(length, dtype=bool))
  last = x[jnp.arange(len(x)), tokens.argmax(axis=1)]
  return unit(_norm(last, arrays, 'ln_final') @ arrays['text_projection'])


def _vit(arrays: Arrays, images: jax.Array) -> jax.Array:
  kernel = arrays['visual.conv1.weight']
  side = kernel.shape[-1]
  x = _conv(images, kernel, side, 0)
  x = x.reshape(len(x), -1, x.shape[-1])
  first = jnp.broadcast_to(
    arrays['visual.class_embedding'], (len(x), 1, x.shape[-1])
  )
  x = jnp.concatenate([first, x], axis=1)
  x = _norm(x + arrays['visual.positional_embedding'], arrays, 'visual.ln_pre')
  x = _transformed(x, arrays, f'visual.{_BLOCKS}', None)
  return _norm(x[:, 0], arrays, 'visual.ln_post') @ arrays['visual.proj']


# --- The ResNet ---------------------------------------------------------------


def _conv(x: jax.Array, kernel: jax.Array, stride: int, pad: int) -> jax.Array:
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    [(pad, pad)] * 2,
    dimension_numbers=('NHWC', 'OIHW', 'NHWC'),
  )


def _batch_norm(x: jax.Array, arrays: Arrays, name: str) -> jax.Array:
  """With running statistics."""
  scale = arrays[f'{name}.weight'] * jax.lax.rsqrt(
    arrays[f'{name}.running_var'] + _EPSILON
  )
  bias = arrays[f'{name}.bias'] - arrays[f'{name}.running_mean'] * scale
  return x * scale + bias


def _resnet(arrays: Arrays, images: jax.Array) -> jax.Array:
  """Bottlenecks with an average pool before what would have a stride."""

  def layer(x, conv, norm, stride=1):
    kernel = arrays[f'{conv}.weight']
    x = _conv(x, kernel, stride, kernel.shape[-1] // 2)
    return _batch_norm(x, arrays, norm)

  x = images
  for number, stride in ((1, 2), (2, 1), (3, 1)):
    name = f'visual.conv{number}', f'visual.bn{number}'
    x = jax.nn.relu(layer(x, *name, stride))
  x = mean_pool(x)
  for stage in range(1, 5):
    prefix = f'visual.layer{stage}'
    for number in range(num_blocks(arrays, prefix)):
      name = f'{prefix}.{number}'
      halves = stage > 1 and number == 0
      h = jax.nn.relu(layer(x, f'{name}.conv1', f'{name}.bn1'))
      h = jax.nn.relu(layer(h, f'{name}.conv2', f'{name}.bn2'))
      h = mean_pool(h) if halves else h
      h = layer(h, f'{name}.conv3', f'{name}.bn3')
      if f'{name}.downsample.0.weight' in arrays:
        down = f'{name}.downsample'
        x = mean_pool(x) if halves else x
        x = layer(x, f'{down}.0', f'{down}.1')
      x = jax.nn.relu(x + h)
  return _attention_pool(arrays, x)


def _attention_pool(arrays: Arrays, x: jax.Array) -> jax.Array:
  """The mean over pixels looks at all of them, and at itself."""
  name = 'visual.attnpool'
  x = x.reshape(len(x), -1, x.shape[-1])
  x = jnp.concatenate([x.mean(axis=1, keepdims=True), x], axis=1)
  x = x + arrays[f'{name}.positional_embedding']
  linear = functools.partial(transformer.linear, arrays=arrays)
  mixed = transformer.attention(
    linear(x[:, :1], name=f'{name}.q_proj'),
    linear(x, name=f'{name}.k_proj'),
    linear(x, name=f'{name}.v_proj'),
    max(1, x.shape[-1] // _OF_A_HEAD),
  )
  return linear(mixed[:, 0], name=f'{name}.c_proj')


# --- The model ----------------------------------------------------------------


def encode_images(arrays: Arrays, images: jax.Array) -> jax.Array:
  """Unit vectors `[B, E]` of images `[B, S, S, 3]` in [-1, 1]."""
  scaled = (0.5 * (images + 1.0) - jnp.array(_MEAN)) / jnp.array(_DEVIATION)
  tower = _vit if 'visual.proj' in arrays else _resnet
  return unit(tower(arrays, scaled))


def image_size(arrays: Arrays) -> int:
  """Pixels of the images that a model takes."""
  if 'visual.proj' in arrays:
    places = arrays['visual.positional_embedding'].shape[0] - 1
    return round(places**0.5) * arrays['visual.conv1.weight'].shape[-1]
  places = arrays['visual.attnpool.positional_embedding'].shape[0] - 1
  return 32 * round(places**0.5)


@functools.lru_cache(maxsize=1)
def _opened(folder: pathlib.Path):
  """Arrays and tokenizer of a folder.

  Raises:
    InputError: a file is missing or of another model; where they are from.
  """
  how = (
    f'name a folder with {" and ".join(FILES)}, such as that of '
    "clip-vit-base-patch32 on Hugging Face; of OpenAI's files, save the state "
    'dict of torch.jit.load(FILE) with safetensors.torch.save_file'
  )
  missing = [name for name in FILES if not (folder / name).is_file()]
  if missing:
    raise InputError(f'weights: {str(folder)!r} has no {missing[0]}; {how}')
  tokenizers, safetensors = sentences.libraries()
  try:
    arrays = as_published(safetensors.load_file(folder / FILES[0]))
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / FILES[1]))
    length = len(arrays['positional_embedding'])
    image_size(arrays)
  except Exception as error:  # the libraries raise their own
    raise InputError(
      f'weights: {folder} is of no CLIP that is known: {error}; {how}'
    ) from error
  tokenizer.enable_truncation(length)
  tokenizer.no_padding()
  return jax.tree.map(jnp.asarray, arrays), tokenizer


def _texts_of(arrays: Arrays, tokenizer):
  """Strings -> unit vectors `[N, E]`."""
  compiled = jax.jit(encode_texts)
  length = len(arrays['positional_embedding'])

  def of_texts(texts: Sequence[str]) -> np.ndarray:
    rows = [e.ids for e in tokenizer.encode_batch(list(texts))]
    tokens = np.zeros((len(rows), length), np.int32)
    for row, ids in zip(tokens, rows, strict=True):
      row[: len(ids)] = ids
    return np.asarray(compiled(arrays, tokens))

  return of_texts


def load(path: str | pathlib.Path) -> TextImage:
  """CLIP of a folder, as a guide and a judge.

  Raises:
    InputError: see `_opened`.
  """
  folder = pathlib.Path(path).expanduser()
  arrays, tokenizer = _opened(folder)
  return TextImage(
    f'CLIP of {folder.name}',
    image_size(arrays),
    3,
    functools.partial(encode_images, arrays),
    _texts_of(arrays, tokenizer),
  )


class TextEncoder:
  """CLIP's tower of texts, as a frozen encoder of captions.

  Attributes:
    name: with the folder's.
    size: of the vectors.
  """

  def __init__(self, folder: str | pathlib.Path):
    """Reads the files, see `load`."""
    path = pathlib.Path(folder).expanduser()
    arrays, tokenizer = _opened(path)
    self.name = f'clip of {path.name}'
    self.size = arrays['text_projection'].shape[1]
    self._of_texts = _texts_of(arrays, tokenizer)

  def __call__(self, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors float32 `[N, size]`."""
    parts = [texts[i : i + 64] for i in range(0, len(texts), 64)]
    return np.concatenate([self._of_texts(part) for part in parts])

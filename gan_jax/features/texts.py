"""Frozen encoders of texts by name, each text encoded once and kept."""

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gan_jax.features import clip, sentences
from gan_jax.storage.cache import digest_of, load_arrays, save_arrays
from gan_jax.storage.files import cache_dir
from gan_jax.types import InputError, lookup

WORDS = 'words'  # no encoder: G learns what its words mean
ENCODERS: dict[str, Callable[[str], Any]] = {
  'minilm': sentences.SentenceEncoder,
  'clip': clip.TextEncoder,
}
NAMES = (WORDS, *ENCODERS)


class Kept:
  """An encoder that keeps its vectors in the user's cache.

  Its files are looked at when a text comes, so that a run which asks for none
  needs none of them.
  """

  def __init__(self, name: str, weights: str):
    """Names the encoder and its files."""
    self._kind, self._weights = name, weights

  @functools.cached_property
  def _encoder(self) -> Any:
    return ENCODERS[self._kind](self._weights)

  @functools.cached_property
  def _facts(self) -> list[Any]:
    """The encoder and its files."""
    path = pathlib.Path(self._weights).expanduser()
    files = sorted(p for p in path.rglob('*') if p.is_file())
    return [self._encoder.name, [[p.name, p.stat().st_size] for p in files]]

  @property
  def size(self) -> int:
    """Of the vectors."""
    return self._encoder.size

  @property
  def name(self) -> str:
    """Of the encoder, with a digest of its files."""
    return f'{self._encoder.name} {digest_of(self._facts)[:8]}'

  def __call__(self, texts: Sequence[str]) -> np.ndarray:
    """Vectors float32 `[N, size]`."""
    digest = digest_of([self._facts, list(texts)])
    path = cache_dir() / 'texts' / f'{digest[:32]}.npz'
    kept = load_arrays(path) or {}
    vectors = kept.get('vectors')
    if vectors is None or vectors.shape != (len(texts), self.size):
      different = list(dict.fromkeys(texts))
      rows = {text: row for row, text in enumerate(different)}
      encoded = self._encoder(different)
      vectors = encoded[[rows[text] for text in texts]]
      if len(texts) > 1:
        save_arrays(path, vectors=vectors)
    return vectors


def load(name: str, weights: str) -> Kept | None:
  """An encoder by its name; None for words.

  Args:
    name: one of `NAMES`.
    weights: path of its files; '' for words.

  Raises:
    InputError: an unknown name, or files for words; when it is called, files
      that are not there.
  """
  lookup(dict.fromkeys(NAMES), name, 'text.encoder')
  if name == WORDS:
    if weights:
      raise InputError(
        f'text.weights: {weights!r} is of an encoder, and text.encoder=words '
        f'has none; set text.encoder to {", ".join(ENCODERS)}, or leave it out'
      )
    return None
  return Kept(name, weights)

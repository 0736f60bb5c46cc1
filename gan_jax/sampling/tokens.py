"""Text as numbers: lower-cased words of a vocabulary."""

import collections
import re
from collections.abc import Iterable, Sequence

import numpy as np

from gan_jax.types import InputError

PADDING, UNKNOWN = 0, 1
_SPECIAL = 2  # tokens before the first word's
MOST_WORDS = 256  # of one text


def words(text: str) -> list[str]:
  """Runs of letters and digits, also around an apostrophe, in lower case."""
  return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


def vocabulary_of(texts: Iterable[str]) -> tuple[str, ...]:
  """All words of some texts, the most frequent first, else by the alphabet."""
  counts = collections.Counter(word for text in texts for word in words(text))
  return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def num_tokens(vocabulary: Sequence[str]) -> int:
  """How many different tokens there are."""
  return len(vocabulary) + _SPECIAL


def encode(
  texts: Sequence[str], vocabulary: Sequence[str], length: int, what: str
) -> np.ndarray:
  """Texts as int32 `[N, length]`: words by number, 1 if unknown, then zeros.

  Args:
    texts: N of them.
    vocabulary: whose i-th word is the token i + 2.
    length: the most words that a text may have.
    what: the texts are of, for the message.

  Raises:
    InputError: a text has more words.
  """
  numbers = {word: i + _SPECIAL for i, word in enumerate(vocabulary)}
  tokens = np.full((len(texts), length), PADDING, np.int32)
  for row, text in zip(tokens, texts, strict=True):
    found = [numbers.get(word, UNKNOWN) for word in words(text)]
    if len(found) > length:
      raise InputError(
        f'{what}: {text[:40]!r} has {len(found)} words, and there is room for '
        f'{length}; shorten it'
      )
    row[: len(found)] = found
  return tokens


def unknown(text: str, vocabulary: Sequence[str]) -> list[str]:
  """Words of a text that a vocabulary lacks, once each, in their order."""
  known = set(vocabulary)
  return [word for word in dict.fromkeys(words(text)) if word not in known]


def decode(tokens: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
  """Tokens `[N, L]` as texts; an unknown word is `?`."""
  names = ('', '?', *vocabulary)
  return [' '.join(names[t] for t in row if t) for row in np.asarray(tokens)]

"""A folder of emoji with captions, to train text to image on.

  python experiments/emoji_folder.py --emoji=DIR --out=OUT
  python experiments/emoji_folder.py --emoji=DIR --source=noto --styles=twemoji
  python run.py --config=configs/stackgan_emoji.py --config.data.dir=OUT

DIR holds emoji.zip (STYLE/ID.png) and captions.json, a list of objects with id,
label, tags, names and styles. OUT gets train/, test/ and captions.json.

Each drawing comes several times, with other words each time: its label, its
label with two of its tags, three tags. What is held out are wordings (a name
and three tags that never stood together in training, of drawings that did), or
drawings with all their words (--held=drawings). With --source, OUT has folders
A (that style) and B of the same names: config.data.layout=paired.

Drawings that agree in every pixel are one drawing here.
"""

import hashlib
import io
import json
import pathlib
import sys
import zipfile
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from experiments import common
from gan_jax.storage.files import atomic
from gan_jax.types import InputError

TAGS = 3  # of a wording, at the most
HELD = ('wordings', 'drawings')


class Concept(NamedTuple):
  """What is drawn, and its words."""

  name: str
  label: str
  tags: tuple[str, ...]
  names: tuple[str, ...]


def wordings(concept: Concept, num: int, rng: np.random.Generator) -> list[str]:
  """Training captions: the label, and then tags with it and without in turn."""
  found = [concept.label]
  for number in range(1, num):
    size = TAGS if number % 2 == 0 else TAGS - 1
    some = chosen(concept.tags, size, rng)
    head = [concept.label] if number % 2 or not some else []
    found.append(', '.join([*head, *some]))
  return found


def held_wording(
  concept: Concept, seen: list[str], rng: np.random.Generator
) -> str:
  """A name and tags; others than any training caption, as sets of words."""
  known = {frozenset(text.split(', ')) for text in seen}
  for _ in range(20):
    parts = [concept.names[0], *chosen(concept.tags, TAGS, rng)]
    if frozenset(parts) not in known:
      break
  return ', '.join(parts)


def chosen(
  words: tuple[str, ...], num: int, rng: np.random.Generator
) -> list[str]:
  """Some of the words, in an order of their own."""
  return rng.permutation(words)[:num].tolist() if words else []


def read_concepts(path: pathlib.Path, styles: list[str]) -> list[Concept]:
  """Those that have a drawing in each of the styles.

  Raises:
    InputError: a file that cannot be read, or no drawing in these styles.
  """
  try:
    entries = json.loads(path.read_text())
    kept = [x for x in entries if set(styles) <= set(x['styles'])]
    found = [_concept(entry) for entry in kept]
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise InputError(f'--emoji: cannot read {path}: {error!r}') from error
  if not found:
    raise InputError(f'--styles: {path} has no {", ".join(styles)}')
  return found


def _concept(entry: dict[str, Any]) -> Concept:
  tags = tuple(entry['tags'])
  return Concept(
    entry['id'],
    entry['label'],
    tags,
    tuple(name.replace('-', ' ') for name in entry['names'])
    or (entry['label'],),
  )


def is_held_out(name: str, share: float = 0.1) -> bool:
  """By a hash of the name, so that every run agrees."""
  digest = hashlib.sha256(name.encode()).digest()
  return int.from_bytes(digest[:4], 'big') < share * 2**32


def distinct(
  concepts: list[Concept], archive: zipfile.ZipFile, style: str
) -> list[Concept]:
  """The first of those whose drawings agree in every pixel."""
  first = {}
  for concept in concepts:
    pixels = hashlib.sha256(_drawing(archive, style, concept.name)).digest()
    first.setdefault(pixels, concept)
  return list(first.values())


def _drawing(archive: zipfile.ZipFile, style: str, name: str) -> bytes:
  """Pixels, whatever the file says beside them."""
  from PIL import Image

  with Image.open(io.BytesIO(archive.read(f'{style}/{name}.png'))) as image:
    return image.convert('RGBA').tobytes()


def experiment(
  out: pathlib.Path,
  emoji: str,
  styles: str,
  source: str,
  words: int,
  held: str,
) -> None:
  """Writes the folder."""
  root, names = pathlib.Path(emoji).expanduser(), styles.split(',')
  wanted = [*names, source] if source else names
  concepts = read_concepts(root / 'captions.json', wanted)
  rng, captions, counts = np.random.default_rng(0), {}, {}
  try:
    archive = zipfile.ZipFile(root / 'emoji.zip')
  except (OSError, zipfile.BadZipFile) as error:
    raise InputError(
      f'--emoji: cannot read {root}/emoji.zip: {error}'
    ) from None
  with archive:
    concepts = distinct(concepts, archive, wanted[-1])
    for concept in concepts:
      seen = wordings(concept, words, rng)
      texts = [('train', text) for text in seen]
      if held == 'wordings':
        texts.append(('test', held_wording(concept, seen, rng)))
      elif is_held_out(concept.name):
        texts = [('test', text) for text in seen]
      for style in names:
        for number, (split, text) in enumerate(texts):
          file = f'{split}/{style}_{concept.name}_{number}.png'
          sides = {'B/': style, 'A/': source} if source else {'': style}
          captions[f'{next(iter(sides))}{file}'] = text
          counts[split] = counts.get(split, 0) + 1
          for side, drawn in sides.items():
            data = archive.read(f'{drawn}/{concept.name}.png')
            path = out / f'{side}{file}'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
  with atomic(out / 'captions.json') as temporary:
    temporary.write_text(json.dumps(captions, ensure_ascii=False, indent=0))
  print(
    f'{len(concepts)} concepts: {counts.get("train", 0)} captioned drawings to '
    f'train on, {counts.get("test", 0)} held out: {out}'
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    emoji=('', 'folder of emoji.zip and captions.json'),
    styles=('noto', 'styles to draw, with commas between them'),
    source=('', 'style to draw from, for pairs'),
    words=(5, 'captions of each drawing'),
    held=('wordings', 'what is held out', HELD),
  )

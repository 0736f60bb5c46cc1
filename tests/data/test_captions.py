"""Texts of images: tokens, caption files, and what is wrong with them."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from PIL import Image

from gan_jax.data import load_dataset
from gan_jax.data.feeds import DeviceFeed, StreamFeed
from gan_jax.sampling import tokens
from gan_jax.types import InputError
from tests.data.test_columns import NAMES, batches, write
from tests.helpers import assert_same_bits

TEXTS = [f'A {c} seven, {n}!' for c in ('red', 'Blue') for n in 'vwxyz']

# --- Tokens -------------------------------------------------------------------


def test_words_are_runs_of_letters_in_lower_case():
  assert tokens.words("Two RED sevens, don't-run 7_8") == (
    ['two', 'red', 'sevens', "don't", 'run', '7', '8']
  )
  assert tokens.words(' ,.') == []


def test_the_most_frequent_words_come_first():
  assert tokens.vocabulary_of(['b a', 'c b', 'b']) == ('b', 'a', 'c')
  assert tokens.num_tokens(('b', 'a', 'c')) == 5


def test_tokens_are_padded_and_unknown_words_are_one():
  found = tokens.encode(['a cat', '', 'dog B'], ('b', 'a'), 3, 'text')
  assert found.dtype == np.int32
  assert found.tolist() == [[3, 1, 0], [0, 0, 0], [1, 2, 0]]


@given_by(st.lists(st.lists(st.from_regex('[a-z]{1,4}', fullmatch=True))))
def test_texts_come_back(texts):
  texts = [' '.join(text) for text in texts]
  vocabulary = tokens.vocabulary_of(texts)
  length = max([1, *(len(text.split()) for text in texts)])
  encoded = tokens.encode(texts, vocabulary, length, 'text')
  assert encoded.shape == (len(texts), length)
  assert tokens.decode(encoded, vocabulary) == texts


def test_a_text_that_is_too_long_is_refused():
  with pytest.raises(InputError, match=r"text: 'a b c' has 3 words.*for 2"):
    tokens.encode(['a b c'], (), 2, 'text')


# --- Files --------------------------------------------------------------------


def as_json(pairs):
  return json.dumps(dict(pairs))


def as_csv(pairs):
  rows = [f'{name},"{text}"' for name, text in pairs]
  return '\n'.join(['image,text', *rows])


def as_txt(pairs):
  return '\n'.join(f'{name}\t{text}' for name, text in pairs) + '\n'


WRITERS = {'json': as_json, 'csv': as_csv, 'txt': as_txt}


def captioned(root, suffix='json', names=NAMES, below=''):
  write(root / below, names, 4, 4, 3)
  pairs = [(below + n, t) for n, t in zip(NAMES, TEXTS, strict=True)]
  (root / f'captions.{suffix}').write_text(WRITERS[suffix](pairs))
  return root


def opened(root, **keys):
  keys = dict(captions=True, decoded_cache=False) | keys
  return load_dataset('folder', dir=str(root), **keys)


def text_of_images(dataset, root):
  """Texts of both splits, by the pixels' file names."""
  names = {
    np.asarray(Image.open(path)).tobytes(): path.name
    for path in root.rglob('*.png')
  }
  found = {}
  for images in dataset[:2]:
    arrays = images.read(np.arange(len(images)))
    texts = tokens.decode(arrays['text'], dataset.info.vocabulary)
    for image, text in zip(arrays['images'], texts, strict=True):
      found[names[image.tobytes()]] = text
  return found


@pytest.mark.parametrize('suffix', WRITERS)
def test_each_image_has_its_text(suffix, tmp_path):
  dataset = opened(captioned(tmp_path, suffix))
  found = text_of_images(dataset, tmp_path)
  known = set(dataset.info.vocabulary)
  expected = {
    name: ' '.join(w if w in known else '?' for w in tokens.words(text))
    for name, text in zip(NAMES, TEXTS, strict=True)
  }
  assert found == expected
  # One text is held out, and its last word is known from another.
  assert {'a', 'seven', 'red', 'blue'} < known
  assert dataset.info.columns == {'text': (4,)}
  assert json.loads(json.dumps(dataset.info._asdict()))['vocabulary'][0] == 'a'


def test_a_zip_has_its_captions_inside(tmp_path):
  root = captioned(tmp_path / 'data', 'csv')
  packed = tmp_path / 'data.zip'
  with zipfile.ZipFile(packed, 'w') as archive:
    for path in sorted(root.iterdir()):
      archive.write(path, f'all/{path.name}')
  dataset = opened(packed)
  assert text_of_images(dataset, root) == text_of_images(opened(root), root)


def test_names_are_relative_to_the_file(tmp_path):
  write(tmp_path / 'A', NAMES, 4, 4, 1)
  root = captioned(tmp_path, below='B/')
  dataset = opened(root, layout='paired')
  assert dataset.info.columns == {'source': (4, 4, 1), 'text': (4,)}


def test_texts_are_read_only_when_asked_for_and_tell_data_apart(tmp_path):
  root = captioned(tmp_path, 'txt')
  plain = opened(root, captions=False).info
  assert plain.columns == {}
  assert plain.vocabulary == ()
  before = opened(root).info.version
  assert before.startswith(f'{plain.version}, captions ')
  text = (root / 'captions.txt').read_text()
  (root / 'captions.txt').write_text(text.replace('red', 'green', 1))
  assert opened(root).info.version != before
  (root / 'captions.txt').write_text('rubbish')
  assert opened(root, captions=False).info == plain


def test_both_feeds_carry_texts(tmp_path):
  images = opened(captioned(tmp_path)).train
  keys = dict(batch_size=4, seed=1, columns=['text'])
  found = batches(DeviceFeed(images, **keys), 3)
  assert_same_bits(found, batches(StreamFeed(images, **keys), 3))
  text = np.asarray(found[0].given['text'])
  assert (text.dtype, text.shape) == (np.int32, (4, 4))
  assert (text > 0).all()


def nothing(root):
  write(root, NAMES, 4, 4, 3)


def of_no_image(root):
  captioned(root)
  (root / NAMES[3]).unlink()


def without_text(root):
  captioned(root, 'txt')
  lines = (root / 'captions.txt').read_text().splitlines()
  (root / 'captions.txt').write_text('\n'.join(lines[:4] + lines[5:]))


def other_format(root):
  captioned(root)
  (root / 'captions.json').rename(root / 'captions.xml')


def two_files(root):
  captioned(root)
  captioned(root, 'csv')


def damaged(name, text):
  def make(root):
    nothing(root)
    (root / name).write_bytes(text)

  make.__name__ = f'{name} {text}'
  return make


@pytest.mark.parametrize(
  ('make', 'says'),
  [
    (nothing, ['has none', 'captions.json', 'captions.csv', 'captions.txt']),
    (of_no_image, [f'a text for {NAMES[3]}', 'no such image']),
    (without_text, ['no text for', NAMES[4]]),
    (other_format, ['captions.xml is not read', 'captions.json']),
    (two_files, ['captions.csv', 'captions.json', 'leave one']),
    (damaged('captions.json', b'{'), ['cannot read', 'captions.json']),
    (damaged('captions.json', b'[1]'), ['cannot read', 'no object']),
    (damaged('captions.json', b'{"00.png": 3}'), ['no text for 00.png']),
    (damaged('captions.csv', b'name,text\n'), ['columns image and text']),
    (damaged('captions.txt', b'00.png a cat'), ['line 1 has no tab']),
    (damaged('captions.txt', b'\xff\xfe\x00'), ['cannot read']),
  ],
  ids=lambda x: getattr(x, '__name__', ''),
)
def test_bad_captions_are_one_line(make, says, tmp_path):
  make(tmp_path)
  with pytest.raises(InputError) as caught:
    opened(tmp_path)
  message = str(caught.value)
  assert '\n' not in message
  assert message.startswith('given: ')
  for part in says:
    assert part in message


def test_only_folders_have_captions():
  with pytest.raises(InputError, match=r'given: text.*folder, not of digits'):
    load_dataset('digits', captions=True)


def test_a_caption_is_not_a_book(tmp_path):
  nothing(tmp_path)
  texts = dict.fromkeys(NAMES, 'word ' * (tokens.MOST_WORDS + 1))
  (tmp_path / 'captions.json').write_text(json.dumps(texts))
  with pytest.raises(InputError, match='has 257 words, and there is room'):
    opened(tmp_path)

"""Two towers: what they learn, how they are kept, and ranks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import towers
from gan_jax.features.text_image import ranks, recoloured
from gan_jax.sampling import tokens
from gan_jax.types import InputError

COLOURS = ('red', 'green', 'blue')
RECIPE = towers.Recipe(
  width=8, features=8, num_steps=60, batch_size=12, learning_rate=1e-2
)


def captioned(num=48):
  """Squares of a colour, at the left or at the right."""
  rng = np.random.default_rng(0)
  images, texts = np.zeros((num, 8, 8, 3), np.uint8), []
  for number, image in enumerate(images):
    colour, side = number % 3, number // 3 % 2
    columns = slice(4, 8) if side else slice(0, 4)
    image[:, columns, colour] = rng.integers(160, 256)
    texts.append(f'{COLOURS[colour]} {"right" if side else "left"}')
  return images, texts


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  images, texts = captioned()
  vocabulary = tokens.vocabulary_of(texts)
  encoded = tokens.encode(texts, vocabulary, 2, 'text')
  params = towers.train(images, encoded, vocabulary, RECIPE)
  path = tmp_path_factory.mktemp('towers') / 'towers.npz'
  towers.save(path, params, vocabulary, (8, 8, 3), 2, RECIPE)
  return path


def test_they_find_the_caption(trained):
  images, texts = captioned()
  model = towers.load(trained)
  seen, read = model.see(images), model.of_texts(texts)
  for found in (seen, read):
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
  different = [texts.index(text) for text in dict.fromkeys(texts)]
  right = (seen @ read[different].T).argmax(axis=1)
  assert (
    np.mean(
      [texts[different[i]] == t for i, t in zip(right, texts, strict=True)]
    )
    > 0.9
  )
  assert model.unknown('a red Right tower') == ['a', 'tower']
  assert model.of_texts(['red left and more words'] * 2).shape == (2, 8)


@pytest.mark.slow
def test_images_of_other_sizes_and_channels_are_fitted(trained):
  model = towers.load(trained)
  images = np.kron(captioned(6)[0], np.ones((1, 2, 2, 1), np.uint8))
  assert model.see(images).shape == (6, 8)
  assert model.see(images[..., :1]).shape == (6, 8)

  def seen(images):
    return model.of_images(model.fitted(images)).sum()

  gradient = jax.grad(seen)(jnp.zeros((1, 16, 16, 3)))
  assert gradient.shape == (1, 16, 16, 3)
  assert np.abs(gradient).max() > 0


def test_grey_is_the_luma():
  image = np.array([[[[1.0, 0.5, -1.0]]]], np.float32)
  assert recoloured(image, 1).shape == (1, 1, 1, 1)
  np.testing.assert_allclose(
    recoloured(image, 1).item(), 0.299 + 0.5 * 0.587 - 0.114, rtol=1e-6
  )
  assert recoloured(image[..., :1], 3).tolist() == [[[[1.0] * 3]]]


def test_ranks_count_who_comes_before():
  texts = np.eye(4)
  images = np.array([[1, 0, 0, 0], [3, 2, 1, 0], [0, 0, 1, 1], [1, 1, 1, 2]])
  found = ranks(images, texts, 4)
  assert found.tolist() == [0, 1, 1, 0]  # a tie counts against it
  same = np.stack([texts[0], texts[0], texts[1]])  # a twin is no other text
  assert ranks(np.stack([texts[0]] * 3), same, 3).tolist() == [0, 0, 2]
  with pytest.raises(InputError, match='among: 9 is not between 2 and the 4'):
    ranks(images, texts, 9)


def test_what_is_no_file_of_towers_is_one_line(trained, tmp_path):
  with pytest.raises(InputError, match=r'no file.*two_tower.py trains one'):
    towers.load(tmp_path / 'none.npz')
  (tmp_path / 'text.npz').write_text('no archive')
  with pytest.raises(InputError, match='is no file of two towers'):
    towers.load(tmp_path / 'text.npz')
  arrays = dict(np.load(trained))
  name = next(name for name in arrays if 'of_text' in name and 'kernel' in name)
  arrays[name] = arrays[name][:2]
  np.savez(tmp_path / 'short.npz', **arrays)
  with pytest.raises(InputError, match='is damaged'):
    towers.load(tmp_path / 'short.npz')


def test_images_of_no_power_of_two_are_refused():
  with pytest.raises(InputError, match='12 x 12 is no square of a power'):
    towers.train(np.zeros((4, 12, 12, 3), np.uint8), np.zeros((4, 1)), ())

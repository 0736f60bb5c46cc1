"""Sheets show one thing at a time; mixed classes; moments of truncation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.build import build
from gan_jax.networks import growing
from gan_jax.networks.resampling import enlarged
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.sheets import SHEETS, TRUNCATIONS
from gan_jax.sampling.walks import INTERPOLATIONS, closed_walk
from gan_jax.types import Column, InputError
from tests.helpers import fake_info, tiny_digits, tiny_keys

SEEDS = [3, 5, 8]


def sampler_of(num_classes=3, codes=(), latent_dim=4, **keys):
  """A grey tone: of the first latent, and of the class."""

  def generate(variables, latents, given, *, train):
    del train
    tone = 0.1 * latents[:, 0]
    if 'labels' in given:
      labels = given['labels']
      if labels.ndim == 1:
        labels = jnp.eye(num_classes)[labels]
      tone += labels @ jnp.linspace(-0.5, 0.5, num_classes)
    return tone[:, None, None, None] * jnp.ones((1, 2, 2, 1)), variables

  return Sampler(
    generate,
    {'params': {}},
    latent_dim=latent_dim + sum(codes),
    codes=codes,
    num_classes=num_classes,
    class_names=('ant', 'bee', 'cat')[:num_classes],
    **keys,
  )


def sheet_of(name, sampler, label=None, truncation=0.0):
  sheet = SHEETS[name](sampler, SEEDS, label, truncation)
  shape = len(sheet.sides), len(sheet.heads)
  assert len(sheet.images) == len(sheet.latents) == math.prod(shape)
  return (
    sheet,
    sheet.images.reshape(*shape, 2, 2, 1),
    sheet.latents.reshape(*shape, -1),
  )


def test_classes_down_and_seeds_across():
  sampler = sampler_of()
  sheet, images, latents = sheet_of('classes', sampler)
  assert sheet.sides == ('ant', 'bee', 'cat')
  assert sheet.heads == ('seed 3', 'seed 5', 'seed 8')
  for row in range(3):
    np.testing.assert_array_equal(latents[row], sampler.latents_of(SEEDS))
    expected = sampler.generate(latents[row], np.full(3, row))
    np.testing.assert_array_equal(images[row], expected)


@pytest.mark.parametrize('label', [None, 'bee'])
def test_truncation_narrows_the_same_latents(label):
  """Each of a column is the same draw, squeezed: in the same order."""
  sheet, _, latents = sheet_of('truncation', sampler_of(), label)
  assert sheet.sides[-1] == 'none'
  for row, truncation in enumerate(TRUNCATIONS[:-1]):
    assert np.abs(latents[row]).max() <= truncation
  assert (np.diff(np.abs(latents), axis=0) >= 0).all()
  labels = sheet.labels.reshape(-1, 3)
  expected = [1, 1, 1] if label else [0, 1, 2]
  np.testing.assert_array_equal(labels, [expected] * len(TRUNCATIONS))


def test_from_class_to_class_at_one_latent():
  sampler = sampler_of()
  sheet, images, latents = sheet_of('between', sampler)
  assert sheet.sides == ('ant\nbee', 'bee\ncat', 'cat\nant')
  assert (latents == sampler.latents_of(SEEDS[:1])).all()
  np.testing.assert_allclose(sheet.labels.sum(-1), 1, rtol=1e-6)
  own = sampler.generate(latents[0, :3], np.arange(3))
  np.testing.assert_array_equal(images[:, 0], own)
  np.testing.assert_array_equal(images[:, -1], own[[1, 2, 0]])
  middle = np.float32(images[:, 4]).mean((1, 2, 3))
  ends = np.float32(images[:, [0, -1]]).mean((1, 2, 3, 4))
  np.testing.assert_allclose(middle, ends, atol=1)


def test_a_code_at_a_time():
  sampler = sampler_of(codes=(3, 1))
  sheet, _, latents = sheet_of('codes', sampler, 'cat')
  assert sheet.sides == ('code 0', 'code 1')
  base = sampler.latents_of(SEEDS[:1])[0]
  np.testing.assert_array_equal(latents[0, :, 4:7], np.eye(3)[[0, 1, 2, 0, 1]])
  np.testing.assert_array_equal(latents[1, :, 7], [-2, -1, 0, 1, 2])
  assert (latents[0][:, [0, 1, 2, 3, 7]] == base[[0, 1, 2, 3, 7]]).all()
  assert (latents[1][:, :7] == base[:7]).all()
  assert (sheet.labels == 2).all()


def test_codes_go_straight_where_the_noise_goes_round():
  """What both ends agree on stays; a number stays between them."""
  sampler = sampler_of(codes=(3, 1))
  ends = sampler.latents(2).copy()
  ends[:, 4:7] = [0, 1, 0]
  for path in INTERPOLATIONS:
    walk = closed_walk(ends, 5, path, num_codes=4)
    np.testing.assert_array_equal(walk[:, 4:7], [[0, 1, 0]] * 10)
    t = np.arange(5)[:, None] / 5
    straight = (1 - t) * ends[0, 7:] + t * ends[1, 7:]
    np.testing.assert_allclose(walk[:5, 7:], straight, rtol=1e-6, atol=1e-7)
    own = closed_walk(ends[:, :4], 5, path)
    np.testing.assert_array_equal(walk[:, :4], own)
  assert sampler.interpolate(2, 3).shape == (6, 2, 2, 1)


@pytest.mark.parametrize(
  ('name', 'keys', 'says'),
  [
    ('classes', dict(num_classes=0), 'this run has none; take grid'),
    ('between', dict(num_classes=0), 'this run has none; take grid'),
    ('codes', {}, r'train with codes, such as \(10, 1, 1\)'),
    ('truncation', dict(prior='uniform'), 'truncation: .*latent_prior=normal'),
    ('classes', dict(columns={'text': Column((3,))}), 'is told text too'),
  ],
)
def test_one_line_for_what_cannot_be_shown(name, keys, says):
  with pytest.raises(InputError, match=says):
    sheet_of(name, sampler_of(**keys))


# Variance of a standard normal restricted to [-t, t]: 1 - 2 t phi(t) /
# erf(t / sqrt 2). Clipped to it, it would be more.
VARIANCES = {0.5: 0.08059, 0.7: 0.15292, 1.0: 0.29113, 1.5: 0.55152, 2: 0.77374}


@pytest.mark.parametrize('truncation', VARIANCES)
def test_values_beyond_the_threshold_are_drawn_again(truncation):
  sampler = sampler_of(latent_dim=64)
  drawn = sampler.latents(2_000, truncation=truncation).ravel()
  expected, num = VARIANCES[truncation], len(drawn)
  fourth = (drawn**4).mean()
  error = 4 * math.sqrt((fourth - expected**2) / num)
  np.testing.assert_allclose(drawn.var(), expected, atol=error + 1e-5)
  assert np.abs(drawn).max() <= truncation
  assert (np.abs(drawn) > 0.999 * truncation).mean() < 0.003  # no mass there


@pytest.mark.slow
def test_a_pair_that_grows_shows_each_size():
  """Of a G grown halfway from 4 to 8 pixels of 16: squares of equal pixels."""
  config = tiny_digits(
    network__name='progressive',
    network__gen_widths=None,
    network__disc_widths=None,
    data__image_size=16,
    **tiny_keys('progressive'),
  )
  model = build(config, fake_info((16, 16, 1)))
  whole = model.sampler(model.init(jax.random.key(0)), ema=False)
  variables = growing.set_grown(whole.variables, jnp.float32(0.5))
  sampler = whole.with_variables(variables)
  sheet = SHEETS['growth'](sampler, SEEDS, None, 0.0)
  assert list(sheet.sides) == ['4 pixels', '8 pixels']
  assert list(sheet.heads) == ['seed 3', 'seed 5', 'seed 8']
  small, large = sheet.images.reshape(2, 3, 16, 16, 1)
  np.testing.assert_array_equal(small, enlarged(small[:, ::4, ::4], 16))
  np.testing.assert_array_equal(large, enlarged(large[:, ::2, ::2], 16))
  assert (large != enlarged(large[:, ::4, ::4], 16)).any()
  np.testing.assert_array_equal(large, sampler.generate(sheet.latents[:3]))
  with pytest.raises(InputError, match='growth is of pairs that grow'):
    SHEETS['growth'](sampler_of(), SEEDS, None, 0.0)
